//! Standard output: whole lines, in order, never half of one between others.

use std::{
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// The way to standard output.
#[derive(Debug)]
pub(crate) struct Output {
    // Held while printing, so that the farewell is the last line and counts every line before it.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    is_silent: bool,
    counted: u64,
}

impl Output {
    /// An output that prints nothing when `is_silent`.
    pub(crate) fn new(is_silent: bool) -> Self {
        Self { state: Mutex::new(State { is_silent, counted: 0 }) }
    }

    /// Prints nothing from now on.
    pub(crate) fn silence(&self) {
        self.state().is_silent = true;
    }

    /// Prints `text` with the time and a tag.
    pub(crate) fn line(&self, tag: &str, text: &str) {
        self.bytes(stamped(tag, text).as_bytes());
    }

    /// Prints `text` as it is.
    pub(crate) fn plain(&self, text: &str) {
        self.bytes(format!("{text}\n").as_bytes());
    }

    /// Prints `bytes`, which end with a newline, at once.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        self.state().print(bytes);
    }

    /// Prints the next numbered line.
    pub(crate) fn count(&self) {
        let mut state = self.state();
        if !state.is_silent {
            state.counted += 1;
            let number = state.counted;
            state.print(format!("line {number:06}\n").as_bytes());
        }
    }

    /// Prints the last lines; nothing comes after them.
    pub(crate) fn farewell(&self, text: &str) {
        let mut state = self.state();
        state.print(stamped("miner", text).as_bytes());
        if state.counted > 0 {
            let counted = state.counted;
            state.print(format!("counted {counted} lines\n").as_bytes());
        }
        state.is_silent = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn print(&self, bytes: &[u8]) {
        if !self.is_silent {
            raw(bytes);
        }
    }
}

/// Prints `bytes` even when other output is silent.
pub(crate) fn raw(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    // Whoever read the output may be gone; a miner goes on mining.
    stdout.write_all(bytes).and_then(|()| stdout.flush()).ok();
}

fn stamped(tag: &str, text: &str) -> String {
    format!("[{}]  {tag:<8} {text}\n", timestamp(SystemTime::now()))
}

/// UTC as `2026-11-22 15:29:34.997`.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (mut days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let (day, millis) = (days + 1, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millis:03}")
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_follow_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00.000"),
            (951_782_400, "2000-02-29 00:00:00.000"),
            (1_709_251_199, "2024-02-29 23:59:59.000"),
            (1_767_225_599, "2025-12-31 23:59:59.000"),
            (1_795_361_374, "2026-11-22 15:29:34.000"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(timestamp(time), expected);
        }
    }
}
