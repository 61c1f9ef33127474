//! The page for browsers: a few files inside the binary. Their names contain a hash of their content, so that a browser
//! may cache each indefinitely and never shows an old one. Only `index.html` is loaded each time.
//!
//! The sources are in `page/`, a module for each behaviour; there is no build step. When the page is first requested,
//! its modules are joined into one file, each in a function of its own, without comment lines and indentation: thirty
//! small files take a browser half a second longer than one. All paths are relative, so the page works wherever it is
//! mounted.

use std::sync::OnceLock;

use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, VARY};

use crate::response::{self, Body, File};

/// The policy of the page: it loads its own files and sends requests to its own server. No text becomes markup or code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types 'none'";
/// For files with a hash in their names: a year.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

const INDEX: &str = include_str!("../page/index.html");
macro_rules! files {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("../page/", $name)))),*] };
}
const MODULES: [(&str, &str); 31] = files!(
    "about.js",
    "address.js",
    "api.js",
    "columns.js",
    "complete.js",
    "detail.js",
    "dom.js",
    "ended.js",
    "ending.js",
    "filter.js",
    "filterbox.js",
    "full.js",
    "keys.js",
    "kill.js",
    "kinds.js",
    "main.js",
    "model.js",
    "notice.js",
    "order.js",
    "plot.js",
    "running.js",
    "sse.js",
    "stream.js",
    "table.js",
    "tabs.js",
    "text.js",
    "timeline.js",
    "token.js",
    "usual.js",
    "waits.js",
    "why.js",
);
const OTHERS: [(&str, &str); 2] = files!("icon.svg", "page.css");

/// All files, under the names that browsers load.
#[derive(Debug)]
struct Page {
    index: File,
    files: Vec<File>,
}

fn page() -> &'static Page {
    static PAGE: OnceLock<Page> = OnceLock::new();
    PAGE.get_or_init(Page::new)
}

/// The response to `GET /` for a browser: `index.html`, which is revalidated each time. Other clients get a text
/// instead.
pub(crate) fn index() -> Response<Body> {
    let mut response = response::file(&page().index);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// The file with this name, which includes the hash of its content: browsers may cache it.
pub(crate) fn file(name: &str) -> Option<Response<Body>> {
    let mut response = response::file(page().file(name)?);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(IMMUTABLE));
    Some(response)
}

/// The names of all files.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    page().files.iter().map(|file| file.name.as_str())
}

impl Page {
    fn new() -> Self {
        let mut index = INDEX.to_owned();
        let others = OTHERS.iter().map(|(name, text)| (*name, essence(text)));
        let files = others.chain([("main.js", join(&MODULES))]).map(|(name, text)| {
            let full = name_of(name, text.as_bytes());
            index = index.replace(&format!("\"page/{name}\""), &format!("\"page/{full}\""));
            File::new(full, text)
        });
        let files = files.collect();
        Self { index: File::new("index.html".to_owned(), index), files }
    }

    fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// Joins all modules: each after those that it imports, in a function that returns its exports. Imports have no cycle;
/// a test checks that.
fn join(modules: &[(&str, &str)]) -> String {
    let mut all = String::new();
    let mut left = modules.to_vec();
    while !left.is_empty() {
        let waits = |text: &str| left.iter().any(|(other, _)| text.contains(&format!(" from './{other}'")));
        let at = left.iter().position(|(_, text)| !waits(text)).unwrap_or(0);
        let (name, text) = left.remove(at);
        let (essence, mut exports) = (essence(text), Vec::new());
        all += &format!("// {name}\nconst m_{} = (() => {{\n", name.trim_end_matches(".js"));
        for line in essence.lines() {
            if let Some((names, from)) = import(line) {
                all += &format!("const {names} = m_{from};\n");
                continue;
            }
            let inner = line.strip_prefix("export ");
            exports.extend(inner.and_then(declared));
            all += inner.unwrap_or(line);
            all.push('\n');
        }
        all += &format!("return {{ {} }};\n}})();\n", exports.join(", "));
    }
    all
}

/// The names in `import { names } from './module.js';`, in their braces, and the module.
fn import(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("import ")?.strip_suffix(".js';")?.split_once(" from './")
}

/// The name in `function name(`, `class name ` and the like.
fn declared(code: &str) -> Option<&str> {
    let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.find(|word| !matches!(*word, "async" | "function" | "class" | "const"))
}

/// Strips comment lines and indentation. No string in the files spans lines.
fn essence(text: &str) -> String {
    let mut essence = String::with_capacity(text.len());
    let mut is_comment = false;
    for line in text.lines().map(str::trim) {
        if is_comment {
            is_comment = !line.ends_with("*/");
            continue;
        }
        if line.starts_with("/*") && !line.contains("*/") {
            is_comment = true;
            continue;
        }
        let is_remark = line.starts_with("//") || line.starts_with("/*") && line.ends_with("*/");
        if !line.is_empty() && !is_remark {
            essence += line;
            essence.push('\n');
        }
    }
    essence
}

/// Adds the hash of the content to a name: `main-0123456789ab.js`.
fn name_of(name: &str, bytes: &[u8]) -> String {
    let digest = hmac_sha256::Hash::hash(bytes);
    let hash: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{stem}-{hash}.{kind}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn plain(file: &File) -> String {
        let (stem, rest) = file.name.rsplit_once('-').unwrap();
        format!("{stem}.{}", rest.rsplit_once('.').unwrap().1)
    }

    #[test]
    fn all_files_of_the_folder_are_there_and_no_others() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page").read_dir().unwrap();
        let found: BTreeSet<String> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let listed = MODULES.iter().chain(&OTHERS).map(|(name, _)| (*name).to_owned());
        assert_eq!(found, listed.chain(["index.html".to_owned()]).collect());
    }

