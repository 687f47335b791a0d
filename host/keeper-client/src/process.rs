//! Starts programs on the host's runtime: one that is asked a question, and the runner of a driver.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use adit_keeper::{
    descriptors,
    executable::{self, BUSY_FOR, BUSY_PAUSE, is_busy},
    proc,
};
use adit_model::run::RunId;

/// Starts a program that is only asked something, such as its version: no stdin, a bare
/// environment with the mark of `run`, and a new process group. It is killed when the handle is
/// dropped. A program that is still held open for writing is waited for.
#[expect(clippy::disallowed_methods, reason = "every child process is started in this file")]
pub(crate) async fn spawn_question(
    program: &Path,
    args: &[String],
    folder: &Path,
    run: &RunId,
) -> io::Result<tokio::process::Child> {
    executable::check(program)?;
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).process_group(0).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TERM", "dumb").env("HOME", folder);
    command.env(proc::RUN_VARIABLE, run.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    descriptors::restore(&mut command);
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    start_async(|| command.spawn()).await
}

/// Starts `exe` as a runner of a driver, in its own process group. It gets `socket` as its stdin
/// and nothing of this process's environment; its stderr is piped. Killed when the handle is
/// dropped. Needs a runtime.
///
/// # Errors
/// What the system says.
#[expect(clippy::disallowed_methods, reason = "every child process is started in this file")]
pub fn spawn_runner(exe: &Path, socket: OwnedFd) -> io::Result<tokio::process::Child> {
    let mut command = Command::new(exe);
    command.arg0("adit").arg("driver-runner").env_clear().process_group(0).current_dir("/");
    // Each thread would reserve 64 MiB of addresses.
    command.env("MALLOC_ARENA_MAX", "2");
    command.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::piped());
    tokio::process::Command::from(command).kill_on_drop(true).spawn()
}

/// Starts a program by `start`, waiting for others to let go of it.
async fn start_async<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    loop {
        let started = start();
        if !is_busy(&started) || begun.elapsed() > BUSY_FOR {
            return started;
        }
        tokio::time::sleep(BUSY_PAUSE).await;
    }
}
