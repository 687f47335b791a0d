use std::collections::BTreeMap;

use super::*;
use crate::history::chunk;

const GRID: Grid = Grid::of_ms(10_000);
/// Some tick of 2026.
const T0: i64 = 5_900_000;

/// What a database would hold.
#[derive(Default)]
struct Disk {
    series: Vec<Series>,
    chunks: BTreeMap<i64, Points>,
    tail: BTreeMap<i64, Vec<u8>>,
}

impl Disk {
    fn write(&mut self, write: &Write) {
        self.series.extend(write.series.clone());
        for Closed { key, column } in &write.closed {
            let chunk = self.chunks.entry(key.packed()).or_default();
            *chunk = chunk.overlaid(&column.points());
        }
        if write.restarts_tail {
            self.tail.clear();
        }
        self.tail.retain(|at_ms, _| *at_ms >= write.tail_from_ms);
        self.tail.extend(write.tail.iter().cloned());
    }

    fn recorder(&self, grid: Grid) -> Recorder {
        let (recorder, damaged) = Recorder::new(grid, self.series.clone(), self.tail.clone());
        assert_eq!(damaged, 0);
        recorder
    }

    /// All values of a series, by time.
    fn values(&self, recorder: &Recorder, name: &str, metric: Metric) -> BTreeMap<i64, i64> {
        let mut all = BTreeMap::new();
        for series in recorder.named(Kind::Miner, name) {
            let mut add = |number, points: &Points| {
                for (offset, value) in points.iter() {
                    let step = i64::from(series.grid.step_ms());
                    all.insert(series.begin_ms(number) + i64::from(offset) * step, value);
                }
            };
            for (key, points) in &self.chunks {
                let number = chunk::Key::number_of(*key);
                if (Key { series: series.id, metric, number }).packed() == *key {
                    add(number, points);
                }
            }
            if let Some((number, points)) = recorder.growing(series.id, metric) {
                add(number, &points);
            }
        }
        all
    }
}

fn reading(value: i64) -> Reading {
    Reading([Some(value), Some(value / 7), None, None, Some(1_200), Some(4)])
}

fn tick(recorder: &mut Recorder, disk: &mut Disk, tick: i64, names: &[&str]) {
    let readings: Vec<_> =
        names.iter().map(|name| (Kind::Miner, *name, reading(tick % 977))).collect();
    let (write, refused) = recorder.tick(tick, &readings);
    assert_eq!(refused, None);
    disk.write(&write);
}

#[track_caller]
fn assert_has(disk: &Disk, recorder: &Recorder, name: &str, ticks: impl IntoIterator<Item = i64>) {
    let expected: BTreeMap<_, _> =
        ticks.into_iter().map(|tick| (GRID.at_ms(tick), tick % 977)).collect();
    assert_eq!(disk.values(recorder, name, Metric::Hashrate), expected);
}

#[test]
fn all_ticks_are_there_and_the_tail_stays_short() {
    let (mut disk, mut recorder) = (Disk::default(), Disk::default().recorder(GRID));
    for n in 0..3_000 {
        tick(&mut recorder, &mut disk, T0 + n, &["a", "b", "c"]);
        assert!(disk.tail.len() <= usize::from(TICKS) + 1);
    }
    for name in ["a", "b", "c"] {
        assert_has(&disk, &recorder, name, T0..T0 + 3_000);
    }
    // Four stretches ended of each, with four metrics that had values; at different ticks.
    assert_eq!(disk.chunks.len(), 3 * 4 * 4);
    assert!(recorder.bytes() < 3 * 720 * 14 + 2_000, "{}", recorder.bytes());
}

#[test]
fn a_host_that_dies_at_any_tick_loses_nothing() {
    let (mut disk, mut recorder) = (Disk::default(), Disk::default().recorder(GRID));
    for n in 0..2_000 {
        tick(&mut recorder, &mut disk, T0 + n, &["a", "b"]);
        if n % 37 == 0 {
            recorder = disk.recorder(GRID);
        }
    }
    assert_has(&disk, &recorder, "a", T0..T0 + 2_000);
    assert_has(&disk, &recorder, "b", T0..T0 + 2_000);
    assert_eq!(recorder.series_count(), 2);
}

#[test]
fn a_gap_is_a_gap_and_ends_a_stretch() {
    let (mut disk, mut recorder) = (Disk::default(), Disk::default().recorder(GRID));
    let ticks: Vec<i64> =
        (0..100).chain(150..160).chain(100_000..100_020).map(|n| T0 + n).collect();
    for n in &ticks {
        tick(&mut recorder, &mut disk, *n, &["a"]);
    }
    assert_has(&disk, &recorder, "a", ticks);
    assert!(disk.tail.len() <= 20);
    // A miner that is silent while others go on: its stretch ends all the same.
    for n in 0..1_000 {
        tick(&mut recorder, &mut disk, T0 + 200_000 + n, &["b"]);
    }
    let id = recorder.named(Kind::Miner, "a")[0].id;
    assert!(!recorder.is_open(id));
}

