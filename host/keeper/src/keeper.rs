//! The keeper process: starts one program and owns it until everything of it is gone.
//!
//! It outlives the host. One thread, no async runtime, little memory: see `attend`.

mod attend;
mod console;
mod journal;
mod server;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use rustix::{
    fs::Mode,
    process::{Pid, getpid, set_child_subreaper, setsid, umask},
};

use crate::{
    files::{self, State},
    keeper::{
        attend::{Run, SIGNALS, let_go_of_stdio, unix_ms},
        console::Console,
        journal::Journal,
        server::{Server, remove_if_there},
    },
    leash, proc,
    process::{spawn_program, write_oom_score},
    protocol::Reply,
    shortage::{is_shortage, with_cause},
    sys::{self, Fork},
};
use adit_core::files as regular;
use adit_model::run::{ExitRecord, RunSpec};

/// What a keeper says on its stdout before it lets go of it: one line, the first word of which is
/// one of these.
pub mod report {
    /// The program runs; the state follows as JSON.
    pub const OK: &str = "ok";
    /// Something of a run is alive.
    pub const BUSY: &str = "busy";
    /// The program could not be executed; the reason follows.
    pub const EXEC: &str = "exec";
    /// Anything else; the reason follows.
    pub const FAILED: &str = "failed";
}

/// What the keeper's own binary prints as its version. A host uses that of its own version only.
pub const VERSION: &str = concat!("adit-keeper ", env!("CARGO_PKG_VERSION"));

/// Exit code when something of a run is alive.
const EXIT_BUSY: u8 = 75;

/// The exit record is first written here, into space that is set aside at the start.
const EXIT_NEW: &str = ".exit.json.new";

/// Bytes set aside for the exit record.
const EXIT_SPACE: usize = 1 << 10;

/// Why a run did not begin.
enum Failure {
    Busy,
    Exec(io::Error),
    Other(&'static str, io::Error),
}

/// Prints [`VERSION`].
pub fn tell_version() -> ExitCode {
    let told = writeln!(io::stdout(), "{VERSION}");
    if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells a person what this binary is for.
pub fn tell_usage() -> ExitCode {
    let usage = "adit starts this program itself, one for each miner that runs: see `adit --help`";
    writeln!(io::stderr(), "{usage}").ok();
    ExitCode::from(2)
}

/// Runs the keeper of the run described in `folder`. Call it first thing in `main`, while the
/// process has one thread and has opened nothing.
///
/// The result is that of the short-lived first process; the keeper itself goes on in the
/// background and reports on stdout.
pub fn main(folder: &Path) -> ExitCode {
    let prepared = prepare(folder);
    let (lock, spec) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return refuse(&failure),
    };
    match sys::fork() {
        Ok(Fork::Parent(_)) => ExitCode::SUCCESS,
        Ok(Fork::Child) => keep(&lock, spec),
        Err(error) => refuse(&Failure::Other("fork", error)),
    }
}

fn prepare(folder: &Path) -> Result<(File, RunSpec), Failure> {
    let fail = |what| move |error| Failure::Other(what, error);
    // A descriptor that leaked into the host, such as its listening socket, ends here.
    sys::close_from(3).map_err(fail("close descriptors"))?;
    umask(Mode::from_raw_mode(0o077));
    std::env::set_current_dir(folder).map_err(fail("enter the folder"))?;
    let here = Path::new(".");
    let inherited = rustix::stdio::stdin().try_clone_to_owned().map(File::from);
    let inherited = inherited.and_then(|stdin| leash::adopt(stdin, here));
    let lock = match inherited.map_err(fail("open the lock"))? {
        Some(lock) => lock,
        None => leash::take(here).map_err(fail("take the lock"))?.ok_or(Failure::Busy)?,
    };
    let spec = regular::read_json(Path::new(files::SPEC)).map_err(fail("read spec.json"))?;
    Ok((lock, spec))
}

/// The keeper proper, in its own session and without a parent that cares.
fn keep(lock: &File, spec: RunSpec) -> ExitCode {
    match begin(lock, spec) {
        Ok((mut run, mut server, signals)) => {
            say(report::OK, &serde_json::to_string(&run.state).unwrap_or_default());
            let_go_of_stdio().ok();
            let record = run.attend(&mut server, &signals);
            finish(&record, server);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            remove_if_there(files::SOCKET).ok();
            refuse(&failure)
        }
    }
}

fn begin(lock: &File, spec: RunSpec) -> Result<(Run, Server, OwnedFd), Failure> {
    let fail = |what| move |error: io::Error| Failure::Other(what, error);
    setsid().map_err(|error| fail("begin a session")(error.into()))?;
    rustix::thread::set_name(c"adit-keeper").ok();
    write_oom_score(c"/proc/self/oom_score_adj", b"-500");
    set_child_subreaper(Some(getpid())).map_err(|error| fail("become a reaper")(error.into()))?;
    let signals = sys::signal_descriptor(&SIGNALS).map_err(fail("take signals"))?;
    for stale in [files::STATE, files::EXIT] {
        remove_if_there(stale).map_err(fail("remove the last run's record"))?;
    }
    set_space_aside().ok();
    let server = Server::listen().map_err(fail("listen"))?;
    let mut journal = Journal::new(spec.log);
    let (mut console, ends) = Console::open(spec.console).map_err(fail("open a console"))?;
    if !spec.cwd.is_dir() {
        let error = io::Error::other(format!("no folder {}", spec.cwd.display()));
        return Err(Failure::Exec(error));
    }
    let started = spawn_program(&spec, ends, lock.as_fd()).map_err(|error| {
        // A machine that is full now is no fault of the program.
        if is_shortage(&error) { fail("start the program")(error) } else { Failure::Exec(error) }
    });
    let pid = started?.cast_signed();
    journal.remark(&format!("started {} as process {pid}", spec.program.display()));
    if let Some(input) = &spec.stdin {
        console.send(input.as_bytes()).ok();
    }
    let missing = |what| Failure::Other(what, io::ErrorKind::NotFound.into());
    let state = State {
        run: spec.run,
        keeper: proc::identify(getpid().as_raw_pid()).ok_or(missing("find itself in /proc"))?,
        program: proc::identify(pid).ok_or(missing("find the program in /proc"))?,
        started_at_ms: unix_ms(),
    };
    // On a full disk the miner runs all the same: the lock and its environment identify it too.
    write_state(&state).ok();
    let program = Pid::from_raw(pid).ok_or(missing("start the program"))?;
    Ok((Run::new(state, program, spec.stop, console, journal), server, signals))
}

/// Writes down how the run ended, tells those who wait, and leaves.
fn finish(record: &ExitRecord, mut server: Server) {
    let reply = Reply { exit: Some(record.clone()), ..Reply::done() };
    let mut written = write_exit(record);
    server.tell_end(&reply);
    for _ in 0..25 {
        if written.is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(200));
        written = write_exit(record);
    }
    server.close();
}

