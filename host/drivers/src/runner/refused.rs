//! The system calls of a driver that were refused, by name.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;

/// A system call that a driver made and may not make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedCall {
    /// Its name, such as `chmod`.
    pub call: String,
    /// How often, since the driver was loaded.
    pub count: u64,
    /// When it was made last.
    pub last_at: Timestamp,
}

/// The refused calls of a driver, over all its processes. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<BTreeMap<&'static str, (u64, Timestamp)>>>);

impl Refusals {
    fn calls(&self) -> MutexGuard<'_, BTreeMap<&'static str, (u64, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, by name.
    pub(super) fn list(&self) -> Vec<RefusedCall> {
        let calls = self.calls();
        let one = |(call, (count, last_at)): (&&str, &(u64, Timestamp))| RefusedCall {
            call: (*call).to_owned(),
            count: *count,
            last_at: *last_at,
        };
        calls.iter().map(one).collect()
    }

    /// Notes one. Whether it is the first of its name.
    pub(super) fn note(&self, call: &'static str) -> bool {
        let mut calls = self.calls();
        let entry = calls.entry(call).or_insert((0, Timestamp::UNIX_EPOCH));
        *entry = (entry.0.saturating_add(1), Timestamp::now());
        entry.0 == 1
    }
}
