//! Ours, as the sections about futures use it.

use std::future::Future;

/// The future as a task of the list, which starts here.
pub(crate) fn tracked<F: Future>(list: &pm::ProcessList, future: F) -> impl Future<Output = Tracked<F>> + use<F> {
    list.task("future").kind("bench").run(future)
}

type Tracked<F> = Result<<F as Future>::Output, pm::Cancelled>;

/// Returns the future as a task, and a closure that cancels the task.
pub(crate) fn tracked_killable<F: Future>(
    list: &pm::ProcessList,
    future: F,
) -> (impl Future<Output = Tracked<F>> + use<F>, impl FnOnce(&pm::ProcessList) + use<F>) {
    let running = list.task("future").kind("bench").run(future);
    let serial = running.handle().serial();
    (running, move |list: &pm::ProcessList| {
        // If it could not be killed, the section says so.
        let _ = list.cancel(serial, "killed by the bench");
    })
}
