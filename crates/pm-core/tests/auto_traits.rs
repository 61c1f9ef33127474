//! The auto traits of the public types, which are part of their promise.

use std::future::Ready;
use std::panic::{RefUnwindSafe, UnwindSafe};

use pm_core::*;

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}
fn is_unpin<T: Unpin>() {}
fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}

#[test]
fn lists_handles_and_values_may_be_shared_by_threads() {
    macro_rules! shared {
        ($($type:ty),* $(,)?) => {$(
            is_send::<$type>();
            is_sync::<$type>();
            is_unpin::<$type>();
        )*};
    }
    shared!(
        ProcessList,
        Task,
        TaskHandle,
        TaskBuilder<'static>,
        Options,
        ListLimits,
        Counters,
        Clock,
        ManualClock,
        Snapshot,
        SnapshotIter<'static>,
        Scan,
        TaskView<'static>,
        Text<'static>,
        StatusText<'static>,
        ValueView<'static>,
        Progress<'static>,
        Attrs<'static>,
        RequestView<'static>,
        History,
        HistoryEntry,
        TaskBrief,
        TaskState,
        Timestamp,
        Serial,
        Outcome,
        Value<'static>,
        KindStats,
        StatusTime,
        Latency,
        Bucket,
        Target<'static>,
        CancelPolicy,
        CancelRequest<'static>,
        CancelHandle,
        CancelError,
        Cancelled,
        Verdict,
        Subscription,
        DrainProgress,
        DrainReport,
        DrainedTask,
        Resource,
        ResourceKind,
        HoldGuard,
        WaitGuard,
        WaitReport,
        BlockedTask,
        WaitedResource,
        ResourceHolder,
        Cycle,
        CycleStep,
        WaitTreeRow<'static>,
        StatusScope,
        Meter,
        Metered<()>,
        ProgressIter<()>,
        CheckedIter<()>,
        Supervisor,
        SupervisedPoll<()>,
    );
}

#[test]
fn futures_go_to_other_threads_and_need_no_pin_of_their_own() {
    macro_rules! futures {
        ($($type:ty),* $(,)?) => {$(
            is_send::<$type>();
            is_unpin::<$type>();
        )*};
    }
    futures!(
        VerdictFuture,
        CancelledFuture,
        DrainFuture,
        Drain,
        TaskFuture<Ready<()>>,
        TryTaskFuture<Ready<()>>,
        InTask<Ready<()>>
    );
    is_sync::<VerdictFuture>();
    is_sync::<CancelledFuture>();
}

#[test]
fn lists_and_tasks_may_be_seen_across_a_caught_panic() {
    is_unwind_safe::<ProcessList>();
    is_unwind_safe::<Task>();
    is_unwind_safe::<TaskHandle>();
}
