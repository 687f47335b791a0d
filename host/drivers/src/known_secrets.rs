//! Secrets that drivers have seen: whatever a driver says is shown without them.
//!
//! A driver's error, panic or log message can contain any part of a configuration. It is masked where
//! it enters the host, so that lists, events, logs and answers have nothing to hide.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;

use adit_model::mask::Mask;

/// Secrets that are remembered; the oldest go first.
const MOST: usize = 4_096;

/// The secrets of all miners since the host began. Clones are the same.
#[derive(Clone, Default)]
pub struct KnownSecrets(Arc<RwLock<State>>);

#[derive(Default)]
struct State {
    known: BTreeSet<String>,
    /// The same, in the order in which they came.
    order: VecDeque<String>,
    mask: Arc<Mask>,
}

impl KnownSecrets {
    /// Masks these from now on.
    pub fn add(&self, secrets: impl IntoIterator<Item = String>) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.order.back().cloned();
        for secret in secrets {
            if !secret.is_empty() && state.known.insert(secret.clone()) {
                state.order.push_back(secret);
            }
        }
        if state.order.back() == before.as_ref() {
            return;
        }
        while state.order.len() > MOST {
            let Some(oldest) = state.order.pop_front() else { break };
            state.known.remove(&oldest);
        }
        state.mask = Arc::new(Mask::new(state.known.iter().map(String::as_str)));
    }

    /// `text` without secrets.
    pub fn mask(&self, text: &str) -> String {
        self.current().apply(text)
    }

    /// A JSON value without secrets in its strings.
    pub fn mask_json(&self, value: &mut Value) {
        self.current().apply_to(value);
    }

    fn current(&self) -> Arc<Mask> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).mask)
    }
}

impl std::fmt::Debug for KnownSecrets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_secrets_are_masked() {
        let known = KnownSecrets::default();
        known.add(["hunter2".to_owned(), String::new()]);
        assert_eq!(known.mask("my hunter2"), "my ***");
        known.add((0..MOST).map(|n| format!("secret-{n:05}")));
        assert_eq!(known.mask("my hunter2, secret-00000, secret-04095"), "my hunter2, ***, ***");
        assert_eq!(format!("{known:?}"), "[redacted]");
    }
}
