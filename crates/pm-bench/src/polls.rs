//! One poll of a future that is never ready, in the wrappings that people put around futures to cancel or to see them.
//!
//! Every future is polled with the same waker, again and again: the case of one that waits for many things. The waker
//! counts references, as those of runtimes do, so that no clone of it is free. There is no runtime around,
//! for its budget of polls would end the loop.

use futures_util::future::{AbortHandle, Abortable};
use pm_bench::pending::{Waits, polls};
use pm_bench::work;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::harness::{Effort, compare};
use crate::ours;
use crate::report::{Goal, Report};

pub(crate) fn measure(effort: Effort, report: &mut Report) {
    report.section("polls");
    trace();
    let (list, token) = (work::list(), CancellationToken::new());
    let (_handle, registration) = AbortHandle::new_pair();
    let selected = async {
        tokio::select! {
            biased;
            () = token.cancelled() => None,
            count = Waits::default() => Some(count),
        }
    };
    let medians = compare(
        effort,
        &mut [
            &mut polls(Waits::default()),
            &mut polls(ours::tracked(&list, Waits::default())),
            &mut polls(Abortable::new(Waits::default(), registration)),
            &mut polls(token.run_until_cancelled(Waits::default())),
            &mut polls(token.clone().run_until_cancelled_owned(Waits::default())),
            &mut polls(selected),
            &mut polls(Waits::default().instrument(tracing::info_span!("background"))),
        ],
    );
    report.beside("tracked", medians[1], "ns", ("bare", medians[0]), Goal::Over(2.0));
    for (&median, (name, goal)) in medians[2..].iter().zip([
        ("futures Abortable", Goal::LeastTimes(1.0)),
        ("tokio-util run_until_cancelled", Goal::LeastTimes(1.0)),
        ("tokio-util run_until_cancelled_owned", Goal::LeastTimes(1.0)),
        ("tokio select! with cancelled(), biased", Goal::None),
        ("tracing Instrument, registry", Goal::None),
    ]) {
        report.beside(name, median, "ns", ("ours", medians[1]), goal);
    }
    let note = "polls: a pending future, polled in a loop outside a runtime with one waker that counts references; \
                tracing has a registry without layers as its global default, which stores spans and writes nothing";
    report.note(note);
}

/// A registry of spans as the default of all threads, as a program sets it. The first call counts.
pub(crate) fn trace() {
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
}