    #[test]
    fn modules_are_joined_behind_what_they_import() {
        let modules = [
            ("b.js", "import { a, c } from './a.js';\nexport class B {\n  x() {}\n}\na(c);\n"),
            ("a.js", "// A.\nexport async function a() {}\nexport const c = 1;\nconst hidden = 2;\n"),
        ];
        let joined = "// a.js\nconst m_a = (() => {\nasync function a() {}\nconst c = 1;\nconst hidden = 2;\n\
                      return { a, c };\n})();\n\
                      // b.js\nconst m_b = (() => {\nconst { a, c } = m_a;\nclass B {\nx() {}\n}\na(c);\n\
                      return { B };\n\
                      })();\n";
        assert_eq!(join(&modules), joined);
    }

    #[test]
    fn what_is_imported_is_there_before_and_nothing_else_is_imported_or_exported() {
        let all = join(&MODULES);
        let mut known: Vec<(String, Vec<String>)> = Vec::new();
        for part in all.split("\nconst m_").skip(1) {
            let name = part.split(' ').next().unwrap().to_owned();
            for line in part.lines().filter(|line| line.contains("} = m_")) {
                let (names, from) = line.strip_prefix("const { ").unwrap().split_once(" } = m_").unwrap();
                let from = from.trim_end_matches(';');
                let exports = known.iter().find(|(other, _)| other == from);
                let (_, exports) = exports.unwrap_or_else(|| panic!("{name} needs {from}: a cycle?"));
                for wanted in names.split(", ") {
                    assert!(exports.iter().any(|export| export == wanted), "{from} exports no {wanted}");
                }
            }
            let exports = part.lines().rfind(|line| line.starts_with("return {")).unwrap();
            let exports = exports.trim_start_matches("return {").trim_end_matches("};").split(", ");
            known.push((name, exports.map(|name| name.trim().to_owned()).collect()));
        }
        assert_eq!(known.len(), MODULES.len());
        for line in all.lines() {
            assert!(!line.starts_with("import ") && !line.starts_with("export "), "another form than is known: {line}");
        }
    }

    #[test]
    fn comments_and_indents_are_left_out_and_nothing_else() {
        let text = "// one\n/* two\n * three */\nlet a = 1; // stays\n  /** @type {any} */ (b).c();\n\n\
                    \x20 /** four */\n\td('//');\n";
        assert_eq!(essence(text), "let a = 1; // stays\n/** @type {any} */ (b).c();\nd('//');\n");
        for (name, text) in &MODULES {
            for line in text.lines().map(|line| line.replace("\\`", "")).filter(|line| !line.trim().starts_with("//")) {
                assert_eq!(line.matches('`').count() % 2, 0, "{name}: a text over the end of a line: {line}");
            }
        }
    }

    #[test]
    fn a_name_contains_the_hash_of_its_content() {
        for file in &page().files {
            assert_eq!(file.name, name_of(&plain(file), &file.text()), "{}", file.name);
            assert!(page().file(&file.name).is_some());
        }
        assert!(["main.js", "main-000000000000.js", ""].into_iter().all(|name| page().file(name).is_none()));
    }

    #[test]
    fn every_link_leads_to_a_file_that_is_there() {
        let index = String::from_utf8(page().index.text().to_vec()).unwrap();
        let links: Vec<&str> = index.split("\"page/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(links.iter().all(|name| page().file(name).is_some()), "{index}");
        assert_eq!(links.len(), page().files.len(), "each is named once");
    }

    #[test]
    fn the_page_sends_no_other_requests_and_runs_no_markup() {
        for text in
            page().files.iter().chain([&page().index]).map(|file| String::from_utf8(file.text().to_vec()).unwrap())
        {
            for bad in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "DOMParser",
                "setHTML",
                "eval(",
                "new Function",
            ] {
                assert!(!text.contains(bad), "{bad}: {text}");
            }
            let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{text}");
        }
        let index = String::from_utf8(page().index.text().to_vec()).unwrap();
        assert!(!index.contains("style=") && !index.contains(" on") && !index.contains("<style"), "{index}");
        assert_eq!(index.matches("<script").count(), 1);
        assert!(index.contains("\"></script>"), "no script within the page: {index}");
    }

    #[test]
    fn all_of_it_together_is_small() {
        let files = || page().files.iter().chain([&page().index]);
        let compressed: usize = files().map(|file| file.compressed().len()).sum();
        let whole: usize = files().map(|file| file.text().len()).sum();
        println!("the page: {whole} bytes, {compressed} compressed");
        assert!(compressed <= 60 << 10 && whole <= 200 << 10, "{whole} bytes, {compressed} compressed");
    }

    #[test]
    fn the_page_escapes_the_characters_that_the_list_and_the_command_escape() {
        let (_, text) = MODULES.iter().find(|(name, _)| *name == "text.js").unwrap();
        let class = text.split_once("const UNSAFE = /[").unwrap().1.split_once("]/gu;").unwrap().0;
        let expected: String = pm_core::terminal::UNSAFE
            .iter()
            .map(|range| match (range.start().escape_unicode(), range.end().escape_unicode()) {
                _ if range.start() == range.end() => range.start().escape_unicode().to_string(),
                (start, end) => format!("{start}-{end}"),
            })
            .collect();
        assert_eq!(class, expected);
    }
}
