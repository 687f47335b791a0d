//! Reads the history on connections of its own: a large chart never holds a tick up.

use std::sync::Arc;

use rusqlite::{Connection, params};
use tokio::sync::mpsc;

use crate::{Error, Job, Store, owner::Shared};
use adit_model::history::{
    HashrateStats, Metric,
    chunk::{self, Key, Summary},
    column::Points,
    reading,
    recorder::Series,
    thin::{Chart, PhaseChart, PhasePoint, Point, Range, whole},
};

/// Reads the history. Cheap to clone.
#[derive(Clone)]
pub struct HistoryReader {
    shared: Arc<Shared>,
    /// Wakes the owner of the database. It ends with the last [`Store`], not with this.
    owner: mpsc::WeakSender<Job>,
}

/// One series, and what of it is not in the database yet: numbers of stretches and their values of
/// the metric that is asked for, older ones first.
#[derive(Clone, Debug)]
pub struct Source {
    /// The series.
    pub series: Series,
    /// What the memory has.
    pub fresh: Vec<(u32, Points)>,
}

impl Source {
    /// What the memory has of a stretch; `None`: nothing.
    fn fresh_of(&self, number: u32) -> Option<Points> {
        let of_it = self.fresh.iter().filter(|(it, _)| *it == number);
        of_it.map(|(_, points)| points.clone()).reduce(|older, newer| older.overlaid(&newer))
    }
}

/// An answer, and how many stretches of it are damaged and left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Read<T> {
    /// What was asked for.
    pub answer: T,
    /// Stretches that could not be read.
    pub damaged: usize,
}

impl Store {
    /// A reader of the history.
    pub fn history_reader(&self) -> HistoryReader {
        HistoryReader { shared: Arc::clone(&self.shared), owner: self.jobs.downgrade() }
    }
}

impl HistoryReader {
    /// A chart of `metric` with at most `points` points.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn chart(
        &self,
        sources: Vec<Source>,
        metric: Metric,
        range: Range,
        points: u32,
    ) -> Result<Read<Vec<Point>>, Error> {
        self.read(move |connection| {
            let Some(widest) = sources.iter().map(|it| it.series.grid).max() else {
                return Ok(Read { answer: Vec::new(), damaged: 0 });
            };
            let mut chart = Chart::new(range, points, widest);
            let mut add = |at_ms, code| chart.add(at_ms, reading::value(metric, code));
            let damaged = each(connection, &sources, metric, range, &mut add)?;
            Ok(Read { answer: chart.points(metric == Metric::Hashrate), damaged })
        })
        .await
    }

    /// A chart of phases with at most `points` points.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn phases(
        &self,
        sources: Vec<Source>,
        range: Range,
        points: u32,
    ) -> Result<Read<Vec<PhasePoint>>, Error> {
        self.read(move |connection| {
            let Some(widest) = sources.iter().map(|it| it.series.grid).max() else {
                return Ok(Read { answer: Vec::new(), damaged: 0 });
            };
            let mut chart = PhaseChart::new(range, points, widest);
            let mut add = |at_ms, code| chart.add(at_ms, code);
            let damaged = each(connection, &sources, Metric::Phase, range, &mut add)?;
            Ok(Read { answer: chart.points(), damaged })
        })
        .await
    }

    /// What there is of the hashrates of miners, each with its sources.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn hashrates(
        &self,
        miners: Vec<(String, Vec<Source>)>,
    ) -> Result<Read<Vec<HashrateStats>>, Error> {
        self.read(move |connection| {
            let mut all = Read { answer: Vec::new(), damaged: 0 };
            for (name, sources) in miners {
                let mut total = Total::default();
                for source in sources {
                    all.damaged += summaries(connection, &source, &mut total)?;
                }
                all.answer.push(total.stats(name));
            }
            Ok(all)
        })
        .await
    }

    /// Runs `job` on a connection for reading, off the async threads. Safe to drop.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.shared.readers.acquire().await.map_err(|_| Error::Closed)?;
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || shared.read(job));
        let answer = read.await.map_err(|_| Error::Closed)?;
        drop(turn);
        answer.map_err(|source| {
            if self.shared.suspect(&source)
                && let Some(owner) = self.owner.upgrade()
            {
                // With a full queue the owner is awake.
                drop(owner.try_send(Box::new(|_| {})));
            }
            Error::Sql { path: self.shared.path.clone(), source }
        })
    }
}

