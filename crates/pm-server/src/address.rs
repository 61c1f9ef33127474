//! Classes of IP addresses.

use std::net::{IpAddr, Ipv6Addr};

/// Returns `true` for addresses of this machine that other machines can't reach.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns the part of an address that limits count by: an IPv4 address, or the 64 bits of an IPv6 network, as the
/// holder of one address of such a network usually has all of them.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}
