//! What a keeper costs.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use adit_keeper_client::{Keepers, run::Run};
use adit_model::{
    name::MinerName,
    run::{LogLimits, RunId, RunSpec},
};
use adit_plugin_api::{Console, StopPlan};
use tokio::runtime::Runtime;

use crate::{
    host::{Host, built, wait_for},
    process::{Memory, memory},
    rig,
    samples::Samples,
    table::{Row, mib, time},
};

const LAUNCHES: usize = 20;
const QUESTIONS: usize = 3_000;
/// After which the host has asked each keeper more than once.
const SETTLE: Duration = Duration::from_secs(12);

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = memory_rows();
    let host = Host::absent();
    let keepers = Keepers::new(host.state().join("miners"), built("adit"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut running = Vec::new();
    let launches = Samples::of(LAUNCHES, || {
        running.push(launch(&runtime, &keepers, host.folder.path(), running.len()));
    });
    let mut sleepers = Vec::new();
    let spawns = Samples::of(LAUNCHES, || sleepers.push(Sleeper::start()));
    rows.push(
        Row::new(format!("launch until reachable, median of {LAUNCHES}"), time(launches.median()))
            .beside("fork and exec of sleep, median", time(spawns.median()))
            .ratio(launches.median().as_secs_f64(), spawns.median().as_secs_f64()),
    );
    let run = &running[0];
    let ask = || drop(runtime.block_on(run.status()).unwrap());
    let status = Samples::of(QUESTIONS, ask);
    let bare = socket_questions(host.folder.path());
    rows.extend([
        Row::new("status, p50", time(status.median()))
            .beside("connect, line there and back, p50", time(bare.median()))
            .ratio(status.median().as_secs_f64(), bare.median().as_secs_f64()),
        Row::new("  the same, p99", time(status.p99())).beside("same, p99", time(bare.p99())),
    ]);
    rows
}

fn memory_rows() -> Vec<Row> {
    let mut host = rig::host();
    host.up(&[]);
    for number in 0..10 {
        rig::miner(&host, &format!("m{number}"));
    }
    std::thread::sleep(SETTLE);
    let pids: Vec<u32> = (0..10).map(|number| rig::keeper(&host, &format!("m{number}"))).collect();
    let many = pids.iter().map(|pid| memory(*pid).pss).sum::<u32>() / 10;
    drop(host);
    let mut host = rig::host();
    host.up(&[]);
    rig::miner(&host, "m0");
    std::thread::sleep(SETTLE);
    let ours = memory(rig::keeper(&host, "m0"));
    let sleeper = Sleeper::start();
    let sleep = sleeper.memory();
    vec![
        Row::new("keeper of one miner: PSS", mib(ours.pss))
            .beside("sleep", mib(sleep.pss))
            .ratio(f64::from(ours.pss), f64::from(sleep.pss))
            .goal("≤ 1 MiB", ours.pss <= 1 << 10),
        Row::new("  each of ten: PSS", mib(many)),
        Row::new("  RSS", mib(ours.rss)).beside("sleep", mib(sleep.rss)),
        Row::new("  private and written to", mib(ours.private_dirty))
            .beside("sleep", mib(sleep.private_dirty)),
    ]
}

fn launch(runtime: &Runtime, keepers: &Keepers, cwd: &Path, number: usize) -> Run {
    let spec = RunSpec {
        run: RunId::random(),
        miner: MinerName::new(format!("m{number}")).unwrap(),
        program: "/bin/sleep".into(),
        args: vec!["600".to_owned()],
        env: BTreeMap::new(),
        cwd: cwd.to_owned(),
        writable: Vec::new(),
        console: Console::Pty,
        stdin: None,
        stop: StopPlan::default(),
        log: LogLimits::default(),
    };
    runtime.block_on(async {
        let run = keepers.launch(&spec).await.unwrap();
        run.status().await.unwrap();
        run
    })
}

/// What the question costs when nobody thinks about the answer.
fn socket_questions(folder: &Path) -> Samples {
    let path = folder.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    // Ends with the process; the socket goes with the folder.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            reader.get_mut().write_all(line.as_bytes()).unwrap();
        }
    });
    Samples::of(QUESTIONS, || {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"{\"protocol\":1,\"do\":\"status\"}\n").unwrap();
        BufReader::new(stream).read_line(&mut String::new()).unwrap();
    })
}

/// A process that does nothing; killed when dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Sleeper {
    /// Its memory once it sleeps.
    fn memory(&self) -> Memory {
        let pid = self.0.id();
        wait_for("sleep to sleep", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.contains("(sleep) S").then_some(())
        });
        memory(pid)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
