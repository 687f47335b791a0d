//! What becomes of miners when hosts, keepers, programs, files and disks come to grief.

mod damage;
mod database;
mod disks;
mod endings;
mod host_killed;
mod keeper_killed;
mod refusals;
mod unreachable;
mod upgrade;

use std::{fs, path::Path, thread, time::Duration};

use serde_json::{Value, json};

use crate::host::{Host, is_alive, pid_at, processes, wait_for};

pub(crate) const NONE: &Value = &Value::Null;

/// The processes that run a simulated miner of the state folder, grandchildren aside.
pub(crate) fn programs(state: &Path) -> Vec<u32> {
    let link = |pid: u32, name: &str| fs::read_link(format!("/proc/{pid}/{name}")).ok();
    let runs_here = |pid: &u32| {
        link(*pid, "exe").is_some_and(|exe| exe.to_string_lossy().contains("/sim-miner"))
            && link(*pid, "cwd").is_some_and(|cwd| cwd.starts_with(state))
            && !fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .unwrap_or_default()
                .contains("--grandchild")
    };
    processes().into_iter().filter(runs_here).collect()
}

/// Every process that has to do with the state folder: keepers, programs and what they started.
fn everything_of(state: &Path) -> Vec<u32> {
    let name = state.to_string_lossy().into_owned();
    let is_here = |pid: &u32| {
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(state));
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (cwd || String::from_utf8_lossy(&line).contains(&name)) && is_alive(*pid)
    };
    processes().into_iter().filter(is_here).collect()
}

/// Waits until nothing of the state folder lives.
pub(crate) fn wait_for_silence(state: &Path) {
    wait_for("everything to end", || everything_of(state).is_empty().then_some(()));
}

/// Makes the miner `rig-1` and waits until it is mining.
pub(crate) fn mining(host: &Host, config: &Value) -> Value {
    host.simulate("rig-1", config);
    host.wait_for_phase("rig-1", "mining")
}

/// Waits until `rig-1` is mining with another process than `old`.
pub(crate) fn mining_afresh(host: &Host, old: u32) -> u32 {
    wait_for("another run", || {
        let miner = host.miner("rig-1");
        let pid = u32::try_from(miner["run"]["pid"].as_u64()?).ok()?;
        (miner["phase"] == "mining" && pid != old).then_some(pid)
    })
}

/// Waits until there are figures of `rig-1` from its API, not only from its output.
pub(crate) fn figures(host: &Host) -> Value {
    wait_for("figures", || {
        let stats = host.get("/miners/rig-1/stats");
        (stats["hashrate"].is_number() && stats["uptime"].is_number()).then_some(stats)
    })
}

pub(crate) fn keeper(miner: &Value) -> u32 {
    pid_at(&miner["run"]["keeperPid"])
}

pub(crate) fn pid(miner: &Value) -> u32 {
    pid_at(&miner["run"]["pid"])
}

/// Numbers of the counted lines among `lines`.
fn counted(lines: &[String]) -> Vec<u64> {
    let number = |line: &String| line.strip_prefix("line ")?.parse().ok();
    lines.iter().filter_map(number).collect()
}

/// Checks that no counted line is missing and none is there twice, and returns how many there are.
pub(crate) fn assert_no_gap(lines: &[String]) -> u64 {
    let numbers = counted(lines);
    let last = *numbers.last().unwrap();
    let broken = numbers.iter().zip(1..).find(|(number, expected)| **number != *expected);
    assert_eq!((broken, numbers.len() as u64), (None, last));
    last
}

/// Reads the log of `rig-1` piece by piece, over the lives of several hosts.
pub(crate) struct Follower {
    cursor: String,
    pub(crate) lines: Vec<String>,
}

impl Follower {
    pub(crate) fn new() -> Self {
        Self { cursor: "0:0".to_owned(), lines: Vec::new() }
    }

    pub(crate) fn read(&mut self, host: &Host) {
        loop {
            let page = host.get(&format!("/miners/rig-1/logs?after={}", self.cursor));
            assert_eq!(page["skippedBytes"], 0);
            page["cursor"].as_str().unwrap().clone_into(&mut self.cursor);
            let lines = page["lines"].as_array().unwrap();
            if lines.is_empty() {
                return;
            }
            self.lines.extend(lines.iter().map(|line| line.as_str().unwrap().to_owned()));
        }
    }

    /// How many lines begin with `text`.
    fn count(&self, text: &str) -> usize {
        self.lines.iter().filter(|line| line.starts_with(text)).count()
    }
}

/// Random numbers that a failed test can be repeated with.
pub(crate) struct Random(u64);

impl Random {
    #[expect(clippy::print_stderr, reason = "a failed test tells its seed")]
    pub(crate) fn new() -> Self {
        let seed = std::env::var("ADIT_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9 + 1);
        eprintln!("ADIT_TEST_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // Xorshift: spread is all that is asked of it.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Lets up to `most_ms` pass. Not a wait for anything: it moves the moment of what follows.
    pub(crate) fn pause(&mut self, most_ms: u64) {
        thread::sleep(Duration::from_micros(self.below(most_ms * 1000)));
    }
}

/// Starts a host and kills it at a random moment of its first `most_ms`.
pub(crate) fn start_and_kill(host: &Host, random: &mut Random, most_ms: u64) {
    let mut starting = host.spawn(&[]);
    random.pause(most_ms);
    starting.kill().unwrap();
    starting.wait().unwrap();
}

/// A JSON file in the folder of `rig-1`.
fn record(host: &Host, name: &str) -> Value {
    let text = fs::read(host.state().join("miners/rig-1").join(name)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// A configuration that counts its lines.
pub(crate) fn counting() -> Value {
    json!({ "hashrate": 5000.0, "misbehave": { "countLines": true, "countIntervalMs": 5 } })
}
