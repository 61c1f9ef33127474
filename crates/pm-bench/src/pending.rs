//! A future that is never ready, and a loop that polls it.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// A future that is never ready and counts its polls.
#[derive(Default)]
pub struct Waits(u64);

impl Future for Waits {
    type Output = u64;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u64> {
        black_box(context);
        self.0 += 1;
        if black_box(self.0) == u64::MAX { Poll::Ready(self.0) } else { Poll::Pending }
    }
}

struct Quiet;

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {}
}

/// Polls a future as often as it is called for, in a box and with a waker that counts references.
pub fn polls(future: impl Future) -> impl FnMut(u64) {
    let mut future = Box::pin(future);
    let waker = Waker::from(Arc::new(Quiet));
    move |count| {
        let mut context = Context::from_waker(&waker);
        for _ in 0..count {
            black_box(future.as_mut().poll(&mut context).is_pending());
        }
    }
}
