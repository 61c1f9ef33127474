//! Compares `openapi.json` with the code, both ways: operations, parameters, members and codes are the same, and every
//! response is as described.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use pm_core::{CancelRequest, ProcessList, Resource, Task};
use pm_wire::filter::Filter;
use pm_wire::v1_rows::Fields;
use serde_json::{Value, json};
use tower_service::Service as _;

use crate::access::Permission;
use crate::request::route::{OPERATIONS, Op};
use crate::service::{Service, service};
use crate::v1::OPENAPI;

/// Statuses of the connection instead of the service, or only if there are tokens.
const ELSEWHERE: [&str; 5] = ["401", "408", "429", "431", "503"];
const OLD: [(&str, &str); 4] =
    [("GET", "/procs/"), ("GET", "/procs/{id}/history"), ("DELETE", "/procs/{id}"), ("OPTIONS", "/procs/{id}")];

pub(super) struct Document(pub(super) Value);

/// An operation as it is described.
struct Described<'d> {
    method: String,
    path: &'d str,
    value: &'d Value,
}

impl Document {
    pub(super) fn new() -> Self {
        Self(serde_json::from_str(OPENAPI).unwrap())
    }

    fn operations(&self) -> Vec<Described<'_>> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let all = paths.flat_map(|(path, item)| {
            let item = item.as_object().unwrap().iter();
            item.map(move |(method, value)| Described { method: method.to_uppercase(), path, value })
        });
        all.collect()
    }

    fn operation(&self, id: &str) -> Described<'_> {
        let found = self.operations().into_iter().find(|operation| operation.value["operationId"] == id);
        found.unwrap_or_else(|| panic!("no operation {id}"))
    }

    /// Returns the value, or the one that it refers to.
    pub(super) fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str() {
            Some(to) => self.0.pointer(to.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("no {to}")),
            None => value,
        }
    }

    fn parameters(&self, operation: &Described<'_>) -> Vec<&Value> {
        let all = operation.value["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        // The operation is borrowed from the document as well.
        let names: Vec<&str> = all.iter().map(|parameter| parameter["$ref"].as_str().unwrap()).collect();
        names.iter().map(|name| self.0.pointer(&name[1..]).unwrap_or_else(|| panic!("no {name}"))).collect()
    }

    fn schema(&self, name: &str) -> &Value {
        &self.0["components"]["schemas"][name]
    }

    /// Returns the errors of a value.
    fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(schema, value, "", &mut errors);
        errors
    }

    fn is_valid(&self, schema: &Value, value: &Value) -> bool {
        self.errors(schema, value).is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        let Some(keywords) = schema.as_object() else {
            assert!(schema.is_boolean(), "{schema} is not a schema");
            return if schema == false {
                errors.push(format!("{at}: {value} is not described"))
            };
        };
        for (keyword, meant) in keywords {
            let mut must = |holds: bool| {
                if !holds {
                    errors.push(format!("{at}: {value} is not {keyword} {meant}"));
                }
            };
            let all = || meant.as_array().unwrap().iter();
            match keyword.as_str() {
                "description" | "default" | "contentMediaType" | "contentSchema" => {}
                "$ref" => self.check(self.resolve(schema), value, at, errors),
                "type" => must(meant.as_str().map_or_else(|| all().any(|sort| is(value, sort)), |_| is(value, meant))),
                "const" => must(value == meant),
                "enum" => must(all().any(|one| one == value)),
                "minimum" => must(value.as_f64().is_none_or(|number| number >= meant.as_f64().unwrap())),
                "maximum" => must(value.as_f64().is_none_or(|number| number <= meant.as_f64().unwrap())),
                "format" => {
                    assert_eq!(meant, "date-time");
                    must(value.as_str().unwrap().ends_with('Z'));
                    must(value.as_str().unwrap().parse::<pm_wire::Timestamp>().is_ok());
                }
                "pattern" => must(fits(meant.as_str().unwrap(), value.as_str().unwrap())),
                "required" => {
                    for name in all() {
                        if value.get(name.as_str().unwrap()).is_none() {
                            errors.push(format!("{at}: {name} is missing"));
                        }
                    }
                }
                "properties" | "additionalProperties" | "propertyNames" => {
                    let Some(members) = value.as_object() else { continue };
                    for (name, value) in members {
                        let at = format!("{at}/{name}");
                        match (keyword.as_str(), schema["properties"].get(name)) {
                            ("properties", Some(schema)) => self.check(schema, value, &at, errors),
                            ("additionalProperties", None) => self.check(meant, value, &at, errors),
                            ("propertyNames", _) => self.check(meant, &name.as_str().into(), &at, errors),
                            _ => {}
                        }
                    }
                }
                "items" => {
                    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(meant, item, &format!("{at}/{number}"), errors);
                    }
                }
                "allOf" => all().for_each(|schema| self.check(schema, value, at, errors)),
                "oneOf" => must(all().filter(|schema| self.is_valid(schema, value)).count() == 1),
                other => panic!("unknown keyword {other}"),
            }
        }
    }
}

