//! One clock for all miners: looks at every output and every API at the same moments, and hands
//! what was found to whoever listens.
//!
//! However many miners there are, there are two timers. A miner that is slow to answer delays
//! nobody: its figures come with a later batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::broadcast,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until},
};

use crate::miners::{Member, Miners, collector::Collector, tell};
use adit_model::sample::{Batch, Grid, Sample};

/// Batches that a listener may be behind before it loses the oldest.
const BEHIND: usize = 64;
/// Longest that a batch waits for answers.
const GRACE: Duration = Duration::from_secs(2);

/// The runs that are looked at, and those who listen. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ticker(Arc<Inner>);

struct Inner {
    /// Held for look-ups and changes of the map only.
    collectors: Mutex<BTreeMap<u64, Arc<Collector>>>,
    next: AtomicU64,
    batches: broadcast::Sender<Arc<Batch>>,
}

/// A run that is looked at until this is dropped.
pub(crate) struct Watched {
    ticker: Ticker,
    number: u64,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.ticker.collectors().remove(&self.number);
    }
}

impl Ticker {
    pub(crate) fn new() -> Self {
        let (batches, _) = broadcast::channel(BEHIND);
        let collectors = Mutex::default();
        Self(Arc::new(Inner { collectors, next: AtomicU64::new(0), batches }))
    }

    /// Looks at the run of `collector` from now on; for the first time soon.
    pub(crate) fn watch(&self, collector: Arc<Collector>) -> Watched {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.collectors().insert(number, collector);
        Watched { ticker: self.clone(), number }
    }

    fn collectors(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Collector>>> {
        self.0.collectors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the output of all runs every `every`: one visit to the disk for all of them.
    async fn read_outputs(&self, every: Duration) {
        let mut output = interval_at(Instant::now() + every, every);
        output.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work = JoinSet::new();
        loop {
            output.tick().await;
            while work.try_join_next().is_some() {}
            let collectors: Vec<_> = self.collectors().values().cloned().collect();
            let looks: Vec<_> = collectors
                .into_iter()
                .filter_map(|collector| Some((collector.turn_to_read()?, collector)))
                .collect();
            if looks.is_empty() {
                continue;
            }
            let read = tokio::task::spawn_blocking(move || {
                let read =
                    looks.into_iter().map(|(turn, collector)| (turn.read(), turn, collector));
                read.collect::<Vec<_>>()
            });
            for (lines, turn, collector) in read.await.unwrap_or_default() {
                let is_empty = lines.lines.is_empty();
                if !is_empty || collector.is_new() {
                    work.spawn(async move {
                        let has_changed = !is_empty && turn.understand(lines).await;
                        // What changed is looked at now and not at the next tick.
                        if (has_changed || collector.is_new())
                            && let Some(turn) = collector.turn_to_ask()
                        {
                            turn.ask().await;
                        }
                    });
                }
            }
        }
    }
}

impl Miners {
    /// What every look at all miners finds, from now on. Who falls far behind is told how much was
    /// lost.
    pub fn batches(&self) -> broadcast::Receiver<Arc<Batch>> {
        self.0.parts.ticker.0.batches.subscribe()
    }

    /// Looks at all miners until the host ends.
    pub(super) async fn tick(self) {
        let parts = &self.0.parts;
        tokio::select! {
            () = self.0.ending.cancelled() => {}
            () = parts.ticker.read_outputs(parts.options.output_interval) => {}
            () = self.sample(Grid::new(parts.options.stats_interval)) => {}
        }
    }

    /// Makes a batch at every tick of `grid`.
    async fn sample(&self, grid: Grid) {
        let ticker = &self.0.parts.ticker;
        let mut asking = Asking::new(grid);
        let offset = offset(grid);
        loop {
            let (next, wait) = grid.next(now_ms());
            sleep(wait + offset).await;
            let tick = grid.reached(next, now_ms());
            asking.ask(&ticker.collectors());
            asking.wait().await;
            let batch = Batch { tick, grid, samples: self.samples(grid, tick) };
            tell::stats(self.events(), &batch.samples);
            // Nobody may be listening.
            drop(ticker.0.batches.send(Arc::new(batch)));
        }
    }

    fn samples(&self, grid: Grid, tick: i64) -> Vec<Sample> {
        let members: Vec<Member> = self.members().values().cloned().collect();
        // A reply that an earlier tick had is not sampled again.
        let lifetime = Duration::from_millis(u64::from(grid.step_ms())).max(GRACE);
        let at_ms = grid.at_ms(tick);
        let sample = |member: &Member| member.status.borrow().sample(&member.row, at_ms, lifetime);
        members.iter().map(sample).collect()
    }
}

/// The questions under way.
struct Asking {
    /// Each ends with the number of its run.
    questions: JoinSet<u64>,
    /// Those that the next batch waits for.
    awaited: BTreeSet<u64>,
    /// Those who did not answer in time; nobody waits for them again until they do.
    slow: BTreeSet<u64>,
    grace: Duration,
}

impl Asking {
    fn new(grid: Grid) -> Self {
        let grace = GRACE.min(Duration::from_millis(u64::from(grid.step_ms())) / 4);
        let (awaited, slow) = (BTreeSet::new(), BTreeSet::new());
        Self { questions: JoinSet::new(), awaited, slow, grace }
    }

    /// Asks all at once, but those who still owe an answer.
    fn ask(&mut self, collectors: &BTreeMap<u64, Arc<Collector>>) {
        while let Some(done) = self.questions.try_join_next() {
            self.note(done.ok());
        }
        self.slow.retain(|number| collectors.contains_key(number));
        for (number, collector) in collectors {
            let number = *number;
            let Some(turn) = collector.turn_to_ask() else { continue };
            self.questions.spawn(async move {
                turn.ask().await;
                number
            });
            if !self.slow.contains(&number) {
                self.awaited.insert(number);
            }
        }
    }

    /// Waits for the answers, but not long.
    async fn wait(&mut self) {
        let patience = Instant::now() + self.grace;
        while !self.awaited.is_empty() {
            tokio::select! {
                Some(done) = self.questions.join_next() => self.note(done.ok()),
                () = sleep_until(patience) => break,
            }
        }
        self.slow.append(&mut self.awaited);
    }

    fn note(&mut self, done: Option<u64>) {
        if let Some(number) = done
            && !self.awaited.remove(&number)
        {
            self.slow.remove(&number);
        }
    }
}

/// How long after each tick this host looks, the same every time: all hosts of a farm have the same
/// ticks, and would otherwise come to their controller in the same moment.
fn offset(grid: Grid) -> Duration {
    let share = f64::from(uuid::Uuid::new_v4().as_bytes()[15]) / f64::from(u8::MAX);
    Duration::from_millis(u64::from(grid.step_ms())).mul_f64(share / 20.0)
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn hosts_look_at_different_moments_soon_after_the_tick() {
        let grid = Grid::new(Duration::from_secs(10));
        let offsets: BTreeSet<_> = (0..200).map(|_| offset(grid)).collect();
        assert!(offsets.len() > 50, "{offsets:?}");
        assert!(offsets.iter().all(|it| *it <= Duration::from_millis(500)), "{offsets:?}");
    }
}
