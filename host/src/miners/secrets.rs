//! What must not be shown of a run's output: what its plan named, and what commands added since.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use adit_plugin_api::{Observation, PerformanceMetrics};
use serde::{Deserialize, Serialize};

use crate::{
    miners::record::{Record, write_private},
    model::{plan, run::RunId},
};

/// What commands added, in the miner's state folder.
const FILE: &str = "secrets.json";

#[derive(Default, Serialize, Deserialize, schemars::JsonSchema)]
struct Added {
    run: String,
    secrets: Vec<String>,
}

/// The secrets of one run. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Mutex<Arc<[String]>>>);

impl Secrets {
    /// The secrets of the plan, and those that commands added to this run, also under an earlier
    /// host. Reads a small file.
    pub(crate) fn of(run: &RunId, folder: &Path, planned: &[String]) -> Self {
        let added = read(run, folder).secrets;
        let all = planned.iter().cloned().chain(added).collect();
        Self(Arc::new(Mutex::new(all)))
    }

    /// The secrets of the last run, after its end. Blocking.
    pub(crate) fn left(folder: &Path) -> Self {
        let record = Record::read(folder).ok().flatten();
        let planned = record.map(|record| record.secrets).unwrap_or_default();
        let all = planned.into_iter().chain(on_disk(folder).secrets).collect();
        Self(Arc::new(Mutex::new(all)))
    }

    /// The secrets as they are now.
    pub(crate) fn get(&self) -> Arc<[String]> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds secrets, on disk first, so that the next host masks them too. Blocking.
    pub(crate) fn add(&self, run: &RunId, folder: &Path, secrets: &[String]) -> io::Result<()> {
        if secrets.is_empty() {
            return Ok(());
        }
        let mut added = read(run, folder);
        added.secrets.extend_from_slice(secrets);
        added.secrets.sort();
        added.secrets.dedup();
        let new = folder.join(format!(".{FILE}.new"));
        write_private(&new, &serde_json::to_vec(&added)?)?;
        fs::rename(&new, folder.join(FILE))?;
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *own = own.iter().cloned().chain(added.secrets).collect();
        Ok(())
    }

    /// An observation without secrets: a pool may repeat the wallet that it does not like.
    pub(crate) fn mask(&self, observation: Observation) -> Observation {
        match observation {
            Observation::Error { message } => {
                Observation::Error { message: plan::mask(&message, &self.get()) }
            }
            Observation::Warning { message } => {
                Observation::Warning { message: plan::mask(&message, &self.get()) }
            }
            Observation::Pool(mut pool) => {
                pool.error = pool.error.map(|error| plan::mask(&error, &self.get()));
                Observation::Pool(pool)
            }
            other => other,
        }
    }

    /// The same for figures.
    pub(crate) fn mask_figures(&self, mut metrics: PerformanceMetrics) -> PerformanceMetrics {
        for pool in metrics.pool.iter_mut() {
            pool.error = pool.error.take().map(|error| plan::mask(&error, &self.get()));
        }
        metrics
    }
}

/// What was added to this run; what was added to another one is over.
fn read(run: &RunId, folder: &Path) -> Added {
    let (added, run) = (on_disk(folder), run.to_string());
    if added.run == run { added } else { Added { run, secrets: Vec::new() } }
}

fn on_disk(folder: &Path) -> Added {
    let text = fs::read(folder.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_adds_is_masked_also_by_the_next_host_and_not_in_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::random();
        let secrets = Secrets::of(&run, folder.path(), &["4OLD".to_owned()]);
        secrets.add(&run, folder.path(), &["4NEW".to_owned()]).unwrap();
        secrets.add(&run, folder.path(), &["4NEWER".to_owned()]).unwrap();
        let error = || Observation::Error { message: "no 4OLD, 4NEW or 4NEWER".to_owned() };
        let masked = Observation::Error { message: "no ***, *** or ***".to_owned() };
        assert_eq!(secrets.mask(error()), masked);
        let next_host = Secrets::of(&run, folder.path(), &["4OLD".to_owned()]);
        assert_eq!(next_host.mask(error()), masked);
        let next_run = Secrets::of(&RunId::random(), folder.path(), &["4OLD".to_owned()]);
        assert_eq!(next_run.get().as_ref(), ["4OLD".to_owned()]);
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
