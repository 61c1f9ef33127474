//! The lines of the list: filter, order, tree, groups, marks, and the selection.
//!
//! Lines refer to slots of the store and are rebuilt at most once per refresh. The selection follows its task; when
//! the task is gone, it stays at its position.

use std::collections::{BTreeMap, HashSet};

use pm_client::{Outcome, TaskState};
use pm_wire::filter::{Filter, Parts};

use super::column::Column;
use super::scroll::Scroll;
use crate::feed::{Changed, Key, Store, Task};
use crate::out::format::to_duration;

/// The arrangement of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    Flat,
    Tree,
    /// Grouped by kind.
    Groups,
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Task {
        slot: u32,
        /// The number of its ancestors above it.
        depth: u16,
        /// It does not match the filter, but a descendant does.
        is_context: bool,
    },
    /// The title of a group: its index in [`List::groups`].
    Group(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) kind: String,
    pub(crate) count: usize,
    pub(crate) is_folded: bool,
}

/// The selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    Task(Key),
    Group(String),
}

#[derive(Debug)]
pub(crate) struct List {
    filter: Filter,
    sort: (Column, bool),
    shape: Shape,
    folded: HashSet<String>,
    pub(crate) marks: HashSet<Key>,
    lines: Vec<Line>,
    /// All tasks, sorted; kept because a nearly sorted list is sorted faster.
    order: Vec<u32>,
    /// The sort key of `order`.
    ordered_by: Option<(Column, bool)>,
    groups: Vec<Group>,
    /// The number of tasks that match the filter.
    matching: usize,
    pick: Option<Pick>,
    cursor: usize,
    /// The first line on the screen.
    top: usize,
    is_stale: bool,
}

impl List {
    pub(crate) fn new(filter: Filter, sort: (Column, bool), shape: Shape) -> List {
        List {
            filter,
            sort,
            shape,
            folded: HashSet::new(),
            marks: HashSet::new(),
            lines: Vec::new(),
            order: Vec::new(),
            ordered_by: None,
            groups: Vec::new(),
            matching: 0,
            pick: None,
            cursor: 0,
            top: 0,
            is_stale: true,
        }
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(crate) fn group(&self, at: u32) -> &Group {
        &self.groups[at as usize]
    }

    pub(crate) fn matching(&self) -> usize {
        self.matching
    }

    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    pub(crate) fn sort(&self) -> (Column, bool) {
        self.sort
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn set_filter(&mut self, filter: Filter) {
        self.is_stale |= filter != self.filter;
        self.filter = filter;
    }

    pub(crate) fn set_sort(&mut self, sort: (Column, bool)) {
        self.is_stale |= sort != self.sort;
        self.sort = sort;
    }

    pub(crate) fn set_shape(&mut self, shape: Shape) {
        self.is_stale |= shape != self.shape;
        self.shape = shape;
    }

    /// Notes what changed in the store.
    pub(crate) fn note(&mut self, changed: Changed) {
        let may_move = self.sort.0.changes() || !self.filter.is_empty() || self.shape == Shape::Groups;
        self.is_stale |= changed.tasks || (changed.text && may_move);
    }

    /// The selected task, if any.
    pub(crate) fn selected<'s>(&self, store: &'s Store) -> Option<&'s Task> {
        match self.lines.get(self.cursor)? {
            Line::Task { slot, .. } => Some(store.task(*slot)).filter(|task| !task.gone),
            Line::Group(_) => None,
        }
    }

    /// The tasks of the selected group.
    pub(crate) fn selected_group(&self, store: &Store) -> Vec<Key> {
        let Some(Line::Group(at)) = self.lines.get(self.cursor) else { return Vec::new() };
        let kind = &self.group(*at).kind;
        let matches = |task: &Task| task.row.kind.as_deref().unwrap_or_default() == kind && !task.gone;
        store.iter().filter(|(_, task)| matches(task)).map(|(_, task)| task.key).collect()
    }

