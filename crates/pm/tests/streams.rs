//! Streams and bodies as tasks: how they end, and how that is recorded.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::{Empty, Full};
use pm::{
    BodyError, Cancelled, Clock, Options, Outcome, ProcessList, RunBodyExt as _, RunStreamExt as _, Serial,
    TaskStreamExt as _,
};

// As the server's own `Body`.
use http_body::{Body, Frame, SizeHint};

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls by hand.
struct Bench<S> {
    subject: Pin<Box<S>>,
    bell: Arc<Bell>,
}

impl<S> Bench<S> {
    fn new(subject: S) -> Self {
        Self { subject: Box::pin(subject), bell: Arc::default() }
    }

    fn with<R>(&mut self, poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> R) -> R {
        let waker = Waker::from(Arc::clone(&self.bell));
        poll(self.subject.as_mut(), &mut Context::from_waker(&waker))
    }
}

impl<S: Stream> Bench<S> {
    fn next(&mut self) -> Poll<Option<S::Item>> {
        self.with(|stream, context| stream.poll_next(context))
    }
}

type Polled<B> = Result<Frame<<B as Body>::Data>, <B as Body>::Error>;

impl<B: Body> Bench<B> {
    fn frame(&mut self) -> Poll<Option<Polled<B>>> {
        self.with(|body, context| body.poll_frame(context))
    }
}

/// A stream of the given items, which then stays pending.
struct Script<T>(VecDeque<Option<T>>);

