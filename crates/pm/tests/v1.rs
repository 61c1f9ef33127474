//! The reading routes of `/v1`: lists in pages, one task, its history, the tree, kinds, info, metrics.

#![cfg(feature = "server")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{code_of, get, request, served, served_by_hand};
use pm::{Options, ProcessList, Server, Task};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

/// Returns the ids of the tasks in an answer.
#[track_caller]
fn ids(server: &Server, target: &str) -> Vec<String> {
    let reply = get(server, target);
    assert_eq!(reply.status, 200, "{target}: {reply:?}");
    let json = reply.json();
    let tasks = json["tasks"].as_array().unwrap();
    tasks.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Returns a list with three tasks, started a second apart; the second has a cancel request.
fn three() -> (ProcessList, pm::ManualClock, Server, Vec<Task>) {
    let (list, hand, server) = served_by_hand();
    let mut tasks = Vec::new();
    for (id, kind, host) in [("a", "import", "web1"), ("b", "export", "web2"), ("c", "import", "web2")] {
        tasks.push(list.task(id).kind(kind).attr("host", host).start());
        hand.advance(SECOND);
    }
    list.cancel("b", "why").unwrap();
    hand.advance(SECOND);
    tasks[2].status("waiting for x").unwrap();
    hand.advance(SECOND);
    (list, hand, server, tasks)
}

// The list.

#[test]
fn an_empty_list_has_a_count_of_zero_and_a_time() {
    let (_list, server) = served();
    let reply = get(&server, "/v1/tasks");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let json = reply.json();
    assert!(json["serverTime"].as_str().unwrap().ends_with('Z'));
    let rest = json!({"tasks": [], "total": 0, "truncated": false, "serverTime": json["serverTime"]});
    assert_eq!(json, rest);
}

#[test]
fn every_filter_filters() {
    let (list, _hand, server, tasks) = three();
    let child = list.task("d").parent(&tasks[0]).start();
    let serials: Vec<_> = tasks.iter().chain([&child]).map(|task| task.serial().unwrap().to_string()).collect();
    for (query, found) in [
        ("state=running", "acd"),
        ("state=cancelling", "b"),
        ("state=ended", ""),
        ("outcome=", "abcd"),
        ("outcome=failed", ""),
        ("kind=import", "ac"),
        ("kind=im*,ex*", "abc"),
        ("kind=", "d"),
        ("id=a,d", "ad"),
        ("status=waiting+for+*", "c"),
        ("status=waiting%20for%20x", "c"),
        ("status=init", "ad"),
        (&format!("parent={}", serials[0]), "d"),
        (&format!("serial={},{}", serials[0], serials[2]), "ac"),
        ("attr.host=web2", "bc"),
        ("attr.host=web2&kind=import", "c"),
        ("attr.nothing=", "abcd"),
        ("minAge=4s", "ab"),
        ("maxAge=4s", "bcd"),
        ("minStatusAge=5s", "a"),
        ("maxStatusAge=1500ms", "cd"),
        ("id=a*&id=*", "a"),
        ("id=a&id=b", ""),
    ] {
        let all = ids(&server, &format!("/v1/tasks?{query}"));
        assert_eq!(all.concat(), found, "{query}");
        assert_eq!(get(&server, &format!("/v1/tasks?{query}&limit=0")).json()["total"], found.len(), "{query}");
    }
}

#[test]
fn every_sort_key_sorts_both_ways_and_the_oldest_come_first() {
    let (_list, _hand, server, _tasks) = three();
    for (sort, found) in [
        ("", "abc"),
        ("?sort=-age", "abc"),
        ("?sort=age", "cba"),
        ("?sort=statusAge", "cba"),
        ("?sort=-statusAge", "abc"),
        ("?sort=id", "abc"),
        ("?sort=-id", "cba"),
        ("?sort=kind", "bac"),
        ("?sort=-kind", "acb"),
        ("?sort=kind,-id", "bca"),
        ("?sort=status", "bac"),
        ("?sort=-serial", "cba"),
    ] {
        assert_eq!(ids(&server, &format!("/v1/tasks{sort}")).concat(), found, "{sort}");
    }
    for bad in ["", "x", "age,", "-", "endedAt", "age,id,kind,status", "Age"] {
        let reply = get(&server, &format!("/v1/tasks?sort={bad}"));
        assert_eq!(code_of(&reply, 400), "invalid-parameter", "{bad}");
        assert_eq!(reply.json()["parameter"], "sort");
    }
}

#[test]
fn limits_have_bounds_and_zero_only_counts() {
    let (list, server) = served();
    let _tasks: Vec<_> = (0..1_100).map(|number| list.start(&number.to_string())).collect();
    for (query, shown, truncated) in
        [("", 100, true), ("?limit=1", 1, true), ("?limit=0", 0, true), ("?limit=1000", 1_000, true)]
    {
        let json = get(&server, &format!("/v1/tasks{query}")).json();
        assert_eq!(json["tasks"].as_array().unwrap().len(), shown, "{query}");
        assert_eq!((&json["total"], &json["truncated"]), (&1_100.into(), &truncated.into()), "{query}");
        assert_eq!(json.get("nextCursor").is_some(), shown > 0, "{query}");
    }
    assert_eq!(get(&server, "/v1/tasks?id=1,2&limit=2").json()["truncated"], false);
    for bad in ["", "-1", "1001", "x", "1.5", "+1", "1e2", "99999999999999999999"] {
        let reply = get(&server, &format!("/v1/tasks?limit={bad}"));
        assert_eq!(code_of(&reply, 400), "invalid-parameter", "{bad}");
    }
    assert_eq!(code_of(&get(&server, "/v1/tasks?limit=1&limit=1"), 400), "invalid-parameter");
}

/// Reads all pages of a list, and returns the serials; calls `between` after each page.
fn pages(server: &Server, query: &str, mut between: impl FnMut(usize)) -> Vec<String> {
    let mut serials = Vec::new();
    let mut cursor = String::new();
    for page in 0.. {
        let json = get(server, &format!("/v1/tasks?{query}{cursor}")).json();
        let rows = json["tasks"].as_array().unwrap_or_else(|| panic!("{json}"));
        serials.extend(rows.iter().map(|row| row["serial"].as_str().unwrap().to_owned()));
        match json["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => {
                assert_eq!(json["truncated"], false);
                break;
            }
        }
        between(page);
    }
    serials
}

