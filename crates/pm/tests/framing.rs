//! Requests that a proxy in front of us might parse differently: where one ends, its host, its target.
//!
//! Each case is sent in full, followed by the end of the stream. It gets an error, or no answer, or one answer to the
//! one request at its start; a request hidden behind that is never executed. All cases try to cancel the same task,
//! which continues.

#![cfg(feature = "server")]

mod safety;

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use pm::{ProcessList, Server};
use safety::{request, status, tcp};

/// The request that must not be executed.
const SMUGGLED: &str = "DELETE /procs/target HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The answers that a case may get.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    /// One error, or nothing.
    Refused,
    /// One error, or nothing, or one answer.
    One,
}

struct Case {
    bytes: Vec<u8>,
    expect: Expect,
}

/// A case whose request must be refused.
fn refused(text: impl Into<Vec<u8>>) -> Case {
    Case { bytes: text.into(), expect: Expect::Refused }
}

fn one(text: impl Into<Vec<u8>>) -> Case {
    Case { bytes: text.into(), expect: Expect::One }
}

/// A request to cancel, with these header lines and bytes behind it.
fn cancel(headers: &str, behind: &str) -> String {
    format!("DELETE /procs/target HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{behind}")
}

/// As `cancel`, for an unknown task, so that it may be answered.
fn cancel_none(headers: &str, behind: &str) -> String {
    cancel(headers, behind).replacen("/procs/target", "/procs/none", 1)
}

fn lengths() -> Vec<Case> {
    let mut all = Vec::new();
    for value in [
        "-1",
        "+5",
        "--5",
        "5-",
        "0x10",
        "1e1",
        "5.0",
        "5 5",
        "5,6",
        "5, 6",
        "5;5",
        "",
        " ",
        "\"5\"",
        "'5'",
        "٥",
        "５",
        "1_0",
        "NaN",
        "five",
        "5\u{b}",
        "0 0",
        "99999999999999999999",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "*",
        "5\t5",
    ] {
        all.push(refused(cancel(&format!("Content-Length: {value}\r\n"), SMUGGLED)));
    }
    let whole = SMUGGLED.len().to_string();
    for (first, second) in [
        ("0", whole.as_str()),
        (&whole, "0"),
        ("5", "6"),
        ("5", "05x"),
        ("", "5"),
        ("5", ""),
        ("5", "-5"),
        ("0", "5, 0"),
        ("5", "+5"),
        ("0", "0x0"),
    ] {
        all.push(refused(cancel(&format!("Content-Length: {first}\r\nContent-Length: {second}\r\n"), SMUGGLED)));
        all.push(refused(cancel(
            &format!("content-length: {first}\r\nX: y\r\nCONTENT-LENGTH: {second}\r\n"),
            SMUGGLED,
        )));
    }
    // One length, written differently.
    for lines in [
        format!("Content-Length: {whole}\r\nContent-Length: {whole}\r\n"),
        format!("Content-Length: 000{whole}\r\n"),
        format!("Content-Length:\t {whole} \t\r\n"),
        format!("content-LENGTH:{whole}\r\n"),
        format!("Content-Length: {whole}\r\nContent_Length: 0\r\n"),
        format!("Content-Length: {whole}\r\nX-Content-Length: 0\r\n"),
        format!("Content-Length: {whole}, {whole}\r\n"),
    ] {
        all.push(one(cancel_none(&lines, SMUGGLED)));
        // A body that is not read is still a body.
        all.push(one(request("GET", "/procs/", &lines.lines().collect::<Vec<_>>(), "") + SMUGGLED));
    }
    // Invalid names beside a valid length.
    for line in [
        "Content-Length : 0",
        "Content-Length\t: 0",
        " Content-Length: 0",
        "Content-Length\u{b}: 0",
        "Content-\r\n Length: 0",
        "Content-Length: 0\r\n 9",
    ] {
        all.push(refused(cancel(&format!("X: y\r\n{line}\r\nContent-Length: {whole}\r\n"), SMUGGLED)));
    }
    all
}

