//! Checks that the modules of a crate depend on each other in one direction.
//!
//! Each crate in [`table::CRATES`] lists its top-level modules, lowest first. A module may use those before it in the
//! list and nothing else of its crate: neither a module after it, nor an item of the root, which hides where it comes
//! from. The check follows `mod` declarations from the root and reads `use` trees and inline paths that begin with
//! `crate`, `super` or `self`, in code that is compiled outside tests.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::source::{Kind, Token, code_outside_tests};
use crate::step::{Outcome, settle};

/// The modules of a crate, in the order in which they may depend on each other.
pub(crate) struct Layers {
    /// The file of the crate's root.
    pub(crate) root: &'static str,
    /// The top-level modules, each after all those that it uses.
    pub(crate) modules: &'static [&'static str],
    /// Pairs of modules whose first still uses the second although it comes later, or [`ROOT`].
    pub(crate) known: &'static [(&'static str, &'static str)],
}

/// The root, as the second of a pair.
const ROOT: &str = "crate";

/// A module: the names on the way from the root, whose own list is empty.
type Module = Vec<String>;

/// A path in the code, resolved as far as modules go.
struct Import {
    file: PathBuf,
    line: usize,
    from: Module,
    to: Module,
    /// The path as it is written.
    path: String,
    /// `true` for the path of a macro, which belongs to the crate and to no module.
    is_macro: bool,
}

/// The step `layers`.
pub(crate) fn check() -> Outcome {
    let errors = errors();
    settle(&errors)
}

/// Prints the counts of each crate and returns the errors.
pub(crate) fn errors() -> Vec<String> {
    println!(
        "\n{:<12}{:>8}{:>10}{:>9}{:>8}  between the modules of a crate",
        "crate", "modules", "imports", "upward", "known"
    );
    let mut errors = Vec::new();
    let mut cycles = Vec::new();
    for layers in table::CRATES {
        let report = examine(layers, &|path| fs::read_to_string(path).ok());
        let name =
            Path::new(layers.root).ancestors().nth(2).and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let (imports, upward, known) = (report.imports, report.upward, report.known);
        println!("{name:<12}{:>8}{imports:>10}{upward:>9}{known:>8}", layers.modules.len());
        cycles.extend(report.cycles.iter().map(|files| format!("{name}: {}", files.join(", "))));
        errors.extend(report.errors);
    }
    println!("cycles of files within one module: {}", cycles.len());
    for cycle in cycles {
        println!("  {cycle}");
    }
    errors
}

#[derive(Default)]
struct Report {
    /// Pairs of files in different modules, one of which uses the other.
    imports: usize,
    /// Those of them that go up, without the known ones.
    upward: usize,
    known: usize,
    /// The modules of each cycle within a top-level module.
    cycles: Vec<Vec<String>>,
    errors: Vec<String>,
}

/// Examines a crate whose files `read` returns.
fn examine(layers: &Layers, read: &dyn Fn(&Path) -> Option<String>) -> Report {
    let mut report = Report::default();
    let root = Path::new(layers.root);
    let Some(sources) = sources(root, read) else {
        report.errors.push(format!("{}: could not be read", root.display()));
        return report;
    };
    let top = |module: &Module| module.first().cloned().unwrap_or_default();
    let found: BTreeSet<String> = sources.keys().filter(|module| module.len() == 1).map(top).collect();
    for module in &found {
        if !layers.modules.contains(&module.as_str()) {
            let root = layers.root;
            report.errors.push(format!("{root}: module `{module}` is missing in xtask/src/layers/table.rs"));
        }
    }
    for module in layers.modules.iter().filter(|module| !found.contains(**module)) {
        report.errors.push(format!("xtask/src/layers/table.rs: {} has no module `{module}`", layers.root));
    }
    let place = |name: &str| layers.modules.iter().position(|module| *module == name);
    let mut pairs = BTreeSet::new();
    let mut within: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for import in imports(&sources) {
        let (from, to) = (top(&import.from), top(&import.to));
        if from.is_empty() || import.is_macro {
            continue;
        }
        if from == to {
            within.entry(import.from.clone()).or_default().insert(import.to.clone());
            continue;
        }
        let is_new = pairs.insert((import.from.clone(), import.to.clone()));
        let to = if to.is_empty() { ROOT.to_owned() } else { to };
        let is_upward = match (place(&from), place(&to)) {
            (Some(from), Some(to)) => from < to,
            _ => to == ROOT,
        };
        if !is_upward {
            continue;
        }
        if layers.known.contains(&(from.as_str(), to.as_str())) {
            report.known += usize::from(is_new);
            known.insert((from, to));
            continue;
        }
        report.upward += usize::from(is_new);
        let (at, path) = (format!("{}:{}", import.file.display(), import.line), import.path);
        report.errors.push(if to == ROOT {
            format!("{at}: `{path}` is an item of the crate's root; name its module instead")
        } else {
            format!("{at}: module `{from}` uses `{to}`, which is above it ({path})")
        });
    }
    report.imports = pairs.len();
    for &(from, to) in layers.known {
        if !known.contains(&(from.to_owned(), to.to_owned())) {
            report.errors.push(format!("xtask/src/layers/table.rs: `{from}` no longer uses `{to}`; remove the pair"));
        }
    }
    report.cycles = cycles(&within);
    report
}

