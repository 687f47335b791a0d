//! How a run ended, in a sentence.

use crate::miners::device::Release;
use adit_model::{
    restart::RestartPolicy,
    run::{ExitRecord, RunId},
};

/// The end of a run that was noted and then not launched.
pub(crate) const NEVER_BEGAN: &str = "the host ended before the program began";

/// The end of a run whose keeper did not answer and left no record.
pub(crate) const KILLED: &str = "its keeper did not answer, so the host ended the run without it";

/// How a run ended.
pub(crate) enum Ending {
    /// As its keeper wrote down.
    Exited(ExitRecord),
    /// A device that is not watched any more.
    Released(Release),
    /// Nobody knows how.
    Lost(RunId),
}

impl Ending {
    /// What was written down of it, when somebody saw it.
    pub(crate) fn record(&self) -> Option<&ExitRecord> {
        match self {
            Self::Exited(exit) => Some(exit),
            Self::Released(release) => Some(&release.record),
            Self::Lost(_) => None,
        }
    }

    pub(crate) fn run(&self) -> &RunId {
        match self {
            Self::Exited(exit) => &exit.run,
            Self::Released(release) => &release.record.run,
            Self::Lost(run) => run,
        }
    }
}

/// One sentence about an end.
pub(crate) fn end(end: &Ending) -> String {
    match end {
        Ending::Exited(exit) => exited(exit),
        Ending::Released(release) => released(release),
        Ending::Lost(_) => {
            "the keeper and the program ended together, so nobody saw how: a reboot, a power cut \
             or a kill"
                .to_owned()
        }
    }
}

fn released(release: &Release) -> String {
    let record = &release.record;
    let seconds = record.ended_at_ms.saturating_sub(record.started_at_ms).max(0) / 1000;
    match &release.complaint {
        None => format!("stopped watching the device after {seconds} s"),
        Some(complaint) => format!(
            "stopped watching the device after {seconds} s, and it may go on hashing: {complaint}"
        ),
    }
}

fn exited(exit: &ExitRecord) -> String {
    let how = match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}{}", signal_name(signal)),
        (None, None) => "an unknown result".to_owned(),
    };
    let seconds = exit.ended_at_ms.saturating_sub(exit.started_at_ms).max(0) / 1000;
    let asked = if exit.by_stop { "stopped" } else { "the program ended by itself" };
    format!("{asked} with {how} after {seconds} s")
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

/// Why a miner failed, with the last lines it printed.
pub(crate) fn crash_loop(policy: &RestartPolicy, cause: &str, last_lines: &[String]) -> String {
    let printed: Vec<String> =
        last_lines.iter().map(|line| line.chars().take(200).collect()).collect();
    let mut sentence = format!(
        "the program ended {} times within {} s, last: {cause}",
        policy.crash_loop_exits, policy.crash_loop_window_s
    );
    if !printed.is_empty() {
        sentence.push_str("; it printed: ");
        sentence.push_str(&printed.join(" | "));
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: Option<i32>, signal: Option<i32>, by_stop: bool) -> Ending {
        Ending::Exited(ExitRecord {
            run: RunId::random(),
            code,
            signal,
            by_stop,
            started_at_ms: 1_000,
            ended_at_ms: 4_500,
            cpu_ms: 0,
            lines_dropped: 0,
        })
    }

    #[test]
    fn ends_are_told_in_a_sentence() {
        for (given, expected) in [
            (exit(Some(3), None, false), "the program ended by itself with exit code 3 after 3 s"),
            (
                exit(None, Some(11), false),
                "the program ended by itself with signal 11 (SIGSEGV) after 3 s",
            ),
            (exit(Some(0), None, true), "stopped with exit code 0 after 3 s"),
        ] {
            assert_eq!(end(&given), expected);
        }
    }
}
