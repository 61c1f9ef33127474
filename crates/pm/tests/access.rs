//! Access: every operation with every credential through every listener, and tokens and certificates that change.

#![cfg(all(feature = "server", unix))]

mod safety;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use pm::{ProcessList, Server};
use safety::{CANCEL, Dir, READ, Stream, WRONG, head, mode, request, status, tcp, unix};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Need {
    Nothing,
    Read,
    Cancel,
}

/// An operation as a client requests it: the permission it needs, and its status for callers that have it.
struct Operation {
    method: &'static str,
    /// The path as the description of the API has it.
    path: &'static str,
    body: &'static str,
    need: Need,
    good: &'static [u16],
}

const fn get(path: &'static str, need: Need, good: &'static [u16]) -> Operation {
    Operation { method: "GET", path, body: "", need, good }
}

const fn act(method: &'static str, path: &'static str, body: &'static str, good: &'static [u16]) -> Operation {
    Operation { method, path, body, need: Need::Cancel, good }
}

const OPERATIONS: [Operation; 26] = [
    get("/v1/tasks", Need::Read, &[200]),
    get("/v1/tasks/{ref}", Need::Read, &[200]),
    get("/v1/tasks/{ref}/history", Need::Read, &[200]),
    act("POST", "/v1/tasks/{ref}/cancel", "{}", &[202]),
    act("POST", "/v1/cancel", r#"{"filter":"id=target"}"#, &[200]),
    get("/v1/tree", Need::Read, &[200]),
    get("/v1/ended", Need::Read, &[200]),
    get("/v1/kinds", Need::Read, &[200]),
    get("/v1/events", Need::Read, &[200]),
    get("/v1/waits", Need::Read, &[200]),
    get("/v1/audit", Need::Read, &[200]),
    get("/v1/info", Need::Read, &[200]),
    get("/metrics", Need::Read, &[200]),
    get("/healthz", Need::Nothing, &[200]),
    get("/openapi.json", Need::Nothing, &[200]),
    get("/", Need::Nothing, &[200]),
    get("/page/{ref}", Need::Nothing, &[404]),
    get("/procs/", Need::Read, &[200]),
    get("/procs/{ref}/history", Need::Read, &[200]),
    act("DELETE", "/procs/{ref}", "{}", &[200]),
    // It does not reveal what exists, or where, either.
    get("/procs", Need::Read, &[301]),
    get("/procs/{ref}", Need::Read, &[405]),
    get("/procs/%FF", Need::Read, &[404]),
    get("/procs/50%", Need::Read, &[400]),
    get("/nothing", Need::Read, &[404]),
    get("/v1/cancel", Need::Read, &[405]),
];

/// The effect of a credential at a listener.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Worth {
    /// No connection is established.
    #[cfg(feature = "tls")]
    NoConnection,
    Nothing,
    Reads,
    Cancels,
}

impl Worth {
    fn expected(self, operation: &Operation) -> &[u16] {
        match (self, operation.need) {
            #[cfg(feature = "tls")]
            (Worth::NoConnection, _) => &[0],
            (_, Need::Nothing) | (Worth::Cancels, _) | (Worth::Reads, Need::Read) => operation.good,
            (Worth::Nothing, _) => &[401],
            (Worth::Reads, Need::Cancel) => &[403],
        }
    }
}

/// Requests every operation with this header (or none), each over its own connection.
fn assert_row(
    name: &str,
    token: Option<&str>,
    worth: Worth,
    list: &ProcessList,
    connect: impl Fn() -> Box<dyn Stream>,
) {
    for operation in &OPERATIONS {
        let task = list.start("target");
        let header = token.map(|token| format!("Authorization: Bearer {token}"));
        let headers: Vec<&str> = header.as_deref().into_iter().collect();
        let text = request(operation.method, &operation.path.replace("{ref}", "target"), &headers, operation.body);
        let (found, expected) = (status(&mut *connect(), &text), worth.expected(operation));
        assert!(expected.contains(&found), "{name} {} {}: {found}, not {expected:?}", operation.method, operation.path);
        let is_asked = worth == Worth::Cancels && operation.need == Need::Cancel;
        assert_eq!(task.is_cancelled(), is_asked, "{name} {} {}", operation.method, operation.path);
    }
}

