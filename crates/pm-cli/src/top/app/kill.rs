//! The dialog before a cancel, and its results.
//!
//! The targets are named before any is cancelled, and stay the same even if the list changes. For many targets, their
//! number must be typed.

use std::time::Duration;

use crate::feed::{Key, Store};
use crate::out::format;
use crate::top::edit::Edit;
use crate::top::request::Target;
use crate::top::theme::Role;
use crate::verbs::kill::{Fate, summary};

/// More targets than this need their number typed.
const MAX_UNCONFIRMED: usize = 10;
/// How much the age of a task may differ between the local and the server's clock.
const TOLERANCE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The reason is being typed.
    Reason,
    /// The number of targets is being typed.
    Confirm,
    /// The requests were sent.
    Sent,
}

/// A target, and the result of its cancel.
#[derive(Debug)]
pub(crate) struct KillTarget {
    pub(crate) target: Target,
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) endpoint: String,
    pub(crate) is_cancellable: bool,
    pub(crate) verdict: Option<(String, Role)>,
    /// Known once it is final.
    fate: Option<Fate>,
}

#[derive(Debug)]
pub(crate) struct Kill {
    pub(crate) targets: Vec<KillTarget>,
    pub(crate) reason: Edit,
    pub(crate) number: Edit,
    pub(crate) stage: Stage,
    pub(crate) sent_at: f64,
    pub(crate) top: usize,
}

impl Kill {
    /// Opens the dialog for these tasks, without those that have ended.
    pub(super) fn new(store: &Store, keys: impl IntoIterator<Item = Key>, now: f64) -> Kill {
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_unstable();
        let target = |key: Key| {
            let task = store.find(key)?;
            let row = &task.row;
            let endpoint = store.endpoint(key);
            let age = task.age(now);
            let min_age = age.map(format::to_duration).unwrap_or_default().saturating_sub(TOLERANCE);
            Some(KillTarget {
                target: Target {
                    key,
                    serial: row.serial,
                    id: row.id.clone(),
                    is_original: endpoint.is_original(),
                    min_age,
                },
                name: crate::verbs::waits::name(&row.id, row.serial),
                about: format!(
                    "{}, running for {}: {}",
                    row.kind.as_deref().unwrap_or("without a kind"),
                    format::age(age),
                    row.status
                ),
                endpoint: endpoint.name.clone(),
                is_cancellable: row.is_cancellable(),
                verdict: None,
                fate: None,
            })
        };
        Kill {
            targets: keys.into_iter().filter_map(target).collect(),
            reason: Edit::default(),
            number: Edit::default(),
            stage: Stage::Reason,
            sent_at: 0.0,
            top: 0,
        }
    }

    /// Goes to the next stage. Returns the targets and the reason when the requests are to be sent.
    pub(super) fn enter(&mut self, now: f64) -> Option<(Vec<Target>, String)> {
        match self.stage {
            Stage::Reason if self.targets.len() > MAX_UNCONFIRMED => self.stage = Stage::Confirm,
            Stage::Confirm if self.number.text().trim() != self.targets.len().to_string() => {
                self.number = Edit::default();
            }
            Stage::Reason | Stage::Confirm => {
                (self.stage, self.sent_at) = (Stage::Sent, now);
                let targets = self.targets.iter().map(|target| target.target.clone()).collect();
                return Some((targets, self.reason.text().trim().to_owned()));
            }
            Stage::Sent => {}
        }
        None
    }

    /// Takes over a verdict; without a fate, the task is watched further.
    pub(super) fn verdict(&mut self, key: Key, text: String, role: Role, fate: Option<Fate>) {
        if let Some(target) = self.targets.iter_mut().find(|target| target.target.key == key) {
            (target.verdict, target.fate) = (Some((text, role)), fate);
        }
    }

    /// Updates the targets without a final verdict from the list.
    pub(super) fn update(&mut self, store: &Store, now: f64) {
        if self.stage != Stage::Sent {
            return;
        }
        for target in self.targets.iter_mut().filter(|target| target.fate.is_none()) {
            match store.find(target.target.key) {
                None if !store.endpoint(target.target.key).is_up() => {
                    let text = "unknown: the endpoint is unreachable".to_owned();
                    target.verdict = Some((text, Role::Warning));
                }
                None => {
                    let last = store.ended().rev().find(|(key, ..)| *key == target.target.key);
                    let fate = last.map_or(Fate::Ended, |(_, row, _)| Fate::of_ended(row));
                    let after = format::millis(now - self.sent_at);
                    let text = format!("{} after {after}", fate.words(1));
                    (target.verdict, target.fate) = (Some((text, Role::of(fate.style()))), Some(fate));
                }
                Some(task) if task.row.is_cancelling() => {
                    let since = format::millis(now - task.cancelled_at.unwrap_or(self.sent_at));
                    target.verdict = Some((format!("cancelling for {since}"), Role::Warning));
                }
                Some(_) => {}
            }
        }
    }

    /// Counts the targets by what happened to them so far.
    pub(crate) fn summary(&self) -> String {
        summary(self.targets.iter().map(|target| target.fate.unwrap_or(Fate::StillRunning)))
    }
}
