//! The keeper: the small process that owns one run of a miner's program and outlives the host.
//!
//! containerd calls the same thing a shim. The host starts one keeper per run; it starts the program,
//! owns its terminal and log, answers the host on a Unix socket, stops the whole process group by the
//! driver's stop sequence, and writes down how the program ended. The host can be killed and replaced
//! at any time. The crate holds the process ([`keeper`]) and what it shares with the host's side, which
//! is the crate `adit-keeper-client`: the files of a run, the protocol, the lock and the process table.
//!
//! A keeper has one thread and no async runtime, database or network client: a machine runs one for
//! each miner, so every kilobyte counts. Start reading at [`keeper::main`], then `keeper/attend.rs`.
//!
//! ```text
//! <root>/<miner>/  lock         held by everything of the run that lives: the leash
//!                  spec.json    what to run; written by the host
//!                  state.json   who runs it; written by the keeper at the start
//!                  socket       for status, stdin, signals and stop
//!                  log.*        output; the number is how many bytes were logged before
//!                  exit.json    how it ended; written by the keeper as the last thing
//! ```

#![deny(unsafe_code)]

pub mod confine;
pub mod descriptors;
pub mod executable;
pub mod files;
pub mod init;
pub mod keeper;
pub mod ladder;
pub mod leash;
mod lines;
mod pending;
pub mod proc;
pub mod process;
pub mod protocol;
pub mod shortage;
mod sys;

pub use sys::{clock_is_synchronised, end_with_reader};
