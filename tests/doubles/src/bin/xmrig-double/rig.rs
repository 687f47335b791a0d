//! What the double knows of itself, and what it prints.

use std::{
    io::{self, Write},
    net::TcpStream,
    path::PathBuf,
    sync::{Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use jiff::Zoned;
use serde_json::Value;

use crate::config;

/// Time from a first job to the first hashrate; XMRig takes eleven seconds.
const MEASURED_AFTER: Duration = Duration::from_secs(1);

/// Prints a line with time and tag. A reader that is gone changes nothing.
pub(crate) fn say(tag: &str, text: &str) {
    let now = Zoned::now().strftime("%Y-%m-%d %H:%M:%S%.3f");
    tell(&format!("[{now}] {:<9} {text}", format!(" {tag}")));
}

/// Prints a line with a time and no tag, as XMRig's TLS does.
pub(crate) fn say_untagged(text: &str) {
    let now = Zoned::now().strftime("%Y-%m-%d %H:%M:%S%.3f");
    tell(&format!("[{now}] {text}"));
}

/// Prints a line as it is.
pub(crate) fn tell(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").ok();
    out.flush().ok();
}

/// The program's state.
pub(crate) struct Rig {
    pub(crate) version: String,
    pub(crate) file: PathBuf,
    pub(crate) started: Instant,
    /// Commands are taken and not carried out.
    pub(crate) is_deaf: bool,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) config: Value,
    /// Grows with each change of the configuration.
    pub(crate) changes: u64,
    pub(crate) paused: bool,
    pub(crate) ending: bool,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) hashes: u64,
    pub(crate) first_job: Option<Instant>,
    pub(crate) algo: Option<String>,
    pub(crate) connection: Connection,
    /// Connections that were left open after a redirect.
    pub(crate) leaked: Vec<TcpStream>,
}

/// What is told of the pool. Its name stays when it is lost.
#[derive(Default)]
pub(crate) struct Connection {
    pub(crate) pool: String,
    pub(crate) since: Option<Instant>,
    pub(crate) ip: Option<String>,
    pub(crate) tls: Option<String>,
    pub(crate) diff: u64,
    pub(crate) failures: u64,
}

impl Rig {
    pub(crate) fn new(version: String, file: PathBuf, config: Value, is_deaf: bool) -> Self {
        let state = State { config, ..State::default() };
        Self { version, file, started: Instant::now(), is_deaf, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn print_banner(&self) {
        let config = self.state().config.clone();
        let pages = if config["cpu"]["huge-pages"] == false { "disabled" } else { "supported" };
        tell(&format!(
            " * ABOUT        XMRig/{} gcc/12.2.0 (built for Linux x86-64)",
            self.version
        ));
        tell(&format!(" * HUGE PAGES   {pages}"));
        for (index, pool) in config::pools(&config).iter().enumerate() {
            print_pool(index, &pool.url);
        }
    }

    pub(crate) fn print_speed(&self) {
        let rate = self.hashrate().map_or_else(|| "n/a".to_owned(), |rate| format!("{rate:.1}"));
        say("miner", &format!("speed 10s/60s/15m {rate} n/a n/a H/s max {rate} H/s"));
    }

    /// The ten-second window. `None`: nothing was measured yet.
    pub(crate) fn hashrate(&self) -> Option<f64> {
        let state = self.state();
        let measured = state.first_job.is_some_and(|since| since.elapsed() > MEASURED_AFTER);
        let hashes = state.connection.since.is_some() && !state.paused;
        measured.then_some(if hashes { 1_234.5 } else { 0.0 })
    }

    pub(crate) fn pause(&self, paused: bool) {
        if self.is_deaf {
            return;
        }
        let was = std::mem::replace(&mut self.state().paused, paused);
        if was != paused {
            say("miner", if paused { "paused, press  r  to resume" } else { "resumed" });
        }
    }

    /// Takes a whole configuration in place of the one before.
    pub(crate) fn replace(&self, config: Value) {
        if self.is_deaf {
            return;
        }
        for (index, pool) in config::pools(&config).iter().enumerate() {
            print_pool(index, &pool.url);
        }
        // Also without autosave, and not in one go.
        std::fs::write(&self.file, config.to_string()).unwrap();
        let mut state = self.state();
        state.config = config;
        state.changes += 1;
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.state().ending
    }

    pub(crate) fn end(&self) {
        self.state().ending = true;
    }

    /// XMRig's loop goes on while a connection is open, and nobody closes a leaked one but its pool.
    pub(crate) fn wait_for_leaked_connections(&self) {
        let leaked = std::mem::take(&mut self.state().leaked);
        for stream in leaked {
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(None).unwrap();
            io::copy(&mut &stream, &mut io::sink()).ok();
        }
    }

    /// Sleeps unless there is something else to do. `false`: there is.
    pub(crate) fn rest(&self, time: Duration, changes: u64) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < time {
            if self.is_ending() || self.state().changes != changes {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

fn print_pool(index: usize, url: &str) {
    tell(&format!(" * POOL #{}      {url} algo auto", index + 1));
}
