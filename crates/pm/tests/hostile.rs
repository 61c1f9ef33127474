//! Malicious and broken clients. Each gets its answer, and no other client is affected.

#![cfg(feature = "server")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use common::{Reply, connect, delete, get, raw, request, served};
use pm::server::StartError;
use pm::{ProcessList, Server};

/// Sends as much as the server accepts, then reads its answer.
fn insist(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    // The server may close while we are still sending.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    reply
}

#[test]
fn a_body_of_a_gibibyte_is_refused_before_it_is_read() {
    let (list, server) = served();
    let task = list.start("job");
    let head = format!("DELETE /procs/job HTTP/1.1\r\nHost: {}\r\nContent-Length: 1073741824\r\n\r\n", server.addr());
    let reply = Reply::parse(&raw(&server, head.as_bytes()));
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    assert!(reply.body.contains("65536 bytes"), "{reply:?}");
    assert!(!task.is_cancelled());
}

#[test]
fn a_body_of_unknown_length_is_refused_at_the_limit_with_an_explanation() {
    let (list, server) = served();
    let task = list.start("job");
    let mut text =
        format!("DELETE /procs/job HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", server.addr())
            .into_bytes();
    for _ in 0..64 {
        text.extend_from_slice(b"10000\r\n");
        text.resize(text.len() + 0x10000, b'x');
        text.extend_from_slice(b"\r\n");
    }
    let reply = Reply::parse(&insist(&mut connect(server.addr()), &text));
    assert_eq!(reply.status, 413);
    assert!(!task.is_cancelled());
}

