//! A program that behaves like a miner, and misbehaves on demand.
//!
//! It is what `adit up --demo` shows to a newcomer and what the tests run in a miner's place. A
//! simulation ([`sim`]) advances with the clock; [`rig`] shares it between the threads that print,
//! serve HTTP ([`api`]), read stdin ([`console`]), make noise ([`noise`]) and wait for the end
//! ([`fate`]).

#![forbid(unsafe_code)]

mod api;
mod console;
mod fate;
mod noise;
mod number;
mod options;
mod output;
mod report;
mod rig;
mod settings;
mod sim;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use clap::Parser;

use crate::{
    options::CommandLine,
    rig::{End, Rig},
    settings::Settings,
};

/// How long a farewell may take when nobody reads the output.
const FAREWELL: Duration = Duration::from_millis(500);

/// Exit code for a wrong command line or configuration, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let line = CommandLine::parse();
    if let Some(in_own_session) = line.grandchild {
        return match fate::be_grandchild(in_own_session) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error, ExitCode::FAILURE),
        };
    }
    let options = match line.config {
        None => line.options,
        Some(path) => match line.options.over_file(&path) {
            Ok(options) => options,
            Err(error) => return complain(&error, ExitCode::from(USAGE)),
        },
    };
    let settings = match Settings::new(&options) {
        Ok(settings) => settings,
        Err(error) => return complain(&error, ExitCode::from(USAGE)),
    };
    run(&settings).unwrap_or_else(|error| complain(&error, ExitCode::FAILURE))
}

fn run(settings: &Settings) -> io::Result<ExitCode> {
    let (rig, ended) = Rig::new(settings);
    let rig = Arc::new(rig);
    // First, so that a signal during the delay ends it as cleanly as later.
    fate::obey_signals(&rig, settings.ignores_signals)?;
    let end = match ended.recv_timeout(settings.start_delay) {
        Ok(end) => end,
        Err(_) => {
            start(&rig, settings)?;
            let lost = End { code: ExitCode::FAILURE, reason: "nobody is left to end it" };
            ended.recv().unwrap_or(lost)
        }
    };
    say_farewell(&rig, end.reason);
    Ok(end.code)
}

fn start(rig: &Arc<Rig>, settings: &Settings) -> io::Result<()> {
    rig.elapsed();
    rig.greet();
    if let Some(api) = settings.api.clone() {
        let port = api.port;
        let address = api::open(rig, api).map_err(|error| {
            let text = format!("the API cannot listen on 127.0.0.1:{port}: {error}");
            rig.output.line("error", &text);
            io::Error::new(error.kind(), text)
        })?;
        rig.output.line("api", &format!("listening on http://{address}"));
    }
    fate::prepare(rig, settings)?;
    for noise in settings.noise.iter().copied() {
        noise::start(rig, noise)?;
    }
    let reader = Arc::clone(rig);
    let stdin = move || console::serve(&reader, io::stdin());
    thread::Builder::new().name("stdin".to_owned()).spawn(stdin)?;
    let miner = Arc::clone(rig);
    thread::Builder::new().name("mine".to_owned()).spawn(move || miner.mine())?;
    Ok(())
}

/// Prints the last lines, unless the output is stuck.
fn say_farewell(rig: &Arc<Rig>, reason: &'static str) {
    let rig = Arc::clone(rig);
    let (said, heard) = mpsc::channel();
    let say = move || {
        rig.output.farewell(&format!("stopping: {reason}"));
        said.send(()).ok();
    };
    if thread::Builder::new().name("farewell".to_owned()).spawn(say).is_ok() {
        heard.recv_timeout(FAREWELL).ok();
    }
}

fn complain(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    // Without stderr the exit code alone has to tell.
    writeln!(io::stderr(), "sim-miner: {error}{cause}").ok();
    code
}
