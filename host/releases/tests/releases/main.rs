//! Installing from a release server on this machine that misbehaves on demand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod files;
mod install;
mod rig;
mod versions;
