//! What the threads share: the simulation, the output, and the way to the end.

use std::{
    process::ExitCode,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{output::Output, report, settings::Settings, sim::Sim};

const TICK: Duration = Duration::from_millis(100);

/// The running miner.
#[derive(Debug)]
pub(crate) struct Rig {
    // Held for a calculation only, never while printing or replying.
    sim: Mutex<Sim>,
    pub(crate) output: Output,
    is_frozen: AtomicBool,
    end: mpsc::Sender<End>,
    started: OnceLock<Instant>,
}

/// Why the program ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) code: ExitCode,
    pub(crate) reason: &'static str,
}

impl Rig {
    /// A rig at its start, and where it tells that it has to end.
    pub(crate) fn new(settings: &Settings) -> (Self, mpsc::Receiver<End>) {
        let (end, ended) = mpsc::channel();
        let rig = Self {
            sim: Mutex::new(Sim::new(settings.mining.clone())),
            output: Output::new(settings.is_silent),
            is_frozen: AtomicBool::new(false),
            end,
            started: OnceLock::new(),
        };
        (rig, ended)
    }

    /// Time since the first call, which the start makes after its delay.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.get_or_init(Instant::now).elapsed()
    }

    /// Ends the program.
    pub(crate) fn end(&self, reason: &'static str, code: ExitCode) {
        // Without a receiver the program is ending already.
        self.end.send(End { code, reason }).ok();
    }

    /// Freezes everything but the process.
    pub(crate) fn freeze(&self) {
        self.is_frozen.store(true, Ordering::Relaxed);
        self.output.silence();
    }

    /// Never returns once the rig is frozen.
    pub(crate) fn stay_if_frozen(&self) {
        while self.is_frozen.load(Ordering::Relaxed) {
            thread::park();
        }
    }

    /// Prints the banner.
    pub(crate) fn greet(&self) {
        let lines = report::banner(&self.sim());
        lines.iter().for_each(|line| self.output.plain(line));
    }

    /// Mines until the end of the process.
    pub(crate) fn mine(&self) -> ! {
        loop {
            thread::sleep(TICK);
            self.stay_if_frozen();
            let lines: Vec<(&str, String)> = {
                let mut sim = self.sim();
                let events = sim.advance(self.elapsed());
                events.into_iter().map(|event| report::line(event, &sim)).collect()
            };
            lines.iter().for_each(|(tag, text)| self.output.line(tag, text));
        }
    }

    /// Pauses or goes on; nothing happens when it does so already.
    pub(crate) fn set_paused(&self, is_paused: bool) {
        let line = {
            let mut sim = self.sim();
            let event = if is_paused { sim.pause() } else { sim.resume() };
            event.map(|event| report::line(event, &sim))
        };
        if let Some((tag, text)) = line {
            self.output.line(tag, &text);
        }
    }

    /// Prints what `say` makes of the simulation.
    pub(crate) fn say(&self, tag: &str, say: fn(&Sim) -> String) {
        let text = say(&self.sim());
        self.output.line(tag, &text);
    }

    /// The reply to `GET /stats`.
    pub(crate) fn stats(&self) -> serde_json::Value {
        report::stats(&self.sim(), SystemTime::now())
    }

    fn sim(&self) -> MutexGuard<'_, Sim> {
        self.sim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
