//! Cancels one task, or all that match a filter, and returns the verdicts.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use pm_core::{CancelError, CancelHandle, CancelRequest, Serial, Verdict, VerdictFuture};
use pm_wire::filter::Filter;
use pm_wire::v1::{BulkCancel, BulkReply, CancelOptions, Expect, Missing, TaskVerdict};
use pm_wire::{VerdictReply, duration, members_of};
use serde_json::{Map, Value};

use super::tasks::{NAME_SERIAL, find_expected, gone};
use crate::cancel::{Attempt, elsewhere, refused, request};
use crate::request::idempotency::{Seen, Ticket};
use crate::request::query::invalid_filter;
use crate::request::route::{Op, TaskRef};
use crate::request::{Answer, Call, Requester, State};
use crate::response::{self, Body, Failure, Held};

/// The default and the highest limit of targets per request.
const MAX_TARGETS: (u64, u64) = (100, 10_000);

/// The bytes that a target takes until its verdict is in the response, and there, besides its id: that is up to six
/// times as long there.
const TARGET_BYTES: u64 = 256 + (size_of::<Target>() + size_of::<VerdictFuture>()) as u64;

/// Makes the cancel requests; they are in the audit log when this returns.
pub(super) async fn begin(
    state: &Arc<State>,
    call: Call,
    requester: &Requester,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answer, Failure> {
    let mut all_keys = headers.get_all("idempotency-key").iter();
    let ticket = match (all_keys.next(), all_keys.next()) {
        (None, _) => None,
        (Some(_), Some(_)) => {
            let detail = "there is more than one Idempotency-Key";
            return Err(Failure::bad("invalid-parameter", detail).parameter("Idempotency-Key"));
        }
        (Some(key), None) => {
            let key = key.to_str().unwrap_or_default();
            let request = format!("{}{:?}", call.operation.path, call.task);
            match state.keys.look_up(&requester.name(), key, (&request, body), Instant::now())? {
                Seen::Before(status, body) => {
                    return Ok(Answer::ready(response::whole(status, response::JSON, body)));
                }
                Seen::First(ticket) => Some(Reserved { state: Arc::clone(state), ticket: Some(ticket) }),
            }
        }
    };
    let work = match (call.operation.op, &call.task) {
        (Op::CancelTask, Some(task)) => one(state, task, requester, body).await?,
        _ => many(state, requester, body).await?,
    };
    Ok(match work {
        Work::Done(status, body) => Answer::ready(finish(ticket, status, body)),
        Work::Waits(waits) => Answer::later(true, async move {
            let (status, body) = waits.await?;
            Ok(Answer::ready(finish(ticket, status, body)))
        }),
    })
}

/// The status and the body of a response, or why there is none.
type Reply = Result<(StatusCode, Bytes), Failure>;

enum Work {
    Done(StatusCode, Bytes),
    Waits(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

/// Stores the response for repeated requests, or removes the key if there is none: a client that disconnected may
/// retry.
struct Reserved {
    state: Arc<State>,
    ticket: Option<Ticket>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.state.keys.forget(ticket);
        }
    }
}

fn finish(reserved: Option<Reserved>, status: StatusCode, body: Bytes) -> Response<Body> {
    if let Some(mut reserved) = reserved
        && let Some(ticket) = reserved.ticket.take()
    {
        reserved.state.keys.store(ticket, status, &body);
    }
    response::whole(status, response::JSON, body)
}

/// The members of a JSON object, taken one by one; what is left is unknown.
struct Members(Map<String, Value>);

impl Members {
    fn read(body: &[u8]) -> Result<Self, Failure> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Map::new()));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Failure::bad("invalid-body", format!("the body is not JSON: {error}")))?;
        Self::of(value, "the body")
    }

    fn of(value: Value, what: &str) -> Result<Self, Failure> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(Failure::bad("invalid-body", format!("{what} is not a JSON object"))),
        }
    }

    fn wrong(name: &str, what: &str) -> Failure {
        Failure::bad("invalid-body", format!("`{name}` is {what}")).parameter(name)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Self::wrong(name, "not a string")),
        }
    }

    fn duration(&mut self, name: &str) -> Result<Option<Duration>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        duration::parse(&text).map(Some).map_err(|error| Self::wrong(name, &format!("not a duration: {error}")))
    }

    fn wait(&mut self) -> Result<Option<Duration>, Failure> {
        match self.duration("wait")? {
            Some(wait) if wait > VerdictReply::MAX_WAIT => {
                let most = duration::show(VerdictReply::MAX_WAIT);
                Err(Self::wrong("wait", &format!("too long: it must be {most} at most; send another request after it")))
            }
            wait => Ok(wait),
        }
    }

    fn number(&mut self, name: &str, most: u64) -> Result<Option<u64>, Failure> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(value) => match whole(&value).filter(|number| *number <= most) {
                Some(number) => Ok(Some(number)),
                None => Err(Self::wrong(name, &format!("not a whole number from 0 to {most}"))),
            },
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, Failure> {
        match self.0.remove(name) {
            None => Ok(false),
            Some(Value::Bool(yes)) => Ok(yes),
            Some(_) => Err(Self::wrong(name, "neither true nor false")),
        }
    }

    /// Checks that no member is left: an unknown one may be a typing error, and the request would cancel another task.
    fn finish(self, known: &[&str]) -> Result<(), Failure> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().take(60).collect();
                let failure = Failure::bad("invalid-body", format!("unknown member `{shown}`")).parameter(shown);
                Err(match pm_wire::nearest(name, known.iter().copied()) {
                    Some(near) => failure.hint(format!("did you mean `{near}`?")),
                    None => failure.hint(format!("the members are {}", known.join(", "))),
                })
            }
        }
    }
}

