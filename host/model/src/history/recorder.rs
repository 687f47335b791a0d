//! Turns ticks into what the database is to hold.
//!
//! Each series has stretches of [`TICKS`] ticks. The one that grows is in memory, and each tick of
//! it in a row of the *tail*; when it is full it becomes a *chunk* and its rows of the tail can
//! go. Series begin their stretches at different ticks, so that few end at the same one.

use std::collections::{BTreeMap, HashMap};

use crate::{
    history::{
        Damaged, Kind, Metric,
        chunk::{Key, NUMBERS},
        column::{Column, Points, TICKS},
        reading::Reading,
        tail::Tail,
    },
    sample::Grid,
};

/// Series of one node at most, of all times.
const MOST_SERIES: usize = 100_000;
/// Spreads the beginnings of stretches over [`TICKS`]; has no divisor with it.
const SPREAD: u64 = 7_919;
/// Chunk rows of a series are looked at for their age this often at least, in ticks.
const SWEEP_TICKS: usize = 360;

/// Numbers that belong together over time, on one grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its id, below 2^31.
    pub id: u32,
    /// What it is of.
    pub kind: Kind,
    /// The miner's name or the algorithm; empty for the fleet. Of another node's miner: the node's
    /// id, `/`, and the miner's name.
    pub name: String,
    /// When its samples are taken.
    pub grid: Grid,
}

impl Series {
    /// Stretch and offset of a tick; `None` when it is before 2025 or after centuries.
    pub fn place(&self, tick: i64) -> Option<(u32, u16)> {
        let tick = u64::try_from(tick).ok()? + self.shift();
        let number = u32::try_from(tick / u64::from(TICKS)).ok().filter(|it| *it < NUMBERS)?;
        Some((number, u16::try_from(tick % u64::from(TICKS)).ok()?))
    }

    /// The stretch that a time is in, or the first or the last one there can be.
    pub fn number_at(&self, at_ms: i64) -> u32 {
        let tick = self.grid.tick_at(at_ms);
        let beyond = if tick < 0 { 0 } else { NUMBERS - 1 };
        self.place(tick).map_or(beyond, |(number, _)| number)
    }

    /// When the first tick of a stretch is, in Unix milliseconds.
    pub fn begin_ms(&self, number: u32) -> i64 {
        let tick = u64::from(number) * u64::from(TICKS);
        self.grid.at_ms(tick.cast_signed() - self.shift().cast_signed())
    }

    fn shift(&self) -> u64 {
        u64::from(self.id) * SPREAD % u64::from(TICKS)
    }
}

/// A finished stretch of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Which.
    pub key: Key,
    /// What it holds. Where the database has something already, this is newer.
    pub column: Column,
}

/// What is to be written, all at once or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Write {
    /// Series that are new.
    pub series: Vec<Series>,
    /// Finished stretches.
    pub closed: Vec<Closed>,
    /// Rows of the tail: Unix milliseconds and bytes.
    pub tail: Vec<(i64, Vec<u8>)>,
    /// Whether all older rows of the tail go: the clock was set back.
    pub restarts_tail: bool,
    /// Rows of the tail before this can go.
    pub tail_from_ms: i64,
    /// Series that grow and are swept now.
    pub growing: Vec<u32>,
    /// Series whose stretches before the one with this number are too old.
    pub sweep: Vec<(u32, u32)>,
    /// Events before this are too old; 0: none.
    pub events_from_ms: i64,
}

/// The first tick that has no place in any series.
const LAST_TICK: i64 = (NUMBERS as i64 - 1) * TICKS as i64;

/// Why a tick is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The clock is certainly wrong.
    #[error(
        "the clock of this machine is far off, before 2025 or after centuries: set it, or wait until it is set"
    )]
    Clock,
    /// Somebody makes up names.
    #[error("there are {MOST_SERIES} series already: new ones are not recorded")]
    TooMany,
}

#[derive(Debug)]
struct Open {
    number: u32,
    from_ms: i64,
    columns: [Column; Metric::ALL.len()],
}

/// What is known of all series, and their stretches that grow.
#[derive(Debug)]
pub struct Recorder {
    grid: Grid,
    series: BTreeMap<u32, Series>,
    /// Ids of the series on `grid`, by kind and name.
    ids: [HashMap<String, u32>; 5],
    open: BTreeMap<u32, Open>,
    last_ms: Option<i64>,
    next_id: u32,
    swept: u32,
}

