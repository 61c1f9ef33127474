//! The address of a process list: host and port or a unix socket, and the path that it is mounted below.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// The port of an endpoint that is a bare host.
const DEFAULT_PORT: u16 = 6680;

/// `true` if this build supports TLS.
const HAS_TLS: bool = cfg!(feature = "tls");

#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// As the caller wrote it, without surrounding whitespace.
    pub(crate) name: String,
    pub(crate) place: Place,
    /// `true` if the connection uses TLS.
    pub(crate) tls: bool,
    /// Begins and ends with a slash.
    pub(crate) prefix: String,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A host, without the brackets of IPv6, and its port.
    Tcp { host: String, port: u16 },
    /// The path of a unix socket.
    Unix(PathBuf),
    /// Pipes in memory.
    #[cfg(test)]
    Memory(crate::memory::Memory),
}

impl Endpoint {
    /// Returns `true` for plain HTTP to another machine.
    pub(crate) fn is_unencrypted(&self) -> bool {
        let Place::Tcp { host, .. } = &self.place else { return false };
        let is_here = match host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        };
        !self.tls && !is_here
    }

    pub(crate) fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        let name = text.trim();
        let fail = |why| EndpointError { endpoint: name.to_owned(), why };
        if name.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("unix:")) {
            let path = socket_path(&name[5..]).map_err(fail)?;
            let place = Place::Unix(path.into());
            return Ok(Endpoint { name: name.to_owned(), place, tls: false, prefix: "/".to_owned() });
        }
        let (rest, default_port, tls) = match name.split_once("://") {
            None => (name, DEFAULT_PORT, false),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (rest, 80, false),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") && HAS_TLS => (rest, 443, true),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => return Err(fail(Why::NoTls)),
            Some(_) => return Err(fail(Why::Scheme)),
        };
        if rest.contains(['?', '#']) {
            return Err(fail(Why::Query));
        }
        if !rest.chars().all(|c| c.is_ascii_graphic()) {
            return Err(fail(Why::Characters));
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = host_and_port(authority).map_err(fail)?;
        let place = Place::Tcp { host: host.to_owned(), port: port.unwrap_or(default_port) };
        let prefix = match path.trim_end_matches('/') {
            "" => "/".to_owned(),
            path => format!("{path}/"),
        };
        // Some characters are still invalid in a path or a header, such as `{` in the prefix.
        let endpoint = Endpoint { name: name.to_owned(), place, tls, prefix };
        let valid = endpoint.prefix.parse::<http::uri::PathAndQuery>().is_ok()
            && endpoint.authority().parse::<http::uri::Authority>().is_ok();
        if valid { Ok(endpoint) } else { Err(fail(Why::Characters)) }
    }

    /// Returns host and port for the `Host` header.
    pub(crate) fn authority(&self) -> String {
        match &self.place {
            Place::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp { host, port } => format!("{host}:{port}"),
            Place::Unix(_) => "localhost".to_owned(),
            #[cfg(test)]
            Place::Memory(_) => "localhost".to_owned(),
        }
    }

    /// Returns the URL of a request, for messages. The path, such as `v1/tasks`, has no leading slash.
    pub(crate) fn url(&self, path: &str) -> String {
        let prefix = &self.prefix;
        match &self.place {
            Place::Unix(socket) => format!("unix:{}:{prefix}{path}", socket.display()),
            _ => {
                let scheme = if self.tls { "https" } else { "http" };
                format!("{scheme}://{}{prefix}{path}", self.authority())
            }
        }
    }
}

/// Returns the path behind `unix:`. A host would follow two slashes, so there has to be a third.
fn socket_path(rest: &str) -> Result<&str, Why> {
    if !cfg!(unix) {
        return Err(Why::NoUnix);
    }
    let path = match rest.strip_prefix("//") {
        Some(path) if !path.starts_with('/') => return Err(Why::Socket),
        Some(path) => path,
        None => rest,
    };
    if path.is_empty() || path.ends_with('/') {
        return Err(Why::Socket);
    }
    if path.contains(char::is_control) { Err(Why::Characters) } else { Ok(path) }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), Why> {
    if authority.contains('@') {
        return Err(Why::User);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or(Why::Brackets)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| Why::Brackets)?;
            match port {
                "" => (host, None),
                _ => (host, Some(port.strip_prefix(':').ok_or(Why::Brackets)?)),
            }
        }
        None => match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(Why::Brackets),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(Why::NoHost);
    }
    let port = match port {
        None => None,
        Some(digits) => match digits.parse() {
            Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Some(port),
            _ => return Err(Why::Port),
        },
    };
    Ok((host, port))
}

