use super::*;
use crate::{options::Options, settings::Settings};

fn sim(options: &str) -> Sim {
    let options: Options = serde_json::from_str(options).unwrap();
    Sim::new(Settings::new(&options).unwrap().mining)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= b.abs() * 1e-9 + 1e-6
}

#[test]
fn phases_come_in_order() {
    let mut sim = sim(r#"{"preparing-ms": 1000, "share-interval-ms": 2000, "seed": 1}"#);
    let mut seen = vec![sim.phase()];
    for step in 1..600 {
        sim.advance(Duration::from_millis(step * 100));
        if seen.last() != Some(&sim.phase()) {
            seen.push(sim.phase());
        }
    }
    use Phase::*;
    assert_eq!(seen, [Starting, Preparing, Connecting, Waiting, Mining]);
}

#[test]
fn the_same_seed_gives_the_same_row_whatever_the_ticks() {
    let options = r#"{"share-interval-ms": 500, "reject-rate": 0.2, "seed": 5}"#;
    let (mut once, mut often) = (sim(options), sim(options));
    let at_once = once.advance(seconds(120));
    let in_steps: Vec<Event> =
        (1..=1200).flat_map(|step| often.advance(Duration::from_millis(step * 100))).collect();
    assert_eq!(at_once, in_steps);
    assert_eq!(once.hashrate(), often.hashrate());
    let mut other = sim(&options.replace('5', "6"));
    assert_ne!(at_once, other.advance(seconds(120)));
}

#[test]
fn devices_add_up_and_the_hashrate_wobbles_around_the_configured_one() {
    let mut sim = sim(r#"{"hashrate": 1000, "devices": 5, "seed": 3, "preparing-ms": 0}"#);
    let mut seen = Vec::new();
    for second in 1..=1000 {
        sim.advance(seconds(second));
        let Some(total) = sim.hashrate() else { continue };
        let sum: f64 = sim.devices().iter().filter_map(Device::now).sum();
        assert!(close(sum, total), "{sum} {total}");
        assert!((850.0..1150.0).contains(&total), "{total}");
        seen.push(total);
    }
    seen.sort_by(f64::total_cmp);
    seen.dedup();
    assert!(seen.len() > 100, "the chart would be a straight line");
    let quarter = sim.window(900).unwrap();
    assert!((970.0..1030.0).contains(&quarter), "{quarter}");
    assert!(sim.window(901).is_none());
}

#[test]
fn shares_come_at_the_mean_interval_and_are_rejected_at_the_rate() {
    let mut sim = sim(r#"{"share-interval-ms": 1000, "reject-rate": 0.25, "seed": 9}"#);
    sim.advance(seconds(4000));
    let (accepted, rejected) = (sim.accepted(), sim.rejected());
    assert!((3700..4300).contains(&(accepted + rejected)), "{accepted} {rejected}");
    assert!((850..1150).contains(&rejected), "{rejected}");
}

#[test]
fn a_pause_stops_hashes_and_shares_and_ends() {
    let mut sim = sim(r#"{"share-interval-ms": 100, "seed": 2, "preparing-ms": 0}"#);
    sim.advance(seconds(20));
    assert_eq!(sim.pause(), Some(Event::Paused));
    assert_eq!(sim.pause(), None);
    let (hashes, accepted) = (sim.hashes(), sim.accepted());
    assert_eq!(sim.advance(seconds(40)), [Event::Job { height: FIRST_HEIGHT + 1 }]);
    assert_eq!((sim.hashes(), sim.accepted()), (hashes, accepted));
    assert_eq!((sim.phase(), sim.hashrate()), (Phase::Paused, Some(0.0)));
    assert_eq!(sim.resume(), Some(Event::Resumed(Phase::Mining)));
    sim.advance(seconds(50));
    assert!(sim.hashes() > hashes && sim.accepted() > accepted);
}

#[test]
fn a_lost_pool_stops_the_hashes_until_it_is_back() {
    let mut sim =
        sim(r#"{"pool-loss-after": 10000, "pool-back-after": 12000, "share-interval-ms": 100,
            "preparing-ms": 0, "seed": 4}"#);
    let before = sim.advance(seconds(10));
    assert_eq!(before.last(), Some(&Event::Speed));
    assert!(before.contains(&Event::PoolLost));
    assert_eq!(sim.phase(), Phase::Degraded);
    let during = sim.advance(Duration::from_millis(21_900));
    assert_eq!(during, [Event::PoolUnreachable, Event::PoolUnreachable, Event::Speed]);
    assert_eq!(sim.hashrate(), Some(0.0));
    let after = sim.advance(seconds(30));
    assert!(matches!(after[0], Event::Connected { .. }));
    assert_eq!(sim.phase(), Phase::Mining);
}

#[test]
fn a_hashrate_of_zero_is_zero_and_finds_nothing() {
    let mut sim = sim(r#"{"zero-hashrate": true, "share-interval-ms": 10, "preparing-ms": 0}"#);
    sim.advance(seconds(60));
    assert_eq!((sim.hashrate(), sim.accepted() + sim.rejected()), (Some(0.0), 0));
    assert_eq!(sim.phase(), Phase::Waiting);
}

#[test]
fn the_password_can_ask_for_a_difficulty() {
    assert_eq!(sim(r#"{"hashrate": 1000}"#).difficulty(), 10_000);
    assert_eq!(sim(r#"{"hashrate": 1000, "password": "d=77"}"#).difficulty(), 77);
    assert_eq!(sim(r#"{"hashrate": 1000, "password": "x"}"#).difficulty(), 10_000);
}