#[test]
fn a_clock_set_back_or_forward_loses_nothing() {
    for dies in [false, true] {
        let (mut disk, mut recorder) = (Disk::default(), Disk::default().recorder(GRID));
        let mut expected = std::collections::BTreeSet::new();
        // Years ahead, back again, a little back, and over what is there.
        let parts = [(0, 50), (20_000_000, 20), (50, 800), (830, 100), (400, 1_000), (1_380, 5)];
        for (from, count) in parts {
            for n in from..from + count {
                tick(&mut recorder, &mut disk, T0 + n, &["a", "b"]);
                expected.insert(T0 + n);
                if dies && n % 13 == 0 {
                    recorder = disk.recorder(GRID);
                }
            }
            assert_has(&disk, &recorder, "a", expected.clone());
            assert_has(&disk, &recorder, "b", expected.clone());
        }
    }
}

#[test]
fn another_interval_begins_other_series_and_keeps_the_old() {
    let (mut disk, mut recorder) = (Disk::default(), Disk::default().recorder(GRID));
    for n in 0..100 {
        tick(&mut recorder, &mut disk, T0 + n, &["a"]);
    }
    let finer = Grid::of_ms(5_000);
    recorder = disk.recorder(finer);
    let begin = finer.tick_at(GRID.at_ms(T0 + 100));
    for n in begin..begin + 10 {
        tick(&mut recorder, &mut disk, n, &["a"]);
        recorder = disk.recorder(finer);
    }
    assert_eq!(recorder.named(Kind::Miner, "a").len(), 2);
    assert_eq!(disk.values(&recorder, "a", Metric::Hashrate).len(), 110);
    assert_eq!(disk.tail.len(), 10);
}

#[test]
fn a_clock_before_2025_is_refused_with_a_reason() {
    let mut recorder = Disk::default().recorder(GRID);
    let (write, refused) = recorder.tick(-1, &[(Kind::Miner, "a", reading(1))]);
    assert_eq!((write, refused), (Write::default(), Some(Refused::Clock)));
    let (_, refused) = recorder.tick(i64::MAX, &[(Kind::Miner, "a", reading(1))]);
    assert_eq!(refused, Some(Refused::Clock));
}

#[test]
fn damaged_rows_and_series_that_are_gone_are_left_out() {
    let (mut disk, mut recorder) = (Disk::default(), Disk::default().recorder(GRID));
    for n in 0..10 {
        tick(&mut recorder, &mut disk, T0 + n, &["a", "b"]);
    }
    disk.tail.insert(GRID.at_ms(T0 + 3), vec![9, 9, 9]);
    disk.tail.remove(&GRID.at_ms(T0 + 5));
    disk.series.retain(|series| series.name == "b");
    let (recorder, damaged) = Recorder::new(GRID, disk.series.clone(), disk.tail.clone());
    assert_eq!(damaged, 1);
    let values = disk.values(&recorder, "b", Metric::Hashrate);
    assert_eq!(values.len(), 8);
    assert!(recorder.named(Kind::Miner, "a").is_empty());
    // Its id is used again by nobody as long as there is a younger one.
    assert_eq!(recorder.next_id, 3);
}

#[test]
fn every_series_is_swept_in_turn_and_empty_ones_are_forgotten() {
    let (mut disk, mut recorder) = (Disk::default(), Disk::default().recorder(GRID));
    tick(&mut recorder, &mut disk, T0, &["a", "b", "c"]);
    tick(&mut recorder, &mut disk, T0 + 10_000, &["c"]);
    let mut swept = Vec::new();
    for _ in 0..4 {
        let mut write = Write::default();
        recorder.sweep(GRID.at_ms(T0), &mut write);
        swept.extend(write.sweep.iter().map(|(id, _)| *id));
    }
    assert_eq!(swept, [1, 2, 3, 1]);
    recorder.forget(&[1, 3]);
    assert_eq!(recorder.named(Kind::Miner, "a"), []);
    assert_eq!(recorder.named(Kind::Miner, "c").len(), 1);
    tick(&mut recorder, &mut disk, T0 + 10_001, &["a"]);
    assert_eq!(recorder.named(Kind::Miner, "a")[0].id, 4);
}

#[test]
fn writes_that_wait_are_bounded_and_lose_no_order() {
    let mut recorder = Disk::default().recorder(GRID);
    let mut disk = Disk::default();
    let mut waiting = Write::default();
    for n in 0..1_500 {
        let (write, _) = recorder.tick(T0 + n, &[(Kind::Miner, "a", reading((T0 + n) % 977))]);
        assert_eq!(waiting.add(write, 720, 1 << 20), 0);
    }
    assert_eq!(waiting.tail.len(), 720);
    disk.write(&waiting);
    recorder = disk.recorder(GRID);
    assert_has(&disk, &recorder, "a", T0..T0 + 1_500);
    // With too little room the oldest is given up, and counted.
    let mut waiting = Write::default();
    let mut given_up = 0;
    for n in 1_500..9_000 {
        let (write, _) = recorder.tick(T0 + n, &[(Kind::Miner, "a", reading(n))]);
        given_up += waiting.add(write, 720, 10_000);
    }
    assert!(
        given_up > 0 && waiting.closed.iter().map(|it| it.column.bytes()).sum::<usize>() <= 10_000
    );
}