    /// Rebuilds the lines if necessary.
    pub(crate) fn refresh(&mut self, store: &mut Store, now: f64) {
        if !self.is_stale && !self.filter.depends_on_time() {
            return;
        }
        self.is_stale = false;
        self.marks.retain(|key| store.slot(*key).is_some());
        self.sort_all(store);
        let mut slots = match self.filter.is_empty() {
            true => self.order.clone(),
            false => self.order.iter().copied().filter(|&slot| matches(&self.filter, store.task(slot), now)).collect(),
        };
        self.matching = slots.len();
        if self.shape == Shape::Tree && !self.filter.is_empty() {
            self.with_ancestors(store, &mut slots);
            self.sort.0.sort(self.sort.1, store, &mut slots);
        }
        self.groups.clear();
        self.lines = match self.shape {
            Shape::Flat => slots.into_iter().map(|slot| Line::Task { slot, depth: 0, is_context: false }).collect(),
            Shape::Tree => self.tree(store, &slots, now),
            Shape::Groups => self.grouped(store, &slots),
        };
        store.sweep();
        self.find_pick(store);
    }

    /// Sorts all tasks, starting from the previous order.
    fn sort_all(&mut self, store: &Store) {
        let mut is_known = vec![false; store.slots()];
        let is_same = self.ordered_by == Some(self.sort);
        self.order.retain(|&slot| {
            let stays = is_same && (slot as usize) < is_known.len() && !store.task(slot).gone;
            if stays {
                is_known[slot as usize] = true;
            }
            stays
        });
        self.order.extend(store.iter().map(|(slot, _)| slot).filter(|&slot| !is_known[slot as usize]));
        self.sort.0.sort(self.sort.1, store, &mut self.order);
        self.ordered_by = Some(self.sort);
    }

    /// Forgets the order; for a new store, in which slots differ.
    pub(crate) fn forget_order(&mut self) {
        self.order.clear();
        self.is_stale = true;
    }

    fn with_ancestors(&self, store: &Store, slots: &mut Vec<u32>) {
        let mut seen: HashSet<u32> = slots.iter().copied().collect();
        for at in 0..slots.len() {
            let mut task = store.task(slots[at]);
            while task.parent != 0 {
                let Some(slot) = store.slot(Key { number: task.parent, ..task.key }) else { break };
                if !seen.insert(slot) {
                    break;
                }
                slots.push(slot);
                task = store.task(slot);
            }
        }
    }

    /// The lines of the tree, depth first; children are in list order.
    fn tree(&self, store: &Store, slots: &[u32], now: f64) -> Vec<Line> {
        const NONE: u32 = u32::MAX;
        let mut roots = Vec::new();
        let mut here = vec![false; store.slots()];
        slots.iter().for_each(|&slot| here[slot as usize] = true);
        // Children are linked from last to first, so they are popped from the stack in order.
        let (mut last_child, mut before) = (vec![NONE; store.slots()], vec![NONE; store.slots()]);
        for &slot in slots {
            let task = store.task(slot);
            let parent = (task.parent != 0).then(|| store.slot(Key { number: task.parent, ..task.key })).flatten();
            match parent.filter(|&parent| here[parent as usize] && parent != slot) {
                Some(parent) => before[slot as usize] = std::mem::replace(&mut last_child[parent as usize], slot),
                None => roots.push(slot),
            }
        }
        let mut lines = Vec::with_capacity(slots.len());
        let mut seen = vec![false; store.slots()];
        let all_match = self.filter.is_empty();
        // Tasks in a cycle have no root. A broken server may report one, and no task must be lost.
        for &root in roots.iter().chain(slots) {
            let mut open = vec![(root, 0_u16)];
            while let Some((slot, depth)) = open.pop() {
                if std::mem::replace(&mut seen[slot as usize], true) {
                    continue;
                }
                let is_context = !all_match && !matches(&self.filter, store.task(slot), now);
                lines.push(Line::Task { slot, depth, is_context });
                let mut child = last_child[slot as usize];
                while child != NONE {
                    open.push((child, depth.saturating_add(1)));
                    child = before[child as usize];
                }
            }
        }
        lines
    }

    fn grouped(&mut self, store: &Store, slots: &[u32]) -> Vec<Line> {
        let mut by_kind: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for &slot in slots {
            by_kind.entry(store.task(slot).row.kind.as_deref().unwrap_or_default()).or_default().push(slot);
        }
        let mut lines = Vec::with_capacity(slots.len() + by_kind.len());
        for (kind, slots) in by_kind {
            let is_folded = self.folded.contains(kind);
            lines.push(Line::Group(u32::try_from(self.groups.len()).unwrap_or(u32::MAX)));
            self.groups.push(Group { kind: kind.to_owned(), count: slots.len(), is_folded });
            if !is_folded {
                lines.extend(slots.into_iter().map(|slot| Line::Task { slot, depth: 1, is_context: false }));
            }
        }
        lines
    }