/// Ways to declare, or seem to declare, a chunked body, each with a length before it and after it, and with a body that
/// hides a request from readers that believe the one, and from readers that believe the other.
fn codings() -> Vec<Case> {
    const SAYINGS: [&str; 34] = [
        "Transfer-Encoding: chunked",
        "transfer-encoding:chunked",
        "Transfer-Encoding: CHUNKED",
        "Transfer-Encoding:\t chunked \t",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: , chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: x",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: chunk",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked\u{b}",
        "Transfer-Encoding: \u{c}chunked",
        "Transfer-Encoding: chunked chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: ſhunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer_Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
    ];
    let in_length = format!("0\r\n\r\n{SMUGGLED}");
    let in_chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let mut all = Vec::new();
    for saying in SAYINGS {
        // By the length there is one body; by the chunks the body ends and a request follows.
        let length = format!("Content-Length: {}", in_length.len());
        all.push(one(cancel_none(&format!("{saying}\r\n{length}\r\n"), &in_length)));
        all.push(one(cancel_none(&format!("{length}\r\n{saying}\r\n"), &in_length)));
        // The other way round: the length ends before the request in the chunk. Going by the length alone would
        // take that for the next one; only a name that is unknown to us has that effect, and rightly.
        if saying != "Transfer_Encoding: chunked" {
            let length = format!("Content-Length: {}", in_chunk.find('\n').unwrap() + 1);
            all.push(one(cancel_none(&format!("{saying}\r\n{length}\r\n"), &in_chunk)));
            all.push(one(cancel_none(&format!("{length}\r\n{saying}\r\n"), &in_chunk)));
        }
    }
    // HTTP/1.0 has no chunks.
    all.push(refused(cancel("Transfer-Encoding: chunked\r\n", &in_length).replacen("HTTP/1.1", "HTTP/1.0", 1)));
    all
}

fn chunks() -> Vec<Case> {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    let mut all = Vec::new();
    for size in [
        "",
        "x",
        "g",
        "-1",
        "+2",
        "0x2",
        "2.0",
        "2 2",
        "2g",
        "\"2\"",
        "２",
        "10000000000000000",
        "fffffffffffffffff",
        "ffffffffffffffff",
        "7fffffffffffffff",
        "2\r",
        "2\n",
        "2\n\r",
        "2\r\r\n",
        "2;\n",
        "2;a=\"\n\"",
        "\u{b}2",
        "2\0",
    ] {
        all.push(refused(cancel(CHUNKED, &format!("{size}\r\n{{}}\r\n0\r\n\r\n{SMUGGLED}"))));
    }
    // The bytes after a chunk, and the end of the last one.
    for body in [
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}\r0\r\n\r\n",
        "2\r\n{}xx0\r\n\r\n",
        "2\r\n{}\r\n0\rx",
        "2\r\n{}\r\n0\r\nX y\r\n\rx",
        "2\r\n{}\r\n",
        "2\r\n{",
        "2\r\n",
        "2",
        "ff\r\n{}",
        "0\r\n\rx",
    ] {
        let last = if body.ends_with("x") || body.ends_with("\r\n\r\n") { SMUGGLED } else { "" };
        all.push(refused(cancel(CHUNKED, &format!("{body}{last}"))));
    }
    // One body, written differently, and a request behind it, which is never read.
    for body in [
        "0\r\n\r\n",
        "000\r\n\r\n",
        "2;a\r\n{}\r\n0\r\n\r\n",
        "2;a=b;c=\"d\"\r\n{}\r\n0;x\r\n\r\n",
        "2 \r\n{}\r\n0\r\n\r\n",
        "002\r\n{}\r\n0\r\n\r\n",
        "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\nContent-Length: 99\r\n\r\n",
        "0\r\nTransfer-Encoding: gzip\r\nHost: evil.example\r\n\r\n",
    ] {
        all.push(one(cancel_none(CHUNKED, &format!("{body}{SMUGGLED}"))));
    }
    all.push(refused(cancel(CHUNKED, &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(64 << 10)))));
    all.push(refused(cancel(CHUNKED, &format!("0\r\n{}\r\n", "X: y\r\n".repeat(5_000)))));
    all
}