/// Returns a whole number, also one that is written `1.0`, as JSON makes no difference.
fn whole(value: &Value) -> Option<u64> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    let fraction = || value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..EXACT).contains(number));
    value.as_u64().or_else(|| fraction().map(|number| number as u64))
}

async fn one(state: &Arc<State>, task: &TaskRef, requester: &Requester, body: &[u8]) -> Result<Work, Failure> {
    let mut members = Members::read(body)?;
    let (reason, wait) = (members.text("reason")?.unwrap_or_default(), members.wait()?);
    let expect = members.0.remove("expect");
    members.finish(members_of::<CancelOptions>())?;
    let mut expect = Members::of(expect.unwrap_or_else(|| Map::new().into()), "`expect`")?;
    let (expected, min_age, status) = (expect.text("serial")?, expect.duration("minAge")?, expect.text("status")?);
    expect.finish(members_of::<Expect>())?;

    let named = match task {
        TaskRef::Id(id) | TaskRef::Digits(id) => Some(id.clone()),
        TaskRef::Serial(_) => None,
    };
    let attempt = Attempt::one(state, requester, named, &reason);
    let refuse = |attempt: &Attempt, failure: Failure| {
        attempt.refused(&failure);
        failure
    };
    let meant = expected.as_deref().and_then(|expected| expected.parse().ok());
    let find = {
        let (list, task) = (state.list.clone(), task.clone());
        move |attempt: Attempt| {
            let serial = find_expected(&list, &task, meant).inspect_err(|failure| attempt.refused(failure))?;
            Ok((serial, list.view(serial, |task| (task.id().to_string(), task.outcome()))))
        }
    };
    let (serial, found) = if state.is_long_to_find(task) {
        elsewhere(state, requester, &attempt, find).await?
    } else {
        find(attempt.clone())?
    };
    let attempt = attempt.of(serial, None);
    if let Some(expected) = expected.filter(|expected| *expected != serial.to_string()) {
        let detail = format!("the task has the serial {serial}, not {expected}");
        return Err(refuse(&attempt, Failure::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail)));
    }
    let (id, outcome) = found.ok_or_else(gone)?;
    let attempt = attempt.of(serial, Some(&id));
    attempt.begin().await?;
    let (list, by) = (state.list.clone(), requester.name());
    let work = move |attempt: Attempt| match list.cancel(serial, request(&reason, &by, min_age, status.as_deref())) {
        Ok(asked) => {
            attempt.asked();
            Ok(Some(asked))
        }
        Err(CancelError::NotFound) => {
            attempt.note("finished");
            Ok(None)
        }
        Err(error) => Err(refuse(&attempt, refused(&error, NAME_SERIAL))),
    };
    match elsewhere(state, requester, &attempt, work).await? {
        Some(asked) => {
            let (below, missing) = (asked.below(), Missing::new(state.list.not_shown()));
            let answer = move |verdict: &Verdict| {
                let mut answer = TaskVerdict::new(serial, &*id, verdict);
                answer.below = below;
                answer.missing.clone_from(&missing);
                let still = matches!(verdict, Verdict::Cancelling { .. });
                (if still { StatusCode::ACCEPTED } else { StatusCode::OK }, response::to_json(&answer))
            };
            let Some(wait) = wait else {
                let (status, body) = answer(&asked.verdict());
                return Ok(Work::Done(status, body));
            };
            let within = asked.wait(wait);
            Ok(Work::Waits(Box::pin(async move {
                let verdict = within.await;
                attempt.note(verdict.as_str());
                Ok(answer(&verdict))
            })))
        }
        None => {
            let outcome = outcome.or_else(|| state.list.view(serial, |task| task.outcome()).flatten());
            let mut answer = TaskVerdict::dry_run(serial, id);
            answer.verdict = Some(pm_wire::v1::Verdict::Finished);
            answer.took = Some(Duration::ZERO);
            answer.outcome = outcome.map(Into::into);
            answer.already_ended = true;
            Ok(Work::Done(StatusCode::OK, response::to_json(&answer)))
        }
    }
}