    /// Moves the cursor to the selected task's new line, and the screen with it.
    fn find_pick(&mut self, store: &Store) {
        let on_screen = self.cursor.saturating_sub(self.top);
        if let Some(pick) = &self.pick {
            let found = self.lines.iter().position(|line| match (line, pick) {
                (Line::Task { slot, .. }, Pick::Task(key)) => store.task(*slot).key == *key,
                (Line::Group(at), Pick::Group(kind)) => self.groups[*at as usize].kind == *kind,
                _ => false,
            });
            match found {
                Some(at) => self.cursor = at,
                None => self.pick = None,
            }
        }
        self.cursor = self.cursor.min(self.lines.len().saturating_sub(1));
        self.top = self.cursor.saturating_sub(on_screen);
        // Once the cursor has moved from the top, it selects whatever task is there.
        if self.pick.is_none() && self.cursor > 0 {
            self.select(store, self.cursor);
        }
    }

    /// Selects a line, or the last one.
    pub(crate) fn select(&mut self, store: &Store, line: usize) {
        self.cursor = line.min(self.lines.len().saturating_sub(1));
        self.pick = self.lines.get(self.cursor).map(|line| match line {
            Line::Task { slot, .. } => Pick::Task(store.task(*slot).key),
            Line::Group(at) => Pick::Group(self.groups[*at as usize].kind.clone()),
        });
    }

    pub(crate) fn step(&mut self, store: &Store, lines: isize) {
        self.select(store, self.cursor.saturating_add_signed(lines));
    }

    /// The position, before it is drawn.
    pub(crate) fn scroll(&self) -> Scroll {
        Scroll { cursor: self.cursor, top: self.top }
    }

    pub(crate) fn set_top(&mut self, top: usize) {
        self.top = top;
    }

    /// Toggles the mark of the selected task, or of all tasks in the selected group.
    pub(crate) fn mark(&mut self, store: &Store) {
        let keys = match self.selected(store) {
            Some(task) => vec![task.key],
            None => self.selected_group(store),
        };
        let all = keys.iter().all(|key| self.marks.contains(key));
        for key in keys {
            if all {
                self.marks.remove(&key);
            } else {
                self.marks.insert(key);
            }
        }
    }

    /// Marks all tasks that match the filter, folded or not; if all are marked already, none.
    pub(crate) fn mark_all(&mut self, store: &Store, now: f64) {
        let all = || store.iter().filter(|(_, task)| matches(&self.filter, task, now)).map(|(_, task)| task.key);
        self.marks = if all().all(|key| self.marks.contains(&key)) { HashSet::new() } else { all().collect() };
    }

    /// Folds or unfolds the selected group, or the group of the selected task.
    pub(crate) fn fold(&mut self, store: &Store, fold: Option<bool>) {
        if self.shape != Shape::Groups {
            return;
        }
        let kind = match self.lines.get(self.cursor) {
            Some(Line::Group(at)) => self.group(*at).kind.clone(),
            Some(Line::Task { slot, .. }) => store.task(*slot).row.kind.clone().unwrap_or_default(),
            None => return,
        };
        if fold.unwrap_or(!self.folded.contains(&kind)) {
            self.pick = Some(Pick::Group(kind.clone()));
            self.folded.insert(kind);
        } else {
            self.folded.remove(&kind);
        }
        self.is_stale = true;
    }
}