impl Recorder {
    /// What the database holds: its series, and the rows of its tail in order of time. Also returns
    /// how many rows of the tail are damaged.
    pub fn new(
        grid: Grid,
        series: Vec<Series>,
        tail: impl IntoIterator<Item = (i64, Vec<u8>)>,
    ) -> (Self, usize) {
        let mut recorder = Self {
            grid,
            series: BTreeMap::new(),
            ids: Default::default(),
            open: BTreeMap::new(),
            last_ms: None,
            next_id: 1,
            swept: 0,
        };
        for series in series {
            recorder.know(series);
        }
        let damaged = tail.into_iter().filter(|(at_ms, row)| recorder.replay(*at_ms, row).is_err());
        let damaged = damaged.count();
        (recorder, damaged)
    }

    /// Gives no new series an id up to `id`.
    pub fn reserve(&mut self, id: u32) {
        self.next_id = self.next_id.max(id.saturating_add(1));
    }

    fn know(&mut self, series: Series) {
        self.reserve(series.id);
        if series.grid == self.grid {
            self.ids[place(series.kind)].insert(series.name.clone(), series.id);
        }
        self.series.insert(series.id, series);
    }

    fn replay(&mut self, at_ms: i64, row: &[u8]) -> Result<(), Damaged> {
        let tail = Tail::decode(row)?;
        let tick = tail.grid.tick_at(at_ms);
        // What ended with this tick was written along with it.
        drop(self.close_ended(tail.grid, tick));
        for (id, reading) in tail.readings {
            self.put(id, tick, at_ms, &reading);
        }
        self.last_ms = Some(at_ms);
        Ok(())
    }

    /// Records what was read at a tick of the grid.
    ///
    /// # Errors
    /// [`Refused`]; with [`Refused::TooMany`] all but the newcomers is in the write.
    pub fn tick(
        &mut self,
        tick: i64,
        readings: &[(Kind, &str, Reading)],
    ) -> (Write, Option<Refused>) {
        if !(0..LAST_TICK).contains(&tick) {
            return (Write::default(), Some(Refused::Clock));
        }
        let at_ms = self.grid.at_ms(tick);
        let mut write = Write::default();
        if self.last_ms.is_some_and(|last| at_ms < last) {
            write.restarts_tail = true;
            write.closed = self.close(|_, _| true);
        }
        write.closed.extend(self.close_ended(self.grid, tick));
        let mut tail = Tail { grid: self.grid, readings: Vec::with_capacity(readings.len()) };
        let mut refused = None;
        for (kind, name, reading) in readings {
            match self.id(*kind, name, &mut write) {
                Some(id) if self.put(id, tick, at_ms, reading) => {
                    tail.readings.push((id, *reading));
                }
                Some(_) => refused = Some(Refused::Clock),
                None => refused = Some(Refused::TooMany),
            }
        }
        tail.readings.sort_unstable_by_key(|(id, _)| *id);
        write.tail.push((at_ms, tail.encode()));
        let oldest = self.open.values().map(|open| open.from_ms).min();
        write.tail_from_ms = oldest.unwrap_or(at_ms);
        self.last_ms = Some(at_ms);
        (write, refused)
    }

    /// Adds to `write` the next series whose stretches before `cut_ms` are to go.
    pub fn sweep(&mut self, cut_ms: i64, write: &mut Write) {
        let count = 1 + self.series.len() / SWEEP_TICKS;
        let after = self.series.range(self.swept.saturating_add(1)..).map(|(_, it)| it);
        let next: Vec<_> = after.chain(self.series.values()).take(count).collect();
        write.sweep = next.iter().map(|series| (series.id, series.number_at(cut_ms))).collect();
        let swept = write.sweep.iter().map(|(id, _)| *id);
        write.growing = swept.filter(|id| self.open.contains_key(id)).collect();
        write.events_from_ms = cut_ms;
        self.swept = next.last().map_or(0, |series| series.id);
    }

    /// Forgets series that have nothing in the database any more, but for those that grow.
    pub fn forget(&mut self, emptied: &[u32]) {
        for id in emptied.iter().filter(|id| !self.open.contains_key(id)) {
            if let Some(series) = self.series.remove(id)
                && series.grid == self.grid
            {
                self.ids[place(series.kind)].remove(&series.name);
            }
        }
    }

    /// Whether the series grows.
    pub fn is_open(&self, id: u32) -> bool {
        self.open.contains_key(&id)
    }

