//! What must not be shown of a miner's output, over all runs whose output can still be read.
//!
//! The log continues over runs, so a password that was changed is still in it. `secrets.json` in the
//! miner's state folder has the secrets of the current run, and those of earlier runs with the place
//! in the log where the last of them ended. They are dropped when the log files up to there are gone.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use adit_core::files;
use adit_plugin_api::{Observation, PerformanceMetrics};
use serde::{Deserialize, Serialize};

use crate::miners::record::{Record, write_atomically};
use adit_keeper_client::log::Log;
use adit_model::{plan, run::RunId};

const FILE: &str = "secrets.json";
/// Secrets of earlier runs that are kept. A miner that is restarted all the time has a new token of
/// its API each time; the oldest go first.
const MOST_EARLIER: usize = 2_000;
/// The place in the log of what ended at an unknown one.
const UNKNOWN: u64 = u64::MAX;

#[derive(Default, Serialize, Deserialize, schemars::JsonSchema)]
struct Kept {
    #[serde(default)]
    run: String,
    /// Of that run: of its plan, and what commands added.
    #[serde(default)]
    secrets: Vec<String>,
    /// Of earlier runs, each with how many bytes were logged when the last run with it ended.
    #[serde(default)]
    earlier: BTreeMap<String, u64>,
}

impl Kept {
    fn read(folder: &Path) -> Self {
        let path = folder.join(FILE);
        files::read_json(&path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::error!(path = %path.display(), %error, "cannot read what must be masked");
            }
            Self::default()
        })
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        write_atomically(&folder.join(FILE), &serde_json::to_vec(self)?)
    }

    /// Begins with the secrets of `run`. Those of the run before it are earlier ones from now on.
    fn turn_to(&mut self, run: &str, end: u64) {
        if self.run != run {
            let ended = std::mem::take(&mut self.secrets);
            self.earlier.extend(ended.into_iter().map(|secret| (secret, end)));
            run.clone_into(&mut self.run);
        }
    }

    /// Drops what cannot be in the log any more: the log begins after `start` bytes and ends after
    /// `end` bytes.
    fn expire(&mut self, start: u64, end: u64) {
        for place in self.earlier.values_mut().filter(|place| **place == UNKNOWN) {
            *place = end;
        }
        // At the start itself: the last run printed nothing, but its plan may be in an error text.
        self.earlier.retain(|_, place| *place >= start);
        if self.earlier.len() > MOST_EARLIER {
            let mut places: Vec<u64> = self.earlier.values().copied().collect();
            places.sort_unstable();
            let oldest = places[places.len() - MOST_EARLIER];
            self.earlier.retain(|_, place| *place >= oldest);
        }
    }

    fn all(self) -> impl Iterator<Item = String> {
        self.secrets.into_iter().chain(self.earlier.into_keys())
    }
}

/// Writes the secrets of a run down before it prints anything. Blocking.
pub(crate) fn begin_run(folder: &Path, log: &Log, run: &str, secrets: &[String]) -> io::Result<()> {
    let mut kept = Kept::read(folder);
    let end = log.end()?.bytes();
    // Where the file is lost, the last record still has what its run had.
    if let Ok(Some(record)) = Record::read(folder)
        && record.launch.run != run
        && record.launch.run != kept.run
    {
        kept.earlier.extend(record.secrets.into_iter().map(|secret| (secret, end)));
    }
    kept.turn_to(run, end);
    kept.expire(log.start()?, end);
    kept.secrets = tidy(secrets.to_vec());
    for secret in &kept.secrets {
        kept.earlier.remove(secret);
    }
    kept.write(folder)
}

/// The secrets of a run and of the runs before it. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Mutex<Arc<[String]>>>);

impl Secrets {
    /// What is hidden of the output of the current run, which follows that of earlier ones.
    /// Reads a small file.
    pub(crate) fn of(folder: &Path, planned: &[String]) -> Self {
        let all = planned.iter().cloned().chain(Kept::read(folder).all());
        Self(Arc::new(Mutex::new(tidy(all.collect()).into())))
    }

