//! Walking and searching a tree of files, as a task that says where it is and hears a cancel within milliseconds.
//!
//! Everything here blocks, so it belongs on a thread that may. Links are not followed, `.git` and `target` are skipped,
//! and what can't be read is passed over: a tree that changes meanwhile is no error.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use pm::{Cancelled, Task};

const MAX_TEXT_FILE: u64 = 1 << 20; // larger ones are hardly text that people wrote
const MAX_FILES: usize = 50_000; // of one walk: a demo started in `/` must not run for ever
const MAX_HITS: usize = 100;
const MAX_SHOWN: usize = 160; // characters of a line that was hit
const SLICE: Duration = Duration::from_millis(10); // the longest nap between two checkpoints

/// The folder that the service works on, and nothing outside it.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

/// Why a path of a request is not served.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PathError {
    /// It leads out of the tree.
    Outside,
    /// It is no folder that can be read.
    NoFolder,
}

impl Tree {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        fs::read_dir(&root)?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that a request names, relative to the root. Absolute paths, `..` and links may not lead out.
    pub(super) fn folder(&self, path: &str) -> Result<PathBuf, PathError> {
        // What is outside is told apart before the disk is asked, so that nobody learns what exists there.
        if Path::new(path)
            .components()
            .any(|c| !matches!(c, std::path::Component::Normal(_) | std::path::Component::CurDir))
        {
            return Err(PathError::Outside);
        }
        let folder = self.root.join(path).canonicalize().map_err(|_| PathError::NoFolder)?;
        match folder {
            folder if !folder.starts_with(&self.root) => Err(PathError::Outside),
            folder if !folder.is_dir() => Err(PathError::NoFolder),
            folder => Ok(folder),
        }
    }

    /// The path as people know it: from the root on.
    pub(super) fn shown<'p>(&self, path: &'p Path) -> std::path::Display<'p> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }

    /// The lines that contain `text`, as `path:number: line`.
    pub(super) fn search(&self, task: &Task, text: &str) -> Result<String, Cancelled> {
        let (mut found, mut hits, mut read) = (String::new(), 0, 0_u64);
        task.status("listing files")?;
        let files = list(task, &self.root)?;
        for (file, done) in files.iter().zip(0..) {
            pm::status!(task, "searching {}", self.shown(file))?;
            task.progress(done, files.len() as u64, "files");
            let Some(content) = read_text(file) else { continue };
            read += content.len() as u64;
            for (line, number) in content.lines().zip(1..).filter(|(line, _)| line.contains(text)) {
                let line: String = line.trim().chars().take(MAX_SHOWN).collect();
                // Writing to a string can't fail.
                let _ = writeln!(found, "{}:{number}: {line}", self.shown(file));
                hits += 1;
                if hits == MAX_HITS {
                    found.push_str("more lines left out\n");
                    return Ok(found);
                }
            }
        }
        let _ = writeln!(found, "{hits} lines in {} files, {read} bytes read", files.len());
        Ok(found)
    }
}

/// All files below a folder, in the order of their names.
pub(super) fn list(task: &Task, folder: &Path) -> Result<Vec<PathBuf>, Cancelled> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let (below, here) = entries(task, &folder)?;
        files.extend(here);
        if files.len() >= MAX_FILES {
            files.truncate(MAX_FILES);
            break;
        }
        // The last is taken first.
        folders.extend(below.into_iter().rev());
    }
    Ok(files)
}

/// The folders and the files in a folder, each in the order of their names.
pub(super) fn entries(task: &Task, folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Cancelled> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        task.checkpoint()?;
        match entry.file_type() {
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            Ok(kind) if kind.is_dir() && entry.file_name() != ".git" && entry.file_name() != "target" => {
                folders.push(entry.path());
            }
            _ => {}
        }
    }
    folders.sort_unstable();
    files.sort_unstable();
    Ok((folders, files))
}

/// The content of a file, if it is text and not too large.
pub(super) fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_TEXT_FILE + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > MAX_TEXT_FILE || bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// Sleeps, unless the task is cancelled.
pub(super) fn nap(task: &Task, length: Duration) -> Result<(), Cancelled> {
    let until = Instant::now() + length;
    loop {
        task.checkpoint()?;
        match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return Ok(()),
            left => thread::sleep(left.min(SLICE)),
        }
    }
}

/// Holds work to so many bytes per second: a demo leaves the disk to others, and a small tree is still worth watching.
pub(super) struct Pace {
    began: Instant,
    bytes: u64,
    per_second: u64,
}

impl Pace {
    pub(super) fn new(per_second: u64) -> Self {
        Self { began: Instant::now(), bytes: 0, per_second }
    }

    /// Waits until that many bytes more are due.
    pub(super) fn wait(&mut self, task: &Task, bytes: usize) -> Result<(), Cancelled> {
        self.bytes += bytes as u64;
        let due = Duration::from_secs_f64(self.bytes as f64 / self.per_second as f64);
        nap(task, due.saturating_sub(self.began.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap()
    }

    #[test]
    fn paths_stay_below_the_root() {
        let tree = tree();
        assert_eq!(tree.folder("demo"), Ok(tree.root().join("demo")));
        assert_eq!(tree.folder("."), Ok(tree.root().to_owned()));
        for outside in ["..", "demo/../..", "/", "/etc", "../src"] {
            assert_eq!(tree.folder(outside), Err(PathError::Outside), "{outside}");
        }
        for missing in ["nowhere", "main.rs", "a\0b"] {
            assert_eq!(tree.folder(missing), Err(PathError::NoFolder), "{missing}");
        }
    }

    #[test]
    fn a_search_finds_the_line_that_is_there() {
        let list = pm::ProcessList::new();
        let found = tree().search(&list.start("search"), "fn a_search_finds_the_line_that_is_there").unwrap();
        assert!(found.contains("files.rs:"), "{found}");
    }

    #[test]
    fn a_cancelled_search_stops_and_says_why() {
        let list = pm::ProcessList::new();
        let task = list.start("search");
        list.cancel("search", "enough").unwrap();
        assert_eq!(tree().search(&task, "fn").unwrap_err().reason(), "enough");
    }
}