#[test]
fn a_body_at_the_limit_is_read() {
    let (list, server) = served();
    let task = list.start("job");
    let body = format!(r#"{{"message":"why","x":"{}"}}"#, "x".repeat((64 << 10) - 24));
    assert_eq!(body.len(), 64 << 10);
    assert_eq!(delete(&server, "/procs/job", &body).status, 200);
    assert_eq!(task.checkpoint().unwrap_err().reason(), "why");
}

#[test]
fn a_path_of_a_mebibyte_is_refused() {
    let (_list, server) = served();
    let text = format!("GET /procs/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(1 << 20));
    let reply = insist(&mut connect(server.addr()), text.as_bytes());
    let status = &String::from_utf8_lossy(&reply)[..12];
    assert!(["HTTP/1.1 414", "HTTP/1.1 431"].contains(&status), "{status}");
    assert_eq!(get(&server, "/procs/").status, 200);
}

#[test]
fn a_head_beyond_the_limit_is_431() {
    let (_list, server) = served();
    for header in [format!("X: {}\r\n", "x".repeat(20 << 10)), "X: y\r\n".repeat(200)] {
        let text = format!("GET /procs/ HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
        let reply = insist(&mut connect(server.addr()), text.as_bytes());
        assert!(reply.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&reply));
    }
}

#[test]
fn invalid_http_is_400_or_closed_without_effect() {
    let (list, server) = served();
    let task = list.start("job");
    let binary: Vec<u8> = (0..=255).cycle().take(4_000).collect();
    for text in [
        &b"\r\n\r\n\r\n"[..],
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /procs/\r\n\r\n",
        b"GET /procs/ HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"DELETE /procs/job HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"DELETE /procs/job HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"DELETE /procs/job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"DELETE /procs/job HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"DELETE /procs/job HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        b"DELETE /procs/job HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"DELETE /procs/jo b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"DELETE /procs/job\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &binary,
    ] {
        let mut stream = connect(server.addr());
        let _ = stream.write_all(text);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4"), "{:?}: {reply}", String::from_utf8_lossy(text));
        assert!(!task.is_cancelled(), "{:?}", String::from_utf8_lossy(text));
    }
    assert_eq!(get(&server, "/procs/").status, 200);
}

#[test]
fn a_request_is_read_by_its_own_length_and_the_next_one_after_it() {
    let (list, server) = served();
    let tasks = [list.start("one"), list.start("two")];
    let host = server.addr();
    let text = format!(
        "DELETE /procs/one HTTP/1.1\r\nHost: {host}\r\nContent-Length: 15\r\n\r\n{{\"message\":\"a\"}}\
         DELETE /procs/two HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    );
    let reply = String::from_utf8(raw(&server, text.as_bytes())).unwrap();
    assert_eq!(reply.matches("HTTP/1.1 200 OK").count(), 2, "{reply}");
    assert_eq!(tasks[0].checkpoint().unwrap_err().reason(), "a");
    assert_eq!(tasks[1].checkpoint().unwrap_err().reason(), "");
}

#[test]
fn a_length_and_chunks_together_do_not_smuggle_a_second_request() {
    let (list, server) = served();
    let task = list.start("job");
    let text = format!(
        "GET /procs/ HTTP/1.1\r\nHost: {0}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
         3f\r\nDELETE /procs/job HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\n\r\n\r\n0\r\n\r\n",
        "localhost:12345"
    );
    insist(&mut connect(server.addr()), text.as_bytes());
    assert!(!task.is_cancelled());
}

#[test]
fn an_unknown_host_and_a_cross_site_page_are_refused_on_every_route() {
    let (list, server) = served();
    let task = list.start("job");
    for (method, target) in [
        ("GET", "/procs/"),
        ("GET", "/procs/job/history"),
        ("DELETE", "/procs/job"),
        ("OPTIONS", "/procs/job"),
        ("GET", "/procs"),
        ("GET", "/nothing"),
    ] {
        let text = format!("{method} {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        let reply = Reply::parse(&raw(&server, text.as_bytes()));
        assert_eq!(reply.status, 421, "{method} {target}");
        assert!(reply.body.contains("allow_host"), "{reply:?}");
        for header in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
            let reply = request(&server, method, target, &[header], "");
            assert_eq!(reply.status, 403, "{method} {target} {header}");
        }
    }
    assert!(!task.is_cancelled());
    assert_eq!(
        request(&server, "DELETE", "/procs/job", &[&format!("Origin: http://{}", server.addr())], "").status,
        200
    );
}

/// Returns a connection that waits for the verdict on a task that continues.
fn waiting(list: &ProcessList, server: &Server, id: &str) -> TcpStream {
    let before = list.counters().cancel_requests;
    let mut stream = connect(server.addr());
    let text = format!("DELETE /procs/{id}?wait=25s HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr());
    stream.write_all(text.as_bytes()).unwrap();
    while list.counters().cancel_requests == before {
        std::thread::yield_now();
    }
    stream
}

/// A list, and a server of it that accepts two connections.
fn with_two_connections() -> (ProcessList, Server) {
    let list = ProcessList::new();
    let server = Server::builder().list(&list).listen("127.0.0.1:0").max_connections(2).start().unwrap();
    (list, server)
}

#[test]
fn one_connection_too_many_gets_503_until_another_ends() {
    let (list, server) = with_two_connections();
    let tasks = [list.start("one"), list.start("two")];
    let _waiting = ["one", "two"].map(|id| waiting(&list, &server, id));
    let reply = get(&server, "/procs/");
    assert_eq!((reply.status, reply.header("connection")), (503, Some("close")));
    assert!(reply.body.contains("too many connections"), "{reply:?}");
    // Both get their verdicts, and are idle a moment later.
    drop(tasks);
    while get(&server, "/procs/").status == 503 {}
}

#[test]
fn a_connection_without_a_whole_request_makes_space_for_another() {
    let (list, server) = with_two_connections();
    let _task = list.start("unresponsive");
    let mut of_use = waiting(&list, &server, "unresponsive");
    let beginnings: [&[u8]; 4] = [
        b"",
        b"GET /v1/tasks HTTP/1.1\r\nHo",
        b"OPTIONS /procs/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/tasks/x/cancel HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    ];
    for text in beginnings {
        let mut idle = connect(server.addr());
        idle.write_all(text).unwrap();
        assert_eq!(get(&server, "/procs/").status, 200, "beside {:?}", String::from_utf8_lossy(text));
        // It was closed, if it was accepted before ours.
        drop(idle);
    }
    of_use.set_nonblocking(true).unwrap();
    let error = of_use.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "the one that is of use is still open");
}

#[test]
fn a_waiting_client_that_is_gone_gives_its_place_to_another() {
    let (list, server) = with_two_connections();
    let _tasks = [list.start("one"), list.start("two")];
    let gone = ["one", "two"].map(|id| waiting(&list, &server, id));
    for stream in &gone {
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
    // Their end is noticed a moment later.
    while get(&server, "/procs/").status == 503 {}
    assert_eq!(get(&server, "/healthz").status, 200);
}

#[test]
fn readers_that_stall_leave_memory_to_short_responses_and_in_the_end_to_others() {
    let list = ProcessList::new();
    let server = Server::builder().list(&list).listen("127.0.0.1:0").max_memory(2 << 20).start().unwrap();
    let _tasks: Vec<_> = (0..50_000).map(|number| list.start(&number.to_string())).collect();
    let stalled: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = connect(server.addr());
            stream.write_all(b"GET /procs/ HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            stream
        })
        .collect();
    let refused = get(&server, "/v1/tree?limit=1000");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"out-of-memory".into()));
    assert!(refused.header("retry-after").is_some() && refused.json()["hint"].is_string(), "{refused:?}");
    assert_eq!(get(&server, "/v1/tasks?limit=5").status, 200);
    assert_eq!(get(&server, "/healthz").status, 200);
    // A few seconds later each refusal disconnects one of them.
    while get(&server, "/procs/").status == 503 {}
    drop(stalled);
}

#[test]
fn clients_that_do_not_read_delay_no_other() {
    let (list, server) = served();
    let tasks: Vec<_> = (0..20_000).map(|number| list.start(&number.to_string())).collect();
    let lazy: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = connect(server.addr());
            stream.write_all(b"GET /procs/ HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    assert_eq!(get(&server, "/procs/0/history").status, 200);
    assert_eq!(get(&server, "/procs/").json()["procs"].as_array().unwrap().len(), tasks.len());
    drop(tasks);
    assert_eq!(get(&server, "/procs/").json()["procs"].as_array().unwrap().len(), 0);
    drop(lazy);
}

#[test]
fn a_client_that_disconnects_midway_leaves_nothing_behind() {
    let (list, server) = served();
    let _tasks: Vec<_> = (0..5_000).map(|number| list.start(&number.to_string())).collect();
    for _ in 0..200 {
        let mut stream = connect(server.addr());
        stream.write_all(b"GET /procs/ HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
    }
    assert_eq!(get(&server, "/procs/").status, 200);
}

#[test]
fn strings_with_any_characters_round_trip() {
    let (list, server) = served();
    let text = "</script>\u{1b}]0;x\u{7}\u{202e}\0\"\\\u{2028}🦀\u{7f}";
    let task = list.task(text).kind(text).attr(text, text).start();
    task.status(text).unwrap();
    task.progress(1, 2, text);
    let row = &get(&server, "/procs/").json()["procs"][0];
    for value in [&row["id"], &row["kind"], &row["attrs"][text], &row["status"], &row["progress"]["unit"]] {
        assert_eq!(value, text);
    }
}

#[test]
fn a_constantly_changing_list_is_always_valid_json() {
    let (list, server) = served();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (list, done) = (&list, &done);
            scope.spawn(move || {
                let mut number = 0_u64;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let task = list.task(&format!("{thread}-{number}")).attr("n", number).start();
                    for _ in 0..20 {
                        let _ = pm::status!(task, "status of {thread}-{number}");
                    }
                    number += 1;
                }
            });
        }
        for _ in 0..200 {
            for row in get(&server, "/procs/").json()["procs"].as_array().unwrap() {
                let (id, status) = (row["id"].as_str().unwrap(), row["status"].as_str().unwrap());
                assert!(status == "init" || status == format!("status of {id}"), "{row}");
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Returns connections on which half a head was sent, or nothing.
fn half_open(server: &Server, count: usize) -> Vec<TcpStream> {
    let head = b"GET /procs/ HTTP/1.1\r\nHost: localhost\r\n";
    let all = (0..count).map(|number| {
        let mut stream = connect(server.addr());
        // One that was refused may be closed already.
        let _ = stream.write_all(&head[..number % head.len()]);
        stream
    });
    all.collect()
}

#[test]
fn half_open_connections_delay_no_other_below_the_limit() {
    let (_list, server) = served();
    let _all = half_open(&server, 400);
    for _ in 0..20 {
        assert_eq!(get(&server, "/procs/").status, 200);
    }
}

#[cfg(unix)]
#[test]
fn a_thousand_half_open_connections_are_limited_time_out_and_do_not_lock_the_owner_out() {
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    let path = std::env::temp_dir().join(format!("pm-half-open-{}", std::process::id()));
    let builder = Server::builder().list(&ProcessList::new()).listen("127.0.0.1:0").listen_unix(&path);
    let server = builder.head_timeout(Duration::from_secs(2)).start().unwrap();
    let owner = || {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        Reply::parse(&reply)
    };
    let all = half_open(&server, 1_000);
    let reply = owner();
    assert_eq!(reply.status, 200);
    let connections = reply.json()["own"]["connections"].as_u64().unwrap();
    assert!(connections <= 513, "{connections}");
    // Each ends after its timeout with an answer or, beyond the limit, refused or closed; then there is space again.
    for mut stream in all {
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        let reply = String::from_utf8(reply).unwrap();
        // Evicted ones are closed without a word.
        let is_end = reply.is_empty() || reply.starts_with("HTTP/1.1 408") || reply.starts_with("HTTP/1.1 503");
        assert!(is_end, "{reply}");
    }
    while get(&server, "/procs/").status == 503 {}
    // Ours is one of them.
    while owner().json()["own"]["connections"] != 1 {}
}

#[test]
fn a_client_gets_its_answer_though_its_body_is_not_read() {
    let (_list, server) = served();
    for size in [1, 1 << 10, 60 << 10, 1 << 20] {
        let head = format!("GET /procs/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n");
        let mut stream = connect(server.addr());
        let mut bytes = head.into_bytes();
        bytes.resize(bytes.len() + size, b'x');
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        assert_eq!(Reply::parse(&reply).status, 200, "{size}");
    }
}

// Starting.

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = pm::serve(address).unwrap_err();
    assert_eq!(error.to_string(), format!("could not listen on {address}: the port is in use"));
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn an_address_beyond_loopback_needs_the_dangerous_option() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = pm::serve(address).unwrap_err();
        assert!(matches!(error, StartError::BeyondLoopback { .. }), "{error}");
        assert!(error.to_string().contains("dangerously_listen_beyond_loopback"), "{error}");
    }
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    assert!(matches!(Server::builder().listener(open).start(), Err(StartError::BeyondLoopback { .. })));
    let server = Server::builder()
        .list(&ProcessList::new())
        .listen("0.0.0.0:0")
        .dangerously_listen_beyond_loopback(true)
        .start()
        .unwrap();
    let text = format!("GET /procs/ HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", server.addr().port());
    let mut stream = connect(([127, 0, 0, 1], server.addr().port()).into());
    assert_eq!(Reply::parse(&insist(&mut stream, text.as_bytes())).status, 200);
}

#[test]
fn an_invalid_address_is_named() {
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999", ""] {
        let error = pm::serve(address).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`{address}` is not an address")), "{error}");
    }
    assert!(matches!(Server::builder().start(), Err(StartError::NoAddress)));
}

#[test]
fn an_address_that_is_not_ours_is_named() {
    let error = pm::serve("127.0.0.1:1").map(drop).err().map(|error| error.to_string());
    // A user that may listen on any port gets no error, unless such a user runs this test elsewhere at the same time.
    let may_be = ["not permitted", "the port is in use"].map(|why| format!("could not listen on 127.0.0.1:1: {why}"));
    assert!(error.is_none_or(|text| may_be.contains(&text)));
}

#[test]
fn several_addresses_serve_the_same_list() {
    let list = ProcessList::new();
    let builder =
        Server::builder().list(&list).listen("127.0.0.1:0").listener(TcpListener::bind("127.0.0.1:0").unwrap());
    let server = builder.start().unwrap();
    assert_eq!(server.addrs().len(), 2);
    for &address in server.addrs() {
        let text = format!("GET /procs/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        assert_eq!(Reply::parse(&insist(&mut connect(address), text.as_bytes())).status, 200);
    }
}

#[test]
fn a_detached_server_continues() {
    let (list, server) = served();
    let address = server.addr();
    server.detach();
    let mut stream = connect(address);
    let text = format!("GET /procs/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    assert_eq!(Reply::parse(&insist(&mut stream, text.as_bytes())).status, 200);
    drop(list);
}