    /// The series of `kind` called `name`, one for each grid it was ever on.
    pub fn named(&self, kind: Kind, name: &str) -> Vec<Series> {
        let named = self.series.values().filter(|it| it.kind == kind && it.name == name);
        named.cloned().collect()
    }

    /// All series of `kind`.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Series> {
        self.series.values().filter(move |it| it.kind == kind)
    }

    /// The growing stretch of a series: its number and its values of `metric`.
    pub fn growing(&self, id: u32, metric: Metric) -> Option<(u32, Points)> {
        let open = self.open.get(&id)?;
        Some((open.number, open.columns[usize::from(metric.number())].points()))
    }

    /// When the last tick was, in Unix milliseconds.
    pub fn last_ms(&self) -> Option<i64> {
        self.last_ms
    }

    /// How many series there are.
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Memory of the stretches that grow, in bytes.
    pub fn bytes(&self) -> usize {
        let columns = self.open.values().flat_map(|open| &open.columns);
        columns.map(Column::bytes).sum::<usize>() + self.open.len() * size_of::<Open>()
    }

    fn id(&mut self, kind: Kind, name: &str, write: &mut Write) -> Option<u32> {
        if let Some(id) = self.ids[place(kind)].get(name) {
            return Some(*id);
        }
        if self.series.len() >= MOST_SERIES {
            return None;
        }
        let series = Series { id: self.next_id, kind, name: name.to_owned(), grid: self.grid };
        let id = series.id;
        write.series.push(series.clone());
        self.know(series);
        Some(id)
    }

    /// `false`: the series is not known, or the time is beyond all numbers.
    fn put(&mut self, id: u32, tick: i64, at_ms: i64, reading: &Reading) -> bool {
        let place = self.series.get(&id).and_then(|series| series.place(tick));
        let Some((number, offset)) = place else { return false };
        let open = self.open.entry(id).or_insert_with(|| Open {
            number,
            from_ms: at_ms,
            columns: Default::default(),
        });
        for (column, code) in open.columns.iter_mut().zip(reading.0) {
            if let Some(code) = code {
                column.put(offset, code);
            }
        }
        true
    }

    /// Ends the stretches that `tick` is not in.
    fn close_ended(&mut self, grid: Grid, tick: i64) -> Vec<Closed> {
        self.close(|series, open| {
            series.grid != grid
                || series.place(tick).is_none_or(|(number, _)| number != open.number)
        })
    }

    fn close(&mut self, ends: impl Fn(&Series, &Open) -> bool) -> Vec<Closed> {
        let series = &self.series;
        let ended = self
            .open
            .extract_if(.., |id, open| series.get(id).is_none_or(|series| ends(series, open)));
        let mut closed = Vec::new();
        for (series, open) in ended {
            for (metric, column) in Metric::ALL.into_iter().zip(open.columns) {
                if !column.is_empty() {
                    let key = Key { series, metric, number: open.number };
                    closed.push(Closed { key, column });
                }
            }
        }
        closed
    }
}

fn place(kind: Kind) -> usize {
    match kind {
        Kind::Miner => 0,
        Kind::Algorithm => 1,
        Kind::Fleet => 2,
        Kind::Pool => 3,
        Kind::Remote => 4,
    }
}

impl Write {
    /// Adds a later write to one that could not be done yet. Of ticks and stretches at most so many
    /// are kept; returns how many stretches were given up.
    pub fn add(&mut self, later: Self, most_ticks: usize, most_bytes: usize) -> usize {
        if later.restarts_tail {
            self.tail.clear();
            self.restarts_tail = true;
        }
        self.series.extend(later.series);
        self.closed.extend(later.closed);
        self.tail.extend(later.tail);
        self.tail_from_ms = later.tail_from_ms;
        (self.sweep, self.growing) = (later.sweep, later.growing);
        self.events_from_ms = later.events_from_ms;
        // What is left out here is still in a stretch that grows, or in one that waits.
        let excess = self.tail.len().saturating_sub(most_ticks);
        self.tail.drain(..excess);
        let mut bytes: usize = self.closed.iter().map(|closed| closed.column.bytes()).sum();
        let given_up = self
            .closed
            .iter()
            .take_while(|closed| {
                let is_excess = bytes > most_bytes;
                bytes -= closed.column.bytes();
                is_excess
            })
            .count();
        self.closed.drain(..given_up);
        given_up
    }
}

mod late;

#[cfg(test)]
mod tests;
