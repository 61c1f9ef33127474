//! The page for browsers: a few files inside the binary, handed out under names that tell what is in them, so that a browser
//! may keep each for ever and never shows an old one. Only the first, `index.html`, is asked for anew each time.
//!
//! The files lie in `crates/pm/page/` as they were written, one room for each behaviour; nothing builds them. When the page is
//! wanted first, lines of comment and indents are left out, and each name gets a hash of the file's own bytes: a module's
//! imports are named so before it is hashed itself, so its name also tells what it imports. All paths are relative, so the
//! page works wherever it is mounted.

use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// What the page may do: load its own files, and ask its own server. No text becomes markup or code, whatever is in it.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// For files whose names tell what is in them: a year.
pub(super) const FOR_EVER: &str = "public, max-age=31536000, immutable";

const INDEX: &str = include_str!("../../page/index.html");
/// Where `index.html` lists all modules, so that they are fetched at once, and not one when another was read.
const MODULES: &str = "<!-- modules -->\n";

macro_rules! files {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("../../page/", $name)))),*] };
}
const FILES: [(&str, &str); 31] = files!(
    "about.js",
    "address.js",
    "api.js",
    "columns.js",
    "complete.js",
    "detail.js",
    "dom.js",
    "ended.js",
    "filter.js",
    "filterbox.js",
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
    "icon.svg",
    "page.css",
);

/// A file as it is handed out.
#[derive(Debug)]
pub(super) struct File {
    name: String,
    text: Bytes,
    packed: OnceLock<Bytes>,
}

impl File {
    fn new(name: String, text: String) -> Self {
        Self { name, text: text.into(), packed: OnceLock::new() }
    }

    pub(super) fn text(&self) -> Bytes {
        self.text.clone()
    }

    /// The same in fewer bytes: packed once, as well as can be.
    pub(super) fn packed(&self) -> Bytes {
        let packed = self.packed.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            // A vector takes every write.
            let _ = encoder.write_all(&self.text);
            encoder.finish().unwrap_or_default().into()
        });
        packed.clone()
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        }
    }
}

/// All files under the names that browsers know.
#[derive(Debug)]
struct Page {
    index: File,
    files: Vec<File>,
}

fn page() -> &'static Page {
    static PAGE: OnceLock<Page> = OnceLock::new();
    PAGE.get_or_init(Page::new)
}

/// What `/` is for a browser.
pub(super) fn index() -> &'static File {
    &page().index
}

/// The file of this name, which has the hash in it.
pub(super) fn file(name: &str) -> Option<&'static File> {
    page().files.iter().find(|file| file.name == name)
}

/// The names of all files.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    page().files.iter().map(|file| file.name.as_str())
}

impl Page {
    fn new() -> Self {
        let mut named: Vec<(&str, String)> = Vec::new();
        let mut files = Vec::new();
        let mut left = FILES.to_vec();
        // A module comes after all that it imports. One that could not be (a circle) keeps the plain names, which a test sees.
        while !left.is_empty() {
            let waits = |text: &str, left: &[(&str, &str)]| left.iter().any(|(other, _)| text.contains(&import(other)));
            let at = (0..left.len()).find(|&at| !waits(left[at].1, &left)).unwrap_or(0);
            let (name, text) = left.remove(at);
            let text = named.iter().fold(essence(text), |text, (own, full)| text.replace(&import(own), &import(full)));
            let full = name_of(name, text.as_bytes());
            named.push((name, full.clone()));
            files.push(File::new(full, text));
        }
        let mut modules = String::new();
        let mut index = INDEX.to_owned();
        for (own, full) in &named {
            index = index.replace(&format!("\"page/{own}\""), &format!("\"page/{full}\""));
            if own.ends_with(".js") && *own != "main.js" {
                modules += &format!("<link rel=\"modulepreload\" href=\"page/{full}\">\n");
            }
        }
        Self { index: File::new("index.html".to_owned(), index.replace(MODULES, &modules)), files }
    }
}

/// How a module names another.
fn import(name: &str) -> String {
    format!(" from './{name}'")
}

/// What a browser needs of a file: no lines that are comments, no indents. No text in our files goes over a line's end.
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

/// `main.js` with these bytes is `main-0123456789ab.js`.
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
        let listed = FILES.iter().map(|(name, _)| (*name).to_owned()).chain(["index.html".to_owned()]);
        assert_eq!(found, listed.collect());
    }

    #[test]
    fn comments_and_indents_are_left_out_and_nothing_else() {
        let text = "// one\n/* two\n * three */\nlet a = 1; // stays\n  /** @type {any} */ (b).c();\n\n  /** four */\n\td('//');\n";
        assert_eq!(essence(text), "let a = 1; // stays\n/** @type {any} */ (b).c();\nd('//');\n");
        for (name, text) in FILES.iter().filter(|(name, _)| name.ends_with(".js")) {
            for line in text.lines().map(|line| line.replace("\\`", "")).filter(|line| !line.trim().starts_with("//")) {
                assert_eq!(line.matches('`').count() % 2, 0, "{name}: a text over the end of a line: {line}");
            }
        }
    }

    #[test]
    fn a_name_tells_the_bytes_that_are_served_under_it() {
        for file in &page().files {
            assert_eq!(file.name, name_of(&plain(file), &file.text()), "{}", file.name);
            assert!(self::file(&file.name).is_some());
        }
        assert!(file("main.js").is_none() && file("main-000000000000.js").is_none() && file("").is_none());
    }

    #[test]
    fn every_import_and_every_link_leads_to_a_file_that_is_there() {
        let page = page();
        for file in &page.files {
            let text = String::from_utf8(file.text().to_vec()).unwrap();
            for rest in text.split(" from './").skip(1) {
                let name = rest.split('\'').next().unwrap();
                assert!(self::file(name).is_some(), "{} imports {name}", file.name);
            }
        }
        let index = String::from_utf8(page.index.text().to_vec()).unwrap();
        let links: Vec<&str> = index.split("\"page/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(links.iter().all(|name| file(name).is_some()), "{index}");
        assert_eq!(links.len(), page.files.len(), "each is named once");
    }

    #[test]
    fn the_page_asks_nobody_else_and_runs_nothing_of_its_own_markup() {
        for text in page().files.iter().chain([index()]).map(|file| String::from_utf8(file.text().to_vec()).unwrap()) {
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
        let index = String::from_utf8(index().text().to_vec()).unwrap();
        assert!(!index.contains("style=") && !index.contains(" on") && !index.contains("<style"), "{index}");
        assert_eq!(index.matches("<script").count(), 1);
        assert!(index.contains("\"></script>"), "no script within the page: {index}");
    }

    #[test]
    fn all_of_it_together_is_small() {
        let files = || page().files.iter().chain([index()]);
        let packed: usize = files().map(|file| file.packed().len()).sum();
        let whole: usize = files().map(|file| file.text().len()).sum();
        println!("the page: {whole} bytes, {packed} packed");
        assert!(packed <= 60 << 10 && whole <= 200 << 10, "{whole} bytes, {packed} packed");
    }
}
