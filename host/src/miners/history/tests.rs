use std::time::Duration;

use adit_plugin_api::{DeviceMetrics, PerformanceMetrics, Phase};

use super::*;
use adit_model::{
    name::{DriverId, MinerName},
    sample::{Batch, Sample},
};

const GRID: Grid = Grid::of_ms(10_000);
const T0: i64 = 5_900_000;
const SOAK_MINERS: i64 = 100;
/// Two hours, after half an hour of warming up.
const SOAK_TICKS: i64 = 720;
const WARM_TICKS: i64 = 180;

fn hashrate(miner: i64, tick: i64) -> f64 {
    let noise = f64::from(u16::try_from((miner * 7_919 + tick * 104_729) % 10_007).unwrap());
    1_000.0 + noise / 10.0
}

fn batch(tick: i64, miners: i64) -> Batch {
    let sample = |miner: i64| {
        let device = DeviceMetrics {
            temperature: Some(60.0),
            power: Some(100.5),
            ..DeviceMetrics::default()
        };
        let metrics = PerformanceMetrics {
            hashrate: Some(hashrate(miner, tick)),
            shares: u64::try_from(tick - T0).ok(),
            rejected: Some(1),
            algorithm: Some("rx/0".to_owned()),
            devices: vec![device],
            ..PerformanceMetrics::default()
        };
        Sample {
            name: MinerName::new(format!("m{miner}")).unwrap(),
            driver: DriverId::new("sim").unwrap(),
            phase: Phase::Mining,
            metrics: Some(metrics),
            at_ms: GRID.at_ms(tick),
        }
    };
    Batch { tick, grid: GRID, samples: (0..miners).map(sample).collect() }
}

async fn history(folder: &std::path::Path) -> History {
    let (store, _) = Store::open(folder.join("adit.db")).unwrap();
    History::begin(store, Events::new(0), 30, GRID).await
}

