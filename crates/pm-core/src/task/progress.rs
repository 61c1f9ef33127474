//! Automatic progress: of loops over iterators, of readers and writers, and of anything else that counts.
//!
//! A [`Meter`] counts in its own memory, and reports to the list periodically: each unit as long as there are few or
//! they come slowly, fewer the faster they come. What the list shows is behind what was done by at most a 64th of it.

use std::borrow::Cow;
use std::io::{BufRead, IoSlice, IoSliceMut, Read, Write};
use std::iter::FusedIterator;
use std::time::Duration;
use std::{fmt, io};

use super::handle::TaskHandle;
use super::live::Task;
use crate::cancel::cancelled::Cancelled;

/// The largest lag of the shown progress, as a fraction of what was done.
const PART: u64 = 64;

/// The largest lag in units.
const MOST_ITEMS: u64 = 4_096;

const MOST_BYTES: u64 = 1 << 20;

/// When units come slower, fewer are left unreported.
const SLOW: Duration = Duration::from_millis(100);

impl From<&Task> for TaskHandle {
    fn from(task: &Task) -> Self {
        task.handle()
    }
}

impl From<&Self> for TaskHandle {
    fn from(task: &Self) -> Self {
        *task
    }
}

/// Counts what a task has done, and reports to the list periodically; made by [`TaskHandle::meter`].
///
/// The list is behind by at most a 64th of what was done and by at most 4,096 units, and not at all of the
/// first 128 units. Where units come slower than before, it is exact again after those. Dropping it reports the exact
/// count.
pub struct Meter {
    task: TaskHandle,
    unit: Cow<'static, str>,
    done: u64,
    total: u64,
    reported: (u64, u64),
    /// When to report again, in units.
    next: u64,
    /// Units unreported at most, by their speed.
    pace: u64,
    most: u64,
    reported_at: u64,
}

impl Meter {
    fn new(task: TaskHandle, total: u64, unit: Cow<'static, str>, most: u64) -> Self {
        let mut meter = Self { task, unit, done: 0, total, reported: (0, 0), next: 0, pace: 1, most, reported_at: 0 };
        meter.report();
        meter
    }

    /// Counts units that are done.
    #[inline]
    pub fn add(&mut self, units: u64) {
        self.done = self.done.saturating_add(units);
        if self.done >= self.next {
            self.report();
        }
    }

    /// Sets how many units are done, instead of counting them.
    #[inline]
    pub fn set(&mut self, done: u64) {
        self.done = done;
        if done >= self.next || done < self.reported.0 {
            self.report();
        }
    }

    /// Returns how many units are done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Sets how many units there are in all; 0 when that is unknown.
    pub fn set_total(&mut self, total: u64) {
        self.total = total;
        self.report();
    }

    #[cold]
    #[inline(never)]
    fn report(&mut self) {
        // A total that was exceeded is unknown.
        let total = if self.done > self.total { 0 } else { self.total };
        self.task.progress(self.done, total, &self.unit);
        self.reported = (self.done, self.total);
        let step = self.pace.min(self.done / PART).max(1);
        if let Some(task) = self.task.task() {
            let clock = &task.store().clock;
            let (now, slow) = (clock.ticks(), clock.ticks_in(SLOW.as_nanos() as u64).max(1));
            let elapsed = now.saturating_sub(self.reported_at);
            self.reported_at = now;
            self.pace = match elapsed {
                _ if elapsed <= slow / 2 => self.pace * 2,
                _ if elapsed <= slow => self.pace,
                _ => (u128::from(step) * u128::from(slow) / u128::from(elapsed)) as u64,
            };
            self.pace = self.pace.clamp(1, self.most);
            self.next = self.done.saturating_add(self.pace.min(self.done / PART).max(1));
        } else {
            // The task is in no list.
            self.next = u64::MAX;
        }
    }

    /// Makes what was counted the total: all is done.
    pub fn finish(&mut self) {
        self.total = self.done;
        self.flush();
    }

