//! What an operator sees of each file.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    definition::Interpreter,
    handle::{Condition, Driver, Isolation},
};

/// A file that was found, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The file; or a folder of the search path that could not be read.
    pub path: PathBuf,
    /// The driver's id, when its manifest could be read. Only checked for a loaded driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The driver's version, when its manifest could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the driver API that it was built with, when its manifest could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// What became of it.
    pub state: State,
    /// Where its code runs, when it is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Why it was refused or does not work, on one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is refused for a reason that may pass, such as a full disk, and tried again by
    /// itself.
    #[serde(rename = "retried", skip_serializing_if = "std::ops::Not::not")]
    pub is_retried: bool,
    /// SHA-256 of the file in hex, when it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The library that serves it, when it is loaded and not a library itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<Interpreter>,
    /// When it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded_at: Option<Timestamp>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It serves as a driver.
    Loaded,
    /// It was not loaded, or loaded and found unusable.
    Refused,
    /// It was not loaded because its SHA-256 is not approved.
    Untrusted,
    /// It is loaded, and as many calls as it may have never returned.
    Wedged,
    /// It is loaded, and its process ended; it is started again when it is needed.
    Failed,
    /// It is loaded, failed too often and is not asked until it is cleared.
    Quarantined,
}

impl State {
    /// What became of a file that is loaded.
    pub fn of(condition: Condition) -> Self {
        match condition {
            Condition::Well => Self::Loaded,
            Condition::Wedged => Self::Wedged,
            Condition::Failed => Self::Failed,
            Condition::Quarantined => Self::Quarantined,
        }
    }
}

impl Listed {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            id: None,
            version: None,
            api: None,
            state: State::Refused,
            isolation: None,
            reason: None,
            is_retried: false,
            sha256: None,
            interpreter: None,
            loaded_at: None,
        }
    }

    /// The file serves as `driver`.
    pub(super) fn serves(&mut self, driver: &Driver) {
        (self.state, self.reason) = (State::Loaded, None);
        self.loaded_at = Some(driver.loaded_at());
        self.isolation = Some(driver.isolation());
        self.interpreter = driver.interpreter().cloned();
    }
}
