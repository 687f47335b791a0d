//! What other nodes do: their samples come with this node's own ticks, or late.

use std::{collections::BTreeMap, sync::Arc};

use crate::miners::{Error, history::History};
use adit_model::{
    history::{Kind, Metric, reading::Reading, thin::Range},
    sample::Grid,
};

/// Tells what is known now of miners of other nodes: by the node's id, `/`, and the miner's name. It
/// is told the tick's time in Unix milliseconds.
pub type Elsewhere = dyn Fn(i64) -> Vec<(String, Reading)> + Send + Sync;

/// Stretches that may wait for the next tick, in bytes. Who brings more brings it again later.
const LATE_BYTES: usize = 8 << 20;

impl History {
    /// Says who knows what other nodes do. It is asked at every tick.
    pub fn watch_elsewhere(&self, elsewhere: Arc<Elsewhere>) {
        let mut slot = self.0.elsewhere.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *slot = Some(elsewhere);
    }

    pub(super) fn elsewhere(&self, at_ms: i64) -> Vec<(String, Reading)> {
        let slot = self.0.elsewhere.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let elsewhere = slot.clone();
        drop(slot);
        elsewhere.map(|elsewhere| elsewhere(at_ms)).unwrap_or_default()
    }

    /// The moments at which samples are taken.
    pub fn grid(&self) -> Grid {
        self.0.grid
    }

    /// Days that figures are kept; 0: none are.
    pub fn days(&self) -> u32 {
        self.0.days
    }

    /// Takes samples of a series of [`Kind::Remote`] that came late, by tick. They go to the
    /// database with the next tick. `false`: not now, bring them again.
    pub fn add_late(&self, name: &str, readings: &BTreeMap<i64, Reading>) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        let waiting: usize = state.late.closed.iter().map(|it| it.column.bytes()).sum();
        let Some(recorder) = state.recorder.as_mut().filter(|_| waiting < LATE_BYTES) else {
            return false;
        };
        if let Err(refused) = recorder.add_late(Kind::Remote, name, readings, &mut state.late) {
            state.health.refused = Some(refused.to_string());
        }
        true
    }

    /// The first `most` samples of a miner in `range`, by time in Unix milliseconds.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn samples(
        &self,
        name: &str,
        range: Range,
        most: usize,
    ) -> Result<BTreeMap<i64, Reading>, Error> {
        let sources = |metric| (metric, self.sources(Kind::Miner, name, metric));
        let sources = Metric::ALL.map(sources).to_vec();
        Ok(self.checked(self.0.reader.samples(sources, range, most).await?))
    }

    /// Gives the series of another node's miners the node's new id.
    ///
    /// # Errors
    /// When the database cannot be written; until the next start they have the new name all the
    /// same.
    pub async fn rename_elsewhere(&self, old: &str, new: &str) -> Result<(), Error> {
        let (old, new) = (format!("{old}/"), format!("{new}/"));
        let renamed = {
            let mut state = self.state();
            let state = &mut *state;
            let Some(recorder) = state.recorder.as_mut() else { return Ok(()) };
            let renamed = recorder.rename(Kind::Remote, &old, &new);
            let waiting = Arc::make_mut(&mut state.waiting);
            for series in waiting.series.iter_mut().chain(&mut state.late.series) {
                if let Some((_, name)) = renamed.iter().find(|(id, _)| *id == series.id) {
                    series.name.clone_from(name);
                }
            }
            renamed
        };
        if renamed.is_empty() {
            return Ok(());
        }
        Ok(self.0.store.rename_series(renamed).await?)
    }
}