    /// Reports the exact count to the list, unless it has it: before something that may take long.
    pub fn flush(&mut self) {
        if self.reported != (self.done, self.total) {
            self.report();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("done", &self.done).field("total", &self.total).finish_non_exhaustive()
    }
}

impl TaskHandle {
    /// Counts what the task has done of `total` (0: unknown) units, and reports to the list periodically: cheap enough
    /// for a loop that takes a nanosecond a turn.
    ///
    /// ```
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("import-42");
    /// let mut meter = task.meter(1_000_000, "rows");
    /// for _row in 0..1_000_000 {
    ///     meter.add(1);
    /// }
    /// drop(meter);
    /// let done = list.view(task.serial(), |task| task.progress().unwrap().done);
    /// assert_eq!(done, Some(1_000_000));
    /// ```
    ///
    /// A task has one progress: of two meters, the one that reported last is shown.
    #[must_use = "it counts what `add` adds"]
    pub fn meter(&self, total: u64, unit: impl Into<Cow<'static, str>>) -> Meter {
        Meter::new(*self, total, unit.into(), MOST_ITEMS)
    }

    /// Counts the bytes that go through a reader or a writer as the progress of the task, of `total` (0: not known).
    ///
    /// The list is updated as by a [`Meter`], but may be behind by up to 1 MiB. A reader that comes to its end knows
    /// the total.
    ///
    /// ```
    /// use std::io::{Read as _, Write as _};
    ///
    /// let list = pm_core::ProcessList::new();
    /// let task = list.start("import-42");
    /// let mut text = String::new();
    /// task.metered(&b"hello"[..], 5).read_to_string(&mut text)?;
    /// let done = || list.view(task.serial(), |task| task.progress().unwrap().done);
    /// assert_eq!(done(), Some(5));
    /// task.metered(Vec::new(), 0).write_all(b"hello, you")?;
    /// assert_eq!(done(), Some(10));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use = "it counts what goes through it"]
    pub fn metered<T>(&self, io: T, total: u64) -> Metered<T> {
        Metered { io, meter: Meter::new(*self, total, Cow::Borrowed("bytes"), MOST_BYTES) }
    }
}

/// Progress and cancellation for the iterator that a task works through.
///
/// ```
/// use pm_core::TaskIteratorExt as _;
///
/// let list = pm_core::ProcessList::new();
/// let task = list.start("import-42");
/// for file in ["a", "b", "c"].iter().with_progress(&task, "files").checked(&task) {
///     let _file = file?; // `Err(Cancelled)` once the task is cancelled
/// }
/// let progress = list.view(task.serial(), |task| task.progress().unwrap().done);
/// assert_eq!(progress, Some(3));
/// # Ok::<(), pm_core::Cancelled>(())
/// ```
pub trait TaskIteratorExt: sealed::Sealed + Iterator + Sized {
    /// Reports the items taken as the progress of the task. The total is the size hint of the iterator, if that is
    /// exact; a wrong one is corrected, and when the iterator ends, the items taken are the total.
    ///
    /// The list is updated periodically, as by a [`Meter`].
    fn with_progress(self, task: impl Into<TaskHandle>, unit: impl Into<Cow<'static, str>>) -> ProgressIter<Self> {
        let total = match self.size_hint() {
            (least, Some(most)) if least == most => least as u64,
            _ => 0,
        };
        ProgressIter { iter: self, meter: task.into().meter(total, unit) }
    }

    /// Checks before each item whether the task was cancelled: then it returns [`Cancelled`] instead, once, and ends.
    /// Nothing is taken from the iterator after that, so no item is lost. One atomic load an item.
    ///
    /// A cancellation after the last item counts, too, if `next` is called again. `collect` into a `Result` does what
    /// one hopes for.
    fn checked(self, task: impl Into<TaskHandle>) -> CheckedIter<Self> {
        CheckedIter { iter: self, task: task.into(), over: false }
    }
}

impl<I: Iterator> TaskIteratorExt for I {}

mod sealed {
    /// Keeps [`TaskIteratorExt`](super::TaskIteratorExt) open for more methods: no other crate implements it.
    pub trait Sealed {}

