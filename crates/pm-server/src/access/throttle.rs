//! Recognises callers that guess tokens: after ten failures within ten seconds, further ones of the address get another
//! refusal, which closes the connection, until the first of them is ten seconds old.
//!
//! The table is bounded. When it is full, the address whose last failure is the oldest is removed. IPv6 addresses count
//! by network.
//!
//! Many honest callers may share an address, as all of this machine share `127.0.0.1`: nothing is refused here but
//! wrong tokens.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::address::network;
use crate::sync::lock;

const FAILURES: usize = 10;
const WITHIN: Duration = Duration::from_secs(10);
const ADDRESSES: usize = 1024;

/// The failures of each address.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// The newest failures of each address, oldest first; never empty.
    failures: Mutex<HashMap<IpAddr, VecDeque<Instant>>>,
}

impl Throttle {
    /// Counts a wrong token from an address. The error is the number of seconds, at least 1, until the address has few
    /// enough failures again; those in the meantime do not prolong that.
    pub(crate) fn failed(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let mut failures = self.lock();
        let address = network(address);
        if failures.len() >= ADDRESSES && !failures.contains_key(&address) {
            let oldest = failures.iter().min_by_key(|(_, times)| times.back().copied()).map(|(&address, _)| address);
            oldest.and_then(|oldest| failures.remove(&oldest));
        }
        let times = failures.entry(address).or_default();
        if times.len() >= FAILURES {
            let left = (times[0] + WITHIN).saturating_duration_since(now);
            if !left.is_zero() {
                return Err(left.as_millis().div_ceil(1000) as u64);
            }
            times.pop_front();
        }
        times.push_back(now);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, VecDeque<Instant>>> {
        lock(&self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_failures_within_ten_seconds_are_too_many_until_the_first_is_old() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let fail = |millis: u64| throttle.failed(ip("10.0.0.1"), start + Duration::from_millis(millis));
        for second in 0..10 {
            assert_eq!(fail(900 * second), Ok(()));
        }
        assert_eq!((fail(8_100), fail(9_000), fail(9_999)), (Err(2), Err(1), Err(1)));
        assert_eq!(fail(10_000), Ok(()));
        // The next one counts from the second failure on.
        assert_eq!((fail(10_000), fail(10_900)), (Err(1), Ok(())));
    }

    #[test]
    fn an_address_is_one_in_any_form_and_others_are_not_affected() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(throttle.failed(ip("10.0.0.1"), now), Ok(()));
        }
        assert_eq!(throttle.failed(ip("::ffff:10.0.0.1"), now), Err(10));
        assert_eq!(throttle.failed(ip("10.0.0.2"), now), Ok(()));
    }

    #[test]
    fn ipv6_counts_by_network() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for host in 0..10 {
            assert_eq!(throttle.failed(ip(&format!("2001:db8:0:1::{host:x}")), now), Ok(()));
        }
        assert!(throttle.failed(ip("2001:db8:0:1:ffff::1"), now).is_err());
        assert!(throttle.failed(ip("2001:db8:0:2::1"), now).is_ok());
    }

    #[test]
    fn the_table_is_bounded_and_drops_the_oldest() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for _ in 0..10 {
            let _ = throttle.failed(ip("10.1.0.0"), start);
        }
        for number in 0..ADDRESSES as u32 - 1 {
            let _ = throttle.failed(IpAddr::V4((0x0a00_0000 + number).into()), start + Duration::from_millis(1));
        }
        assert!(throttle.failed(ip("10.1.0.0"), start).is_err());
        let _ = throttle.failed(ip("10.2.0.0"), start + Duration::from_millis(2));
        assert_eq!(throttle.lock().len(), ADDRESSES);
        assert!(throttle.failed(ip("10.1.0.0"), start).is_ok(), "its failures were removed");
    }
}
