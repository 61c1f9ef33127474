//! Calls the hooks for a task that was cancelled, and plans the calls for one that does not stop.

use std::sync::Arc;

use super::timer::{ListEvent, schedule};
use crate::shared::hooks::InHook;
use crate::shared::state::TaskRef;
use crate::slot::copy::Detail;
use crate::view::row::Row;

/// Calls the hooks for a cancelled task, and plans the calls in case it does not stop.
pub(super) fn cancelled(task: TaskRef) {
    let hooks = &task.shared.hooks;
    if !hooks.any() {
        return;
    }
    let (cancels, stuck) = (hooks.cancels.lock().clone(), hooks.stuck.lock().clone());
    for hook in &stuck {
        schedule(&task.store().clock, hook.after, ListEvent::Stuck(task, Arc::downgrade(hook)));
    }
    if !cancels.is_empty()
        && let Some(row) = Row::live(task.slot(), task.serial, Detail::History)
        && let Some(_in_hook) = InHook::enter()
    {
        cancels.iter().for_each(|hook| hook.call(&task.store().counters, &row.view()));
    }
}
