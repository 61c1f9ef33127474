//! The gRPC methods that a server has, so that their paths can be kinds although clients can make up any number of
//! paths.
//!
//! A path is a kind from its first call, as long as at most [`MAX_TRIALS`] are not confirmed: then it is a kind once a
//! call of it was answered as only an existing method answers. So clients that make up paths add at most `MAX_TRIALS`
//! kinds, and never keep a method that exists from being one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

/// How many paths may be kinds that are not known to exist.
const MAX_TRIALS: usize = 64;

/// How many methods are remembered.
const MAX_CONFIRMED: usize = 1_024;

/// The longest path that can be a kind.
const MAX_PATH: usize = 120;

/// The methods of a server, as far as they are known.
#[derive(Default)]
pub(super) struct Methods(RwLock<Known>);

#[derive(Default)]
struct Known {
    confirmed: HashSet<Box<str>>,
    /// Paths that were called and not confirmed, and whether an answer said that there is no such method.
    trials: HashMap<Box<str>, bool>,
}

/// A call of a path that is not confirmed, until its answer.
pub(super) struct Trial {
    methods: Arc<Methods>,
    path: Box<str>,
}

impl Methods {
    /// Returns `true` if the path of a call can be its kind, and the trial that is to be answered.
    pub(super) fn call(self: &Arc<Self>, path: &str) -> (bool, Option<Trial>) {
        if !is_method(path) {
            return (false, None);
        }
        if self.0.read().unwrap_or_else(PoisonError::into_inner).confirmed.contains(path) {
            return (true, None);
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_kind = match known.trials.get(path) {
            Some(is_refused) => !is_refused,
            None if known.trials.len() < MAX_TRIALS => known.trials.insert(path.into(), false).is_none(),
            None => false,
        };
        drop(known);
        (is_kind, Some(Trial { methods: Arc::clone(self), path: path.into() }))
    }
}

impl Trial {
    /// Records whether the answer came from an existing method.
    pub(super) fn answered(self, exists: bool) {
        let mut known = self.methods.0.write().unwrap_or_else(PoisonError::into_inner);
        if exists {
            known.trials.remove(&self.path);
            if known.confirmed.len() < MAX_CONFIRMED {
                known.confirmed.insert(self.path);
            }
        } else if let Some(is_refused) = known.trials.get_mut(&self.path) {
            *is_refused = true;
        }
    }
}

/// Returns `true` for paths such as `/package.Service/Method`.
fn is_method(path: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    path.len() <= MAX_PATH
        && path
            .strip_prefix('/')
            .and_then(|names| names.split_once('/'))
            .is_some_and(|(service, method)| is_name(service) && is_name(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_paths_add_few_kinds_and_never_keep_a_method_from_being_one() {
        let methods = Arc::new(Methods::default());
        let call = |path: &str, exists: bool| {
            let (is_kind, trial) = methods.call(path);
            if let Some(trial) = trial {
                trial.answered(exists);
            }
            is_kind
        };
        assert!(call("/demo.Demo/First", true) && call("/demo.Demo/First", true));
        let invented = (0..10_000).filter(|number| call(&format!("/invented.Service{number}/Do"), false));
        assert_eq!(invented.count(), MAX_TRIALS);
        assert!(!call("/invented.Service0/Do", false), "it was answered");
        assert!(!call("/demo.Demo/Second", true) && call("/demo.Demo/Second", true));
        assert!(call("/demo.Demo/First", true));
    }

    #[test]
    fn only_a_service_and_a_method_are_a_method() {
        assert!(is_method("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo") && is_method("/Service/do_it"));
        for other in ["", "/", "//", "/a", "/a/", "//b", "/a/b/c", "a/b", "/a/b%20c", "/a/ü", &format!("/a/{:0200}", 0)]
        {
            assert!(!is_method(other), "{other}");
        }
    }
}
