//! A program that takes TT-Miner's command line, prints the lines that TT-Miner is known to print
//! and answers `miner_getstat1`: what the tests run in TT-Miner's place. It mines nothing and opens
//! no connection.
//!
//! There are two simulated GPUs. Like TT-Miner it reports 0 H/s until its first share. A pool whose
//! host begins with `lost-` is lost a second after it was connected, one that begins with `refused-`
//! takes no connection, and the next one is taken.

#![forbid(unsafe_code)]

mod api;
mod options;
mod rig;

use std::{
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    process::ExitCode,
    sync::Arc,
    thread,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{options::Options, rig::Rig};

/// What it says it is.
pub(crate) const VERSION: &str = "2024.3.2";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| ["-v", "--version"].contains(&word.as_str())) {
        say(&format!("             TT-Miner - Version: {VERSION} (Jun  3 2024 10:00:00)"));
        return ExitCode::SUCCESS;
    }
    let options = match Options::read(&words) {
        Ok(options) => options,
        Err(problem) => {
            say(&format!("Unknown or wrong option: {problem}"));
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.api_port))?;
    let rig = Arc::new(Rig::new(options));
    rig.greet();
    let server = Arc::clone(&rig);
    thread::Builder::new().name("api".to_owned()).spawn(move || api::serve(&listener, &server))?;
    let miner = Arc::clone(&rig);
    thread::Builder::new().name("mine".to_owned()).spawn(move || miner.mine())?;
    if signals.forever().next().is_some() {
        rig::say_timed("********* Stop worker threads...");
        rig::say_timed("All threads stopped and destroyed...");
    }
    Ok(())
}

/// Prints a line. Whoever read the output may be gone; a miner goes on.
pub(crate) fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush()).ok();
}