/// The effect of each of the usual credentials.
const CREDENTIALS: [(&str, Option<&str>); 4] =
    [("none", None), ("wrong token", Some(WRONG)), ("read token", Some(READ)), ("cancel token", Some(CANCEL))];

/// Asserts a listener with all credentials. `serve` opens a new listener for each connection that fails, as failures of
/// one address are counted.
fn assert_listener(
    listener: &str,
    worths: [Worth; 4],
    serve: impl Fn(&ProcessList) -> (Server, Box<dyn Fn() -> Box<dyn Stream>>),
) {
    for ((credential, token), worth) in CREDENTIALS.into_iter().zip(worths) {
        let list = ProcessList::new();
        let name = format!("{listener}, {credential}:");
        if token == Some(WRONG) {
            let each = || {
                let (server, connect) = serve(&list);
                Box::new(Kept { stream: connect(), _server: server }) as Box<dyn Stream>
            };
            assert_row(&name, token, worth, &list, each);
        } else {
            let (_server, connect) = serve(&list);
            assert_row(&name, token, worth, &list, connect);
        }
    }
}

/// A connection that keeps its server running.
struct Kept {
    stream: Box<dyn Stream>,
    _server: Server,
}

impl std::io::Read for Kept {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl std::io::Write for Kept {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

use Worth::{Cancels, Nothing, Reads};

#[test]
fn on_loopback_without_tokens_every_caller_may_cancel() {
    assert_listener("loopback", [Cancels; 4], |list| {
        let server = Server::builder().list(list).listen("127.0.0.1:0").start().unwrap();
        let address = server.addr();
        (server, Box::new(move || Box::new(tcp(address))))
    });
}

#[test]
fn on_loopback_with_a_token_file_a_token_is_optional_and_a_wrong_one_is_401() {
    let dir = Dir::new();
    assert_listener("loopback", [Cancels, Nothing, Reads, Cancels], |list| {
        let server = Server::builder().list(list).listen("127.0.0.1:0").token_file(dir.tokens()).start().unwrap();
        let address = server.addr();
        (server, Box::new(move || Box::new(tcp(address))))
    });
}

#[test]
fn on_loopback_with_a_required_token_only_a_token_counts() {
    let dir = Dir::new();
    assert_listener("loopback", [Nothing, Nothing, Reads, Cancels], |list| {
        let builder = Server::builder().list(list).listen("127.0.0.1:0");
        let server = builder.token_file(dir.tokens()).require_token(true).start().unwrap();
        let address = server.addr();
        (server, Box::new(move || Box::new(tcp(address))))
    });
}

#[test]
fn beyond_loopback_a_token_is_needed_from_every_address() {
    let dir = Dir::new();
    assert_listener("all addresses", [Nothing, Nothing, Reads, Cancels], |list| {
        let server = Server::builder().list(list).listen("0.0.0.0:0").token_file(dir.tokens()).start().unwrap();
        let port = server.addr().port();
        (server, Box::new(move || Box::new(tcp(([127, 0, 0, 1], port).into()))))
    });
}

#[test]
fn beyond_loopback_the_dangerous_option_admits_everyone_but_a_wrong_token_is_401() {
    let dir = Dir::new();
    assert_listener("dangerously", [Cancels, Nothing, Reads, Cancels], |list| {
        let builder = Server::builder().list(list).listen("0.0.0.0:0").token_file(dir.tokens());
        let server = builder.dangerously_listen_beyond_loopback(true).start().unwrap();
        let port = server.addr().port();
        (server, Box::new(move || Box::new(tcp(([127, 0, 0, 1], port).into()))))
    });
}

#[test]
fn on_a_unix_socket_the_same_user_may_cancel_even_if_a_token_is_required() {
    let dir = Dir::new();
    assert_listener("unix", [Cancels, Nothing, Reads, Cancels], |list| {
        let path = dir.path("pm.sock");
        let builder = Server::builder().list(list).listen_unix(&path).token_file(dir.tokens());
        let server = builder.require_token(true).start().unwrap();
        (server, Box::new(move || Box::new(unix(&path))))
    });
}

#[cfg(feature = "tls")]
mod tls {
    use std::io::Read as _;

