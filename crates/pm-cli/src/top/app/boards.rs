//! What is asked now and then while it is looked at: kinds, ended tasks, waits, and what endpoints say about themselves.

use std::collections::{HashMap, VecDeque};

use pm_client::{Info, Kind, Kinds, Row, Waits};

use super::View;
use crate::top::ask::{Reply, Request};
use crate::top::model::{Key, Store};

/// How often is asked, and when an answer that has not come is no longer waited for, in milliseconds.
const EVERY: f64 = 1_000.0;
const LATE: f64 = 15_000.0;
/// Points of the line that shows how many ended.
const POINTS: usize = 30;

/// A row that is chosen, and the first on the screen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scroll {
    pub(crate) cursor: usize,
    top: usize,
}

impl Scroll {
    pub(crate) fn step(&mut self, lines: isize, rows: usize) {
        self.cursor = self.cursor.saturating_add_signed(lines).min(rows.saturating_sub(1));
    }

    /// The first row to show, of so many, on a screen with room for so many.
    pub(crate) fn scroll(&mut self, rows: usize, room: usize) -> usize {
        self.cursor = self.cursor.min(rows.saturating_sub(1));
        let least = (self.cursor + 1).saturating_sub(room);
        self.top = self.top.clamp(least.min(self.cursor), self.cursor).min(rows.saturating_sub(room));
        self.top
    }
}

/// What one endpoint answered last.
type Answers<T> = Vec<Option<Result<T, String>>>;

/// A task that has ended.
#[derive(Clone, Debug)]
pub(crate) struct EndedRow {
    pub(crate) key: Key,
    pub(crate) row: Row,
    /// When, by our clock.
    pub(crate) at: Option<f64>,
}

#[derive(Debug, Default)]
pub(crate) struct Boards {
    pub(crate) kinds: Answers<Kinds>,
    pub(crate) waits: Answers<Option<Waits>>,
    /// When the waits were told.
    pub(crate) about: Answers<Option<Info>>,
    ended_by: Answers<()>,
    pub(crate) ended: Vec<EndedRow>,
    /// How many had ended of each kind when it was asked, oldest first.
    counts: HashMap<(u32, String), VecDeque<(f64, u64)>>,
    pub(crate) kinds_at: Scroll,
    pub(crate) ended_at: Scroll,
    pub(crate) waits_at: Scroll,
    pub(crate) about_at: Scroll,
    asked_at: HashMap<&'static str, (f64, usize)>,
    pub(crate) endpoints: usize,
}

impl Boards {
    pub(super) fn new(endpoints: usize) -> Boards {
        fn nothing<T>(endpoints: usize) -> Answers<T> {
            (0..endpoints).map(|_| None).collect()
        }
        Boards {
            kinds: nothing(endpoints),
            waits: nothing(endpoints),
            about: nothing(endpoints),
            ended_by: nothing(endpoints),
            endpoints,
            ..Boards::default()
        }
    }

    /// What to ask for now.
    pub(super) fn due(&mut self, view: View, now: f64) -> Option<Request> {
        let request = match view {
            View::Running => return None,
            View::Kinds => Request::Kinds,
            View::Ended => Request::Ended,
            View::Waits => Request::Waits,
            View::About => Request::About,
        };
        let (asked_at, missing) = self.asked_at.get(view.title()).copied().unwrap_or((f64::NEG_INFINITY, 0));
        let wait = if missing == 0 { EVERY } else { LATE };
        (now - asked_at >= wait - 1.0).then(|| {
            self.asked_at.insert(view.title(), (now, self.endpoints));
            request
        })
    }

    fn answered(&mut self, view: View) {
        if let Some((_, missing)) = self.asked_at.get_mut(view.title()) {
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
                keep(&mut self.kinds, endpoint, result);
            }
            Reply::Waits { endpoint, result } => {
                self.answered(View::Waits);
                keep(&mut self.waits, endpoint, result);
            }
            Reply::About { endpoint, result } => {
                self.answered(View::About);
                keep(&mut self.about, endpoint, result);
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
                    let chosen = self.ended.get(self.ended_at.cursor).map(|row| row.key);
                    self.ended.sort_by(|a, b| at(b).total_cmp(&at(a)).then_with(|| b.key.cmp(&a.key)));
                    self.follow(chosen);
                }
                keep(&mut self.ended_by, endpoint, result.map(drop));
            }
            Reply::Details { .. } | Reply::Verdict { .. } => {}
        }
    }

    /// Ended tasks from what was told in the stream, where nobody can be asked.
    pub(super) fn remember(&mut self, store: &Store) {
        let chosen = self.ended.get(self.ended_at.cursor).map(|row| row.key);
        let row = |(key, row, at): &(Key, Row, f64)| EndedRow { key: *key, row: row.clone(), at: Some(*at) };
        self.ended = store.ended().rev().map(row).collect();
        self.follow(chosen);
    }

    /// The chosen one stays chosen, except the first: whoever looks at the newest wants to.
    fn follow(&mut self, chosen: Option<Key>) {
        if let Some(key) = chosen.filter(|_| self.ended_at.cursor > 0)
            && let Some(at) = self.ended.iter().position(|row| row.key == key)
        {
            self.ended_at.cursor = at;
        }
    }

    /// What went wrong with those that were asked for this, and who has not answered.
    pub(crate) fn troubles(&self, view: View) -> (Vec<&str>, usize) {
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

    /// All kinds of all endpoints.
    pub(crate) fn all_kinds(&self) -> impl Iterator<Item = (u32, &Kind)> {
        (0..).zip(&self.kinds).flat_map(|(at, answer)| {
            answer.iter().flatten().flat_map(move |kinds| kinds.kinds.iter().map(move |kind| (at, kind)))
        })
    }

    /// How many of a kind ended in each second between two answers.
    pub(crate) fn rates(&self, endpoint: u32, kind: &Kind) -> Vec<f64> {
        let name = crate::verbs::kinds::name(kind).to_owned();
        let Some(counts) = self.counts.get(&(endpoint, name)) else { return Vec::new() };
        let rate = |(before, after): (&(f64, u64), &(f64, u64))| {
            after.1.saturating_sub(before.1) as f64 * 1e3 / (after.0 - before.0).max(1.0)
        };
        counts.iter().zip(counts.iter().skip(1)).map(rate).collect()
    }

    /// The waits of all endpoints that tell of them.
    pub(crate) fn all_waits(&self) -> impl Iterator<Item = (u32, &Waits)> {
        (0..).zip(&self.waits).filter_map(|(at, answer)| match answer {
            Some(Ok(Some(waits))) => Some((at, waits)),
            _ => None,
        })
    }
}

fn keep<T>(answers: &mut Answers<T>, endpoint: u32, result: Result<T, String>) {
    if let Some(answer) = answers.get_mut(endpoint as usize) {
        *answer = Some(result);
    }
}

fn ended(kind: &Kind) -> u64 {
    kind.finished + kind.failed + kind.cancelled + kind.aborted + kind.dropped
}
