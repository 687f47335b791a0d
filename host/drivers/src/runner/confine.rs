//! What a runner may use and do. Set before any code of a driver runs.
//!
//! Three parts of the kernel work together, set up by `linux` in this order: limits of the process
//! (memory, open files, size of a file), Landlock (which files), and seccomp (which system calls,
//! `calls`). They depend on each other: the limits hold because no call changes them and none gets
//! memory that they do not count, and what older generations of Landlock leave open is closed by the
//! list of calls. What the kernel does not count for a single process, the host looks after
//! (`usage`), and calls that are refused are reported to it (`handover`, `supervise`).
//!
//! A kernel may lack some of it. What it lacks is reported in the [`Confinement`] and not made up
//! for: such a driver runs with the rights of the host's user, in its own process, unless the
//! settings demand all of it.
//!
//! `host/drivers/tests/drivers/hostile.rs` tries every class of attack, as root, as an ordinary user, and where
//! refused calls cannot be reported.

#[cfg(target_os = "linux")]
pub(crate) mod calls;
pub(crate) mod handover;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) mod names;
#[cfg(target_os = "linux")]
pub(crate) mod sys;

use std::{io, os::fd::OwnedFd};

use serde::{Deserialize, Serialize};

use crate::runner::LoadOrder;

/// What a driver's process is held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Memory that it may fill.
    pub memory: Rule,
    /// Its share of a processor.
    pub cpu: Rule,
    /// How many threads it may start.
    pub threads: Rule,
    /// Which files it reaches.
    pub files: Rule,
    /// How much it may store.
    pub disk: Rule,
    /// Whether it reaches the network.
    pub network: Rule,
    /// What it may do to other processes.
    pub processes: Rule,
    /// Which system calls it may make.
    pub calls: Rule,
}

impl Confinement {
    /// What is not enforced here though the settings do not allow it, on one line.
    fn missing(&self, network: bool) -> Option<String> {
        let rules = [
            ("memory", &self.memory),
            ("cpu", &self.cpu),
            ("threads", &self.threads),
            ("files", &self.files),
            ("disk", &self.disk),
            ("network", &self.network),
            ("processes", &self.processes),
            ("calls", &self.calls),
        ];
        let is_fine = |(name, rule): &(&str, &Rule)| rule.enforced || network && *name == "network";
        let missing: Vec<_> = { rules.into_iter().filter(|rule| !is_fine(rule)) }
            .map(|(name, rule)| format!("{name} ({})", rule.detail))
            .collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    /// Refuses to run a driver that is not held to everything.
    pub(crate) fn require(&self, order: &LoadOrder) -> Result<(), String> {
        match self.missing(order.network) {
            Some(missing) if order.require_enforcement => Err(format!(
                "this system does not enforce all limits, which drivers.require_enforcement \
                 demands: {missing}"
            )),
            _ => Ok(()),
        }
    }
}

/// One thing that a driver's process is held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Whether kernel and host see to it.
    pub enforced: bool,
    /// What exactly, or why not.
    pub detail: String,
}

impl Rule {
    pub(crate) fn new(enforced: bool, detail: impl Into<String>) -> Self {
        Self { enforced, detail: detail.into() }
    }
}

/// Closes what this process inherited and does not need. Call it before anything is opened.
pub(crate) fn close_inherited() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return sys::close_inherited();
    #[cfg(not(target_os = "linux"))]
    return Ok(());
}

/// Confines this process and all threads that it starts later. Hand the descriptor over to the host,
/// then [`seal`].
#[cfg(target_os = "linux")]
pub(crate) fn confine(order: &LoadOrder) -> (Confinement, Option<OwnedFd>) {
    linux::confine(order)
}

/// Refuses the calls that only handing the descriptor over needed.
pub(crate) fn seal(order: &LoadOrder, confinement: &mut Confinement) {
    #[cfg(target_os = "linux")]
    if let Err(error) = linux::seal(order)
        && confinement.calls.enforced
    {
        confinement.calls = Rule::new(false, format!("seccomp failed: {error}"));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (order, confinement);
}

/// Whether this kernel can keep a process to its own files. Asks and restricts nothing.
pub fn can_confine() -> bool {
    #[cfg(target_os = "linux")]
    return linux::has_landlock();
    #[cfg(not(target_os = "linux"))]
    return false;
}

/// Confines nothing: this system has none of what it takes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn confine(_: &LoadOrder) -> (Confinement, Option<OwnedFd>) {
    let rule = || Rule::new(false, "not available on this system");
    let confinement = Confinement {
        memory: rule(),
        cpu: rule(),
        threads: rule(),
        files: rule(),
        disk: rule(),
        network: rule(),
        processes: rule(),
        calls: rule(),
    };
    (confinement, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_enforced_is_named() {
        let yes = || Rule::new(true, "so much");
        let all = Confinement {
            memory: yes(),
            cpu: yes(),
            threads: yes(),
            files: yes(),
            disk: yes(),
            network: Rule::new(false, "allowed by the settings"),
            processes: yes(),
            calls: yes(),
        };
        assert_eq!(all.missing(true), None);
        assert_eq!(all.missing(false).unwrap(), "network (allowed by the settings)");
        let some = Confinement { files: Rule::new(false, "no Landlock"), ..all };
        assert_eq!(some.missing(true).unwrap(), "files (no Landlock)");
    }
}
