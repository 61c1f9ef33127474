//! Who guesses tokens has to wait: ten failures within ten seconds, and an address is refused until the first of them is
//! ten seconds old.
//!
//! The table has a ceiling. When it is full, the address that failed the longest ago is forgotten. IPv6 addresses count by
//! the 64 bits that a network hands out: whoever has one of them has them all.
//!
//! Behind one address there may be many who are honest, all of this machine behind `127.0.0.1`: ask only about requests
//! that bring a token.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::address::network;
use crate::sync::lock;

const FAILURES: usize = 10;
const WITHIN: Duration = Duration::from_secs(10);
const ADDRESSES: usize = 1024;

/// Who failed, and when.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// The newest failures of each address, oldest first; never empty.
    failures: Mutex<HashMap<IpAddr, VecDeque<Instant>>>,
}

impl Throttle {
    /// Whether this address may try. If not, it is told how many seconds to wait, at least 1.
    pub(crate) fn check(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let failures = self.lock();
        let Some(times) = failures.get(&network(address)).filter(|times| times.len() >= FAILURES) else {
            return Ok(());
        };
        let left = (times[0] + WITHIN).saturating_duration_since(now);
        if left.is_zero() { Ok(()) } else { Err(left.as_millis().div_ceil(1000) as u64) }
    }

    /// Notes that this address gave a wrong token.
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
    fn the_tenth_failure_within_ten_seconds_closes_the_door_until_the_first_is_old() {
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
    fn who_fails_at_once_waits_ten_seconds_and_others_do_not() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        fail(&throttle, "10.0.0.1", 10, now);
        assert_eq!(throttle.check(ip("10.0.0.1"), now), Err(10));
        assert_eq!(throttle.check(ip("10.0.0.1"), now + Duration::from_millis(1)), Err(10));
        assert_eq!(throttle.check(ip("::ffff:10.0.0.1"), now), Err(10), "the same address, written otherwise");
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
    fn the_table_is_bounded_and_the_oldest_goes() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        fail(&throttle, "10.1.0.0", 10, start);
        for number in 0..ADDRESSES as u32 - 1 {
            throttle.failed(IpAddr::V4((0x0a00_0000 + number).into()), start + Duration::from_millis(1));
        }
        assert!(throttle.check(ip("10.1.0.0"), start).is_err());
        throttle.failed(ip("10.2.0.0"), start + Duration::from_millis(2));
        assert_eq!(throttle.lock().len(), ADDRESSES);
        assert!(throttle.check(ip("10.1.0.0"), start).is_ok(), "it is forgotten");
        assert!(throttle.lock().contains_key(&ip("10.2.0.0")));
    }
}
