//! What is known of a request or call while it runs: handed from the future of the answer to its body.
//!
//! In a box of its own: futures, answers and bodies are moved many times by whatever is around them, and each of them would
//! be twice as large.

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
    pub(super) names_task: bool,
    is_head: bool,
    is_connect: bool,
    pub(super) handover: Handover,
    /// Why the task has failed, though its body may go on.
    pub(super) failed: Option<String>,
    /// Bytes that are still to be sent; the highest number when that is not known. After them nobody asks for an end.
    pub(super) left: u64,
}

impl Run {
    pub(super) fn new(supervisor: Supervisor, side: Side, method: &Method, grpc: Grpc) -> Box<Self> {
        Box::new(Self {
            supervisor,
            grpc,
            side,
            names_task: false,
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

    /// Polls a future as the task. When it is ready, it is dropped as the task, too, to which a panic belongs.
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

    /// Whether an answer hands the connection over.
    pub(super) fn is_upgraded_by(&self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS || self.is_connect && status.is_success()
    }

    /// Takes down what the head of an answer tells about its body and the end of the task.
    #[inline]
    pub(super) fn read_head<B: Body>(&mut self, response: &Response<B>) {
        let status = response.status();
        if status.is_server_error() {
            self.failed = Some(status.to_string());
        } else if self.speaks_grpc() {
            self.failed = grpc::failure(response.headers(), self.side);
        }
        let is_bare = self.is_head
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        // The body knows best, and is asked sooner than a header is found.
        let said = || response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        self.left = if is_bare { 0 } else { response.body().size_hint().exact().or_else(said).unwrap_or(u64::MAX) };
    }
}