fn matches(filter: &Filter, task: &Task, now: f64) -> bool {
    let row = &task.row;
    filter.matches_parts(&Parts {
        serial: task.key.number,
        id: &row.id,
        kind: row.kind.as_deref().unwrap_or_default(),
        state: row.state.as_ref().map_or("", TaskState::as_str),
        outcome: row.outcome.as_ref().map_or("", Outcome::as_str),
        status: &row.status,
        parent: task.parent,
        age: task.age(now).map(to_duration),
        status_age: task.status_age(now).map(to_duration),
        attrs: Some(&row.attrs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{Change, Update};
    use pm_client::Row;

    fn row(serial: u64, kind: &str, parent: u64) -> Row {
        let mut json = serde_json::json!({
            "serial": serial.to_string(), "id": format!("t{serial}"), "kind": kind, "ageMs": 1000.0 - serial as f64,
        });
        if parent != 0 {
            json["parent"] = parent.to_string().into();
        }
        serde_json::from_value(json).unwrap()
    }

    fn model(rows: Vec<Row>, filter: &str, shape: Shape) -> (Store, List) {
        let mut store = Store::new(["a".to_owned()]);
        store.apply(0, 0.0, Update::Snapshot { rows, begins: true, ends: true });
        let mut list = List::new(Filter::parse(filter).unwrap(), (Column::Age, true), shape);
        list.refresh(&mut store, 0.0);
        (store, list)
    }

    fn shown(store: &Store, list: &List) -> Vec<String> {
        list.lines()
            .iter()
            .map(|line| match line {
                Line::Task { slot, depth, is_context } => format!(
                    "{}{}{}",
                    " ".repeat(usize::from(*depth)),
                    store.task(*slot).row.id,
                    if *is_context { "?" } else { "" }
                ),
                Line::Group(at) => format!("{}:{}", list.group(*at).kind, list.group(*at).count),
            })
            .collect()
    }

    #[test]
    fn the_selection_follows_its_task_and_stays_in_place_when_it_is_gone() {
        let (mut store, mut list) = model((1..=5).map(|serial| row(serial, "k", 0)).collect(), "", Shape::Flat);
        list.select(&store, 2);
        for serial in [1, 2] {
            list.note(store.apply(0, 1.0, Update::Ended { row: row(serial, "k", 0) }));
        }
        list.refresh(&mut store, 1.0);
        assert_eq!((list.cursor(), list.selected(&store).unwrap().key.number), (0, 3));
        list.note(store.apply(0, 1.0, Update::Ended { row: row(3, "k", 0) }));
        list.refresh(&mut store, 1.0);
        assert_eq!(list.selected(&store).unwrap().key.number, 4);
    }

    #[test]
    fn the_first_row_stays_selected_until_the_cursor_moves() {
        let (mut store, mut list) = model(vec![row(5, "k", 0)], "", Shape::Flat);
        list.note(store.apply(0, 1.0, Update::Task { change: Change::Started, row: row(1, "k", 0) }));
        list.refresh(&mut store, 1.0);
        assert_eq!(list.selected(&store).unwrap().key.number, 1);
    }

    #[test]
    fn a_tree_shows_the_ancestors_of_matching_tasks_and_loses_nothing_in_a_cycle() {
        let rows = vec![row(1, "a", 0), row(2, "b", 1), row(3, "c", 2), row(4, "d", 1), row(5, "x", 6), row(6, "x", 5)];
        let (store, list) = model(rows.clone(), "", Shape::Tree);
        assert_eq!(shown(&store, &list), ["t1", " t2", "  t3", " t4", "t5", " t6"]);
        let (store, list) = model(rows, "kind=c", Shape::Tree);
        assert_eq!((shown(&store, &list), list.matching()), (vec!["t1?".into(), " t2?".into(), "  t3".into()], 1));
    }

    #[test]
    fn groups_fold_and_the_folded_group_is_selected() {
        let (mut store, mut list) = model(vec![row(1, "b", 0), row(2, "a", 0), row(3, "b", 0)], "", Shape::Groups);
        assert_eq!(shown(&store, &list), ["a:1", " t2", "b:2", " t1", " t3"]);
        list.select(&store, 4);
        list.fold(&store, Some(true));
        list.refresh(&mut store, 0.0);
        assert_eq!(shown(&store, &list), ["a:1", " t2", "b:2"]);
        assert_eq!(list.selected_group(&store).len(), 2);
        list.mark(&store);
        assert_eq!(list.marks.len(), 2);
    }

    #[test]
    fn a_mark_ends_with_its_task() {
        let (mut store, mut list) = model(vec![row(1, "b", 0), row(2, "a", 0)], "kind=a", Shape::Flat);
        list.mark_all(&store, 0.0);
        assert_eq!(list.marks.len(), 1);
        list.note(store.apply(0, 0.0, Update::Ended { row: row(2, "a", 0) }));
        list.refresh(&mut store, 0.0);
        assert!(list.marks.is_empty());
    }
}
