//! A fleet on loopback, measured. Two processes, started together:
//!
//! ```sh
//! export ADIT_FLEET=10000 ADIT_FLEET_DIR=$(mktemp -d) TMPDIR=/dev/shm
//! cargo test --release -p adit --lib scale::controller -- --ignored --nocapture &
//! cargo test --release -p adit --lib scale::workers -- --ignored --nocapture
//! ```
#![expect(clippy::print_stdout, reason = "a measurement prints")]

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::*;
use crate::node::{
    command::{Targets, Waves},
    limits::{chance, pause},
    payload::{Done, OldSample, Report, Samples, StopMiner},
};

/// Longest wait for the whole fleet.
const LONG: Duration = Duration::from_secs(600);
/// Time between two reports of a worker.
const REPORT: Duration = Duration::from_secs(10);

fn size() -> usize {
    std::env::var("ADIT_FLEET").map_or(1_000, |text| text.parse().unwrap())
}

fn meeting() -> PathBuf {
    PathBuf::from(std::env::var("ADIT_FLEET_DIR").expect("ADIT_FLEET_DIR names a folder"))
}

fn key(number: usize) -> SecretKey {
    let digest: [u8; 32] = Sha256::digest(format!("worker {number}")).into();
    SecretKey::from_bytes(&Zeroizing::new(digest))
}

/// Bytes of memory in use, and CPU seconds spent.
fn usage() -> (usize, f64) {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    (pages * 4_096, ticks / 100.0)
}