fn request_lines() -> Vec<Case> {
    let mut all = Vec::new();
    for line in [
        "DELETE  /procs/target HTTP/1.1",
        "DELETE\t/procs/target HTTP/1.1",
        "DELETE /procs/target  HTTP/1.1",
        "DELETE /procs/target\tHTTP/1.1",
        "DELETE /procs/target HTTP/1.1 ",
        "DELETE /procs/target HTTP/1.1 x",
        " DELETE /procs/target HTTP/1.1",
        "\tDELETE /procs/target HTTP/1.1",
        "DELETE /procs/target",
        "DELETE /procs/target ",
        "DELETE /procs/target HTTP",
        "DELETE /procs/target HTTP/",
        "DELETE /procs/target HTTP/1",
        "DELETE /procs/target HTTP/1.2",
        "DELETE /procs/target HTTP/1.9",
        "DELETE /procs/target HTTP/0.9",
        "DELETE /procs/target HTTP/2.0",
        "DELETE /procs/target HTTP/3",
        "DELETE /procs/target http/1.1",
        "DELETE /procs/target HTTP/1.1x",
        "DELETE /procs/target HTTP/01.1",
        "DELETE /procs/target HTTP/1,1",
        "DELETE /procs/target HTTPS/1.1",
        "DELETE /procs/target ICY",
        "DELETE /procs/target HTTP /1.1",
        "DELETE/procs/target HTTP/1.1",
        "DELETE",
        "",
        "DEL\0ETE /procs/target HTTP/1.1",
        "DELETE\0 /procs/target HTTP/1.1",
        "DELETE /procs/target\0 HTTP/1.1",
        "DELETE /procs/vic\u{1}tim HTTP/1.1",
        "DELETE /procs/target\u{7f} HTTP/1.1",
        "(DELETE) /procs/target HTTP/1.1",
        "DELETE: /procs/target HTTP/1.1",
        "\"DELETE\" /procs/target HTTP/1.1",
        "DÉLETE /procs/target HTTP/1.1",
        "delete /procs/target HTTP/1.1",
        "Delete /procs/target HTTP/1.1",
        "DELETEX /procs/target HTTP/1.1",
        "POST /procs/target HTTP/1.1",
        "PUT /procs/target HTTP/1.1",
        "PATCH /procs/target HTTP/1.1",
        "TRACE /procs/target HTTP/1.1",
        "TRACK /procs/target HTTP/1.1",
        "DEBUG /procs/target HTTP/1.1",
        "PRI * HTTP/2.0",
        "CONNECT localhost:80 HTTP/1.1",
        "CONNECT evil.example:443 HTTP/1.1",
        "CONNECT /procs/target HTTP/1.1",
        "DELETE procs/target HTTP/1.1",
        "DELETE ?procs/target HTTP/1.1",
        "DELETE * HTTP/1.1",
        "DELETE localhost:80 HTTP/1.1",
        "DELETE evil.example:80 HTTP/1.1",
        "DELETE /./procs/target HTTP/1.1",
        "DELETE /procs/../procs/target HTTP/1.1",
        "DELETE /%70rocs/target HTTP/1.1",
        "DELETE /procs%2Ftarget HTTP/1.1",
        "DELETE \\procs\\target HTTP/1.1",
        "DELETE /procs/target/x HTTP/1.1",
        "DELETE /PROCS/target HTTP/1.1",
        "DELETE /procs/target%00 HTTP/1.1",
        "DELETE /procs/target%20 HTTP/1.1",
        "DELETE http://evil.example/procs/target HTTP/1.1",
        "DELETE http://localhost@evil.example/procs/target HTTP/1.1",
        "DELETE http://user@localhost/procs/target HTTP/1.1",
        "DELETE http://localhost:99999/procs/target HTTP/1.1",
        "DELETE http:///procs/target HTTP/1.1",
        "DELETE http:/procs/target HTTP/1.1",
        "DELETE ftp://evil.example/procs/target HTTP/1.1",
        "DELETE //evil.example/procs/target HTTP/1.1",
        "DELETE http://[::1/procs/target HTTP/1.1",
        "DELETE http://127.1/procs/target HTTP/1.1",
    ] {
        // The rest would be a request of its own if the line were skipped.
        all.push(refused(format!("{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n")));
    }
    // Answered, but not for the request hidden in it.
    for line in [
        "GET http://localhost/procs/ HTTP/1.1",
        "GET /procs/ HTTP/1.0",
        "OPTIONS /procs/target HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /procs/#/procs/target HTTP/1.1",
        "HEAD /procs/ HTTP/1.1",
        "DELETE //procs/target HTTP/1.1",
        "GET /v1/tasks?id=a%0d%0aDELETE HTTP/1.1",
    ] {
        all.push(one(format!(
            "{line}\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{SMUGGLED}",
            SMUGGLED.len()
        )));
    }
    all
}

