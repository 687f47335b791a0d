//! The peers that this node knows, and the session with each. One lock, held for moments.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::node::{
    limits::Bucket,
    message::{Body, Message},
    reported::Reported,
    session::{self, Ends, Instances, Reason, Verdict},
};
use adit_model::{
    peer::{NodeId, PublicKey},
    rights::Rights,
};
use adit_store::PeerRow;

/// Commands of one peer at once, and a second: each is written down, and the audit log forgets the
/// oldest ones.
const COMMANDS_OF_PEER: (u32, u32) = (200, 2);
/// Events of one peer at once, and a second: they are kept too.
const EVENTS_OF_PEER: (u32, u32) = (100, 1);
/// Changes of keys that are remembered; beyond that all are forgotten.
const SUCCESSORS: usize = 10_000;
/// Commands of one peer that are carried out at once.
const COMMANDS: usize = 16;

/// A session, as everybody but its own task sees it.
pub(crate) struct Session {
    /// Tells the sessions of one peer apart.
    pub(crate) number: Uuid,
    pub(crate) dialled_here: bool,
    pub(crate) instance: Uuid,
    pub(crate) address: SocketAddr,
    pub(crate) since_ms: i64,
    /// Boxed: room for 32 of them is taken at once.
    pub(crate) queue: mpsc::Sender<Box<Message>>,
    /// What this node may do there.
    pub(crate) granted: Rights,
    pub(crate) facts: Mutex<Facts>,
    pending: Mutex<HashMap<Uuid, Waiting>>,
    commands: AtomicUsize,
    reason: OnceLock<Reason>,
    ended: Notify,
}

/// What is learned during a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) heard_at_ms: i64,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) skew_ms: Option<i64>,
    pub(crate) ping: Option<(Uuid, Instant)>,
}

/// Somebody who waits for an answer.
struct Waiting {
    question: Body,
    answer: oneshot::Sender<Body>,
}

impl Session {
    pub(crate) fn new(
        queue: mpsc::Sender<Box<Message>>,
        dialled_here: bool,
        instance: Uuid,
        granted: Rights,
        address: SocketAddr,
    ) -> Self {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        Self {
            number: Uuid::new_v4(),
            dialled_here,
            instance,
            address,
            since_ms: now_ms,
            queue,
            granted,
            facts: Mutex::new(Facts { heard_at_ms: now_ms, ..Facts::default() }),
            pending: Mutex::default(),
            commands: AtomicUsize::new(0),
            reason: OnceLock::new(),
            ended: Notify::new(),
        }
    }

    /// Ends the session. The first reason counts.
    pub(crate) fn end(&self, reason: Reason) {
        let _already = self.reason.set(reason);
        self.ended.notify_one();
    }

