//! Refuses requests that are not for this server, or come from a cross-site web page, before anything else.
//!
//! A page of another site can make a browser send requests to this machine. If the host name of that page resolves to
//! this machine (DNS rebinding), the browser even lets it read the responses; only the Host header reveals that.
//! Otherwise Sec-Fetch-Site does (<https://www.w3.org/TR/fetch-metadata/>), or Origin (RFC 6454) from older browsers.
//! Other programs send neither, and pass.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::header::{HOST, HeaderName, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode};

use crate::response::Failure;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The host names of this server, besides `localhost` and its own address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    names: Arc<[String]>,
}

impl Guard {
    pub(crate) fn allow(&self, name: &str) -> Guard {
        let new = std::iter::once(name.to_ascii_lowercase());
        Guard { names: self.names.iter().cloned().chain(new).collect() }
    }

    /// Checks a request. `local` is the address of the server in this connection; without one, any loopback address
    /// passes. `is_home`: the request is for the start page, which shows nothing and which other sites may link to.
    pub(crate) fn check<B>(&self, request: &Request<B>, local: Option<IpAddr>, is_home: bool) -> Result<(), Failure> {
        let refuse = |detail: &str| Err(Failure::bad("invalid-host", detail));
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next(), request.uri().authority()) {
            // RFC 9112, 3.2.2: the authority of the target takes precedence.
            (_, None, Some(authority)) => Some(authority.as_str()),
            (Some(host), None, None) => host.to_str().ok(),
            (None, None, None) => return refuse("the Host header is missing"),
            (_, Some(_), _) => return refuse("there is more than one Host header"),
        };
        let Some(host) = host.filter(|host| self.is_ours(host, local)) else {
            let detail = "the host name is not allowed";
            return Err(Failure::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail)
                .hint("use localhost, or allow the name in the program (allow_host)"));
        };
        if is_cross_site(request.headers(), host) && !(is_home && is_navigation(request)) {
            let detail = "requests from other web sites are refused";
            return Err(Failure::new(StatusCode::FORBIDDEN, "cross-site", detail));
        }
        Ok(())
    }

    fn is_ours(&self, host: &str, local: Option<IpAddr>) -> bool {
        let Some(name) = without_port(host) else { return false };
        // Also addresses: behind a forwarder, the local address is another one. An address can't be rebound.
        if self.names.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return true;
        }
        if let Some(v6) = name.strip_prefix('[') {
            let address = v6.strip_suffix(']').and_then(|v6| v6.parse::<Ipv6Addr>().ok());
            return address.is_some_and(|address| is_local(address.into(), local));
        }
        if let Ok(address) = name.parse() {
            return is_local(IpAddr::V4(address), local);
        }
        name.eq_ignore_ascii_case("localhost")
    }
}

fn is_local(address: IpAddr, local: Option<IpAddr>) -> bool {
    match local {
        Some(local) => address.to_canonical() == local.to_canonical(),
        None => address.to_canonical().is_loopback(),
    }
}

/// The name of `name` or `name:port`.
fn without_port(host: &str) -> Option<&str> {
    let end_of_name = host.rfind(']').unwrap_or(0);
    match host[end_of_name..].find(':') {
        None => Some(host),
        Some(colon) => {
            let (name, port) = host.split_at(end_of_name + colon);
            port[1..].parse::<u16>().ok().map(|_| name)
        }
    }
}

fn is_cross_site(headers: &HeaderMap, host: &str) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return !sites.all(|site| site == "same-origin" || site == "none");
    }
    headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_none_or(|authority| !authority.eq_ignore_ascii_case(host))
    })
}