    use pm::server::{Permission, Tls};
    use safety::tls::{Authority, Certificate};

    use super::*;

    /// TLS for clients with a certificate of `clients`.
    fn tls(authority: &Authority, clients: Option<(&Authority, Permission)>) -> Tls {
        let (certificate, key) = authority.sign("server");
        let tls = Tls::new(certificate, key);
        match clients {
            Some((clients, scope)) => tls.clients(clients.file(), scope),
            None => tls,
        }
    }

    fn assert_tls(name: &str, clients: Option<Permission>, own: Option<&Certificate>, worths: [Worth; 4]) {
        let (authority, dir) = (std::rc::Rc::new(Authority::new()), Dir::new());
        // Clients have certificates of the authority of their own, if that is trusted.
        let trusted = own.map(|(certificate, _)| certificate.with_file_name("ca"));
        assert_listener(name, worths, |list| {
            let (certificate, key) = authority.sign("server");
            let mut tls = Tls::new(certificate, key);
            if let Some(scope) = clients {
                let ca = if name.contains("another") { None } else { trusted.clone() };
                tls = tls.clients(ca.unwrap_or_else(|| authority.file()), scope);
            }
            let builder = Server::builder().list(list).listen_tls("127.0.0.1:0", tls).token_file(dir.tokens());
            let server = builder.start().unwrap();
            let (address, authority, own) = (server.addr(), authority.clone(), own.cloned());
            (server, Box::new(move || Box::new(authority.connect(address, own.as_ref()))))
        });
    }

    #[test]
    fn over_tls_a_token_is_needed_on_loopback_too() {
        assert_tls("tls", None, None, [Nothing, Nothing, Reads, Cancels]);
    }

    #[test]
    fn with_client_certificates_a_client_without_one_needs_a_token() {
        assert_tls("tls without certificate", Some(Permission::Cancel), None, [Nothing, Nothing, Reads, Cancels]);
    }

    #[test]
    fn a_certificate_has_the_permission_of_its_listener_and_a_token_overrides_it() {
        let clients = Authority::new();
        let own = clients.sign("client");
        assert_tls("certificate that reads", Some(Permission::Read), Some(&own), [Reads, Nothing, Reads, Cancels]);
        assert_tls(
            "certificate that cancels",
            Some(Permission::Cancel),
            Some(&own),
            [Cancels, Nothing, Reads, Cancels],
        );
    }

    #[test]
    fn an_expired_certificate_or_one_of_another_authority_gets_no_connection_with_any_token() {
        let clients = Authority::new();
        let other = clients.sign("client");
        assert_tls("certificate of another", Some(Permission::Cancel), Some(&other), [Worth::NoConnection; 4]);
        let old = clients.sign_until("old", 2001);
        assert_tls("certificate that expired", Some(Permission::Cancel), Some(&old), [Worth::NoConnection; 4]);
    }

    #[test]
    fn a_certificate_that_was_not_requested_is_ignored() {
        let clients = Authority::new();
        let own = clients.sign("client");
        assert_tls("certificate that was not requested", None, Some(&own), [Nothing, Nothing, Reads, Cancels]);
    }

