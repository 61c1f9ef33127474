//! Events: changes of tasks, as `GET /v1/events` reports them.

use pm_core::Serial;
use serde::de::{Deserializer, Error};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::row::Row;
use crate::as_json::serial;
use crate::timestamp::Timestamp;
use crate::words::{ByeReason, GapReason};

/// An event. In JSON, its `type` is the name of the variant in lower case.
///
/// The `id` of an event belongs to the stream, which continues from there after an interruption.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The tasks that match the filter, or a part of them.
    Snapshot(Snapshot),
    /// The task started, or now matches the filter.
    Started(Row),
    /// The task has a new status.
    Status(Row),
    /// The task has made progress.
    Progress(Row),
    /// The task was cancelled.
    Cancel(Row),
    /// The task ended. If the list no longer holds it, only its serial and id are known.
    Ended(Row),
    /// The task with this serial still runs, but no longer matches the filter.
    Left(Serial),
    /// Events are missing. A new snapshot follows.
    Gap(GapReason),
    /// This many tasks started and ended between two passes of the server, and are no longer retained.
    Unseen(u64),
    /// The server ends the stream.
    Bye(ByeReason),
    /// Nothing has changed; the server is still there.
    Heartbeat,
    /// An event that this version does not know, as it was read.
    Unknown(Value),
}

/// The tasks that match the filter, or a part of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Snapshot {
    /// The tasks.
    #[serde(deserialize_with = "crate::as_json::at_most::<1_000_000, _, _>")]
    pub tasks: Vec<Row>,
    /// True if more parts follow.
    #[serde(default)]
    pub more: bool,
    /// The number of tasks in all parts; in the last part only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The server's clock; in the last part only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time: Option<Timestamp>,
}

impl Event {
    /// The types that this version knows.
    pub const TYPES: [&'static str; 11] =
        ["snapshot", "started", "status", "progress", "cancel", "ended", "left", "gap", "unseen", "bye", "heartbeat"];

    /// Returns the `type` in JSON; empty for an unknown event without one.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Snapshot(_) => "snapshot",
            Self::Started(_) => "started",
            Self::Status(_) => "status",
            Self::Progress(_) => "progress",
            Self::Cancel(_) => "cancel",
            Self::Ended(_) => "ended",
            Self::Left(_) => "left",
            Self::Gap(_) => "gap",
            Self::Unseen(_) => "unseen",
            Self::Bye(_) => "bye",
            Self::Heartbeat => "heartbeat",
            Self::Unknown(value) => value["type"].as_str().unwrap_or_default(),
        }
    }

    /// Reads an event of a known type, such as that in the `event` field of server-sent events.
    ///
    /// # Errors
    ///
    /// The text is not JSON, or a member that the type needs is absent or of another type.
    pub fn from_json(type_name: &str, json: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct OfTask {
            task: Row,
        }
        #[derive(Deserialize)]
        struct OfSerial {
            #[serde(with = "serial")]
            serial: Serial,
        }
        #[derive(Deserialize)]
        struct OfReason<R> {
            why: R,
        }
        #[derive(Deserialize)]
        struct OfCount {
            count: u64,
        }

        let task = || serde_json::from_str::<OfTask>(json).map(|event| event.task);
        Ok(match type_name {
            "snapshot" => Self::Snapshot(serde_json::from_str(json)?),
            "started" => Self::Started(task()?),
            "status" => Self::Status(task()?),
            "progress" => Self::Progress(task()?),
            "cancel" => Self::Cancel(task()?),
            "ended" => Self::Ended(task()?),
            "left" => Self::Left(serde_json::from_str::<OfSerial>(json)?.serial),
            "gap" => Self::Gap(serde_json::from_str::<OfReason<_>>(json)?.why),
            "unseen" => Self::Unseen(serde_json::from_str::<OfCount>(json)?.count),
            "bye" => Self::Bye(serde_json::from_str::<OfReason<_>>(json)?.why),
            "heartbeat" => Self::Heartbeat,
            _ => Self::Unknown(serde_json::from_str(json).unwrap_or_else(|_| json.into())),
        })
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Self::Unknown(value) = self {
            return value.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.type_name())?;
        match self {
            Self::Snapshot(snapshot) => {
                map.serialize_entry("tasks", &snapshot.tasks)?;
                map.serialize_entry("more", &snapshot.more)?;
                if let Some(total) = snapshot.total {
                    map.serialize_entry("total", &total)?;
                }
                if let Some(server_time) = snapshot.server_time {
                    map.serialize_entry("serverTime", &server_time)?;
                }
            }
            Self::Started(task)
            | Self::Status(task)
            | Self::Progress(task)
            | Self::Cancel(task)
            | Self::Ended(task) => map.serialize_entry("task", task)?,
            Self::Left(serial) => map.serialize_entry("serial", &serial.to_string())?,
            Self::Gap(why) => map.serialize_entry("why", why)?,
            Self::Unseen(count) => map.serialize_entry("count", count)?,
            Self::Bye(why) => map.serialize_entry("why", why)?,
            Self::Heartbeat | Self::Unknown(_) => {}
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let type_name = value["type"].as_str().unwrap_or_default();
        Self::from_json(type_name, &value.to_string()).map_err(D::Error::custom)
    }
}
