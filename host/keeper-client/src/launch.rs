//! Starts a keeper and reads its report whether the program runs. Blocking.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read},
    os::unix::{fs::DirBuilderExt, process::ExitStatusExt},
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{error::Error, look::has_stray};
use adit_keeper::{
    files::{self, State},
    keeper::report,
    leash,
    process::spawn_keeper,
};
use adit_model::run::RunSpec;

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
    let (mut child, pipe) = spawn_keeper(exe, folder, lock).map_err(failed())?;
    let output = read_report(pipe);
    if output.is_err() {
        child.kill().ok();
    }
    // The process that was started ends at once; the keeper is a child of that one.
    let status = child.wait().map_err(failed())?;
    let output = output.map_err(Error::io("read the report of the keeper in", folder))?;
    let Some((word, rest)) = output.lines().find_map(report_in) else {
        return Err(Error::Start(without_report(status, &output)));
    };
    match word {
        report::OK => serde_json::from_str(rest)
            .map_err(|error| Error::Refused(format!("its report is not understood: {error}"))),
        report::BUSY => Err(Error::Busy(spec.miner.clone())),
        report::EXEC => Err(Error::Exec { program: spec.program.clone(), reason: rest.to_owned() }),
        _ => Err(Error::Start(rest.to_owned())),
    }
}

/// The report in a line; `None` when it is something else, such as what the loader complains of.
fn report_in(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
    let words = [report::OK, report::BUSY, report::EXEC, report::FAILED];
    words.contains(&word).then_some((word, rest))
}

/// Why a keeper may have ended before it could report, with what it printed.
fn without_report(status: ExitStatus, output: &str) -> String {
    let how = match (status.code(), status.signal()) {
        (_, Some(signal)) => format!("signal {signal} ended it"),
        // That of the short-lived first process: the keeper itself is not our child.
        (Some(0), None) => "it was killed right after its start".to_owned(),
        (code, None) => format!("it ended with code {}", code.unwrap_or_default()),
    };
    let printed = output.split_whitespace().collect::<Vec<_>>().join(" ");
    if printed.is_empty() {
        return format!("{how} and it printed nothing: see whether the machine is out of memory");
    }
    format!("{how}: {printed}")
}

/// Reads until the end of a report or of the stream.
fn read_report(mut pipe: File) -> io::Result<String> {
    let begun = Instant::now();
    let mut text = Vec::new();
    let mut buffer = [0; 512];
    let is_whole = |text: &[u8]| {
        text.ends_with(b"\n")
            && String::from_utf8_lossy(text).lines().any(|it| report_in(it).is_some())
    };
    while !is_whole(&text) && text.len() < LONGEST_REPORT {
        let left = REPORT_DEADLINE.saturating_sub(begun.elapsed());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match pipe.read(&mut buffer)? {
            0 => break,
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
