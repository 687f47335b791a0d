//! What a runner may use: memory, processor, files, network. Set before any code of a driver runs.
//!
//! Everything here is the kernel's work, and a kernel may lack some of it. What it lacks is told and
//! not made up for: a driver then runs with the rights of the host's user, in its own process.

#[cfg(target_os = "linux")]
mod linux;

use serde::{Deserialize, Serialize};

use crate::drivers::runner::LoadOrder;

/// What the kernel holds a driver's process to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Memory that it may fill.
    pub memory: Rule,
    /// Its share of a processor.
    pub cpu: Rule,
    /// Which files it reaches.
    pub files: Rule,
    /// Whether it reaches the network.
    pub network: Rule,
    /// System calls that it has no use for.
    pub calls: Rule,
}

/// One thing that a driver's process is held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Whether the kernel sees to it.
    pub enforced: bool,
    /// What exactly, or why not.
    pub detail: String,
}

impl Rule {
    pub(crate) fn new(enforced: bool, detail: impl Into<String>) -> Self {
        Self { enforced, detail: detail.into() }
    }
}

/// Confines this process and all threads that it starts later.
#[cfg(target_os = "linux")]
pub(crate) fn confine(order: &LoadOrder) -> Confinement {
    linux::confine(order)
}

/// Whether this kernel can keep a process to its own files. Asks and restricts nothing.
pub(crate) fn can_confine() -> bool {
    #[cfg(target_os = "linux")]
    return linux::has_landlock();
    #[cfg(not(target_os = "linux"))]
    return false;
}

/// Confines nothing: this system has none of what it takes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn confine(_: &LoadOrder) -> Confinement {
    let rule = || Rule::new(false, "not available on this system");
    Confinement { memory: rule(), cpu: rule(), files: rule(), network: rule(), calls: rule() }
}