#[test]
fn no_task_is_repeated_or_left_out_while_others_start_and_end() {
    for sort in ["-age", "age", "id", "-id,age", "kind,-statusAge", "status", "-serial"] {
        let (list, hand, server) = served_by_hand();
        let start = |number: usize| {
            // Duplicate ids and statuses: the order must not depend on unique ones.
            let task = list.task(&format!("{:03}", number % 150)).kind(["x", "y", "z"][number % 3]).start();
            task.status(["reading", "writing"][number % 2]).unwrap();
            hand.advance(Duration::from_millis(number as u64 % 2));
            Some(task)
        };
        let mut tasks: Vec<Option<Task>> = (0..300).map(start).collect();
        let all: Vec<String> = tasks.iter().flatten().map(|task| task.serial().unwrap().to_string()).collect();
        let mut ended = BTreeSet::new();
        let mut number = 300;
        let serials = pages(&server, &format!("limit=37&sort={sort}"), |page| {
            for at in (page..300).step_by(41) {
                if let Some(task) = tasks[at].take() {
                    ended.insert(task.serial().unwrap().to_string());
                }
            }
            for _ in 0..5 {
                number += 1;
                tasks.push(start(number));
            }
        });
        let seen: BTreeSet<&String> = serials.iter().collect();
        assert_eq!(seen.len(), serials.len(), "{sort}: one is there twice");
        assert!(!ended.is_empty() && number > 300);
        for serial in all.iter().filter(|serial| !ended.contains(*serial)) {
            assert!(seen.contains(serial), "{sort}: {serial} is missing");
        }
    }
}

