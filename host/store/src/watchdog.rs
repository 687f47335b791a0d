//! Tables `watchdog` and `baseline`: what the operator told the watchdog about single miners, and
//! what it learned about them.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::{Error, Store, miner::parsed};
use adit_model::{
    name::MinerName,
    watchdog::{
        baseline::{Baseline, Key},
        limits::Options,
    },
};

/// What the operator told about one miner, and what was learned about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchdogRow {
    /// How it is watched.
    pub options: Options,
    /// The operator works on it until then, in Unix milliseconds.
    pub maintenance_until_ms: Option<i64>,
    /// How many places its list of pools is turned on.
    pub pool_turn: u32,
    /// What is usual for it.
    pub baselines: Vec<(Key, Baseline)>,
}

impl Store {
    /// What is known of all miners. A row that cannot be read is left out and told to the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn watchdogs(&self) -> Result<BTreeMap<MinerName, WatchdogRow>, Error> {
        self.call(|connection| {
            let mut all: BTreeMap<MinerName, WatchdogRow> = BTreeMap::new();
            let mut statement = connection.prepare_cached(
                "SELECT miner, options, maintenance_until_ms, pool_turn FROM watchdog",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let read = || -> rusqlite::Result<_> {
                    let name = parsed(row, 0, |text| MinerName::new(text))?;
                    let options = parsed(row, 1, |text| serde_json::from_str(text))?;
                    Ok((name, options, row.get(2)?, row.get(3)?))
                };
                match read() {
                    Ok((name, options, until, turn)) => {
                        let row = all.entry(name).or_default();
                        (row.options, row.maintenance_until_ms) = (options, until);
                        row.pool_turn = turn;
                    }
                    Err(error) => tracing::error!(%error, "cannot read a watchdog's options"),
                }
            }
            let mut statement = connection.prepare_cached(
                "SELECT miner, algorithm, device, hashrate, power, samples, share_gap_s,
                    share_difficulty FROM baseline",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let Ok(name) = parsed(row, 0, |text| MinerName::new(text)) else { continue };
                let key = Key { algorithm: row.get(1)?, device: row.get(2)? };
                let baseline = Baseline {
                    hashrate: row.get(3)?,
                    power: row.get(4)?,
                    samples: row.get(5)?,
                    share_gap_s: row.get(6)?,
                    share_difficulty: row.get(7)?,
                };
                all.entry(name).or_default().baselines.push((key, baseline));
            }
            Ok(all)
        })
        .await
    }

    /// Writes how a miner is watched, unless it is gone.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_watchdog_options(
        &self,
        miner: &MinerName,
        options: Options,
    ) -> Result<(), Error> {
        let miner = miner.to_string();
        self.call(move |connection| Ok(put_options(connection, &miner, &options)?)).await
    }

    /// Writes until when a miner is left alone, unless it is gone.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_maintenance(
        &self,
        miner: &MinerName,
        until_ms: Option<i64>,
    ) -> Result<(), Error> {
        let miner = miner.to_string();
        self.call(move |connection| {
            connection.execute(
                "INSERT INTO watchdog (miner, options, maintenance_until_ms)
                    SELECT name, '{}', ?2 FROM miner WHERE name = ?1
                 ON CONFLICT (miner) DO UPDATE SET
                    maintenance_until_ms = excluded.maintenance_until_ms",
                params![miner, until_ms],
            )?;
            Ok(())
        })
        .await
    }

    /// Writes how many places the pools of these miners are turned on.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_pool_turns(&self, turns: Vec<(MinerName, u32)>) -> Result<(), Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for (miner, turn) in turns {
                transaction.execute(
                    "INSERT INTO watchdog (miner, options, pool_turn) VALUES (?1, '{}', ?2)
                     ON CONFLICT (miner) DO UPDATE SET pool_turn = excluded.pool_turn",
                    params![miner.as_str(), turn],
                )?;
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    /// Writes what is usual for these miners, in one transaction.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_baselines(
        &self,
        baselines: Vec<(MinerName, Vec<(Key, Baseline)>)>,
    ) -> Result<(), Error> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for (miner, baselines) in baselines {
                for (key, baseline) in baselines {
                    transaction
                        .prepare_cached(
                            "INSERT OR REPLACE INTO baseline
                                (miner, algorithm, device, hashrate, power, samples, share_gap_s,
                                 share_difficulty)
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                        )?
                        .execute(params![
                            miner.as_str(),
                            key.algorithm,
                            key.device,
                            baseline.hashrate,
                            baseline.power,
                            baseline.samples,
                            baseline.share_gap_s,
                            baseline.share_difficulty
                        ])?;
                }
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    /// Forgets what was told and learned about a miner. Its incidents stay.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_watchdog(&self, miner: &MinerName) -> Result<(), Error> {
        let miner = miner.to_string();
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM watchdog WHERE miner = ?1", [&miner])?;
            transaction.execute("DELETE FROM baseline WHERE miner = ?1", [&miner])?;
            transaction.commit()?;
            Ok(())
        })
        .await
    }
}