async fn many(state: &Arc<State>, requester: &Requester, body: &[u8]) -> Result<Work, Failure> {
    let mut members = Members::read(body)?;
    let filter = match members.0.remove("filter") {
        Some(filter) => Filter::from_json(&filter).map_err(|error| invalid_filter(&error, "filter"))?,
        None => Filter::default(),
    };
    let (reason, wait) = (members.text("reason")?.unwrap_or_default(), members.wait()?);
    let dry_run = members.flag("dryRun")?;
    let most = members.number("max", MAX_TARGETS.1)?.unwrap_or(MAX_TARGETS.0);
    let expected = members.number("expectTotal", u64::from(u32::MAX))?;
    members.finish(members_of::<BulkCancel>())?;
    let attempt = Attempt::many(state, requester, filter.to_string(), &reason);
    if dry_run {
        let (shared, recorded) = (Arc::clone(state), attempt.clone());
        let client = requester.client();
        let work = move || {
            let (targets, held) = choose(&shared, &attempt, &filter, most, expected)?;
            let targets = targets.into_iter().map(|(serial, id)| TaskVerdict::dry_run(serial, id)).collect();
            let mut reply = BulkReply::dry_run(targets);
            reply.missing = Missing::new(shared.list.not_shown());
            Ok::<_, Failure>(held.of(response::to_json(&reply)))
        };
        let body =
            state.reports.run(client.as_ref(), work).await.inspect_err(|failure| recorded.refused(failure))??;
        return Ok(Work::Done(StatusCode::OK, body));
    }
    let (shared, by) = (Arc::clone(state), requester.name());
    let search = move |attempt: Attempt| choose(&shared, &attempt, &filter, most, expected);
    let (targets, held) = elsewhere(state, requester, &attempt, search).await?;
    attempt.begin().await?;
    let list = state.list.clone();
    let missing = Missing::new(list.not_shown());
    let work = move |attempt: Attempt| {
        attempt.asked();
        let request = CancelRequest::new(&reason).by(&by);
        let ask = |(serial, id): (Serial, String)| {
            let target = attempt.target(serial, &id);
            let state = match list.cancel(serial, request) {
                Ok(asked) => {
                    target.asked();
                    Waiting::for_end_of(asked, wait)
                }
                Err(error) => {
                    target.refused(&refused(&error, NAME_SERIAL));
                    Waiting::Done(error.into())
                }
            };
            Target { serial, id, state }
        };
        Ok(targets.into_iter().map(ask).collect::<Vec<Target>>())
    };
    let asked = elsewhere(state, requester, &attempt, work).await?;
    let pieces = Arc::clone(&state.pieces);
    Ok(Work::Waits(Box::pin(async move {
        let verdicts = AllOf { targets: asked, done: 0 }.await;
        let write = move || held.of(write_verdicts(&attempt, verdicts, wait.is_some(), missing));
        Ok((StatusCode::OK, pieces.run_accepted(write).await?))
    })))
}