#[test]
fn a_page_of_long_rows_has_fewer_rows_and_none_is_lost() {
    let (list, server) = served();
    let long = "é".repeat(2_000);
    let tasks: Vec<_> =
        (0..1_000).map(|number| list.task(&number.to_string()).attr("a", &long).attr("b", &long).start()).collect();
    let mut sizes = 0;
    let serials = pages(&server, "limit=1000", |_| sizes += 1);
    assert!((5..=10).contains(&sizes), "{sizes}");
    assert_eq!(serials, tasks.iter().map(|task| task.serial().unwrap().to_string()).collect::<Vec<_>>());
}

#[test]
fn strings_longer_than_a_cursor_holds_are_paged_too() {
    let (list, server) = served();
    let long = "ü".repeat(400);
    let tasks: Vec<_> = (0..9).map(|_| list.start("x")).collect();
    tasks.iter().enumerate().for_each(|(number, task)| task.status(&format!("{long}{number}")).unwrap());
    let serials = pages(&server, "limit=2&sort=status", |_| {});
    assert_eq!(serials, tasks.iter().map(|task| task.serial().unwrap().to_string()).collect::<Vec<_>>());
}

#[test]
fn a_cursor_is_valid_for_its_own_query_and_run() {
    let (list, _hand, server, _tasks) = three();
    let cursor = get(&server, "/v1/tasks?limit=1").json()["nextCursor"].as_str().unwrap().to_owned();
    // Another limit and other fields are still the same query.
    assert_eq!(ids(&server, &format!("/v1/tasks?limit=5&fields=id&cursor={cursor}")).concat(), "bc");
    assert_eq!(ids(&server, &format!("/v1/tasks?sort=-age&cursor={cursor}")).concat(), "bc");
    for other in ["/v1/tasks?sort=age&", "/v1/tasks?kind=import&", "/v1/ended?sort=-age&"] {
        let reply = get(&server, &format!("{other}cursor={cursor}"));
        assert_eq!(code_of(&reply, 400), "invalid-cursor", "{other}");
        assert_eq!(reply.json()["parameter"], "cursor");
    }

    let again = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    assert_eq!(code_of(&get(&again, &format!("/v1/tasks?limit=1&cursor={cursor}")), 410), "cursor-expired");

    let (boot, rest) = cursor.split_once('.').unwrap();
    for bad in [
        "",
        ".",
        "x",
        boot,
        &format!("{boot}."),
        &format!("{boot}.5"),
        &format!("{boot}.zz"),
        &format!("{boot}.{rest}0"),
        &format!("{boot}.{}", &rest[2..]),
        &format!("{boot}.6e756c6c"),
        &format!("{boot}.5b5d"),
        &format!("{boot}x.{rest}"),
        rest,
        "%F0%9F%A6%80.5b5d",
    ] {
        assert_eq!(code_of(&get(&server, &format!("/v1/tasks?cursor={bad}")), 400), "invalid-cursor", "{bad}");
    }
}

#[test]
fn only_the_requested_fields_are_shown() {
    let (_list, _hand, server, tasks) = three();
    let serial = tasks[0].serial().unwrap().to_string();
    let row = |query: &str| get(&server, &format!("/v1/tasks?id=a&{query}")).json()["tasks"][0].clone();
    assert_eq!(row("fields=id,kind"), json!({"serial": serial, "id": "a", "kind": "import"}));
    assert_eq!(row("fields=serial"), json!({"serial": serial}));
    let names = |row: Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(names(row("view=brief")), "ageMs id kind serial state status statusAgeMs");
    assert_eq!(names(row("view=full")), names(row("")));
    tasks[0].status(&"x".repeat(200)).unwrap();
    assert_eq!(row("view=brief&fields=status")["status"].as_str().unwrap().chars().count(), 121);
    assert_eq!(row("fields=status")["status"].as_str().unwrap().len(), 200);
    for (bad, parameter) in [
        ("fields=", "fields"),
        ("fields=id,", "fields"),
        ("fields=ids", "fields"),
        ("view=", "view"),
        ("view=x", "view"),
        ("fields=id&fields=id", "fields"),
    ] {
        let reply = get(&server, &format!("/v1/tasks?{bad}"));
        assert_eq!(code_of(&reply, 400), "invalid-parameter", "{bad}");
        assert_eq!(reply.json()["parameter"], parameter, "{bad}");
    }
    assert!(get(&server, "/v1/tasks?fields=ids").body.contains("did you mean `id`?"));
}

