//! Addresses whose ports no other program is given until this process ends.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// An address that refuses connections: its port is taken, and there is no listener.
pub fn closed_address() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    std::mem::forget(socket);
    address
}

/// An address for servers that start and stop.
pub fn kept_address() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    // Other systems than Linux would refuse the port to the server, too.
    if cfg!(target_os = "linux") {
        std::mem::forget(socket);
    }
    address
}