fn headers() -> Vec<Case> {
    let mut all = Vec::new();
    for lines in [
        "",
        "Host: evil.example",
        "Host: localhost\r\nHost: localhost",
        "Host: localhost\r\nHost: evil.example",
        "Host: evil.example\r\nHost: localhost",
        "Host: localhost, evil.example",
        "Host: localhost evil.example",
        "Host: localhost\tevil.example",
        "Host: evil.example@localhost",
        "Host: localhost:80:80",
        "Host: localhost:x",
        "Host: localhost/",
        "Host: localhost\\",
        "Host: localhost#",
        "Host: http://localhost",
        "Host: localhost\0",
        "Host: local\rhost",
        "Host: localhost.",
        "Host: \"localhost\"",
        "Host: %6cocalhost",
        "Host: ⓛocalhost",
        "Host : localhost",
        "Host\t: localhost",
        " Host: localhost",
        "Host:\r\n localhost",
        "Host: evil.example\r\n localhost",
        "X: y\r\n Host: localhost",
        "X-Forwarded-Host: localhost",
        "Forwarded: host=localhost",
        "Host: evil.example\r\nX-Forwarded-Host: localhost",
        "Host: evil.example\r\nX-Host: localhost",
        "Host;localhost",
    ] {
        let lines = if lines.is_empty() { String::new() } else { format!("{lines}\r\n") };
        all.push(refused(format!("DELETE /procs/target HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")));
    }
    all.push(refused("DELETE /procs/target HTTP/1.0\r\n\r\n"));
    for line in [
        "X",
        ": y",
        " : y",
        "X y: z",
        "X\0: y",
        "X: \0",
        "X: a\rb",
        "X: a\u{1}b",
        "X: a\u{b}b",
        "X: a\u{7f}b",
        "X\u{e9}: y",
        "X(: y",
        "X: y\r\n z",
        "\tX: y",
        "{\"message\":1}",
        "DELETE /procs/target HTTP/1.1",
    ] {
        all.push(refused(cancel(&format!("{line}\r\n"), "")));
    }
    all.push(refused(cancel(&"X: y\r\n".repeat(65), "")));
    all.push(refused(cancel(&format!("X: {}\r\n", "y".repeat(17 << 10)), "")));
    for line in [
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        "X-Method-Override: DELETE",
        "X-Original-URL: /procs/target",
        "X-Rewrite-URL: /procs/target",
    ] {
        all.push(one(format!(
            "POST /procs/target HTTP/1.1\r\nHost: localhost\r\n{line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )));
    }
    all
}

/// Requests to leave HTTP/1.1, or to wait, followed by bytes that matter only if the server complied.
fn upgrades() -> Vec<Case> {
    let mut all = Vec::new();
    let length = format!("Content-Length: {}\r\n", SMUGGLED.len());
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
        "Expect: 100-continue\r\n",
        "Expect: 200-ok\r\n",
        "Expect: 100-continue\r\nExpect: 100-continue\r\n",
        "Connection: Content-Length\r\n",
        "Connection: Host\r\n",
        "Connection: close, keep-alive\r\n",
        "TE: trailers, chunked\r\n",
        "Trailer: Content-Length\r\n",
        "Content-Encoding: gzip\r\n",
    ] {
        for line in
            ["GET /procs/", "GET /nothing", "DELETE /procs/none", "POST /v1/tasks/none/cancel", "POST /procs/target"]
        {
            all.push(one(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{lines}{length}\r\n{SMUGGLED}")));
        }
    }
    for target in ["localhost:80", "target:1", "[::1]:80"] {
        all.push(refused(format!("CONNECT {target} HTTP/1.1\r\nHost: localhost\r\n\r\n{SMUGGLED}")));
    }
    all.push(refused(format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SMUGGLED}")));
    all.push(refused(format!("\u{16}\u{3}\u{1}\0\u{5}hello{SMUGGLED}")));
    all
}

/// Returns the statuses of the answers in these bytes, in order; none of them is interim.
fn statuses(mut bytes: &[u8], is_head: bool) -> Vec<u16> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head is whole") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 ") || head.starts_with("http/1.0 "), "{head}");
        bytes = &bytes[end..];
        let status: u16 = head[9..12].parse().unwrap();
        if status == 100 {
            continue;
        }
        all.push(status);
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("answers have a length");
        if !is_head {
            bytes = &bytes[length.parse().unwrap()..];
        }
    }
    all
}

#[test]
fn an_ambiguous_request_is_refused_or_answered_once_and_hides_no_other() {
    let all: Vec<Case> =
        [lengths(), codings(), chunks(), request_lines(), headers(), upgrades()].into_iter().flatten().collect();
    assert!(all.len() >= 200, "{}", all.len());
    let list = ProcessList::new();
    let task = list.start("target");
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let mut wrong = Vec::new();
    for Case { bytes, expect } in &all {
        let mut stream = tcp(server.addr());
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let found = statuses(&answer, bytes.starts_with(b"HEAD"));
        let is_good = match (expect, &found[..]) {
            (_, []) => true,
            (Expect::One, [_]) => true,
            // An ambiguous path gets an error, and nothing is executed.
            (Expect::Refused, [status]) => *status >= 400,
            _ => false,
        };
        if !is_good || task.is_cancelled() {
            wrong.push(format!("{found:?} {}", String::from_utf8_lossy(bytes).chars().take(300).collect::<String>()));
        }
        assert!(!task.is_cancelled(), "{:?}", wrong.last());
        assert_eq!(status(&mut tcp(server.addr()), &request("GET", "/healthz", &[], "")), 200);
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), all.len());
    println!("{} cases", all.len());
}
