//! Starts a keeper and hears from it whether the program runs. Blocking.

use std::{
    fs::DirBuilder,
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::ChildStdout,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    keepers::{
        error::Error,
        files::{self, State},
        keeper::report,
        leash,
        look::has_stray,
        process::spawn_keeper,
    },
    model::run::RunSpec,
};

/// How long a keeper may take to start its program: a disk that is busy can be slow.
const REPORT_DEADLINE: Duration = Duration::from_secs(30);

/// Longest report read, in bytes.
const LONGEST_REPORT: usize = 4 << 10;

/// Starts the run of `spec` in `folder` and tells who runs it.
pub(crate) fn launch(exe: &Path, folder: &Path, spec: &RunSpec) -> Result<State, Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder).map_err(Error::io("create", folder))?;
    // Held from here on and passed to the keeper: between this line and the end of the run nobody
    // else can start one or change what this one is.
    let lock = leash::take(folder).map_err(Error::io("lock", folder))?;
    let lock = lock.ok_or_else(|| Error::Busy(spec.miner.clone()))?;
    if has_stray(folder) {
        return Err(Error::Busy(spec.miner.clone()));
    }
    let written = serde_json::to_vec(spec).map_err(io::Error::from);
    let written = written.and_then(|text| files::replace_durably(folder, files::SPEC, &text));
    written.map_err(Error::io("write spec.json in", folder))?;
    let failed = || Error::io("execute", exe);
    let mut child = spawn_keeper(exe, folder, lock).map_err(failed())?;
    let heard = child.stdout.take().map_or(Ok(String::new()), hear);
    if heard.is_err() {
        child.kill().ok();
    }
    // The process that was started ends at once; the keeper is a child of that one.
    child.wait().map_err(failed())?;
    let heard = heard.map_err(Error::io("hear from the keeper in", folder))?;
    let (word, rest) = heard.trim_end().split_once(' ').unwrap_or((heard.trim_end(), ""));
    match word {
        report::OK => serde_json::from_str(rest)
            .map_err(|error| Error::Refused(format!("its report is not understood: {error}"))),
        report::BUSY => Err(Error::Busy(spec.miner.clone())),
        report::EXEC => Err(Error::Exec { program: spec.program.clone(), reason: rest.to_owned() }),
        report::FAILED => Err(Error::Refused(rest.to_owned())),
        _ => Err(Error::Refused("it ended without a report".to_owned())),
    }
}

/// Reads until the end of the line or of the stream.
fn hear(mut stdout: ChildStdout) -> io::Result<String> {
    let begun = Instant::now();
    let mut text = Vec::new();
    let mut buffer = [0; 512];
    while !text.ends_with(b"\n") && text.len() < LONGEST_REPORT {
        let left = REPORT_DEADLINE.saturating_sub(begun.elapsed());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match stdout.read(&mut buffer)? {
            0 => break,
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
