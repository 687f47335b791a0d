//! Writes the program's output to the log files, within the bounds of disk, rate and memory, and
//! never waits: what cannot be written now stays in memory, and of that the newest.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use crate::{
    files,
    lines::Lines,
    pending::{Budget, MOST_LINES, Pending},
    proc,
};
use adit_model::run::LogLimits;

/// How long after a failed write the next one is tried.
const RETRY: Duration = Duration::from_secs(1);

/// The log of a run. The files are in the current directory.
pub(crate) struct Journal {
    limits: LogLimits,
    lines: Lines,
    pending: Pending,
    budget: Budget,
    file: Option<Open>,
    error: Option<(String, Duration)>,
    count: u64,
    dropped: u64,
}

struct Open {
    file: File,
    start: u64,
    size: u64,
}

impl Journal {
    /// A log that begins at time zero. It goes on after what earlier runs left.
    pub(crate) fn new(limits: LogLimits) -> Self {
        let budget = Budget::new(limits.bytes_per_second, limits.burst_bytes);
        Self {
            limits,
            lines: Lines::default(),
            pending: Pending::default(),
            budget,
            file: None,
            error: None,
            count: 0,
            dropped: 0,
        }
    }

    /// Takes output of the program and writes what the budget allows.
    pub(crate) fn feed(&mut self, bytes: &[u8], now: Duration) {
        // In portions of no more lines than half of what may wait, lest the first be dropped
        // because the last came in the same read.
        for portion in bytes.chunks(MOST_LINES / 2) {
            let Self { lines, pending, count, dropped, .. } = self;
            lines.feed(portion, |line| {
                *count += 1;
                *dropped += pending.push(line);
            });
            if self.pending.count() >= MOST_LINES / 2 {
                self.write(now);
            }
        }
        self.write(now);
    }

    /// Takes the rest of the program's output: a last line without its end.
    pub(crate) fn finish(&mut self) {
        let Self { lines, pending, count, dropped, .. } = self;
        lines.finish(|line| {
            *count += 1;
            *dropped += pending.push(line);
        });
    }

    /// Adds a remark of the keeper's own.
    pub(crate) fn remark(&mut self, text: &str) {
        self.dropped += self.pending.push(format!("[adit] {text}").as_bytes());
    }

    /// Lines of the program so far, and lines dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.count, self.dropped)
    }

    /// Why the log cannot be written at the moment.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_ref().map(|(text, _)| text.as_str())
    }

    /// Writes what the budget allows. Returns how long to wait until there is more to do; `None`
    /// when nothing waits.
    pub(crate) fn write(&mut self, now: Duration) -> Option<Duration> {
        if self.pending.size() == 0 {
            return None;
        }
        let failed_at = self.error.as_ref().map_or(Duration::ZERO, |(_, at)| *at + RETRY);
        let wait = failed_at.saturating_sub(now).max(self.budget.wait(self.pending.size(), now));
        if !wait.is_zero() {
            return Some(wait);
        }
        self.flush(now);
        self.error.is_some().then_some(RETRY)
    }

    /// Writes everything that waits, whatever the budget says.
    pub(crate) fn flush(&mut self, now: Duration) {
        self.error = match self.write_all() {
            Ok(()) => None,
            Err(error) => {
                self.file = None;
                Some((format!("cannot write the log: {error}"), now))
            }
        };
    }

    fn write_all(&mut self) -> io::Result<()> {
        while self.pending.size() > 0 {
            if self.pending.dropped() > 0 {
                let line = format!("[adit] {} lines dropped here\n", self.pending.dropped());
                self.open_with_room(line.len())?.append(line.as_bytes())?;
                self.budget.spend(line.len());
                self.pending.forget_dropped();
            }
            let (_, first) = self.pending.fitting_at_least_one(0);
            let limit = self.limits.file_bytes;
            let room = limit.saturating_sub(self.open_with_room(first)?.size);
            let (lines, size) = self.pending.fitting_at_least_one(room);
            let chunk = self.pending.oldest(size);
            let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
            file.append(chunk)?;
            self.pending.discard(lines);
            self.budget.spend(size);
        }
        Ok(())
    }

    /// The file to write `size` bytes to, a new one if the newest has no room.
    fn open_with_room(&mut self, size: usize) -> io::Result<&mut Open> {
        let open = match self.file.take() {
            Some(open) => open,
            None => Open::newest()?,
        };
        let is_full = open.size > 0 && open.size + size as u64 > self.limits.file_bytes;
        // The file was removed, moved or replaced: readers would not find what is written to it.
        let open = if is_full || !open.is_in_place() {
            let next = Open::at(open.start + open.size)?;
            forget_oldest(self.limits.files)?;
            next
        } else {
            open
        };
        Ok(self.file.insert(open))
    }
}

impl Open {
    fn newest() -> io::Result<Self> {
        let newest = files::log_files(Path::new("."))?.pop();
        Self::at(newest.map_or(0, |(start, _)| start))
    }

    fn at(start: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.open(files::log_name(start))?;
        let size = file.seek(SeekFrom::End(0))?;
        let mut open = Self { file, start, size };
        // A power cut may have left half a line.
        if size > 0 {
            let mut last = [0];
            open.file.seek(SeekFrom::End(-1))?;
            open.file.read_exact(&mut last)?;
            if last != *b"\n" {
                open.append(b"\n")?;
            }
        }
        Ok(open)
    }

    fn is_in_place(&self) -> bool {
        let own = self.file.metadata().map(|metadata| proc::inode(&metadata));
        let found = fs::symlink_metadata(files::log_name(self.start));
        matches!((own, found), (Ok(own), Ok(found)) if own == proc::inode(&found))
    }

    /// Appends all of `bytes` or nothing.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // Shrinking works on a full disk too; if not, the half line is ended when reopened.
            self.file.set_len(self.size).ok();
            return Err(error);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }
}

fn forget_oldest(keep: u32) -> io::Result<()> {
    let all = files::log_files(Path::new("."))?;
    let keep = usize::try_from(keep.max(1)).unwrap_or(usize::MAX);
    for (_, path) in all.iter().take(all.len().saturating_sub(keep)) {
        fs::remove_file(path)?;
    }
    Ok(())
}