    #[test]
    fn a_client_without_tls_gets_no_answer() {
        let authority = Authority::new();
        let builder = Server::builder().list(&ProcessList::new()).listen_tls("127.0.0.1:0", tls(&authority, None));
        let server = builder.start().unwrap();
        let mut stream = tcp(server.addr());
        std::io::Write::write_all(&mut stream, request("GET", "/v1/tasks", &[], "").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }

    #[test]
    fn unusable_files_are_named_at_start() {
        let authority = Authority::new();
        let (certificate, key) = authority.sign("server");
        let (_, other_key) = authority.sign("other");
        let none = authority.dir.path("none");
        let empty = authority.dir.write("empty", "");
        for (tls, file) in [
            (Tls::new(&none, &key), &none),
            (Tls::new(&certificate, &none), &none),
            (Tls::new(&empty, &key), &empty),
            (Tls::new(&certificate, &empty), &empty),
            (Tls::new(&key, &certificate), &key),
            (Tls::new(&certificate, &other_key), &certificate),
            (Tls::new(&certificate, &key).clients(&empty, Permission::Read), &empty),
        ] {
            let error = Server::builder().listen_tls("127.0.0.1:0", tls).start().unwrap_err();
            assert!(matches!(error, pm::server::StartError::Tls { .. }), "{error:?}");
            assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
        }
    }

    /// The certificate that a server presents now, and the state of its files that it reports.
    fn shown(authority: &Authority, server: &Server) -> (Vec<u8>, serde_json::Value) {
        let mut stream = authority.connect(server.addr(), None);
        let (_, info) = json(&mut stream, &request("GET", "/v1/info", &[&bearer(READ)], ""));
        (stream.conn.peer_certificates().unwrap()[0].to_vec(), info["tls"].clone())
    }

    #[test]
    fn a_new_certificate_is_used_and_a_broken_one_is_reported_instead() {
        let (authority, dir) = (Authority::new(), Dir::new());
        let (certificate, key) = authority.sign("server");
        let tls = Tls::new(&certificate, &key);
        let builder = Server::builder().list(&ProcessList::new()).listen_tls("127.0.0.1:0", tls);
        let server = builder.token_file(dir.tokens()).start().unwrap();
        let (first, reported) = shown(&authority, &server);
        assert_eq!(reported, serde_json::json!({ "reloads": 0, "failures": 0 }));
        // Polls until the files have been read again; the certificate is still the previous one.
        let refused = |failures: u64, before: &[u8]| loop {
            let (certificate, reported) = shown(&authority, &server);
            assert_eq!(certificate, before);
            if reported["failures"] == failures {
                return reported["error"].as_str().unwrap().to_owned();
            }
        };
        let taken = |before: &[u8]| loop {
            let (certificate, reported) = shown(&authority, &server);
            if certificate != before {
                assert!(reported.get("error").is_none(), "{reported}");
                return certificate;
            }
        };

        // First the certificate without its key, as when they are copied one after the other.
        let (new_certificate, new_key) = authority.sign("new");
        std::fs::rename(new_certificate, &certificate).unwrap();
        let reported = refused(1, &first);
        assert!(reported.contains(&certificate.display().to_string()), "{reported}");
        std::fs::rename(new_key, &key).unwrap();
        let second = taken(&first);

        // Broken, then missing: the previous certificate stays in use until the files are complete again.
        std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nnonsense").unwrap();
        refused(2, &second);
        std::fs::remove_file(&certificate).unwrap();
        refused(3, &second);
        authority.sign("server");
        assert_ne!(taken(&second), first);
    }

    #[test]
    fn no_session_is_resumed_where_client_certificates_are_accepted() {
        use tokio_rustls::rustls::HandshakeKind;

        let (authority, dir) = (Authority::new(), Dir::new());
        let own = authority.sign("client");
        let second = |clients: Option<(&Authority, Permission)>| {
            let builder =
                Server::builder().list(&ProcessList::new()).listen_tls("127.0.0.1:0", tls(&authority, clients));
            let server = builder.token_file(dir.tokens()).start().unwrap();
            let client = authority.client(Some(&own));
            let kinds = [(); 2].map(|()| {
                let mut stream = safety::tls::connect(server.addr(), &client);
                assert_eq!(status(&mut stream, &request("GET", "/healthz", &[], "")), 200);
                stream.conn.handshake_kind().unwrap()
            });
            assert_eq!(kinds[0], HandshakeKind::Full);
            kinds[1]
        };
        assert_eq!(second(None), HandshakeKind::Resumed);
        assert_eq!(
            second(Some((&authority, Permission::Read))),
            HandshakeKind::Full,
            "its certificate is checked again"
        );
    }

    #[test]
    fn clients_of_a_removed_authority_are_no_longer_admitted() {
        let (authority, dir) = (Authority::new(), Dir::new());
        let (certificate, key) = authority.sign("server");
        let (one, two) = (Authority::new(), Authority::new());
        let own = one.sign("client");
        let tls = Tls::new(certificate, key).clients(one.file(), Permission::Read);
        let builder = Server::builder().list(&ProcessList::new()).listen_tls("127.0.0.1:0", tls);
        let server = builder.token_file(dir.tokens()).start().unwrap();
        let ask = || status(&mut authority.connect(server.addr(), Some(&own)), &request("GET", "/v1/tasks", &[], ""));
        assert_eq!(ask(), 200);
        std::fs::rename(two.file(), one.file()).unwrap();
        while ask() == 200 {}
        assert_eq!(ask(), 0);
    }
}

/// Sends a request on a connection that is used for several, and returns the status and the JSON of its answer.
fn json(stream: &mut dyn Stream, text: &str) -> (u16, serde_json::Value) {
    stream.write_all(text.as_bytes()).unwrap();
    let head = head(stream);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_slice(&body).unwrap())
}

#[test]
fn every_operation_of_the_description_is_tested() {
    let server = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0").start().unwrap();
    let (_, description) = json(&mut tcp(server.addr()), &request("GET", "/openapi.json", &[], ""));
    let ours: BTreeSet<_> =
        OPERATIONS.iter().map(|operation| (operation.path.to_owned(), operation.method.to_ascii_lowercase())).collect();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| ["get", "post", "delete"].contains(&key.as_str())) {
            assert!(ours.contains(&(path.replace("{id}", "{ref}"), method.clone())), "{method} {path}");
        }
    }
}

