//! The file that records are appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
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
        Ok(Self { path: path.to_owned(), file: open(path)?, torn: false })
    }

    /// Reopens the file if the path leads to another one, or to none.
    fn follow(&mut self) -> io::Result<()> {
        if !is_at(&self.file, &self.path) {
            self.file = open(&self.path)?;
            self.torn = false;
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

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
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
