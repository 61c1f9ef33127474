//! What one would write first: a map behind a lock, a lock per task, strings on the heap; the shape of the Go original.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;

/// A task as the map holds it.
pub struct Task {
    attrs: HashMap<String, Value>,
    history: Vec<(SystemTime, String)>,
    cancel: bool,
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
    /// Starts a task with attributes.
    pub fn start(&self, id: &str, attrs: &[(&str, &str)]) -> Handle<'_> {
        let attrs = attrs.iter().map(|&(name, value)| (name.to_owned(), Value::from(value))).collect();
        let history = vec![(SystemTime::now(), "init".to_owned())];
        let task = Arc::new(Mutex::new(Task { attrs, history, cancel: false }));
        self.tasks.write().expect("no panic under the lock").insert(id.to_owned(), Arc::clone(&task));
        Handle { list: self, id: id.to_owned(), task }
    }

    /// Copies all tasks under the lock.
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
                    proc_time: first.0,
                    status_time: last.0,
                    status: last.1.clone(),
                    cancelling: task.cancel,
                }
            })
            .collect();
        Answer { procs, server_time: SystemTime::now() }
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
    #[serde(serialize_with = "date")]
    server_time: SystemTime,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    attrs: HashMap<String, Value>,
    #[serde(serialize_with = "date")]
    proc_time: SystemTime,
    #[serde(serialize_with = "date")]
    status_time: SystemTime,
    status: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancelling: bool,
}

fn date<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let time = jiff::Timestamp::try_from(*time).map_err(serde::ser::Error::custom)?;
    serializer.collect_str(&time)
}

impl Handle<'_> {
    /// Says what the task is doing; tells whether it goes on.
    pub fn status(&self, status: &str) -> bool {
        let mut task = self.task.lock().expect("no panic under the lock");
        task.history.push((SystemTime::now(), status.to_owned()));
        !task.cancel
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        self.list.tasks.write().expect("no panic under the lock").remove(&self.id);
    }
}
