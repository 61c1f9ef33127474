//! The state of a request or call while it runs, passed from the response future to the response body.
//!
//! It is boxed, since the surrounding stack moves futures, responses and bodies many times, and each would be twice as
//! large.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::CONTENT_LENGTH;
use http::{Method, Response, StatusCode};
use http_body::Body;
use pm_core::{SupervisedPoll, Supervisor, TaskHandle};

use super::current::Handover;
use super::grpc::{self, Grpc, Side};

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
        // The body is authoritative, and faster to ask than a header is to find.
        let declared = || response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        self.left =
            if is_bodyless { 0 } else { response.body().size_hint().exact().or_else(declared).unwrap_or(u64::MAX) };
    }
}
