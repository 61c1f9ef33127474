//! Data that is polled while its view is shown: kinds, ended tasks, waits, and facts about endpoints.

use std::collections::{HashMap, VecDeque};

use pm_client::{Info, KindReport, KindStats, Row, WaitReport};

use super::view::View;
use crate::feed::{Key, Store};
use crate::top::model::Scroll;
use crate::top::request::{Reply, Request};

/// The poll interval, in milliseconds.
const INTERVAL: f64 = 1_000.0;
/// The poll interval for what rarely changes, in milliseconds.
const RARE_INTERVAL: f64 = 5_000.0;
/// When a missing reply is given up, in milliseconds.
const TIMEOUT: f64 = 15_000.0;
/// Points of the sparkline of ends per second.
const POINTS: usize = 30;

/// The last reply of each endpoint.
type Answers<T> = Vec<Option<Result<T, String>>>;

/// A task that has ended.
#[derive(Clone, Debug)]
pub(crate) struct EndedRow {
    pub(crate) key: Key,
    pub(crate) row: Row,
    /// When it ended, on the local clock.
    pub(crate) at: Option<f64>,
}

#[derive(Debug, Default)]
pub(crate) struct Boards {
    pub(crate) kinds: Answers<KindReport>,
    pub(crate) waits: Answers<Option<WaitReport>>,
    pub(crate) about: Answers<Option<Info>>,
    ended_by: Answers<()>,
    pub(crate) ended: Vec<EndedRow>,
    /// How many tasks of each kind had ended at each reply, oldest first.
    counts: HashMap<(u32, String), VecDeque<(f64, u64)>>,
    /// The position in each view.
    scrolls: [Scroll; View::ALL.len()],
    /// When each view was last requested, and how many replies are missing.
    requested: HashMap<&'static str, (f64, usize)>,
    endpoints: usize,
}

impl Boards {
    pub(super) fn new(endpoints: usize) -> Boards {
        fn none<T>(endpoints: usize) -> Answers<T> {
            (0..endpoints).map(|_| None).collect()
        }
        Boards {
            kinds: none(endpoints),
            waits: none(endpoints),
            about: none(endpoints),
            ended_by: none(endpoints),
            endpoints,
            ..Boards::default()
        }
    }

    /// The position in the board of this view.
    pub(crate) fn scroll(&self, view: View) -> Scroll {
        self.scrolls[view as usize]
    }

    pub(super) fn scroll_mut(&mut self, view: View) -> &mut Scroll {
        &mut self.scrolls[view as usize]
    }

    /// The request that is due, if any.
    pub(super) fn due(&mut self, view: View, now: f64) -> Option<Request> {
        // The running tasks come by a stream; only whether the list is full is polled.
        let (view, interval) = match view {
            View::Running => (View::About, RARE_INTERVAL),
            view => (view, INTERVAL),
        };
        let request = match view {
            View::Running | View::About => Request::About,
            View::Kinds => Request::Kinds,
            View::Ended => Request::Ended,
            View::Waits => Request::Waits,
        };
        let (requested_at, missing) = self.requested.get(view.title()).copied().unwrap_or((f64::NEG_INFINITY, 0));
        let wait = if missing == 0 { interval } else { TIMEOUT };
        (now - requested_at >= wait - 1.0).then(|| {
            self.requested.insert(view.title(), (now, self.endpoints));
            request
        })
    }

    fn answered(&mut self, view: View) {
        if let Some((_, missing)) = self.requested.get_mut(view.title()) {
            *missing = missing.saturating_sub(1);
        }
    }

