//! Who is being waited for: on a terminal, once it takes a while; elsewhere nothing is said.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::out::{clean, words};

/// What takes no longer needs no word.
const SILENT: Duration = Duration::from_millis(700);

/// A line on stderr that names who has not answered yet.
#[derive(Debug)]
pub(crate) struct Patience {
    missing: RefCell<Vec<String>>,
    bar: RefCell<Option<ProgressBar>>,
}

impl Patience {
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Patience {
        Patience { missing: RefCell::new(names.collect()), bar: RefCell::new(None) }
    }

    /// This one has answered.
    pub(crate) fn answered(&self, name: &str) {
        let mut missing = self.missing.borrow_mut();
        if let Some(at) = missing.iter().position(|missing| missing == name) {
            missing.remove(at);
        }
        if let Some(bar) = &*self.bar.borrow() {
            bar.set_message(words(&missing));
        }
    }

    /// Waits, and says so once it takes long.
    pub(crate) async fn until<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if self.bar.borrow().is_none() {
            if let Ok(done) = tokio::time::timeout(SILENT, &mut work).await {
                return done;
            }
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(words(&self.missing.borrow()));
            bar.tick();
            *self.bar.borrow_mut() = Some(bar);
        }
        loop {
            match tokio::time::timeout(Duration::from_millis(200), &mut work).await {
                Ok(done) => return done,
                Err(_) => self.bar.borrow().iter().for_each(ProgressBar::tick),
            }
        }
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        if let Some(bar) = &*self.bar.borrow() {
            bar.finish_and_clear();
        }
    }
}

fn words(missing: &[String]) -> String {
    let names: Vec<String> = missing.iter().map(|name| clean::line(name)).collect();
    format!("waiting for {}", words::list(names.iter().map(String::as_str)))
}
