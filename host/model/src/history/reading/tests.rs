use adit_plugin_api::{DeviceMetrics, Phase, PoolMetrics};

use super::*;
use crate::name::{DriverId, MinerName};

fn sample(name: &str, metrics: Option<PerformanceMetrics>) -> Sample {
    Sample {
        name: MinerName::new(name).unwrap(),
        driver: DriverId::new("sim").unwrap(),
        phase: Phase::Mining,
        metrics,
        at_ms: 0,
    }
}

fn mining(algorithm: &str, hashrate: f64) -> PerformanceMetrics {
    let device = |temperature, power| DeviceMetrics {
        temperature: Some(temperature),
        power: Some(power),
        ..DeviceMetrics::default()
    };
    PerformanceMetrics {
        hashrate: Some(hashrate),
        algorithm: Some(algorithm.to_owned()),
        shares: Some(10),
        rejected: Some(1),
        devices: vec![device(61.04, 120.0), device(55.0, 80.26)],
        ..PerformanceMetrics::default()
    }
}

#[test]
fn hashrates_come_back_as_they_were_told() {
    for told in [0.0, 0.01, 0.1, 1.0, 12_503.4, 4_294_967.29, 9.6e7, 1.2e14, 9.1e16] {
        let code = hashrate_code(told).unwrap();
        assert!(code >= 0, "{told}");
        assert_eq!(value(Metric::Hashrate, code), told);
    }
    // What hundredths cannot tell is kept bit by bit.
    for told in [0.000_123, 0.125_5, 49.999, 9.3e16, 1e300, f64::MAX, f64::MIN_POSITIVE] {
        let code = hashrate_code(told).unwrap();
        assert!(code < 0, "{told}");
        assert_eq!(value(Metric::Hashrate, code), told);
    }
    assert_eq!(value(Metric::Hashrate, hashrate_code(1_234.567).unwrap()), 1_234.57);
    for told in [f64::NAN, f64::INFINITY, -0.5, f64::NEG_INFINITY] {
        assert_eq!(hashrate_code(told), None);
    }
    for code in [i64::MIN, i64::MIN + 1, -1, i64::MAX] {
        let _any = value(Metric::Hashrate, code);
    }
}

#[test]
fn a_miner_is_read_with_what_it_told_only() {
    let reading = Reading::of(&sample("a", Some(mining("rx/0", 1_000.5))));
    let codes =
        [Some(100_050), Some(10), Some(1), Some(610), Some(2_003), phases::code(Phase::Mining)];
    assert_eq!(reading.0, codes);
    assert_eq!(value(Metric::Temperature, 610), 61.0);
    let reading = Reading::of(&sample("a", None));
    assert_eq!(reading.0, [None, None, None, None, None, phases::code(Phase::Mining)]);
    let odd = PerformanceMetrics { shares: Some(u64::MAX), ..mining("x", f64::NAN) };
    let reading = Reading::of(&sample("a", Some(odd)));
    assert_eq!((reading.get(Metric::Hashrate), reading.get(Metric::Accepted)), (None, None));
}

#[test]
fn hashrates_are_summed_within_one_algorithm_only() {
    let dual = PerformanceMetrics {
        algorithms: vec![
            AlgorithmMetrics {
                algorithm: "kawpow".to_owned(),
                hashrate: Some(5.0),
                ..AlgorithmMetrics::default()
            },
            AlgorithmMetrics {
                algorithm: "rx/0".to_owned(),
                hashrate: Some(7.0),
                shares: Some(3),
                ..AlgorithmMetrics::default()
            },
        ],
        ..mining("kawpow", 5.0)
    };
    let samples = [
        sample("a", Some(mining("rx/0", 1_000.0))),
        sample("b", Some(mining("rx/0", 500.0))),
        sample("c", Some(dual)),
        sample("d", None),
    ];
    let readings = readings(&samples);
    let of = |kind, name: &str| {
        let found = readings.iter().find(|(k, n, _)| (*k, *n) == (kind, name));
        found.map(|(_, _, reading)| *reading)
    };
    let rx = of(Kind::Algorithm, "rx/0").unwrap();
    assert_eq!((rx.get(Metric::Hashrate), rx.get(Metric::Accepted)), (Some(150_700), Some(23)));
    assert_eq!(rx.get(Metric::Power), Some(4_005));
    let kawpow = of(Kind::Algorithm, "kawpow").unwrap();
    assert_eq!((kawpow.get(Metric::Hashrate), kawpow.get(Metric::Power)), (Some(500), None));
    let fleet = of(Kind::Fleet, "").unwrap();
    assert_eq!((fleet.get(Metric::Hashrate), fleet.get(Metric::Accepted)), (None, Some(30)));
    assert_eq!(
        (fleet.get(Metric::Temperature), fleet.get(Metric::Power)),
        (Some(610), Some(6_008))
    );
    assert_eq!(readings.len(), 7);
}

#[test]
fn names_that_somebody_makes_up_are_bounded() {
    let samples: Vec<_> = (0..200)
        .map(|n| sample(&format!("m{n}"), Some(mining(&format!("algorithm-{n}"), 1.0))))
        .chain([
            sample("z", Some(mining(&"x".repeat(65), 1.0))),
            sample("y", Some(mining("", 1.0))),
        ])
        .collect();
    let readings = readings(&samples);
    let algorithms = readings.iter().filter(|(kind, _, _)| *kind == Kind::Algorithm).count();
    assert_eq!((algorithms, readings.len()), (64, 202 + 64 + 1));
}

fn at_pool(name: &str, url: &str, metrics: PerformanceMetrics) -> Sample {
    let pool = PoolMetrics { url: url.to_owned(), ..PoolMetrics::default() };
    sample(name, Some(PerformanceMetrics { pool: Some(pool), ..metrics }))
}

#[test]
fn pools_have_totals_and_a_hashrate_within_one_algorithm_only() {
    let samples = [
        at_pool("a", "one.example:1", mining("rx/0", 1_000.0)),
        at_pool("b", "WALLET@one.example:1", mining("rx/0", 500.0)),
        at_pool("c", "two.example:2", mining("rx/0", 7.0)),
        at_pool("d", "two.example:2", mining("kawpow", 5.0)),
        sample("e", Some(mining("rx/0", 1.0))),
        at_pool("f", "", mining("rx/0", 1.0)),
        at_pool("g", &"x".repeat(129), mining("rx/0", 1.0)),
    ];
    let readings = readings(&samples);
    let pools: Vec<_> = readings.iter().filter(|it| it.0 == Kind::Pool).collect();
    let names: Vec<_> = pools.iter().map(|it| it.1).collect();
    assert_eq!(names, ["one.example:1", "two.example:2"]);
    let of = |place: usize, metric| pools[place].2.get(metric);
    assert_eq!((of(0, Metric::Hashrate), of(0, Metric::Accepted)), (Some(150_000), Some(20)));
    assert_eq!((of(1, Metric::Hashrate), of(1, Metric::Power)), (None, Some(4_005)));
}
