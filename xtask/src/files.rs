//! The sources and documents of the workspace.

use std::io;
use std::path::{Path, PathBuf};

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