/// The answer to a request for the list with these header lines, when a token is required.
fn answer_to(headers: &[&str]) -> (u16, serde_json::Value) {
    let dir = Dir::new();
    let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0");
    let server = builder.token_file(dir.tokens()).require_token(true).start().unwrap();
    json(&mut tcp(server.addr()), &request("GET", "/v1/tasks", headers, ""))
}

#[test]
fn a_token_is_accepted_as_bearer_only_and_only_once() {
    let right = format!("Authorization: Bearer {READ}");
    let small = format!("authorization: bEARER   {READ}  ");
    for headers in [&[right.as_str()][..], &[small.as_str()]] {
        assert_eq!(answer_to(headers).0, 200, "{headers:?}");
    }
    let cut = &READ[..READ.len() - 1];
    for wrong in [
        format!("Authorization: Basic {READ}"),
        format!("Authorization: Token {READ}"),
        format!("Authorization: {READ}"),
        format!("Authorization: Bearer{READ}"),
        format!("Authorization: Bearer\t{READ}"),
        format!("Authorization: Bearer {cut}"),
        format!("Authorization: Bearer {READ}x"),
        format!("Authorization: Bearer {READ} x"),
        format!("Authorization: Bearer {READ},{READ}"),
        format!("Authorization: Bearer \"{READ}\""),
        format!("Authorization: Bearer {}", READ.to_ascii_uppercase()),
        format!("Authorization: Bearer token={READ}"),
        "Authorization: Bearer".to_owned(),
        "Authorization: Bearer ".to_owned(),
        "Authorization:".to_owned(),
        "Authorization: Bearer \u{fffd}".to_owned(),
        format!("Proxy-Authorization: Bearer {READ}"),
        format!("X-Authorization: Bearer {READ}"),
        format!("Cookie: token={READ}"),
    ] {
        let (status, problem) = answer_to(&[&wrong]);
        assert_eq!((status, problem["code"].as_str()), (401, Some("unauthorized")), "{wrong}");
        assert!(!problem.to_string().contains(cut), "{problem}");
    }
    for two in [[right.as_str(), right.as_str()], [right.as_str(), "Authorization: Bearer x"]] {
        assert_eq!(answer_to(&two).0, 401, "{two:?}");
    }
}