/// The error for a string that is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    endpoint: String,
    why: Why,
}

impl EndpointError {
    /// Returns the endpoint as it was given.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    NoTls,
    NoUnix,
    Socket,
    Scheme,
    Query,
    Characters,
    User,
    Brackets,
    NoHost,
    Port,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::NoTls => "https requires the feature `tls` of pm-client",
            Why::NoUnix => "this system has no unix sockets; write host:port",
            Why::Socket => "a unix socket is written unix:/run/pm.sock",
            Why::Scheme => "only http://, https:// and unix: are supported",
            Why::Query => "it has a query or a fragment; remove what follows `?` or `#`",
            Why::Characters => "it has characters that are not allowed in an address",
            Why::User => "it has a user name, which is not supported; use a token",
            Why::Brackets => "an IPv6 address is written as [::1]:6680",
            Why::NoHost => "it has no host; write host:port",
            Why::Port => "the port is not a number from 1 to 65535",
        };
        write!(f, "{:?} is not an endpoint: {why}", self.endpoint)
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, String) {
        let endpoint = Endpoint::parse(text).unwrap();
        (endpoint.authority(), endpoint.prefix)
    }

    #[test]
    fn hosts_urls_and_prefixes_are_understood() {
        for (text, authority, prefix) in [
            ("127.0.0.1:6680", "127.0.0.1:6680", "/"),
            (" localhost:1 ", "localhost:1", "/"),
            ("db-1", "db-1:6680", "/"),
            ("http://db-1", "db-1:80", "/"),
            ("HTTP://db-1:8081/", "db-1:8081", "/"),
            ("http://db-1:8081/debug/pm/", "db-1:8081", "/debug/pm/"),
            ("db-1:8081/debug", "db-1:8081", "/debug/"),
            ("[::1]:6680", "[::1]:6680", "/"),
            ("[::1]", "[::1]:6680", "/"),
            ("http://[fe80::1]:8/x", "[fe80::1]:8", "/x/"),
        ] {
            assert_eq!(parsed(text), (authority.to_owned(), prefix.to_owned()), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_unix_socket_is_a_path() {
        for (text, path) in [
            ("unix:/run/pm.sock", "/run/pm.sock"),
            ("UNIX:///run/my pm?.sock", "/run/my pm?.sock"),
            ("unix:pm.sock", "pm.sock"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert!(matches!(&endpoint.place, Place::Unix(found) if found.as_os_str() == path), "{text}");
            assert_eq!(endpoint.authority(), "localhost");
            assert_eq!(endpoint.url("v1/tasks"), format!("unix:{path}:/v1/tasks"));
        }
        for text in ["unix:", "unix://", "unix:///", "unix://run/pm.sock", "unix:/run/"] {
            assert_eq!(Endpoint::parse(text).unwrap_err().why, Why::Socket, "{text}");
        }
        assert_eq!(Endpoint::parse("unix:/a\0b").unwrap_err().why, Why::Characters);
    }

    #[test]
    fn https_needs_the_feature() {
        match Endpoint::parse("https://db-1/pm") {
            Ok(endpoint) if HAS_TLS => assert_eq!(endpoint.url("procs/"), "https://db-1:443/pm/procs/"),
            Err(error) if !HAS_TLS => assert!(error.to_string().contains("feature `tls`"), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_string_that_is_not_an_endpoint_is_refused_with_the_reason() {
        for (text, why) in [
            ("", Why::NoHost),
            ("http://", Why::NoHost),
            (":6680", Why::NoHost),
            ("ftp://db-1", Why::Scheme),
            ("db-1:", Why::Port),
            ("db-1:0", Why::Port),
            ("db-1:+80", Why::Port),
            ("db-1:65536", Why::Port),
            ("db-1:http", Why::Port),
            ("::1", Why::Brackets),
            ("[::1", Why::Brackets),
            ("[db-1]:80", Why::Brackets),
            ("[::1]80", Why::Brackets),
            ("me@db-1:80", Why::User),
            ("db-1/?x", Why::Query),
            ("db 1", Why::Characters),
            ("dü:80", Why::Characters),
            ("d\r\nX: y", Why::Characters),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap_err().why, why, "{text}");
        }
    }

    #[test]
    fn the_error_names_the_endpoint() {
        let error = Endpoint::parse("db-1:x").unwrap_err();
        assert_eq!(error.to_string(), "\"db-1:x\" is not an endpoint: the port is not a number from 1 to 65535");
    }
}
