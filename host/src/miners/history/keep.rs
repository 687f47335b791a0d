//! The tasks that write the history: ticks as they come, and events from the bus.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::miners::{
    events::{Heard, Subscription},
    history::{Drawn, History},
};
use adit_model::{
    event::Event,
    history::{
        Kind, Metric, reading,
        recent::KEPT_MS,
        recorder::{Refused, Write},
        thin::Range,
    },
    sample::Batch,
};

/// Ticks that wait in memory while the database cannot be written: two hours. What is older is in
/// a stretch by then.
const WAITING_TICKS: usize = 720;
/// Stretches that wait in memory, in bytes.
const WAITING_BYTES: usize = 16 << 20;
/// Samples of five minutes at most, at the shortest step.
const MOST_RECENT: u32 = 3_000;
/// Events that wait in memory.
const WAITING_EVENTS: usize = 512;

impl History {
    /// Writes every tick until the host ends.
    pub(in crate::miners) async fn keep(
        self,
        mut batches: Receiver<Arc<Batch>>,
        ending: CancellationToken,
    ) {
        self.refill(jiff::Timestamp::now().as_millisecond()).await;
        loop {
            let got = tokio::select! {
                biased;
                () = ending.cancelled() => return,
                got = batches.recv() => got,
            };
            match got {
                Ok(batch) => self.record(&batch).await,
                Err(RecvError::Lagged(count)) => self.state().health.missed_ticks += count,
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Takes the last five minutes of an earlier host into memory, as far as they are known.
    pub(super) async fn refill(&self, now_ms: i64) {
        // Ticks are after the start of their time, so none is left out.
        let range = Range { since_ms: now_ms - KEPT_MS, until_ms: now_ms + 1 };
        for name in self.growing_miners() {
            let subject = (Kind::Miner, name.as_str());
            match self.chart(subject, Metric::Hashrate, range, MOST_RECENT).await {
                Ok(Drawn::Numbers(points)) => self.state().recent.fill(name, &points),
                Ok(Drawn::Phases(_)) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot read the last five minutes");
                    return;
                }
            }
        }
    }

    /// The miners of which there was something in the last two hours.
    fn growing_miners(&self) -> Vec<String> {
        let state = self.state();
        let Some(recorder) = &state.recorder else { return Vec::new() };
        let open = recorder.of_kind(Kind::Miner).filter(|it| recorder.is_open(it.id));
        open.map(|series| series.name.clone()).collect()
    }

    /// Takes up where the database ends, unless that is done.
    pub(super) async fn take_up(&self) -> Result<(), adit_store::Error> {
        if self.state().recorder.is_some() {
            return Ok(());
        }
        let (recorder, damaged) = self.0.store.history_load(self.0.grid).await?;
        let mut state = self.state();
        state.health.damaged_ticks = damaged;
        state.retention.begin(recorder.last_ms());
        state.recorder = Some(recorder);
        Ok(())
    }

    /// Writes one tick, and what could not be written before.
    pub(super) async fn record(&self, batch: &Batch) {
        self.state().recent.add(batch);
        if self.0.days == 0 {
            return;
        }
        if let Err(error) = self.take_up().await {
            self.state().health.missed_ticks += 1;
            self.failed(&error);
            return;
        }
        let Some(write) = self.add(batch) else { return };
        match self.0.store.history_write(write).await {
            Ok(emptied) => self.written(batch.at_ms(), &emptied),
            Err(error) => self.failed(&error),
        }
    }

    /// Adds a tick to what is to be written. `None`: the tick cannot be kept.
    fn add(&self, batch: &Batch) -> Option<Arc<Write>> {
        let elsewhere = self.elsewhere(batch.at_ms());
        let mut readings = reading::readings(&batch.samples);
        readings.extend(elsewhere.iter().map(|(name, it)| (Kind::Remote, name.as_str(), *it)));
        let mut state = self.state();
        let state = &mut *state;
        let recorder = state.recorder.as_mut()?;
        let (mut write, refused) = recorder.tick(batch.tick, &readings);
        state.health.refused = refused.map(|it| it.to_string());
        if refused == Some(Refused::Clock) && write.tail.is_empty() {
            state.health.missed_ticks += 1;
            return None;
        }
        if let Some(cut_ms) = state.retention.cut(batch.at_ms()) {
            recorder.sweep(cut_ms, &mut write);
        }
        let late = std::mem::take(&mut state.late);
        write.series.extend(late.series);
        write.closed.extend(late.closed);
        let waiting = Arc::make_mut(&mut state.waiting);
        state.health.lost_stretches += waiting.add(write, WAITING_TICKS, WAITING_BYTES);
        Some(Arc::clone(&state.waiting))
    }

    fn written(&self, at_ms: i64, emptied: &[u32]) {
        let ended = {
            let mut state = self.state();
            state.waiting = Arc::default();
            if let Some(recorder) = &mut state.recorder {
                recorder.forget(emptied);
            }
            state.health.written_ms = Some(at_ms);
            state.health.failure.take()
        };
        if let Some((since_ms, _)) = ended {
            tracing::info!("the history is written again");
            let since = jiff::Timestamp::from_millisecond(since_ms).ok();
            self.0.events.publish("history.resumed", json!({ "since": since }));
        }
    }

    fn failed(&self, error: &adit_store::Error) {
        let error = error.to_string();
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let is_new = {
            let mut state = self.state();
            let since_ms = state.health.failure.as_ref().map(|(since_ms, _)| *since_ms);
            state.health.failure = Some((since_ms.unwrap_or(now_ms), error.clone()));
            since_ms.is_none()
        };
        if is_new {
            tracing::error!(error, "cannot write the history; ticks wait in memory");
            self.0.events.publish("history.failed", json!({ "error": error }));
        }
    }

    /// Writes events of the bus until the host ends.
    pub(in crate::miners) async fn keep_events(
        self,
        mut heard: Subscription,
        ending: CancellationToken,
    ) {
        let mut waiting: Vec<Event> = Vec::new();
        loop {
            let next = tokio::select! {
                biased;
                () = ending.cancelled() => None,
                next = heard.next() => next,
            };
            let is_over = next.is_none();
            let all = next.into_iter().chain(std::iter::from_fn(|| heard.try_next()));
            let mut lost = 0;
            for heard in all {
                match heard {
                    Heard::Event(it) if is_kept(&it.event.kind) => waiting.push(it.event.clone()),
                    Heard::Event(_) => {}
                    Heard::Missed { count } => lost += count.unwrap_or(0),
                }
            }
            let excess = waiting.len().saturating_sub(WAITING_EVENTS);
            waiting.drain(..excess);
            lost += excess as u64;
            if lost > 0 {
                self.state().health.missed_events += lost;
            }
            if !waiting.is_empty() && self.0.days > 0 {
                match self.0.store.put_events(waiting.clone()).await {
                    Ok(()) => waiting.clear(),
                    // They come with the next one. The ticks tell that the database is out of order.
                    Err(error) => tracing::debug!(%error, "cannot keep events"),
                }
            }
            if is_over {
                return;
            }
        }
    }
}

/// Figures have a history of their own, and steps towards something are no news a day later.
fn is_kept(kind: &str) -> bool {
    let passing = [".stats", ".progress", ".sync", ".output", ".starting", ".stopping"];
    !passing.iter().any(|end| kind.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_not_kept() {
        for (kind, kept) in [
            ("miner.started", true),
            ("miner.stopped", true),
            ("miner.connected", true),
            ("install.finished", true),
            ("watchdog.restarted", true),
            ("miner.stats", false),
            ("miner.starting", false),
            ("install.progress", false),
        ] {
            assert_eq!(is_kept(kind), kept, "{kind}");
        }
    }
}