#[test]
fn a_refusal_explains_how_to_authenticate() {
    let dir = Dir::new();
    let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0");
    let server = builder.token_file(dir.tokens()).require_token(true).start().unwrap();
    let ask = |headers: &[&str], method: &str, target: &str| {
        let mut stream = tcp(server.addr());
        std::io::Write::write_all(&mut stream, request(method, target, headers, "").as_bytes()).unwrap();
        head(&mut stream)
    };
    let refusal = ask(&[], "GET", "/v1/tasks");
    assert!(refusal.contains("\r\nwww-authenticate: bearer\r\n"), "{refusal}");
    let reader = ask(&[&format!("Authorization: Bearer {READ}")], "POST", "/v1/cancel");
    assert!(reader.starts_with("http/1.1 403"), "{reader}");
    assert!(reader.contains("\r\nwww-authenticate: bearer error=\"insufficient_scope\"\r\n"), "{reader}");
}

#[test]
fn a_token_in_the_query_is_an_unknown_parameter_and_is_never_accepted() {
    let dir = Dir::new();
    let list = ProcessList::new();
    let task = list.start("target");
    let open = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let builder = Server::builder().list(&list).listen("127.0.0.1:0").token_file(dir.tokens());
    let closed = builder.require_token(true).start().unwrap();
    for operation in OPERATIONS.iter().filter(|operation| operation.need != Need::Nothing) {
        for name in ["token", "access_token", "authorization", "api_key"] {
            let path = operation.path.replace("{ref}", "target");
            let text = request(operation.method, &format!("{path}?{name}={CANCEL}"), &[], operation.body);
            assert_eq!(status(&mut tcp(closed.addr()), &text), 401, "{text}");
            if operation.path.starts_with("/v1/") && operation.good != [405] {
                let (status, problem) = json(&mut tcp(open.addr()), &text);
                assert_eq!((status, problem["code"].as_str()), (400, Some("unknown-parameter")), "{text}");
                assert!(!problem.to_string().contains(CANCEL), "{problem}");
            }
        }
    }
    assert!(!task.is_cancelled());
}

#[test]
fn too_many_wrong_tokens_close_the_connection_and_lock_no_one_out() {
    let dir = Dir::new();
    let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0");
    let server = builder.token_file(dir.tokens()).start().unwrap();
    let ask = |token: &str| {
        let mut stream = tcp(server.addr());
        let text = request("GET", "/v1/tasks", &[&format!("Authorization: Bearer {token}")], "");
        std::io::Write::write_all(&mut stream, text.as_bytes()).unwrap();
        head(&mut stream)
    };
    for _ in 0..10 {
        assert!(ask(WRONG).starts_with("http/1.1 401"));
    }
    let refused = ask(WRONG);
    assert!(refused.starts_with("http/1.1 429") && refused.contains("connection: close"), "{refused}");
    let seconds = refused.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=10).contains(&seconds.parse::<u64>().unwrap()), "{seconds}");
    assert!(ask(CANCEL).starts_with("http/1.1 200"), "a right token is let in, from the same address");
    assert_eq!(status(&mut tcp(server.addr()), &request("GET", "/v1/tasks", &[], "")), 200);
}

#[test]
fn an_unknown_host_or_cross_site_page_is_refused_before_its_token_is_checked() {
    let dir = Dir::new();
    let list = ProcessList::new();
    let task = list.start("target");
    let server = Server::builder().list(&list).listen("127.0.0.1:0").token_file(dir.tokens()).start().unwrap();
    let token = format!("Authorization: Bearer {CANCEL}");
    for operation in &OPERATIONS {
        let path = operation.path.replace("{ref}", "target");
        for (header, refusal) in [("Sec-Fetch-Site: cross-site", 403), ("Origin: http://evil.example", 403)] {
            let text = request(operation.method, &path, &[&token, header], operation.body);
            assert_eq!(status(&mut tcp(server.addr()), &text), refusal, "{text}");
        }
        let text = request(operation.method, &path, &[&token], operation.body).replace("localhost", "evil.example");
        assert_eq!(status(&mut tcp(server.addr()), &text), 421, "{text}");
    }
    assert!(!task.is_cancelled());
}

