//! The work that waits. Clients take turns, and no client has all threads.
//!
//! Work has a number, and the lowest is next. The first of a client has the number of now; each further one comes after
//! the one before it. So a client that sends a hundred requests at once delays another one by as much as if it had sent
//! one. Work without a client, as of connections within the machine, is in the order of its arrival.
//!
//! A client that the server can distinguish has at most all threads but one, so that there is one for the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client that takes turns with others.
pub(crate) type Client = Arc<str>;

pub(super) struct Waiting<W> {
    pub(super) client: Option<Client>,
    number: u64,
    since: Instant,
    /// Counts in the limits.
    counts: bool,
    pub(super) work: W,
}

#[derive(Default)]
struct Share {
    /// The number of its newest work.
    newest: u64,
    waiting: usize,
    running: usize,
}

/// The work that waits for threads, and how many there are.
pub(super) struct Queue<W> {
    waiting: Vec<Waiting<W>>,
    /// How much of that counts in the limits.
    counted: usize,
    shares: HashMap<Client, Share>,
    /// The number of the work that was begun last.
    now: u64,
    /// When the last work was begun.
    begun: Option<Instant>,
    pub(super) threads: usize,
    /// Threads that have not looked for work yet.
    pub(super) starting: usize,
    /// Threads that wait for work.
    pub(super) idle: usize,
    pub(super) has_keeper: bool,
    /// The threads that a client may have at a time.
    most_of_one: usize,
}

impl<W> Queue<W> {
    pub(super) fn new(most_threads: usize) -> Self {
        Self {
            waiting: Vec::new(),
            counted: 0,
            shares: HashMap::new(),
            now: 0,
            begun: None,
            threads: 0,
            starting: 0,
            idle: 0,
            has_keeper: false,
            most_of_one: most_threads.saturating_sub(1).max(1),
        }
    }

    /// Returns `true` if no more work is to wait: a client has at most a quarter of the places.
    pub(super) fn has_too_many(&self, client: Option<&Client>, limit: usize) -> bool {
        let own = client.and_then(|client| self.shares.get(client)).map_or(0, |share| share.waiting);
        self.counted >= limit || own >= limit / 4
    }