    /// Waits until [`end`](Self::end). Safe to drop.
    pub(crate) async fn ended(&self) -> Reason {
        loop {
            if let Some(reason) = self.reason.get() {
                return reason.clone();
            }
            self.ended.notified().await;
        }
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Uuid, Waiting>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who waits for the answer to `message`. `None`: the session has ended.
    pub(crate) fn expect(&self, message: &Message) -> Option<oneshot::Receiver<Body>> {
        let (answer, waiting) = oneshot::channel();
        let mut pending = self.pending();
        if self.reason.get().is_some() {
            return None;
        }
        pending.insert(message.id, Waiting { question: message.body.clone(), answer });
        Some(waiting)
    }

    pub(crate) fn give_up(&self, id: &Uuid) {
        self.pending().remove(id);
    }

    /// Takes an answer to whoever waits for it, here and for this type.
    pub(crate) fn answer(&self, id: &Uuid, body: Body) {
        let mut pending = self.pending();
        let fits = pending.get(id).is_some_and(|it| it.question.is_answered_by(&body));
        if let Some(waiting) = pending.remove(id).filter(|_| fits) {
            drop(waiting.answer.send(body));
        }
    }

    /// Nobody will be answered any more.
    pub(crate) fn abandon(&self, reason: Reason) {
        let mut pending = self.pending();
        let _already = self.reason.set(reason);
        pending.clear();
    }

    /// A place for one more command; `None`: too many are under way.
    pub(crate) fn place(self: &Arc<Self>) -> Option<Place> {
        let taken = self.commands.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        (taken < COMMANDS).then_some(place)
    }
}

/// Held while a command is carried out.
pub(crate) struct Place(Arc<Session>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.commands.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A peer.
pub(crate) struct Known {
    pub(crate) row: PeerRow,
    pub(crate) id: NodeId,
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) reported: Arc<Mutex<Reported>>,
    /// Two machines use its key.
    pub(crate) cloned: bool,
    /// Why there is no session, if there should be one.
    pub(crate) problem: Option<String>,
    /// Ends the task that dials it.
    pub(crate) dialler: Option<CancellationToken>,
    instances: Instances,
    /// Commands it may give and events it may tell: over all its sessions.
    commands: Bucket,
    events: Bucket,
    /// `last_seen_at_ms` is newer than in the database.
    unwritten: bool,
}

impl Known {
    pub(crate) fn new(row: PeerRow) -> Self {
        let now = Instant::now();
        Self {
            id: row.key.id(),
            session: None,
            reported: Arc::new(Mutex::new(Reported::since(row.last_seen_at_ms))),
            row,
            cloned: false,
            problem: None,
            dialler: None,
            instances: Instances::default(),
            commands: Bucket::new(COMMANDS_OF_PEER.0, COMMANDS_OF_PEER.1, now),
            events: Bucket::new(EVENTS_OF_PEER.0, EVENTS_OF_PEER.1, now),
            unwritten: false,
        }
    }
}

/// All peers.
#[derive(Default)]
pub(crate) struct Book {
    peers: HashMap<PublicKey, Known>,
    ids: HashMap<NodeId, PublicKey>,
    /// Keys that took over, by the id of the one before.
    successors: HashMap<NodeId, PublicKey>,
}

impl Book {
    pub(crate) fn new(rows: Vec<PeerRow>) -> Self {
        let mut book = Self::default();
        rows.into_iter().for_each(|row| book.insert(row));
        book
    }

    /// Adds a peer that was not known.
    pub(crate) fn insert(&mut self, row: PeerRow) {
        self.successors.remove(&row.key.id());
        let known = Known::new(row);
        self.ids.insert(known.id.clone(), known.row.key);
        self.peers.insert(known.row.key, known);
    }

    pub(crate) fn get(&self, key: &PublicKey) -> Option<&Known> {
        self.peers.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &PublicKey) -> Option<&mut Known> {
        self.peers.get_mut(key)
    }

