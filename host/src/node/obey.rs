//! Carrying out what peers ask: the receiver decides who may what, and everything is written down.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::node::{
    act,
    book::Session,
    message::{Body, Message},
    net::Net,
    past,
    payload::{Done, Fault, Report, StartMiner},
    report, rotate,
};
use adit_model::{
    peer::PublicKey,
    rights::{self, Right, Rights},
};
use adit_store::{AuditEntry, Begun};

/// Largest answer that is kept for a repetition, in bytes: there are a thousand of each peer.
const KEPT_ANSWER: usize = 16 << 10;

/// Commands that are being carried out now, for those who ask again meanwhile.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<Commands>);

/// The answer to come, by sender and id.
type Commands = HashMap<(PublicKey, Uuid), watch::Receiver<Option<Body>>>;

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, Commands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any command is being carried out.
    #[cfg(test)]
    pub(crate) fn is_any(&self) -> bool {
        !self.lock().is_empty()
    }
}

/// The rights that a message needs by what it says; none for what every peer may ask. What it would
/// change can need more: see [`crate::miners::Miners::deploy_profile`].
pub(crate) fn needed(body: &Body) -> Rights {
    match body {
        Body::GetStats(_) | Body::GetHistory(_) | Body::GetSamples(_) => {
            [Right::Stats].into_iter().collect()
        }
        Body::GetLogs(_) => [Right::Logs].into_iter().collect(),
        Body::StopMiner(_) => [Right::Control].into_iter().collect(),
        // Only the driver knows what its message changes.
        Body::Driver(_) => [Right::Control, Right::Config, Right::Payout].into_iter().collect(),
        Body::StartMiner(start) => {
            let config = start.config.as_ref().map(rights::to_set).unwrap_or_default();
            let new = start.miner_type.is_some();
            let more: &[Right] =
                if new { &[Right::Control, Right::Config] } else { &[Right::Control] };
            more.iter().copied().chain(config.iter()).collect()
        }
        Body::Deploy(deploy) => {
            let config = rights::to_set(&deploy.config);
            let pools = deploy.pools.as_ref().map(|_| Right::Payout);
            [Right::Control, Right::Config].into_iter().chain(config.iter()).chain(pools).collect()
        }
        Body::Install(_) => [Right::Deploy].into_iter().collect(),
        _ => Rights::default(),
    }
}

/// One line about a command, for the audit log. Never a secret.
pub(crate) fn summary(body: &Body) -> String {
    let of = |name: &dyn std::fmt::Display| format!("{} {name}", body.kind());
    match body {
        Body::StartMiner(StartMiner { miner_name, profile_id, miner_type, .. }) => {
            let named = miner_name.as_ref().map(ToString::to_string);
            let from = profile_id.clone().or(miner_type.as_ref().map(ToString::to_string));
            let words: Vec<String> = [named, from].into_iter().flatten().collect();
            of(&words.join(" from "))
        }
        Body::StopMiner(stop) => of(&stop.miner_name),
        Body::GetLogs(logs) => of(&logs.miner_name),
        Body::GetHistory(history) => of(&history.miner_name),
        Body::GetSamples(samples) => of(&samples.miner_name),
        Body::Install(install) => {
            let version = install.version.as_deref().unwrap_or("latest");
            of(&format!("{} {version}", install.miner_type))
        }
        Body::Deploy(deploy) => of(&crate::node::accept::line(&deploy.name)),
        Body::Driver(message) => of(&message.driver),
        other => other.kind().to_owned(),
    }
}

