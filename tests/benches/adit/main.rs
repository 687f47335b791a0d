//! The numbers of the design, each beside a named baseline of the same run.
//!
//! ```text
//! cargo build --release --workspace
//! cargo bench -p adit-tests                  # everything, about eight minutes
//! cargo bench -p adit-tests -- call rest     # these groups only
//! ```
//!
//! Goals are printed as met or not; nothing is asserted, because a busy machine is no fault.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "the real binaries are measured")]
#![expect(clippy::print_stdout, reason = "a table is the result")]

mod baseline;
mod call;
mod crowd;
mod flood;
mod history;
#[path = "../../it/host.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod host;
mod http;
mod keeper;
mod load;
mod process;
mod rest;
mod rig;
mod samples;
mod start;
mod table;

use std::process::ExitCode;

use crate::table::Row;

type Measure = fn() -> Vec<Row>;

/// What is measured, by the words that choose it.
const GROUPS: [(&str, Measure); 9] = [
    ("call", call::rows),
    ("load", load::rows),
    ("keeper", keeper::rows),
    ("start", start::rows),
    ("flood", flood::rows),
    ("rig", rig::rows),
    ("rest", rest::rows),
    ("history", history::rows),
    ("crowd", crowd::rows),
];

/// What must be built before.
const NEEDED: [&str; 7] = [
    "adit",
    "adit-keeper",
    "sim-miner",
    "libdeclarative_driver.so",
    "libsim_driver.so",
    "libtt_miner_driver.so",
    "libxmrig_driver.so",
];

fn main() -> ExitCode {
    if let Some(role) = baseline::Role::of_this_process() {
        baseline::serve(role);
        return ExitCode::SUCCESS;
    }
    let build = host::build();
    if let Some(name) = NEEDED.iter().find(|name| !build.join(name).exists()) {
        println!("{} is missing: cargo build --release --workspace", build.join(name).display());
        return ExitCode::FAILURE;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let names: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
    if let Some(word) = words.iter().find(|word| !names.contains(&word.as_str())) {
        println!("there is no group {word}; there are {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    table::print_head();
    for (name, rows) in GROUPS {
        if words.is_empty() || words.iter().any(|word| word == name) {
            table::print(name, &rows());
        }
    }
    ExitCode::SUCCESS
}
