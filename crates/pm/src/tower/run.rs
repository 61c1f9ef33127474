//! The state of a request or call while it runs, passed from the response future to the response body.
//!
//! It is boxed, since the surrounding stack moves futures, responses and bodies many times, and each would be twice as
//! large.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::CONTENT_LENGTH;
use http::{Method, Response, StatusCode};
use http_body::Body;
use pm_core::{Cancelled, Meter, SupervisedPoll, Supervisor, TaskHandle};

use super::connection::{OnConnection, RECEIVED};
use super::current::Handover;
use super::grpc::{self, Grpc, Side};
use super::methods::Trial;

pub(super) struct Run {
    pub(super) supervisor: Supervisor,
    pub(super) grpc: Grpc,
    pub(super) side: Side,
    pub(super) reply_header: bool,
    is_head: bool,
    is_connect: bool,
    pub(super) handover: Handover,
    /// Why the task has failed, although its body may continue.
    pub(super) failed: Option<String>,
    /// The number of bytes still to be sent; `u64::MAX` if unknown. After the last one, servers may stop polling.
    pub(super) left: u64,
    /// The length that the head promises; `None` if it promises none, or if no body is sent.
    length: Option<u64>,
    /// Counts the bytes of a body that has several frames, as the progress of the task.
    meter: Option<Meter>,
    /// The connection that the response is sent over, if it is known.
    pub(super) connection: Option<OnConnection>,
    /// The gRPC method, if its path is not known to exist.
    pub(super) trial: Option<Trial>,
}

impl Run {
    pub(super) fn new(supervisor: Supervisor, side: Side, method: &Method, grpc: Grpc) -> Box<Self> {
        Box::new(Self {
            supervisor,
            grpc,
            side,
            reply_header: false,
            is_head: *method == Method::HEAD,
            is_connect: *method == Method::CONNECT,
            handover: Handover::none(),
            failed: None,
            left: u64::MAX,
            length: None,
            meter: None,
            connection: None,
            trial: None,
        })
    }

    pub(super) fn handle(&self) -> TaskHandle {
        self.supervisor.handle()
    }

    /// Polls a future as the task. A future that is ready is dropped as the task as well, so that a panic in its drop
    /// is attributed to the task.
    #[inline]
    pub(super) fn poll<F: Future>(
        &mut self,
        mut future: Pin<&mut Option<F>>,
        context: &mut Context<'_>,
    ) -> SupervisedPoll<F::Output> {
        if future.is_none() {
            return SupervisedPoll::Kill;
        }
        self.supervisor.poll(context, |context| {
            let Some(running) = future.as_mut().as_pin_mut() else { return Poll::Pending };
            let output = ready!(running.poll(context));
            future.set(None);
            Poll::Ready(output)
        })
    }

    pub(super) fn speaks_grpc(&self) -> bool {
        matches!(self.grpc, Grpc::Native(_))
    }

    /// Returns `true` if a response with this status upgrades the connection.
    pub(super) fn is_upgraded_by(&self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS || self.is_connect && status.is_success()
    }

    /// Reads from the head of a response how long its body is, and whether the task has failed.
    #[inline]
    pub(super) fn read_head<B: Body>(&mut self, response: &Response<B>) {
        let status = response.status();
        if status.is_server_error() {
            self.failed = Some(status.to_string());
        } else if self.speaks_grpc() {
            self.failed = grpc::failure(response.headers(), self.side);
        }
        let is_bodyless = self.is_head
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        if is_bodyless {
            self.left = 0;
            return;
        }
        // The head is authoritative: that is what the other side waits for.
        let declared = || response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        self.length = declared().or_else(|| response.body().size_hint().exact());
        self.left = self.length.unwrap_or(u64::MAX);
    }

    /// Counts the bytes of a frame.
    #[inline]
    pub(super) fn count(&mut self, bytes: u64, is_end: bool) {
        if let Some(length) = self.length {
            if bytes > self.left {
                self.failed.get_or_insert_with(|| format!("the body is longer than its {length} bytes"));
            }
            self.left = self.left.saturating_sub(bytes);
        }
        // Most bodies are one frame.
        if !is_end && self.left > 0 {
            self.count_as_progress(bytes);
        }
    }

    #[inline(never)]
    fn count_as_progress(&mut self, bytes: u64) {
        let handle = self.handle();
        match &mut self.meter {
            Some(meter) => meter.add(bytes),
            // Its own progress says more than ours.
            None if handle.view(|task| task.progress().is_some_and(|progress| progress.unit.as_str() != RECEIVED))
                == Some(true) => {}
            None => {
                let mut meter = handle.meter(self.length.unwrap_or(0), "bytes");
                meter.add(bytes);
                self.meter = Some(meter);
            }
        }
        if let Some(connection) = &mut self.connection {
            connection.watch(&self.supervisor);
        }
    }

    /// Ends the task after the last frame, or when the body is no longer needed, and drops it by `drop_it`.
    ///
    /// A body that is shorter than its head promised has failed: the other side sees a response that is cut off.
    #[inline]
    pub(super) fn finish(&mut self, drop_it: impl FnOnce()) {
        if let Some(length) = self.length
            && self.left > 0
        {
            let sent = length - self.left;
            self.failed.get_or_insert_with(|| format!("the body ended after {sent} of {length} bytes"));
        }
        self.meter = None;
        self.supervisor.finish(self.failed.as_deref(), drop_it);
    }

    /// Ends the task as cancelled, and drops its body by `drop_it`.
    pub(super) fn kill(&mut self, drop_it: impl FnOnce()) -> Cancelled {
        self.meter = None;
        self.supervisor.kill(drop_it)
    }

    /// Ends the task of a body that its owner drops, by `drop_it`: as cancelled if it is to be dropped anyway.
    pub(super) fn abandon(&mut self, drop_it: impl FnOnce()) {
        if self.supervisor.should_kill() {
            self.kill(drop_it);
            return;
        }
        self.meter = None;
        self.supervisor.abandon(drop_it);
    }
}
