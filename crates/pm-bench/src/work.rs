//! The task that is measured, on both lists.

use pm::{Options, ProcessList, Task};

use crate::naive;

/// An id of 16 characters.
pub const ID: &str = "0123456789abcdef";
/// The attributes.
pub const ATTRS: [(&str, &str); 3] = [("method", "GET"), ("host", "10.0.0.7:51234"), ("uri", "/hosts/1")];

/// A list with room for more than a million tasks.
pub fn list() -> ProcessList {
    ProcessList::with_options(Options::new().max_bytes(2 << 30))
}

/// Starts the task.
#[inline]
pub fn start(list: &ProcessList, id: &str) -> Task {
    let [method, host, uri] = ATTRS;
    list.task(id).attr(method.0, method.1).attr(host.0, host.1).attr(uri.0, uri.1).start()
}

/// Its three statuses.
#[inline]
pub fn statuses(task: &Task) {
    let _ = task.status("reading");
    let _ = task.status("querying");
    let _ = task.status("sending");
}

/// The whole of it.
#[inline]
pub fn whole(list: &ProcessList, id: &str) {
    statuses(&start(list, id));
}

/// Starts the task on the naive list.
pub fn naive_start<'l>(list: &'l naive::List, id: &str) -> naive::Handle<'l> {
    let task = list.start(id);
    for (name, value) in ATTRS {
        task.set(name, value);
    }
    task
}

/// Its three statuses.
pub fn naive_statuses(task: &naive::Handle<'_>) {
    let _ = task.status("reading");
    let _ = task.status("querying");
    let _ = task.status("sending");
}

/// An id of 16 characters for each number.
pub fn id(number: u64, buffer: &mut [u8; 16]) -> &str {
    for (place, byte) in buffer.iter_mut().enumerate() {
        *byte = b'a' + (number >> (60 - 4 * place) & 15) as u8;
    }
    std::str::from_utf8(buffer).unwrap_or(ID)
}

/// So many live tasks with attributes and four history entries each.
pub fn fill(list: &ProcessList, count: u64) -> Vec<Task> {
    let mut tasks = Vec::with_capacity(count as usize);
    for number in 0..count {
        let task = start(list, id(number, &mut [0; 16]));
        statuses(&task);
        tasks.push(task);
    }
    tasks
}

/// Fills the naive list with as many.
pub fn naive_fill(list: &naive::List, count: u64) -> Vec<naive::Handle<'_>> {
    let mut tasks = Vec::with_capacity(count as usize);
    for number in 0..count {
        let task = naive_start(list, id(number, &mut [0; 16]));
        naive_statuses(&task);
        tasks.push(task);
    }
    tasks
}