async fn all_here(rig: &Rig, count: usize) -> Duration {
    let began = Instant::now();
    while rig.node.info().connected_peers < count {
        assert!(began.elapsed() < LONG, "{} came", rig.node.info().connected_peers);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn controller() {
    let count = size();
    let mut rig = Rig::up_every(REPORT, NodeRole::Controller, "127.0.0.1:0").await;
    for number in 0..count {
        rig.knows(key(number).public(), NodeRole::Worker).await;
    }
    let (idle, cpu) = usage();
    let told = format!("{} {}", rig.address(), rig.key());
    std::fs::write(meeting().join("new"), told).unwrap();
    std::fs::rename(meeting().join("new"), meeting().join("controller")).unwrap();
    let took = all_here(&rig, count).await;
    let (joined, cpu_joined) = usage();
    let each = |now: usize| now.saturating_sub(idle) / count;
    println!("{count} workers: {took:.1?} to connect, {:.2} s CPU", cpu_joined - cpu);
    println!("memory a worker: {} bytes when connected", each(joined));
    tokio::time::sleep(REPORT * 2).await;
    let before = usage().1;
    tokio::time::sleep(REPORT * 3).await;
    let (busy, after) = usage();
    println!("memory a worker: {} bytes after 50 s of reports", each(busy));
    let history = rig.miners.history().status();
    println!("of that for the history: {} bytes", history.memory_bytes / count);
    println!("series: {}, ticks missed: {}", history.series, history.missed_ticks);
    println!("CPU: {:.1} % of a core", (after - before) / (REPORT * 3).as_secs_f64() * 100.0);
    let began = Instant::now();
    let fleet = rig.node.fleet(false).unwrap();
    println!("totals of {} miners: {:.1?}", fleet.totals.miners, began.elapsed());
    let peers = (0..count.min(200)).map(|number| key(number).public().id()).collect();
    let targets = Targets { peers, ..Targets::default() };
    for _ in 0..3 {
        let stop = Body::StopMiner(StopMiner { miner_name: "rig".parse().unwrap() });
        let began = Instant::now();
        let outcomes = rig.node.command_many(&targets, stop, Waves::default()).await.unwrap();
        let done = outcomes.iter().filter(|it| it.error.is_none()).count();
        println!("one command to 200: {done} done in {:.1?}", began.elapsed());
    }
    let before = usage().1;
    rig.again().await;
    let took = all_here(&rig, count).await;
    println!("after a restart: all back in {took:.1?}, {:.2} s CPU", usage().1 - before);
    let fetched = || {
        let net = rig.net();
        let book = net.book();
        book.all().all(|it| it.reported.lock().unwrap().gap_ms().is_none())
    };
    let began = Instant::now();
    while !fetched() {
        assert!(began.elapsed() < LONG, "the past was never fetched");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "and what was missed is there {:.1?} later, {:.2} s CPU in all",
        began.elapsed(),
        usage().1 - before
    );
    std::fs::write(meeting().join("done"), "").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn workers() {
    crate::node::raise_limit();
    let told = loop {
        match std::fs::read_to_string(meeting().join("controller")) {
            Ok(told) => break told,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let (address, listener) = told.split_once(' ').unwrap();
    let listener = PublicKey::try_from(listener.to_owned()).unwrap();
    for number in 0..size() {
        tokio::spawn(worker(number, address.to_owned(), listener));
    }
    while !meeting().join("done").exists() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn worker(number: usize, address: String, listener: PublicKey) {
    let (key, instance) = (key(number), Uuid::new_v4());
    let mut failures = 0;
    loop {
        let began = Instant::now();
        // The whole fleet begins at once, as after a power cut.
        tokio::time::sleep(pause(failures, chance())).await;
        let _ended = work(&key, instance, &address, &listener).await;
        failures = if began.elapsed().as_secs() > 60 { 0 } else { failures + 1 };
    }
}

async fn work(
    key: &SecretKey,
    instance: Uuid,
    address: &str,
    listener: &PublicKey,
) -> Result<(), String> {
    let mut socket = Socket::dial(address).await?;
    let (dialling, first) = Dialling::begin(key, listener, Mode::Session, None).unwrap();
    socket.send(first).await?;
    let answer = socket.receive().await?;
    let (channel, _) = dialling.finish(&answer).map_err(|error| error.to_string())?;
    let (outgoing, incoming) = socket.split().await;
    let (own, peer) = (key.public().id().to_string(), listener.id().to_string());
    let mut raw = Raw { key: key.clone(), own, peer, channel, outgoing, incoming };
    raw.say(handshake(NodeRole::Worker, instance)).await?;
    let mut ticks = tokio::time::interval(REPORT.mul_f64(0.5 + chance()));
    let mut shares = 0;
    loop {
        tokio::select! {
            frame = raw.incoming.receive() => {
                let frame = frame.map_err(|reason| reason.to_string())?;
                let opened = raw.channel.opener.open(&frame).map_err(|error| error.to_string())?;
                let Some(bytes) = opened else { continue };
                let message = Message::decode(&bytes)?;
                if let Body::GetSamples(ask) = &message.body {
                    raw.send(&message.answer(samples(ask.ago_ms))).await?;
                } else if message.body.is_request() {
                    raw.send(&message.answer(Body::Done(Done::default()))).await?;
                }
            }
            _ = ticks.tick() => {
                shares += 1;
                raw.say(report(shares)).await?;
            }
        }
    }
}

/// What such a rig did while it was away: a sample every ten seconds.
fn samples(ago_ms: u64) -> Body {
    let old = |ago_ms: u64| OldSample {
        ago_ms,
        hashrate: Some(1.24e8),
        accepted: Some(7.0),
        temperature: Some(61.0),
        power: Some(480.0),
        phase: Some("mining".to_owned()),
        ..OldSample::default()
    };
    let samples = (0..ago_ms.min(3_600_000) / 10_000).rev().map(|n| old(n * 10_000));
    Body::Samples(Samples { samples: samples.collect(), ..Samples::default() })
}

/// What a rig with one miner on four GPUs pushes: all of it at first, then what changes.
fn report(shares: u64) -> Body {
    let device = |n: u64| {
        serde_json::json!({
            "id": format!("pci:0000:0{n}:00.0"), "name": "A graphics card", "hashrate": 3.1e7,
            "accepted": shares, "temperature": 61.0, "fan": 0.6, "power": 120.5,
        })
    };
    let mut miner = serde_json::json!({
        "hashrate": 1.24e8 + f64::from(u32::try_from(shares).unwrap()), "shares": shares,
        "uptime": shares * 10, "devices": [device(1), device(2), device(3), device(4)],
    });
    if shares == 1 {
        for (field, value) in [
            ("algorithm", "kawpow"),
            ("minerType", "tt-miner"),
            ("phase", "mining"),
            ("version", "1.0.0"),
            ("desired", "running"),
        ] {
            miner[field] = value.into();
        }
        miner["running"] = true.into();
        miner["pool"] = serde_json::json!({ "url": "pool.example:3333", "latencyMs": 20.0 });
    }
    let miners = serde_json::from_value(serde_json::json!({ "rig": miner })).unwrap();
    Body::Stats(Report { full: shares == 1, miners, ..Report::default() })
}
