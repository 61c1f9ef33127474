//! The question before a cancel, and what came of it.
//!
//! The victims are named before anybody is asked to stop, and stay those that were named, whatever the list does
//! meanwhile. Of many, their number must be typed.

use std::time::Duration;

use crate::out::words;
use crate::top::ask::Aim;
use crate::top::edit::Edit;
use crate::top::model::{Key, Store};
use crate::top::theme::Role;

/// More than this is not stopped with one key.
pub(crate) const MANY: usize = 10;
/// Clocks of ours and theirs may differ by this much in how old a task is.
const SLACK: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The reason is being written.
    Reason,
    /// The number of victims is being written.
    Sure,
    /// They were asked.
    Asked,
}

/// One that is to stop.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) aim: Aim,
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) endpoint: String,
    pub(crate) is_cancellable: bool,
    /// What came of it.
    pub(crate) verdict: Option<(String, Role)>,
    is_final: bool,
}

#[derive(Debug)]
pub(crate) struct Kill {
    pub(crate) victims: Vec<Victim>,
    pub(crate) reason: Edit,
    pub(crate) number: Edit,
    pub(crate) stage: Stage,
    pub(crate) asked_at: f64,
    pub(crate) top: usize,
}

impl Kill {
    /// The question about these tasks; those that have gone are left out.
    pub(super) fn new(store: &Store, keys: impl IntoIterator<Item = Key>, now: f64) -> Kill {
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_unstable();
        let victim = |key: Key| {
            let task = store.find(key)?;
            let row = &task.row;
            let place = store.place(key);
            let age = task.age(now);
            let min_age = age.map(words::duration).unwrap_or_default().saturating_sub(SLACK);
            Some(Victim {
                aim: Aim {
                    key,
                    serial: row.serial.clone(),
                    id: row.id.clone(),
                    is_original: place.is_original(),
                    min_age,
                },
                name: crate::verbs::waits::name(&row.id, &row.serial),
                about: format!(
                    "{}, runs for {}: {}",
                    row.kind.as_deref().unwrap_or("without a kind"),
                    words::length(age),
                    row.status
                ),
                endpoint: place.name.clone(),
                is_cancellable: row.is_cancellable(),
                verdict: None,
                is_final: false,
            })
        };
        Kill {
            victims: keys.into_iter().filter_map(victim).collect(),
            reason: Edit::default(),
            number: Edit::default(),
            stage: Stage::Reason,
            asked_at: 0.0,
            top: 0,
        }
    }

    /// Goes on with it; the victims if they are to be asked now.
    pub(super) fn enter(&mut self, now: f64) -> Option<(Vec<Aim>, String)> {
        match self.stage {
            Stage::Reason if self.victims.len() > MANY => self.stage = Stage::Sure,
            Stage::Sure if self.number.text().trim() != self.victims.len().to_string() => self.number = Edit::default(),
            Stage::Reason | Stage::Sure => {
                (self.stage, self.asked_at) = (Stage::Asked, now);
                let aims = self.victims.iter().map(|victim| victim.aim.clone()).collect();
                return Some((aims, self.reason.text().trim().to_owned()));
            }
            Stage::Asked => {}
        }
        None
    }

    pub(super) fn verdict(&mut self, key: Key, text: String, role: Role, is_final: bool) {
        if let Some(victim) = self.victims.iter_mut().find(|victim| victim.aim.key == key) {
            (victim.verdict, victim.is_final) = (Some((text, role)), is_final);
        }
    }

    /// What the list tells of those of whom no verdict has come.
    pub(super) fn look(&mut self, store: &Store, now: f64) {
        if self.stage != Stage::Asked {
            return;
        }
        for victim in self.victims.iter_mut().filter(|victim| !victim.is_final) {
            match store.find(victim.aim.key) {
                None => {
                    let after = words::of_millis(now - self.asked_at);
                    let (text, is_final) = match store.place(victim.aim.key).is_up() {
                        true => (format!("ended after {after}"), true),
                        false => ("not known: the endpoint is away".to_owned(), false),
                    };
                    (victim.verdict, victim.is_final) = (Some((text, Role::Good)), is_final);
                }
                Some(task) if task.row.state == "cancelling" => {
                    let since = words::of_millis(now - task.cancelled.unwrap_or(self.asked_at));
                    victim.verdict = Some((format!("cancelling since {since}"), Role::Odd));
                }
                Some(_) => {}
            }
        }
    }

    /// How many have stopped, refused, and are still waited for.
    pub(crate) fn count(&self) -> (usize, usize, usize) {
        let of = |wanted: fn(&Victim) -> bool| self.victims.iter().filter(|victim| wanted(victim)).count();
        let bad = of(|victim| victim.is_final && victim.verdict.as_ref().is_some_and(|(_, role)| *role == Role::Bad));
        let done = of(|victim| victim.is_final);
        (done - bad, bad, self.victims.len() - done)
    }
}
