//! Live tasks, ended tasks, the tree, one task, and its history.

use std::collections::{HashMap, HashSet};

use http::{Response, StatusCode};
use pm_core::{ProcessList, Serial, Snapshot, TaskView};
use pm_wire::v1::{Missing, Row, TaskPage, TaskReply};
use pm_wire::v1_rows::{self, RowWriter};

use super::page::{Page, Query, Takes};
use super::waits;
use crate::cancel::ambiguous;
use crate::request::State;
use crate::request::query::{self, once};
use crate::request::route::{TaskRef, no_such_task};
use crate::response::{self, Body, Failure};

/// How a client of these routes names one of several tasks with the same id.
pub(super) const NAME_SERIAL: &str = "name one by its serial";

fn no_other(_: &str, _: &str) -> Result<bool, Failure> {
    Ok(false)
}

/// `GET /v1/tasks`
pub(super) fn list(state: &State, text: Option<&str>) -> Result<Response<Body>, Failure> {
    let query = Query::read(text, Takes::Pages, &state.boot, no_other)?;
    let mut page = Page::new(&query);
    let now = state.list.for_each(|task| page.offer(task));
    Ok(response::json(page.finish(now, state.list.not_shown())))
}

/// `GET /v1/ended`
pub(super) fn ended(state: &State, text: Option<&str>) -> Result<Response<Body>, Failure> {
    let query = Query::read(text, Takes::Ended, &state.boot, no_other)?;
    let mut page = Page::new(&query);
    let ended = state.list.ended_where(|task| {
        page.offer(task);
        false
    });
    Ok(response::json(page.finish(ended.at(), 0)))
}

/// Returns the serial of the live task that a path names, or of the newest ended one.
pub(super) fn find(list: &ProcessList, task: &TaskRef) -> Result<Serial, Failure> {
    find_expected(list, task, None)
}

/// As [`find`]; where digits name two tasks, `expected` says which one is meant.
pub(super) fn find_expected(list: &ProcessList, task: &TaskRef, expected: Option<Serial>) -> Result<Serial, Failure> {
    let is_known = |serial: &Serial| list.view(*serial, |_| ()).is_some();
    let id = match task {
        TaskRef::Serial(serial) => return Some(*serial).filter(is_known).ok_or_else(gone),
        TaskRef::Digits(digits) => return find_digits(list, digits, expected),
        TaskRef::Id(id) => id,
    };
    match list.find(id)[..] {
        [serial] => Ok(serial),
        [] => {
            let ended = list.find_ended(id);
            let newest = ended.iter().next_back().map(|task| task.serial());
            newest.ok_or_else(|| {
                let failure = no_such_task("no live or recently ended task has this id");
                if is_kind(list, id) {
                    failure.hint(format!("it is a kind: select its tasks by kind={id}"))
                } else {
                    failure
                }
            })
        }
        ref several => Err(ambiguous(several, NAME_SERIAL)),
    }
}

/// Returns the serial in `digits`, unless a live task has them as its id: a request that means one task must not reach
/// another.
fn find_digits(list: &ProcessList, digits: &str, expected: Option<Serial>) -> Result<Serial, Failure> {
    let mut named = list.find(digits);
    let serial: Option<Serial> = digits.parse().ok();
    let found = serial.and_then(|serial| list.view(serial, |task| (serial, task.id().to_string())));
    named.retain(|other| Some(*other) != serial);
    match (found, named.first()) {
        (Some((serial, _)), None) => Ok(serial),
        (None, None) => Err(gone()),
        (None, Some(_)) => Err(gone().hint(format!("a live task has it as its id: write id:{digits}"))),
        (Some((serial, id)), Some(other)) => {
            let both = || std::iter::once(serial).chain(named.iter().copied());
            if let Some(meant) = expected.filter(|expected| both().any(|one| one == *expected)) {
                return Ok(meant);
            }
            let id: String = id.chars().take(60).collect();
            let detail = format!(
                "{digits} is the serial of the task `{id}`, and the id of the live task with the serial {other}"
            );
            let hint = format!("write serial:{serial} for the first, or serial:{other} or id:{digits} for the second");
            let all: Vec<Serial> = both().take(20).collect();
            Err(Failure::new(StatusCode::CONFLICT, "ambiguous-id", detail).hint(hint).serials(&all))
        }
    }
}

/// Returns `true` if a live task has this kind.
fn is_kind(list: &ProcessList, name: &str) -> bool {
    let mut found = false;
    list.for_each(|task| found |= task.kind().is_some_and(|kind| kind.as_bytes() == name.as_bytes()));
    found
}