impl<T> Script<T> {
    fn new(items: impl IntoIterator<Item = Option<T>>) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Unpin> Stream for Script<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<T>> {
        let _ = pm::current().status("polled");
        self.0.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<E: Unpin> Body for Script<Result<&'static [u8], E>> {
    type Data = &'static [u8];
    type Error = E;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<&'static [u8]>, E>>> {
        self.poll_next(context).map(|item| item.map(|item| item.map(Frame::data)))
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Cancelled> for Failure {
    fn from(cancelled: Cancelled) -> Self {
        Self(format!("cut: {}", cancelled.reason()))
    }
}

fn story(list: &ProcessList, serial: Serial) -> (Outcome, String) {
    let history = list.history(serial).unwrap();
    (history.outcome.unwrap(), history.entries.last().unwrap().status.clone())
}

// Streams.

#[test]
fn a_stream_that_ends_finishes_its_task_which_is_current_in_each_poll() {
    let list = ProcessList::new();
    let mut stream = Bench::new(list.task("a").run_stream(Script::new([Some(1), Some(2), None])));
    let serial = stream.subject.handle().serial().unwrap();
    assert!(matches!(stream.next(), Poll::Ready(Some(Ok(1)))));
    assert!(matches!(stream.next(), Poll::Ready(Some(Ok(2)))));
    assert_eq!(list.counters().live, 1);
    assert!(matches!(stream.next(), Poll::Ready(None)));
    assert!(matches!(stream.next(), Poll::Ready(None)), "polled again, it stays at its end");
    assert_eq!(story(&list, serial), (Outcome::Finished, "ended".into()));
    let polled = list.history(serial).unwrap().entries.iter().filter(|entry| entry.status == "polled").count();
    assert_eq!(polled, 3);
}

#[test]
fn a_cancellation_wakes_an_idle_stream_which_yields_the_reason_and_ends() {
    let list = ProcessList::new();
    let mut stream = Bench::new(list.task("a").run_stream(Script::<u8>::new([])));
    assert!(stream.next().is_pending());
    list.cancel("a", "too slow").unwrap();
    assert_eq!(stream.bell.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(Some(Err(cancelled))) = stream.next() else { panic!() };
    assert_eq!(cancelled.reason(), "too slow");
    assert!(matches!(stream.next(), Poll::Ready(None)));
    assert_eq!(story(&list, cancelled.serial()), (Outcome::Cancelled, "killed: too slow".into()));
}

#[test]
fn a_stream_has_its_grace_period_and_may_end_within_it() {
    let (clock, hand) = Clock::manual();
    let list = ProcessList::with_options(Options::new().clock(clock));
    let grace = Duration::from_secs(10);
    let mut ends = Bench::new(
        list.task("ends").on_cancel(pm::CancelPolicy::AskThenDrop(grace)).run_stream(Script::new([Some(1), None])),
    );
    let mut stays = Bench::new(
        list.task("stays").on_cancel(pm::CancelPolicy::AskThenDrop(grace)).run_stream(Script::<u8>::new([])),
    );
    list.cancel("ends", "test").unwrap();
    list.cancel("stays", "test").unwrap();
    assert!(matches!(ends.next(), Poll::Ready(Some(Ok(1)))));
    assert!(matches!(ends.next(), Poll::Ready(None)));
    assert!(stays.next().is_pending());
    hand.advance(grace);
    assert_eq!(stays.bell.0.load(Ordering::SeqCst), 1, "woken when its grace is over");
    assert!(matches!(stays.next(), Poll::Ready(Some(Err(_)))));
}

#[test]
fn a_stream_dropped_before_its_end_ends_as_dropped() {
    let list = ProcessList::new();
    let mut stream = Bench::new(list.task("a").run_stream(Script::new([Some(1)])));
    let serial = stream.subject.handle().serial().unwrap();
    let _ = stream.next();
    drop(stream);
    assert_eq!(story(&list, serial), (Outcome::Dropped, "dropped".into()));
}

#[test]
fn a_stream_whose_last_item_is_an_error_ends_as_failed_even_if_not_polled_again() {
    let list = ProcessList::new();
    let bad = || Some(Err::<u8, _>(Failure("disk full".into())));
    for (items, asks_on) in [(vec![bad(), None], true), (vec![bad()], false)] {
        let mut stream = Bench::new(list.task("a").try_run_stream(Script::new(items)));
        let serial = stream.subject.handle().serial().unwrap();
        assert_eq!(stream.next(), Poll::Ready(Some(Err(Failure("disk full".into())))));
        if asks_on {
            assert_eq!(stream.next(), Poll::Ready(None));
        }
        drop(stream);
        assert_eq!(story(&list, serial), (Outcome::Failed, "failed: disk full".into()));
    }
    let mut recovers = Bench::new(list.task("b").try_run_stream(Script::new([bad(), Some(Ok(1)), None])));
    let serial = recovers.subject.handle().serial().unwrap();
    while recovers.next() != Poll::Ready(None) {}
    assert_eq!(story(&list, serial).0, Outcome::Finished);
}

#[test]
fn a_cancelled_stream_of_results_yields_the_converted_error() {
    let list = ProcessList::new();
    let mut stream = Bench::new(list.task("a").try_run_stream(Script::<Result<u8, Failure>>::new([])));
    list.cancel("a", "too slow").unwrap();
    assert_eq!(stream.next(), Poll::Ready(Some(Err(Failure("cut: too slow".into())))));
    assert_eq!(stream.next(), Poll::Ready(None));
}

#[test]
fn the_size_hint_of_a_stream_allows_for_a_cancellation() {
    let list = ProcessList::new();
    let stream = list.task("a").run_stream(futures_util::stream::iter([1, 2, 3]));
    assert_eq!(stream.size_hint(), (0, Some(4)));
}

// Bodies.

#[test]
fn a_body_finishes_with_its_last_frame_even_if_not_polled_again() {
    let list = ProcessList::new();
    let mut body = Bench::new(list.task("a").run_body(Full::new(&b"whole"[..])));
    let serial = body.subject.handle().serial().unwrap();
    assert_eq!(body.subject.size_hint().exact(), Some(5));
    assert!(!body.subject.is_end_stream());
    let Poll::Ready(Some(Ok(frame))) = body.frame() else { panic!() };
    assert_eq!(frame.into_data().unwrap(), b"whole");
    assert_eq!(story(&list, serial), (Outcome::Finished, "ended".into()));
    assert!(body.subject.is_end_stream());
    assert_eq!(body.subject.size_hint().exact(), Some(0));
    assert!(matches!(body.frame(), Poll::Ready(None)));
}

#[test]
fn an_empty_body_finishes_at_once() {
    let list = ProcessList::new();
    let body = list.task("a").run_body(Empty::<&[u8]>::new());
    assert!(body.is_end_stream());
    assert_eq!(list.counters().finished, 1);
}

#[test]
fn a_body_of_unknown_length_finishes_at_its_end() {
    let list = ProcessList::new();
    let part: Result<&'static [u8], Infallible> = Ok(b"part");
    let mut body = Bench::new(list.task("a").run_body(Script::new([Some(part), None])));
    assert!(matches!(body.frame(), Poll::Ready(Some(Ok(_)))));
    assert_eq!(list.counters().live, 1);
    assert!(matches!(body.frame(), Poll::Ready(None)));
    assert_eq!(list.counters().finished, 1);
    assert_eq!(body.subject.size_hint().upper(), SizeHint::with_exact(0).upper());
}

#[test]
fn a_body_that_fails_ends_as_failed_and_passes_its_error_on() {
    let list = ProcessList::new();
    let bad: Result<&'static [u8], _> = Err(Failure("disk full".into()));
    let mut body = Bench::new(list.task("a").run_body(Script::new([Some(bad)])));
    let serial = body.subject.handle().serial().unwrap();
    let Poll::Ready(Some(Err(error))) = body.frame() else { panic!() };
    assert_eq!(error.to_string(), "disk full");
    assert!(matches!(error, BodyError::Body(Failure(_))));
    assert_eq!(story(&list, serial), (Outcome::Failed, "failed: disk full".into()));
    assert!(matches!(body.frame(), Poll::Ready(None)));
}

#[test]
fn a_cancelled_body_ends_with_the_reason_and_one_dropped_early_ends_as_dropped() {
    let list = ProcessList::new();
    let waits = || Script::<Result<&'static [u8], Infallible>>::new([]);
    let mut body = Bench::new(list.task("killed").run_body(waits()));
    assert!(body.frame().is_pending());
    list.cancel("killed", "too slow").unwrap();
    assert_eq!(body.bell.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(Some(Err(BodyError::Cancelled(cancelled)))) = body.frame() else { panic!() };
    assert_eq!(story(&list, cancelled.serial()), (Outcome::Cancelled, "killed: too slow".into()));
    assert!(matches!(body.frame(), Poll::Ready(None)));

    let gone = list.task("gone").run_body(waits());
    let serial = gone.handle().serial().unwrap();
    drop(gone);
    assert_eq!(story(&list, serial), (Outcome::Dropped, "dropped".into()));
}

// Streams that a task iterates over.

fn shown(list: &ProcessList) -> (u64, u64) {
    let snapshot = list.snapshot();
    let progress = snapshot.get(0).unwrap();
    progress.progress().map_or((0, 0), |progress| (progress.done, progress.total))
}

#[test]
fn a_stream_reports_its_progress_especially_while_it_waits() {
    let list = ProcessList::new();
    let task = list.start("job");
    let ready = stream::iter(0..10_000);
    let mut rows = Bench::new(ready.chain(stream::pending()).with_progress(&task, "rows"));
    for row in 0..10_000 {
        assert_eq!(rows.next(), Poll::Ready(Some(row)));
    }
    assert!(shown(&list).0 < 10_000);
    assert!(rows.next().is_pending());
    assert_eq!(shown(&list), (10_000, 10_000), "a stream that never ends reports that nothing is left");
    let mut known = Bench::new(stream::iter(0..10).with_progress(&task, "rows"));
    assert_eq!(shown(&list), (0, 10));
    while known.next() != Poll::Ready(None) {}
    assert_eq!(shown(&list), (10, 10));
}

#[test]
fn a_cancellation_ends_a_waiting_stream() {
    let list = ProcessList::new();
    let task = list.start("job");
    let mut rows = Bench::new(stream::iter([1]).chain(stream::pending()).checked(&task));
    assert_eq!(rows.next(), Poll::Ready(Some(Ok(1))));
    assert!(rows.next().is_pending());
    list.cancel("job", "why").unwrap();
    assert_eq!(rows.bell.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(Some(Err(cancelled))) = rows.next() else { panic!("it continues") };
    assert_eq!(cancelled.reason(), "why");
    assert_eq!((rows.next(), rows.subject.size_hint()), (Poll::Ready(None), (0, Some(0))));
}

/// A body that promises more than it has.
struct Short(Option<&'static [u8]>);

impl Body for Short {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<&'static [u8]>, Infallible>>> {
        Poll::Ready(self.0.take().map(|part| Ok(Frame::data(part))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(9)
    }
}

#[test]
fn a_body_that_ends_before_its_promised_length_fails() {
    let list = ProcessList::new();
    let mut body = std::pin::pin!(list.task("a").run_body(Short(Some(b"short"))));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(body.as_mut().poll_frame(&mut context), Poll::Ready(Some(Ok(_)))));
    assert!(matches!(body.as_mut().poll_frame(&mut context), Poll::Ready(None)));
    let serial = list.find_ended("a").get(0).unwrap().serial();
    let last = list.history(serial).unwrap().entries.pop().unwrap().status;
    assert_eq!(last, "failed: the body ended after 5 of 9 bytes");
}
