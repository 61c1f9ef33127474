//! The open status scopes of a task, each with the status to return to.

/// Scopes of a task that may be open at once; those beyond say their status, and take nothing back.
const MAX_OPEN: usize = 64;

/// The key of a scope that takes nothing back.
pub(crate) const NO_SCOPE: u64 = 0;

/// A scope that is open.
pub(crate) struct Open {
    key: u64,
    before: String,
}

/// Those of a task; the newest comes last.
#[derive(Default)]
pub(crate) struct Scopes {
    last_key: u64,
    open: Vec<Open>,
}

impl Scopes {
    pub(crate) fn push(&mut self, before: String) -> u64 {
        if self.open.len() == MAX_OPEN {
            return NO_SCOPE;
        }
        self.last_key += 1;
        self.open.push(Open { key: self.last_key, before });
        self.last_key
    }

    /// What to go back to; `None` while a later scope is open.
    pub(crate) fn remove(&mut self, key: u64) -> Option<String> {
        let place = self.open.iter().position(|open| open.key == key)?;
        let Open { before, .. } = self.open.remove(place);
        match self.open.get_mut(place) {
            Some(later) => {
                later.before = before;
                None
            }
            None => Some(before),
        }
    }
}