/// `GET /v1/tasks/{ref}`: one task, live or ended.
pub(super) fn one(state: &State, task: &TaskRef, text: Option<&str>) -> Result<Response<Body>, Failure> {
    let (mut fields, mut view) = (None, None);
    for (name, value) in query::pairs(text)? {
        match name.as_str() {
            "fields" => once("fields", &mut fields, value)?,
            "view" => once("view", &mut view, value)?,
            name => return Err(query::unknown(name, &["fields", "view"], false)),
        }
    }
    let fields = query::fields(fields.as_deref(), view.as_deref())?;
    let mut writer = RowWriter::new();
    let found = state.list.view(find(&state.list, task)?, |task| {
        writer.row(task, fields);
        task.serial()
    });
    let serial = found.ok_or_else(gone)?;
    let (waits, holds_up) = waits::of_task(&state.list.waits(), serial);
    let reply = TaskReply::new(Row::default(), waits, holds_up, state.list.now().into());
    Ok(response::json(reply.around(&writer.take())))
}

/// 404: no task has the serial.
pub(super) fn gone() -> Failure {
    no_such_task("no task has this serial, or it has ended and was evicted")
}

/// `GET /v1/tasks/{ref}/history`
pub(super) fn history(state: &State, task: &TaskRef, text: Option<&str>) -> Result<Response<Body>, Failure> {
    query::none(text)?;
    let serial = find(&state.list, task)?;
    let history = state.list.history(serial).ok_or_else(gone)?;
    Ok(response::json(v1_rows::history(serial, &history)))
}

/// `GET /v1/tree`: live tasks, each after its parent and before the next child of its parent. In one array with a
/// `depth`, so that no nesting is too deep for a JSON parser.
pub(super) fn tree(state: &State, text: Option<&str>) -> Result<Response<Body>, Failure> {
    let mut root = None;
    let query = Query::read(text, Takes::Limit, &state.boot, |name, value| match name {
        "root" => once("root", &mut root, TaskRef::of(value)?).map(|()| true),
        _ => Ok(false),
    })?;
    let root = root.map(|task| find(&state.list, &task)).transpose()?;
    let snapshot = state.list.snapshot();
    let matching: HashSet<Serial> =
        snapshot.iter().filter(|task| query.filter.matches(task)).map(|task| task.serial()).collect();
    if let Some(root) = root.filter(|root| !snapshot.iter().any(|task| task.serial() == *root)) {
        return Err(no_such_task(&format!("no live task has the serial {root}")).parameter("root"));
    }
    let walk = Walk::new(&snapshot, &matching, root);
    let (mut writer, mut count) = (RowWriter::new(), 0);
    let total = walk.each(|task, depth| {
        if count < query.limit {
            if count > 0 {
                writer.raw(b",");
            }
            count += 1;
            writer.row_at_depth(task, query.fields, depth);
        }
    });
    let mut page = TaskPage::new(Vec::new(), total as u64, total > count, snapshot.at().into());
    page.missing = Missing::new(state.list.not_shown());
    Ok(response::json(page.around(&writer.take())))
}

/// The forest of the matching tasks.
struct Walk<'s> {
    snapshot: &'s Snapshot,
    /// The tasks below each, by the nearest ancestor that matches or is the root; oldest first. Below `None`: those
    /// without one.
    below: HashMap<Option<Serial>, Vec<usize>>,
    /// The roots of the walk.
    first: Vec<usize>,
}

impl<'s> Walk<'s> {
    /// Builds the forest, or only the tree of `root`.
    fn new(snapshot: &'s Snapshot, matching: &HashSet<Serial>, root: Option<Serial>) -> Self {
        let mut above: HashMap<Serial, Option<Serial>> =
            snapshot.iter().map(|task| (task.serial(), task.parent())).collect();
        let stays = |serial: &Serial| matching.contains(serial) || root == Some(*serial);
        let mut below: HashMap<Option<Serial>, Vec<usize>> = HashMap::new();
        let mut passed = Vec::new();
        for (at, task) in snapshot.iter().enumerate().filter(|(_, task)| matching.contains(&task.serial())) {
            let mut parent = task.parent();
            while let Some(serial) = parent.filter(|serial| !stays(serial)) {
                passed.push(serial);
                // The parent of a task that has ended is unknown.
                parent = above.get(&serial).copied().flatten();
            }
            // Later walks up the same path take one step.
            for serial in passed.drain(..) {
                above.insert(serial, parent);
            }
            below.entry(parent).or_default().push(at);
        }
        let first = match root.filter(|root| matching.contains(root)) {
            Some(root) => snapshot.iter().position(|task| task.serial() == root).into_iter().collect(),
            None => below.get(&root).cloned().unwrap_or_default(),
        };
        Self { snapshot, below, first }
    }

    /// Visits the tasks depth first; returns how many.
    fn each(&self, mut visit: impl FnMut(&TaskView<'_>, u64)) -> usize {
        let mut count = 0;
        let mut stack: Vec<(usize, u64)> = self.first.iter().rev().map(|&at| (at, 0)).collect();
        while let Some((at, depth)) = stack.pop() {
            let Some(task) = self.snapshot.get(at) else { continue };
            visit(&task, depth);
            count += 1;
            let below = self.below.get(&Some(task.serial())).into_iter().flatten();
            stack.extend(below.rev().map(|&at| (at, depth + 1)));
        }
        count
    }
}
