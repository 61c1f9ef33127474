//! The file that records are appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::writer::Sink;

/// A file that lines are appended to; it may be moved away or deleted.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// The last line is incomplete.
    torn: bool,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        Ok(Self { path: path.to_owned(), torn: is_torn(path), file })
    }

    /// Reopens the file if the path leads to another one, or to none.
    fn follow(&mut self) -> io::Result<()> {
        if !is_at(&self.file, &self.path) {
            self.file = open(&self.path)?;
            self.torn = is_torn(&self.path);
        }
        Ok(())
    }
}

impl Sink for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.follow()?;
        let (mut rest, mut any) = (line, false);
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    any = true;
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.torn |= any;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.file.sync_data() {
            // A pipe or a terminal has no disk.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }
}

/// Returns `true` if the last line of a file is incomplete, as after a crash or on a full disk.
fn is_torn(path: &Path) -> bool {
    // Of a file only: to read from a pipe or a terminal would wait.
    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
        return false;
    }
    let mut last = [b'\n'];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)
    });
    // A file that may not be read gets an empty line at worst.
    read.is_err() || last != [b'\n']
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(NONBLOCK);
    }
    let file = options.open(path)?;
    #[cfg(unix)]
    check(path, &file)?;
    Ok(file)
}

/// Opening a FIFO without a reader fails instead of waiting. Without effect on files.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NONBLOCK: i32 = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 0x80 } else { 0x800 };
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const NONBLOCK: i32 = 4;

/// Refuses a file that others could have written to, or that another one put in the place of ours. Pipes and terminals,
/// as `/dev/stderr` may be, are taken as they are.
#[cfg(unix)]
fn check(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(());
    }
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if path.symlink_metadata()?.file_type().is_symlink() {
        return refused("it is a symbolic link; name the file itself".to_owned());
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return refused(format!("others may write to it (mode {mode:04o}); chmod go-w makes it ours"));
    }
    // Where there is no such file, the owner is not checked.
    let own = std::fs::metadata("/proc/self").map(|process| process.uid());
    if own.is_ok_and(|own| ![own, 0].contains(&metadata.uid())) {
        return refused(format!("it belongs to the user {}", metadata.uid()));
    }
    Ok(())
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same =
        |ours: std::fs::Metadata, there: std::fs::Metadata| (ours.dev(), ours.ino()) == (there.dev(), there.ino());
    file.metadata().is_ok_and(|ours| std::fs::metadata(path).is_ok_and(|there| same(ours, there)))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}