/// Takes disk space for the exit record while there is some.
fn set_space_aside() -> io::Result<()> {
    open_exit()?.write_all(&[b' '; EXIT_SPACE])
}

fn write_exit(record: &ExitRecord) -> io::Result<()> {
    let mut text = serde_json::to_vec(record)?;
    // Spaces cover what was set aside; JSON does not mind them.
    text.resize(text.len().max(EXIT_SPACE), b' ');
    let mut file = open_exit()?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(EXIT_NEW, files::EXIT)?;
    File::open(".")?.sync_all()
}

fn open_exit() -> io::Result<File> {
    let open = || {
        regular::check_place(Path::new(EXIT_NEW))?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).open(EXIT_NEW)
    };
    // Whatever it was replaced with is in the way.
    open().or_else(|_| fs::remove_file(EXIT_NEW).and_then(|()| open()))
}

/// Not synced: after a power cut nothing of the run is alive and the file tells nothing new.
fn write_state(state: &State) -> io::Result<()> {
    let temporary = ".state.json.new";
    fs::write(temporary, serde_json::to_vec(state)?)?;
    fs::rename(temporary, files::STATE)
}

fn refuse(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Busy => {
            say(report::BUSY, "");
            return ExitCode::from(EXIT_BUSY);
        }
        Failure::Exec(error) => say(report::EXEC, &error.to_string()),
        Failure::Other(what, error) => {
            say(report::FAILED, &format!("cannot {what}: {}", with_cause(error)));
        }
    }
    ExitCode::FAILURE
}

/// Whoever started the keeper may be gone, which is no reason not to go on.
fn say(word: &str, rest: &str) {
    let line = format!("{word} {}\n", rest.replace('\n', " "));
    rustix::io::write(rustix::stdio::stdout(), line.as_bytes()).ok();
}