    /// The same after the end of the last run. Blocking.
    pub(crate) fn left(folder: &Path) -> Self {
        let record = Record::read(folder).ok().flatten();
        let planned = record.map(|record| record.secrets).unwrap_or_default();
        Self::of(folder, &planned)
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
        let mut kept = Kept::read(folder);
        kept.turn_to(&run.to_string(), UNKNOWN);
        kept.secrets.extend_from_slice(secrets);
        kept.secrets = tidy(kept.secrets);
        kept.write(folder)?;
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = own.iter().cloned().chain(kept.all());
        *own = tidy(all.collect()).into();
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

fn tidy(mut secrets: Vec<String>) -> Vec<String> {
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn strings(secrets: &[&str]) -> Vec<String> {
        secrets.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn what_a_command_adds_is_masked_by_the_next_host_and_in_the_next_run_too() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(folder.path().to_owned());
        let run = RunId::random();
        begin_run(folder.path(), &log, &run.to_string(), &strings(&["4OLD"])).unwrap();
        let secrets = Secrets::of(folder.path(), &[]);
        secrets.add(&run, folder.path(), &strings(&["4NEW"])).unwrap();
        secrets.add(&run, folder.path(), &strings(&["4NEWER"])).unwrap();
        let error = || Observation::Error { message: "no 4OLD, 4NEW or 4NEWER".to_owned() };
        let masked = Observation::Error { message: "no ***, *** or ***".to_owned() };
        assert_eq!(secrets.mask(error()), masked);
        assert_eq!(Secrets::of(folder.path(), &[]).mask(error()), masked);
        begin_run(folder.path(), &log, &RunId::random().to_string(), &strings(&["4NEXT"])).unwrap();
        let next_run = Secrets::of(folder.path(), &strings(&["4NEXT"]));
        assert_eq!(next_run.mask(error()), masked);
        assert_eq!(*next_run.get(), strings(&["4NEW", "4NEWER", "4NEXT", "4OLD"]));
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn secrets_expire_with_the_last_line_that_may_have_them() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(folder.path().to_owned());
        let file = |start: u64, text: &str| {
            fs::write(folder.path().join(format!("log.{start:020}")), text).unwrap();
        };
        let begin = |run: &str, secrets: &[&str]| {
            begin_run(folder.path(), &log, run, &strings(secrets)).unwrap();
            Secrets::of(folder.path(), &[]).get().to_vec()
        };
        file(0, "");
        assert_eq!(begin("1", &["first", "lasting"]), ["first", "lasting"]);
        file(0, "0123456789\n");
        assert_eq!(begin("2", &["second", "lasting"]), ["first", "lasting", "second"]);
        file(11, "0123456789\n");
        assert_eq!(begin("3", &["third"]), ["first", "lasting", "second", "third"]);
        // The first run's lines are rotated away, but for its last one.
        fs::remove_file(folder.path().join(format!("log.{:020}", 0))).unwrap();
        file(22, "x\n");
        assert_eq!(begin("4", &[]), ["first", "lasting", "second", "third"]);
        fs::remove_file(folder.path().join(format!("log.{:020}", 11))).unwrap();
        assert_eq!(begin("5", &[]), ["lasting", "second", "third"]);
        // A miner that is restarted for ever.
        for run in 0..MOST_EARLIER + 10 {
            let mut kept = Kept::read(folder.path());
            kept.turn_to(&run.to_string(), run as u64 + 30);
            kept.secrets = vec![format!("token-{run}")];
            kept.expire(0, 0);
            assert!(kept.earlier.len() <= MOST_EARLIER);
            if run % 500 == 0 || run > MOST_EARLIER {
                kept.write(folder.path()).unwrap();
            }
        }
    }

    #[test]
    fn a_file_of_an_earlier_version_or_none_at_all_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join(FILE), text).unwrap();
        write(r#"{"run":"1","secrets":["4OLD"]}"#);
        assert_eq!(*Secrets::of(folder.path(), &strings(&["x"])).get(), strings(&["4OLD", "x"]));
        for damaged in ["", "{", "[]", "null", "\0\0\0\0"] {
            write(damaged);
            assert_eq!(*Secrets::of(folder.path(), &strings(&["x"])).get(), strings(&["x"]));
        }
    }
}
