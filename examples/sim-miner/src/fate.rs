//! How the process ends: signals, and the misbehaviour that was asked for.

use std::{
    io,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process, setsid};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    rig::Rig,
    settings::{Fate, Settings},
};

const GRANDCHILD_LIFE: Duration = Duration::from_secs(60 * 60);

/// Ends the program cleanly at SIGTERM and SIGINT, or at no signal when `ignores_signals`.
///
/// # Errors
/// When no handler or no thread can be set up.
pub(crate) fn obey_signals(rig: &Arc<Rig>, ignores_signals: bool) -> io::Result<()> {
    let hangup = ignores_signals.then_some(SIGHUP);
    let mut signals = Signals::new([SIGTERM, SIGINT].into_iter().chain(hangup))?;
    let rig = Arc::clone(rig);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if ignores_signals {
                rig.output.line("signal", &format!("{} ignored", name(signal)));
            } else {
                rig.end(name(signal), ExitCode::SUCCESS);
            }
        }
    })?;
    Ok(())
}

fn name(signal: i32) -> &'static str {
    match signal {
        SIGTERM => "SIGTERM",
        SIGINT => "SIGINT",
        _ => "SIGHUP",
    }
}

/// Starts the clock of each misbehaviour in `settings`.
///
/// # Errors
/// When a thread or the grandchild cannot be started.
pub(crate) fn prepare(rig: &Arc<Rig>, settings: &Settings) -> io::Result<()> {
    for (at, fate) in settings.fates.iter().copied() {
        let rig = Arc::clone(rig);
        thread::Builder::new().name("fate".to_owned()).spawn(move || {
            thread::sleep(at.saturating_sub(rig.elapsed()));
            strike(&rig, fate);
        })?;
    }
    if let Some(in_own_session) = settings.grandchild {
        let pid = start_grandchild(in_own_session)?;
        rig.output.line("miner", &format!("grandchild {pid}"));
    }
    Ok(())
}

fn strike(rig: &Rig, fate: Fate) {
    match fate {
        Fate::Abort => std::process::abort(),
        Fate::Segfault => loop {
            // The first one only removes the runtime's own handler for stack overflows.
            kill_process(getpid(), Signal::SEGV).ok();
            thread::sleep(Duration::from_millis(1));
        },
        Fate::Exit(code) => rig.end("--exit-after", ExitCode::from(code)),
        Fate::Hang => rig.freeze(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the grandchild is to be as wild as real ones are")]
fn start_grandchild(in_own_session: bool) -> io::Result<u32> {
    let child = Command::new(std::env::current_exe()?)
        .arg("--grandchild")
        .arg(in_own_session.to_string())
        .stdin(Stdio::null())
        .spawn()?;
    Ok(child.id())
}

/// What the grandchild does: nothing, deaf to signals, for an hour.
///
/// # Errors
/// When it cannot ignore signals or leave its session.
pub(crate) fn be_grandchild(in_own_session: bool) -> io::Result<()> {
    let _signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    if in_own_session {
        setsid()?;
    }
    thread::sleep(GRANDCHILD_LIFE);
    Ok(())
}
