//! Table `run`: every launch of a program, and how it ended.

use rusqlite::{Row, params};

use crate::{Error, Store, miner::parsed};
use adit_model::{
    name::{DriverId, MinerName},
    run::{ExitRecord, ProcessId, RunId},
};

/// A launch, going on or ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// The program.
    pub program: String,
    /// Unix milliseconds.
    pub started_at_ms: i64,
    /// Unix milliseconds; absent while it goes on.
    pub ended_at_ms: Option<i64>,
    /// Exit code.
    pub code: Option<i32>,
    /// Signal number.
    pub signal: Option<i32>,
    /// Whether a stop was asked for; absent when it is not known.
    pub by_stop: Option<bool>,
    /// One sentence for people.
    pub cause: Option<String>,
}

/// A run of which no end was noted, and the processes that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRun {
    /// Its id.
    pub run: RunId,
    /// Its processes; `None` when the host did not live to note them.
    pub processes: Option<RunProcesses>,
}

/// The two processes of a run that are known by their pids.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunProcesses {
    /// The keeper.
    pub keeper: ProcessId,
    /// The program.
    pub program: ProcessId,
}

impl Store {
    /// Notes that a run begins.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn run_started(
        &self,
        miner: &MinerName,
        driver: &DriverId,
        run: &RunId,
        program: String,
        at_ms: i64,
    ) -> Result<(), Error> {
        let (miner, driver, run) = (miner.to_string(), driver.to_string(), run.to_string());
        self.call(move |connection| {
            connection.execute(
                "INSERT OR IGNORE INTO run (id, miner, driver, program, started_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![run, miner, driver, program, at_ms],
            )?;
            Ok(())
        })
        .await
    }

    /// Notes the processes of a run.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn run_processes(&self, run: &RunId, processes: RunProcesses) -> Result<(), Error> {
        let run = run.to_string();
        self.call(move |connection| {
            let processes = serde_json::to_string(&processes).unwrap_or_default();
            connection.execute(
                "UPDATE run SET processes = ?2 WHERE id = ?1 AND processes IS NOT ?2",
                params![run, processes],
            )?;
            Ok(())
        })
        .await
    }

    /// The runs of a miner of which no end was noted, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_runs(&self, miner: &MinerName) -> Result<Vec<OpenRun>, Error> {
        let miner = miner.to_string();
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, processes FROM run
                 WHERE miner = ?1 AND ended_at_ms IS NULL ORDER BY started_at_ms",
            )?;
            let rows = statement.query_map([miner], |row| {
                let processes: Option<String> = row.get(1)?;
                let run = parsed(row, 0, str::parse)?;
                // Damaged ones are as good as none: they only add to what finds a run.
                let processes = processes.and_then(|text| serde_json::from_str(&text).ok());
                Ok(OpenRun { run: RunId(run), processes })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Notes how a run ended. The first note counts.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn run_ended(&self, exit: ExitRecord, cause: String) -> Result<(), Error> {
        self.call(move |connection| {
            connection.execute(
                "UPDATE run SET ended_at_ms = ?2, code = ?3, signal = ?4, by_stop = ?5, cause = ?6
                 WHERE id = ?1 AND ended_at_ms IS NULL",
                params![
                    exit.run.to_string(),
                    exit.ended_at_ms,
                    exit.code,
                    exit.signal,
                    exit.by_stop,
                    cause
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Notes that a run ended and nobody knows how.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn run_lost(&self, run: &RunId, at_ms: i64, cause: String) -> Result<(), Error> {
        let run = run.to_string();
        self.call(move |connection| {
            connection.execute(
                "UPDATE run SET ended_at_ms = ?2, cause = ?3
                 WHERE id = ?1 AND ended_at_ms IS NULL",
                params![run, at_ms, cause],
            )?;
            Ok(())
        })
        .await
    }

    /// Notes an end for every open run of a miner but `alive`: those that a host noted and did not
    /// live to launch.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn close_runs(
        &self,
        miner: &MinerName,
        alive: Option<&RunId>,
        at_ms: i64,
        cause: String,
    ) -> Result<(), Error> {
        let (miner, alive) = (miner.to_string(), alive.map(ToString::to_string));
        self.call(move |connection| {
            connection.execute(
                "UPDATE run SET ended_at_ms = ?3, cause = ?4
                 WHERE miner = ?1 AND ended_at_ms IS NULL AND id IS NOT ?2",
                params![miner, alive, at_ms, cause],
            )?;
            Ok(())
        })
        .await
    }

    /// Whether a run was noted and its end was not.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_run_open(&self, run: &RunId) -> Result<bool, Error> {
        let run = run.to_string();
        self.call(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT 1 FROM run WHERE id = ?1 AND ended_at_ms IS NULL")?;
            Ok(statement.exists([run])?)
        })
        .await
    }

    /// The last `limit` runs of a miner, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs(&self, miner: &MinerName, limit: u32) -> Result<Vec<RunRow>, Error> {
        let miner = miner.to_string();
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, program, started_at_ms, ended_at_ms, code, signal, by_stop, cause
                 FROM run WHERE miner = ?1 ORDER BY started_at_ms DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![miner, limit], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: row.get(0)?,
        program: row.get(1)?,
        started_at_ms: row.get(2)?,
        ended_at_ms: row.get(3)?,
        code: row.get(4)?,
        signal: row.get(5)?,
        by_stop: row.get(6)?,
        cause: row.get(7)?,
    })
}