/// Writes how a miner that exists is watched, and nothing else of it.
pub(super) fn put_options(
    connection: &Connection,
    miner: &str,
    options: &Options,
) -> rusqlite::Result<()> {
    let options = serde_json::to_string(options).unwrap_or_default();
    connection.execute(
        "INSERT INTO watchdog (miner, options) SELECT name, ?2 FROM miner WHERE name = ?1
         ON CONFLICT (miner) DO UPDATE SET options = excluded.options",
        params![miner, options],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IncidentLimits, MinerRow};
    use adit_model::{
        miner::Desired,
        watchdog::{
            Cause,
            incident::{Evidence, Incident},
            ladder::Remedy,
        },
    };

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        (folder, store)
    }

    fn name(text: &str) -> MinerName {
        MinerName::new(text).unwrap()
    }

    #[tokio::test]
    async fn what_was_told_and_learned_is_found_again_and_forgotten() {
        let (_folder, store) = store();
        let options = Options { enabled: Some(false), ..Options::default() };
        // A miner that is gone, or not there yet, has no row that another one of its name would get.
        store.set_watchdog_options(&name("a"), options.clone()).await.unwrap();
        store.set_maintenance(&name("a"), Some(7)).await.unwrap();
        assert!(store.watchdogs().await.unwrap().is_empty());
        let miner = MinerRow {
            name: name("a"),
            driver: adit_model::name::DriverId::new("sim").unwrap(),
            config: Default::default(),
            restart: Default::default(),
            profile: None,
            desired: Desired::Stopped,
            created_at_ms: 1,
        };
        store.add_miner(miner, options.clone()).await.unwrap();
        store.set_maintenance(&name("a"), Some(7)).await.unwrap();
        let key = |device: &str| Key { algorithm: "rx/0".to_owned(), device: device.to_owned() };
        let baseline = Baseline {
            hashrate: 12.5,
            power: Some(80.0),
            samples: 100,
            share_gap_s: Some(0.5),
            share_difficulty: Some(1e6),
        };
        store.put_pool_turns(vec![(name("a"), 2), (name("c"), 1)]).await.unwrap();
        let learned = vec![(key(""), baseline), (key("cpu:0"), baseline)];
        store.put_baselines(vec![(name("a"), learned.clone())]).await.unwrap();
        store.put_baselines(vec![(name("b"), learned.clone())]).await.unwrap();
        let all = store.watchdogs().await.unwrap();
        let until = Some(7);
        let row =
            WatchdogRow { options, maintenance_until_ms: until, pool_turn: 2, baselines: learned };
        assert_eq!(all[&name("a")], row);
        let turned = WatchdogRow { pool_turn: 1, ..WatchdogRow::default() };
        assert_eq!(all[&name("c")], turned);
        assert_eq!(all[&name("b")].baselines.len(), 2);
        store.remove_watchdog(&name("a")).await.unwrap();
        let left = store.watchdogs().await.unwrap();
        assert_eq!(left.keys().collect::<Vec<_>>(), [&name("b"), &name("c")]);
    }

    #[tokio::test]
    async fn incidents_are_bounded_in_number_and_age() {
        let (_folder, store) = store();
        let limits = IncidentLimits { per_miner: 3, days: 30 };
        let day_ms = 86_400_000;
        let add = async |miner: &str, at_ms: i64, action| {
            let incident = Incident {
                id: 0,
                miner: name(miner),
                at_ms,
                run: "r".to_owned(),
                cause: Cause::NotHashing,
                action,
                summary: "no hashes".to_owned(),
            };
            let evidence = Evidence { lines: vec!["last words".to_owned()], ..Evidence::default() };
            store.add_incident(incident, evidence, limits).await.unwrap()
        };
        add("old", 0, None).await;
        for n in 0..5 {
            add("a", 20 * day_ms + n, Some(Remedy::NextPool)).await;
        }
        let last = add("b", 40 * day_ms, None).await;
        let of_a = store.incidents(Some(&name("a")), 100).await.unwrap();
        assert_eq!(of_a.iter().map(|it| it.at_ms - 20 * day_ms).collect::<Vec<_>>(), [4, 3, 2]);
        assert_eq!(of_a[0].action, Some(Remedy::NextPool));
        assert_eq!(store.incidents(None, 2).await.unwrap().len(), 2);
        assert_eq!(store.incidents(Some(&name("old")), 9).await.unwrap(), []);
        let (incident, evidence) = store.incident(last).await.unwrap().unwrap();
        assert_eq!((incident.cause, incident.action), (Cause::NotHashing, None));
        assert_eq!(evidence.lines, ["last words"]);
        assert!(store.incident(last + 1).await.unwrap().is_none());
    }
}
