//! Unix sockets: for the user of this process, and other users that are allowed.
//!
//! The socket is created under another name, closed to other users by its mode, and then moved to its place, so that
//! other users can connect to it at no time. The kernel is also asked for the user of each peer: not every system
//! checks the mode of a socket.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::access::{Caller, Identity, Permission};
use crate::start_error::StartError;

/// The file of a socket, removed when this is dropped unless another file has taken its place.
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            // If the folder is read-only, the file stays, and a later start replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens on a path. A socket that no process listens on is replaced.
pub(crate) fn open(path: &Path) -> Result<(UnixListener, SocketFile), StartError> {
    let failed = |source| StartError::Unix { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "the file at this path is not a socket")));
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => {
                return Err(failed(io::Error::new(io::ErrorKind::AddrInUse, "another program listens on this path")));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(failed(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let name = path
        .file_name()
        .ok_or_else(|| failed(io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name")))?;
    let mut hidden = std::ffi::OsString::from(format!(".{}.", std::process::id()));
    hidden.push(name);
    let hidden = path.with_file_name(hidden);
    // Left by a process with the same id that died in between.
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

pub(crate) struct Listener {
    listener: tokio::net::UnixListener,
    /// The users with access.
    uids: Arc<[u32]>,
    _file: SocketFile,
}

impl Listener {
    /// Gives access to the user of this process, and to `others`.
    pub(crate) fn new(listener: UnixListener, file: SocketFile, others: &[u32]) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // As the kernel sees this process: the owner of the file may differ, or be mapped by a network file system.
        let own = tokio::net::UnixStream::pair()?.0.peer_cred()?.uid();
        let uids = others.iter().copied().chain([own]).collect();
        Ok(Self { listener: tokio::net::UnixListener::from_std(listener)?, uids, _file: file })
    }

    /// Polls for the next connection, and returns it with its caller; with the user's id if that has no access.
    pub(super) fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(tokio::net::UnixStream, Result<Caller, u32>)>> {
        let (stream, _) = ready!(self.listener.poll_accept(context))?;
        // Concerns one client and says nothing about the next one.
        let uid = stream.peer_cred().map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?.uid();
        let caller = match self.uids.contains(&uid) {
            true => Ok(Caller { identity: Identity::Uid(uid), permission: Permission::Cancel }),
            false => Err(uid),
        };
        Poll::Ready(Ok((stream, caller)))
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
    fn a_socket_in_use_is_kept_and_a_stale_one_is_replaced() {
        let path = folder("stale").join("pm.sock");
        let (listener, file) = open(&path).unwrap();
        let error = open(&path).err().unwrap();
        assert!(error.to_string().contains("another program listens on this path"), "{error}");
        drop(listener);
        let (_second, second) = open(&path).unwrap();
        drop(file);
        assert!(path.exists(), "the first does not remove what the second made");
        drop(second);
    }

    #[test]
    fn a_file_that_is_not_a_socket_is_never_removed() {
        let path = folder("file").join("pm.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(open(&path).err().unwrap().to_string().contains("not a socket"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        assert!(open(Path::new("/no/such/folder/pm.sock")).is_err());
    }
}
