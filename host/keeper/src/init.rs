//! The host as process 1, which it is in a container without an init.
//!
//! Process 1 inherits every process that loses its parent, the keepers among them, and has to wait
//! for each, or they stay as zombies for ever. A host cannot do that: it would take the exit status
//! of its children away from the tasks that wait for them. So it splits before it has started
//! anything: the child becomes the host, and process 1 waits, passes signals on, and ends with it.

use std::{io, os::fd::AsFd, process::ExitCode};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait},
};

use crate::sys::{self, Fork};

/// What process 1 passes on to the host.
const PASSED_ON: [Signal; 6] =
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Makes this process the init of its container if it is process 1. Call it while the process has
/// one thread. `None`: this process is the host; otherwise the host has ended with this code.
///
/// # Errors
/// When the process cannot be split.
pub fn split() -> io::Result<Option<ExitCode>> {
    if !getpid().is_init() {
        return Ok(None);
    }
    let numbers: Vec<i32> =
        PASSED_ON.iter().map(|signal| signal.as_raw()).chain([libc::SIGCHLD]).collect();
    let signals = sys::signal_descriptor(&numbers)?;
    match sys::fork()? {
        Fork::Child => {
            sys::unblock_signals();
            Ok(None)
        }
        Fork::Parent(host) => {
            let host = Pid::from_raw(host).ok_or(io::ErrorKind::NotFound)?;
            serve(host, &signals).map(Some)
        }
    }
}

fn serve(host: Pid, signals: &impl AsFd) -> io::Result<ExitCode> {
    loop {
        match poll(&mut [PollFd::new(signals, PollFlags::IN)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut record = [0; 128];
        while rustix::io::read(signals, &mut record).is_ok_and(|count| count == 128) {
            let number = i32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
            if let Some(signal) = PASSED_ON.iter().find(|signal| signal.as_raw() == number) {
                // The number is the host's until it is waited for below.
                kill_process(host, *signal).ok();
            }
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == host => return Ok(code_of(status)),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }
}

/// As a shell has it: the code, or 128 and the signal.
fn code_of(status: WaitStatus) -> ExitCode {
    let code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