fn is(value: &Value, sort: &Value) -> bool {
    match sort.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("no type {other}"),
    }
}

/// The patterns of answers.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[1-9][0-9]*$" => !text.starts_with('0') && text.parse::<u64>().is_ok(),
        "^[0-9a-f]{12}$" => text.len() == 12 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)),
        other => panic!("unknown pattern {other}"),
    }
}

pub(super) struct Answer {
    status: String,
    content_type: Option<String>,
    body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

pub(super) fn ask(service: &mut Service, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(target);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let Ok(response) = now(service.call(request));
    let status = response.status().as_u16().to_string();
    let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    if response.body().is_endless() {
        return Answer { status, content_type, body: String::new() };
    }
    let Ok(body) = now(response.into_body().collect());
    Answer { status, content_type, body: String::from_utf8(body.to_bytes().to_vec()).unwrap() }
}

/// A list with something for every member of every answer, and the tasks in it.
fn full_list() -> (ProcessList, Vec<Task>) {
    let list = ProcessList::new();
    let parent = list.task("parent").kind("import").attr("host", "web1").start();
    let child = list.task("child").parent(&parent).attr("big", u64::MAX).attr("share", f64::NAN).start();
    child.progress(1, 2, "blocks");
    child.status("reading").unwrap();
    let asked = list.task("asked").kind("import").attr("yes", true).start();
    list.cancel("asked", CancelRequest::new("why").by("me")).unwrap();
    let fixed = list.task("fixed").kind("fixed").on_cancel(pm_core::CancelPolicy::Refuse).start();
    let orphan = {
        let gone = list.start("gone");
        list.task("orphan").parent(&gone).start()
    };
    let twins = (0..3).map(|_| list.start("twin"));
    let tasks = [parent, child, asked, fixed, orphan].into_iter().chain(twins).collect();
    let failed = list.task("failed").kind("import").start();
    let _ = failed.status("half way");
    failed.fail("no file");
    (list, tasks)
}

/// Sends requests, and compares the responses with their description.
struct Holder {
    document: Document,
    service: Service,
    seen: BTreeSet<(String, String)>,
}

impl Holder {
    fn ask(&mut self, id: &str, target: &str, headers: &[(&str, &str)], body: &str, status: u16) -> Answer {
        let operation = self.document.operation(id);
        let answer = ask(&mut self.service, &operation.method, target, headers, body);
        let shown = format!("{id} {target} {body}: {} {}", answer.status, answer.body);
        assert_eq!(answer.status, status.to_string(), "{shown}");
        let described = &operation.value["responses"][&answer.status];
        assert!(described.is_object(), "not described: {shown}");
        let described = self.document.resolve(described);
        let content = match described["content"].as_object() {
            Some(content) => content.clone(),
            None if target.contains("wait=") => described["x-content-with-wait"].as_object().unwrap().clone(),
            None => {
                assert_eq!((answer.body.as_str(), answer.content_type.as_deref()), ("", None), "{shown}");
                serde_json::Map::new()
            }
        };
        if let Some(sort) = answer.content_type.as_deref() {
            let schema = &content.get(sort).unwrap_or_else(|| panic!("{sort} is not described: {shown}"))["schema"];
            let value = match sort.contains("json") {
                true if !answer.body.is_empty() => answer.json(),
                _ => Value::String(answer.body.clone()),
            };
            if sort != "text/event-stream" {
                assert_eq!(self.document.errors(schema, &value), [""; 0], "{shown}");
            }
        }
        self.seen.insert((id.to_owned(), answer.status.clone()));
        answer
    }
}

#[test]
fn the_operations_are_those_there_are_and_need_what_they_say() {
    let document = Document::new();
    let described: BTreeSet<_> = document.operations().iter().map(|one| (one.method.clone(), one.path)).collect();
    let ours = OPERATIONS.iter().map(|operation| (operation.method.to_owned(), operation.path));
    let old = OLD.iter().map(|(method, path)| ((*method).to_owned(), *path));
    assert_eq!(described, ours.chain(old).collect());
    for operation in &OPERATIONS {
        let all = document.operations();
        let described = all.iter().find(|one| (one.method.as_str(), one.path) == (operation.method, operation.path));
        let security = match operation.permission {
            None => json!([]),
            Some(Permission::Read) => json!([{}, {"bearer": ["read"]}]),
            Some(Permission::Cancel) => json!([{}, {"bearer": ["cancel"]}]),
        };
        assert_eq!(described.unwrap().value["security"], security, "{}", operation.path);
    }
}

#[test]
fn parameters_are_those_that_are_taken() {
    let document = Document::new();
    let (list, _tasks) = full_list();
    let mut service = service(&list);
    let mut candidates: BTreeSet<&str> = Filter::names().iter().copied().collect();
    candidates.extend(["sort", "limit", "cursor", "fields", "view", "groupBy", "root", "interval", "wait", "serial"]);
    for operation in OPERATIONS.iter().filter(|operation| operation.permission.is_some()) {
        if operation.op == Op::Audit {
            continue; // There is none yet.
        }
        let all = document.operations();
        let described = all.iter().find(|one| (one.method.as_str(), one.path) == (operation.method, operation.path));
        let parameters = document.parameters(described.unwrap());
        let names = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let named: BTreeSet<&str> = names.map(|parameter| parameter["name"].as_str().unwrap()).collect();
        let path = operation.path.replace("{ref}", "child");
        let taken = candidates.iter().map(|name| name.trim_end_matches('.')).filter(|name| {
            let name = if *name == "attr" { "attr.x" } else { name };
            let answer = ask(&mut service, operation.method, &format!("{path}?{name}=%2A"), &[], "");
            !answer.body.contains("unknown-parameter")
        });
        assert_eq!(named, taken.collect(), "{path}");
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let (name, example) = (parameter["name"].as_str().unwrap(), &parameter["example"]);
            let query = match example {
                Value::Null => continue,
                Value::Object(members) => {
                    members.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect()
                }
                Value::Array(values) => format!("{name}={}", values[0].as_str().unwrap().replace(' ', "%20")),
                Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            };
            let answer = ask(&mut service, operation.method, &format!("{path}?{query}"), &[], "");
            assert!(matches!(answer.status.as_str(), "200" | "404"), "{path}?{query}: {}", answer.body);
        }
    }
}