// Tokens that change.

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[test]
fn a_replaced_token_file_takes_effect_and_the_old_tokens_do_not() {
    let dir = Dir::new();
    let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0");
    let server = builder.token_file(dir.tokens()).require_token(true).start().unwrap();
    let mut stream = tcp(server.addr());
    let mut ask = |token: &str| json(&mut stream, &request("GET", "/v1/info", &[&bearer(token)], ""));
    let (status, info) = ask(READ);
    assert_eq!((status, &info["scope"]), (200, &"read".into()));
    dir.write("tokens", &format!("cancel {WRONG}\n"));
    // The right one fails only once, so that no request is throttled.
    while ask(CANCEL).0 == 200 {}
    let (status, info) = ask(WRONG);
    assert_eq!((status, &info["scope"]), (200, &"cancel".into()));
    assert_eq!(info["tokens"], serde_json::json!({ "count": 1, "reloads": 1, "failures": 0 }));
    assert_eq!(ask(READ).0, 401);
}

#[test]
fn a_watcher_whose_token_is_taken_away_gets_no_more_events() {
    let (list, dir) = (ProcessList::new(), Dir::new());
    let builder = Server::builder().list(&list).listen("127.0.0.1:0");
    let server = builder.token_file(dir.tokens()).require_token(true).start().unwrap();
    let watch = |token: &str| {
        let mut stream = tcp(server.addr());
        stream.write_all(request("GET", "/v1/events", &[&bearer(token), "Connection: close"], "").as_bytes()).unwrap();
        let head = head(&mut stream);
        assert!(head.starts_with("http/1.1 200"), "{head}");
        stream
    };
    let (mut loses, mut keeps) = (watch(READ), watch(CANCEL));
    dir.write("tokens", &format!("cancel {CANCEL}\n"));
    // Something happens until its token is looked at again, which is with the next event.
    let mut part = [0; 4096];
    while loses.read(&mut part).unwrap() > 0 {
        drop(list.start("job"));
    }
    let _last = list.start("last");
    let mut text = String::new();
    while !text.contains("last") {
        let count = keeps.read(&mut part).unwrap();
        assert!(count > 0, "the other one continues");
        text.push_str(&String::from_utf8_lossy(&part[..count]));
    }
}

#[test]
fn an_unusable_token_file_keeps_the_old_tokens_and_info_reports_why() {
    type Break = fn(&Dir);
    let failures: [(&str, Break); 6] = [
        ("does not exist", |dir| std::fs::remove_file(dir.path("tokens")).unwrap()),
        ("other users can open", |dir| mode(&dir.path("tokens"), 0o644)),
        ("may be incomplete", |dir| drop(dir.write("tokens", &format!("cancel {WRONG}\ncancel {}", &READ[..9])))),
        ("has no token", |dir| drop(dir.write("tokens", ""))),
        ("a token has at least", |dir| drop(dir.write("tokens", "cancel short\n"))),
        ("is not a file", |dir| {
            std::fs::remove_file(dir.path("tokens")).unwrap();
            std::fs::create_dir(dir.path("tokens")).unwrap();
        }),
    ];
    let all: Vec<_> = failures
        .iter()
        .map(|(why, spoil)| {
            let dir = Dir::new();
            let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0");
            let server = builder.token_file(dir.tokens()).require_token(true).start().unwrap();
            spoil(&dir);
            (why, dir, server)
        })
        .collect();
    for (why, dir, server) in all {
        let mut stream = tcp(server.addr());
        let mut ask = |token: &str| json(&mut stream, &request("GET", "/v1/info", &[&bearer(token)], ""));
        let reported = loop {
            let (status, info) = ask(CANCEL);
            assert_eq!((status, &info["tokens"]["count"]), (200, &2.into()), "{why}");
            if info["tokens"]["failures"] == 1 {
                break info["tokens"]["error"].as_str().unwrap().to_owned();
            }
        };
        assert!(reported.contains(why), "{reported}");
        for secret in [READ, CANCEL, WRONG] {
            assert!(!reported.contains(&secret[..9]), "{reported}");
        }
        assert_eq!(ask(READ).0, 200, "{why}");
        assert_eq!(ask(WRONG).0, 401, "{why}");
        drop(dir);
    }
}

