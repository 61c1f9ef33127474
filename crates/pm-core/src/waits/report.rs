//! The report on the waits of a list.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::graph;
use crate::base::serial::Serial;
use crate::list::process_list::ProcessList;
use crate::shared::resource::{Holds, ResourceKind};
use crate::shared::state::{Shared, TaskRef};
use crate::shared::waiters::Waiter;
use crate::terminal::escaped;
use crate::view::brief::{For, TaskBrief};

/// Looks that are taken until nothing changes that a cycle depends on.
const LOOKS: usize = 3;

/// The waits of a list at one point in time, with holders and deadlocks; made by [`ProcessList::waits`].
///
/// Its `Display` is a tree: tasks that block others, and below each the tasks that wait for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitReport {
    /// The tasks that wait, the longest first.
    pub waits: Vec<BlockedTask>,
    /// Deadlocks: tasks that wait for each other, so that none proceeds unless one gives up or is cancelled. One cycle
    /// for each strongly connected component, a shortest one. A task that waits for several things at once is in none
    /// if it can have one of them.
    pub cycles: Vec<Cycle>,
    /// Waits that were not recorded because 10,000 were already, since the list was made.
    pub not_shown: u64,
}

/// A task that waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlockedTask {
    /// The task.
    pub task: TaskBrief,
    /// The resource.
    pub resource: Arc<WaitedResource>,
    /// The units of it that the task waits for.
    pub units: u64,
    /// The time so far.
    pub waited_for: Duration,
    /// `true` if it can't proceed before a cycle is broken.
    pub is_stuck: bool,
    /// `true` if it is in a cycle itself.
    pub in_cycle: bool,
}

/// A resource that tasks wait for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitedResource {
    /// Its name, without [what looks like a secret](crate::Options::redact).
    pub name: String,
    /// The kind of resource.
    pub kind: ResourceKind,
    /// Units there are in all, if that is known.
    pub capacity: Option<u64>,
    /// Tasks of the list that hold it, the longest first.
    pub holders: Vec<ResourceHolder>,
    /// Others that hold it: no tasks, tasks of another list or that have ended, those beyond the first 4,096.
    pub unknown_holders: usize,
}

/// A task that holds something.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResourceHolder {
    /// The task.
    pub task: TaskBrief,
    /// The units it holds.
    pub units: u64,
    /// The time so far.
    pub held_for: Duration,
}

/// A deadlock: each task waits for what the next one holds, and the last one for what the first one does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cycle {
    /// Each task once.
    pub steps: Vec<CycleStep>,
}

/// A task of a [`Cycle`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CycleStep {
    /// The task that waits.
    pub task: TaskBrief,
    /// The resource.
    pub resource: Arc<WaitedResource>,
    /// The task that holds it: that of the next step.
    pub held_by: Serial,
}

/// A row of the tree of [`WaitReport::tree`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WaitTreeRow<'w> {
    /// How many tasks are above it: it waits for the one right above, if any.
    pub depth: usize,
    /// The task.
    pub task: &'w TaskBrief,
    /// The wait. `None` at the top: the task blocks those below.
    pub wait: Option<&'w BlockedTask>,
    /// `true` if the task is further up already, with all rows below it: it waits for several tasks, or in a cycle.
    pub repeated: bool,
}

/// One pass over the waits of a list and what they are for.
struct Look {
    waits: Vec<(u64, Waiter)>,
    /// Each resource once, as it was, and by its address.
    states: Vec<Holds>,
    by_address: HashMap<usize, usize>,
    not_shown: u64,
}

fn address(waiter: &Waiter) -> usize {
    Arc::as_ptr(&waiter.resource.state).addr()
}

impl Look {
    fn take(shared: &Shared) -> Self {
        let (mut waits, not_shown) = shared.waits.copy();
        // A task that has ended no longer waits, even if a guard of it still lives.
        waits.retain(|(_, waiter)| waiter.task.is_live());
        let (mut states, mut by_address) = (Vec::new(), HashMap::new());
        for (_, waiter) in &waits {
            by_address.entry(address(waiter)).or_insert_with(|| {
                states.push(waiter.resource.state.holds.lock().clone());
                states.len() - 1
            });
        }
        Self { waits, states, by_address, not_shown }
    }

