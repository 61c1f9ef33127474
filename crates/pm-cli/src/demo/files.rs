//! Walks and searches a directory tree, as a task that shows its position and observes a cancel within milliseconds.
//!
//! Everything here blocks, so it belongs on a blocking thread. Links are not followed, and `.git`, `target` and
//! unreadable files are skipped: the tree may change concurrently.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use pm::{Cancelled, Task};

const MAX_TEXT_FILE: u64 = 1 << 20; // larger files are hardly hand-written text
const MAX_FILES: usize = 50_000; // of one walk, in case the demo is started in `/`
const MAX_HITS: usize = 100;
const MAX_SHOWN: usize = 160; // characters of a matching line
const SLICE: Duration = Duration::from_millis(10); // the longest sleep between two checkpoints

/// The directory that the service works on.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

/// An error in the path of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PathError {
    /// It is outside the tree.
    Outside,
    /// It is not a readable directory.
    NotFound,
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

    /// Resolves the path of a request relative to the root. Absolute paths, `..` and links must not lead outside.
    pub(super) fn folder(&self, path: &str) -> Result<PathBuf, PathError> {
        // Checked before any file access, so that the response does not reveal what exists outside.
        if Path::new(path)
            .components()
            .any(|c| !matches!(c, std::path::Component::Normal(_) | std::path::Component::CurDir))
        {
            return Err(PathError::Outside);
        }
        let folder = self.root.join(path).canonicalize().map_err(|_| PathError::NotFound)?;
        match folder {
            folder if !folder.starts_with(&self.root) => Err(PathError::Outside),
            folder if !folder.is_dir() => Err(PathError::NotFound),
            folder => Ok(folder),
        }
    }

    /// The path relative to the root.
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
                // Writing to a string cannot fail.
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

/// All files below a directory, sorted by name.
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
        // Popped from the end.
        folders.extend(below.into_iter().rev());
    }
    Ok(files)
}

/// The directories and the files in a directory, each sorted by name.
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

/// Reads a file if it is text and not too large.
pub(super) fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_TEXT_FILE + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > MAX_TEXT_FILE || bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// Sleeps, unless the task is cancelled.
pub(super) fn sleep(task: &Task, duration: Duration) -> Result<(), Cancelled> {
    let until = Instant::now() + duration;
    loop {
        task.checkpoint()?;
        match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return Ok(()),
            left => thread::sleep(left.min(SLICE)),
        }
    }
}

/// Limits the rate of work, so that the demo does not occupy the disk, and a small tree still takes some time.
pub(super) struct Pace {
    began: Instant,
    bytes: u64,
    per_second: u64,
}

impl Pace {
    pub(super) fn new(per_second: u64) -> Self {
        Self { began: Instant::now(), bytes: 0, per_second }
    }

    /// Waits until `bytes` more are due.
    pub(super) fn wait(&mut self, task: &Task, bytes: usize) -> Result<(), Cancelled> {
        self.bytes += bytes as u64;
        let due = Duration::from_secs_f64(self.bytes as f64 / self.per_second as f64);
        sleep(task, due.saturating_sub(self.began.elapsed()))
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
            assert_eq!(tree.folder(missing), Err(PathError::NotFound), "{missing}");
        }
    }

    #[test]
    fn a_search_finds_a_line() {
        let list = pm::ProcessList::new();
        let found = tree().search(&list.start("search"), "fn a_search_finds_a_line").unwrap();
        assert!(found.contains("files.rs:"), "{found}");
    }

    #[test]
    fn a_cancelled_search_stops_with_the_reason() {
        let list = pm::ProcessList::new();
        let task = list.start("search");
        list.cancel("search", "enough").unwrap();
        assert_eq!(tree().search(&task, "fn").unwrap_err().reason(), "enough");
    }
}
