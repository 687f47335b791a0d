//! What a runner uses of that which the kernel does not count for a single process: threads, disk,
//! and its share of the processor. The host looks once a second and kills a runner above its bounds.
//!
//! A file that was deleted takes its place on the disk as long as somebody has it open or mapped, so
//! those count too. What cannot be measured counts as too much: a driver has no reason to make a
//! folder that its own user may not read.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::runner::{conn::Conn, process::End};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long a driver's share of a processor is counted.
const WINDOW: Duration = Duration::from_secs(60);
/// After so many looks the disk is measured even if the process did not run meanwhile.
const IDLE_LOOKS: u32 = 10;
/// Files and folders that a driver may have.
const MOST_FILES: usize = 10_000;
/// How deep its folders may be nested. Deeper ones could not be named any more, and so not measured.
const DEEPEST: usize = 12;
/// What is read of the list of mappings, in bytes; a driver has some hundred lines of it.
const MOST_MAPS: usize = 1 << 20;
/// What a process may use beyond its share before the kernel's signal comes, in seconds.
const CPU_GRACE_S: u64 = 3;

/// What the host holds a runner to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// Threads of the driver's own.
    pub(crate) threads: u64,
    /// What it may store in its folder, in bytes.
    pub(crate) disk_bytes: u64,
    /// Its share of one processor core, in percent.
    pub(crate) cpu_percent: u32,
}

impl Bounds {
    /// How large a single file may be. A deleted file that is mapped counts as one of this size.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.disk_bytes.div_ceil(4)
    }

    /// Its share of a window, in seconds.
    fn share_s(&self) -> u64 {
        (WINDOW.as_secs() * u64::from(self.cpu_percent)).div_ceil(100).max(1)
    }

    pub(crate) fn cpu(&self) -> String {
        format!("{} s of each {} s of one core", self.share_s(), WINDOW.as_secs())
    }

    pub(crate) fn disk(&self) -> String {
        let (all, one) = (self.disk_bytes >> 20, self.file_bytes() >> 20);
        format!("{all} MiB in its folder, {one} MiB in one file, {MOST_FILES} files")
    }
}

/// Kills the process through `conn` when it uses more than its bounds. Never returns; drop it.
pub(super) async fn watch(
    (pid, threads): (u32, u64),
    bounds: Bounds,
    data_dir: PathBuf,
    conn: Arc<Conn>,
) {
    // As the kernel names the files in it, without links.
    let data_dir = Arc::new(fs::canonicalize(&data_dir).unwrap_or(data_dir));
    let mut window = Window::new(bounds.share_s());
    let (mut used_before, mut idle) = (0, 0);
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(stat) = Stat::read(pid) else { continue };
        let mut why = stat.excess(threads).or_else(|| window.excess(pid, stat.cpu_ticks));
        idle = if stat.cpu_ticks == used_before { idle + 1 } else { 0 };
        used_before = stat.cpu_ticks;
        // A process that did not run wrote nothing.
        if why.is_none() && idle % IDLE_LOOKS == 0 {
            let (bounds, data_dir) = (bounds.clone(), Arc::clone(&data_dir));
            let measuring = tokio::task::spawn_blocking(move || disk(pid, &bounds, &data_dir));
            why = measuring.await.ok().flatten();
        }
        if let Some(why) = why {
            conn.end(End::Kill(why));
        }
    }
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Whether the thread that it started with has ended.
    is_headless: bool,
    pub(super) threads: u64,
    /// Processor time of all its threads, in ticks.
    cpu_ticks: u64,
}

impl Stat {
    pub(super) fn read(pid: u32) -> Option<Self> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is the process's name in parentheses and may contain anything.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        // Counted from the state, which is field 3: utime 14, stime 15, threads 20.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let cpu_ticks = field(14)?.saturating_add(field(15)?);
        let is_headless = fields.first().is_some_and(|it| it.starts_with('Z'));
        Some(Self { is_headless, threads: field(20)?, cpu_ticks })
    }

    fn excess(&self, threads: u64) -> Option<String> {
        if self.threads > threads {
            return Some(format!(
                "it has {} threads, more than the {threads} allowed",
                self.threads
            ));
        }
        // Its open files cannot be listed any more, and with them what it stores.
        (self.is_headless && self.threads > 1)
            .then(|| "its main thread ended and others did not".to_owned())
    }
}