#[test]
fn groups_count_all_matches_largest_first() {
    let (_list, _hand, server, _tasks) = three();
    let groups = |query: &str| get(&server, &format!("/v1/tasks?limit=0&{query}")).json()["groups"].clone();
    assert_eq!(groups("groupBy=kind"), json!([{"value": "import", "count": 2}, {"value": "export", "count": 1}]));
    assert_eq!(groups("groupBy=state"), json!([{"value": "running", "count": 2}, {"value": "cancelling", "count": 1}]));
    assert_eq!(
        groups("groupBy=status&id=a,c"),
        json!([{"value": "init", "count": 1}, {"value": "waiting for x", "count": 1}])
    );
    assert_eq!(
        groups("groupBy=attr.host&kind=import"),
        json!([{"value": "web1", "count": 1}, {"value": "web2", "count": 1}])
    );
    assert_eq!(groups("groupBy=attr.nothing"), json!([{"count": 3}]));
    assert_eq!(groups("groupBy=outcome"), json!([{"count": 3}]));
    for bad in ["", "id", "attr.", "kind,state"] {
        assert_eq!(code_of(&get(&server, &format!("/v1/tasks?groupBy={bad}")), 400), "invalid-parameter", "{bad}");
    }
}

#[test]
fn unknown_parameters_are_errors_with_a_suggestion() {
    let (_list, server) = served();
    for (target, parameter, hint) in [
        ("/v1/tasks?kid=x", "kid", "did you mean `kind`?"),
        ("/v1/tasks?minage=1s", "minage", "did you mean `minAge`?"),
        ("/v1/tasks?curser=x", "curser", "did you mean `cursor`?"),
        ("/v1/tasks?customer=x", "customer", "the parameters are sort, limit, cursor"),
        ("/v1/tree?sort=age", "sort", "the parameters are limit, fields, view"),
        ("/v1/tasks/1/history?limit=1", "limit", "this route has no parameters"),
        ("/v1/tasks/1?limt=1", "limt", "the parameters are fields, view"),
        ("/v1/kinds?x", "x", "this route has no parameters"),
        ("/v1/info?x=1", "x", "this route has no parameters"),
        ("/metrics?x=1", "x", "this route has no parameters"),
        ("/v1/events?intervall=1s", "intervall", "did you mean `interval`?"),
    ] {
        let reply = get(&server, target);
        assert_eq!(code_of(&reply, 400), "unknown-parameter", "{target}");
        let json = reply.json();
        assert_eq!(json["parameter"], parameter, "{target}");
        assert!(json["hint"].as_str().unwrap().starts_with(hint), "{target}: {json}");
    }
}

#[test]
fn an_error_in_a_filter_has_its_position() {
    let (_list, server) = served();
    for (query, parameter, position, hint) in [
        ("state=running,runing", "state", 8, "did you mean `running`?"),
        ("kind=a*b", "kind", 1, "only a trailing `*` is meant"),
        ("minAge=5x", "minAge", 0, "write it as 500ms"),
        ("serial=1,x", "serial", 2, "a serial is a whole number above 0"),
        ("attr.host=%C3%A9%5Cn", "attr.host", 1, "write `\\\\`"),
    ] {
        let reply = get(&server, &format!("/v1/tasks?{query}"));
        assert_eq!(code_of(&reply, 400), "invalid-filter", "{query}");
        let json = reply.json();
        assert_eq!((&json["parameter"], &json["position"]), (&parameter.into(), &position.into()), "{query}: {json}");
        assert!(json["hint"].as_str().unwrap().starts_with(hint), "{query}: {json}");
    }
    for bad in ["kind=%", "%zz=1", "kind=%FF"] {
        assert_eq!(code_of(&get(&server, &format!("/v1/tasks?{bad}")), 400), "invalid-query", "{bad}");
    }
    let many = "id=*&".repeat(101);
    assert_eq!(code_of(&get(&server, &format!("/v1/tasks?{many}")), 400), "invalid-query");
}

