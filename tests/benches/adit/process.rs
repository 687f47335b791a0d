//! What the system says of a process: memory and CPU time.

use std::{fs, time::Duration};

/// Memory of a process, in KiB.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// Its share of every page: shared ones count in part.
    pub(crate) pss: u32,
    /// Every page in memory, shared or not.
    pub(crate) rss: u32,
    /// Pages that only this process has and that it wrote to.
    pub(crate) private_dirty: u32,
}

/// Reads the memory of process `pid`.
pub(crate) fn memory(pid: u32) -> Memory {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let read = |name: &str| text.lines().find_map(|line| kib(line, name)).unwrap();
    Memory { pss: read("Pss:"), rss: read("Rss:"), private_dirty: read("Private_Dirty:") }
}

/// Resident memory of the mapped files whose path contains `part`, in KiB.
pub(crate) fn resident_of(pid: u32, part: &str) -> u32 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut is_meant = false;
    let mut sum = 0;
    for line in text.lines() {
        let first = line.split(' ').next().unwrap_or_default();
        // A line that begins with an address range begins a mapping.
        if !first.ends_with(':') {
            is_meant = line.contains(part);
        } else if is_meant {
            sum += kib(line, "Rss:").unwrap_or_default();
        }
    }
    sum
}

fn kib(line: &str, name: &str) -> Option<u32> {
    line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok()
}

/// CPU time of process `pid` so far, user and system, of living and ended threads. `/proc` has it in
/// steps of 10 ms, too coarse for a tenth of a percent; the clock of the process has it in full.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let pid = i32::try_from(pid).unwrap();
    let mut clock = 0;
    // SAFETY: `clock` is a live, writable clock id.
    assert_eq!(unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) }, 0, "no process {pid}");
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live, writable `timespec`.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0, "no process {pid}");
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}
