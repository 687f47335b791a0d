//! How soon a host is there, alone and with miners that run already.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    baseline::start_and_ask,
    host::{Host, wait_for},
    http::{Client, body},
    rest, rig,
    samples::Samples,
    table::{Row, time},
};

const TIMES: usize = 11;
const TIMES_WITH_MINERS: usize = 5;

pub(crate) fn rows() -> Vec<Row> {
    let nothing = Samples::of(TIMES, || assert!(Command::new("true").status().unwrap().success()));
    let bare = Samples::new((0..TIMES).map(|_| start_and_ask()).collect());
    let new = Samples::new((0..TIMES).map(|_| first_reply(&mut rig::host())).collect());
    let mut host = rig::host();
    first_reply(&mut host);
    let again = |_| {
        host.kill();
        first_reply(&mut host)
    };
    let again = Samples::new((0..TIMES).map(again).collect());
    drop(host);
    let mut rows = vec![
        Row::new("fork, exec and end of true, median", time(nothing.median())),
        start_row("start to first reply, new folder, median", &new, &bare),
        start_row("start to first reply, median", &again, &bare),
    ];
    for (count, limit) in [(1, 10), (10, 100), (100, 500)] {
        rows.extend(adoption(count, Duration::from_millis(limit), again.median()));
    }
    rows
}

fn start_row(what: &str, ours: &Samples, bare: &Samples) -> Row {
    Row::new(what, time(ours.median()))
        .beside("bare axum server", time(bare.median()))
        .ratio(ours.median().as_secs_f64(), bare.median().as_secs_f64())
        .goal("≤ 50 ms", ours.median() <= Duration::from_millis(50))
}

/// Starts the host and asks it.
pub(crate) fn first_reply(host: &mut Host) -> Duration {
    let begin = Instant::now();
    host.up(&[]);
    let (address, base) = rest::split(&host.base);
    Client::connect(&address).get(&format!("{base}/health"), "");
    begin.elapsed()
}

/// Starts a host where `count` miners run. `empty` is its start without any.
fn adoption(count: usize, limit: Duration, empty: Duration) -> [Row; 2] {
    let mut host = rig::host();
    host.up(&[]);
    for number in 0..count {
        rig::miner(&host, &format!("m{number}"));
    }
    let (mut replies, mut adoptions) = (Vec::new(), Vec::new());
    for _ in 0..TIMES_WITH_MINERS {
        host.kill();
        let begin = Instant::now();
        replies.push(first_reply(&mut host));
        wait_until_running(&host, count);
        adoptions.push(begin.elapsed());
    }
    let (reply, adopted) = (Samples::new(replies).median(), Samples::new(adoptions).median());
    let over = adopted.saturating_sub(empty);
    let (plural, limit_ms) = (if count == 1 { "miner" } else { "miners" }, limit.as_millis());
    [
        Row::new(format!("start to first reply, {count} {plural}, median"), time(reply))
            .beside("without miners", time(empty))
            .ratio(reply.as_secs_f64(), empty.as_secs_f64())
            .goal("≤ 50 ms", reply <= Duration::from_millis(50)),
        Row::new(format!("start until {count} adopted, median"), time(adopted))
            .beside("first reply without miners", time(empty))
            .ratio(adopted.as_secs_f64(), empty.as_secs_f64())
            .goal(format!("≤ {limit_ms} ms over: {}", time(over)), over <= limit),
    ]
}

fn wait_until_running(host: &Host, count: usize) {
    let token = fs::read_to_string(host.state().join("token")).unwrap();
    let (address, base) = rest::split(&host.base);
    let mut client = Client::connect(&address);
    wait_for("all miners to be adopted", || {
        let reply = client.get(&format!("{base}/miners"), token.trim());
        let miners: Vec<Value> = serde_json::from_slice(body(&reply)).unwrap();
        let running = miners.iter().filter(|miner| miner["running"] == true).count();
        (running == count).then_some(())
    });
}
