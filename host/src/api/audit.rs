//! Who changed what, and who was refused.
//!
//! What changed something is always written. Of refused calls each caller has so many written in
//! full; the rest is counted in one entry, or a program that asks in a loop would fill the log.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use crate::{
    api::{
        Api,
        access::{Caller, Holder},
        body::Parameters,
        error::{ApiError, Code},
        gate,
    },
    node::limits::Bucket,
};
use adit_store::AuditEntry;

/// Longest path that is written down.
const PATH_CHARS: usize = 200;

/// Refused calls of one caller that are written in full, and the seconds for one more.
const IN_FULL: (u32, u32) = (100, 10);
/// How long the count of the others may be ahead of the log.
const COUNT_DELAY: Duration = Duration::from_secs(5);
/// Silence after which the next refusals are counted in another entry.
const QUIET: Duration = Duration::from_secs(3_600);
/// Callers that are remembered; beyond that those with nothing to write are forgotten.
const CALLERS: usize = 1_000;

/// What each caller was refused, as far as that is not written in full.
#[derive(Default)]
pub(crate) struct Refusals {
    /// Locked for moments, never across an await.
    budgets: Mutex<HashMap<Holder, Budget>>,
    /// Whether somebody will write the counts soon.
    is_due: AtomicBool,
    /// Held while counts are written, so that each has one entry.
    writing: tokio::sync::Mutex<()>,
}

struct Budget {
    allowance: Bucket,
    /// The entry of the count, once it was written.
    number: Option<i64>,
    /// The last one that was counted, with the count.
    counted: Option<AuditEntry>,
    last: Instant,
    is_written: bool,
}

impl Refusals {
    fn budgets(&self) -> MutexGuard<'_, HashMap<Holder, Budget>> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the refusal `entry` is to be written in full; if not, it was counted.
    fn is_in_full(&self, holder: &Holder, entry: &AuditEntry, now: Instant) -> bool {
        let mut budgets = self.budgets();
        if budgets.len() >= CALLERS {
            budgets.retain(|_, budget| !budget.is_written);
        }
        let (most, seconds) = IN_FULL;
        // A bucket fills by whole units a second, so each refusal costs several.
        let budget = budgets.entry(holder.clone()).or_insert_with(|| Budget {
            allowance: Bucket::new(most * seconds, 1, now),
            number: None,
            counted: None,
            last: now,
            is_written: true,
        });
        if budget.allowance.take(seconds, now) {
            return true;
        }
        if now.saturating_duration_since(budget.last) >= QUIET && budget.is_written {
            (budget.number, budget.counted) = (None, None);
        }
        let before = budget.counted.as_ref().and_then(|it| it.suppressed).unwrap_or(0);
        let count = before.saturating_add(1);
        budget.counted = Some(AuditEntry {
            action: "refused calls that are not listed one by one".to_owned(),
            outcome: format!("{count} suppressed; the last: {} {}", entry.outcome, entry.action),
            suppressed: Some(count),
            ..entry.clone()
        });
        (budget.last, budget.is_written) = (now, false);
        false
    }

    /// The counts that the log does not have.
    fn take_unwritten(&self) -> Vec<(Holder, Option<i64>, AuditEntry)> {
        let mut unwritten = Vec::new();
        for (holder, budget) in self.budgets().iter_mut().filter(|(_, it)| !it.is_written) {
            budget.is_written = true;
            let entry = budget.counted.clone();
            unwritten.extend(entry.map(|entry| (holder.clone(), budget.number, entry)));
        }
        unwritten
    }

    fn has_number(&self, holder: &Holder, number: i64) {
        if let Some(budget) = self.budgets().get_mut(holder) {
            budget.number = Some(number);
        }
    }
}

impl Api {
    /// Writes the counts of refused calls that the log does not have yet.
    pub(crate) async fn write_refusals(&self) {
        let refusals = &self.0.refusals;
        let _alone = refusals.writing.lock().await;
        for (holder, number, entry) in refusals.take_unwritten() {
            let written = match number {
                Some(number) => self.0.store.count_audit(number, entry.clone()).await,
                None => Ok(false),
            };
            let added = match written {
                Ok(true) => continue,
                Ok(false) => self.0.store.add_audit(entry).await,
                Err(error) => Err(error),
            };
            match added {
                Ok(number) => refusals.has_number(&holder, number),
                Err(error) => tracing::error!(%error, "cannot write the audit log"),
            }
        }
    }

