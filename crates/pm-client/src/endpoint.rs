//! Where a process list is: host, port and the path under which it is mounted.

use std::fmt;

/// The port when the endpoint is a host alone.
const DEFAULT_PORT: u16 = 6680;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// As the caller wrote it, without the blanks around it.
    pub(crate) name: String,
    /// Without the brackets of IPv6.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Begins and ends with a slash.
    pub(crate) prefix: String,
}

impl Endpoint {
    pub(crate) fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        let name = text.trim();
        let fail = |why| EndpointError { endpoint: name.to_owned(), why };
        let (rest, default_port) = match name.split_once("://") {
            None => (name, DEFAULT_PORT),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (rest, 80),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => return Err(fail(Why::Tls)),
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
        if authority.contains('@') {
            return Err(fail(Why::User));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or_else(|| fail(Why::Brackets))?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| fail(Why::Brackets))?;
                match port {
                    "" => (host, None),
                    _ => (host, Some(port.strip_prefix(':').ok_or_else(|| fail(Why::Brackets))?)),
                }
            }
            None => match authority.split_once(':') {
                Some((_, port)) if port.contains(':') => return Err(fail(Why::Brackets)),
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        if host.is_empty() {
            return Err(fail(Why::NoHost));
        }
        let port = match port {
            None => default_port,
            Some(digits) => match digits.parse() {
                Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => port,
                _ => return Err(fail(Why::Port)),
            },
        };
        let prefix = match path.trim_end_matches('/') {
            "" => "/".to_owned(),
            path => format!("{path}/"),
        };
        // What is left could still not be a path or a header, such as `{` in the prefix.
        let endpoint = Endpoint { name: name.to_owned(), host: host.to_owned(), port, prefix };
        let valid = endpoint.prefix.parse::<http::uri::PathAndQuery>().is_ok()
            && endpoint.authority().parse::<http::uri::Authority>().is_ok();
        if valid { Ok(endpoint) } else { Err(fail(Why::Characters)) }
    }

    /// Host and port as they go into the `Host` header.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The text does not say where a process list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    endpoint: String,
    why: Why,
}

impl EndpointError {
    /// The endpoint as it was given.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Tls,
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
            Why::Tls => "https is not supported",
            Why::Scheme => "only http:// is supported",
            Why::Query => "a query or a fragment has no meaning here",
            Why::Characters => "it has characters that an address cannot have",
            Why::User => "a user name has no meaning here",
            Why::Brackets => "an IPv6 address is written as [::1]:6680",
            Why::NoHost => "it names no host",
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

    #[test]
    fn what_is_no_endpoint_says_why() {
        for (text, why) in [
            ("", Why::NoHost),
            ("http://", Why::NoHost),
            (":6680", Why::NoHost),
            ("https://db-1", Why::Tls),
            ("unix:///run/pm", Why::Scheme),
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
