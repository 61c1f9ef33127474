//! The modules of each crate, lowest first.

use super::Layers;

pub(super) const CRATES: &[Layers] = &[
    Layers {
        root: "crates/pm-core/src/lib.rs",
        modules: &[
            "base", "terminal", "layout", "store", "slot", "view", "shared", "cancel", "task", "list", "waits", "drain",
        ],
        known: &[
            ("base", "cancel"),
            ("layout", "slot"),
            ("layout", "store"),
            ("shared", "task"),
            ("slot", "shared"),
            ("slot", "task"),
            ("store", "cancel"),
            ("store", "shared"),
            ("store", "slot"),
            ("view", "cancel"),
        ],
    },
    Layers {
        root: "crates/pm-wire/src/lib.rs",
        modules: &[
            "out",
            "attr",
            "duration",
            "id",
            "suggest",
            "time",
            "timestamp",
            "body",
            "filter",
            "types",
            "rows",
            "v1_rows",
        ],
        known: &[("filter", "crate"), ("types", "crate"), ("v1_rows", "crate")],
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
    Layers {
        root: "crates/pm/src/lib.rs",
        modules: &["adapters", "sync", "tracing", "tower", "prelude"],
        // A prelude re-exports items of the root.
        known: &[("prelude", "crate"), ("tower", "crate")],
    },
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
        modules: &["out", "config", "query", "fleet", "record", "top", "demo", "verbs"],
        known: &[("out", "config"), ("query", "fleet"), ("record", "top"), ("top", "verbs")],
    },
];
