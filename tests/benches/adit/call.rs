//! What a call of a driver costs.

use std::{
    hint::black_box,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use adit::miners::{Events, HostServices, PeerLink};
use adit_drivers::{
    handle::Instance,
    load, preflight,
    registry::{Drivers, Options},
    runner::Spawner,
    search::Search,
};
use adit_model::name::DriverId;
use adit_plugin_api::{Config, DriverObject, testing};
use adit_store::Store;
use tokio::runtime::Runtime;

use crate::{
    host::built,
    samples::{Samples, ns_per_call},
    table::{Row, nanoseconds, time},
};

const SHORT: u32 = 500_000;
const LONG: u32 = 5_000;
const TURNS: usize = 20_000;

pub(crate) fn rows() -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let test_host = testing::host();
    let image = preflight::read(&built("libsim_driver.so")).unwrap();
    let module = load::load(&image.bytes, &folder.path().join("copies")).unwrap();
    let driver = DriverObject::create(module, &test_host.context()).unwrap();

    let direct = ns_per_call(SHORT, || drop(black_box(answer(black_box(true)))));
    let across = ns_per_call(SHORT, || drop(black_box(driver.is_healthy())));
    let over = across - direct;
    let (launch, config) = (testing::launch(), Config::default());
    let body = include_bytes!("../../../examples/sim-driver/samples/stats.json");
    let replies = [testing::reply("stats", body.as_slice())];
    assert!(driver.stats(&launch, &replies).unwrap().hashrate.is_some(), "no figures to measure");
    let stats = ns_per_call(LONG, || drop(black_box(driver.stats(&launch, &replies))));
    let start = ns_per_call(LONG, || drop(black_box(driver.start(&config, &launch))));

    let runtime = Runtime::new().unwrap();
    let whole = turns(&runtime, runtime.block_on(instance(folder.path(), None)));
    let spawner: Spawner =
        Arc::new(|socket| adit_keeper_client::spawn_runner(&built("adit"), socket));
    let other = runtime.block_on(instance(folder.path(), Some(spawner)));
    let raw = socket_pair();
    let process = turns(&runtime, other);
    let ratio = process.median().as_secs_f64() / raw.median().as_secs_f64();
    vec![
        Row::new("bool across the ABI, best of 9 rounds", nanoseconds(across))
            .beside("direct call, not inlined", nanoseconds(direct))
            .ratio(across, direct)
            .goal(format!("≤ 50 ns over: {over:.1} ns"), over <= 50.0),
        Row::new("stats: JSON there and back", nanoseconds(stats)),
        Row::new("start: JSON there and back", nanoseconds(start)),
        Row::new("bool with deadline and thread hop, p50", time(whole.median()))
            .beside("socketpair round trip, p50", time(raw.median()))
            .ratio(whole.median().as_secs_f64(), raw.median().as_secs_f64()),
        Row::new("  the same, p99", time(whole.p99())).beside("same, p99", time(raw.p99())),
        Row::new("bool of a driver in its own process, p50", time(process.median()))
            .beside("socketpair round trip, p50", time(raw.median()))
            .ratio(process.median().as_secs_f64(), raw.median().as_secs_f64())
            .goal("≤ 3 × the round trip", ratio <= 3.0),
        Row::new("  the same, p99", time(process.p99())).beside("same, p99", time(raw.p99())),
    ]
}

/// What `is_healthy` does, without anything between.
#[inline(never)]
#[expect(clippy::unnecessary_wraps, reason = "what it is compared with can fail")]
fn answer(healthy: bool) -> adit_plugin_api::Result<bool> {
    Ok(healthy)
}

/// What a call takes where calls are made: in a task of the runtime.
fn turns(runtime: &Runtime, instance: Instance) -> Samples {
    let calling = runtime.spawn(async move {
        let mut times = Vec::new();
        for _ in 0..TURNS {
            let begin = std::time::Instant::now();
            instance.is_healthy().await.unwrap();
            times.push(begin.elapsed());
        }
        Samples::new(times)
    });
    runtime.block_on(calling).unwrap()
}

/// The driver as the host holds it, in its own process if there is a spawner.
async fn instance(folder: &Path, spawner: Option<Spawner>) -> Instance {
    let drivers = load_alone(folder, spawner).await;
    let id = DriverId::new("sim").unwrap();
    drivers.get(&id).unwrap_or_else(|| panic!("{:?}", drivers.list())).instance(None).await.unwrap()
}

/// All that the host does to find and load one driver in `folder`.
async fn load_alone(folder: &Path, spawner: Option<Spawner>) -> Drivers {
    let dir = folder.join("drivers");
    load::private_dir(&dir).unwrap();
    std::fs::copy(built("libsim_driver.so"), dir.join("sim.so")).unwrap();
    let (store, _) = Store::open(folder.join("bench.db")).unwrap();
    let search = Search { dirs: vec![dir], ..Search::default() };
    let mut options = Options::new(search, folder.join("copies"), folder.join("data"));
    options.hosting.spawner = spawner;
    let services = HostServices::new(store, Events::new(0), PeerLink::default());
    let services = move |driver: &_, miner: Option<&_>| services.of_object(driver, miner);
    Drivers::load(options, Arc::new(services)).await
}

/// A byte to another thread and back.
fn socket_pair() -> Samples {
    let (mut here, mut there) = UnixStream::pair().unwrap();
    here.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let echo = std::thread::spawn(move || {
        let mut byte = [0];
        while there.read_exact(&mut byte).is_ok() {
            there.write_all(&byte).unwrap();
        }
    });
    let samples = Samples::of(TURNS, || {
        here.write_all(b"?").unwrap();
        here.read_exact(&mut [0]).unwrap();
    });
    drop(here);
    echo.join().unwrap();
    samples
}
