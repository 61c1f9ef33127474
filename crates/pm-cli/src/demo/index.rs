//! The index of words: a task that runs as long as the program and repeats the same phases.
//!
//! When it is cancelled, a new task with the same id replaces it, with the reason in its status.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pm::{Cancelled, Task};
use tokio::sync::{oneshot, watch};

use super::files::{self, Pace, Tree};

/// The id of the task that keeps the index.
pub(super) const ID: &str = "demo-index";

const PAUSE: Duration = Duration::from_secs(5);
const BYTES_PER_SECOND: u64 = 2 << 20;
const MAX_WORDS: usize = 100_000;
const WORD: std::ops::RangeInclusive<usize> = 3..=40; // bytes

/// Words with their counts, most frequent first.
pub(super) type Words = Vec<(String, u32)>;

/// The last published words.
#[derive(Default)]
pub(super) struct Index {
    words: Mutex<Arc<Words>>,
}

impl Index {
    /// The words of the last round; empty before the first.
    pub(super) fn words(&self) -> Arc<Words> {
        Arc::clone(&self.words.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Rebuilds the index until `stopped`, and sends to `begun` when its first task was started. Blocks.
    pub(super) fn keep(&self, tree: &Tree, stopped: &watch::Receiver<bool>, begun: oneshot::Sender<()>) {
        let (mut first, mut begun) = ("starting".to_owned(), Some(begun));
        for build in 1_u32.. {
            let result = pm::task(ID).kind("index").attr("task", build).run_sync(|task| {
                if let Some(begun) = begun.take() {
                    // The demo may have ended already.
                    let _ = begun.send(());
                }
                task.status(&first)?;
                loop {
                    self.round(task, tree)?;
                }
            });
            let Err::<std::convert::Infallible, _>(cancelled) = result;
            if *stopped.borrow() {
                return;
            }
            first = format!("restarted: the previous task was {cancelled}");
        }
    }

    fn round(&self, task: &Task, tree: &Tree) -> Result<(), Cancelled> {
        task.status("scan")?;
        let files = files::list(task, tree.root())?;
        task.set("files", files.len());

        task.status("tokenize")?;
        let (mut counts, mut pace) = (HashMap::<String, u32>::new(), Pace::new(BYTES_PER_SECOND));
        for (file, done) in files.iter().zip(1..) {
            if let Some(text) = files::read_text(file) {
                pace.wait(task, text.len())?;
                count(&text, &mut counts);
            }
            task.progress(done, files.len() as u64, "files");
        }

        task.status("sort")?;
        let mut words: Words = counts.into_iter().collect();
        words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));

        task.status("publish")?;
        task.set("words", words.len());
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(words);

        task.status("pause")?;
        files::sleep(task, PAUSE)
    }
}

fn count(text: &str, counts: &mut HashMap<String, u32>) {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| WORD.contains(&word.len()));
    for word in words {
        if let Some(count) = counts.get_mut(word) {
            *count = count.saturating_add(1);
        } else if counts.len() < MAX_WORDS {
            counts.insert(word.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_whole() {
        let mut counts = HashMap::new();
        count("task, a task_list; Task (task)", &mut counts);
        assert_eq!(counts, HashMap::from([("task".into(), 2), ("task_list".into(), 1), ("Task".into(), 1)]));
    }
}
