//! Starts processes: the only place of the host that does.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use adit_plugin_api::Console;
use landlock::RulesetCreated;
use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{
        Pid, Resource, Rlimit, Signal, getppid, getrlimit, ioctl_tiocsctty,
        set_parent_process_death_signal, setrlimit, setsid,
    },
};

use crate::{confine, descriptors, executable, proc, sys};
use adit_model::run::RunSpec;

/// Tells a program that asked to be confined whether the kernel can do it: `1` or `0`.
const CONFINED_VARIABLE: &str = "ADIT_CONFINED";

/// What the program gets as stdin, stdout and stderr.
pub(crate) struct ProgramEnds {
    /// For stdin.
    pub(crate) stdin: OwnedFd,
    /// For stdout.
    pub(crate) stdout: OwnedFd,
    /// For stderr.
    pub(crate) stderr: OwnedFd,
}

/// Starts the keeper of the run in `folder`. It inherits `lock` as its stdin and reports to the pipe
/// that is returned, which also gets what a loader or a panic prints; the process returned ends at
/// once and must be reaped.
///
/// # Errors
/// What the system says.
#[expect(clippy::disallowed_methods, reason = "every child process is started in this file")]
pub fn spawn_keeper(exe: &Path, folder: &Path, lock: File) -> io::Result<(Child, File)> {
    let (report, end) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut command = Command::new(exe);
    // No environment: a keeper outlives the host and must not hold the host's secrets.
    command.arg0("adit").arg("keeper").arg(folder).env_clear().process_group(0);
    descriptors::restore(&mut command);
    command.stdin(Stdio::from(lock)).stdout(Stdio::from(end.try_clone()?)).stderr(Stdio::from(end));
    Ok((command.spawn()?, File::from(report)))
}

/// Starts the program of `spec` as leader of its own session and process group and returns its
/// pid. It inherits the descriptor `leash`. Waits for whoever holds the program open for writing.
#[expect(clippy::disallowed_methods, reason = "every child process is started in this file")]
pub(crate) fn spawn_program(
    spec: &RunSpec,
    ends: ProgramEnds,
    leash: BorrowedFd<'_>,
) -> io::Result<u32> {
    executable::check(&spec.program)?;
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).current_dir(&spec.cwd);
    command.env_clear().envs(&spec.env).env(proc::RUN_VARIABLE, spec.run.to_string());
    let mut rules = None;
    if !spec.writable.is_empty() {
        rules = confine::rules(&spec.writable)?;
        command.env(CONFINED_VARIABLE, if rules.is_some() { "1" } else { "0" });
    }
    command.stdin(ends.stdin).stdout(ends.stdout).stderr(ends.stderr);
    let keeper = rustix::process::getpid();
    let leash = leash.as_raw_fd();
    let console = spec.console;
    sys::before_exec(&mut command, move || {
        prepare(keeper, leash, console)?;
        // The last step: nothing after it may need to write elsewhere.
        match rules.take().map(RulesetCreated::restrict_self) {
            // Without allocating a text for it: this is a forked child.
            Some(Err(_)) => Err(io::ErrorKind::PermissionDenied.into()),
            Some(Ok(_)) | None => Ok(()),
        }
    });
    Ok(executable::start(|| command.spawn())?.id())
}

/// Runs in the child before it becomes the program: system calls only, no allocation.
fn prepare(keeper: Pid, leash: RawFd, console: Console) -> io::Result<()> {
    sys::default_signals();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The keeper may have died before the line above took effect.
    if getppid() != Some(keeper) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    setsid()?;
    if console == Console::Pty {
        ioctl_tiocsctty(rustix::stdio::stdin())?;
    }
    sys::keep_over_exec(leash)?;
    // A core of a miner is as large as its dataset and fills the disk.
    let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    setrlimit(Resource::Core, limit).ok();
    // When memory runs out, a miner goes before everything else on the machine.
    write_oom_score(c"/proc/self/oom_score_adj", b"500");
    Ok(())
}

/// Tells the kernel how readily to kill this process when memory runs out; not always allowed.
pub(crate) fn write_oom_score(path: &std::ffi::CStr, score: &[u8]) {
    use rustix::fs::{Mode, OFlags};
    if let Ok(file) = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        rustix::io::write(file.as_fd(), score).ok();
    }
}
