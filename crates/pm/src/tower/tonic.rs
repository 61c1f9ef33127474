//! Lets tonic serve guarded connections: feature `tonic`.

use tonic::transport::server::Connected;

use super::connection::{Connection, ConnectionGuard};

/// The extensions of a request get what tonic knows of the stream as well, once the request passes the layer.
impl<S: Connected> Connected for Connection<S> {
    type ConnectInfo = ConnectionGuard;

    fn connect_info(&self) -> ConnectionGuard {
        let info = self.get_ref().connect_info();
        self.guard().with_extension(move |extensions| {
            extensions.insert(info.clone());
        })
    }
}
