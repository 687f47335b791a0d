//! A miner that prints far more than anybody reads.

use std::{
    fs,
    time::{Duration, Instant, SystemTime},
};

use adit_keeper_client::Keepers;
use adit_model::name::MinerName;
use serde_json::{Value, json};

use crate::{
    host::{Host, built},
    http::Client,
    process::{Memory, memory},
    rest, rig,
    samples::Samples,
    table::{Row, mib, time},
};

const ASKED: u32 = 100_000;
const WHILE: Duration = Duration::from_secs(8);
/// In which buffers grow to what they need.
const WARM: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_millis(5);
/// How many of the last lines must be there.
const LAST: usize = 1000;

pub(crate) fn rows() -> Vec<Row> {
    let mut host = rig::host();
    host.up(&[]);
    rig::miner(&host, "quiet");
    let (calm, before) = ask(&host, WHILE);
    let misbehave = json!({ "floodLinesPerSecond": ASKED });
    host.simulate("flood", &json!({ "misbehave": misbehave }));
    let run = &host.miner("flood")["run"];
    let keeper = rig::keeper(&host, "flood");
    let (_, early) = ask(&host, WARM);
    let (during, after) = ask(&host, WHILE);
    let keeper = memory(keeper);
    let ran = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
        - Duration::from_millis(run["startedAtMs"].as_u64().unwrap());
    host.ok("DELETE", "/miners/flood", &Value::Null);
    let numbers = last_numbers(&host);
    let (first, last) = (numbers[0], *numbers.last().unwrap());
    let rate = f64::from(last) / ran.as_secs_f64();
    // Other lines of the program stand between those of the flood and are not missing.
    let missing = (first..=last).count() - numbers.len();
    let asked = f64::from(ASKED);
    let grown = after.rss.saturating_sub(early.rss);
    vec![
        Row::new("lines a second that the miner got out", format!("{rate:.0} /s"))
            .beside("asked for", format!("{asked:.0} /s"))
            .ratio(rate, asked)
            .goal("not slowed: ≥ 0.95", rate / asked >= 0.95),
        Row::new("host RSS after 4 s", mib(early.rss)).beside("before", mib(before.rss)),
        Row::new("  after 12 s", mib(after.rss))
            .beside("after 4 s", mib(early.rss))
            .ratio(f64::from(after.rss), f64::from(early.rss))
            .goal(format!("flat: ≤ 1 MiB more: {}", mib(grown)), grown <= 1 << 10),
        Row::new("keeper PSS in the flood", mib(keeper.pss)),
        Row::new("GET /miners in the flood, p50", time(during.median()))
            .beside("before, p50", time(calm.median()))
            .ratio(during.median().as_secs_f64(), calm.median().as_secs_f64()),
        Row::new("  the same, p99", time(during.p99()))
            .beside("before, p99", time(calm.p99()))
            .ratio(during.p99().as_secs_f64(), calm.p99().as_secs_f64())
            .goal("< 50 ms", during.p99() < Duration::from_millis(50)),
        Row::new(format!("missing of the last {LAST} lines"), missing.to_string())
            .goal("none", missing == 0),
    ]
}

/// Asks for the list of miners over and over, and reads the memory of the host in the end.
fn ask(host: &Host, during: Duration) -> (Samples, Memory) {
    let token = fs::read_to_string(host.state().join("token")).unwrap();
    let (address, base) = rest::split(&host.base);
    let mut client = Client::connect(&address);
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < during {
        let asked = Instant::now();
        client.get(&format!("{base}/miners"), token.trim());
        times.push(asked.elapsed());
        std::thread::sleep(PAUSE);
    }
    (Samples::new(times), memory(host.pid()))
}

/// Numbers of the flood's lines among the last lines that the program printed.
fn last_numbers(host: &Host) -> Vec<u32> {
    let keepers = Keepers::new(host.state().join("miners"), built("adit"));
    let tail = keepers.log(&MinerName::new("flood").unwrap()).tail(2 * LAST).unwrap();
    let printed = tail.iter().rev().filter(|line| !line.starts_with("[adit]")).take(LAST);
    let number = |line: &String| line.strip_prefix("flood ")?.parse().ok();
    let mut numbers: Vec<u32> = printed.filter_map(number).collect();
    numbers.reverse();
    numbers
}