async fn points(history: &History, name: &str, ticks: (i64, i64)) -> Vec<Point> {
    let range = Range { since_ms: GRID.at_ms(ticks.0), until_ms: GRID.at_ms(ticks.1) };
    let subject = (Kind::Miner, name);
    match history.chart(subject, Metric::Hashrate, range, 10_000).await.unwrap() {
        Drawn::Numbers(points) => points,
        Drawn::Phases(_) => panic!("no phases were asked for"),
    }
}

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn two_hours_of_a_hundred_miners_are_complete_and_memory_stays_flat() {
    let folder = tempfile::tempdir().unwrap();
    let kept = history(folder.path()).await;
    for tick in T0..T0 + WARM_TICKS {
        kept.record(&batch(tick, SOAK_MINERS)).await;
    }
    let warm_kib = resident_kib();
    for tick in T0 + WARM_TICKS..T0 + WARM_TICKS + SOAK_TICKS {
        kept.record(&batch(tick, SOAK_MINERS)).await;
    }
    let end = T0 + WARM_TICKS + SOAK_TICKS;
    let grown_kib = resident_kib().saturating_sub(warm_kib);
    // What is not in the database yet is two hours at most, 10 to 20 bytes a sample; and other
    // tests of this process run beside this one.
    assert!(kept.status().memory_bytes < 102 * 720 * 25, "{}", kept.status().memory_bytes);
    assert!(grown_kib < 64 << 10, "{grown_kib} KiB more than after half an hour");
    let status = kept.status();
    assert_eq!((status.missed_ticks, status.waiting_ticks, status.error), (0, 0, None));
    assert_eq!(status.series, 102);
    drop(kept);

    let kept = history(folder.path()).await;
    for miner in 0..SOAK_MINERS {
        let points = points(&kept, &format!("m{miner}"), (T0, end)).await;
        let means = points.iter().map(|point| point.mean);
        assert!(means.eq((T0..end).map(|tick| hashrate(miner, tick))), "m{miner} has a gap");
    }
    let stats = kept.miner("m7").await.unwrap();
    assert_eq!(stats.total_points, u64::try_from(WARM_TICKS + SOAK_TICKS).unwrap());
    assert_eq!(stats.first_seen.unwrap().as_millisecond(), GRID.at_ms(T0));
    let range = Range { since_ms: GRID.at_ms(T0), until_ms: GRID.at_ms(end) };
    let total = kept.chart((Kind::Fleet, ""), Metric::Power, range, 1).await.unwrap();
    let Drawn::Numbers(total) = total else { panic!("power is a number") };
    assert_eq!((total[0].min, total[0].max), (10_050.0, 10_050.0));
    assert_eq!(kept.miners().await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_database_that_cannot_be_written_costs_nothing_but_time() {
    let folder = tempfile::tempdir().unwrap();
    let kept = history(folder.path()).await;
    let mut heard = kept.0.events.subscribe(None);
    for tick in T0..T0 + 20 {
        kept.record(&batch(tick, 3)).await;
    }
    kept.0.store.refuse_writes(true).await;
    for tick in T0 + 20..T0 + 800 {
        kept.record(&batch(tick, 3)).await;
    }
    let status = kept.status();
    assert!(status.error.is_some() && status.failing_since.is_some());
    assert_eq!((status.waiting_ticks, status.missed_ticks, status.lost_chunks), (720, 0, 0));
    // What waits is shown all the same.
    assert_eq!(points(&kept, "m2", (T0, T0 + 800)).await.len(), 800);
    kept.0.store.refuse_writes(false).await;
    kept.record(&batch(T0 + 800, 3)).await;
    let status = kept.status();
    assert_eq!((status.error, status.waiting_ticks), (None, 0));
    drop(kept);
    let kept = history(folder.path()).await;
    assert_eq!(points(&kept, "m2", (T0, T0 + 801)).await.len(), 801);
    let mut kinds = Vec::new();
    while let Some(crate::miners::events::Heard::Event(it)) = heard.try_next() {
        kinds.push(it.event.kind.clone());
    }
    assert_eq!(kinds, ["history.failed", "history.resumed"]);
}

#[tokio::test]
async fn a_history_that_is_off_keeps_five_minutes_in_memory_only() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
    let kept = History::begin(store, Events::new(0), 0, GRID).await;
    for tick in T0..T0 + 100 {
        kept.record(&batch(tick, 1)).await;
    }
    assert_eq!(kept.recent("m0").len(), 30);
    assert_eq!(kept.status().series, 0);
    assert!(matches!(kept.miner("m0").await, Err(Error::NoMiner(_))));
    assert!(points(&kept, "m0", (T0, T0 + 100)).await.is_empty());
}

#[tokio::test]
async fn the_last_five_minutes_are_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let kept = history(folder.path()).await;
    // Wherever the stretch of a miner ends, there is some miner whose stretch ended just before.
    for tick in T0..T0 + 800 {
        kept.record(&batch(tick, 20)).await;
    }
    let before: Vec<_> = (0..20).map(|n| kept.recent(&format!("m{n}"))).collect();
    drop(kept);
    let kept = history(folder.path()).await;
    assert!(kept.recent("m0").is_empty(), "nothing was read yet");
    kept.refill(GRID.at_ms(T0 + 800)).await;
    // The oldest of the thirty is five minutes old by now.
    for (n, before) in before.iter().enumerate() {
        assert_eq!(kept.recent(&format!("m{n}"))[1..], before[1..], "m{n}");
    }
    // What comes then goes on where that ends.
    kept.record(&batch(T0 + 800, 20)).await;
    let after = kept.recent("m3");
    assert_eq!((after.len(), &after[..29]), (30, &before[3][1..]));
}

#[tokio::test]
async fn events_are_kept_and_asked_for_by_miner_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let kept = history(folder.path()).await;
    let ending = tokio_util::sync::CancellationToken::new();
    let events = kept.0.events.clone();
    let keeping = tokio::spawn(kept.clone().keep_events(events.subscribe(None), ending.clone()));
    for n in 0..10 {
        let name = format!("m{}", n % 2);
        events.publish("miner.started", serde_json::json!({ "name": name, "n": n }));
        events.publish("miner.stats", serde_json::json!({ "name": name }));
    }
    let all = EventQuery { since_ms: 0, until_ms: i64::MAX, miner: None, limit: 100 };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while kept.events(all.clone()).await.unwrap().len() < 10 {
        assert!(tokio::time::Instant::now() < deadline, "the events do not arrive");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let of_one = EventQuery { miner: Some("m1".to_owned()), limit: 3, ..all.clone() };
    let found = kept.events(of_one).await.unwrap();
    let numbers: Vec<_> = found.iter().map(|it| it.data["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [9, 7, 5]);
    let none = EventQuery { until_ms: 1, ..all };
    assert_eq!(kept.events(none).await.unwrap(), []);
    ending.cancel();
    keeping.await.unwrap();
}
