//! Finds the tasks that are stuck, and those that wait in a cycle: over plain numbers.
//!
//! A task *can proceed* if it waits for nothing, or for something available: what is free, or held by tasks that can
//! proceed, as they release it eventually. Any other is *stuck*. Starting with all waiting tasks as stuck, those that
//! can proceed are taken out one after the other, until there is none. What is unknown is assumed to be available: a
//! holder that is not a task proceeds, and so does a task that waits for several things of which one is available.

use std::collections::HashMap;

/// Something that is held and waited for.
#[derive(Clone, Debug, Default)]
pub(super) struct Resource {
    /// Units in all. If unknown, it is available without a known holder, or with one that can proceed.
    pub(super) capacity: Option<u64>,
    /// `true` if the longest wait is served first.
    pub(super) fair: bool,
    /// It changed while it was looked at, and may be free by now.
    pub(super) changed: bool,
    /// Tasks that hold it, with units; `None` for another holder.
    pub(super) holds: Vec<(Option<u64>, u64)>,
}

/// A task that waits for so many units of a resource; in the order in which they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) task: u64,
    pub(super) resource: usize,
    pub(super) units: u64,
}

/// The result of a search.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// For each wait whether its task is stuck,
    pub(super) stuck: Vec<bool>,
    /// and whether it waits for itself, by way of others.
    pub(super) in_cycle: Vec<bool>,
    /// A shortest cycle for each component of tasks: waits, each of which is for what the task of the next one holds.
    pub(super) cycles: Vec<Vec<usize>>,
}

/// The tasks that wait, by number.
struct Tasks {
    numbers: HashMap<u64, usize>,
    waits: Vec<Vec<usize>>,
    /// Resources that each holds, with units.
    holds: Vec<Vec<(usize, u64)>>,
}

impl Tasks {
    fn of(resources: &[Resource], waits: &[Wait]) -> Self {
        let mut tasks = Self { numbers: HashMap::new(), waits: Vec::new(), holds: Vec::new() };
        for (at, wait) in waits.iter().enumerate() {
            let number = *tasks.numbers.entry(wait.task).or_insert(tasks.waits.len());
            if number == tasks.waits.len() {
                tasks.waits.push(Vec::new());
            }
            tasks.waits[number].push(at);
        }
        tasks.holds.resize_with(tasks.waits.len(), Vec::new);
        for (at, resource) in resources.iter().enumerate() {
            for (task, units) in &resource.holds {
                if let Some(&number) = task.as_ref().and_then(|task| tasks.numbers.get(task)) {
                    tasks.holds[number].push((at, *units));
                }
            }
        }
        tasks
    }

    fn of_wait(&self, wait: &Wait) -> usize {
        self.numbers[&wait.task]
    }
}

pub(super) fn find(resources: &[Resource], waits: &[Wait]) -> Found {
    let tasks = Tasks::of(resources, waits);
    let stuck = stuck(resources, waits, &tasks);
    let components = Components::of(resources, waits, &tasks, &stuck);
    Found {
        stuck: waits.iter().map(|wait| stuck[tasks.of_wait(wait)]).collect(),
        in_cycle: waits.iter().map(|wait| components.is_in_one(tasks.of_wait(wait))).collect(),
        cycles: components.cycles(),
    }
}

