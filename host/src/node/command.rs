//! What this node asks of others: one of them, or many in waves.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use crate::node::{
    Error,
    book::Session,
    message::{Body, Message},
    net::Net,
    obey,
    payload::Fault,
};
use adit_model::peer::{NodeId, PublicKey};
use adit_store::AuditEntry;

/// Nodes that are asked at once.
const AT_ONCE: usize = 256;

/// How long to wait for the answer to a message.
pub(crate) fn patience(body: &Body) -> Duration {
    Duration::from_secs(match body {
        Body::Ping(_) => 5,
        Body::GetStats(_)
        | Body::GetLogs(_)
        | Body::GetHistory(_)
        | Body::GetSamples(_)
        | Body::Rotate(_) => 10,
        Body::Install(_) => 600,
        // A little less than a client of the REST API may have to wait.
        _ => 28,
    })
}

impl Net {
    /// Asks a peer and waits for its answer. When the connection ends meanwhile, the same message
    /// goes out on the next one: the peer does nothing twice for one id.
    pub(crate) async fn ask(
        &self,
        key: &PublicKey,
        body: Body,
        id: Option<Uuid>,
    ) -> Result<Body, Error> {
        let limit = patience(&body);
        let deadline = Instant::now() + limit;
        let peer = key.id();
        let mut message = Message::new(&self.id, peer.as_str(), body);
        message.id = id.unwrap_or(message.id);
        message.ttl_ms = u64::try_from(limit.as_millis()).ok();
        let mut sent = false;
        let mut registrations = self.registrations.subscribe();
        loop {
            registrations.mark_unchanged();
            match self.session(key)? {
                Some(session) => {
                    if let Some(answer) =
                        self.try_on(&session, &message, deadline, &mut sent).await?
                    {
                        return answered(peer, answer);
                    }
                }
                // Nothing was sent yet, so nothing can have happened.
                None if !sent => return Err(self.offline(key)),
                None => {}
            }
            let next = timeout_at(deadline, registrations.changed()).await;
            if next.is_err() || self.ending.is_cancelled() {
                return Err(Error::NoAnswer { id: peer, seconds: limit.as_secs() });
            }
        }
    }

    /// `None`: the session ended before the answer.
    async fn try_on(
        &self,
        session: &Session,
        message: &Message,
        deadline: Instant,
        sent: &mut bool,
    ) -> Result<Option<Body>, Error> {
        let Some(waiting) = session.expect(message) else { return Ok(None) };
        if session.queue.try_send(Box::new(message.clone())).is_err() {
            session.give_up(&message.id);
            if session.queue.is_closed() {
                return Ok(None);
            }
            return Err(Error::Busy(message.to.parse().map_err(|_| Error::ShuttingDown)?));
        }
        *sent = true;
        match timeout_at(deadline, waiting).await {
            Ok(answer) => Ok(answer.ok()),
            Err(_) => {
                session.give_up(&message.id);
                let seconds = message.ttl_ms.unwrap_or(0) / 1_000;
                let id = message.to.parse().map_err(|_| Error::ShuttingDown)?;
                Err(Error::NoAnswer { id, seconds })
            }
        }
    }

    fn session(&self, key: &PublicKey) -> Result<Option<Arc<Session>>, Error> {
        let book = self.book();
        let known = book.get(key).ok_or_else(|| Error::NoPeer(key.id().to_string()))?;
        Ok(known.session.clone())
    }

    fn offline(&self, key: &PublicKey) -> Error {
        let reason = self.book().get(key).and_then(|known| known.problem.clone());
        Error::Offline { id: key.id(), reason }
    }

    /// Commands a peer: checked for this node's own role, and written into the audit log.
    pub(crate) async fn command(
        &self,
        key: &PublicKey,
        body: Body,
        id: Option<Uuid>,
    ) -> Result<Body, Error> {
        if !self.identity.role.commands() {
            let told = "this node is a worker, and workers command nobody";
            return Err(Error::Role(told.to_owned()));
        }
        if self.book().get(key).is_some_and(|known| !known.row.role.obeys()) {
            let told = format!("{} is a controller and obeys nobody", key.id());
            return Err(Error::Role(told));
        }
        let action = body.has_effect().then(|| obey::summary(&body));
        let answer = self.ask(key, body, id).await;
        if let Some(action) = action {
            let outcome = match &answer {
                Ok(_) => "done".to_owned(),
                Err(error) => error.to_string(),
            };
            self.audit(AuditEntry {
                who: "this node".to_owned(),
                address: format!("peer {}", key.id()),
                action: format!("sent {action}"),
                outcome,
                ..AuditEntry::default()
            })
            .await;
        }
        answer
    }

