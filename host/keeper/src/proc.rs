//! What `/proc` tells about processes. Everything here may be out of date when it returns: pin a
//! process with a pidfd and look again before acting on it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use adit_model::run::{ProcessId, RunId};

/// Environment variable that marks everything a run started.
pub const RUN_VARIABLE: &str = "ADIT_RUN";

/// More generations than a family of processes has.
const DEEPEST: usize = 100;

/// Id of the current boot; empty when the kernel does not tell.
pub(crate) fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// The process with this pid now; `None` when there is none.
pub fn identify(pid: i32) -> Option<ProcessId> {
    let (start_time, _) = stat(pid)?;
    Some(ProcessId { pid, start_time, boot_id: boot_id() })
}

/// CPU time of this process and its children that ended, in milliseconds; `None` when it is gone
/// or another process has its pid.
pub fn cpu_ms(process: &ProcessId) -> Option<u64> {
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
pub fn is_alive(process: &ProcessId) -> bool {
    identify(process.pid).as_ref() == Some(process) && !is_zombie(process.pid)
}

/// Pids of the processes whose parent is `parent`.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    all().filter(|pid| stat(*pid).is_some_and(|(_, found)| found == parent)).collect()
}

/// Pids of the processes that were started by `run`.
pub fn members_of(run: &RunId) -> Vec<i32> {
    all().filter(|pid| has_run(*pid, run)).collect()
}

/// The processes that descend from `ancestor`, which adopts those that lose their parent.
pub fn descendants(ancestor: i32) -> Vec<ProcessId> {
    let boot_id = boot_id();
    let processes: Vec<(i32, u64, i32)> = all()
        .filter_map(|pid| stat(pid).map(|(start_time, parent)| (pid, start_time, parent)))
        .collect();
    let mut family = vec![ancestor];
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        for (pid, start_time, _) in processes.iter().filter(|process| process.2 == parent) {
            family.push(*pid);
            let boot_id = boot_id.clone();
            found.push(ProcessId { pid: *pid, start_time: *start_time, boot_id });
        }
        next += 1;
    }
    found
}

/// Whether the process executes our own binary, or one that was called as a keeper.
pub fn is_adit(pid: i32) -> bool {
    let file = |pid: &str| Some(inode(&fs::metadata(format!("/proc/{pid}/exe")).ok()?));
    keeper_directory(pid).is_some()
        || file("self").is_some_and(|own| file(&pid.to_string()) == Some(own))
}

/// Whether `ancestor` is the parent of the process, or the parent of its parent, and so on.
pub fn descends_from(pid: i32, ancestor: i32) -> bool {
    let mut parents = std::iter::successors(Some(pid), |pid| stat(*pid).map(|(_, parent)| parent));
    // Pids may be used again while this looks, so it might go round in a circle.
    parents.by_ref().skip(1).take(DEEPEST).any(|parent| parent == ancestor)
}

/// The directory of the run whose keeper this process is, as its command line names it.
pub fn keeper_directory(pid: i32) -> Option<PathBuf> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = line.split(|byte| *byte == 0).skip(1);
    (words.next()? == b"keeper").then_some(())?;
    Some(PathBuf::from(OsStr::from_bytes(words.next()?)))
}

/// Device and inode of the process's working directory, also after that was moved or deleted.
pub fn directory_inode(pid: i32) -> Option<(u64, u64)> {
    Some(inode(&fs::metadata(format!("/proc/{pid}/cwd")).ok()?))
}

/// Path of the process's working directory; that of a deleted one ends with ` (deleted)`.
pub fn directory(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// Whether the process is known to work in another directory than `folder`.
pub fn is_elsewhere(pid: i32, folder: &Path) -> bool {
    let wanted = fs::metadata(folder).ok().map(|it| inode(&it));
    let found = directory_inode(pid);
    wanted.is_some() && found.is_some() && wanted != found
}

/// Device and inode of a file.
pub fn inode(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The user who started the process. Not the owner of its files in `/proc`: those of a program
/// with capabilities belong to root.
pub fn user(pid: i32) -> Option<u32> {
    let text = fs::read(format!("/proc/{pid}/status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let ids = text.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().next()?.parse().ok()
}

/// The run that started the process, as its environment says.
pub fn run_of(pid: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{RUN_VARIABLE}=");
    let variable = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(prefix.as_bytes()))?;
    Some(String::from_utf8_lossy(variable).into_owned())
}

/// Whether a signal has stopped the process.
pub fn is_stopped(pid: i32) -> bool {
    state(pid) == Some('T')
}

/// Every process id.
pub fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether the process holds the lock on the file `lock`.
pub fn holds(pid: i32, lock: &Path) -> bool {
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
            && fs::metadata(&link).is_ok_and(|found| inode(&found) == inode(&wanted))
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
pub fn has_run(pid: i32, run: &RunId) -> bool {
    run_of(pid).is_some_and(|found| found == run.to_string())
}

fn is_zombie(pid: i32) -> bool {
    state(pid).is_none_or(|state| matches!(state, 'Z' | 'X'))
}

/// The letter that `/proc` has for the state of the process.
fn state(pid: i32) -> Option<char> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    String::from_utf8_lossy(&text).rsplit_once(") ")?.1.chars().next()
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
