//! Two hours of ticks of a hundred miners through a real host, at 25 times their speed.

use std::fs;

use serde_json::{Value, json};

use crate::host::{Host, wait_for};

const MINERS: u32 = 100;
const STEP_MS: u64 = 400;
/// Two hours of 10 s.
const TICKS: u64 = 720;
/// After so many the host has settled: half an hour.
const WARM: u64 = 180;
/// What is not packed yet and the last five minutes of all ticks grow until two hours are full: 100
/// miners of 720 ticks of some 50 bytes.
const GROWTH_KIB: u64 = 12 << 10;

fn resident_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn samples(host: &Host) -> u64 {
    host.get("/history/miners/m0")["totalPoints"].as_u64().unwrap()
}

fn wait_for_samples(host: &Host, count: u64) {
    let mut seen = samples(host);
    while seen < count {
        // As long as it goes on, it may take its time.
        seen = wait_for(&format!("more than {seen} samples"), || {
            let now = samples(host);
            (now >= count || now > seen).then_some(now)
        });
        std::thread::sleep(std::time::Duration::from_millis(STEP_MS));
    }
}

#[test]
#[ignore = "takes both cores for five minutes"]
fn two_hours_of_a_hundred_miners_leave_no_gap_and_memory_flat() {
    let mut host = Host::absent();
    let settings = format!("[miners]\nstats_interval_ms = {STEP_MS}\noutput_interval_ms = 400\n");
    fs::write(host.settings(), settings).unwrap();
    host.up(&[]);
    for number in 0..MINERS {
        host.simulate(&format!("m{number}"), &json!({ "shareIntervalMs": 10_000 }));
    }
    for number in 0..MINERS {
        let path = format!("/history/miners/m{number}");
        wait_for("the first hashrate", || {
            let (_, stats) = host.call("GET", &path, &Value::Null);
            stats["totalPoints"].as_u64().filter(|count| *count > 0)
        });
    }
    let begin = samples(&host);
    wait_for_samples(&host, begin + WARM);
    let warm = resident_kib(host.pid());
    wait_for_samples(&host, begin + TICKS);
    let grown = resident_kib(host.pid()).saturating_sub(warm);
    assert!(grown < GROWTH_KIB, "{grown} KiB more than the {warm} KiB of the beginning");
    let status = host.get("/history/status");
    assert_eq!((&status["missedTicks"], &status["waitingTicks"]), (&json!(0), &json!(0)));
    for number in 0..MINERS {
        let stats = host.get(&format!("/history/miners/m{number}"));
        let since = stats["firstSeen"].as_str().unwrap();
        let chart = format!("/history/miners/m{number}/hashrate?since={since}&points=10000");
        let points = host.get(&chart);
        let points = points.as_array().unwrap();
        assert!(points.len() as u64 >= TICKS, "m{number}: {}", points.len());
        let gaps = points.iter().filter(|point| point["afterGap"] == true).count();
        assert_eq!(gaps, 0, "m{number}: {gaps} gaps in {} points", points.len());
    }
}