    /// The peers that `targets` names, by id.
    pub(crate) fn chosen(&self, targets: &Targets) -> Result<Vec<(NodeId, PublicKey)>, Error> {
        let book = self.book();
        let mut chosen = BTreeMap::new();
        for id in &targets.peers {
            let known = book.by_id(id).ok_or_else(|| Error::NoPeer(id.to_string()))?;
            chosen.insert(known.id.clone(), known.row.key);
        }
        for known in book.all().filter(|known| known.row.role.obeys()) {
            if targets.all || known.row.tags.iter().any(|tag| targets.tags.contains(tag)) {
                chosen.insert(known.id.clone(), known.row.key);
            }
        }
        if chosen.is_empty() {
            let told = if targets.all {
                "there is no node to command: have one join with the code of `adit node invite`"
            } else {
                "no node is chosen: write peers, tags that some have, or all"
            };
            return Err(Error::Invalid(told.to_owned()));
        }
        Ok(chosen.into_iter().collect())
    }

    /// Commands many peers, wave after wave.
    pub(crate) async fn command_many(
        self: &Arc<Self>,
        chosen: Vec<(NodeId, PublicKey)>,
        body: &Body,
        waves: Waves,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(chosen.len());
        let mut rest = chosen;
        let mut next = waves.canary.filter(|count| *count > 0).or(waves.wave);
        let mut failed = 0;
        while !rest.is_empty() {
            let size = next.unwrap_or(rest.len()).clamp(1, rest.len());
            let later = rest.split_off(size);
            let wave = std::mem::replace(&mut rest, later);
            let done = self.wave(wave, body).await;
            failed += done.iter().filter(|it| it.error.is_some()).count();
            outcomes.extend(done);
            next = waves.wave;
            let careful = waves.canary.is_some() || waves.wave.is_some();
            if careful && failed > waves.max_failures {
                let told = format!("not tried: {failed} nodes before it failed");
                let skipped = rest.drain(..).map(|(id, _)| Outcome::failed(id, "SKIPPED", &told));
                outcomes.extend(skipped);
            }
        }
        outcomes
    }

    async fn wave(self: &Arc<Self>, wave: Vec<(NodeId, PublicKey)>, body: &Body) -> Vec<Outcome> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut asking = JoinSet::new();
        for (id, key) in wave {
            let (net, body, places) = (Arc::clone(self), body.clone(), Arc::clone(&places));
            asking.spawn(async move {
                let _place = places.acquire_owned().await;
                match net.command(&key, body, None).await {
                    Ok(answer) => Outcome { id, result: Some(result(answer)), error: None },
                    Err(error) => {
                        let (code, told) = (error.code().to_owned(), error.to_string());
                        Outcome::failed(id, &code, &told)
                    }
                }
            });
        }
        let mut outcomes = asking.join_all().await;
        outcomes.sort_by(|a, b| a.id.cmp(&b.id));
        outcomes
    }
}

/// What an answer says, for clients.
pub(crate) fn result(answer: Body) -> serde_json::Value {
    match answer {
        Body::Done(done) => done.result,
        Body::Logs(logs) => serde_json::to_value(logs).unwrap_or_default(),
        Body::History(history) => history.points,
        _ => serde_json::Value::Null,
    }
}

fn answered(peer: NodeId, answer: Body) -> Result<Body, Error> {
    match answer {
        Body::Error(Fault { code, message }) => {
            let plain = |text: String| -> String {
                text.chars().filter(|c| !c.is_control()).take(1_000).collect()
            };
            Err(Error::Peer { id: peer, code: plain(code), message: plain(message) })
        }
        answer => Ok(answer),
    }
}

/// Which nodes a command is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Targets {
    /// These.
    pub peers: Vec<NodeId>,
    /// All that have one of these tags.
    pub tags: Vec<String>,
    /// All that obey.
    pub all: bool,
}

/// How to go from node to node.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Waves {
    /// So many first, and the others only when these did well.
    pub canary: Option<usize>,
    /// So many at a time after that; all at once when absent.
    pub wave: Option<usize>,
    /// Failures after which no further wave begins.
    pub max_failures: usize,
}

/// What became of a command at one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Which node.
    pub id: NodeId,
    /// What it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// Why it is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

impl Outcome {
    fn failed(id: NodeId, code: &str, message: &str) -> Self {
        Self { id, result: None, error: Some(Fault::new(code, message)) }
    }
}