    /// Returns the input of the graph. What differs in a later look may have changed more than once in between, and is
    /// taken for what can be had; all else was so at the moment between the two, at once.
    fn graph(&self, shared: &'static Shared, later: Option<&Self>) -> (Vec<graph::Resource>, Vec<graph::Wait>) {
        let still_waits: Option<HashSet<u64>> =
            later.map(|later| later.waits.iter().map(|&(token, _)| token).collect());
        let mut resources: Vec<graph::Resource> = self
            .states
            .iter()
            .map(|state| graph::Resource {
                capacity: state.capacity,
                fair: false,
                changed: false,
                holds: (state.list.iter())
                    .map(|hold| (hold.task.filter(|&task| is_here(task, shared)).map(|task| task.serial), hold.units))
                    .chain((0..state.unlisted).map(|_| (None, 0)))
                    .collect(),
            })
            .collect();
        let mut waits = Vec::with_capacity(self.waits.len());
        for (token, waiter) in &self.waits {
            let resource = self.by_address[&address(waiter)];
            let state = &mut resources[resource];
            state.fair = waiter.resource.state.fair;
            if let (Some(later), Some(still_waits)) = (later, &still_waits) {
                let version_later = later.by_address.get(&address(waiter)).map(|&at| later.states[at].version);
                state.changed |= version_later != Some(self.states[resource].version) || !still_waits.contains(token);
            }
            waits.push(graph::Wait { task: waiter.task.serial, resource, units: waiter.units });
        }
        (resources, waits)
    }
}

/// Returns `true` if it is a live task of the list.
fn is_here(task: TaskRef, shared: &'static Shared) -> bool {
    std::ptr::eq(task.shared, shared) && task.is_live()
}

/// Returns the waits that are stuck. Where a first look finds any, a second one confirms that all of it was so at once.
fn look(shared: &'static Shared) -> (Look, graph::Found) {
    let mut before = Look::take(shared);
    for _ in 0..LOOKS {
        let (resources, waits) = before.graph(shared, None);
        let found = graph::find(&resources, &waits);
        if found.cycles.is_empty() {
            return (before, found);
        }
        let after = Look::take(shared);
        let (resources, waits) = before.graph(shared, Some(&after));
        let confirmed = graph::find(&resources, &waits);
        if confirmed == found {
            return (before, found);
        }
        before = after;
    }
    let after = Look::take(shared);
    let (resources, waits) = before.graph(shared, Some(&after));
    let found = graph::find(&resources, &waits);
    (before, found)
}

impl ProcessList {
    /// Returns what each task waits for, since when, which tasks hold it, and deadlocks.
    ///
    /// Shows what tasks declare by [`waiting_on`](crate::TaskHandle::waiting_on), and what the locks and channels of
    /// `pm::sync` declare by themselves. Every task of a cycle was in it at one point in time, so a lock that is just
    /// handed on makes none; a cycle through undeclared waits is not found.
    ///
    /// ```
    /// use pm_core::{ProcessList, Resource};
    ///
    /// let list = ProcessList::new();
    /// let (import, report) = (list.start("import"), list.start("report"));
    /// let (users, orders) = (Resource::with_capacity("lock:users", 1), Resource::with_capacity("lock:orders", 1));
    /// let _held = (import.holding(&users), report.holding(&orders));
    /// let _waits = (import.waiting_on(&orders), report.waiting_on(&users));
    ///
    /// let cycle = &list.waits().cycles[0];
    /// assert!(cycle.to_string().starts_with("import (task "));
    /// assert_eq!(cycle.steps.len(), 2);
    /// ```
    #[must_use]
    pub fn waits(&self) -> WaitReport {
        let shared = self.shared();
        let (look, found) = look(shared);
        let moment = shared.store.clock.moment();
        let mut briefs: HashMap<u64, Option<TaskBrief>> = HashMap::new();
        let mut brief = |task: TaskRef| {
            let known = briefs.entry(task.serial).or_insert_with(|| {
                if is_here(task, shared) { TaskBrief::of_live(task.slot(), task.serial) } else { None }
            });
            known.clone()
        };
        let mut held: Vec<Option<Arc<WaitedResource>>> = vec![None; look.states.len()];
        let mut waits: Vec<Option<BlockedTask>> = Vec::with_capacity(look.waits.len());
        for (at, (_, waiter)) in look.waits.iter().enumerate() {
            let resource = look.by_address[&address(waiter)];
            let shown = held[resource].get_or_insert_with(|| {
                let state = &look.states[resource];
                let mut holders: Vec<ResourceHolder> = (state.list.iter())
                    .filter_map(|hold| {
                        let held_for = moment.between(hold.since, moment.ticks());
                        hold.task.and_then(&mut brief).map(|task| ResourceHolder { task, units: hold.units, held_for })
                    })
                    .collect();
                holders.sort_by_key(|holder| std::cmp::Reverse(holder.held_for));
                Arc::new(WaitedResource {
                    name: self.redacted(waiter.resource.name()).into_owned(),
                    kind: waiter.resource.kind(),
                    capacity: state.capacity,
                    unknown_holders: state.list.len() + state.unlisted - holders.len(),
                    holders,
                })
            });
            let resource = Arc::clone(shown);
            waits.push(brief(waiter.task).map(|task| BlockedTask {
                task,
                resource,
                units: waiter.units,
                waited_for: moment.between(waiter.since, moment.ticks()),
                is_stuck: found.stuck[at],
                in_cycle: found.in_cycle[at],
            }));
        }
        let cycles = (found.cycles.iter()).filter_map(|cycle| Cycle::of(cycle, &waits)).collect();
        let mut waits: Vec<BlockedTask> = waits.into_iter().flatten().collect();
        waits.sort_by_key(|wait| std::cmp::Reverse(wait.waited_for));
        WaitReport { waits, cycles, not_shown: look.not_shown }
    }
}