    pub(super) fn answer(&mut self, now: f64, reply: Reply) {
        match reply {
            Reply::Kinds { endpoint, result } => {
                self.answered(View::Kinds);
                for kind in result.iter().flat_map(|kinds| &kinds.kinds) {
                    let counts = self.counts.entry((endpoint, crate::verbs::kinds::name(kind).to_owned())).or_default();
                    counts.push_back((now, ended(kind)));
                    if counts.len() > POINTS + 1 {
                        counts.pop_front();
                    }
                }
                set(&mut self.kinds, endpoint, result);
            }
            Reply::Waits { endpoint, result } => {
                self.answered(View::Waits);
                set(&mut self.waits, endpoint, result);
            }
            Reply::About { endpoint, result } => {
                self.answered(View::About);
                set(&mut self.about, endpoint, result);
            }
            Reply::Ended { endpoint, result } => {
                self.answered(View::Ended);
                if let Ok((rows, server_time)) = &result {
                    self.ended.retain(|ended| ended.key.endpoint != endpoint);
                    self.ended.extend(rows.iter().map(|row| {
                        let ago = row.ended_at.map(|at| server_time.since(at).as_secs_f64() * 1e3);
                        EndedRow { key: Key::of(endpoint, row), row: row.clone(), at: ago.map(|ago| now - ago) }
                    }));
                    let at = |row: &EndedRow| row.at.unwrap_or(f64::NEG_INFINITY);
                    let selected = self.ended.get(self.scroll(View::Ended).cursor).map(|row| row.key);
                    self.ended.sort_by(|a, b| at(b).total_cmp(&at(a)).then_with(|| b.key.cmp(&a.key)));
                    self.follow(selected);
                }
                set(&mut self.ended_by, endpoint, result.map(drop));
            }
            Reply::Details { .. } | Reply::Verdict { .. } => {}
        }
    }

    /// Shows the ended tasks of a recording, where nothing can be requested.
    pub(super) fn show_ended(&mut self, store: &Store) {
        let selected = self.ended.get(self.scroll(View::Ended).cursor).map(|row| row.key);
        let row = |(key, row, at): &(Key, Row, f64)| EndedRow { key: *key, row: row.clone(), at: Some(*at) };
        self.ended = store.ended().rev().map(row).collect();
        self.follow(selected);
    }

    /// Keeps the selected task selected, except at the top, which stays on the newest.
    fn follow(&mut self, selected: Option<Key>) {
        if let Some(key) = selected.filter(|_| self.scroll(View::Ended).cursor > 0)
            && let Some(at) = self.ended.iter().position(|row| row.key == key)
        {
            self.scroll_mut(View::Ended).cursor = at;
        }
    }

    /// The errors of the last requests, and the number of missing replies.
    pub(crate) fn errors(&self, view: View) -> (Vec<&str>, usize) {
        fn of<T>(answers: &Answers<T>) -> (Vec<&str>, usize) {
            let errors = answers.iter().flatten().filter_map(|answer| answer.as_ref().err()).map(String::as_str);
            (errors.collect(), answers.iter().filter(|answer| answer.is_none()).count())
        }
        match view {
            View::Running => (Vec::new(), 0),
            View::Kinds => of(&self.kinds),
            View::Ended => of(&self.ended_by),
            View::Waits => of(&self.waits),
            View::About => of(&self.about),
        }
    }

    /// The number of tasks that are not shown as they were started when a list was full.
    pub(crate) fn not_shown(&self) -> u64 {
        let info = self.about.iter().filter_map(|answer| answer.as_ref()?.as_ref().ok()?.as_ref());
        info.map(|info| info.dropped.tasks_not_shown).sum()
    }

    /// The kinds of all endpoints.
    pub(crate) fn all_kinds(&self) -> impl Iterator<Item = (u32, &KindStats)> {
        (0..).zip(&self.kinds).flat_map(|(at, answer)| {
            answer.iter().flatten().flat_map(move |kinds| kinds.kinds.iter().map(move |kind| (at, kind)))
        })
    }

    /// Ends per second of a kind, between consecutive replies.
    pub(crate) fn rates(&self, endpoint: u32, kind: &KindStats) -> Vec<f64> {
        let name = crate::verbs::kinds::name(kind).to_owned();
        let Some(counts) = self.counts.get(&(endpoint, name)) else { return Vec::new() };
        let rate = |(before, after): (&(f64, u64), &(f64, u64))| {
            after.1.saturating_sub(before.1) as f64 * 1e3 / (after.0 - before.0).max(1.0)
        };
        counts.iter().zip(counts.iter().skip(1)).map(rate).collect()
    }

    /// The waits of all endpoints that report them.
    pub(crate) fn all_waits(&self) -> impl Iterator<Item = (u32, &WaitReport)> {
        (0..).zip(&self.waits).filter_map(|(at, answer)| match answer {
            Some(Ok(Some(waits))) => Some((at, waits)),
            _ => None,
        })
    }
}

fn set<T>(answers: &mut Answers<T>, endpoint: u32, result: Result<T, String>) {
    if let Some(answer) = answers.get_mut(endpoint as usize) {
        *answer = Some(result);
    }
}

fn ended(kind: &KindStats) -> u64 {
    kind.finished + kind.failed + kind.cancelled + kind.aborted + kind.dropped
}
