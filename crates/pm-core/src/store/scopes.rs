//! The open status scopes of a task, each with the status to return to.

/// The most open scopes of a task; further ones set their status, and restore nothing.
const MAX_OPEN: usize = 64;

/// The key of a scope that restores nothing.
pub(crate) const NO_SCOPE: u64 = 0;

/// A scope that is open.
pub(crate) struct Open {
    key: u64,
    before: String,
}

/// The open scopes of a task; the newest comes last.
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

    /// Returns the status to restore; `None` while a later scope is open.
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
