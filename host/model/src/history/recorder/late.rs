//! Samples that come late: of another node, from a time when it could not be reached.

use std::collections::BTreeMap;

use crate::history::{
    Kind, Metric,
    chunk::Key,
    column::Column,
    reading::Reading,
    recorder::{Closed, LAST_TICK, Recorder, Refused, Write, place},
};

impl Recorder {
    /// Adds to `write` what was read of a series at ticks of the grid that are over. Nothing stays
    /// in memory: the database adds it to what it has, and a stretch that grows is laid over it.
    ///
    /// # Errors
    /// [`Refused::TooMany`]: the series is new and there are too many.
    pub fn add_late(
        &mut self,
        kind: Kind,
        name: &str,
        readings: &BTreeMap<i64, Reading>,
        write: &mut Write,
    ) -> Result<(), Refused> {
        let id = self.id(kind, name, write).ok_or(Refused::TooMany)?;
        let series = self.series.get(&id).ok_or(Refused::TooMany)?;
        let mut columns: BTreeMap<(u32, u8), Column> = BTreeMap::new();
        for (tick, reading) in readings.range(0..LAST_TICK) {
            let Some((number, offset)) = series.place(*tick) else { continue };
            for metric in Metric::ALL {
                if let Some(code) = reading.get(metric) {
                    let column = columns.entry((number, metric.number())).or_default();
                    column.put(offset, code);
                }
            }
        }
        write.closed.extend(columns.into_iter().filter_map(|((number, metric), column)| {
            let metric = Metric::ALL.get(usize::from(metric)).copied()?;
            Some(Closed { key: Key { series: id, metric, number }, column })
        }));
        Ok(())
    }

    /// Gives the series of `kind` whose names begin with `old` names that begin with `new`. Returns
    /// which, with their new names.
    pub fn rename(&mut self, kind: Kind, old: &str, new: &str) -> Vec<(u32, String)> {
        let ids = &mut self.ids[place(kind)];
        let mut renamed = Vec::new();
        for series in self.series.values_mut().filter(|it| it.kind == kind) {
            let Some(rest) = series.name.strip_prefix(old) else { continue };
            let name = format!("{new}{rest}");
            if let Some(id) = ids.remove(&series.name) {
                ids.insert(name.clone(), id);
            }
            series.name.clone_from(&name);
            renamed.push((series.id, name));
        }
        renamed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{history::column::TICKS, sample::Grid};

    const GRID: Grid = Grid::of_ms(10_000);

    fn reading(code: i64) -> Reading {
        Reading([Some(code), None, None, None, None, Some(4)])
    }

    fn values(write: &Write, metric: Metric) -> Vec<(u32, Vec<(u16, i64)>)> {
        let of_metric = write.closed.iter().filter(|it| it.key.metric == metric);
        of_metric.map(|it| (it.key.number, it.column.points().iter().collect())).collect()
    }

    #[test]
    fn late_samples_go_to_the_stretches_of_their_time() {
        let (mut recorder, _) = Recorder::new(GRID, Vec::new(), []);
        let name = "node/rig";
        let now = 3 * i64::from(TICKS);
        let (first, _) = recorder.tick(now, &[(Kind::Remote, name, reading(7))]);
        let series = first.series[0].clone();
        assert_eq!((series.kind, series.name.as_str()), (Kind::Remote, name));
        let boundary = GRID.tick_at(series.begin_ms(series.place(now).unwrap().0));
        let late = [-5, boundary - 1, boundary, boundary + 1, i64::MAX];
        let late = late.into_iter().map(|tick| (tick, reading(tick))).collect();
        let mut write = Write::default();
        recorder.add_late(Kind::Remote, name, &late, &mut write).unwrap();
        assert!(write.series.is_empty() && write.tail.is_empty());
        let (number, _) = series.place(boundary).unwrap();
        let expected = vec![
            (number - 1, vec![(TICKS - 1, boundary - 1)]),
            (number, vec![(0, boundary), (1, boundary + 1)]),
        ];
        assert_eq!(values(&write, Metric::Hashrate), expected);
        assert_eq!(values(&write, Metric::Phase).len(), 2);
        assert!(values(&write, Metric::Power).is_empty());
        // What grows is as it was.
        let (_, growing) = recorder.growing(series.id, Metric::Hashrate).unwrap();
        assert_eq!(growing.values, [7]);
    }

    #[test]
    fn a_series_may_begin_with_late_samples_and_change_its_name() {
        let (mut recorder, _) = Recorder::new(GRID, Vec::new(), []);
        let mut write = Write::default();
        let late = [(5, reading(1))].into();
        for name in ["a/x", "a/y", "b/x"] {
            recorder.add_late(Kind::Remote, name, &late, &mut write).unwrap();
        }
        assert_eq!(write.series.len(), 3);
        // A miner of this node may be called as it likes.
        recorder.add_late(Kind::Miner, "a", &late, &mut write).unwrap();
        let mut renamed = recorder.rename(Kind::Remote, "a/", "c/");
        renamed.sort();
        let names: Vec<&str> = renamed.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["c/x", "c/y"]);
        assert!(recorder.named(Kind::Remote, "a/x").is_empty());
        let id = recorder.named(Kind::Remote, "c/x")[0].id;
        let (write, _) = recorder.tick(6, &[(Kind::Remote, "c/x", reading(2))]);
        assert!(write.series.is_empty());
        assert_eq!(recorder.growing(id, Metric::Hashrate).unwrap().1.values, [2]);
    }
}
