//! What `/proc` tells about processes. Everything here may be out of date when it returns: pin a
//! process with a pidfd and look again before acting on it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use crate::model::run::{ProcessId, RunId};

/// Environment variable that marks everything a run started.
pub(crate) const RUN_VARIABLE: &str = "ADIT_RUN";

/// More generations than a family of processes has.
const DEEPEST: usize = 100;

/// Id of the current boot; empty when the kernel does not tell.
pub(crate) fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// The process with this pid now; `None` when there is none.
pub(crate) fn identify(pid: i32) -> Option<ProcessId> {
    let (start_time, _) = stat(pid)?;
    Some(ProcessId { pid, start_time, boot_id: boot_id() })
}

/// CPU time of this process and its children that ended, in milliseconds; `None` when it is gone
/// or another process has its pid.
pub(crate) fn cpu_ms(process: &ProcessId) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/stat", process.pid)).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    // Counted from the state, which is field 3: utime 14, stime 15, cutime 16, cstime 17, start 22.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    if field(22)? != process.start_time {
        return None;
    }
    let ticks = field(14)? + field(15)? + field(16)? + field(17)?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(ticks.saturating_mul(1000) / per_second)
}

/// Whether exactly this process is alive: same pid, start time and boot, and no zombie.
pub(crate) fn is_alive(process: &ProcessId) -> bool {
    identify(process.pid).as_ref() == Some(process) && !is_zombie(process.pid)
}

/// Pids of the processes whose parent is `parent`.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    all().filter(|pid| stat(*pid).is_some_and(|(_, found)| found == parent)).collect()
}

/// Pids of the processes, this one aside, that hold `lock` open or were started by one of `runs`.
pub(crate) fn members(lock: &Path, runs: &[RunId]) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    all().filter(|pid| *pid != own && is_member(*pid, lock, runs)).collect()
}

/// Pids of the processes that were started by `run`.
pub(crate) fn members_of(run: &RunId) -> Vec<i32> {
    all().filter(|pid| has_run(*pid, run)).collect()
}

/// Whether the process holds `lock` open or was started by one of `runs`.
pub(crate) fn is_member(pid: i32, lock: &Path, runs: &[RunId]) -> bool {
    holds(pid, lock) || runs.iter().any(|run| has_run(pid, run))
}

/// Whether the process executes our own binary, or one that was called as a keeper.
pub(crate) fn is_adit(pid: i32) -> bool {
    let file = |pid: &str| {
        let metadata = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).nth(1) == Some(b"keeper")
        || file("self").is_some_and(|own| file(&pid.to_string()) == Some(own))
}

/// Whether `ancestor` is the parent of the process, or the parent of its parent, and so on.
pub(crate) fn descends_from(pid: i32, ancestor: i32) -> bool {
    let mut parents = std::iter::successors(Some(pid), |pid| stat(*pid).map(|(_, parent)| parent));
    // Pids may be used again while this looks, so it might go round in a circle.
    parents.by_ref().skip(1).take(DEEPEST).any(|parent| parent == ancestor)
}

/// Pids of all processes.
pub(crate) fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn holds(pid: i32, lock: &Path) -> bool {
    let (Ok(wanted), Some(name)) = (fs::metadata(lock), lock.file_name()) else { return false };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.into_iter().any(|descriptor| {
        let link = descriptor.path();
        // The name first: asking a descriptor of a dead network mount for more would hang.
        let is_named = fs::read_link(&link).is_ok_and(|target| {
            let end = target.as_os_str().as_bytes().rsplit(|byte| *byte == b'/').next();
            end == Some(name.as_bytes())
        });
        is_named
            && fs::metadata(&link)
                .is_ok_and(|found| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()))
            && has_lock(pid, &descriptor.file_name())
    })
}

/// Whether the lock belongs to this descriptor; somebody who only looks has the file open too.
fn has_lock(pid: i32, descriptor: &OsStr) -> bool {
    let path = Path::new("/proc").join(pid.to_string()).join("fdinfo").join(descriptor);
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK"))
}

/// Whether the process was started by this run, as its environment says.
pub(crate) fn has_run(pid: i32, run: &RunId) -> bool {
    let wanted = format!("{RUN_VARIABLE}={run}");
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}

fn is_zombie(pid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Start time and parent.
fn stat(pid: i32) -> Option<(u64, i32)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&String::from_utf8_lossy(&text))
}

fn parse_stat(text: &str) -> Option<(u64, i32)> {
    // The second field is the program's name in parentheses and may contain anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    let start_time = fields.nth(17)?.parse().ok()?;
    Some((start_time, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_program_is_called() {
        let text = "7 (a) b) R) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 9 10\n";
        assert_eq!(parse_stat(text), Some((12345, 3)));
        for bad in ["", "7 (a", "7 (a) S", "7 (a) S x", "7 (a) S 3 7"] {
            assert_eq!(parse_stat(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_process_descends_from_its_parents_and_not_from_itself() {
        let own = i32::try_from(std::process::id()).unwrap();
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        assert!(descends_from(own, parent) && !descends_from(own, own));
        assert!(!descends_from(parent, own) && !descends_from(i32::MAX, own));
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let own = identify(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(is_alive(&own) && !own.boot_id.is_empty());
        assert!(!is_alive(&ProcessId { start_time: own.start_time + 1, ..own.clone() }));
        assert!(!is_alive(&ProcessId { boot_id: "other".to_owned(), ..own.clone() }));
        assert!(!is_alive(&ProcessId { pid: 0, ..own }));
    }
}