#[test]
fn a_full_list_reports_that_tasks_are_missing() {
    let list = ProcessList::with_options(Options::new().max_bytes(2 << 20));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let tasks: Vec<_> = (0..5_000).map(|number| list.start(&format!("{number:01000}"))).collect();
    let json = get(&server, "/v1/tasks?limit=0").json();
    let (total, missing) = (json["total"].as_u64().unwrap(), json["missing"]["tasksNotShown"].as_u64().unwrap());
    assert!(missing > 0, "{json}");
    assert_eq!(total + missing, tasks.len() as u64);
}

// One task.

#[test]
fn a_task_is_named_by_serial_by_id_or_by_both() {
    let (list, server) = served();
    let (plain, digits, prefixed) = (list.start("a/b c"), list.start("12"), list.start("id:x"));
    let empty = list.start("");
    for (segment, task) in [
        (plain.serial().unwrap().to_string(), &plain),
        ("a%2Fb%20c".to_owned(), &plain),
        ("id:a%2Fb%20c".to_owned(), &plain),
        ("id:12".to_owned(), &digits),
        ("id%3A12".to_owned(), &digits),
        ("id:id:x".to_owned(), &prefixed),
        (String::new(), &empty),
        ("id:".to_owned(), &empty),
    ] {
        let json = get(&server, &format!("/v1/tasks/{segment}")).json();
        assert_eq!(json["task"]["serial"], task.serial().unwrap().to_string(), "{segment}");
        assert!(json["serverTime"].is_string());
    }
    for bad in ["0", "99999999999999999999", "id:x", "unknown", "%FF", "A%2Fb%20c"] {
        assert_eq!(code_of(&get(&server, &format!("/v1/tasks/{bad}")), 404), "task-not-found", "{bad}");
    }
    assert_eq!(code_of(&get(&server, "/v1/tasks/50%"), 400), "invalid-path");
    assert_eq!(code_of(&get(&server, "/v1/tasks/a/b"), 404), "not-found");
    let row = get(&server, "/v1/tasks/id:12?fields=id").json();
    assert_eq!(row["task"], json!({"serial": digits.serial().unwrap().to_string(), "id": "12"}));
}

#[test]
fn an_ambiguous_id_returns_the_serials() {
    let (list, server) = served();
    let twins: Vec<_> = (0..30).map(|_| list.start("twin")).collect();
    for target in ["/v1/tasks/twin", "/v1/tasks/twin/history", "/v1/tree?root=twin"] {
        let reply = get(&server, target);
        assert_eq!(code_of(&reply, 409), "ambiguous-id", "{target}");
        let serials = reply.json()["serials"].as_array().unwrap().clone();
        assert_eq!(serials.len(), 20);
        assert_eq!(serials[0], twins[0].serial().unwrap().to_string());
    }
}

#[test]
fn an_ended_task_is_found_until_it_is_evicted_and_a_live_one_comes_first() {
    let list = ProcessList::with_options(Options::new().keep_ended(0));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let serial = list.start("gone").serial().unwrap();
    assert_eq!(code_of(&get(&server, &format!("/v1/tasks/{serial}")), 404), "task-not-found");

    let (list, hand, server) = served_by_hand();
    let task = list.start("job");
    hand.advance(SECOND);
    let first = task.serial().unwrap();
    task.fail("no file");
    hand.advance(SECOND);
    let row = get(&server, "/v1/tasks/job").json()["task"].clone();
    assert_eq!((&row["state"], &row["outcome"], &row["ageMs"]), (&"ended".into(), &"failed".into(), &1_000.into()));
    assert!(row["endedAt"].is_string(), "{row}");
    let second = list.start("job");
    assert_eq!(get(&server, "/v1/tasks/job").json()["task"]["serial"], second.serial().unwrap().to_string());
    assert_eq!(get(&server, &format!("/v1/tasks/{first}")).json()["task"]["state"], "ended");
}