#[test]
fn members_of_bodies_and_rows_are_those_that_are_known() {
    let document = Document::new();
    let (list, _tasks) = full_list();
    let members = |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let fields = || Fields::names().iter().map(|name| (*name).to_owned());
    assert_eq!(members(document.schema("Row")), fields().collect());
    assert_eq!(members(document.schema("TreeRow")), fields().chain(["depth".to_owned()]).collect());
    let filters = Filter::names().iter().filter(|name| !matches!(**name, "attr." | "outcome"));
    assert_eq!(members(document.schema("FilterMembers")), filters.map(|name| (*name).to_owned()).collect());

    let (one, many) = (document.schema("CancelOne"), document.schema("CancelMany"));
    for (target, body, schema) in [
        ("/v1/tasks/child/cancel", r#"{"zzzzzzzzz":1}"#, one),
        ("/v1/tasks/child/cancel", r#"{"expect":{"zzzzzzzzz":1}}"#, &one["properties"]["expect"]),
        ("/v1/cancel", r#"{"filter":"id=x","zzzzzzzzz":1}"#, many),
    ] {
        let hint = ask(&mut service(&list), "POST", target, &[], body).json()["hint"].as_str().unwrap().to_owned();
        let known = hint.strip_prefix("the members are ").unwrap().split(", ").map(str::to_owned).collect();
        assert_eq!(members(schema), known, "{body}");
    }
}

#[test]
fn what_is_answered_is_as_described() {
    let (list, tasks) = full_list();
    let serial = tasks[1].serial().unwrap();
    let locks = [Resource::with_capacity("lock:a", 1), Resource::with_capacity("lock:b", 12)];
    let _held =
        (tasks[0].holding(&locks[0]), [(); 12].map(|()| tasks[1].holding(&locks[1])), locks[0].hold_unclaimed(0));
    let _waits = (tasks[0].waiting_on(&locks[1]), tasks[1].waiting_on(&locks[0]));
    let service = service(&list).max_body(1_000);
    let mut holder = Holder { document: Document::new(), service, seen: BTreeSet::new() };
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(1_000));
    let other_run = format!("cursor={}.5b5d", "0".repeat(12));
    let (key, no) = ([("idempotency-key", "k")], [].as_slice());
    for (id, target, headers, body, status) in [
        ("listTasks", "/v1/tasks?groupBy=attr.host&limit=3", no, "", 200),
        ("listTasks", "/v1/tasks?limit=0&groupBy=state", no, "", 200),
        ("listTasks", "/v1/tasks?view=brief", no, "", 200),
        ("listTasks", "/v1/tasks?kin=x", no, "", 400),
        ("listTasks", "/v1/tasks?kind=a*b", no, "", 400),
        ("listTasks", "/v1/tasks?cursor=x", no, "", 400),
        ("listTasks", &format!("/v1/tasks?{other_run}"), no, "", 410),
        ("getTask", "/v1/tasks/child", no, "", 200),
        ("getTask", "/v1/tasks/failed", no, "", 200),
        ("getTask", "/v1/tasks/unknown", no, "", 404),
        ("getTask", "/v1/tasks/twin", no, "", 409),
        ("getHistory", &format!("/v1/tasks/{serial}/history"), no, "", 200),
        ("getHistory", "/v1/tasks/failed/history", no, "", 200),
        ("getHistory", "/v1/tasks/0/history", no, "", 404),
        ("getHistory", "/v1/tasks/twin/history", no, "", 409),
        ("cancelTask", "/v1/tasks/failed/cancel", no, "", 200),
        ("cancelTask", "/v1/tasks/parent/cancel", no, "", 202),
        ("cancelTask", "/v1/tasks/child/cancel", &key, r#"{"reason":"why"}"#, 202),
        ("cancelTask", "/v1/tasks/child/cancel", &key, "{}", 422),
        ("cancelTask", "/v1/tasks/child/cancel", no, r#"{"wait":"1d"}"#, 400),
        ("cancelTask", "/v1/tasks/fixed/cancel", no, "{}", 403),
        ("cancelTask", "/v1/tasks/unknown/cancel", no, "{}", 404),
        ("cancelTask", "/v1/tasks/twin/cancel", no, "{}", 409),
        ("cancelTask", "/v1/tasks/child/cancel", no, r#"{"expect":{"status":"x"}}"#, 412),
        ("cancelTask", "/v1/tasks/child/cancel", no, &long, 413),
        ("cancelMany", "/v1/cancel", no, r#"{"filter":"id=twin,fixed"}"#, 200),
        ("cancelMany", "/v1/cancel", no, r#"{"filter":{"id":"twin"},"dryRun":true}"#, 200),
        ("cancelMany", "/v1/cancel", no, "", 400),
        ("cancelMany", "/v1/cancel", no, r#"{"filter":"id=twin","max":1}"#, 409),
        ("cancelMany", "/v1/cancel", no, r#"{"filter":"id=twin","expectTotal":2}"#, 412),
        ("cancelMany", "/v1/cancel", no, &long, 413),
        ("cancelMany", "/v1/cancel", &[("idempotency-key", "m")], r#"{"filter":"id=x"}"#, 200),
        ("cancelMany", "/v1/cancel", &[("idempotency-key", "m")], r#"{"filter":"id=y"}"#, 422),
        ("getTree", "/v1/tree", no, "", 200),
        ("getTree", "/v1/tree?root=parent&limit=1", no, "", 200),
        ("getTree", "/v1/tree?root=0", no, "", 404),
        ("getTree", "/v1/tree?root=twin", no, "", 409),
        ("listEnded", "/v1/ended?groupBy=outcome", no, "", 200),
        ("listEnded", &format!("/v1/ended?{other_run}"), no, "", 410),
        ("listKinds", "/v1/kinds", no, "", 200),
        ("listWaits", "/v1/waits", no, "", 200),
        ("listWaits", "/v1/waits?limit=1", no, "", 200),
        ("listWaits", "/v1/waits?limit=x", no, "", 400),
        ("watch", "/v1/events", no, "", 200),
        ("listAudit", "/v1/audit", no, "", 200),
        ("listAudit", "/v1/audit?limit=1", no, "", 200),
        ("listAudit", "/v1/audit?limit=x", no, "", 400),
        ("getInfo", "/v1/info", no, "", 200),
        ("getMetrics", "/metrics", no, "", 200),
        ("getMetrics", "/metrics", &[("accept", "application/openmetrics-text")], "", 200),
        ("getHealth", "/healthz", no, "", 200),
        ("getHome", "/", no, "", 200),
        ("getHome", "/", &[("accept", "text/html")], "", 200),
        ("getPageFile", "/page/none", no, "", 404),
        ("oldList", "/procs/", no, "", 200),
        ("oldHistory", "/procs/child/history", no, "", 200),
        ("oldHistory", "/procs/failed/history", no, "", 200),
        ("oldHistory", "/procs/unknown/history", no, "", 404),
        ("oldHistory", "/procs/twin/history", no, "", 409),
        ("oldCancel", "/procs/child?wait=1ms&serial=0", no, "", 400),
        ("oldCancel", "/procs/child", no, "", 200),
        ("oldCancel", "/procs/fixed", no, "", 403),
        ("oldCancel", "/procs/unknown", no, "", 404),
        ("oldCancel", "/procs/twin", no, "", 409),
        ("oldCancel", "/procs/child?status=x", no, "", 412),
        ("oldCancel", "/procs/child", no, &long, 413),
        ("oldOptions", "/procs/child", no, "", 200),
    ] {
        holder.ask(id, target, headers, body, status);
    }
    #[cfg(feature = "dashboard")]
    for name in crate::dashboard::names() {
        holder.ask("getPageFile", &format!("/page/{name}"), no, "", 200);
    }
    #[cfg(not(feature = "dashboard"))]
    holder.seen.insert(("getPageFile".to_owned(), "200".to_owned()));
    // What is refused before anybody looks at what it is.
    let all: Vec<(String, String)> = holder
        .document
        .operations()
        .iter()
        .map(|operation| {
            let path = operation.path.replace("{ref}", "child").replace("{id}", "child");
            (operation.value["operationId"].as_str().unwrap().to_owned(), path)
        })
        .collect();
    for (id, path) in &all {
        holder.ask(id, path, &[("host", "")], "", 400);
        holder.ask(id, path, &[("host", "evil.example")], "", 421);
        holder.ask(id, path, &[("sec-fetch-site", "cross-site")], "", 403);
        holder.ask(id, &format!("{path}?{}", "x".repeat(9_000)), &[], "", 414);
    }
    let answer = ask(&mut holder.service, "GET", "/openapi.json", &[], "");
    assert_eq!((answer.content_type.as_deref(), answer.json()), (Some("application/json"), holder.document.0.clone()));
    holder.seen.insert(("getDescription".to_owned(), "200".to_owned()));

    for operation in holder.document.operations() {
        for status in operation.value["responses"].as_object().unwrap().keys() {
            let id = operation.value["operationId"].as_str().unwrap();
            let is_seen = holder.seen.contains(&(id.to_owned(), status.clone()));
            assert!(is_seen || ELSEWHERE.contains(&status.as_str()), "{id} never gave {status}");
        }
    }
}

#[test]
fn an_example_is_what_it_is_an_example_of() {
    let document = Document::new();
    for operation in document.operations() {
        for response in operation.value["responses"].as_object().unwrap().values() {
            for media in document.resolve(response)["content"].as_object().into_iter().flat_map(|all| all.values()) {
                if let Some(example) = media.get("example") {
                    assert_eq!(document.errors(&media["schema"], example), [""; 0], "{}", operation.path);
                }
            }
        }
    }
}

#[tokio::test]
async fn events_are_as_described() {
    let document = Document::new();
    let (list, mut tasks) = full_list();
    let mut service = service(&list);
    let request = Request::get("/v1/events").header("host", "localhost").header("accept", "application/x-ndjson");
    let Ok(response) = service.call(request.body(Full::new(Bytes::new())).unwrap()).await;
    let mut body = response.into_body();
    let mut seen = BTreeSet::new();
    while !seen.contains("ended") {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        for line in frame.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event: Value = serde_json::from_slice(line).unwrap();
            assert_eq!(document.errors(document.schema("Event"), &event), [""; 0], "{event}");
            seen.insert(event["type"].as_str().unwrap().to_owned());
            if event["more"] == false {
                tasks.push(list.start("new"));
                tasks.remove(0).finish();
            }
        }
    }
    assert!(seen.contains("snapshot") && seen.contains("started"), "{seen:?}");
    let known = &document.schema("ServerSentEvent")["properties"]["event"]["enum"];
    let named = document.schema("Event")["oneOf"].as_array().unwrap().iter().flat_map(|event| {
        let sort = &event["properties"]["type"];
        sort["enum"].as_array().cloned().unwrap_or_else(|| vec![sort["const"].clone()])
    });
    let names = |all: Vec<Value>| all.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(names(known.as_array().unwrap().clone()), names(named.collect()));
}

/// Returns the code at the beginning of a source.
fn code(rest: &str) -> Option<&str> {
    let (code, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-').then_some(code)
}

/// Returns the codes of failures in a source: the first argument of their constructors, or the one after the status.
fn codes(source: &str) -> Vec<&str> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let after = |marker: &'static str| source.match_indices(marker).map(|(at, marker)| &source[at + marker.len()..]);
    let first = ["Failure::bad(", "Failure::not_found(", "unavailable("].into_iter().flat_map(after);
    let behind = ["Failure::new(", "StatusCode::"].into_iter().flat_map(after).filter_map(|rest| {
        let (status, rest) = rest.split_once(',')?;
        status.chars().all(|c| c.is_alphanumeric() || "_:.".contains(c)).then_some(rest)
    });
    first.chain(behind).filter_map(code).collect()
}

fn sources(dir: &Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, all),
            false if path.extension() == Some("rs".as_ref()) && path.file_stem() != Some("described".as_ref()) => {
                all.push(fs::read_to_string(path).unwrap());
            }
            false => {}
        }
    }
}

#[test]
fn codes_of_problems_are_those_there_are() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let found: BTreeSet<&str> = all.iter().flat_map(|source| codes(source)).collect();
    let document = Document::new();
    let described = document.schema("Problem")["properties"]["code"]["enum"].as_array().unwrap();
    assert_eq!(found, described.iter().map(|code| code.as_str().unwrap()).collect());
}
