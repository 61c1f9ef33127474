//! State that all requests share.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use pm_core::ProcessList;

use super::idempotency::Idempotency;
use crate::audit::Audit;
use crate::feed::Feed;
use crate::workers::Workers;

/// State that all requests share.
pub(crate) struct State {
    pub(crate) list: ProcessList,
    pub(crate) feed: Feed,
    pub(crate) keys: Idempotency,
    /// Where cancel requests are made.
    pub(crate) workers: Workers,
    /// Distinguishes this list, since it was first served, from all others.
    pub(crate) boot: String,
    pub(crate) since: Instant,
    /// Open connections of the server.
    pub(crate) connections: AtomicUsize,
    pub(crate) audit: OnceLock<Audit>,
    /// How reloading certificates went, if there is a listener with TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: OnceLock<Arc<crate::listen::tls::Health>>,
}

impl State {
    pub(crate) fn new(list: &ProcessList) -> Arc<Self> {
        let boot = format!("{:012x}", RandomState::new().hash_one(list.now().unix_nanos()) >> 16);
        Arc::new(Self {
            list: list.clone(),
            feed: Feed::new(list, &boot),
            keys: Idempotency::default(),
            workers: Workers::default(),
            boot,
            since: Instant::now(),
            connections: AtomicUsize::new(0),
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
