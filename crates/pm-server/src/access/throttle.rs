//! Delays callers that guess tokens: after ten failures within ten seconds, an address is refused until the first of
//! them is ten seconds old.
//!
//! The table is bounded. When it is full, the address whose last failure is the oldest is removed. IPv6 addresses count
//! by network.
//!
//! Many honest callers may share an address, as all of this machine share `127.0.0.1`: check only requests with a
//! token.

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
    /// Checks that an address may try a token. The error is the number of seconds to wait, at least 1.
    pub(crate) fn check(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let failures = self.lock();
        let Some(times) = failures.get(&network(address)).filter(|times| times.len() >= FAILURES) else {
            return Ok(());
        };
        let left = (times[0] + WITHIN).saturating_duration_since(now);
        if left.is_zero() { Ok(()) } else { Err(left.as_millis().div_ceil(1000) as u64) }
    }

    /// Counts a wrong token from an address.
    pub(crate) fn failed(&self, address: IpAddr, now: Instant) {
        let mut failures = self.lock();
        let address = network(address);
        if failures.len() >= ADDRESSES && !failures.contains_key(&address) {
            let oldest = failures.iter().min_by_key(|(_, times)| times.back().copied()).map(|(&address, _)| address);
            oldest.and_then(|oldest| failures.remove(&oldest));
        }
        let times = failures.entry(address).or_default();
        while times.len() >= FAILURES {
            times.pop_front();
        }
        times.push_back(now);
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

    fn fail(throttle: &Throttle, address: &str, times: usize, now: Instant) {
        (0..times).for_each(|_| throttle.failed(ip(address), now));
    }

    #[test]
    fn ten_failures_within_ten_seconds_refuse_an_address_until_the_first_is_old() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let at = |millis: u64| start + Duration::from_millis(millis);
        for second in 0..9 {
            throttle.failed(ip("10.0.0.1"), at(1000 * second));
            assert_eq!(throttle.check(ip("10.0.0.1"), at(1000 * second)), Ok(()));
        }
        throttle.failed(ip("10.0.0.1"), at(9_000));
        assert_eq!(throttle.check(ip("10.0.0.1"), at(9_000)), Err(1));
        assert_eq!(throttle.check(ip("10.0.0.1"), at(9_999)), Err(1));
        assert_eq!(throttle.check(ip("10.0.0.1"), at(10_000)), Ok(()));
        // The next one counts from the second failure on.
        throttle.failed(ip("10.0.0.1"), at(10_000));
        assert_eq!(throttle.check(ip("10.0.0.1"), at(10_000)), Err(1));
        assert_eq!(throttle.check(ip("10.0.0.1"), at(11_000)), Ok(()));
    }

    #[test]
    fn ten_failures_at_once_refuse_that_address_for_ten_seconds_and_no_other() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        fail(&throttle, "10.0.0.1", 10, now);
        assert_eq!(throttle.check(ip("10.0.0.1"), now), Err(10));
        assert_eq!(throttle.check(ip("10.0.0.1"), now + Duration::from_millis(1)), Err(10));
        assert_eq!(throttle.check(ip("::ffff:10.0.0.1"), now), Err(10), "the same address in another form");
        assert_eq!(throttle.check(ip("10.0.0.2"), now), Ok(()));
    }

    #[test]
    fn ipv6_counts_by_network() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for host in 0..10 {
            throttle.failed(ip(&format!("2001:db8:0:1::{host:x}")), now);
        }
        assert!(throttle.check(ip("2001:db8:0:1:ffff::1"), now).is_err());
        assert!(throttle.check(ip("2001:db8:0:2::1"), now).is_ok());
    }

    #[test]
    fn the_table_is_bounded_and_drops_the_oldest() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        fail(&throttle, "10.1.0.0", 10, start);
        for number in 0..ADDRESSES as u32 - 1 {
            throttle.failed(IpAddr::V4((0x0a00_0000 + number).into()), start + Duration::from_millis(1));
        }
        assert!(throttle.check(ip("10.1.0.0"), start).is_err());
        throttle.failed(ip("10.2.0.0"), start + Duration::from_millis(2));
        assert_eq!(throttle.lock().len(), ADDRESSES);
        assert!(throttle.check(ip("10.1.0.0"), start).is_ok(), "its failures are removed");
        assert!(throttle.lock().contains_key(&ip("10.2.0.0")));
    }
}
