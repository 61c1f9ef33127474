//! The token file itself: its metadata, its content, its creation.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::error::{Mode, Problem, TokenFileError};
use super::parse::parse;
use super::token::{LARGEST, Token};

/// A file that was written this recently may be written again without a change of its times.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The metadata of a file, compared to find out whether it changed.
#[derive(Clone, PartialEq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    /// Device, inode and mode.
    file: (u64, u64, u32),
    /// Old enough for a later change to be seen in the rest of this.
    pub(super) settled: bool,
}

/// Returns the metadata as it is now.
pub(super) fn look(path: &Path) -> io::Result<Stamp> {
    fs::metadata(path).map(|metadata| stamp(&metadata))
}

fn stamp(metadata: &Metadata) -> Stamp {
    let modified = metadata.modified().ok();
    let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
    Stamp {
        modified,
        len: metadata.len(),
        file: file_of(metadata),
        settled: age.is_some_and(|age| age >= SETTLED_AFTER),
    }
}

#[cfg(unix)]
fn file_of(metadata: &Metadata) -> (u64, u64, u32) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino(), metadata.mode())
}

#[cfg(not(unix))]
fn file_of(_: &Metadata) -> (u64, u64, u32) {
    (0, 0, 0)
}

/// Reads and parses the file. `is_shared`: other users may read it, too.
pub(super) fn read(path: &Path, is_shared: bool) -> Result<(Arc<[Token]>, Stamp), Problem> {
    // Before it is opened: opening a pipe would wait for a writer.
    check_file(&fs::metadata(path).map_err(Problem::Unreadable)?, is_shared)?;
    let mut file = File::open(path).map_err(Problem::Unreadable)?;
    let metadata = file.metadata().map_err(Problem::Unreadable)?;
    check_file(&metadata, is_shared)?;
    let mut text = Vec::new();
    (&mut file).take(LARGEST + 1).read_to_end(&mut text).map_err(Problem::Unreadable)?;
    if text.len() as u64 > LARGEST {
        return Err(Problem::TooLarge);
    }
    // The metadata from before it was read: a write since then is seen the next time.
    Ok((parse(&text)?, stamp(&metadata)))
}

/// Checks that it is a file that other users can't open. A group may read one that its owner can't write, either:
/// secrets of Kubernetes and other containers have the mode 0440, for the group of a process that is not root. A file
/// that was made by hand and is open to a group, by accident or not, has 0640.
fn check_file(metadata: &Metadata, is_shared: bool) -> Result<(), Problem> {
    if !metadata.is_file() {
        return Err(Problem::NotAFile);
    }
    let mode = file_of(metadata).2 & 0o7777;
    let may = match (is_shared, mode & 0o222) {
        (true, _) => 0o044,
        (false, 0) => 0o040,
        (false, _) => 0,
    };
    if mode & 0o077 & !may == 0 { Ok(()) } else { Err(Problem::OpenToOthers { mode: Mode(mode) }) }
}

/// Creates the file for its owner only, with one random token that may cancel. Returns `false` if the file exists
/// already; it is left as it is.
///
/// # Errors
///
/// [`TokenFileError`] names the file, which does not exist then.
pub(crate) fn create(path: &Path) -> Result<bool, TokenFileError> {
    let error = |problem| TokenFileError { path: path.to_owned(), problem };
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|source| error(Problem::NoRandom(source.into())))?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(source) => return Err(error(Problem::NotCreated(source))),
    };
    let text = format!("# PERMISSION (read or cancel)  TOKEN  NAME (for the audit log)\ncancel {token} first\n");
    // In one write, so that no reader sees half of it.
    file.write_all(text.as_bytes()).map_err(|source| {
        let _ = fs::remove_file(path);
        error(Problem::NotCreated(source))
    })?;
    Ok(true)
}