#[test]
fn a_history_is_oldest_first_and_reports_where_entries_are_missing() {
    let list = ProcessList::with_options(Options::new().history(2, 3));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let task = list.start("job");
    let statuses = |json: &Value| {
        let entries = json["history"].as_array().unwrap().clone();
        entries.iter().map(|entry| entry["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let json = get(&server, "/v1/tasks/job/history").json();
    assert_eq!(
        (statuses(&json), &json["serial"]),
        (vec!["init".to_owned()], &task.serial().unwrap().to_string().into())
    );
    assert!(json.get("dropped").is_none() && json.get("outcome").is_none(), "{json}");
    for number in 0..20 {
        task.status(&number.to_string()).unwrap();
    }
    let json = get(&server, "/v1/tasks/job/history").json();
    let (all, dropped) = (statuses(&json), json["dropped"].as_u64().unwrap());
    assert_eq!((all[0].as_str(), all.last().unwrap().as_str()), ("init", "19"));
    assert_eq!(all.len() as u64 + dropped, 21);
    let after = json["droppedAfter"].as_u64().unwrap() as usize;
    let (before, behind) = (all[after - 1].parse::<u64>().unwrap_or(0), all[after].parse::<u64>().unwrap());
    assert!(behind - before > dropped - 2, "{json}");
    task.finish();
    assert_eq!(get(&server, "/v1/tasks/job/history").json()["outcome"], "finished");
    assert_eq!(code_of(&get(&server, "/v1/tasks/unknown/history"), 404), "task-not-found");
}

// The tree.

fn shape(server: &Server, query: &str) -> String {
    let json = get(server, &format!("/v1/tree?{query}")).json();
    let rows = json["tasks"].as_array().unwrap_or_else(|| panic!("{json}")).clone();
    rows.iter().map(|row| format!("{}{}", row["id"].as_str().unwrap(), row["depth"])).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_tree_is_depth_first_and_children_are_in_the_order_of_their_start() {
    let (list, server) = served();
    let root = list.start("r");
    let first = list.task("a").kind("x").parent(&root).start();
    let second = list.task("b").parent(&root).start();
    let below = list.task("c").kind("x").parent(&first).start();
    let _more = (list.task("d").kind("x").parent(&second).start(), list.task("e").kind("x").parent(&below).start());
    let _other = list.start("s");
    assert_eq!(shape(&server, ""), "r0 a1 c2 e3 b1 d2 s0");
    // The children of a task that is left out move to the next task above.
    assert_eq!(shape(&server, "kind=x"), "a0 c1 e2 d0");
    assert_eq!(shape(&server, "id=r,e,d"), "r0 d1 e1");
    assert_eq!(shape(&server, "root=a"), "a0 c1 e2");
    assert_eq!(shape(&server, &format!("root={}", second.serial().unwrap())), "b0 d1");
    assert_eq!(shape(&server, "root=id:b&kind=x"), "d0");
    assert_eq!(shape(&server, "root=r&kind=x"), "a0 c1 e2 d0");
    assert_eq!(shape(&server, "root=e&kind=y"), "");
    let json = get(&server, "/v1/tree?limit=2&fields=depth").status;
    assert_eq!(json, 400, "depth is always there");
    let json = get(&server, "/v1/tree?limit=2&view=brief").json();
    assert_eq!(
        (&json["total"], &json["truncated"], json["tasks"].as_array().unwrap().len()),
        (&7.into(), &true.into(), 2)
    );
    for bad in ["unknown", "0", "99999999999999999999", ""] {
        assert_eq!(code_of(&get(&server, &format!("/v1/tree?root={bad}")), 404), "task-not-found", "{bad}");
    }
    let serial = first.serial().unwrap();
    first.finish();
    assert_eq!(code_of(&get(&server, &format!("/v1/tree?root={serial}")), 404), "task-not-found");
    // Its parent has ended, and the tasks above that are no longer known.
    assert_eq!(shape(&server, ""), "r0 b1 d2 c0 e1 s0");
    assert_eq!(code_of(&get(&server, "/v1/tree?root=a&root=b"), 400), "invalid-parameter");
}

#[test]
fn a_chain_of_five_thousand_nests_no_deeper_than_a_list() {
    let (list, server) = served();
    let mut chain: Vec<Task> = vec![list.start("0")];
    for number in 1..5_000 {
        let parent = chain.last().unwrap().handle();
        let kind = if number % 1_000 == 999 { "mark" } else { "link" };
        chain.push(list.task(&number.to_string()).kind(kind).parent(parent).start());
    }
    let json = get(&server, "/v1/tree?limit=1000").json();
    assert_eq!(json["total"], 5_000);
    assert_eq!((&json["tasks"][999]["depth"], &json["tasks"][999]["id"]), (&999.into(), &"999".into()));
    assert_eq!(shape(&server, "kind=mark"), "9990 19991 29992 39993 49994");
    assert_eq!(shape(&server, "root=id:4998"), "49980 49991");
}

// Ended tasks.

#[test]
fn ended_tasks_are_newest_first_and_filtered_by_outcome() {
    let (list, hand, server) = served_by_hand();
    for (id, long) in [("a", 3), ("b", 1), ("c", 2)] {
        let task = list.task(id).kind("k").start();
        hand.advance(SECOND * long);
        match id {
            "b" => task.fail("no"),
            _ => task.finish(),
        }
        hand.advance(SECOND);
    }
    let _live = list.start("d");
    for (query, found) in [
        ("", "cba"),
        ("?sort=endedAt", "abc"),
        ("?sort=age", "bca"),
        ("?outcome=failed", "b"),
        ("?outcome=f*&id=a,b", "ba"),
        ("?minAge=2s", "ca"),
        ("?state=running", ""),
        ("?limit=1", "c"),
    ] {
        assert_eq!(ids(&server, &format!("/v1/ended{query}")).concat(), found, "{query}");
    }
    let json = get(&server, "/v1/ended?limit=2&groupBy=outcome").json();
    assert_eq!(json["groups"], json!([{"value": "finished", "count": 2}, {"value": "failed", "count": 1}]));
    let cursor = json["nextCursor"].as_str().unwrap();
    assert_eq!(ids(&server, &format!("/v1/ended?cursor={cursor}")).concat(), "a");
    assert_eq!(ids(&server, "/v1/tasks").concat(), "d");
}

// Kinds, info, metrics, and the rest.

#[test]
fn kinds_report_outcomes_latency_and_time_by_status() {
    let (list, hand, server) = served_by_hand();
    for number in 0..4 {
        let task = list.task("x").kind("import").start();
        task.status("reading").unwrap();
        hand.advance(SECOND * 2);
        match number {
            0 => task.fail("no"),
            _ => task.finish(),
        }
    }
    let _live = list.start("without");
    let json = get(&server, "/v1/kinds").json();
    let kind = &json["kinds"][0];
    assert_eq!(
        (&kind["kind"], &kind["started"], &kind["finished"], &kind["failed"]),
        (&"import".into(), &4.into(), &3.into(), &1.into())
    );
    let latency = &kind["latency"];
    assert_eq!(
        (&latency["count"], &latency["meanMs"], &latency["maxMs"]),
        (&4.into(), &2_000.0.into(), &2_000.0.into())
    );
    let reading = kind["statuses"].as_array().unwrap().iter().find(|status| status["status"] == "reading").unwrap();
    assert_eq!((&reading["entered"], &reading["timeMs"]), (&4.into(), &8_000.0.into()));
    let without = &json["kinds"][1];
    assert!(without.get("kind").is_none() && without["running"] == 1, "{without}");
}

#[test]
fn info_reports_the_run_the_limits_and_the_counters() {
    let (list, server) = served();
    let task = list.start("x");
    let json = get(&server, "/v1/info").json();
    assert_eq!((&json["version"], &json["counters"]["live"]), (&env!("CARGO_PKG_VERSION").into(), &1.into()));
    assert_eq!((&json["limits"]["maxStatus"], &json["own"]["connections"]), (&1024.into(), &1.into()));
    let boot = json["boot"].as_str().unwrap();
    assert!(boot.len() == 12 && json["own"]["bytesHeld"].as_u64().unwrap() > 0, "{json}");
    task.finish();
    let again = get(&server, "/v1/info").json();
    assert_eq!((&again["boot"], &again["counters"]["finished"]), (&boot.into(), &1.into()));
}

/// Returns the samples in a text of metrics, by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

#[test]
fn metrics_are_equal_in_both_formats() {
    let (list, hand, server) = served_by_hand();
    let _tasks: Vec<_> =
        [r#"we"ird\"#, "new\nline", "import", "import"].map(|kind| list.task("x").kind(kind).start()).into();
    list.task("y").kind("import").start().finish();
    list.cancel(_tasks[3].serial(), pm::CancelRequest::new("")).unwrap();
    let lock = pm::Resource::with_capacity("lock", 1);
    let _held = _tasks[0].holding(&lock);
    let _waits = (_tasks[0].waiting_on(&lock), _tasks[1].waiting_on("pool"));
    hand.advance(SECOND * 3);
    let plain = get(&server, "/metrics");
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let open =
        request(&server, "GET", "/metrics", &["Accept: application/openmetrics-text; version=1.0.0, */*;q=0.1"], "");
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.body.ends_with("\n# EOF\n") && !plain.body.contains("# EOF"));
    assert!(
        open.body.contains("# TYPE pm_tasks_started counter\n")
            && plain.body.contains("# TYPE pm_tasks_started_total counter\n")
    );
    let (plain, open) = (samples(&plain.body), samples(&open.body));
    assert_eq!(plain.keys().collect::<Vec<_>>(), open.keys().collect::<Vec<_>>());
    for (name, value) in [
        (r#"pm_tasks{kind="import",state="running"}"#, 1.0),
        (r#"pm_tasks{kind="import",state="cancelling"}"#, 1.0),
        ("pm_waits", 2.0),
        ("pm_waits_stuck", 1.0),
        (r#"pm_tasks{kind="we\"ird\\",state="running"}"#, 1.0),
        (r#"pm_tasks{kind="new\nline",state="running"}"#, 1.0),
        (r#"pm_task_oldest_age_seconds{kind="import"}"#, 3.0),
        (r#"pm_tasks_ended_total{kind="import",outcome="finished"}"#, 1.0),
        (r#"pm_task_duration_seconds_bucket{kind="import",le="+Inf"}"#, 1.0),
        ("pm_tasks_started_total", 5.0),
        ("pm_cancels_total", 1.0),
    ] {
        assert_eq!(plain.get(name), Some(&value), "{name}");
        assert_eq!(open.get(name), Some(&value), "{name}");
    }
}

#[test]
fn kinds_beyond_the_limit_are_one_series() {
    let list = ProcessList::with_options(Options::new().max_kinds(500));
    let server = Server::builder().list(&list).listen("127.0.0.1:0").start().unwrap();
    let tasks: Vec<_> = (0..300).map(|number| list.task("x").kind(&format!("kind {number}")).start()).collect();
    let samples = samples(&get(&server, "/metrics").body);
    let running = samples.iter().filter(|(name, _)| name.starts_with("pm_tasks{") && name.contains("\"running\""));
    let (count, sum) = running.fold((0, 0.0), |(count, sum), (_, value)| (count + 1, sum + value));
    assert_eq!((count, sum), (101, tasks.len() as f64));
}

#[test]
fn health_home_and_description_are_served() {
    let (_list, server) = served();
    assert_eq!(get(&server, "/healthz").json(), json!({"status": "ok"}));
    let home = get(&server, "/");
    assert_eq!((home.status, home.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(home.body.contains("/v1/tasks") && home.body.contains("/openapi.json"));
    assert_eq!(get(&server, "/openapi.json").json()["openapi"], "3.1.0");
}
