//! The sources and documents of the workspace.

use std::io;
use std::path::{Path, PathBuf};

use crate::step::{Done, Outcome, list};

/// Folders that hold output of tools, or data that tests compare with.
const SKIPPED: [&str; 6] = ["target", "golden", "screens", "node_modules", "__pycache__", "pictures"];

/// Returns the files with one of these extensions, relative to the root of the workspace.
pub(crate) fn with_extensions(extensions: &[&str]) -> Result<Vec<PathBuf>, String> {
    walk(extensions).map_err(|error| format!("could not read the sources: {error}"))
}

fn walk(extensions: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        for entry in here.read_dir()? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
            let name = name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                if !name.starts_with('.') && !name.starts_with("target-") && !SKIPPED.contains(&&*name) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted)) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the crate or the top-level folder that a file belongs to.
pub(crate) fn part(path: &Path) -> PathBuf {
    let depth = if path.starts_with("crates") || path.starts_with("tests") { 2 } else { 1 };
    path.iter().take(depth).collect()
}

/// An error, and the file that it is in.
pub(crate) type FileError = (PathBuf, String);

/// Fails on errors outside the parts that are `pending`, whose errors are only counted, and on a pending part without
/// any.
pub(crate) fn settle(errors: Vec<FileError>, pending: &[&str], home: &str) -> Outcome {
    let (later, now): (Vec<_>, Vec<_>) =
        errors.into_iter().partition(|(path, _)| pending.iter().any(|part| path.starts_with(part)));
    let mut now: Vec<String> = now.into_iter().map(|(_, error)| error).collect();
    let mut left_out = Vec::new();
    for part in pending {
        match later.iter().filter(|(path, _)| path.starts_with(part)).count() {
            0 => now.push(format!("{home}: {part} has no errors any more; remove it")),
            count => left_out.push(format!("{part} ({count} errors)")),
        }
    }
    if !now.is_empty() {
        return Err(list(&now));
    }
    Ok(if left_out.is_empty() { Done::Whole } else { Done::Partly(left_out) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors() -> Vec<FileError> {
        vec![("a/x.rs".into(), "one".into()), ("b/y.rs".into(), "two".into())]
    }

    #[test]
    fn errors_of_pending_parts_are_left_out_until_there_are_none() {
        assert!(matches!(settle(errors(), &["a", "b"], "home.rs"), Ok(Done::Partly(parts)) if parts.len() == 2));
        assert!(settle(errors(), &["a"], "home.rs").is_err_and(|why| why.contains("two") && !why.contains("one")));
        assert!(
            settle(errors(), &["a", "b", "c"], "home.rs").is_err_and(|why| why.contains("home.rs: c has no errors"))
        );
        assert!(matches!(settle(Vec::new(), &[], "home.rs"), Ok(Done::Whole)));
    }
}
