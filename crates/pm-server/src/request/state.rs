//! State that all requests share.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use pm_core::ProcessList;

use super::idempotency::Idempotency;
use crate::audit::Audit;
use crate::feed::Feed;
use crate::response::Memory;
use crate::workers::Workers;

/// State that all requests share.
pub(crate) struct State {
    pub(crate) list: ProcessList,
    pub(crate) feed: Feed,
    pub(crate) keys: Idempotency,
    /// Where cancel requests are made.
    pub(crate) cancels: Workers,
    /// Where long lists are read.
    pub(crate) readings: Workers,
    /// The budget for all that is held for clients.
    pub(crate) memory: Arc<Memory>,
    /// Distinguishes this list, since it was first served, from all others.
    pub(crate) boot: String,
    pub(crate) since: Instant,
    /// Waits in the last report on them.
    pub(crate) waits: AtomicU64,
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
        let boot = format!("{:012x}", RandomState::new().hash_one(list.now().unix_nanos()) >> 16);
        let memory = Arc::new(Memory::default());
        Arc::new(Self {
            list: list.clone(),
            feed: Feed::new(list, &boot, &memory),
            keys: Idempotency::default(),
            cancels: Workers::for_cancels(),
            readings: Workers::for_readings(),
            memory,
            boot,
            since: Instant::now(),
            waits: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            max_connections: AtomicUsize::new(0),
            audit: OnceLock::new(),
            #[cfg(feature = "tls")]
            tls: OnceLock::new(),
        })
    }

    /// The audit log: in memory only, unless there is a file.
    pub(crate) fn audit(&self) -> &Audit {
        self.audit.get_or_init(Audit::in_memory)
    }
}