/// For each task whether it is stuck.
fn stuck(resources: &[Resource], waits: &[Wait], tasks: &Tasks) -> Vec<bool> {
    let mut stuck = vec![true; tasks.waits.len()];
    // The units of each resource that stuck tasks hold, and how many others hold it.
    let mut held = vec![0_u64; resources.len()];
    let mut others: Vec<usize> = resources.iter().map(|resource| resource.holds.len()).collect();
    for &(resource, units) in tasks.holds.iter().flatten() {
        held[resource] = held[resource].saturating_add(units);
        others[resource] -= 1;
    }
    let mut queues = vec![Vec::new(); resources.len()];
    for (at, wait) in waits.iter().enumerate() {
        queues[wait.resource].push(at);
    }
    let mut to_look_at: Vec<usize> = (0..resources.len()).collect();
    let mut is_noted = vec![true; resources.len()];
    while let Some(at) = to_look_at.pop() {
        is_noted[at] = false;
        let resource = &resources[at];
        // Taken out, as all who proceed need not be looked at again.
        let queue = std::mem::take(&mut queues[at]);
        let mut left = queue.into_iter();
        while let Some(wait) = left.next() {
            let task = tasks.of_wait(&waits[wait]);
            if !stuck[task] {
                continue;
            }
            let can_be_had = resource.changed
                || match resource.capacity {
                    // More than there are: the task that waits for them counts on more to come.
                    Some(units) if waits[wait].units > units => true,
                    Some(units) => units.saturating_sub(held[at]) >= waits[wait].units,
                    None => resource.holds.is_empty() || others[at] > 0,
                };
            if !can_be_had {
                queues[at].push(wait);
                if resource.fair {
                    queues[at].extend(left);
                    break;
                }
                continue;
            }
            stuck[task] = false;
            for &(resource, units) in &tasks.holds[task] {
                held[resource] = held[resource].saturating_sub(units);
                others[resource] += 1;
            }
            // What it releases is available to others, and where it waits, too, it blocks no other task.
            let waits_for = tasks.waits[task].iter().map(|&wait| waits[wait].resource);
            for resource in tasks.holds[task].iter().map(|&(resource, _)| resource).chain(waits_for) {
                if !std::mem::replace(&mut is_noted[resource], true) {
                    to_look_at.push(resource);
                }
            }
        }
    }
    stuck
}

/// Tasks that can be reached from each other, by way of what they wait for and who holds that.
///
/// Nodes are the tasks, then the resources; a stuck task leads to what it waits for, that to the stuck tasks that hold
/// it.
struct Components {
    tasks: usize,
    next: Vec<Vec<usize>>,
    /// The wait by which a task leads to a resource.
    by_wait: HashMap<(usize, usize), usize>,
    /// The component of each node.
    component: Vec<usize>,
    /// The number of nodes of each component.
    sizes: Vec<usize>,
}

impl Components {
    fn of(resources: &[Resource], waits: &[Wait], tasks: &Tasks, stuck: &[bool]) -> Self {
        let count = tasks.waits.len();
        let mut next = vec![Vec::new(); count + resources.len()];
        let mut by_wait = HashMap::new();
        for task in (0..count).filter(|&task| stuck[task]) {
            for &wait in &tasks.waits[task] {
                let resource = count + waits[wait].resource;
                if by_wait.insert((task, resource), wait).is_none() {
                    next[task].push(resource);
                }
            }
            for &(resource, _) in &tasks.holds[task] {
                if next[count + resource].last() != Some(&task) {
                    next[count + resource].push(task);
                }
            }
        }
        let (component, sizes) = components(&next);
        Self { tasks: count, next, by_wait, component, sizes }
    }

    /// A cycle has a task and a resource at least.
    fn is_in_one(&self, node: usize) -> bool {
        self.sizes[self.component[node]] > 1
    }

    fn cycles(&self) -> Vec<Vec<usize>> {
        let mut seen = vec![false; self.sizes.len()];
        (0..self.tasks)
            .filter(|&task| self.is_in_one(task) && !std::mem::replace(&mut seen[self.component[task]], true))
            .map(|task| self.shortest_from(task))
            .collect()
    }

    /// The waits of a shortest way from a task of a component back to it.
    fn shortest_from(&self, start: usize) -> Vec<usize> {
        let mut from: HashMap<usize, usize> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        'search: while let Some(node) = queue.pop_front() {
            for &next in self.next[node].iter().filter(|&&next| self.component[next] == self.component[start]) {
                if let std::collections::hash_map::Entry::Vacant(vacant) = from.entry(next) {
                    vacant.insert(node);
                    if next == start {
                        break 'search;
                    }
                    queue.push_back(next);
                }
            }
        }
        let mut waits = Vec::new();
        let mut node = start;
        while let Some((&resource, &task)) = from.get(&node).and_then(|resource| Some((resource, from.get(resource)?)))
        {
            waits.extend(self.by_wait.get(&(task, resource)));
            node = task;
            if node == start {
                break;
            }
        }
        waits.reverse();
        waits
    }
}

