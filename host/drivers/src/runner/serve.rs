//! What a driver in a runner asks of the host.

use adit_plugin_api::{
    Error, LogLevel, PeerId, PerformanceMetrics, Result, Services, question::Parts,
};

use tokio::time::Instant;

use crate::runner::frame::{self, Frame};

/// The longest log message that is taken, in bytes.
const LONGEST: usize = 16 << 10;
/// A longer message counts as one line for each of these bytes, so that the log grows no faster.
const LINE: usize = 1 << 10;
/// How many seconds' worth of log lines may come at once.
const BURST_S: f64 = 10.0;
/// After so many dropped lines in a row the reader rests for a moment.
const DROPPED_AT_ONCE: u64 = 64;

/// How many log lines a driver may still write (a token bucket).
pub(crate) struct LogBudget {
    per_second: f64,
    lines: f64,
    filled_at: Instant,
    /// Dropped since the last line that was written.
    dropped: u64,
}

impl LogBudget {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, lines: per_second * BURST_S, filled_at: Instant::now(), dropped: 0 }
    }

    /// Writes a message to the host's log, or drops it when there were too many. `false` when many
    /// were dropped in a row.
    pub(crate) fn log(&mut self, now: Instant, services: &dyn Services, frame: &Frame) -> bool {
        let new = now.duration_since(self.filled_at).as_secs_f64() * self.per_second;
        self.lines = (self.lines + new).min(self.per_second * BURST_S);
        self.filled_at = now;
        if self.lines < 1.0 {
            self.dropped += 1;
            return !self.dropped.is_multiple_of(DROPPED_AT_ONCE);
        }
        let bytes: usize = frame.parts.iter().map(|part| part.len().min(LONGEST)).sum();
        self.lines -= f64::from(u32::try_from(bytes.div_ceil(LINE)).unwrap_or(u32::MAX));
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let most = self.per_second;
            let message =
                format!("{dropped} log lines dropped: a driver may write {most} a second");
            services.log(LogLevel::Warn, "driver", &message);
        }
        log(services, frame);
        true
    }
}

/// Writes a message to the host's log.
fn log(services: &dyn Services, frame: &Frame) {
    let part = |at: usize| frame.parts.get(at).map_or(&[][..], Vec::as_slice);
    let level = match part(0) {
        [0 | 1] => LogLevel::Error,
        [2] => LogLevel::Warn,
        [3] => LogLevel::Info,
        [4] => LogLevel::Debug,
        _ => LogLevel::Trace,
    };
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().to_owned()
    };
    services.log(level, &text(part(1)), &text(part(2)));
}

/// Answers a question to the host. Blocks.
pub(crate) fn answer(services: &dyn Services, code: u8, parts: Parts) -> Result<Parts> {
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_default();
    let text = String::from_utf8(first).map_err(|_| Error::invalid("a text is no UTF-8"))?;
    match code {
        frame::STORAGE_GET => Ok(services.storage_get(&text)?.into_iter().collect()),
        frame::STORAGE_PUT => {
            services.storage_put(&text, parts.next().as_deref()).map(|()| Vec::new())
        }
        frame::STORAGE_KEYS => {
            let keys = services.storage_keys(&text)?;
            Ok(vec![serde_json::to_vec(&keys)?])
        }
        frame::PUBLISH => {
            let metrics: PerformanceMetrics = serde_json::from_str(&text)?;
            services.publish(&metrics).map(|()| Vec::new())
        }
        frame::SEND => {
            let to = PeerId(text);
            let answer = services.send(&to, &parts.next().unwrap_or_default())?;
            Ok(vec![answer])
        }
        frame::EVENT => {
            let data = serde_json::from_slice(&parts.next().unwrap_or_default())?;
            services.event(&text, &data).map(|()| Vec::new())
        }
        other => Err(Error::unsupported(format!("this host has no service {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use super::*;
    use crate::runner::frame::Kind;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Services for Lines {
        fn log(&self, _: LogLevel, _: &str, message: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }

        fn storage_get(&self, _: &str) -> Result<Option<Vec<u8>>> {
            Ok(None)
        }

        fn storage_put(&self, _: &str, _: Option<&[u8]>) -> Result<()> {
            Ok(())
        }

        fn storage_keys(&self, _: &str) -> Result<Vec<String>> {
            Ok(Vec::new())
        }

        fn publish(&self, _: &PerformanceMetrics) -> Result<()> {
            Ok(())
        }

        fn send(&self, _: &PeerId, _: &[u8]) -> Result<Vec<u8>> {
            Ok(Vec::new())
        }
    }

    fn line(text: &[u8]) -> Frame {
        let parts = vec![vec![2], b"target".to_vec(), text.to_vec()];
        Frame { kind: Kind::Note, code: frame::LOG, object: 1, id: 0, parts }
    }

    #[test]
    fn long_lines_count_as_several() {
        let frame = line(&[b'x'; 10 << 10]);
        let (lines, mut budget) = (Lines::default(), LogBudget::new(5));
        let now = budget.filled_at;
        for _ in 0..100 {
            budget.log(now, &lines, &frame);
        }
        let bytes: usize = lines.0.lock().unwrap().iter().map(String::len).sum();
        assert!((40 << 10..=60 << 10).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_flood_of_log_lines_is_cut_and_counted() {
        let frame = line(b"line");
        let (lines, mut budget) = (Lines::default(), LogBudget::new(5));
        let now = budget.filled_at;
        let pauses = (0..10_000).filter(|_| !budget.log(now, &lines, &frame)).count();
        assert_eq!(lines.0.lock().unwrap().len(), 50);
        assert_eq!(pauses, 9_950 / 64);
        let later = now + Duration::from_millis(400);
        assert!(budget.log(later, &lines, &frame));
        let lines = lines.0.lock().unwrap();
        let last: Vec<_> = lines.iter().skip(50).collect();
        assert_eq!(last, ["9950 log lines dropped: a driver may write 5 a second", "line"]);
    }
}
