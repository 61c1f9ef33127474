//! `GET /v1/waits`, and the waits in the details of a task.

#![cfg(feature = "server")]

mod common;

use common::{code_of, served};
use pm::{Resource, ResourceKind, Server};
use serde_json::{Value, json};

fn get(server: &Server, target: &str) -> Value {
    let reply = common::get(server, target);
    assert_eq!(reply.status, 200, "{target}: {reply:?}");
    reply.json()
}

fn mutex(name: &str) -> Resource {
    Resource::fair(name, ResourceKind::Mutex, Some(1))
}

fn ids<'v>(values: &'v Value, name: &str) -> Vec<&'v str> {
    values.as_array().unwrap().iter().map(|value| value[name].as_str().unwrap()).collect()
}

#[test]
fn a_list_without_declared_waits_reports_none() {
    let (list, server) = served();
    let task = list.start("a");
    let answer = get(&server, "/v1/waits");
    assert_eq!((&answer["waits"], &answer["cycles"], &answer["tree"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!((&answer["total"], &answer["truncated"]), (&json!(0), &json!(false)));
    assert!(answer["serverTime"].is_string() && answer.get("notShown").is_none());
    let answer = get(&server, &format!("/v1/tasks/{}", task.serial().unwrap()));
    assert!(answer.get("waits").is_none() && answer.get("holdsUp").is_none());
}

#[test]
fn a_cycle_comes_first_with_all_its_steps() {
    let (list, server) = served();
    let tasks = ["idle", "a", "b", "behind"].map(|id| list.task(id).kind("job").start());
    let [idle, a, b, behind] = &tasks;
    let (one, two) = (mutex("lock:one"), mutex("lock:two"));
    let _longest = idle.waiting_on("printer");
    let _held = (a.holding(&one), b.holding(&two));
    let _waits = (behind.waiting_on(&one), a.waiting_on(&two), b.waiting_on(&one));
    let answer = get(&server, "/v1/waits");
    assert_eq!(ids(&answer["waits"], "id"), ["a", "b", "behind", "idle"]);
    let wait = &answer["waits"][0];
    assert_eq!(wait["serial"], a.serial().unwrap().to_string());
    assert_eq!(
        (&wait["kind"], &wait["resource"], &wait["resourceKind"], &wait["units"]),
        (&json!("job"), &json!("lock:two"), &json!("mutex"), &json!(1))
    );
    assert_eq!((&wait["isStuck"], &wait["inCycle"]), (&json!(true), &json!(true)));
    assert!(wait["waitMs"].as_f64().unwrap() >= 0.0);
    let holder = &wait["holders"][0];
    assert_eq!((&holder["id"], &holder["kind"], &holder["units"]), (&json!("b"), &json!("job"), &json!(1)));
    assert!(holder["heldMs"].as_f64().unwrap() >= 0.0);
    assert_eq!((&answer["waits"][2]["isStuck"], &answer["waits"][2]["inCycle"]), (&json!(true), &json!(false)));
    assert_eq!(&answer["waits"][3]["isStuck"], &json!(false));

    let steps = &answer["cycles"][0]["steps"];
    assert_eq!((ids(steps, "id"), ids(steps, "resource")), (vec!["a", "b"], vec!["lock:two", "lock:one"]));
    assert_eq!(ids(steps, "heldBy"), [b.serial().unwrap().to_string(), a.serial().unwrap().to_string()]);
    let tree: Vec<_> = answer["tree"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["depth"].as_u64().unwrap(), row["id"].as_str().unwrap(), row.get("repeated").is_some()))
        .collect();
    assert_eq!(tree, [(0, "a", false), (1, "behind", false), (1, "b", false), (2, "a", true), (0, "idle", false)]);

    let answer = get(&server, "/v1/tasks/a");
    assert_eq!(
        (ids(&answer["waits"], "resource"), ids(&answer["holdsUp"], "id")),
        (vec!["lock:two"], vec!["behind", "b"])
    );
    assert_eq!(answer["task"]["status"], "waiting on lock:two");
}

#[test]
fn truncation_is_reported() {
    let (list, server) = served();
    let pool = Resource::with_capacity("pool", 12);
    let holder = list.start("holder");
    let _held = [(); 12].map(|()| holder.holding(&pool));
    let _unclaimed = (pool.hold_unclaimed(1), pool.hold_unclaimed(1));
    let tasks: Vec<_> = (0..5).map(|at| list.start(&format!("waiter-{at}"))).collect();
    let _waits: Vec<_> = tasks.iter().map(|task| task.waiting_on(&pool)).collect();
    let answer = get(&server, "/v1/waits?limit=2");
    assert_eq!((answer["waits"].as_array().unwrap().len(), answer["tree"].as_array().unwrap().len()), (2, 2));
    assert_eq!((&answer["total"], &answer["truncated"]), (&json!(5), &json!(true)));
    let wait = &answer["waits"][0];
    assert_eq!(wait["holders"].as_array().unwrap().len(), 10);
    assert_eq!((&wait["moreHolders"], &wait["unknownHolders"]), (&json!(2), &json!(2)));
    assert_eq!(get(&server, "/v1/waits?limit=0")["truncated"], true);
    for (query, code) in
        [("limit=x", "invalid-parameter"), ("limit=10001", "invalid-parameter"), ("kind=a", "unknown-parameter")]
    {
        let reply = common::get(&server, &format!("/v1/waits?{query}"));
        assert_eq!(code_of(&reply, 400), code, "{query}");
    }
}
