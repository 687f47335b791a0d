//! How far an installation is.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What an installation is doing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Looking for the release.
    #[default]
    Finding,
    /// Getting the archive.
    Downloading,
    /// Checking sums and signature.
    Verifying,
    /// Unpacking the archive.
    Unpacking,
    /// Asking the program for its version.
    Trying,
    /// Making it the version that runs.
    Activating,
}

/// How far an installation is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// What it is doing.
    pub step: Step,
    /// The version, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Bytes of the archive that arrived.
    pub bytes: u64,
    /// Bytes that it has, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// Where an installation tells how far it is.
pub type Reporter = watch::Sender<Progress>;

pub(crate) fn step(to: &Reporter, step: Step) {
    to.send_modify(|it| it.step = step);
}
