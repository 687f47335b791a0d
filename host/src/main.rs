//! The `adit` binary: the host, its command line, the keeper that owns a run, and the runner of
//! a driver.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match (args.next(), args.next()) {
        // Before anything else: a keeper must stay small and forks while it has one thread.
        (Some(word), Some(dir)) if word == "keeper" => adit_keeper::keeper::main(Path::new(&dir)),
        (Some(word), None) if word == "driver-runner" => adit_drivers::runner::child::main(),
        _ => adit::cli::main(),
    }
}
