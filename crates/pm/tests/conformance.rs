//! The wire contract of VividCortex/pm, row by row, as its clients see it; and its bugs, which must not return.

#![cfg(feature = "server")]

mod common;

use common::{ask, delete, get, kept_address, raw, request, served};
use pm::{Options, ProcessList, Server};

const NANOS_2026: u64 = 1_767_225_600_000_000_000;

// The three valid requests.

#[test]
fn an_empty_list_is_an_empty_array_with_the_servers_time() {
    let (_list, server) = served();
    let reply = get(&server, "/procs/");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    assert!(reply.body.starts_with(r#"{"procs":[],"serverTime":"2"#) && reply.body.ends_with(r#"Z"}"#), "{reply:?}");
}

#[test]
fn a_task_has_its_fields_in_order_and_omits_absent_ones() {
    let (list, server) = served();
    let _plain = list.start("noattr");
    let task = list.task("req1").attr("uri", "/hosts/1").attr("method", "GET").start();
    task.status("reading \"quoted\" \u{1} tab\t nl\n").unwrap();
    list.cancel("req1", "m").unwrap();
    let body = get(&server, "/procs/").body;
    let (first, second) = body.split_once("},{").unwrap();
    assert!(first.starts_with(r#"{"procs":[{"id":"noattr","procTime":"2"#), "{first}");
    assert!(first.contains(r#","status":"init","serial":""#) && !first.contains("cancelling"), "{first}");
    assert!(second.starts_with(r#""id":"req1","attrs":{"method":"GET","uri":"/hosts/1"},"procTime":""#), "{second}");
    assert!(second.contains(r#","status":"[cancel request: m]","cancelling":true,"#), "{second}");
}

#[test]
fn a_history_is_oldest_first_with_the_strings_of_vividcortex_pm() {
    let (list, server) = served();
    let task = list.start("kill2");
    let _ = task.status("reading \"x\"\u{2028}");
    delete(&server, "/procs/kill2", r#"{"message":"m"}"#);
    assert!(task.status("next").is_err());
    let reply = get(&server, "/procs/kill2/history").json();
    let entries = reply["history"].as_array().unwrap();
    let statuses: Vec<_> = entries.iter().map(|entry| entry["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["init", "reading \"x\"\u{2028}", "[cancel request: m]", "next"]);
    let times: Vec<_> = entries.iter().map(|entry| entry["ts"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times.iter().all(|time| time.ends_with('Z') && time.starts_with("20")), "{times:?}");
}

#[test]
fn a_cancel_answers_200_without_a_body_and_the_task_receives_the_reason() {
    let (list, server) = served();
    let task = list.start("job");
    let reply = delete(&server, "/procs/job", r#"{"message":"two words"}"#);
    assert_eq!((reply.status, reply.body.as_str(), reply.header("content-length")), (200, "", Some("0")));
    assert_eq!(task.checkpoint().unwrap_err().reason(), "two words");
}

#[test]
fn times_are_utc_with_trailing_zeros_cut() {
    let (clock, hand) = pm::Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock));
    let task = list.start("job");
    hand.advance(std::time::Duration::from_millis(1_500));
    task.status("later").unwrap();
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let row = &get(&server, "/procs/").json()["procs"][0];
    assert!(!row["procTime"].as_str().unwrap().contains('.'), "{row}");
    assert!(row["statusTime"].as_str().unwrap().ends_with(".5Z"), "{row}");
}

#[test]
fn query_accept_and_range_are_ignored() {
    let (list, server) = served();
    let _task = list.start("job");
    let headers = ["Accept: text/html", "Accept-Encoding: gzip", "Range: bytes=0-3", "If-None-Match: *"];
    let reply = request(&server, "GET", "/procs/?a=b&c", &headers, "");
    assert_eq!((reply.status, reply.json()["procs"][0]["id"].as_str()), (200, Some("job")));
}

#[test]
fn requests_of_the_go_client_are_understood() {
    let (list, server) = served();
    let task = list.start("job");
    let headers =
        ["User-Agent: go-pm", "Accept: application/json", "Content-Type: application/json", "Accept-Encoding: gzip"];
    assert_eq!(request(&server, "GET", "/procs/", &headers, "").status, 200);
    assert_eq!(request(&server, "GET", "/procs/job/history", &headers, "").status, 200);
    assert_eq!(request(&server, "DELETE", "/procs/job", &headers, "{\"message\":\"two words\"}\n").status, 200);
    assert_eq!(task.checkpoint().unwrap_err().reason(), "two words");
}

#[test]
fn http_1_0_gets_its_answer_and_the_connection_closes() {
    let (list, server) = served();
    let tasks: Vec<_> = (0..2_000).map(|number| list.start(&number.to_string())).collect();
    let text = format!("GET /procs/ HTTP/1.0\r\nHost: {}\r\n\r\n", server.addr());
    let reply = common::Reply::parse(&raw(&server, text.as_bytes()));
    assert_eq!(reply.json()["procs"].as_array().unwrap().len(), tasks.len());
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    use std::io::{Read as _, Write as _};
    let (_list, server) = served();
    let mut stream = common::connect(server.addr());
    for _ in 0..3 {
        write!(stream, "OPTIONS /procs/x HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            reply.extend(byte);
        }
        assert!(reply.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

// DELETE in all its forms.

#[test]
fn an_invalid_body_cancels_with_an_empty_reason() {
    let (list, server) = served();
    for body in ["", "{}", r#"{"message":""}"#, "not json", r#"{"message":5}"#, "\"str\"", "\u{fffd}"] {
        let task = list.start("job");
        assert_eq!(delete(&server, "/procs/job", body).status, 200, "{body}");
        assert_eq!(task.checkpoint().unwrap_err().reason(), "", "{body}");
        let row = &get(&server, "/procs/").json()["procs"][0];
        assert_eq!(row["status"], "[cancel request]", "{body}");
    }
}

#[test]
fn the_key_is_case_insensitive_and_others_are_ignored() {
    let (list, server) = served();
    for (body, reason) in [
        (r#"{"MESSAGE":"x","y":1} trailing"#, "x"),
        (r#"{"message":"a","message":"b"}"#, "b"),
        ("{\"Message\":\"c\"}", "c"),
    ] {
        let task = list.start("job");
        let reply = request(&server, "DELETE", "/procs/job", &["Content-Type: text/plain"], body);
        assert_eq!(reply.status, 200);
        assert_eq!(task.checkpoint().unwrap_err().reason(), reason);
    }
}

#[test]
fn a_second_cancel_is_accepted_and_changes_nothing() {
    let (list, server) = served();
    let task = list.start("job");
    delete(&server, "/procs/job", r#"{"message":"first"}"#);
    assert_eq!(delete(&server, "/procs/job", r#"{"message":"second"}"#).status, 200);
    let history = get(&server, "/procs/job/history").json()["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(history[1]["status"], "[cancel request: first]");
    assert_eq!(task.checkpoint().unwrap_err().reason(), "first");
}

#[test]
fn a_trailing_slash_is_allowed() {
    let (list, server) = served();
    let task = list.start("job");
    assert_eq!(delete(&server, "/procs/job/", "").status, 200);
    assert!(task.is_cancelled());
}

#[test]
fn an_unknown_id_is_404_with_one_body() {
    let (list, server) = served();
    let _other = list.start("other");
    for (method, target) in [("DELETE", "/procs/job"), ("GET", "/procs/job/history")] {
        let reply = ask(&server, method, target);
        assert_eq!(reply.status, 404);
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        // VividCortex/pm sends a second answer as JSON after this one.
        assert_eq!(reply.body, "Not Found\nno live task has this id\n");
    }
}

#[test]
fn a_task_that_is_not_cancellable_is_403_and_gets_no_entry() {
    let (list, server) = served();
    let task = list.task("job").on_cancel(pm::CancelPolicy::Refuse).start();
    let reply = delete(&server, "/procs/job", r#"{"message":"m"}"#);
    assert_eq!(reply.status, 403);
    assert!(reply.body.starts_with("Forbidden\n"), "{reply:?}");
    assert!(task.checkpoint().is_ok());
    assert_eq!(get(&server, "/procs/job/history").json()["history"].as_array().unwrap().len(), 1);
    assert_eq!(get(&server, "/procs/").json()["procs"][0]["cancellable"], false);
}

#[test]
fn a_list_can_forbid_cancels() {
    let list = ProcessList::with_options(Options::new().on_cancel(pm::CancelPolicy::Refuse));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let _task = list.start("job");
    assert_eq!(delete(&server, "/procs/job", "").status, 403);
}

// Everything else.

#[test]
fn other_methods_get_the_allowed_ones() {
    let (list, server) = served();
    let _task = list.start("job");
    for (target, allow, good) in [
        ("/procs/", "GET, HEAD", &["GET", "HEAD"][..]),
        ("/procs/job/history", "GET, HEAD", &["GET", "HEAD"]),
        ("/procs/job", "DELETE, OPTIONS", &["DELETE", "OPTIONS"]),
        ("/procs/job/", "DELETE, OPTIONS", &["DELETE", "OPTIONS"]),
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "BREW"] {
            if good.contains(&method) {
                continue;
            }
            let reply = ask(&server, method, target);
            assert_eq!(
                (reply.status, reply.header("allow")),
                (405, Some(allow.to_lowercase().as_str())),
                "{method} {target}"
            );
            assert_eq!(reply.body.starts_with("Method Not Allowed\n"), method != "HEAD", "{method} {target}");
        }
    }
}

#[test]
fn options_lists_delete_for_any_id() {
    let (_list, server) = served();
    for target in ["/procs/unknown", "/procs/unknown/", "/procs/%FF"] {
        let reply = ask(&server, "OPTIONS", target);
        assert_eq!((reply.status, reply.header("allow"), reply.body.as_str()), (200, Some("delete, options"), ""));
    }
}

#[test]
fn the_list_without_its_slash_redirects() {
    let (_list, server) = served();
    let reply = get(&server, "/procs?a=b");
    assert_eq!((reply.status, reply.header("location")), (301, Some("/procs/?a=b")));
    assert_eq!(get(&server, "//procs/").header("location"), Some("/procs/"));
}

#[test]
fn unknown_paths_are_404() {
    let (list, server) = served();
    let _task = list.start("x");
    for target in ["/foo", "/PROCS/", "/procs/x/history/", "/procs/x/foo", "/procs/x/History", "/procs/x//history"] {
        assert_eq!(get(&server, target).status, 404, "{target}");
    }
}

#[test]
fn a_bad_percent_encoding_is_400_with_that_message() {
    let (_list, server) = served();
    for target in ["/procs/50%/history", "/procs/%zz/history"] {
        let reply = get(&server, target);
        assert_eq!(reply.status, 400);
        assert!(reply.body.starts_with("Bad Request\n") && reply.body.contains("%25"), "{reply:?}");
    }
}

#[test]
fn a_request_without_a_host_is_400() {
    let (_list, server) = served();
    let reply = common::Reply::parse(&raw(&server, b"GET /procs/ HTTP/1.1\r\nConnection: close\r\n\r\n"));
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("Host header is missing"), "{reply:?}");
}

#[test]
fn every_answer_forbids_sniffing_and_caching_and_none_allows_other_sites() {
    let (list, server) = served();
    let _task = list.start("job");
    for (method, target) in [
        ("GET", "/procs/"),
        ("GET", "/procs/job/history"),
        ("DELETE", "/procs/job"),
        ("OPTIONS", "/procs/job"),
        ("GET", "/"),
    ] {
        let reply = ask(&server, method, target);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{method} {target}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{method} {target}");
        assert!(!reply.head.contains("access-control"), "{method} {target}");
        assert!(reply.header("date").is_some() && reply.header("server").is_none(), "{method} {target}");
    }
}

// Ids in paths: every one of them is reachable.

#[test]
fn any_id_is_reachable() {
    let (list, server) = served();
    let long = "x".repeat(1_000);
    for id in [
        "",
        ".",
        "..",
        "/",
        "a/b",
        "a//b",
        "x/history",
        "a/",
        "\0",
        "%",
        "50%",
        "p%41",
        "a%2Fb",
        "a+b",
        "a?b",
        "a#b",
        "<b>&",
        "q\"uote",
        "semi;colon",
        "with space",
        "ünï",
        "🦀\u{10ffff}",
        "history",
        "procs",
        "\u{202e}",
        "\r\n",
        &long,
    ] {
        let task = list.start(id);
        assert_eq!(get(&server, "/procs/").json()["procs"][0]["id"], id);
        let segment = pm_wire::encode_id(id);
        let history = get(&server, &format!("/procs/{segment}/history"));
        assert_eq!((history.status, history.json()["history"][0]["status"].as_str()), (200, Some("init")), "{id:?}");
        assert_eq!(delete(&server, &format!("/procs/{segment}/"), "").status, 200, "{id:?}");
        assert!(task.is_cancelled(), "{id:?}");
    }
}

#[test]
fn an_id_in_raw_utf8_is_reachable_too() {
    let (list, server) = served();
    let _task = list.start("ünï");
    assert_eq!(get(&server, "/procs/ünï/history").status, 200);
}

#[test]
fn an_encoded_trailing_slash_belongs_to_the_id() {
    let (list, server) = served();
    let task = list.start("a");
    assert_eq!(delete(&server, "/procs/a%2F", "").status, 404);
    assert!(!task.is_cancelled());
}

#[test]
fn bytes_that_are_not_utf8_match_no_task() {
    let (_list, server) = served();
    assert_eq!(get(&server, "/procs/%FF%FE/history").status, 404);
    assert_eq!(delete(&server, "/procs/%FF%FE", "").status, 404);
}

#[test]
fn an_id_beyond_the_limit_is_found_by_its_full_string() {
    let (list, server) = served();
    let id = "é".repeat(1_000);
    let task = list.start(&id);
    assert_eq!(delete(&server, &format!("/procs/{}", pm_wire::encode_id(&id)), "").status, 200);
    assert!(task.is_cancelled());
}

// Bugs of VividCortex/pm.

#[test]
fn tasks_may_share_an_id_and_a_cancel_then_names_their_serials() {
    let (list, server) = served();
    let (one, two) = (list.start("dup"), list.start("dup"));
    assert_eq!(get(&server, "/procs/").json()["procs"].as_array().unwrap().len(), 2);
    for (method, target) in [("DELETE", "/procs/dup"), ("GET", "/procs/dup/history")] {
        let reply = ask(&server, method, target);
        assert_eq!(reply.status, 409);
        assert!(
            reply.body.contains(&one.serial().unwrap().to_string())
                && reply.body.contains(&two.serial().unwrap().to_string())
        );
        assert!(reply.body.contains("?serial=N"), "{reply:?}");
    }
    assert!(!one.is_cancelled() && !two.is_cancelled());

    let target = format!("/procs/dup?serial={}", two.serial().unwrap());
    assert_eq!(delete(&server, &target, r#"{"message":"this one"}"#).status, 200);
    assert!(!one.is_cancelled() && two.is_cancelled());
    let history = get(&server, &format!("/procs/dup/history?serial={}", two.serial().unwrap())).json();
    assert_eq!(history["history"][1]["status"], "[cancel request: this one]");
    drop(one);
    assert_eq!(get(&server, "/procs/dup/history").status, 200);
}

#[test]
fn the_serial_of_another_task_is_404_and_an_invalid_one_is_400() {
    let (list, server) = served();
    let (task, other) = (list.start("job"), list.start("other"));
    assert_eq!(delete(&server, &format!("/procs/job?serial={}", other.serial().unwrap()), "").status, 404);
    assert_eq!(get(&server, &format!("/procs/job/history?serial={}", other.serial().unwrap())).status, 404);
    assert_eq!(delete(&server, "/procs/job?serial=abc", "").status, 400);
    assert!(!task.is_cancelled() && !other.is_cancelled());
}

#[test]
fn a_value_that_json_cannot_express_affects_only_itself() {
    let (list, server) = served();
    let _task = list
        .task("job")
        .attr("nan", f64::NAN)
        .attr("inf", f64::INFINITY)
        .attr("minus_inf", f64::NEG_INFINITY)
        .attr("good", 1.5)
        .attr("big", u64::MAX)
        .attr("yes", true)
        .start();
    let row = &get(&server, "/procs/").json()["procs"][0];
    let expected = serde_json::json!({
        "nan": null, "inf": null, "minus_inf": null, "good": 1.5, "big": u64::MAX, "yes": true
    });
    assert_eq!(row["attrs"], expected);
}

#[test]
fn a_status_after_the_cancel_request_does_not_hide_it() {
    let (list, server) = served();
    let task = list.start("job");
    delete(&server, "/procs/job", "");
    assert!(task.status("step 2").is_err());
    let row = &get(&server, "/procs/").json()["procs"][0];
    assert_eq!((row["status"].as_str(), row["cancelling"].as_bool()), (Some("step 2"), Some(true)));
}

#[test]
fn a_history_is_bounded_and_reports_what_it_dropped() {
    let (list, server) = served();
    let task = list.start("job");
    for number in 0..100_000 {
        pm::status!(task, "block {number}").unwrap();
    }
    let reply = get(&server, "/procs/job/history").json();
    let entries = reply["history"].as_array().unwrap();
    assert_eq!(entries[0]["status"], "init");
    assert_eq!(entries.last().unwrap()["status"], "block 99999");
    assert!((128..=160).contains(&entries.len()), "{}", entries.len());
    assert_eq!(reply["dropped"].as_u64().unwrap() + entries.len() as u64, 100_001);
}

#[test]
fn the_list_is_oldest_first_and_may_exceed_one_buffer() {
    let (list, server) = served();
    let tasks: Vec<_> = (0..3_000).map(|number| list.task(&number.to_string()).attr("n", number).start()).collect();
    let reply = get(&server, "/procs/");
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    let ids: Vec<i64> =
        reply.json()["procs"].as_array().unwrap().iter().map(|row| row["attrs"]["n"].as_i64().unwrap()).collect();
    assert_eq!(ids, (0..tasks.len() as i64).collect::<Vec<_>>());
}

#[test]
fn a_server_can_be_stopped_and_started_again_at_once() {
    let (list, address) = (ProcessList::new(), kept_address());
    let server = Server::builder().list(&list).listen(address).start().unwrap();
    assert_eq!(get(&server, "/procs/").status, 200);
    server.shutdown();
    for _ in 0..3 {
        drop(Server::builder().list(&list).listen(address).start().unwrap());
    }
}

#[test]
fn dates_are_of_this_century() {
    let (list, server) = served();
    let _task = list.start("job");
    let row = get(&server, "/procs/").json();
    let time: pm_wire::Timestamp = row["procs"][0]["procTime"].as_str().unwrap().parse().unwrap();
    assert!(time.unix_nanos() > i128::from(NANOS_2026) - 86_400_000_000_000 * 366);
}