    impl<I: Iterator> Sealed for I {}
}

/// An iterator that reports progress; made by [`TaskIteratorExt::with_progress`].
#[derive(Debug)]
#[must_use = "iterators do nothing unless they are used"]
pub struct ProgressIter<I> {
    iter: I,
    meter: Meter,
}

impl<I: Iterator> Iterator for ProgressIter<I> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        let item = self.iter.next();
        if item.is_some() {
            self.meter.add(1);
        } else {
            self.meter.finish();
        }
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.iter.size_hint()
    }

    fn fold<B, F: FnMut(B, I::Item) -> B>(self, init: B, mut f: F) -> B {
        let Self { iter, mut meter } = self;
        let folded = iter.fold(init, |folded, item| {
            meter.add(1);
            f(folded, item)
        });
        meter.finish();
        folded
    }
}

impl<I: DoubleEndedIterator> DoubleEndedIterator for ProgressIter<I> {
    #[inline]
    fn next_back(&mut self) -> Option<I::Item> {
        let item = self.iter.next_back();
        if item.is_some() {
            self.meter.add(1);
        } else {
            self.meter.finish();
        }
        item
    }
}

impl<I: ExactSizeIterator> ExactSizeIterator for ProgressIter<I> {
    fn len(&self) -> usize {
        self.iter.len()
    }
}

impl<I: FusedIterator> FusedIterator for ProgressIter<I> {}

/// An iterator that stops when its task is cancelled; made by [`TaskIteratorExt::checked`].
#[derive(Debug)]
#[must_use = "iterators do nothing unless they are used"]
pub struct CheckedIter<I> {
    iter: I,
    task: TaskHandle,
    over: bool,
}

impl<I> CheckedIter<I> {
    #[inline]
    fn take<T>(&mut self, take: impl FnOnce(&mut I) -> Option<T>) -> Option<Result<T, Cancelled>> {
        if self.over {
            return None;
        }
        if let Err(cancelled) = self.task.checkpoint() {
            self.over = true;
            return Some(Err(cancelled));
        }
        let item = take(&mut self.iter);
        self.over = item.is_none();
        item.map(Ok)
    }
}

impl<I: Iterator> Iterator for CheckedIter<I> {
    type Item = Result<I::Item, Cancelled>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.take(Iterator::next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.over {
            return (0, Some(0));
        }
        // A cancel may cut it short at any time, and is an item itself.
        let (least, most) = self.iter.size_hint();
        (least.min(1), most.and_then(|most| most.checked_add(1)))
    }
}

impl<I: DoubleEndedIterator> DoubleEndedIterator for CheckedIter<I> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.take(DoubleEndedIterator::next_back)
    }
}

impl<I: Iterator> FusedIterator for CheckedIter<I> {}

/// A reader or writer that counts its bytes; made by [`TaskHandle::metered`].
#[derive(Debug)]
pub struct Metered<T> {
    io: T,
    meter: Meter,
}

impl<T> Metered<T> {
    /// Returns the inner reader or writer.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    /// Returns the inner reader or writer. Bytes that bypass this are not counted.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Returns the inner reader or writer, and stops counting.
    pub fn into_inner(self) -> T {
        self.io
    }

    fn came(&mut self, bytes: usize, wanted: bool) {
        if bytes > 0 {
            self.meter.add(bytes as u64);
        } else if wanted {
            self.meter.finish();
        }
    }
}

impl<T: Read> Read for Metered<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.io.read(buffer)?;
        self.came(bytes, !buffer.is_empty());
        Ok(bytes)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let bytes = self.io.read_vectored(buffers)?;
        self.came(bytes, buffers.iter().any(|buffer| !buffer.is_empty()));
        Ok(bytes)
    }
}

impl<T: BufRead> BufRead for Metered<T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buffer = self.io.fill_buf()?;
        if buffer.is_empty() {
            self.meter.finish();
        }
        Ok(buffer)
    }

    fn consume(&mut self, bytes: usize) {
        self.io.consume(bytes);
        self.meter.add(bytes as u64);
    }
}

impl<T: Write> Write for Metered<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let bytes = self.io.write(buffer)?;
        self.came(bytes, false);
        Ok(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = self.io.write_vectored(buffers)?;
        self.came(bytes, false);
        Ok(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.io.flush()
    }
}
