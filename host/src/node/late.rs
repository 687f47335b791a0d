//! The past of other nodes' miners, in this node's own history: what they report is recorded at its
//! ticks, and what they could not report is fetched when they are back.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc};

use crate::node::{
    Error,
    message::Body,
    net::Net,
    past::{self, now_ms},
    payload::{GetSamples, Samples},
};
use adit_model::{history::reading::Reading, name::MinerName, peer::PublicKey};

/// Nodes whose past is fetched at once.
const AT_ONCE: usize = 8;
/// Pause before the next node: a fleet that is back is not asked all at once.
const NEXT_NODE: Duration = Duration::from_millis(5);
/// Pause before the next question to one node, within its allowance.
const NEXT_PIECE: Duration = Duration::from_millis(100);
/// Pause after a node said that it has too much to do.
const BUSY: Duration = Duration::from_secs(2);
/// Repetitions of one question.
const REPETITIONS: u32 = 10;

/// What is known now of all miners of other nodes, for the tick of this node's history at `at_ms`.
pub(crate) fn readings(net: &Net, at_ms: i64) -> Vec<(String, Reading)> {
    let step_ms = net.miners.history().grid().step_ms();
    // A tick that this node did not come to is missing of everybody.
    let before_ms = net.recorded_ms.swap(at_ms, Ordering::Relaxed);
    let missed_ms = (before_ms > 0 && at_ms - before_ms > i64::from(step_ms)).then_some(before_ms);
    let all: Vec<_> = {
        let book = net.book();
        let obeying = book.all().filter(|known| known.row.role.obeys());
        obeying
            .map(|known| {
                let connected = known.session.is_some();
                (known.row.key, known.id.clone(), connected, Arc::clone(&known.reported))
            })
            .collect()
    };
    let now_ms = now_ms();
    let mut readings = Vec::with_capacity(all.len());
    for (key, id, connected, reported) in all {
        let mut reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(missed_ms) = missed_ms {
            reported.missed(missed_ms, now_ms);
        }
        let looked = reported.look(now_ms, step_ms, connected);
        for (name, reading) in looked.readings {
            readings.push((series(id.as_str(), name), reading));
        }
        if looked.fetch {
            // The other end is gone only when the node ends.
            let _ending = net.late.send(key);
        }
    }
    readings
}

fn series(id: &str, name: &MinerName) -> String {
    format!("{id}/{name}")
}

/// Fetches what was missed, node by node, until this node ends.
pub(crate) async fn fetch(net: Arc<Net>, mut late: mpsc::UnboundedReceiver<PublicKey>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(Some(key)) = net.ending.run_until_cancelled(late.recv()).await {
        let place = Arc::clone(&places).acquire_owned();
        let Some(Ok(place)) = net.ending.run_until_cancelled(place).await else { return };
        let (of_task, tasks) = (Arc::clone(&net), net.tasks.clone());
        tasks.spawn(async move {
            let net = of_task;
            let fetched = net.ending.run_until_cancelled(fetch_from(&net, &key)).await;
            if let Some(Err(error)) = &fetched {
                tracing::debug!(peer = %key.id(), %error, "samples of a node are still missing");
            }
            let reported = net.book().get(&key).map(|known| Arc::clone(&known.reported));
            if let Some(reported) = reported {
                let is_done = matches!(fetched, Some(Ok(())));
                reported.lock().unwrap_or_else(PoisonError::into_inner).fetched(is_done);
            }
            drop(place);
        });
        if net.ending.run_until_cancelled(tokio::time::sleep(NEXT_NODE)).await.is_none() {
            return;
        }
    }
}

async fn fetch_from(net: &Net, key: &PublicKey) -> Result<(), Error> {
    let (id, gap_ms, names) = {
        let book = net.book();
        let known = book.get(key).ok_or_else(|| Error::NoPeer(key.id().to_string()))?;
        let reported = known.reported.lock().unwrap_or_else(PoisonError::into_inner);
        (known.id.clone(), reported.gap_ms(), reported.recorded())
    };
    let Some(gap_ms) = gap_ms else { return Ok(()) };
    let history = net.miners.history();
    let step_ms = i64::from(history.grid().step_ms());
    // A little more than what is missing, so that no edge stays open.
    let from_ms = gap_ms.saturating_sub(2 * step_ms);
    for name in names {
        let mut at_ms = from_ms;
        while let Some((samples, answered_ms)) = ask(net, key, &name, at_ms).await? {
            let late = readings_of(&samples, answered_ms, net);
            let mut repetitions = 0;
            while !late.is_empty() && !history.add_late(&series(id.as_str(), &name), &late) {
                repetitions += 1;
                if repetitions > REPETITIONS {
                    return Err(Error::Busy(id));
                }
                tokio::time::sleep(BUSY).await;
            }
            let ago_ms = i64::try_from(samples.next_ago_ms).unwrap_or(i64::MAX);
            let next_ms = answered_ms.saturating_sub(ago_ms);
            // One that never gets anywhere is not asked for ever.
            if ago_ms <= 0 || next_ms < at_ms.saturating_add(step_ms) {
                break;
            }
            at_ms = next_ms;
            tokio::time::sleep(NEXT_PIECE).await;
        }
    }
    Ok(())
}

/// A piece of a miner's past from `at_ms` on, and when it was true. `None`: the node does not tell.
async fn ask(
    net: &Net,
    key: &PublicKey,
    name: &MinerName,
    at_ms: i64,
) -> Result<Option<(Samples, i64)>, Error> {
    for _ in 0..REPETITIONS {
        let asked_ms = now_ms();
        let ago_ms = u64::try_from(asked_ms.saturating_sub(at_ms)).unwrap_or(0);
        let body = Body::GetSamples(GetSamples { miner_name: name.clone(), ago_ms });
        match net.ask(key, body, None).await {
            // Ages are those in the middle of the way there and back.
            Ok(Body::Samples(samples)) => {
                let took_ms = now_ms().saturating_sub(asked_ms).max(0);
                let middle_ms = asked_ms.saturating_add(took_ms / 2);
                // Unless its clock is the same as far as this can tell.
                let agrees = |theirs: &i64| (asked_ms..=asked_ms + took_ms).contains(theirs);
                let answered_ms = samples.now_ms.filter(agrees).unwrap_or(middle_ms);
                return Ok(Some((samples, answered_ms)));
            }
            Err(Error::Peer { code, .. }) if code == "RATE_LIMITED" || code == "BUSY" => {
                tokio::time::sleep(BUSY).await;
            }
            Ok(_) | Err(Error::Peer { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Err(Error::Busy(key.id()))
}

/// The samples by tick of this node's history; none of the future.
fn readings_of(samples: &Samples, answered_ms: i64, net: &Net) -> BTreeMap<i64, Reading> {
    let history = net.miners.history();
    let grid = history.grid();
    let last = grid.tick_at(now_ms());
    let first =
        last.saturating_sub(i64::from(history.days()) * 24 * 3_600_000 / i64::from(grid.step_ms()));
    let half = i64::from(grid.step_ms() / 2);
    let placed = samples.samples.iter().filter_map(|sample| {
        let ago_ms = i64::try_from(sample.ago_ms).ok()?;
        let tick = grid.tick_at(answered_ms.saturating_sub(ago_ms).saturating_add(half));
        let reading = past::reading(sample);
        ((first..=last).contains(&tick) && !reading.is_empty()).then_some((tick, reading))
    });
    placed.collect()
}
