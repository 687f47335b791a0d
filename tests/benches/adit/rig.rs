//! What the host costs the rig while miners run.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    baseline::{Baseline, Role},
    host::{Host, built, pid_at},
    process::{cpu_time, memory, resident_of},
    table::{Row, mib, percent},
};

const WHILE: Duration = Duration::from_secs(30);
/// After which a beginning host has settled.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) fn rows() -> Vec<Row> {
    let mut idle = host();
    idle.up(&[]);
    std::thread::sleep(SETTLE);
    let bare = Baseline::start(Role::Axum, b"");
    let [idle_cpu] = cpu_shares([idle.pid()]);
    let pid = idle.pid();
    let over = memory(pid).rss - resident_of(pid, "/driver-copies/");
    let bare_rss = memory(bare.pid()).rss;
    drop(idle);

    let mut host = host();
    host.up(&[]);
    miner(&host, "m0");
    std::thread::sleep(SETTLE);
    let keeper = keeper(&host, "m0");
    let [host_cpu, keeper_cpu] = cpu_shares([host.pid(), keeper]);
    let (host_rss, keeper_pss) = (memory(host.pid()).rss, memory(keeper).pss);
    for number in 1..100 {
        miner(&host, &format!("m{number}"));
    }
    std::thread::sleep(SETTLE);
    let [many_cpu] = cpu_shares([host.pid()]);
    let many_rss = memory(host.pid()).rss;
    let sum = host_cpu + keeper_cpu;
    vec![
        Row::new("idle host over the loaded drivers: RSS", mib(over))
            .beside("bare axum server", mib(bare_rss))
            .ratio(f64::from(over), f64::from(bare_rss))
            .goal("≤ 12 MiB", over <= 12 << 10),
        Row::new("1 miner, 1 line/s, 10 s stats: host + keeper", percent(sum))
            .beside("host without a miner", percent(idle_cpu))
            .goal("≤ 0.1 % of a core", sum <= 0.001),
        Row::new("  of that the keeper", percent(keeper_cpu)),
        Row::new("  host RSS", mib(host_rss))
            .beside("bare axum server", mib(bare_rss))
            .ratio(f64::from(host_rss), f64::from(bare_rss))
            .goal("≤ 25 MiB", host_rss <= 25 << 10),
        Row::new("  keeper PSS", mib(keeper_pss)).goal("≤ 1 MiB", keeper_pss <= 1 << 10),
        Row::new("100 miners: host", percent(many_cpu))
            .beside("host without a miner", percent(idle_cpu))
            .goal("≤ 2 % of a core", many_cpu <= 0.02),
        Row::new("  host RSS", mib(many_rss)),
    ]
}

/// What is installed.
const PROGRAMS: [&str; 3] = ["adit", "adit-keeper", "sim-miner"];
/// The drivers that come with the host, and the one that the measurements need.
const DRIVERS: [&str; 4] = ["declarative", "sim", "tt_miner", "xmrig"];

/// A host as an operator has it: installed in a folder of its own, with the default intervals.
pub(crate) fn host() -> Host {
    let mut host = Host::absent();
    fs::write(host.settings(), "").unwrap();
    let folder = host.folder.path().join("bin");
    fs::create_dir_all(folder.join("drivers")).unwrap();
    for name in PROGRAMS {
        fs::copy(built(name), folder.join(name)).unwrap();
    }
    for name in DRIVERS.map(|name| format!("lib{name}_driver.so")) {
        fs::copy(built(&name), folder.join("drivers").join(name)).unwrap();
    }
    host.binary = folder.join("adit");
    host
}

/// Makes a miner that prints a line each second, and waits until it mines.
pub(crate) fn miner(host: &Host, name: &str) {
    let misbehave = json!({ "countLines": true, "countIntervalMs": 1000 });
    host.simulate(name, &json!({ "shareIntervalMs": 10_000, "misbehave": misbehave }));
}

/// Pid of a miner's keeper.
pub(crate) fn keeper(host: &Host, name: &str) -> u32 {
    pid_at(&host.miner(name)["run"]["keeperPid"])
}

/// Shares of a core that processes use over [`WHILE`].
fn cpu_shares<const N: usize>(pids: [u32; N]) -> [f64; N] {
    let (begin, before) = (Instant::now(), pids.map(cpu_time));
    std::thread::sleep(WHILE);
    let (passed, after) = (begin.elapsed(), pids.map(cpu_time));
    std::array::from_fn(|n| (after[n] - before[n]).as_secs_f64() / passed.as_secs_f64())
}
