//! Unix sockets: only the user of this process gets in, and who else was named.
//!
//! The socket is made under another name, closed to others by its mode, and then moved to its place, so that at no time
//! somebody else could connect to it. Who connects is also asked for by the kernel: the mode of a file does not count
//! everywhere.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::Incoming;
use crate::access::{Caller, Identity, Scope};
use crate::start_error::StartError;

/// The file of a socket, removed when this is dropped unless it is somebody else's by then.
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            // It may be gone, or the folder be read-only: a later start replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens on a path. A socket that is there already is replaced if it is ours and nobody listens on it.
pub(crate) fn open(path: &Path) -> Result<(UnixListener, SocketFile), StartError> {
    let failed = |source| StartError::Unix { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket")));
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => {
                return Err(failed(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(failed(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let name = path.file_name().ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidInput, "it has no name")))?;
    let mut hidden = std::ffi::OsString::from(format!(".{}.", std::process::id()));
    hidden.push(name);
    let hidden = path.with_file_name(hidden);
    // Left by a process that had our number and died in between.
    let _ = std::fs::remove_file(&hidden);
    let listener = UnixListener::bind(&hidden).map_err(failed)?;
    let placed = std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&hidden, path))
        .and_then(|()| std::fs::symlink_metadata(path));
    match placed {
        Ok(file) => Ok((listener, SocketFile { path: path.to_owned(), inode: file.ino() })),
        Err(error) => {
            let _ = std::fs::remove_file(&hidden);
            Err(failed(error))
        }
    }
}

pub(crate) struct Door {
    listener: tokio::net::UnixListener,
    /// Who may come in.
    uids: Arc<[u32]>,
    _file: SocketFile,
}

impl Door {
    /// Lets in who runs this process, and those `others`.
    pub(crate) fn new(listener: UnixListener, file: SocketFile, others: &[u32]) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // Whom the kernel says we are: the owner of the file may be another one by now, or on a foreign file system.
        let own = tokio::net::UnixStream::pair()?.0.peer_cred()?.uid();
        let uids = others.iter().copied().chain([own]).collect();
        Ok(Self { listener: tokio::net::UnixListener::from_std(listener)?, uids, _file: file })
    }

    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        let (stream, _) = ready!(self.listener.poll_accept(context))?;
        // Refused is what is told to one client, and says nothing about the next.
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let uid = stream.peer_cred().map_err(|_| refused())?.uid();
        if !self.uids.contains(&uid) {
            return Poll::Ready(Err(refused()));
        }
        Poll::Ready(Ok(Incoming::Unix(stream, Caller { identity: Identity::Uid(uid), scope: Scope::Cancel })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("pm-unix-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_socket_is_closed_to_others_and_goes_with_its_server() {
        let path = folder("mode").join("pm.sock");
        let (_listener, file) = open(&path).unwrap();
        let mode = std::fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing hidden is left");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_in_use_is_left_alone_and_a_dead_one_is_replaced() {
        let path = folder("stale").join("pm.sock");
        let (listener, file) = open(&path).unwrap();
        let error = open(&path).err().unwrap();
        assert!(error.to_string().contains("another program listens there"), "{error}");
        drop(listener);
        let (_second, second) = open(&path).unwrap();
        drop(file);
        assert!(path.exists(), "the first does not remove what the second made");
        drop(second);
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_removed() {
        let path = folder("file").join("pm.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(open(&path).err().unwrap().to_string().contains("no socket"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        assert!(open(Path::new("/no/such/folder/pm.sock")).is_err());
    }
}
