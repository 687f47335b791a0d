//! How a driver has done so far.

use std::sync::{Mutex, PoisonError};

use adit_plugin_api::ErrorKind;
use jiff::Timestamp;
use serde::Serialize;

use crate::drivers::{call::CallError, text::one_line};

/// Counts of a driver's calls since it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Calls that ended, whatever their end.
    pub calls: u64,
    /// Calls that ended badly: panics, timeouts, and the driver's own internal errors. That a
    /// driver refuses a request or has nothing to say is no failure.
    pub failures: u64,
    /// Failures by a panic in the driver.
    pub panics: u64,
    /// Failures by a missed deadline.
    pub timeouts: u64,
    /// Calls that missed their deadline and have not returned yet.
    pub stuck: usize,
    /// The most recent failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
}

/// A call that ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Which entry point was called.
    pub op: String,
    /// What went wrong, on one line.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// Where a driver's calls are counted.
#[derive(Debug, Default)]
pub(crate) struct Record(Mutex<Health>);

impl Record {
    pub(crate) fn note<T>(&self, result: &Result<T, CallError>) {
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = result else {
            health.calls += 1;
            return;
        };
        match error {
            // The driver was not called at all.
            CallError::Busy { .. } | CallError::Wedged { .. } => return,
            CallError::Panicked { .. } => health.panics += 1,
            CallError::Deadline { .. } => health.timeouts += 1,
            CallError::Refused { kind: ErrorKind::Failed, .. } => {}
            CallError::Refused { .. } => {
                health.calls += 1;
                return;
            }
        }
        health.calls += 1;
        health.failures += 1;
        let message = one_line(&error.to_string());
        health.last_failure =
            Some(Failure { op: error.op().to_owned(), message, at: Timestamp::now() });
    }

    pub(crate) fn read(&self, stuck: usize) -> Health {
        let health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Health { stuck, ..health.clone() }
    }
}
