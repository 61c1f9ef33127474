//! What a look at the waits of a list shows.

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

/// Looks that are taken until nothing changes that a circle hangs on.
const LOOKS: usize = 3;

/// Who waits for what, and who blocks whom: what [`ProcessList::waits`] found at one moment.
///
/// Its `Display` is a tree: who holds up others, and below each who waits for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitReport {
    /// Those who wait, the longest first.
    pub waits: Vec<BlockedTask>,
    /// Tasks that wait in a circle, so that none of them goes on unless one gives up or is stopped: one circle for each
    /// knot, a shortest one. A task that waits for several things at once is in none if it can have one of them.
    pub cycles: Vec<Cycle>,
    /// Waits that were not recorded because 10,000 were already, since the list was made.
    pub not_shown: u64,
}

/// A task that waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlockedTask {
    /// Who.
    pub task: TaskBrief,
    /// For what.
    pub resource: Arc<WaitedResource>,
    /// How many units of it.
    pub units: u64,
    /// How long so far.
    pub waited_for: Duration,
    /// Whether it can't go on before a circle is broken.
    pub is_stuck: bool,
    /// Whether it is in a circle itself.
    pub in_cycle: bool,
}

/// A resource that somebody waits for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitedResource {
    /// Its name, without [what looks like a secret](crate::Options::redact).
    pub name: String,
    /// What sort of thing it is.
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
    /// Who.
    pub task: TaskBrief,
    /// How many units.
    pub units: u64,
    /// How long so far.
    pub held_for: Duration,
}

/// Tasks that wait in a circle: each for what the next one holds, and the last one for what the first one does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cycle {
    /// Each task once.
    pub steps: Vec<CycleStep>,
}

/// A task of a circle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CycleStep {
    /// Who waits.
    pub task: TaskBrief,
    /// For what.
    pub resource: Arc<WaitedResource>,
    /// And who holds it: the task of the next step.
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
    /// What it waits for. Nothing at the top: it holds up those below, or waits for what nobody is known to hold.
    pub wait: Option<&'w BlockedTask>,
    /// Whether it is further up already, with all that is below it: it waits for several, or in a circle.
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
        // Whoever has ended waits no more, if something still says so.
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

    /// What the graph is made of. What is not as it was in a later look may have been something else in between, and is taken
    /// for what can be had; all else was so at the moment between the two, at once.
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

/// Whether it is a live task of the list.
fn is_here(task: TaskRef, shared: &'static Shared) -> bool {
    std::ptr::eq(task.shared, shared) && task.is_live()
}

/// What is stuck. Where a first look finds somebody, a second one tells whether all of it was so at once.
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
    /// Who waits for what, since when, who holds it, and who waits in a circle.
    ///
    /// Shows what tasks tell by [`waiting_on`](TaskHandle::waiting_on), and what the locks and channels of `pm::sync` tell of
    /// themselves. Nobody is shown in a circle who was not in it at one moment of the look, so a lock that is just
    /// handed on makes none; what nobody told makes one that is there go unseen.
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
    /// Who blocks whom, as rows of a tree: at the top those who wait for nobody that is known, and one of each circle; below
    /// each the tasks that wait for what it holds. Each task's own rows come once.
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
        // Those in a circle first, then who holds up others, then who waits for somebody unknown; whoever is left can
        // only be reached from a circle that is not told.
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
        let mut told: HashSet<Serial> = HashSet::new();
        for root in roots {
            if told.contains(&root.task.serial) {
                continue;
            }
            let mut to_tell = vec![root];
            while let Some(mut row) = to_tell.pop() {
                row.repeated = !told.insert(row.task.serial);
                rows.push(row);
                if !row.repeated {
                    let below = below.get(&row.task.serial).map_or(&[][..], Vec::as_slice);
                    to_tell.extend(below.iter().rev().map(|&wait| WaitTreeRow {
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

/// A task in few words.
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
                    (0, 0) => f.write_str(", nobody is known to hold it")?,
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
            writeln!(f, "in a circle: {cycle}")?;
        }
        for row in self.tree() {
            writeln!(f, "{row}")?;
        }
        if self.waits.is_empty() { writeln!(f, "nobody waits") } else { Ok(()) }
    }
}