/// Hands every value in `range` to `add`, with its time. Returns how many stretches are damaged.
pub(super) fn each(
    connection: &Connection,
    sources: &[Source],
    metric: Metric,
    range: Range,
    add: &mut impl FnMut(i64, i64),
) -> rusqlite::Result<usize> {
    let mut damaged = 0;
    for source in sources {
        let series = &source.series;
        let (from, to) = (series.number_at(range.since_ms), series.number_at(range.until_ms));
        let step = i64::from(series.grid.step_ms());
        let mut take = |number, points: &Points| {
            let begin = series.begin_ms(number);
            let mut values = points.values.iter();
            for run in &points.runs {
                let first = begin.saturating_add(i64::from(run.start) * step);
                for (n, value) in (0..i64::from(run.length)).zip(values.by_ref()) {
                    add(first.saturating_add(n * step), *value);
                }
            }
        };
        let mut fresh: Vec<u32> = source.fresh.iter().map(|(number, _)| *number).collect();
        fresh.retain(|number| (from..=to).contains(number));
        // What came late may be of any stretch.
        fresh.sort_unstable();
        fresh.dedup();
        let key = |number| Key { series: series.id, metric, number }.packed();
        let mut statement =
            connection.prepare_cached("SELECT key, data FROM chunk WHERE key BETWEEN ?1 AND ?2")?;
        let mut rows = statement.query(params![key(from), key(to)])?;
        let mut points = Points::default();
        while let Some(row) = rows.next()? {
            let number = Key::number_of(row.get(0)?);
            if chunk::decode(row.get_ref(1)?.as_blob()?, &mut points).is_err() {
                damaged += 1;
                continue;
            }
            match source.fresh_of(number) {
                Some(newer) => {
                    fresh.retain(|it| *it != number);
                    take(number, &points.overlaid(&newer));
                }
                None => take(number, &points),
            }
        }
        for number in fresh {
            take(number, &source.fresh_of(number).unwrap_or_default());
        }
    }
    Ok(damaged)
}

/// Adds up what the summaries of a series' hashrates say.
fn summaries(
    connection: &Connection,
    source: &Source,
    total: &mut Total,
) -> rusqlite::Result<usize> {
    let series = &source.series;
    let key = |number| Key { series: series.id, metric: Metric::Hashrate, number }.packed();
    let mut statement =
        connection.prepare_cached("SELECT key, data FROM chunk WHERE key BETWEEN ?1 AND ?2")?;
    let mut rows = statement.query(params![key(0), key(chunk::NUMBERS - 1)])?;
    let mut fresh: Vec<u32> = source.fresh.iter().map(|(number, _)| *number).collect();
    fresh.sort_unstable();
    fresh.dedup();
    let mut damaged = 0;
    while let Some(row) = rows.next()? {
        let number = Key::number_of(row.get(0)?);
        let data = row.get_ref(1)?.as_blob()?;
        let newer = source.fresh_of(number);
        let summary = match &newer {
            None => chunk::summary(data).ok(),
            Some(newer) => {
                fresh.retain(|it| *it != number);
                let mut points = Points::default();
                chunk::decode(data, &mut points)
                    .ok()
                    .and_then(|()| Summary::of(&points.overlaid(newer)))
            }
        };
        match summary {
            Some(summary) => total.add(series, number, &summary),
            None => damaged += 1,
        }
    }
    for number in fresh {
        if let Some(summary) = Summary::of(&source.fresh_of(number).unwrap_or_default()) {
            total.add(series, number, &summary);
        }
    }
    Ok(damaged)
}

#[derive(Default)]
struct Total {
    count: u64,
    sum: f64,
    range: Option<(f64, f64)>,
    seen: Option<(i64, i64)>,
}

impl Total {
    fn add(&mut self, series: &Series, number: u32, summary: &Summary) {
        let rate = |code| reading::value(Metric::Hashrate, code);
        let step = i64::from(series.grid.step_ms());
        let at = |offset| series.begin_ms(number) + i64::from(offset) * step;
        let (min, max) = (rate(summary.min), rate(summary.max));
        let (first, last) = (at(summary.first), at(summary.last));
        self.count += u64::from(summary.count);
        self.sum += summary.sum;
        self.range = Some(self.range.map_or((min, max), |it| (it.0.min(min), it.1.max(max))));
        self.seen = Some(self.seen.map_or((first, last), |it| (it.0.min(first), it.1.max(last))));
    }

    fn stats(&self, miner_name: String) -> HashrateStats {
        let at = |at_ms| jiff::Timestamp::from_millisecond(at_ms).ok();
        let range = self.range.filter(|_| self.count > 0);
        let mean = chunk::mean(self.sum, self.count);
        HashrateStats {
            miner_name,
            total_points: self.count,
            average_rate: mean.map(whole),
            min_rate: range.map(|it| whole(it.0)),
            max_rate: range.map(|it| whole(it.1)),
            mean,
            min: range.map(|it| it.0),
            max: range.map(|it| it.1),
            first_seen: self.seen.and_then(|it| at(it.0)),
            last_seen: self.seen.and_then(|it| at(it.1)),
        }
    }
}
