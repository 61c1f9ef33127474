//! One event of the stream, and how it is read.

use std::time::Duration;

use serde::Deserialize;

use crate::answer::excerpt;
use crate::error::ClientError;
use crate::sse::Message;
use crate::v1::Row;

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The stream is connected. A snapshot comes next, unless the stream goes on where it was lost.
    Connected,
    /// The connection is lost, or could not be made. Nothing is known from here to the next
    /// [`Connected`](Self::Connected); what was told before is no longer certain.
    Lost {
        /// Why.
        error: ClientError,
        /// When the next try begins.
        retry_in: Duration,
    },
    /// All tasks that fit, in parts: the first part after [`Connected`](Self::Connected), [`Gap`](Self::Gap) or a last part
    /// begins anew.
    Snapshot {
        /// The tasks of this part.
        tasks: Vec<Row>,
        /// There are more parts.
        more: bool,
        /// How many tasks fit, if the server says.
        total: Option<u64>,
    },
    /// A task started, or begins to fit the filter.
    Started {
        /// The task now.
        task: Row,
    },
    /// A task has another status.
    Status {
        /// The task now.
        task: Row,
    },
    /// A task has come further.
    Progress {
        /// The task now.
        task: Row,
    },
    /// A task was asked to stop.
    Cancel {
        /// The task now.
        task: Row,
    },
    /// A task ended.
    Ended {
        /// The task at its end; only serial and id, without an outcome, if the server no longer keeps it.
        task: Row,
    },
    /// A task still runs, but no longer fits the filter.
    Left {
        /// Its serial.
        serial: String,
    },
    /// Events are missing. A new snapshot follows.
    Gap {
        /// `slow`: they were read too slowly. `resume`: too much happened while the connection was lost.
        why: String,
    },
    /// Tasks started and ended between two looks of the server, and are no longer kept.
    Unseen {
        /// How many.
        count: u64,
    },
    /// The server says that it ends the stream.
    Bye {
        /// `shutdown`: the server stops.
        why: String,
    },
    /// What only a newer client understands: the JSON as it came.
    Other(String),
}

impl Event {
    /// The event in a message.
    pub(super) fn read(message: Message, url: &str) -> Result<Event, ClientError> {
        #[derive(Deserialize)]
        struct Snapshot {
            tasks: Vec<Row>,
            #[serde(default)]
            more: bool,
            total: Option<u64>,
        }
        #[derive(Deserialize)]
        struct Task {
            task: Row,
        }
        #[derive(Deserialize)]
        struct Left {
            serial: String,
        }
        #[derive(Deserialize)]
        struct Why {
            #[serde(default)]
            why: String,
        }
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        #[derive(Default, Deserialize)]
        struct Type {
            #[serde(rename = "type")]
            kind: String,
        }

        let data = message.data.as_str();
        let kind = match message.event.as_str() {
            "message" => serde_json::from_str::<Type>(data).unwrap_or_default().kind,
            _ => message.event,
        };
        let task = || serde_json::from_str::<Task>(data).map(|event| event.task);
        let why = || serde_json::from_str::<Why>(data).map(|event| event.why);
        let event = match kind.as_str() {
            "snapshot" => serde_json::from_str::<Snapshot>(data)
                .map(|Snapshot { tasks, more, total }| Event::Snapshot { tasks, more, total }),
            "started" => task().map(|task| Event::Started { task }),
            "status" => task().map(|task| Event::Status { task }),
            "progress" => task().map(|task| Event::Progress { task }),
            "cancel" => task().map(|task| Event::Cancel { task }),
            "ended" => task().map(|task| Event::Ended { task }),
            "left" => serde_json::from_str::<Left>(data).map(|event| Event::Left { serial: event.serial }),
            "gap" => why().map(|why| Event::Gap { why }),
            "unseen" => serde_json::from_str::<Count>(data).map(|event| Event::Unseen { count: event.count }),
            "bye" => why().map(|why| Event::Bye { why }),
            _ => return Ok(Event::Other(message.data)),
        };
        event.map_err(|error| {
            let (url, excerpt) = (url.to_owned(), excerpt(data.as_bytes()));
            ClientError::BrokenJson { url, excerpt, source: error.into() }
        })
    }
}
