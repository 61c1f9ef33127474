//! Names the endpoints that have not responded yet, on a terminal and after a short delay.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::out::{clean, format};

/// The delay before the line appears.
const DELAY: Duration = Duration::from_millis(700);

/// A line on stderr that names the endpoints still missing.
#[derive(Debug)]
pub(crate) struct Spinner {
    missing: RefCell<Vec<String>>,
    bar: RefCell<Option<ProgressBar>>,
}

impl Spinner {
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Spinner {
        Spinner { missing: RefCell::new(names.collect()), bar: RefCell::new(None) }
    }

    /// Removes an endpoint that has responded.
    pub(crate) fn remove(&self, name: &str) {
        let mut missing = self.missing.borrow_mut();
        if let Some(at) = missing.iter().position(|missing| missing == name) {
            missing.remove(at);
        }
        if let Some(bar) = &*self.bar.borrow() {
            bar.set_message(text(&missing));
        }
    }

    /// Waits for `work`, and shows the line if it takes long.
    pub(crate) async fn until<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        if self.bar.borrow().is_none() {
            if let Ok(done) = tokio::time::timeout(DELAY, &mut work).await {
                return done;
            }
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(text(&self.missing.borrow()));
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

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = &*self.bar.borrow() {
            bar.finish_and_clear();
        }
    }
}

fn text(missing: &[String]) -> String {
    let names: Vec<String> = missing.iter().map(|name| clean::line(name)).collect();
    format!("waiting for {}", format::list(names.iter().map(String::as_str)))
}
