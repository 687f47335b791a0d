//! Looks after the database: checks it in the background, and reports losses.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::miners::{HistoryStatus, Miners, doctor::quoted};
use adit_model::doctor::{Finding, Verdict};
use adit_store::Salvage;

/// Time from the start to the first check of the whole file, so that it slows no start.
const FIRST_CHECK: Duration = Duration::from_secs(5);
/// Time from one check of the whole file to the next.
const CHECK: Duration = Duration::from_secs(24 * 60 * 60);

const ID: &str = "database";

impl Miners {
    /// What is damaged in the database and could not be repaired yet.
    pub fn database_damage(&self) -> Option<String> {
        self.0.parts.store.damage()
    }

    /// Reads the whole database from time to time. Damage is repaired by the database's owner.
    pub async fn check_database(&self, ending: CancellationToken) {
        let mut pause = FIRST_CHECK;
        while ending.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            pause = CHECK;
            match self.0.parts.store.check().await {
                Ok(problems) if problems.is_empty() => {}
                Ok(problems) => {
                    tracing::error!(problems = problems.join("; "), "the database is damaged");
                }
                Err(error) => tracing::warn!(%error, "cannot check the database"),
            }
        }
    }

    /// Publishes each repair of the database, that of the start included.
    pub(super) async fn report_salvages(self) {
        let mut salvages = self.0.parts.store.salvages();
        let mut reported = 0;
        loop {
            let new = salvages.borrow_and_update().get(reported..).unwrap_or_default().to_vec();
            reported += new.len();
            for salvage in new {
                let data = json!({
                    "reason": salvage.reason,
                    "kept": salvage.kept,
                    "losses": salvage.losses,
                    "summary": salvage.summary(),
                });
                self.0.parts.events.publish("database.salvaged", data);
            }
            let changed = self.0.ending.run_until_cancelled(salvages.changed()).await;
            if !matches!(changed, Some(Ok(()))) {
                return;
            }
        }
    }

    /// Checks the whole database, and reports earlier losses.
    pub(super) async fn database_found(&self) -> Vec<Finding> {
        let store = self.0.parts.store.clone();
        let mut found = vec![match store.check().await {
            Ok(problems) if problems.is_empty() => writing(&self.history().status()),
            Ok(problems) => {
                let fix = "nothing now: what can be read is written to a new file. Run adit doctor \
                           again for the losses; if this finding stays, see the host's log";
                let damage = format!("the database is damaged: {}", problems.join("; "));
                Finding::bad(ID, Verdict::Problem, damage, fix)
            }
            Err(error) => {
                let fix = "see that the state folder can be read and written to, and start the \
                           host again";
                Finding::bad(ID, Verdict::Problem, error.to_string(), fix)
            }
        }];
        let reports = tokio::task::spawn_blocking(move || store.kept_reports()).await;
        found.extend(reports.unwrap_or_default().iter().map(kept));
        found
    }
}

/// A damaged file that is still there.
fn kept(salvage: &Salvage) -> Finding {
    let at = jiff::Timestamp::from_millisecond(salvage.at_ms).unwrap_or_default();
    let message = format!(
        "the database was damaged at {at} ({}) and has been replaced; {}",
        salvage.reason,
        salvage.summary()
    );
    // Its journal is next to it.
    let command = format!("rm {}* {}", quoted(&salvage.kept), quoted(&salvage.report()));
    let fix = format!("check the losses, then remove the damaged file: {command}");
    Finding::bad(ID, Verdict::Warning, message, fix)
}

/// Whether the history is written.
fn writing(history: &HistoryStatus) -> Finding {
    if let Some(error) = &history.error {
        let since = history.failing_since.map(|at| format!(" since {at}")).unwrap_or_default();
        let fix = "free space on its disk and see that the state folder can be written to; what \
                   waits in memory is written then";
        let message = format!("the database cannot be written{since}: {error}");
        return Finding::bad(ID, Verdict::Problem, message, fix);
    }
    let sound = "all tables of the database are sound";
    match (history.enabled, history.last_written) {
        (false, _) => Finding::unknown(
            ID,
            format!("{sound}; no history is kept (history.retention_days is 0)"),
        ),
        (true, Some(at)) => {
            Finding::ok(ID, format!("{sound}; the last stats were written at {at}"))
        }
        (true, None) => Finding::ok(ID, format!("{sound}; there are no stats to write yet")),
    }
}
