//! A future that is never ready, a loop that polls it, and one that runs futures to their end.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

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

/// Wakes the thread that waits in [`block_on`].
struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end in this thread, which sleeps while the future waits.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unparks(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