    pub(crate) fn by_id(&self, id: &NodeId) -> Option<&Known> {
        self.peers.get(self.ids.get(id)?)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Known> {
        self.peers.values()
    }

    /// The peer that has announced `key` as its next one.
    pub(crate) fn announced(&self, key: &PublicKey) -> Option<&Known> {
        self.peers.values().find(|known| known.row.next_key.as_ref() == Some(key))
    }

    /// Whether the peer with `key` may announce `next` as its next key: it belongs to nobody else.
    pub(crate) fn is_free(&self, key: &PublicKey, next: &PublicKey) -> bool {
        let is_announced = self.announced(next).is_some_and(|known| known.row.key != *key);
        !is_announced && !self.peers.contains_key(next)
    }

    /// Gives a peer its announced key. Its session ends; what two machines did under the old key
    /// still counts. `None`: there is no such peer.
    pub(crate) fn rename(&mut self, old: &PublicKey, new: PublicKey) -> Option<PeerRow> {
        let known = self.take(old, Reason::Rotated)?;
        let row = PeerRow { key: new, next_key: None, ..known.row };
        let Known { cloned, commands, events, .. } = known;
        self.insert(row.clone());
        if self.successors.len() >= SUCCESSORS {
            self.successors.clear();
        }
        self.successors.insert(old.id(), new);
        if let Some(renamed) = self.peers.get_mut(&new) {
            (renamed.cloned, renamed.commands, renamed.events) = (cloned, commands, events);
        }
        Some(row)
    }

    /// The key that the peer with `key` has now: one that changes it cannot get away from an order
    /// of the operator who saw the old one.
    pub(crate) fn current(&self, key: PublicKey) -> PublicKey {
        let mut current = key;
        while !self.peers.contains_key(&current) {
            let Some(next) = self.successors.get(&current.id()) else { return key };
            current = *next;
        }
        current
    }

    /// The key that took over from the one with this id.
    pub(crate) fn successor(&self, id: &NodeId) -> Option<PublicKey> {
        self.successors.get(id).map(|key| self.current(*key))
    }

    /// Whether the peer may have one more command noted now.
    pub(crate) fn may_command(&mut self, key: &PublicKey) -> bool {
        let known = self.peers.get_mut(key);
        known.is_some_and(|known| known.commands.take(1, Instant::now()))
    }

    /// Whether one more event of the peer may be told now.
    pub(crate) fn may_tell(&mut self, key: &PublicKey) -> bool {
        let known = self.peers.get_mut(key);
        known.is_some_and(|known| known.events.take(1, Instant::now()))
    }

    /// Deletes a peer; its session ends at once. `false`: there is none.
    pub(crate) fn remove(&mut self, key: &PublicKey, reason: Reason) -> bool {
        self.take(key, reason).is_some()
    }

    fn take(&mut self, key: &PublicKey, reason: Reason) -> Option<Known> {
        let known = self.peers.remove(key)?;
        self.ids.remove(&known.id);
        if let Some(session) = &known.session {
            session.end(reason);
        }
        if let Some(dialler) = &known.dialler {
            dialler.cancel();
        }
        Some(known)
    }

    /// Makes `session` the one of its peer.
    pub(crate) fn register(
        &mut self,
        own: &PublicKey,
        key: &PublicKey,
        session: &Arc<Session>,
    ) -> Result<(), Reason> {
        let known = self.peers.get_mut(key).ok_or(Reason::Revoked)?;
        // The operator disconnected the peer while it was dialled.
        if session.dialled_here && !known.row.dial {
            return Err(Reason::Disconnected);
        }
        if known.instances.see(session.instance) {
            known.cloned = true;
        }
        if known.cloned {
            known.problem = Some(Reason::Cloned.to_string());
            if let Some(old) = known.session.take() {
                old.end(Reason::Cloned);
            }
            return Err(Reason::Cloned);
        }
        if let Some(old) = &known.session {
            let ends = |it: &Arc<Session>| (it.dialled_here, it.instance);
            let ((old_here, old_instance), (new_here, new_instance)) = (ends(old), ends(session));
            let verdict = session::duplicate(
                Ends { dialled_here: old_here, instance: &old_instance },
                Ends { dialled_here: new_here, instance: &new_instance },
                own < key,
            );
            if verdict == Verdict::Keep {
                return Err(Reason::Duplicate);
            }
            old.end(Reason::Replaced);
        }
        known.session = Some(Arc::clone(session));
        known.problem = None;
        Ok(())
    }

    /// Notes the end of a session, unless another has taken its place. Returns whether it was the
    /// peer's session.
    pub(crate) fn unregister(
        &mut self,
        key: &PublicKey,
        session: &Arc<Session>,
        reason: &Reason,
    ) -> bool {
        let Some(known) = self.peers.get_mut(key) else { return false };
        let heard = session.facts().heard_at_ms;
        known.row.last_seen_at_ms = known.row.last_seen_at_ms.max(Some(heard));
        known.unwritten = true;
        let current = known.session.as_ref().is_some_and(|it| it.number == session.number);
        if current {
            known.session = None;
            known.problem = Some(reason.to_string());
        }
        current
    }

    /// Allows a peer again whose key two machines used.
    pub(crate) fn forgive(&mut self, key: &PublicKey) {
        if let Some(known) = self.peers.get_mut(key) {
            known.cloned = false;
            known.instances.forgive();
        }
    }

    /// When peers were last seen, as far as the database does not know it.
    pub(crate) fn take_unwritten(&mut self) -> Vec<(PublicKey, i64)> {
        let mut seen = Vec::new();
        for known in self.peers.values_mut() {
            if let Some(session) = &known.session {
                known.row.last_seen_at_ms = Some(session.facts().heard_at_ms);
                known.unwritten = true;
            }
            if std::mem::take(&mut known.unwritten) {
                seen.extend(known.row.last_seen_at_ms.map(|at_ms| (known.row.key, at_ms)));
            }
        }
        seen
    }
}
