//! Refuses requests that are not for this server, or come from a cross-site web page, before anything else.
//!
//! A page of another site can make a browser send requests to this machine. If the host name of that page resolves to
//! this machine (DNS rebinding), the browser even lets it read the responses; only the Host header reveals that.
//! Otherwise Sec-Fetch-Site does (<https://www.w3.org/TR/fetch-metadata/>), or Origin (RFC 6454) from older browsers.
//! Other programs send neither, and pass.
//!
//! A request without a Host header cannot be checked like this, and is refused, with one exception: health checks in
//! HTTP/1.0, which needs no Host, as load balancers and monitors send them. No browser sends such a request, and the
//! paths that it may name show no task.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use http::header::{HOST, HeaderName, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode, Version};

use crate::response::Failure;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The start page, which shows nothing, and which other sites may link to.
const HOME: &str = "/";
/// The paths of probes, which may be requested with HTTP/1.0 and without a Host header.
const PROBED: [&str; 3] = [HOME, "/healthz", "/metrics"];

/// The host names of this server, besides `localhost` and its own address, and the origins of its pages, besides those
/// that are equal to the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    names: Arc<[String]>,
    origins: Arc<[Result<Origin, String>]>,
}

impl Guard {
    pub(crate) fn allow(&self, name: &str) -> Guard {
        let new = std::iter::once(name.to_ascii_lowercase());
        Guard { names: self.names.iter().cloned().chain(new).collect(), ..self.clone() }
    }

    pub(crate) fn allow_origin(&self, origin: &str) -> Guard {
        let new = std::iter::once(Origin::parse(origin).ok_or_else(|| origin.to_owned()));
        Guard { origins: self.origins.iter().cloned().chain(new).collect(), ..self.clone() }
    }

    /// Returns the first allowed origin that is not one.
    pub(crate) fn bad_origin(&self) -> Option<&str> {
        self.origins.iter().find_map(|origin| origin.as_ref().err().map(String::as_str))
    }

    /// Checks a request. `local` is the address of the server in this connection; without one, any loopback address
    /// passes. `path` is that of the request, below the path that the service is mounted at.
    pub(crate) fn check<B>(
        &self,
        request: &Request<B>,
        local: Option<IpAddr>,
        path: Option<&str>,
    ) -> Result<(), Failure> {
        let refuse = |detail: &str| Err(Failure::bad("invalid-host", detail));
        let cross_site = || {
            let detail = "requests from other web sites are refused";
            Failure::new(StatusCode::FORBIDDEN, "cross-site", detail)
                .hint("behind a proxy that changes the Host header, allow the origin of its pages (allow_origin)")
        };
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next(), request.uri().authority()) {
            // RFC 9112, 3.2.2: the authority of the target takes precedence.
            (_, None, Some(authority)) => Some(authority.as_str()),
            (Some(host), None, None) => host.to_str().ok(),
            (None, None, None) if is_probe(request, path) => {
                return if self.is_cross_site(request.headers(), None) { Err(cross_site()) } else { Ok(()) };
            }
            (None, None, None) => return refuse("the Host header is missing"),
            (_, Some(_), _) => return refuse("there is more than one Host header"),
        };
        let Some(host) = host.filter(|host| self.is_ours(host, local)) else {
            let detail = "the host name is not allowed";
            return Err(Failure::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail)
                .hint("use localhost, or allow the name in the program (allow_host)"));
        };
        if self.is_cross_site(request.headers(), Some(host)) && !(path == Some(HOME) && is_navigation(request)) {
            return Err(cross_site());
        }
        Ok(())
    }

    fn is_cross_site(&self, headers: &HeaderMap, host: Option<&str>) -> bool {
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
        if sites.peek().is_some() {
            return !sites.all(|site| site == "same-origin" || site == "none");
        }
        headers.get_all(ORIGIN).iter().any(|origin| {
            let origin = origin.to_str().ok().and_then(Origin::parse);
            let is_ours = |origin: &Origin| {
                host.is_some_and(|host| origin.is_at(host)) || self.origins.iter().flatten().any(|ours| ours == origin)
            };
            !origin.is_some_and(|origin| is_ours(&origin))
        })
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
            parse_port(&port[1..]).map(|_| name)
        }
    }
}

/// A port is digits only: `parse` takes a sign as well.
fn parse_port(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The origin of a web page: the same if it is written with the port that its scheme has anyway, and without.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    is_https: bool,
    name: String,
    port: u16,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (is_https, authority) = match text.split_once("://")? {
            ("http", authority) => (false, authority),
            ("https", authority) => (true, authority),
            _ => return None,
        };
        let (name, port) = name_and_port(authority, default_port(is_https))?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        (!name.is_empty() && name.bytes().all(is_allowed)).then(|| Self {
            is_https,
            name: name.to_ascii_lowercase(),
            port,
        })
    }

    /// Returns `true` if pages of this origin are at this host, also if a proxy with TLS is between them.
    fn is_at(&self, host: &str) -> bool {
        name_and_port(host, default_port(self.is_https))
            .is_some_and(|(name, port)| name.eq_ignore_ascii_case(&self.name) && port == self.port)
    }
}

fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

/// The name and the port of an authority; `default` if it has no port.
fn name_and_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let name = without_port(authority)?;
    match authority[name.len()..].strip_prefix(':') {
        None => Some((name, default)),
        Some(port) => Some((name, parse_port(port)?)),
    }
}

/// Returns `true` for a health check that may come without a Host header.
fn is_probe<B>(request: &Request<B>, path: Option<&str>) -> bool {
    request.version() == Version::HTTP_10
        && [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method())
        && path.is_some_and(|path| PROBED.contains(&path))
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
        let guard = Guard::default().allow("PM.example.org").allow_origin("https://Pm.Example.net:443");
        match guard.check(&request, local, Some(if is_home { "/" } else { "/procs/" })) {
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
            "localhost:+80",
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
        assert_eq!(Guard::default().check(&request, None, None).unwrap_err().status(), 421);
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
    fn an_origin_with_the_port_of_its_scheme_is_that_without_it() {
        for (host, origin, expected) in [
            ("pm.example.org:443", "https://pm.example.org", 200),
            ("pm.example.org", "https://pm.example.org:443", 200),
            ("pm.example.org", "https://pm.example.org", 200),
            ("pm.example.org:80", "http://pm.example.org", 200),
            ("pm.example.org", "http://pm.example.org:80", 200),
            ("pm.example.org:8443", "https://PM.example.org:8443", 200),
            ("pm.example.org:443", "http://pm.example.org", 403),
            ("pm.example.org:80", "https://pm.example.org", 403),
            ("pm.example.org:443", "https://pm.example.org:8443", 403),
            ("pm.example.org:443", "https://pm.example.org:+443", 403),
            ("pm.example.org:443", "https://pm.example.org/", 403),
            ("pm.example.org:443", "https://evil.example", 403),
            ("pm.example.org:443", "https://", 403),
        ] {
            assert_eq!(status(&[("host", host), ("origin", origin)]), expected, "{host} {origin}");
        }
    }

    #[test]
    fn the_origin_before_a_proxy_can_be_allowed_and_only_exactly() {
        let host = ("host", "127.0.0.1:6680");
        for (origin, expected) in [
            ("https://pm.example.net", 200),
            ("https://pm.example.net:443", 200),
            ("http://pm.example.net", 403),
            ("https://pm.example.net:444", 403),
            ("https://x.pm.example.net", 403),
            ("https://pm.example.net.evil.example", 403),
            ("null", 403),
        ] {
            assert_eq!(status(&[host, ("origin", origin)]), expected, "{origin}");
        }
        let ours = ("origin", "https://pm.example.net");
        assert_eq!(status(&[host, ours, ("origin", "https://evil.example")]), 403);
        assert_eq!(status(&[host, ours, ("sec-fetch-site", "cross-site")]), 403, "the browser knows better");
        assert_eq!(status(&[("host", "pm.example.net"), ours]), 421, "an origin is not a host");
    }

    #[test]
    fn an_allowed_origin_is_an_origin() {
        for bad in
            ["*", "null", "", "https://", "https://*.example.org", "https://a/", "a.example", "https://u@a", "ftp://a"]
        {
            let guard = Guard::default().allow_origin("http://ok.example").allow_origin(bad);
            assert_eq!(guard.bad_origin(), Some(bad));
        }
        assert_eq!(Guard::default().allow_origin("http://[::1]:80").bad_origin(), None);
    }

    #[test]
    fn a_probe_of_http_1_0_needs_no_host_and_reaches_nothing_but_health() {
        let check = |method: &str, path: &str, version, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri(path).version(version);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(()).unwrap();
            Guard::default()
                .check(&request, None, Some(path))
                .map_or_else(|failure| failure.status().as_u16(), |()| 200)
        };
        for method in ["GET", "HEAD", "OPTIONS"] {
            for path in PROBED {
                assert_eq!(check(method, path, Version::HTTP_10, &[]), 200, "{method} {path}");
                assert_eq!(check(method, path, Version::HTTP_11, &[]), 400, "{method} {path}");
                for (header, refused) in [
                    (("host", "evil.example"), 421),
                    (("host", ""), 421),
                    (("origin", "http://evil.example"), 403),
                    (("origin", "http://"), 403),
                    (("sec-fetch-site", "cross-site"), 403),
                ] {
                    assert_eq!(check(method, path, Version::HTTP_10, &[header]), refused, "{method} {path} {header:?}");
                }
            }
        }
        for path in ["/v1/tasks", "/procs/", "/v1/info", "/healthz/", "/metricsx", "/v1/tasks/a/cancel"] {
            assert_eq!(check("GET", path, Version::HTTP_10, &[]), 400, "{path}");
        }
        for method in ["POST", "DELETE", "PUT"] {
            assert_eq!(check(method, "/", Version::HTTP_10, &[]), 400, "{method}");
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
