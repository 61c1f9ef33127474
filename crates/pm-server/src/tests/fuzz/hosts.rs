//! Random hosts and origins.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::text_of;
use crate::access::guard::Guard;

const HOST: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "[::1]",
    "pm.example",
    "evil.example",
    ":",
    "80",
    "6680",
    "65536",
    ".",
    "@",
    "/",
    "[",
    "]",
    "::ffff:127.0.0.1",
    "0x7f.1",
    "1",
    "LOCALHOST",
    " ",
    "%",
    "\\",
    "#",
    ",",
];

fn guarded(headers: &[(HeaderName, &str)]) -> Option<Result<(), u16>> {
    let mut request = Request::new(());
    for (name, value) in headers {
        request.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    let local: IpAddr = [127, 0, 0, 1].into();
    Some(
        Guard::default()
            .allow("pm.example")
            .check(&request, Some(local), None)
            .map_err(|failure| failure.status().as_u16()),
    )
}

/// A reference implementation of the guard.
fn is_our_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let is_name = ["localhost", "pm.example", "127.0.0.1"].contains(&name.to_ascii_lowercase().as_str());
    let is_mapped = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).is_some_and(|name| {
        name.parse::<std::net::Ipv6Addr>().is_ok_and(|v6| v6.to_ipv4_mapped() == Some([127, 0, 0, 1].into()))
    });
    is_port && (is_name || is_mapped)
}

proptest! {
    #[test]
    fn a_host_passes_only_if_it_is_ours(host in text_of(HOST, 4)) {
        let Some(result) = guarded(&[(HeaderName::from_static("host"), &host)]) else { return Ok(()) };
        match result {
            Ok(()) => prop_assert!(is_our_host(&host), "{host}"),
            Err(status) => prop_assert!(status == 421 && !(is_our_host(&host) && host.is_ascii()), "{host}: {status}"),
        }
    }

    #[test]
    fn a_page_passes_only_if_the_browser_says_that_it_is_ours(
        sites in vec(
            select(vec!["same-origin", "none", "cross-site", "same-site", "", "Same-Origin", "same-origin, none"]),
            0..3,
        ),
        origins in vec(
            prop_oneof![
                3 => select(vec!["http://localhost:1", "https://localhost:1", "http://LOCALHOST:1"])
                    .prop_map(str::to_owned),
                2 => select(vec!["null", "", "http://evil.example", "http://localhost", "http://localhost:1/"])
                    .prop_map(str::to_owned),
                1 => text_of(HOST, 4),
            ],
            0..3,
        ),
    ) {
        let mut headers = vec![(HeaderName::from_static("host"), "localhost:1")];
        headers.extend(sites.iter().map(|site| (HeaderName::from_static("sec-fetch-site"), *site)));
        headers.extend(origins.iter().map(|origin| (HeaderName::from_static("origin"), origin.as_str())));
        let Some(result) = guarded(&headers) else { return Ok(()) };
        let by_site = sites.iter().all(|site| ["same-origin", "none"].contains(site));
        let by_origin = origins.iter().all(|origin| {
            ["http://localhost:1", "https://localhost:1"].contains(&origin.to_ascii_lowercase().as_str())
                && origin.starts_with("http")
        });
        let passes = if sites.is_empty() { by_origin } else { by_site };
        prop_assert_eq!(result, if passes { Ok(()) } else { Err(403) }, "{:?}", headers);
    }
}