/// The answer to what a peer asks.
pub(crate) async fn answer(
    net: &Arc<Net>,
    key: &PublicKey,
    session: &Session,
    message: &Message,
) -> Body {
    let body = &message.body;
    // What cannot be read may have been meant to have an effect, such as one with a path for a name.
    let is_odd = matches!(body, Body::Unknown(_) | Body::Malformed { .. });
    let is_noted = body.has_effect() || is_odd || matches!(body, Body::Rotate(_));
    if is_noted && !net.book().may_command(key) {
        return fault("RATE_LIMITED", "too many commands: send fewer");
    }
    let answer = match body {
        Body::Unknown(kind) => {
            let told = format!("this version of adit does not know messages of type {kind:?}");
            fault("UNKNOWN_TYPE", told)
        }
        Body::Malformed { reason, .. } => fault("INVALID_INPUT", reason.clone()),
        body => match refusal(net, key, body) {
            Some(refusal) => Body::Error(refusal),
            None if body.has_effect() => once(net, key, message).await,
            None => carry_out(net, key, body).await,
        },
    };
    let refused = matches!(&answer, Body::Error(fault) if fault.code == "FORBIDDEN");
    if is_noted || (refused && net.book().may_command(key)) {
        let outcome = match &answer {
            Body::Error(Fault { code, message }) => format!("{code}: {message}"),
            _ => "done".to_owned(),
        };
        if refused || is_odd {
            let (peer, action) = (key.id(), summary(body));
            tracing::warn!(peer = peer.short(), action, outcome, "refused a command");
        }
        if refused {
            let data = json!({ "action": summary(body), "reason": outcome });
            net.publish("peer.forbidden", key, data);
        }
        net.audit(AuditEntry {
            who: format!("peer {}", key.id()),
            address: session.address.ip().to_string(),
            action: summary(body),
            outcome,
            refused: matches!(answer, Body::Error(_)),
            ..AuditEntry::default()
        })
        .await;
    }
    answer
}

fn refusal(net: &Net, key: &PublicKey, body: &Body) -> Option<Fault> {
    let needed = needed(body);
    if !needed.is_empty() && !net.identity.role.obeys() {
        return Some(Fault::new("FORBIDDEN", "this node is a controller and obeys nobody"));
    }
    let lacking = net.rights(key).lacking(needed);
    (!lacking.is_empty()).then(|| forbidden(net, lacking))
}

/// The refusal of what needs the rights `lacking`.
pub(crate) fn forbidden(net: &Net, lacking: Rights) -> Fault {
    let told = format!(
        "this node does not give you the right to {lacking}: its operator can, with \
         `adit peer set {} --rights …`",
        net.identity.id.short()
    );
    Fault::new("FORBIDDEN", told)
}

/// Carries a command out exactly once, however often it comes.
async fn once(net: &Arc<Net>, key: &PublicKey, message: &Message) -> Body {
    let place = (*key, message.id);
    let (told, under_way) = watch::channel(None);
    let earlier = {
        let mut all = net.under_way.lock();
        match all.get(&place) {
            Some(earlier) => Some(earlier.clone()),
            None => {
                all.insert(place, under_way);
                None
            }
        }
    };
    if let Some(mut earlier) = earlier {
        let answered = earlier.wait_for(Option::is_some).await;
        return answered.ok().and_then(|it| it.clone()).unwrap_or_else(unfinished);
    }
    // In a task of its own, so that the end of a connection leaves nothing half done.
    let (doing, key, message) = (Arc::clone(net), *key, message.clone());
    let done = net.tasks.spawn(async move {
        let answer = first_time(&doing, &key, &message).await;
        told.send_replace(Some(answer.clone()));
        doing.under_way.lock().remove(&(key, message.id));
        answer
    });
    done.await.unwrap_or_else(|_| fault("INTERNAL", "the node failed at this; its log says why"))
}

async fn first_time(net: &Arc<Net>, key: &PublicKey, message: &Message) -> Body {
    let id = message.id.to_string();
    match net.store.begin_command(*key, id.clone()).await {
        Ok(Begun::New) => {}
        Ok(Begun::Unfinished) => return unfinished(),
        Ok(Begun::Answered(answer)) => {
            let answer = Message::decode(answer.as_bytes()).map(|message| message.body);
            return answer.unwrap_or_else(|_| unfinished());
        }
        Err(error) => {
            tracing::error!(%error, "cannot note a command; it is not carried out");
            return fault("DATABASE_ERROR", "the node cannot note the command, so it did nothing");
        }
    }
    // The right may have been taken away while the command was noted.
    let answer = match refusal(net, key, &message.body) {
        Some(refusal) => Body::Error(refusal),
        None => carry_out(net, key, &message.body).await,
    };
    let written = |body: Body| {
        let text = message.answer(body).encode().unwrap_or_default();
        String::from_utf8(text).unwrap_or_default()
    };
    let mut text = written(answer.clone());
    if text.len() > KEPT_ANSWER {
        let told = "this was done before, and its answer was too large to be kept";
        text = written(fault("UNKNOWN_OUTCOME", told));
    }
    if let Err(error) = net.store.finish_command(*key, id, text).await {
        tracing::error!(%error, "cannot note the answer to a command");
    }
    answer
}

fn unfinished() -> Body {
    fault(
        "UNKNOWN_OUTCOME",
        "the node ended while it carried this command out and does not do it again: look at its \
         miners",
    )
}

