//! Calls the hooks for a task that was asked to stop, and plans the call for one that does not.

use std::sync::Arc;

use super::timer::Event;
use crate::shared::hooks::{Hooks, Stuck, Within};
use crate::slot::copy::{Detail, Wanted};
use crate::slot::gate::Slot;
use crate::view::row::Row;
use crate::view::task_view::TaskView;

impl Hooks {
    /// Tells of a cancel, and plans to tell later if the task does not stop.
    pub(crate) fn cancelled(&self, slot: Slot, serial: u64) {
        if !self.any() {
            return;
        }
        let hooks = self.cancels.lock().clone();
        let stuck = self.stuck.lock().clone();
        for hook in &stuck {
            slot.inner.timer.schedule(hook.after, Event::Stuck(slot, serial, Arc::downgrade(hook)));
        }
        if !hooks.is_empty() {
            look(slot, serial, |task| {
                if let Some(_within) = Within::enter() {
                    hooks.iter().for_each(|hook| hook.call(slot.inner, task));
                }
            });
        }
    }

    pub(crate) fn stuck(&self, slot: Slot, serial: u64, stuck: &Stuck) {
        look(slot, serial, |task| {
            if let Some(_within) = Within::enter() {
                stuck.hook.call(slot.inner, task);
            }
        });
    }
}

fn look(slot: Slot, serial: u64, f: impl FnOnce(&TaskView<'_>)) {
    if let Some(row) = Row::copy(slot, Wanted::Live, Detail::History)
        && row.view().serial().get() == serial
    {
        f(&row.view());
    }
}
