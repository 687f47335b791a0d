//! The limit of open files: raised for the host, and as it was for what the host starts.
//!
//! Programs that use `select` write beyond their own memory when a descriptor has a number of 1,024
//! or more, which the usual soft limit prevents. So the host's own, higher one is not passed on.

use std::{process::Command, sync::OnceLock};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sys;

/// The soft limit that this process began with, once it was raised.
static BEGAN_WITH: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit of open files of this process to `wanted`, or as far as the system allows.
/// Returns the limit that holds then. What this process starts keeps the one that it began with.
pub fn raise(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let Some(current) = limit.current else { return u64::MAX };
    if current >= wanted {
        return current;
    }
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
        return current;
    }
    BEGAN_WITH.get_or_init(|| current);
    wanted
}

/// Has `command` begin with the limit that this process began with.
pub fn restore(command: &mut Command) {
    let Some(soft) = BEGAN_WITH.get().copied() else { return };
    sys::before_exec(command, move || {
        let limit = Rlimit { current: Some(soft), ..getrlimit(Resource::Nofile) };
        Ok(setrlimit(Resource::Nofile, limit)?)
    });
}