/// The strongly connected components, after Tarjan, with a stack of our own: a chain of tasks may be long.
fn components(next: &[Vec<usize>]) -> (Vec<usize>, Vec<usize>) {
    const NEW: usize = usize::MAX;
    let mut component = vec![NEW; next.len()];
    let mut sizes = Vec::new();
    let (mut order, mut low) = (vec![NEW; next.len()], vec![0; next.len()]);
    let (mut open, mut calls, mut count) = (Vec::new(), Vec::new(), 0);
    for root in 0..next.len() {
        if order[root] == NEW {
            calls.push((root, 0));
        }
        while let Some((node, edge)) = calls.pop() {
            if edge == 0 {
                (order[node], low[node]) = (count, count);
                count += 1;
                open.push(node);
            } else if let to = next[node][edge - 1]
                && component[to] == NEW
            {
                low[node] = low[node].min(low[to]);
            }
            if let Some(&to) = next[node].get(edge) {
                // Come back to look at what was found of it.
                calls.push((node, edge + 1));
                if order[to] == NEW {
                    calls.push((to, 0));
                }
                continue;
            }
            if low[node] == order[node] {
                let at = open.iter().rposition(|&other| other == node).unwrap_or(0);
                let members = open.split_off(at);
                for &member in &members {
                    component[member] = sizes.len();
                }
                sizes.push(members.len());
            }
        }
    }
    (component, sizes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lock(holder: u64) -> Resource {
        Resource { capacity: Some(1), fair: true, changed: false, holds: vec![(Some(holder), 1)] }
    }

    fn wait(task: u64, resource: usize) -> Wait {
        Wait { task, resource, units: 1 }
    }

    /// The tasks that are stuck, as it is said at the top of this file, word by word.
    fn stuck_by_definition(resources: &[Resource], waits: &[Wait]) -> Vec<bool> {
        let mut proceeds: Vec<u64> = Vec::new();
        let is_stuck =
            |proceeds: &[u64], task: u64| waits.iter().any(|wait| wait.task == task) && !proceeds.contains(&task);
        loop {
            let next = waits.iter().enumerate().find(|&(at, wait)| {
                let resource = &resources[wait.resource];
                let stuck_holders =
                    resource.holds.iter().filter(|(task, _)| task.is_some_and(|task| is_stuck(&proceeds, task)));
                let held: u64 = stuck_holders.clone().map(|(_, units)| units).sum();
                let fits = |wait: &Wait| match resource.capacity {
                    Some(units) => wait.units > units || wait.units + held <= units,
                    None => resource.holds.is_empty() || stuck_holders.clone().count() < resource.holds.len(),
                };
                let before = waits[..at].iter().filter(|other| other.resource == wait.resource);
                let blocked = before.clone().any(|other| is_stuck(&proceeds, other.task) && !fits(other));
                is_stuck(&proceeds, wait.task) && (resource.changed || fits(wait) && !(resource.fair && blocked))
            });
            match next {
                Some((_, wait)) => proceeds.push(wait.task),
                None => return waits.iter().map(|wait| is_stuck(&proceeds, wait.task)).collect(),
            }
        }
    }

    #[test]
    fn two_tasks_that_wait_for_each_other_are_a_cycle() {
        let found = find(&[lock(1), lock(2)], &[wait(1, 1), wait(2, 0)]);
        assert_eq!(found, Found { stuck: vec![true, true], in_cycle: vec![true, true], cycles: vec![vec![0, 1]] });
    }

    #[test]
    fn a_task_that_waits_behind_a_cycle_is_stuck_and_not_in_it() {
        let found = find(&[lock(1), lock(2), lock(3)], &[wait(3, 0), wait(1, 1), wait(2, 0), wait(4, 2)]);
        assert_eq!(found.stuck, [true; 4]);
        assert_eq!(found.in_cycle, [false, true, true, false]);
        assert_eq!(found.cycles, [[1, 2]]);
    }

    #[test]
    fn a_task_that_waits_for_itself_is_a_cycle_of_one() {
        let found = find(&[lock(1)], &[wait(1, 0), wait(2, 0)]);
        assert_eq!(found, Found { stuck: vec![true, true], in_cycle: vec![true, false], cycles: vec![vec![0]] });
    }

    #[test]
    fn one_free_unit_or_one_holder_that_proceeds_is_enough() {
        let semaphore =
            |capacity| Resource { capacity, holds: vec![(Some(1), 1), (Some(2), 1)], ..Resource::default() };
        let waits = [wait(1, 1), wait(3, 0)];
        // Task 2 holds a unit and waits for nothing.
        assert_eq!(find(&[semaphore(Some(2)), lock(3)], &waits).stuck, [false, false]);
        assert_eq!(find(&[semaphore(None), lock(3)], &waits).stuck, [false, false]);
        let waits = [wait(1, 1), wait(2, 1), wait(3, 0)];
        assert_eq!(find(&[semaphore(Some(2)), lock(3)], &waits).stuck, [true; 3]);
        assert_eq!(find(&[semaphore(None), lock(3)], &waits).stuck, [true; 3]);
        assert_eq!(find(&[semaphore(Some(3)), lock(3)], &waits).stuck, [false; 3]);
    }

    #[test]
    fn readers_again_behind_one_that_writes_waits_for_itself() {
        let shared = Resource { capacity: Some(100), fair: true, holds: vec![(Some(1), 1)], ..Resource::default() };
        let waits = [Wait { task: 2, resource: 0, units: 100 }, wait(1, 0)];
        let found = find(std::slice::from_ref(&shared), &waits);
        assert_eq!((found.stuck, found.in_cycle), (vec![true, true], vec![false, true]));
        let unfair = Resource { fair: false, ..shared };
        assert_eq!(find(&[unfair], &waits).stuck, [false, false]);
    }

    #[test]
    fn a_change_in_between_is_not_a_proof() {
        let changed = Resource { changed: true, ..lock(2) };
        assert_eq!(find(&[lock(1), changed], &[wait(1, 1), wait(2, 0)]).stuck, [false, false]);
    }

    #[test]
    fn a_chain_of_100_000_tasks_is_followed_without_a_deep_stack() {
        let count = if cfg!(miri) { 100 } else { 100_000 };
        let mut resources: Vec<Resource> = (0..count).map(lock).collect();
        let mut waits: Vec<Wait> = (1..count).map(|task| wait(task, task as usize - 1)).collect();
        assert!(find(&resources, &waits).stuck.iter().all(|stuck| !stuck));
        resources.push(lock(0));
        waits.push(wait(0, count as usize - 1));
        assert_eq!(find(&resources, &waits).cycles[0].len(), count as usize);
    }

    fn any_graph() -> impl Strategy<Value = (Vec<Resource>, Vec<Wait>)> {
        let hold = (proptest::option::weighted(0.9, 0..7_u64), 1..3_u64);
        let resource = (
            proptest::option::weighted(0.8, 1..4_u64),
            any::<bool>(),
            proptest::bool::weighted(0.05),
            prop::collection::vec(hold, 0..4),
        )
            .prop_map(|(capacity, fair, changed, holds)| Resource { capacity, fair, changed, holds });
        let wait = (0..7_u64, any::<prop::sample::Index>(), 1..4_u64);
        (prop::collection::vec(resource, 1..6), prop::collection::vec(wait, 0..8)).prop_map(|(resources, waits)| {
            let wait = |(task, resource, units): (u64, prop::sample::Index, u64)| Wait {
                task,
                resource: resource.index(resources.len()),
                units,
            };
            let waits = waits.into_iter().map(wait).collect();
            (resources, waits)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 20 } else { 5_000 }, ..ProptestConfig::default() })]

        #[test]
        fn the_result_matches_the_definition((resources, waits) in any_graph()) {
            let found = find(&resources, &waits);
            prop_assert_eq!(&found.stuck, &stuck_by_definition(&resources, &waits));
            let holds = |task: u64, resource: usize| {
                resources[resource].holds.iter().any(|hold| hold.0 == Some(task))
            };
            // From which wait one comes to which, over stuck tasks only.
            let mut leads: Vec<Vec<bool>> = waits.iter().enumerate().map(|(from, wait)| {
                let leads = |to: usize| found.stuck[from] && found.stuck[to] && holds(waits[to].task, wait.resource);
                (0..waits.len()).map(leads).collect()
            }).collect();
            for by in 0..waits.len() {
                for from in 0..waits.len() {
                    for to in 0..waits.len() {
                        leads[from][to] |= leads[from][by] && leads[by][to];
                    }
                }
            }
            for at in 0..waits.len() {
                let in_cycle = (0..waits.len()).any(|other| waits[other].task == waits[at].task && leads[other][other]);
                prop_assert_eq!(found.in_cycle[at], in_cycle, "wait {}", at);
            }
            prop_assert_eq!(found.stuck.contains(&true), !found.cycles.is_empty());
            for cycle in &found.cycles {
                prop_assert!(!cycle.is_empty());
                for (at, &wait) in cycle.iter().enumerate() {
                    let next = cycle[(at + 1) % cycle.len()];
                    prop_assert!(found.in_cycle[wait] && holds(waits[next].task, waits[wait].resource));
                }
            }
        }
    }
}
