//! State that all requests share.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use pm_core::ProcessList;

use super::idempotency::Idempotency;
use crate::audit::Audit;
use crate::feed::Feed;
use crate::response::{Memory, Run};
use crate::workers::{Sort, Workers};

/// State that all requests share.
pub(crate) struct State {
    pub(crate) list: ProcessList,
    pub(crate) feed: Feed,
    pub(crate) keys: Idempotency,
    /// Where cancel requests are made.
    pub(crate) cancels: Workers,
    /// Where pages of long lists are put together.
    pub(crate) lists: Workers,
    /// Where other passes over long lists are made.
    pub(crate) reports: Workers,
    /// Where work of some milliseconds is done.
    pub(crate) pieces: Arc<Workers>,
    /// Where parts of responses are written while they are sent.
    pub(crate) parts: Arc<Workers>,
    /// The budget for all that is held for clients.
    pub(crate) memory: Arc<Memory>,
    /// Distinguishes this list, since it was first served, from all others.
    pub(crate) boot: String,
    pub(crate) since: Instant,
    /// Waits and kinds in the last report on them.
    pub(crate) waits: Seen,
    pub(crate) kinds: Seen,
    /// Open connections of the server.
    pub(crate) connections: AtomicUsize,
    /// The most that it accepts.
    pub(crate) max_connections: AtomicUsize,
    pub(crate) audit: OnceLock<Audit>,
    /// How reloading certificates went, if there is a listener with TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: OnceLock<Arc<crate::listen::tls::Health>>,
}

impl State {
    pub(crate) fn new(list: &ProcessList) -> Arc<Self> {
        Self::with_workers(list, Workers::new)
    }

    pub(crate) fn with_workers(list: &ProcessList, workers: impl Fn(Sort) -> Workers) -> Arc<Self> {
        let boot = format!("{:012x}", RandomState::new().hash_one(list.now().unix_nanos()) >> 16);
        let memory = Arc::new(Memory::default());
        let parts = Arc::new(workers(Sort::Parts));
        Arc::new(Self {
            list: list.clone(),
            feed: Feed::new(list, &boot, &memory, run_on(&parts)),
            keys: Idempotency::default(),
            cancels: workers(Sort::Cancels),
            lists: workers(Sort::Lists),
            reports: workers(Sort::Reports),
            pieces: Arc::new(workers(Sort::Pieces)),
            parts,
            memory,
            boot,
            since: Instant::now(),
            waits: Seen::default(),
            kinds: Seen::default(),
            connections: AtomicUsize::new(0),
            max_connections: AtomicUsize::new(0),
            audit: OnceLock::new(),
            #[cfg(feature = "tls")]
            tls: OnceLock::new(),
        })
    }

    /// Returns what runs pieces of work on the threads for parts.
    pub(crate) fn run(&self) -> Run {
        run_on(&self.parts)
    }

    /// The audit log: in memory only, unless there is a file.
    pub(crate) fn audit(&self) -> &Audit {
        self.audit.get_or_init(Audit::in_memory)
    }
}

fn run_on(parts: &Arc<Workers>) -> Run {
    let parts = Arc::clone(parts);
    Arc::new(move |piece| parts.run_piece(piece))
}

/// A number as of the last time that it was counted, which takes a pass over the list.
#[derive(Default)]
pub(crate) struct Seen(OnceLock<AtomicU64>);

impl Seen {
    pub(crate) fn set(&self, count: usize) {
        self.0.get_or_init(AtomicU64::default).store(count as u64, Relaxed);
    }

    /// Returns the number, or `unknown` if it was never counted.
    pub(crate) fn or(&self, unknown: u64) -> u64 {
        self.0.get().map_or(unknown, |count| count.load(Relaxed))
    }
}