/// Returns `true` for a navigation: its window is not visible to the page with the link.
fn is_navigation<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let has = |name: &str, value: &str| {
        let mut all = headers.get_all(name).iter();
        all.next().is_some_and(|first| first == value) && all.next().is_none()
    };
    let is_plain = headers.get(ORIGIN).is_none();
    request.method() == Method::GET
        && is_plain
        && has("sec-fetch-mode", "navigate")
        && has("sec-fetch-dest", "document")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(headers: &[(&str, &str)]) -> u16 {
        status_at(headers, false)
    }

    fn status_at(headers: &[(&str, &str)], is_home: bool) -> u16 {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let local = Some("127.0.0.1".parse().unwrap());
        match Guard::default().allow("PM.example.org").check(&request, local, is_home) {
            Ok(()) => 200,
            Err(failure) => failure.status().as_u16(),
        }
    }

    #[test]
    fn a_link_elsewhere_leads_to_the_start_page_and_to_nothing_else() {
        let visit = [
            ("host", "localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!((status_at(&visit, true), status_at(&visit, false)), (200, 403));
        let with = |name: &'static str, value: &'static str| {
            visit.map(|(known, old)| (known, if known == name { value } else { old }))
        };
        assert_eq!(status_at(&with("host", "evil.example"), true), 421);
        for (name, value) in [
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-dest", "object"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-mode", "no-cors"),
        ] {
            assert_eq!(status_at(&with(name, value), true), 403, "{name}: {value}");
        }
        assert_eq!(status_at(&visit[..2], true), 403);
        assert_eq!(status_at(&[&visit[..], &[("origin", "null")]].concat(), true), 403, "a form");
        assert_eq!(status_at(&[&visit[..], &[("sec-fetch-dest", "iframe")]].concat(), true), 403);
    }

    #[test]
    fn our_own_names_are_served() {
        for host in ["localhost", "LocalHost:6680", "127.0.0.1", "127.0.0.1:1", "pm.EXAMPLE.org", "pm.example.org:80"] {
            assert_eq!(status(&[("host", host)]), 200, "{host}");
        }
    }

    #[test]
    fn every_other_spelling_is_not() {
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "localhost6",
            "localhost.",
            "localhost:",
            "localhost:99999",
            "localhost:80:80",
            "user@localhost",
            "10.0.2.555",
            "0177.0.0.1",
            "0x7f.1",
            "127.1",
            "2130706433",
            "127.0.0.2",
            "0.0.0.0",
            "127.0.0.1.nip.io",
            "[::1]",
            "[::]",
            "::1",
            "[127.0.0.1]",
            "[::1",
            "[::ffff:127.0.0.2]",
            "pm.example.org.evil.example",
            "xpm.example.org",
        ] {
            assert_eq!(status(&[("host", host)]), 421, "{host}");
        }
    }

    #[test]
    fn ipv6_is_compared_as_an_address() {
        let guard = Guard::default();
        let v6 = Some("::1".parse().unwrap());
        assert!(guard.is_ours("[::1]:6680", v6) && guard.is_ours("[0:0:0:0:0:0:0:1]", v6));
        assert!(guard.is_ours("127.0.0.1", Some("::ffff:127.0.0.1".parse().unwrap())));
        assert!(guard.is_ours("[::1]", None) && guard.is_ours("127.0.0.1", None) && !guard.is_ours("10.0.0.1", None));
    }

    #[test]
    fn an_address_before_a_forwarder_can_be_allowed_as_a_name_can() {
        let guard = Guard::default().allow("192.0.2.7").allow("[2001:db8::7]");
        let local = Some("10.0.0.1".parse().unwrap());
        assert!(guard.is_ours("192.0.2.7:6680", local) && guard.is_ours("[2001:DB8::7]:6680", local));
        assert!(!guard.is_ours("192.0.2.70", local) && !guard.is_ours("[2001:db8::8]", local));
    }

    #[test]
    fn a_request_names_one_host() {
        assert_eq!(status(&[]), 400);
        assert_eq!(status(&[("host", "localhost"), ("host", "evil.example")]), 400);
    }

    #[test]
    fn the_host_in_the_target_counts_more() {
        let request = Request::get("http://evil.example/procs/").header(HOST, "localhost").body(()).unwrap();
        assert_eq!(Guard::default().check(&request, None, false).unwrap_err().status(), 421);
    }

    #[test]
    fn cross_site_pages_are_refused() {
        let host = ("host", "localhost:6680");
        for site in ["cross-site", "same-site", "", "Same-Origin, none"] {
            assert_eq!(status(&[host, ("sec-fetch-site", site)]), 403, "{site}");
        }
        assert_eq!(status(&[host, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")]), 403);
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost",
            "http://localhost:6681",
            "http://localhost:6680.evil.example",
            "http://localhost:6680/",
            "ftp://localhost:6680",
            "http://user@localhost:6680",
            "localhost:6680",
        ] {
            assert_eq!(status(&[host, ("origin", origin)]), 403, "{origin}");
        }
    }

    #[test]
    fn our_own_page_and_programs_pass() {
        let host = ("host", "localhost:6680");
        for site in ["same-origin", "none"] {
            assert_eq!(status(&[host, ("sec-fetch-site", site)]), 200);
        }
        assert_eq!(status(&[host, ("origin", "http://LOCALHOST:6680")]), 200);
        assert_eq!(status(&[host, ("sec-fetch-site", "same-origin"), ("origin", "null")]), 200);
        assert_eq!(status(&[host]), 200);
    }
}