/// Writes the verdicts, and records those that were waited for.
fn write_verdicts(
    attempt: &Attempt,
    verdicts: Vec<(Target, Verdict)>,
    waited: bool,
    missing: Option<Missing>,
) -> Bytes {
    let verdicts = verdicts.into_iter().map(|(target, verdict)| {
        // A refusal has a record already.
        if waited && verdict.took().is_some() {
            // Made again: it has a copy of the filter and of the reason, which ten thousand targets should not.
            attempt.target(target.serial, &target.id).note(verdict.as_str());
        }
        TaskVerdict::new(target.serial, &*target.id, &verdict)
    });
    let mut reply = BulkReply::new(verdicts.collect());
    reply.missing = missing;
    response::to_json(&reply)
}

/// The targets of a bulk cancel, and the memory for them.
type Chosen = (Vec<(Serial, String)>, Held);

/// Returns the tasks that a filter selects, if they are within the limits; oldest first, so that parents come before
/// their children. A refusal is recorded.
fn choose(
    state: &State,
    attempt: &Attempt,
    filter: &Filter,
    most: u64,
    expected: Option<u64>,
) -> Result<Chosen, Failure> {
    let choose = || {
        let targets = select(state, filter, most, expected)?;
        // Before anything is cancelled, as the verdicts are to reach the client.
        let bytes = targets.iter().map(|(_, id)| TARGET_BYTES + 6 * id.len() as u64).sum();
        Ok((targets, state.memory.hold_for_response(bytes)?))
    };
    choose().inspect_err(|failure| attempt.refused(failure))
}

fn select(state: &State, filter: &Filter, most: u64, expected: Option<u64>) -> Result<Vec<(Serial, String)>, Failure> {
    if filter.lets_all_pass() {
        let detail = "the filter is missing, or matches every task";
        return Err(Failure::bad("missing-filter", detail).hint("select tasks: {\"filter\":\"kind=import minAge=5m\"}"));
    }
    let mut targets: Vec<(u64, Serial, String)> = Vec::new();
    let mut total = 0;
    state.list.for_each(|task| {
        if filter.matches(task) {
            total += 1;
            if total <= most {
                targets.push((task.started_at().unix_nanos(), task.serial(), task.id().to_string()));
            }
        }
    });
    if let Some(expected) = expected.filter(|expected| *expected != total) {
        let detail = format!("the filter matches {total} tasks, not {expected}; none was cancelled");
        return Err(Failure::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail).total(total));
    }
    if total > most {
        let detail = format!("the filter matches {total} tasks, more than the limit of {most}; none was cancelled");
        return Err(Failure::new(StatusCode::CONFLICT, "too-many-victims", detail)
            .total(total)
            .hint(format!("narrow the filter, or raise `max` (at most {})", MAX_TARGETS.1)));
    }
    targets.sort_unstable();
    Ok(targets.into_iter().map(|(_, serial, id)| (serial, id)).collect())
}

/// One of the tasks that a filter selects.
struct Target {
    serial: Serial,
    id: String,
    state: Waiting,
}

enum Waiting {
    For(Pin<Box<VerdictFuture>>),
    Done(Verdict),
}

impl Waiting {
    fn for_end_of(asked: CancelHandle, at_most: Option<Duration>) -> Self {
        match at_most {
            Some(at_most) => Self::For(Box::pin(asked.wait(at_most))),
            None => Self::Done(asked.verdict()),
        }
    }
}

/// Waits for all verdicts; each has the same time limit.
struct AllOf {
    targets: Vec<Target>,
    /// So many of the first have a verdict. Each is waited for only when those before it have theirs, so that many
    /// tasks that end one after the other take no more time than a few.
    done: usize,
}

impl Future for AllOf {
    type Output = Vec<(Target, Verdict)>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { targets, done } = &mut *self;
        for target in &mut targets[*done..] {
            if let Waiting::For(verdict) = &mut target.state {
                target.state = Waiting::Done(ready!(verdict.as_mut().poll(context)));
            }
            *done += 1;
        }
        let done = std::mem::take(targets).into_iter().filter_map(|target| match &target.state {
            Waiting::Done(verdict) => {
                let verdict = verdict.clone();
                Some((target, verdict))
            }
            Waiting::For(_) => None,
        });
        Poll::Ready(done.collect())
    }
}