/// The module of each file, with its path and text.
type Sources = BTreeMap<Module, (PathBuf, String)>;

/// Returns the sources of a crate, without modules that are compiled for tests only.
fn sources(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Option<Sources> {
    let mut sources = Sources::new();
    let mut open = vec![(Module::new(), root.to_owned(), read(root)?)];
    while let Some((module, file, text)) = open.pop() {
        let is_folder = module.is_empty() || file.ends_with("mod.rs");
        let folder = if is_folder { file.with_file_name("") } else { file.with_extension("") };
        walk(&module, &code_outside_tests(&text), &mut |inner, tokens| {
            if let [keyword, name, end, ..] = tokens
                && keyword.is("mod")
                && name.kind == Kind::Word
                && end.is(";")
            {
                let child: Module = inner.iter().cloned().chain([name.text.to_owned()]).collect();
                let folder = folder.join(child[module.len()..child.len() - 1].iter().collect::<PathBuf>());
                let files = [folder.join(format!("{}.rs", name.text)), folder.join(name.text).join("mod.rs")];
                open.extend(files.into_iter().find_map(|file| Some((child.clone(), file.clone(), read(&file)?))));
            }
        });
        sources.insert(module, (file, text));
    }
    Some(sources)
}

/// Calls `visit` at each token with the module it is in, and with the tokens from there on.
fn walk(module: &Module, tokens: &[Token<'_>], visit: &mut dyn FnMut(&Module, &[Token<'_>])) {
    let mut module = module.clone();
    // The depth of braces at which each inline module ends.
    let (mut depth, mut ends) = (0, Vec::new());
    for at in 0..tokens.len() {
        visit(&module, &tokens[at..]);
        if tokens[at].is("{") {
            if at >= 2 && tokens[at - 2].is("mod") {
                module.push(tokens[at - 1].text.to_owned());
                ends.push(depth);
            }
            depth += 1;
        } else if tokens[at].is("}") {
            depth -= 1;
            if ends.last() == Some(&depth) {
                ends.pop();
                module.pop();
            }
        }
    }
}

/// Returns all paths of a crate's code that lead into the crate.
fn imports(sources: &Sources) -> Vec<Import> {
    let mut imports = Vec::new();
    for (module, (file, text)) in sources {
        let tokens = code_outside_tests(text);
        walk(module, &tokens, &mut |inner, rest| {
            let before = &tokens[..tokens.len() - rest.len()];
            if !begins_path(before, rest) {
                return;
            }
            let mut paths = Vec::new();
            tree(rest, &[], &mut paths);
            for Written { names, line, is_macro } in paths {
                let Some(to) = resolve(inner, &names, sources) else { continue };
                let (file, from, path) = (file.clone(), module.clone(), names.join("::"));
                imports.push(Import { file, line, from, to, path, is_macro });
            }
        });
    }
    imports
}

/// Returns `true` if a path begins with the first token of `rest`.
fn begins_path(before: &[Token<'_>], rest: &[Token<'_>]) -> bool {
    let is_path = |tokens: &[Token<'_>]| {
        tokens.get(1).is_some_and(|c| c.is(":")) && tokens[2..].first().is_some_and(|c| c.is(":"))
    };
    let continues = match before {
        [.., a, b] if a.is(":") && b.is(":") => true,
        // A macro's `$crate`; a visibility such as `pub(in crate::list)`.
        [.., dollar] if dollar.is("$") => true,
        [.., pub_, paren, in_] if in_.is("in") && paren.is("(") && pub_.is("pub") => true,
        [.., dot] if dot.is(".") => true,
        _ => false,
    };
    rest[0].kind == Kind::Word && is_path(rest) && !continues
}

/// A path as it is written.
struct Written {
    names: Vec<String>,
    line: usize,
    is_macro: bool,
}