    /// Adds work. If it does not count in the limits, it leaves all places to others.
    pub(super) fn push(&mut self, client: Option<Client>, since: Instant, counts: bool, work: W) {
        let mut number = self.now + 1;
        if let Some(client) = &client {
            let share = self.shares.entry(Arc::clone(client)).or_default();
            number = number.max(share.newest + 1);
            share.newest = number;
            share.waiting += 1;
        }
        self.counted += usize::from(counts);
        self.waiting.push(Waiting { client, number, since, counts, work });
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn may_run(&self, client: Option<&Client>) -> bool {
        client.and_then(|client| self.shares.get(client)).is_none_or(|share| share.running < self.most_of_one)
    }

    /// Returns the place of the work that is next, if a thread may run any.
    fn next(&self) -> Option<usize> {
        let runnable = self.waiting.iter().enumerate().filter(|(_, work)| self.may_run(work.client.as_ref()));
        runnable.min_by_key(|(_, work)| work.number).map(|(at, _)| at)
    }

    pub(super) fn has_runnable(&self) -> bool {
        self.next().is_some()
    }

    /// Returns `true` if the threads that have nothing to do are enough for what waits.
    pub(super) fn has_enough_threads(&self) -> bool {
        self.waiting.len() <= self.idle + self.starting
    }

    /// Takes the work that is next.
    pub(super) fn take(&mut self, now: Instant) -> Option<Waiting<W>> {
        let work = self.waiting.remove(self.next()?);
        self.counted -= usize::from(work.counts);
        self.now = self.now.max(work.number);
        self.begun = Some(now);
        if let Some(share) = work.client.as_ref().and_then(|client| self.shares.get_mut(client)) {
            share.waiting -= 1;
            share.running += 1;
        }
        Some(work)
    }

    /// Ends work that was taken.
    pub(super) fn done(&mut self, client: Option<Client>) {
        let Some(client) = client else { return };
        let Some(share) = self.shares.get_mut(&client) else { return };
        share.running -= 1;
        if share.waiting + share.running == 0 {
            self.shares.remove(&client);
        }
    }

    /// Returns for how long no work was begun although some waits; `None` if none waits.
    pub(super) fn still_for(&self, now: Instant) -> Option<Duration> {
        let oldest = self.waiting.iter().map(|work| work.since).min()?;
        Some(now.saturating_duration_since(self.begun.map_or(oldest, |begun| begun.max(oldest))))
    }

    /// Begins [`still_for`](Self::still_for) anew.
    pub(super) fn touch(&mut self, now: Instant) {
        self.begun = Some(now);
    }

    /// Returns `true` if there are so many threads, all with work that was begun longer than `duration` ago.
    pub(super) fn is_held(&self, threads: usize, duration: Duration, now: Instant) -> bool {
        let is_old = |begun: Instant| now.saturating_duration_since(begun) >= duration;
        self.threads >= threads && self.idle + self.starting == 0 && self.begun.is_some_and(is_old)
    }

    /// Removes all that waits.
    pub(super) fn clear(&mut self) -> Vec<W> {
        self.shares.retain(|_, share| {
            share.waiting = 0;
            share.running > 0
        });
        self.counted = 0;
        self.waiting.drain(..).map(|waiting| waiting.work).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes work until there is none; each is done before the next.
    fn all(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        let mut all = Vec::new();
        while let Some(Waiting { client, work, .. }) = queue.take(Instant::now()) {
            all.push(work);
            queue.done(client);
        }
        all
    }

    fn push(queue: &mut Queue<&'static str>, client: &str, work: &'static str) {
        queue.push(Some(client.into()).filter(|_| !client.is_empty()), Instant::now(), true, work);
    }

    #[test]
    fn clients_take_turns_and_others_come_in_order() {
        let mut queue = Queue::new(2);
        for work in ["a1", "a2", "a3", "a4"] {
            push(&mut queue, "a", work);
        }
        push(&mut queue, "b", "b1");
        push(&mut queue, "b", "b2");
        push(&mut queue, "", "x");
        push(&mut queue, "", "y");
        assert_eq!(all(&mut queue), ["a1", "b1", "x", "y", "a2", "b2", "a3", "a4"]);
        assert!(queue.shares.is_empty());
    }

    #[test]
    fn a_client_that_comes_back_is_not_preferred_to_one_that_waits() {
        let mut queue = Queue::new(2);
        push(&mut queue, "a", "a1");
        push(&mut queue, "a", "a2");
        push(&mut queue, "b", "b1");
        let mut order = Vec::new();
        for again in ["b2", "b3", "b4"] {
            let Waiting { client, work, .. } = queue.take(Instant::now()).unwrap();
            order.push(work);
            queue.done(client);
            push(&mut queue, "b", again);
        }
        order.extend(all(&mut queue));
        assert_eq!(order, ["a1", "b1", "a2", "b2", "b3", "b4"]);
    }

    #[test]
    fn a_client_leaves_a_thread_and_places_to_others() {
        let mut queue = Queue::new(3);
        for _ in 0..8 {
            push(&mut queue, "a", "a");
        }
        let first = [queue.take(Instant::now()), queue.take(Instant::now())];
        assert!(first.iter().all(Option::is_some) && !queue.has_runnable(), "the third thread is for others");
        push(&mut queue, "b", "b");
        assert_eq!(queue.take(Instant::now()).unwrap().work, "b");
        queue.done(Some("a".into()));
        assert!(queue.has_runnable());
        let (a, b) = (Client::from("a"), Client::from("b"));
        assert!(queue.has_too_many(Some(&a), 24) && !queue.has_too_many(Some(&b), 24) && !queue.has_too_many(None, 24));
        assert!(queue.has_too_many(None, 6) && !queue.has_too_many(None, 7));
        queue.push(None, Instant::now(), false, "a part of a response");
        assert!(!queue.has_too_many(None, 7), "that takes no place");
    }
}
