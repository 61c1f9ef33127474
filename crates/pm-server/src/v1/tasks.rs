//! Live tasks, ended tasks, the tree, one task, and its history.

use http::{Response, StatusCode};
use pm_core::{ProcessList, Serial};
use pm_wire::v1::{Missing, Row, TaskPage, TaskReply};
use pm_wire::v1_rows::{self, RowWriter};

use super::page::{MAX_PAGE, Page, Query, Takes};
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
    // Before the list is read, so that a response that does not fit costs nothing.
    let _held = state.memory.hold_for_response(query.bytes())?;
    let mut page = Page::new(&query);
    let now = state.list.for_each(|task| page.offer(task));
    Ok(response::json(page.finish(now, state.list.not_shown())))
}

/// `GET /v1/ended`
pub(super) fn ended(state: &State, text: Option<&str>) -> Result<Response<Body>, Failure> {
    let query = Query::read(text, Takes::Ended, &state.boot, no_other)?;
    let _held = state.memory.hold_for_response(query.bytes())?;
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
    let (report, held) = waits::report(state)?;
    let (waits, holds_up) = waits::of_task(&report, serial);
    drop((report, held));
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
    let live = state.list.counters().live;
    let _held = state.memory.hold_for_response(live * FAMILY_BYTES)?;
    let mut members = Vec::with_capacity(live as usize);
    let at = state.list.for_each(|task| {
        let (serial, parent, started) = (task.serial(), task.parent(), task.started_ticks());
        members.push(Member { serial, parent, started, matches: query.filter.matches(task) });
    });
    members.sort_unstable_by_key(|member| member.serial);
    if let Some(root) = root.filter(|root| position(&members, *root).is_none()) {
        return Err(no_such_task(&format!("no live task has the serial {root}")).parameter("root"));
    }
    let walk = Walk::new(members, root);
    let (mut writer, mut count, mut is_full) = (RowWriter::new(), 0, false);
    let total = walk.each(|serial, depth| {
        is_full |= count >= query.limit || writer.len() >= MAX_PAGE;
        if is_full {
            return;
        }
        // One that has ended since is left out.
        state.list.view(serial, |task| {
            if count > 0 {
                writer.raw(b",");
            }
            count += 1;
            writer.row_at_depth(task, query.fields, depth);
        });
    });
    let mut page = TaskPage::new(Vec::new(), total as u64, total > count, at.into());
    page.missing = Missing::new(state.list.not_shown());
    Ok(response::json(page.around(&writer.take())))
}

/// The most bytes that a task takes while a tree is put together.
const FAMILY_BYTES: u64 = (size_of::<Member>() + size_of::<Child>() + size_of::<(Serial, u64)>()) as u64;

struct Member {
    serial: Serial,
    parent: Option<Serial>,
    started: u64,
    matches: bool,
}

/// Returns the position of a task among those that are in order of their serials.
fn position(members: &[Member], serial: Serial) -> Option<usize> {
    members.binary_search_by_key(&serial, |member| member.serial).ok()
}

/// A task in the forest: the nearest ancestor that matches or is the root, its start, itself.
type Child = (Option<Serial>, u64, Serial);

/// The forest of the matching tasks.
struct Walk {
    /// In order of their ancestors, and below each of their starts.
    children: Vec<Child>,
    /// The task at which the walk begins; without one, at all that have no ancestor.
    root: Option<Serial>,
    is_root_shown: bool,
}

impl Walk {
    /// Builds the forest, or only the tree of `root`, of tasks in order of their serials.
    fn new(mut members: Vec<Member>, root: Option<Serial>) -> Self {
        let is_root_shown = root.and_then(|root| position(&members, root)).is_some_and(|at| members[at].matches);
        let mut children = Vec::with_capacity(members.iter().filter(|member| member.matches).count());
        let mut passed = Vec::new();
        for at in 0..members.len() {
            if !members[at].matches {
                continue;
            }
            let mut parent = members[at].parent;
            while let Some(serial) = parent.filter(|parent| root != Some(*parent)) {
                // The parent of a task that has ended is unknown.
                match position(&members, serial) {
                    Some(at) if members[at].matches => break,
                    Some(at) => {
                        passed.push(at);
                        parent = members[at].parent;
                    }
                    None => parent = None,
                }
            }
            // Later walks up the same path take one step.
            for at in passed.drain(..) {
                members[at].parent = parent;
            }
            children.push((parent, members[at].started, members[at].serial));
        }
        children.sort_unstable();
        Self { children, root, is_root_shown }
    }

    fn below(&self, parent: Option<Serial>) -> &[Child] {
        let from = self.children.partition_point(|child| child.0 < parent);
        let to = from + self.children[from..].partition_point(|child| child.0 == parent);
        &self.children[from..to]
    }

    /// Visits the tasks depth first; returns how many.
    fn each(&self, mut visit: impl FnMut(Serial, u64)) -> usize {
        let mut stack: Vec<(Serial, u64)> = match self.root.filter(|_| self.is_root_shown) {
            Some(root) => vec![(root, 0)],
            None => self.below(self.root).iter().rev().map(|child| (child.2, 0)).collect(),
        };
        let mut count = 0;
        while let Some((serial, depth)) = stack.pop() {
            visit(serial, depth);
            count += 1;
            stack.extend(self.below(Some(serial)).iter().rev().map(|child| (child.2, depth + 1)));
        }
        count
    }
}