async fn carry_out(net: &Arc<Net>, key: &PublicKey, body: &Body) -> Body {
    match body {
        Body::GetStats(_) => {
            let miners = (**net.moments.borrow()).clone();
            let report = Report { full: true, miners, ..Report::default() };
            match report::pieces(report.clone()).len() {
                0..=3 => Body::Stats(report),
                _ => fault("TOO_LARGE", "there are too many miners for one answer: see the fleet"),
            }
        }
        Body::GetLogs(logs) => answered(act::read_logs(net, logs).await),
        Body::GetHistory(history) => answered(past::chart(net, history).await),
        Body::GetSamples(samples) => answered(past::samples(net, samples).await),
        Body::StartMiner(start) => answered(act::start_miner(net, key, start).await),
        Body::StopMiner(stop) => {
            let stopped = net.miners.stop(stop.miner_name.as_str()).await;
            answered(stopped.map(|()| done(json!({ "status": "stopped" }))).map_err(Into::into))
        }
        Body::Install(install) => answered(act::install_program(net, install).await),
        Body::Deploy(deploy) => answered(act::deploy(net, key, deploy).await),
        Body::Driver(message) => answered(act::to_driver(net, key, message).await),
        Body::Rotate(rotate) => match rotate::announced(net, key, rotate.next_key).await {
            Ok(()) => done(Value::Null),
            Err(error) => fault("INVALID_INPUT", error.to_string()),
        },
        other => fault("UNSUPPORTED", format!("this node does not answer {}", other.kind())),
    }
}

pub(crate) fn done(result: Value) -> Body {
    Body::Done(Done { result })
}

fn fault(code: &str, message: impl Into<String>) -> Body {
    Body::Error(Fault::new(code, message))
}

fn answered(result: Result<Body, Fault>) -> Body {
    result.unwrap_or_else(Body::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(kind: &str, payload: &Value) -> Body {
        let text = json!({ "id": Uuid::new_v4(), "type": kind, "from": "a", "to": "b",
                           "timestamp": "2026-01-01T00:00:00Z", "payload": payload });
        Message::decode(text.to_string().as_bytes()).unwrap().body
    }

    #[test]
    fn every_message_needs_what_the_table_says() {
        let config = json!({ "threads": 1 });
        let payout = json!({ "pool": "x:1" });
        for (kind, payload, rights) in [
            ("ping", json!({}), "none"),
            ("get_stats", json!({}), "stats"),
            ("get_history", json!({ "minerName": "a" }), "stats"),
            ("get_samples", json!({ "minerName": "a", "agoMs": 1 }), "stats"),
            ("get_logs", json!({ "minerName": "a" }), "logs"),
            ("stop_miner", json!({ "minerName": "a" }), "control"),
            ("start_miner", json!({ "minerName": "a" }), "control"),
            ("start_miner", json!({ "profileId": "p" }), "control"),
            ("start_miner", json!({ "minerType": "sim" }), "control, config"),
            ("start_miner", json!({ "minerType": "sim", "config": {} }), "control, config"),
            ("start_miner", json!({ "minerName": "a", "config": config }), "control, config"),
            (
                "start_miner",
                json!({ "minerType": "sim", "config": payout }),
                "control, config, payout",
            ),
            (
                "deploy",
                json!({ "name": "p", "minerType": "sim", "config": payout }),
                "control, config, payout",
            ),
            (
                "deploy",
                json!({ "name": "p", "minerType": "sim", "config": config, "pools": ["mine"] }),
                "control, config, payout",
            ),
            ("install", json!({ "minerType": "sim" }), "deploy"),
            ("driver", json!({ "driver": "sim", "data": "" }), "control, config, payout"),
        ] {
            assert_eq!(needed(&body(kind, &payload)).to_string(), rights, "{kind} {payload}");
        }
    }

    #[test]
    fn the_audit_log_names_what_and_no_secret() {
        let config = json!({ "wallet": "hunter2" });
        for (kind, payload, told) in [
            (
                "start_miner",
                json!({ "minerName": "a", "minerType": "sim", "config": config }),
                "start_miner a from sim",
            ),
            ("stop_miner", json!({ "minerName": "a" }), "stop_miner a"),
            ("install", json!({ "minerType": "sim" }), "install sim latest"),
            ("reboot", json!({}), "reboot"),
        ] {
            assert_eq!(summary(&body(kind, &payload)), told);
        }
    }
}