impl Cycle {
    /// `None` if one of its tasks has ended since it was found.
    fn of(cycle: &[usize], waits: &[Option<BlockedTask>]) -> Option<Self> {
        let waits: Option<Vec<&BlockedTask>> = cycle.iter().map(|&wait| waits[wait].as_ref()).collect();
        let waits = waits?;
        let next = waits.iter().cycle().skip(1);
        let step = |(wait, next): (&&BlockedTask, &&BlockedTask)| CycleStep {
            task: wait.task.clone(),
            resource: Arc::clone(&wait.resource),
            held_by: next.task.serial,
        };
        Some(Self { steps: waits.iter().zip(next).map(step).collect() })
    }
}

impl WaitReport {
    /// Returns the waits as rows of a tree: at the top the tasks that wait for no known task, and one of each cycle;
    /// below each the tasks that wait for what it holds. Each task's own rows come once.
    #[must_use]
    pub fn tree(&self) -> Vec<WaitTreeRow<'_>> {
        let mut below: HashMap<Serial, Vec<&BlockedTask>> = HashMap::new();
        let mut waiting: HashSet<Serial> = HashSet::new();
        let mut roots: Vec<WaitTreeRow<'_>> = Vec::new();
        let root = |task, wait| WaitTreeRow { depth: 0, task, wait, repeated: false };
        for wait in &self.waits {
            waiting.insert(wait.task.serial);
            let mut last = None;
            for holder in wait
                .resource
                .holders
                .iter()
                .filter(|holder| last.replace(holder.task.serial) != Some(holder.task.serial))
            {
                below.entry(holder.task.serial).or_default().push(wait);
            }
        }
        let mut is_root: HashSet<Serial> = HashSet::new();
        // Those in a cycle first, then those that block others, then those that wait for an unknown holder; any other
        // can only be reached from a cycle that is not reported.
        for step in self.cycles.iter().filter_map(|cycle| cycle.steps.first()) {
            if is_root.insert(step.task.serial) {
                roots.push(root(&step.task, None));
            }
        }
        for holder in self.waits.iter().flat_map(|wait| &wait.resource.holders) {
            if !waiting.contains(&holder.task.serial) && is_root.insert(holder.task.serial) {
                roots.push(root(&holder.task, None));
            }
        }
        for wait in &self.waits {
            if wait.resource.holders.is_empty() && is_root.insert(wait.task.serial) {
                roots.push(root(&wait.task, Some(wait)));
            }
        }
        roots.extend(self.waits.iter().map(|wait| root(&wait.task, Some(wait))));

        let mut rows = Vec::new();
        let mut listed: HashSet<Serial> = HashSet::new();
        for root in roots {
            if listed.contains(&root.task.serial) {
                continue;
            }
            let mut to_list = vec![root];
            while let Some(mut row) = to_list.pop() {
                row.repeated = !listed.insert(row.task.serial);
                rows.push(row);
                if !row.repeated {
                    let below = below.get(&row.task.serial).map_or(&[][..], Vec::as_slice);
                    to_list.extend(below.iter().rev().map(|&wait| WaitTreeRow {
                        depth: row.depth + 1,
                        task: &wait.task,
                        wait: Some(wait),
                        repeated: false,
                    }));
                }
            }
        }
        rows
    }
}

/// A task by id and serial.
struct Name<'t>(&'t TaskBrief);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (task {})", escaped(&self.0.id), self.0.serial)
    }
}

impl fmt::Display for Cycle {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{} waits for {}, held by ", Name(&step.task), escaped(&step.resource.name))?;
        }
        match self.steps.first() {
            Some(first) => write!(f, "{}", Name(&first.task)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for WaitTreeRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:1$}{2}", "", self.depth * 2, Name(self.task))?;
        match self.wait {
            Some(wait) => {
                write!(f, " waits {} for {}", For(wait.waited_for), escaped(&wait.resource.name))?;
                match (wait.resource.holders.len(), wait.resource.unknown_holders) {
                    (0, 0) => f.write_str(", no known holder")?,
                    (0, _) => f.write_str(", held by no task of this list")?,
                    _ => {}
                }
            }
            None => write!(f, ": {} for {}", escaped(&self.task.status), For(self.task.status_age))?,
        }
        if self.repeated { f.write_str(" (see above)") } else { Ok(()) }
    }
}

impl fmt::Display for WaitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for cycle in &self.cycles {
            writeln!(f, "deadlock: {cycle}")?;
        }
        for row in self.tree() {
            writeln!(f, "{row}")?;
        }
        if self.waits.is_empty() { writeln!(f, "no task waits") } else { Ok(()) }
    }
}