#[test]
fn nothing_starts_unless_the_token_file_is_valid_and_private() {
    let dir = Dir::new();
    let start = || {
        let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0");
        builder.token_file(dir.path("tokens")).start().map(drop)
    };
    dir.tokens();
    assert!(start().is_ok());
    mode(&dir.path("tokens"), 0o640);
    let error = start().unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    dir.write("tokens", "cancel short\n");
    assert!(matches!(start().unwrap_err(), pm::server::StartError::Tokens { .. }));
    let without = Server::builder().listen("127.0.0.1:0").require_token(true).start().unwrap_err();
    assert!(matches!(without, pm::server::StartError::Tokens { .. }), "{without}");
}

// Other users.

const AS_ANOTHER: &str = "PM_TEST_SOCKET";

/// Runs `another_user_sends_a_request` as another user, with this socket, and returns whether it passed.
fn as_another(uid: u32, dir: &Dir, socket: &str) -> bool {
    use std::os::unix::process::CommandExt as _;
    // The directory of the test may be closed to others.
    let program = dir.path("program");
    if !program.exists() {
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        mode(&program, 0o755);
    }
    mode(program.parent().unwrap(), 0o755);
    let words = ["--exact", "another_user_sends_a_request", "--ignored", "--test-threads=1"];
    let mut command = std::process::Command::new(program);
    command.args(words).env(AS_ANOTHER, dir.path(socket)).uid(uid).current_dir("/");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let (passed, refused) = (output.status.success(), String::from_utf8_lossy(&text).contains("without access"));
    // The mode of the file lets no one get that far.
    assert!(passed || refused || socket == "closed", "{}", String::from_utf8_lossy(&text));
    passed
}

/// Passes if it has access; without it, it gets an answer that says so.
#[test]
#[ignore = "is run by another test, as another user"]
fn another_user_sends_a_request() {
    let Some(path) = std::env::var_os(AS_ANOTHER) else { return };
    let mut stream = unix(path.as_ref());
    stream.write_all(request("GET", "/v1/tasks", &["Connection: close"], "").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") || answer.contains("you are the user"), "{answer}");
    assert!(answer.starts_with("HTTP/1.1 200"), "without access");
}

#[test]
fn another_user_is_not_admitted_by_a_unix_socket_unless_it_is_named() {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata("/proc/self").map_or(1, |own| own.uid()) != 0 {
        eprintln!("only root can be another user");
        return;
    }
    let dir = Dir::new();
    let list = ProcessList::new();
    let builder = Server::builder().list(&list).listen_unix(dir.path("closed")).listen_unix(dir.path("open"));
    let server = builder.start().unwrap();
    assert!(!as_another(65_534, &dir, "closed"), "the mode of the file keeps others out");
    mode(&dir.path("open"), 0o666);
    assert!(!as_another(65_534, &dir, "open"), "and so does the kernel's word");
    assert!(as_another(0, &dir, "open"));
    drop(server);
    let server = Server::builder().list(&list).listen_unix(dir.path("open")).allow_uid(65_534).start().unwrap();
    mode(&dir.path("open"), 0o666);
    assert!(as_another(65_534, &dir, "open"));
    assert!(!as_another(65_533, &dir, "open"));
    drop(server);
}
