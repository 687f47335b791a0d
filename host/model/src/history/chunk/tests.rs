use rand_08::{Rng, SeedableRng, rngs::StdRng};

use super::*;

fn points(offsets: impl IntoIterator<Item = u16>, mut value: impl FnMut(u16) -> i64) -> Points {
    let mut points = Points::default();
    for offset in offsets {
        points.push(offset, value(offset));
    }
    points
}

#[track_caller]
fn check(points: &Points) -> usize {
    let mut back = Points::default();
    let mut size = 0;
    for metric in [Metric::Hashrate, Metric::Accepted] {
        let bytes = encode(metric, points);
        decode(&bytes, &mut back).unwrap();
        assert_eq!(&back, points);
        // As text: the sum of what is no hashrate is no number.
        let expected = Summary::of(points).filter(|_| metric == Metric::Hashrate);
        assert_eq!(format!("{:?}", summary(&bytes).ok()), format!("{expected:?}"));
        size = bytes.len();
    }
    size
}

#[test]
fn stretches_come_back_whatever_is_in_them() {
    check(&Points::default());
    check(&points([5], |_| i64::MIN));
    check(&points(0..TICKS, |_| 7));
    check(&points((0..TICKS).step_by(2), i64::from));
    check(&points(0..TICKS, |n| if n % 2 == 0 { i64::MIN } else { i64::MAX }));
    let mut random = StdRng::seed_from_u64(1);
    for round in 0..300 {
        let density = random.gen_range(0.01..1.0);
        let bits = random.gen_range(0..64);
        let offsets: Vec<u16> = (0..TICKS).filter(|_| random.gen_bool(density)).collect();
        let list = points(offsets, |_| random.r#gen::<i64>() >> bits);
        assert!(check(&list) > HEAD, "{round}");
    }
}

#[test]
fn what_hardly_changes_is_hardly_anything() {
    assert!(check(&points(0..TICKS, |_| 4)) < 16);
    let mut random = StdRng::seed_from_u64(2);
    let mut shares = 0;
    let size = check(&points(0..TICKS, |_| {
        shares += i64::from(random.gen_bool(0.1));
        shares
    }));
    assert!(size < 250, "{size}");
    let size = check(&points(0..TICKS, |_| 1_250_000 + random.gen_range(-20_000..20_000)));
    assert!(size < 1_700, "{size}");
}

#[test]
fn garbage_is_refused() {
    let good = encode(Metric::Hashrate, &points(0..TICKS, |n| i64::from(n) * 977 % 1_000));
    let mut back = Points::default();
    for end in 0..good.len() {
        assert!(decode(&good[..end], &mut back).is_err(), "cut at {end}");
    }
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..2_000 {
        let mut bad = good.clone();
        let at = random.gen_range(0..bad.len());
        bad[at] ^= random.gen_range(1..=255_u8);
        assert!(decode(&bad, &mut back).is_err() && summary(&bad).is_err(), "changed at {at}");
    }
}

/// Whoever forges a check sum gets an error or other values, never a panic or endless memory.
#[test]
fn forged_garbage_does_no_harm() {
    let good = encode(Metric::Hashrate, &points(0..TICKS, |n| i64::from(n) * 977 % 1_000));
    let mut random = StdRng::seed_from_u64(4);
    let mut back = Points::default();
    let mut refused = 0;
    for round in 0..20_000 {
        let mut bad = match round % 2 {
            0 => good.clone(),
            _ => (0..random.gen_range(HEAD + 1..200)).map(|_| random.r#gen()).collect(),
        };
        for _ in 0..random.gen_range(1..4) {
            let at = random.gen_range(HEAD..bad.len());
            bad[at] = random.r#gen();
        }
        bad[0] = VERSION;
        let sum = crc32fast::hash(&bad[HEAD..]).to_le_bytes();
        bad[1..HEAD].copy_from_slice(&sum);
        refused += u32::from(decode(&bad, &mut back).is_err());
        assert!(back.values.len() <= usize::from(TICKS) && back.runs.len() <= usize::from(TICKS));
        let _summary = summary(&bad);
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn keys_are_ordered_by_series_metric_and_time() {
    let key = |series, metric, number| Key { series, metric, number }.packed();
    let keys = [
        key(1, Metric::Hashrate, 0),
        key(1, Metric::Hashrate, NUMBERS - 1),
        key(1, Metric::Accepted, 0),
        key(1, Metric::Phase, NUMBERS - 1),
        key(2, Metric::Hashrate, 5),
        key((1 << 31) - 1, Metric::Phase, NUMBERS - 1),
    ];
    assert!(keys.is_sorted() && keys.iter().all(|key| *key > 0));
    assert_eq!(Key::number_of(keys[4]), 5);
    assert_eq!(Key::number_of(keys[5]), NUMBERS - 1);
}
