use std::sync::mpsc;

use http::StatusCode;

use super::*;

fn of(threads: usize) -> Workers {
    Workers::with_threads(Sort::Cancels, threads)
}

/// Runs work that returns when it may, and has begun when this returns.
fn block(workers: &Workers) -> (mpsc::Sender<()>, impl Future<Output = Result<bool, Failure>>) {
    let (go, blocked) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let result = workers.run(None, move || {
        begun.send(()).unwrap();
        blocked.recv().is_ok()
    });
    has_begun.recv().unwrap();
    (go, result)
}

#[tokio::test]
async fn work_that_blocks_delays_no_other() {
    let workers = of(2);
    let (go, blocking) = block(&workers);
    assert_eq!(workers.run(None, || 7).await.unwrap(), 7);
    go.send(()).unwrap();
    assert!(blocking.await.unwrap());
}

#[tokio::test]
async fn work_beyond_the_limit_is_refused_and_all_that_was_accepted_runs() {
    let workers = of(2);
    let blocking = [(); 2].map(|()| block(&workers));
    let waiting: Vec<_> = (0..256).map(|number| workers.run(None, move || number)).collect();
    let failure = workers.run(None, || panic!("it runs")).await.unwrap_err();
    assert_eq!((failure.status(), failure.code()), (StatusCode::SERVICE_UNAVAILABLE, "too-many-cancels"));
    assert_eq!(lock(&workers.shared.queue).threads, 2);
    for (go, result) in blocking {
        go.send(()).unwrap();
        assert!(result.await.unwrap());
    }
    for (number, result) in waiting.into_iter().enumerate() {
        assert_eq!(result.await.unwrap(), number);
    }
}

#[tokio::test]
async fn work_runs_though_its_future_is_dropped_and_though_other_work_panics() {
    let workers = of(1);
    let failure = workers.run(None, || panic!("a waker")).await.unwrap_err();
    assert_eq!(failure.code(), "panicked");
    let (done, is_done) = mpsc::channel();
    drop(workers.run(None, move || done.send(()).unwrap()));
    is_done.recv().unwrap();
    assert_eq!(of(0).run(None, || 7).await.unwrap(), 7, "in place, without a thread");
}

#[tokio::test]
async fn work_of_another_client_runs_while_all_work_of_one_blocks() {
    let workers = of(2);
    let (one, two) = (Client::from("192.0.2.1"), Client::from("192.0.2.2"));
    let (go, blocked) = mpsc::channel::<()>();
    let blocking = workers.run(Some(&one), move || blocked.recv().is_ok());
    let more: Vec<_> = (0..10).map(|number| workers.run(Some(&one), move || number)).collect();
    assert_eq!(workers.run(Some(&two), || 7).await.unwrap(), 7);
    assert_eq!(workers.run(None, || 8).await.unwrap(), 8);
    go.send(()).unwrap();
    assert!(blocking.await.unwrap());
    for (number, result) in more.into_iter().enumerate() {
        assert_eq!(result.await.unwrap(), number);
    }
}

#[tokio::test]
async fn held_threads_get_others_beside_them_and_then_work_is_refused_until_one_returns() {
    let held = Held { threads: 3, thread_after: Duration::ZERO, refused_after: Duration::ZERO };
    let workers = Workers::with_limits(Sort::Cancels, Limits { threads: 1, waiting: 256, held: Some(held) });
    // Each begins although those before it block, and there is one thread at first.
    let mut blocking: Vec<_> = [(); 3].map(|()| block(&workers)).into();
    for _ in 0..3 {
        let failure = workers.run(None, || panic!("it runs")).await.unwrap_err();
        assert_eq!((failure.status(), failure.code()), (StatusCode::SERVICE_UNAVAILABLE, "too-many-cancels"));
    }
    let (go, result) = blocking.remove(0);
    go.send(()).unwrap();
    assert!(result.await.unwrap());
    // The thread may not wait for work yet.
    while workers.run(None, || 7).await.is_err() {
        tokio::task::yield_now().await;
    }
    for (go, result) in blocking {
        go.send(()).unwrap();
        assert!(result.await.unwrap());
    }
}

#[tokio::test]
async fn what_waits_for_held_threads_is_refused() {
    let workers = Workers::with_limits(
        Sort::Cancels,
        Limits {
            threads: 1,
            waiting: 256,
            held: Some(Held {
                threads: 1,
                thread_after: Duration::ZERO,
                // Longer than until the second is added, or it is refused at once: both are the same for a client.
                refused_after: Duration::from_millis(20),
            }),
        },
    );
    let (go, blocking) = block(&workers);
    let failure = workers.run(None, || panic!("it runs")).await.unwrap_err();
    assert_eq!(failure.code(), "too-many-cancels");
    go.send(()).unwrap();
    assert!(blocking.await.unwrap());
}
