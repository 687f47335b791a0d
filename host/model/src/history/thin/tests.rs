use super::*;

const GRID: Grid = Grid::of_ms(10_000);
const T0: i64 = 1_795_000_000_000;

fn range(seconds: i64) -> Range {
    Range { since_ms: T0, until_ms: T0 + seconds * 1_000 }
}

fn chart(seconds: i64, points: u32, values: &[(i64, f64)]) -> Vec<Point> {
    let mut chart = Chart::new(range(seconds), points, GRID);
    for (at_s, value) in values {
        chart.add(T0 + at_s * 1_000, *value);
    }
    chart.points(true)
}

#[test]
fn every_sample_is_a_point_when_there_is_room() {
    let points = chart(60, 100, &[(0, 1.5), (10, 2.5), (50, 0.2), (60, 9.0), (-1, 9.0)]);
    let seen: Vec<_> =
        points.iter().map(|it| (it.timestamp.as_second(), it.mean, it.after_gap)).collect();
    let t = T0 / 1_000;
    assert_eq!(seen, [(t, 1.5, false), (t + 10, 2.5, false), (t + 50, 0.2, true)]);
    // Existing clients read whole numbers, and take 0 for a miner that does not hash.
    assert_eq!(
        points.iter().map(|it| it.hashrate).collect::<Vec<_>>(),
        [Some(2), Some(3), Some(1)]
    );
}

#[test]
fn buckets_have_least_mean_and_largest_and_gaps_are_left_out() {
    let values: Vec<_> =
        (0..10).chain(20..30).map(|n| (n * 10, if n % 2 == 0 { 1.0 } else { 5.0 })).collect();
    let points = chart(300, 3, &values);
    assert_eq!(points.len(), 2);
    assert_eq!(
        (points[0].min, points[0].mean, points[0].max, points[0].count),
        (1.0, 3.0, 5.0, 10)
    );
    assert!(!points[0].after_gap && points[1].after_gap);
    assert_eq!(points[1].timestamp.as_millisecond(), T0 + 200_000);
}

#[test]
fn there_are_never_more_points_than_asked_for() {
    for (seconds, most) in [(1, 1), (61, 6), (86_400, 7), (86_399, 1_000), (30 * 86_400, 1_000)] {
        for shift in [0, 1, 9_999] {
            let range = Range { since_ms: T0 + shift, until_ms: T0 + shift + seconds * 1_000 };
            let mut chart = Chart::new(range, most, GRID);
            let mut taken = 0;
            for tick in 0..=seconds / 10 + 1 {
                chart.add(T0 + tick * 10_000, 1.0);
                taken +=
                    u32::from((range.since_ms..range.until_ms).contains(&(T0 + tick * 10_000)));
            }
            let points = chart.points(false);
            assert!(points.len() <= most as usize, "{seconds} s in {most}: {}", points.len());
            let count: u32 = points.iter().map(|point| point.count).sum();
            assert_eq!(count, taken, "{seconds} s in {most}");
        }
    }
}

#[test]
fn no_range_and_no_number_are_no_points() {
    assert!(chart(0, 10, &[(0, 1.0)]).is_empty());
    assert!(chart(-50, 10, &[(0, 1.0)]).is_empty());
    assert!(chart(60, 10, &[(0, f64::NAN), (10, f64::INFINITY)]).is_empty());
    let ends = Range { since_ms: i64::MIN, until_ms: i64::MAX };
    let mut chart = Chart::new(ends, 10, GRID);
    chart.add(T0, 1e308);
    chart.add(T0, 1e308);
    assert!(chart.points(true).len() <= 1);
}

#[test]
fn a_phase_is_what_lasted_longest() {
    let mut chart = PhaseChart::new(range(300), 3, GRID);
    let code = |phase| phases::code(phase).unwrap();
    for n in 0..10 {
        let phase = if n < 7 { Phase::Mining } else { Phase::Degraded };
        chart.add(T0 + n * 10_000, code(phase));
    }
    chart.add(T0 + 210_000, code(Phase::Stopped));
    let points = chart.points();
    assert_eq!((points[0].phase, points[0].count), (Phase::Mining, 10));
    assert_eq!((points[1].phase, points[1].after_gap), (Phase::Stopped, true));
}
