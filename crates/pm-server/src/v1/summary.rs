//! Statistics of kinds, the audit log, and the limits and counters of the list.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::{Response, StatusCode};
#[cfg(feature = "tls")]
use pm_wire::v1::TlsHealth;
use pm_wire::v1::{AuditReport, Info, KindReport, ListSettings, TokensHealth};

use crate::access::Permission;
use crate::access::gate::Gate;
use crate::access::tokens::Tokens;
use crate::request::State;
use crate::request::query;
use crate::response::{self, Body, Failure};

/// `GET /v1/kinds`: all kinds, the one with the most tasks first.
pub(super) fn kinds(state: &State) -> Response<Body> {
    let kinds = state.all_kinds();
    response::serialized(StatusCode::OK, &KindReport::new(&kinds, state.list.now().into()))
}

/// `GET /v1/audit`: attempts to cancel, newest first.
pub(super) fn audit(state: &State, text: Option<&str>) -> Result<Response<Body>, Failure> {
    const MOST: u64 = 1000;
    let limit = query::only_limit(text, MOST)?;
    let (records, dropped) = state.audit().newest(limit.unwrap_or(100) as usize);
    let records = records.iter().map(|record| record.shown()).collect();
    Ok(response::serialized(StatusCode::OK, &AuditReport::new(records, dropped, state.list.now().into())))
}

/// `GET /v1/info`: version, limits, counters, dropped data, and the resources of the server itself.
pub(super) fn info(state: &State, gate: &Gate, permission: Permission) -> Response<Body> {
    let (counters, limits) = (state.list.counters(), state.list.limits());
    let feed = state.feed.status();
    let mut info = Info::default();
    info.version = env!("CARGO_PKG_VERSION").to_owned();
    info.boot = state.boot.clone();
    info.server_time = state.list.now().into();
    info.uptime = Some(whole_millis(state.since.elapsed()));
    info.limits = (&limits).into();
    info.limits.max_connections = state.max_connections.load(Relaxed) as u64;
    info.limits.max_watchers = feed.max_watchers as u64;
    info.limits.max_memory = state.memory.max();
    let mut settings = ListSettings::default();
    settings.enabled = state.list.is_enabled();
    settings.look_only = state.list.is_look_only();
    settings.ignored = state.list.ignored_settings().to_vec();
    info.settings = Some(settings);
    let kinds = KindReport::new(&state.all_kinds(), info.server_time);
    info.hints.extend(kinds.hint().map(str::to_owned));
    info.counters = (&counters).into();
    info.dropped = (&counters).into();
    info.own.bytes_held = counters.bytes_held;
    info.own.connections = state.connections.load(Relaxed) as u64;
    info.own.watchers = feed.watchers as u64;
    info.own.watches = feed.channels as u64;
    info.own.watch_bytes = feed.bytes as u64;
    info.own.response_bytes = state.memory.held();
    info.own.responses_refused = state.memory.refused();
    info.own.looks = feed.looks;
    info.own.last_look = feed.last_look;
    // What a client may do: it offers no more than that.
    let permission = if state.list.is_look_only() { Permission::Read } else { permission };
    info.permission = Some(permission.name().into());
    let audit = state.audit().health();
    info.audit.written = audit.written;
    info.audit.lost = audit.lost;
    info.audit.error = audit.error;
    info.tokens = gate.tokens().map(Tokens::health).map(|health| {
        let mut tokens = TokensHealth::default();
        tokens.count = health.tokens as u64;
        tokens.reloads = health.reloads;
        tokens.failures = health.failures;
        tokens.error = health.error;
        tokens
    });
    #[cfg(feature = "tls")]
    if let Some(health) = state.tls.get() {
        let counts = health.counts();
        let mut tls = TlsHealth::default();
        tls.reloads = counts.reloads;
        tls.failures = counts.failures;
        tls.error = counts.error;
        info.tls = Some(tls);
    }
    response::serialized(StatusCode::OK, &info)
}

/// Cuts a duration to milliseconds.
fn whole_millis(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
