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
            "out",
            "attr",
            "duration",
            "as_json",
            "id",
            "suggest",
            "time",
            "timestamp",
            "v1",
            "types",
            "body",
            "rows",
            "filter",
            "v1_rows",
        ],
        known: &[("filter", "crate"), ("types", "crate"), ("v1", "crate"), ("v1_rows", "crate")],
    },
    Layers {
        root: "crates/pm-client/src/lib.rs",
        modules: &[
            "problem", "error", "token", "endpoint", "tls", "connect", "answer", "call", "query", "sse", "client",
            "builder", "v1", "v1_calls", "events", "waits",
        ],
        known: &[
            ("call", "client"),
            ("client", "builder"),
            ("connect", "call"),
            ("connect", "client"),
            ("problem", "answer"),
            ("query", "crate"),
            ("tls", "client"),
            ("tls", "connect"),
            ("v1", "waits"),
            ("v1_calls", "waits"),
            ("waits", "crate"),
        ],
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
        modules: &["out", "exit", "config", "query", "fleet", "feed", "verbs", "record", "top", "demo"],
        known: &[],
    },
];