/// The processor time of a process in the current window.
struct Window {
    share_s: u64,
    began: Option<(Instant, u64)>,
}

impl Window {
    fn new(share_s: u64) -> Self {
        Self { share_s, began: None }
    }

    /// The kernel counts processor time from the start of a process and sends a signal at its limit,
    /// so the limit moves with the window. A process may ignore that signal.
    fn excess(&mut self, pid: u32, ticks: u64) -> Option<String> {
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let now = Instant::now();
        let (_, before) = match self.began {
            Some(began) if now.duration_since(began.0) < WINDOW => began,
            _ => {
                let most = ticks / per_second + 1 + self.share_s;
                let limit = Rlimit { current: Some(most), maximum: None };
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                // Without the right to do so, what follows is the limit.
                pid.map(|pid| prlimit(Some(pid), Resource::Cpu, limit).ok());
                *self.began.insert((now, ticks))
            }
        };
        let used = ticks.saturating_sub(before) / per_second;
        (used > self.share_s + CPU_GRACE_S).then(|| {
            format!("it used {used} s of the processor, more than its {} s a minute", self.share_s)
        })
    }
}

/// Why what the process stores is too much, if so. Blocks.
fn disk(pid: u32, bounds: &Bounds, data_dir: &Path) -> Option<String> {
    let mut stored = Stored::default();
    let measured = stored
        .add_folder(data_dir, 0)
        .and_then(|()| stored.add_open(pid, data_dir))
        .and_then(|()| stored.add_mapped(pid, data_dir, bounds.file_bytes()));
    let most = bounds.disk_bytes >> 20;
    match measured {
        Err(why) => Some(why),
        Ok(()) if stored.bytes > bounds.disk_bytes => Some(format!(
            "it stores {} MiB in its folder, more than the {most} allowed",
            stored.bytes.div_ceil(1 << 20)
        )),
        Ok(()) => None,
    }
}

#[derive(Debug, Default)]
struct Stored {
    bytes: u64,
    files: usize,
    /// Device and number of deleted files that are counted.
    deleted: BTreeSet<(u64, u64)>,
}