    /// Has the counts written in a moment, once for all that come until then.
    fn write_refusals_soon(&self) {
        if self.0.refusals.is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let api = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(COUNT_DELAY).await;
            api.0.refusals.is_due.store(false, Ordering::Release);
            api.write_refusals().await;
        });
    }
}

/// Whether calls with this method are written down: those that change something.
pub(crate) fn is_noted(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// Answers a call that changes something, and writes it down with its outcome.
pub(crate) async fn carry_out(
    api: Api,
    client: SocketAddr,
    router: Router,
    request: Request,
) -> Response {
    // In a task of its own: a client that hangs up can neither leave half of it undone nor keep it
    // out of the log.
    let doing = tokio::spawn(reply_and_note(api, client, router, request));
    doing.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request failed");
        let told = "the host failed at this; its log says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", told).into_response()
    })
}

async fn reply_and_note(
    api: Api,
    client: SocketAddr,
    router: Router,
    request: Request,
) -> Response {
    let method = request.method().clone();
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_else(Caller::nobody);
    let path: String = request.uri().path().chars().take(PATH_CHARS).collect();
    let response = gate::reply(router, request).await;
    let status = response.status().as_u16();
    let outcome = match response.extensions().get::<Code>() {
        Some(Code(code)) => format!("{status} {code}"),
        None => status.to_string(),
    };
    let entry = AuditEntry {
        at_ms: jiff::Timestamp::now().as_millisecond(),
        who: caller.name,
        address: client.ip().to_string(),
        action: format!("{method} {path}"),
        outcome,
        refused: response.status().is_client_error(),
        suppressed: None,
    };
    let refusals = &api.0.refusals;
    if entry.refused && !refusals.is_in_full(&caller.holder, &entry, Instant::now()) {
        api.write_refusals_soon();
        return response;
    }
    if let Err(error) = api.0.store.add_audit(entry).await {
        tracing::error!(%error, "cannot write the audit log");
    }
    response
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    limit: Option<u32>,
}

pub(crate) async fn list(
    State(api): State<Api>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Vec<AuditEntry>>, ApiError> {
    // What is listed is complete.
    api.write_refusals().await;
    Ok(Json(api.0.store.audit(which.limit.unwrap_or(100).min(10_000)).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(action: &str) -> AuditEntry {
        let outcome = "403 ROLE_TOO_LOW".to_owned();
        AuditEntry { action: action.to_owned(), outcome, refused: true, ..AuditEntry::default() }
    }

    #[test]
    fn each_caller_has_refusals_in_full_and_the_rest_is_counted() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let (one, two) = (Holder::Token("1".to_owned()), Holder::Token("2".to_owned()));
        let entry = refused("POST /tokens");
        let full = (0..1_000).filter(|_| refusals.is_in_full(&one, &entry, now)).count();
        assert_eq!(full, IN_FULL.0 as usize);
        assert!(refusals.is_in_full(&two, &entry, now), "another one has its own");
        let unwritten = refusals.take_unwritten();
        let [(holder, None, counted)] = unwritten.as_slice() else { panic!("{unwritten:?}") };
        assert_eq!((holder, counted.suppressed), (&one, Some(900)));
        assert!(counted.outcome.contains("403 ROLE_TOO_LOW POST /tokens"), "{counted:?}");
        // The same entry goes on, until it was quiet for long.
        refusals.has_number(&one, 7);
        assert!(refusals.take_unwritten().is_empty());
        assert!(!refusals.is_in_full(&one, &entry, now));
        let unwritten = refusals.take_unwritten();
        assert_eq!((unwritten[0].1, unwritten[0].2.suppressed), (Some(7), Some(901)));
        let later = now + QUIET;
        let full = (0..1_000).filter(|_| refusals.is_in_full(&one, &entry, later)).count();
        let unwritten = refusals.take_unwritten();
        let rest = u32::try_from(1_000 - full).unwrap();
        assert_eq!((unwritten[0].1, unwritten[0].2.suppressed), (None, Some(rest)));
    }
}
