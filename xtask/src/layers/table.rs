//! The modules of each crate, lowest first.

use super::Layers;

pub(super) const CRATES: &[Layers] = &[
    Layers {
        root: "crates/pm-core/src/lib.rs",
        modules: &[
            "base", "terminal", "layout", "store", "slot", "view", "shared", "cancel", "task", "list", "waits", "drain",
        ],
        known: &[],
    },
    Layers {
        root: "crates/pm-wire/src/lib.rs",
        modules: &[
            "members",
            "json",
            "out",
            "attr",
            "duration",
            "as_json",
            "id",
            "suggest",
            "time",
            "timestamp",
            "words",
            "types",
            "v1",
            "memory",
            "body",
            "rows",
            "filter",
            "v1_rows",
        ],
        known: &[],
    },
    Layers {
        root: "crates/pm-client/src/lib.rs",
        modules: &[
            "text", "error", "token", "endpoint", "tls", "settings", "connect", "answer", "call", "query", "sse",
            "events", "procs", "v1", "client",
        ],
        known: &[],
    },
    Layers {
        root: "crates/pm-actix/src/lib.rs",
        modules: &["killed", "body", "describe", "service", "tasks"],
        known: &[],
    },
    Layers { root: "crates/pm/src/lib.rs", modules: &["adapters", "sync", "tracing", "tower", "prelude"], known: &[] },
    Layers {
        root: "crates/pm-server/src/lib.rs",
        modules: &[
            "sync",
            "address",
            "start_error",
            "response",
            "access",
            "listen",
            "audit",
            "feed",
            "workers",
            "request",
            "cancel",
            "dashboard",
            "procs",
            "v1",
            "service",
            "connection",
            "server",
        ],
        known: &[],
    },
    Layers {
        root: "crates/pm-cli/src/main.rs",
        modules: &["out", "exit", "signals", "config", "query", "fleet", "feed", "verbs", "record", "top", "demo"],
        known: &[],
    },
];