impl Stored {
    /// Adds all below a folder.
    fn add_folder(&mut self, folder: &Path, depth: usize) -> Result<(), String> {
        let failed = |error: io::Error| format!("its folder cannot be measured: {error}");
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let meta = match entry.metadata() {
                // It was deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(failed)?,
            };
            self.files += 1;
            if self.files > MOST_FILES {
                return Err(format!("it has more than {MOST_FILES} files in its folder"));
            }
            self.bytes = self.bytes.saturating_add(meta.blocks().saturating_mul(512));
            if meta.is_dir() {
                if depth >= DEEPEST {
                    return Err(format!("its folders are nested more than {DEEPEST} deep"));
                }
                self.add_folder(&entry.path(), depth + 1)?;
            }
        }
        Ok(())
    }

    /// Adds the deleted files of the driver's folder that the process has open.
    fn add_open(&mut self, pid: u32, data_dir: &Path) -> Result<(), String> {
        let open = format!("/proc/{pid}/fd");
        let entries = match fs::read_dir(open) {
            // It ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|error| format!("its open files cannot be listed: {error}"))?,
        };
        for link in entries.flatten().map(|entry| entry.path()) {
            // The name first: asking a file of a dead network mount for more would hang.
            if !fs::read_link(&link).is_ok_and(|target| target.starts_with(data_dir)) {
                continue;
            }
            let Ok(meta) = fs::metadata(&link) else { continue };
            if meta.nlink() == 0 && self.deleted.insert((meta.dev(), meta.ino())) {
                self.bytes = self.bytes.saturating_add(meta.blocks().saturating_mul(512));
            }
        }
        Ok(())
    }

    /// Adds the deleted files that it has mapped. How large they are is not to be seen.
    fn add_mapped(&mut self, pid: u32, data_dir: &Path, largest: u64) -> Result<(), String> {
        let Ok(mut maps) = fs::File::open(format!("/proc/{pid}/maps")) else { return Ok(()) };
        let mut text = Vec::new();
        // One that ended has none.
        io::Read::read_to_end(&mut io::Read::take(&mut maps, MOST_MAPS as u64), &mut text).ok();
        if text.len() >= MOST_MAPS {
            return Err("it has too many mappings of memory to look at".to_owned());
        }
        let text = String::from_utf8_lossy(&text);
        let folder = data_dir.to_string_lossy();
        for line in text.lines().filter(|line| line.ends_with(" (deleted)")) {
            // Addresses, rights, offset, device, number, name.
            let mut fields = line.splitn(6, ' ');
            let number = fields.by_ref().nth(4).and_then(|number| number.parse().ok());
            let name = fields.next().unwrap_or_default().trim_start();
            let Some(number) = number.filter(|_| name.starts_with(&*folder)) else { continue };
            let is_known = self.deleted.iter().any(|(_, known)| *known == number);
            if !is_known && self.deleted.insert((0, number)) {
                self.bytes = self.bytes.saturating_add(largest);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        Bounds { threads: 4, disk_bytes: 4 << 20, cpu_percent: 50 }
    }

    fn stored(folder: &Path) -> Option<String> {
        disk(std::process::id(), &bounds(), folder)
    }

    #[test]
    fn stat_is_read_whatever_the_process_is_called() {
        let text = "7 (a) b) R) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 12345 9 10\n";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat, Stat { is_headless: false, threads: 9, cpu_ticks: 11 });
        assert_eq!(stat.excess(9), None);
        assert_eq!(stat.excess(8).unwrap(), "it has 9 threads, more than the 8 allowed");
        let headless = Stat::parse(&text.replace(") S", ") Z")).unwrap();
        assert!(headless.excess(9).unwrap().contains("main thread"));
        for bad in ["", "7 (a", "7 (a) S", "7 (a) S 3 7"] {
            assert_eq!(Stat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_processor_is_counted_by_the_window() {
        let mut window = Window::new(30);
        let per_second = rustix::param::clock_ticks_per_second();
        // No process has this pid: the kernel's own limit is not set.
        assert_eq!(window.excess(u32::MAX, 100 * per_second), None);
        assert_eq!(window.excess(u32::MAX, 133 * per_second), None);
        let why = window.excess(u32::MAX, 134 * per_second).unwrap();
        assert_eq!(why, "it used 34 s of the processor, more than its 30 s a minute");
    }

    #[test]
    fn files_in_a_folder_are_counted_and_so_are_deleted_ones() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("driver");
        assert_eq!(stored(&folder), None, "there need not be one");
        fs::create_dir_all(folder.join("sub")).unwrap();
        let fill = |name: &str| fs::write(folder.join(name), vec![1; 3 << 20]).unwrap();
        fill("sub/one");
        assert_eq!(stored(&folder), None);
        fill("two");
        assert!(stored(&folder).unwrap().contains("more than the 4 allowed"));
        let open = fs::File::open(folder.join("two")).unwrap();
        fs::remove_file(folder.join("two")).unwrap();
        assert!(stored(&folder).unwrap().contains("more than the 4 allowed"));
        drop(open);
        assert_eq!(stored(&folder), None);
    }

    #[test]
    fn what_cannot_be_measured_is_too_much() {
        let root = tempfile::tempdir().unwrap();
        let mut deep = root.path().to_path_buf();
        (0..=DEEPEST + 1).for_each(|_| deep.push("d"));
        fs::create_dir_all(&deep).unwrap();
        assert!(stored(root.path()).unwrap().contains("nested"));
        let flat = tempfile::tempdir().unwrap();
        for number in 0..=MOST_FILES {
            fs::File::create(flat.path().join(number.to_string())).unwrap();
        }
        assert!(stored(flat.path()).unwrap().contains("more than 10000 files"));
    }
}