/// Collects the paths of the `use` tree or the inline path that begins here, and returns its length in tokens.
fn tree(tokens: &[Token<'_>], prefix: &[String], paths: &mut Vec<Written>) -> usize {
    let mut names = prefix.to_vec();
    let mut at = 0;
    let line = tokens.first().map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        match token.kind {
            Kind::Word if token.text != "as" => names.push(token.text.to_owned()),
            Kind::Mark if token.text == "{" => {
                at += 1;
                while let Some(token) = tokens.get(at).filter(|token| !token.is("}")) {
                    at += if token.is(",") { 1 } else { tree(&tokens[at..], &names, paths).max(1) };
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        let is_separator = |at: usize| tokens.get(at).is_some_and(|token| token.is(":"));
        if !(is_separator(at) && is_separator(at + 1)) {
            break;
        }
        at += 2;
    }
    let is_macro = tokens.get(at).is_some_and(|token| token.is("!"));
    // `*`, and the new name after `as`.
    while tokens.get(at).is_some_and(|token| token.is("*") || token.is("as") || at > 0 && tokens[at - 1].is("as")) {
        at += 1;
    }
    if names.last().is_some_and(|name| name == "self") && names.len() > 1 {
        names.pop();
    }
    paths.push(Written { names, line, is_macro });
    at
}

/// Returns the module that a path leads into, if it leads into the crate.
fn resolve(inner: &Module, names: &[String], sources: &Sources) -> Option<Module> {
    let mut names = names.iter().peekable();
    let mut path = match names.peek()?.as_str() {
        "crate" => {
            names.next();
            Module::new()
        }
        "self" => {
            names.next();
            inner.clone()
        }
        "super" => {
            let mut path = inner.clone();
            while names.next_if(|name| *name == "super").is_some() {
                path.pop();
            }
            path
        }
        // A module declared here, or something else that is in scope.
        name => {
            let child: Module = inner.iter().cloned().chain([(*name).to_owned()]).collect();
            if !sources.contains_key(&child) {
                return None;
            }
            inner.clone()
        }
    };
    for name in names {
        path.push(name.clone());
        if !sources.contains_key(&path) {
            path.pop();
            break;
        }
    }
    // An inline module is part of its file.
    while !sources.contains_key(&path) {
        path.pop();
    }
    Some(path)
}

/// Returns the strongly connected components of more than one module, by Tarjan's algorithm.
fn cycles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<String>> {
    struct Search<'e> {
        edges: &'e BTreeMap<Module, BTreeSet<Module>>,
        /// When a module was reached, and the earliest on the stack that it leads to.
        numbers: BTreeMap<&'e Module, (usize, usize)>,
        stack: Vec<&'e Module>,
        found: Vec<Vec<String>>,
    }
    impl<'e> Search<'e> {
        fn visit(&mut self, module: &'e Module) -> usize {
            let number = self.numbers.len();
            self.numbers.insert(module, (number, number));
            self.stack.push(module);
            let mut low = number;
            for to in self.edges.get(module).into_iter().flatten() {
                let reached = match self.numbers.get(to) {
                    None => self.visit(to),
                    Some(&(number, _)) if self.stack.contains(&to) => number,
                    Some(_) => continue,
                };
                low = low.min(reached);
            }
            if low == number {
                let at = self.stack.iter().position(|other| *other == module).unwrap_or(0);
                let mut component = self.stack.split_off(at);
                if component.len() > 1 {
                    component.sort();
                    self.found.push(component.iter().map(|module| module.join("::")).collect());
                }
            }
            low
        }
    }
    let mut search = Search { edges, numbers: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for module in edges.keys() {
        if !search.numbers.contains_key(module) {
            search.visit(module);
        }
    }
    search.found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: Layers = Layers { root: "crates/a/src/lib.rs", modules: &["base", "slot", "list"], known: &[] };

    /// Examines a crate given as pairs of a path below `src` and a text.
    fn examine_text(layers: &Layers, files: &[(&str, &str)]) -> Report {
        let read = |path: &Path| {
            let path = path.strip_prefix("crates/a/src").ok()?;
            files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned())
        };
        examine(layers, &read)
    }

    /// Examines a crate with three modules, of which `slot` has this text.
    fn errors_of_slot(text: &str) -> Vec<String> {
        let files = [
            ("lib.rs", "mod base; mod list; mod slot; pub use list::Task;"),
            ("base/mod.rs", "pub(crate) mod time; pub(crate) struct Base;"),
            ("base/time.rs", ""),
            ("list.rs", "use crate::{base::{self, time}, slot::Slot};"),
            ("slot.rs", text),
        ];
        examine_text(&LAYERS, &files).errors
    }

    #[test]
    fn imports_of_lower_modules_pass() {
        for text in [
            "use crate::base::Base;",
            "use crate::{base::{self, time::{A as B, *}, Base}};",
            "use super::base::time; fn f() { crate::base::time::g() }",
            "mod inner { use super::super::base::Base; use super::X; use self::Y; }",
            "use std::list::X; use list::Y; fn f() { other::crate_list::g() }",
            "pub(in crate::list) struct A; pub(crate) struct B;",
        ] {
            assert_eq!(errors_of_slot(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn an_import_of_a_higher_module_is_named_with_its_file_and_line() {
        for text in [
            "\n\nuse crate::list::Task;",
            "\n\nuse super::list;",
            "\n\nuse crate::{base,\nlist::{\nTask}};",
            "\n\nfn f(task: &crate::list::Task) {}",
            "\n\nmod inner { fn f() { super::super::list::f() } }",
            "\n\nfn f() { vec![crate::list::f()] }",
        ] {
            let errors = errors_of_slot(text);
            let [error] = &errors[..] else { panic!("{text}: {errors:?}") };
            assert!(error.starts_with("crates/a/src/slot.rs:"), "{error}");
            assert!(
                error.contains(": module `slot` uses `list`, which is above it (") && error.contains("list"),
                "{error}"
            );
        }
        assert!(errors_of_slot("\n\nuse crate::list::Task;")[0].starts_with("crates/a/src/slot.rs:3:"));
        assert!(errors_of_slot("\n\nuse crate::{base,\nlist::Task};")[0].starts_with("crates/a/src/slot.rs:4:"));
    }

    #[test]
    fn an_item_that_the_root_reexports_is_refused() {
        for text in [
            "use crate::Task;",
            "use super::Task;",
            "use crate::{base::Base, Task};",
            "fn f(t: crate::Task) {}",
            "use crate::*;",
        ] {
            let errors = errors_of_slot(text);
            assert!(errors.len() == 1 && errors[0].contains("is an item of the crate's root"), "{text}: {errors:?}");
        }
        assert_eq!(errors_of_slot("fn f() { crate::status!(1) }"), [""; 0]);
    }

    #[test]
    fn code_of_tests_comments_and_exported_macros_may_use_anything() {
        for text in [
            "#[cfg(test)] mod tests { use crate::list::Task; }",
            "#[cfg(test)] use crate::list::Task;",
            "// use crate::list::Task;\n/// [`crate::list::Task`]\nstruct A;",
            "const A: &str = \"crate::list::Task\";",
            "macro_rules! status { () => { $crate::list::f() } }",
        ] {
            assert_eq!(errors_of_slot(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn files_of_tests_and_of_inline_modules_are_found() {
        let files = [
            ("lib.rs", "mod base; mod list; mod slot;"),
            ("base.rs", "#[cfg(test)] mod tests; mod inner { mod deep; }"),
            ("base/tests.rs", "use crate::list::Task;"),
            ("base/inner/deep.rs", "use crate::slot::Slot;"),
            ("list.rs", ""),
            ("slot.rs", ""),
        ];
        let errors = examine_text(&LAYERS, &files).errors;
        assert_eq!(
            errors,
            ["crates/a/src/base/inner/deep.rs:1: module `base` uses `slot`, which is above it (crate::slot::Slot)"]
        );
    }

    #[test]
    fn the_table_and_the_source_name_the_same_modules() {
        let errors = examine_text(
            &LAYERS,
            &[("lib.rs", "mod base; mod extra; mod slot;"), ("base.rs", ""), ("extra.rs", ""), ("slot.rs", "")],
        )
        .errors;
        assert_eq!(
            errors,
            [
                "crates/a/src/lib.rs: module `extra` is missing in xtask/src/layers/table.rs",
                "xtask/src/layers/table.rs: crates/a/src/lib.rs has no module `list`",
            ]
        );
    }

    #[test]
    fn known_imports_pass_until_they_are_gone() {
        let layers = Layers { known: &[("slot", "list"), ("base", "slot")], ..LAYERS };
        let files = [
            ("lib.rs", "mod base; mod list; mod slot;"),
            ("base.rs", ""),
            ("list.rs", ""),
            ("slot.rs", "use crate::list::Task;"),
        ];
        let report = examine_text(&layers, &files);
        assert_eq!((report.imports, report.upward, report.known), (1, 0, 1));
        assert_eq!(report.errors, ["xtask/src/layers/table.rs: `base` no longer uses `slot`; remove the pair"]);
    }

    #[test]
    fn cycles_within_a_module_are_named_and_pass() {
        let files = [
            ("lib.rs", "mod base; mod list; mod slot;"),
            ("base.rs", ""),
            ("list.rs", ""),
            ("slot/mod.rs", "mod gate; mod log; mod end; pub(crate) use end::End;"),
            ("slot/gate.rs", "use super::log::Log;"),
            ("slot/log.rs", "use crate::slot::gate::Gate;"),
            ("slot/end.rs", "use super::log::Log;"),
        ];
        let report = examine_text(&LAYERS, &files);
        assert_eq!(report.errors, [""; 0]);
        assert_eq!(report.cycles.iter().map(|cycle| cycle.join(" ")).collect::<Vec<_>>(), ["slot::gate slot::log"]);
    }
}
