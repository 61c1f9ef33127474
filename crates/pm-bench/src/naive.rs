//! A naive port of the Go original, call for call: a map behind a lock, a lock per task, strings on the heap, a
//! `serde_json` map of attributes, `chrono` for the dates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

struct Task {
    attrs: Map<String, Value>,
    history: Vec<Entry>,
    cancel: Option<String>,
}

struct Entry {
    ts: DateTime<Utc>,
    status: String,
}

/// The list.
#[derive(Default)]
pub struct List {
    tasks: RwLock<HashMap<String, Arc<Mutex<Task>>>>,
}

/// A live task; ends when dropped.
pub struct Handle<'l> {
    list: &'l List,
    id: String,
    task: Arc<Mutex<Task>>,
}

impl List {
    /// Starts a task.
    pub fn start(&self, id: &str) -> Handle<'_> {
        let history = vec![Entry { ts: Utc::now(), status: "init".to_owned() }];
        let task = Arc::new(Mutex::new(Task { attrs: Map::new(), history, cancel: None }));
        self.tasks.write().expect("no panic under the lock").insert(id.to_owned(), Arc::clone(&task));
        Handle { list: self, id: id.to_owned(), task }
    }

    /// Copies all tasks, while no other thread can start or end one.
    fn snapshot(&self) -> Answer {
        let tasks = self.tasks.read().expect("no panic under the lock");
        let procs = tasks
            .iter()
            .map(|(id, task)| {
                let task = task.lock().expect("no panic under the lock");
                let (first, last) = (&task.history[0], &task.history[task.history.len() - 1]);
                Row {
                    id: id.clone(),
                    attrs: task.attrs.clone(),
                    proc_time: first.ts,
                    status_time: last.ts,
                    status: last.status.clone(),
                    cancelling: task.cancel.is_some(),
                }
            })
            .collect();
        Answer { procs, server_time: Utc::now() }
    }

    /// Copies all tasks and writes them as JSON.
    pub fn json(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, &self.snapshot()).expect("a vector takes all, and all keys are strings");
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    procs: Vec<Row>,
    server_time: DateTime<Utc>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    attrs: Map<String, Value>,
    proc_time: DateTime<Utc>,
    status_time: DateTime<Utc>,
    status: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancelling: bool,
}

impl Handle<'_> {
    /// Sets an attribute.
    pub fn set(&self, name: &str, value: &str) {
        let mut task = self.task.lock().expect("no panic under the lock");
        task.attrs.insert(name.to_owned(), Value::from(value));
    }

    /// Sets the status; fails with the reason if the task is to stop.
    ///
    /// # Errors
    ///
    /// The reason of a cancel.
    pub fn status(&self, status: &str) -> Result<(), String> {
        let mut task = self.task.lock().expect("no panic under the lock");
        task.history.push(Entry { ts: Utc::now(), status: status.to_owned() });
        match &task.cancel {
            None => Ok(()),
            Some(reason) => Err(reason.clone()),
        }
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        self.list.tasks.write().expect("no panic under the lock").remove(&self.id);
    }
}
