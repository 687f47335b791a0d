//! The node at work: what all its connections share.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicI64},
    time::{Duration, Instant},
};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    miners::Miners,
    node::{
        Listen, Options, accept,
        book::Book,
        dial,
        identity::Identity,
        late,
        limits::{Failures, Refusals, Shares},
        obey::UnderWay,
        peers::PeerTable,
        report::{self, Moment},
    },
};
use adit_keeper::descriptors;
use adit_model::{
    peer::{NodeRole, PublicKey},
    rights::Rights,
};
use adit_store::{AuditEntry, Store};

/// Handshakes at once.
const HANDSHAKES: usize = 256;
/// Time between two writings of when peers were last seen.
const WRITE_DOWN: Duration = Duration::from_secs(60);
/// File descriptors that a controller of 10,000 workers needs.
const DESCRIPTORS: u64 = 32_768;

/// What the connections of this node share.
pub(crate) struct Net {
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    /// The node id as text.
    pub(crate) id: String,
    /// Made anew at each start.
    pub(crate) instance: Uuid,
    pub(crate) store: Store,
    pub(crate) miners: Miners,
    pub(crate) peers: Arc<PeerTable>,
    failures: Mutex<Failures>,
    refusals: Mutex<Refusals>,
    pub(crate) shares: Shares,
    pub(crate) handshakes: Arc<Semaphore>,
    /// The figures of this node's own miners.
    pub(crate) moments: watch::Sender<Arc<Moment>>,
    /// Counts sessions that came about; wakes who waits for one.
    pub(crate) registrations: watch::Sender<u64>,
    pub(crate) under_way: UnderWay,
    /// The last tick of this node's history that peers were looked at for, in Unix milliseconds.
    pub(crate) recorded_ms: AtomicI64,
    /// Nodes whose samples are missing.
    pub(crate) late: mpsc::UnboundedSender<PublicKey>,
    /// The key that will take over, while a rotation is under way.
    pub(crate) next_key: Mutex<Option<PublicKey>>,
    pub(crate) listening: Mutex<Listening>,
    pub(crate) ending: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// Whether and where the node listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listening {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) problem: Option<String>,
}

impl Net {
    /// Puts the node to work.
    pub(crate) async fn begin(
        options: Options,
        identity: Identity,
        next_key: Option<PublicKey>,
        store: Store,
        miners: Miners,
        peers: Arc<PeerTable>,
    ) -> Arc<Self> {
        if identity.role.commands() {
            let files = raise_limit();
            if files < DESCRIPTORS {
                tracing::warn!(
                    files,
                    "this system allows fewer connections than 10,000 workers need"
                );
            }
        }
        let moments = watch::Sender::new(report::moment(&miners.list()));
        let (late, missing) = mpsc::unbounded_channel();
        let net = Arc::new(Self {
            id: identity.id.to_string(),
            options,
            identity,
            instance: Uuid::new_v4(),
            store,
            miners,
            peers,
            failures: Mutex::default(),
            refusals: Mutex::new(Refusals::new(Instant::now())),
            shares: Shares::default(),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            moments,
            registrations: watch::Sender::new(0),
            under_way: UnderWay::default(),
            recorded_ms: AtomicI64::new(0),
            late,
            next_key: Mutex::new(next_key),
            listening: Mutex::default(),
            ending: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        net.listen().await;
        let dialled: Vec<PublicKey> = {
            let book = net.book();
            let rows = book.all().map(|known| &known.row);
            rows.filter(|row| row.dial && row.address.is_some()).map(|row| row.key).collect()
        };
        for key in dialled {
            dial::keep(&net, key);
        }
        net.tasks.spawn(look(Arc::clone(&net)));
        net.tasks.spawn(write_down(Arc::clone(&net)));
        if net.identity.role.commands() {
            net.tasks.spawn(late::fetch(Arc::clone(&net), missing));
        }
        if net.identity.role.obeys() {
            net.tasks.spawn(crate::node::tell::events(Arc::clone(&net)));
        }
        net
    }

    async fn listen(self: &Arc<Self>) {
        let addresses = match self.options.listen {
            Listen::At(address) => vec![address],
            Listen::Off => Vec::new(),
            Listen::Standard if self.identity.role == NodeRole::Worker => Vec::new(),
            // Both protocols at once, or the old one alone where there is no other.
            Listen::Standard => vec![
                SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), Listen::PORT),
                SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Listen::PORT),
            ],
        };
        for address in addresses {
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let address = listener.local_addr().ok();
                    *self.listening() = Listening { address, problem: None };
                    tracing::info!(address = ?address, id = %self.id, "listening for other nodes");
                    self.tasks.spawn(accept::serve(Arc::clone(self), listener));
                    return;
                }
                Err(error) => {
                    let problem = format!("cannot listen on {address}: {error}");
                    tracing::error!(%error, %address, "cannot listen for other nodes");
                    self.listening().problem = Some(problem);
                }
            }
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.peers.book()
    }

    pub(crate) fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn listening(&self) -> MutexGuard<'_, Listening> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn announced_key(&self) -> Option<PublicKey> {
        *self.next_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a peer may do here now.
    pub(crate) fn rights(&self, key: &PublicKey) -> Rights {
        if !self.identity.role.obeys() {
            return Rights::default();
        }
        let book = self.book();
        let known = book.get(key).filter(|known| known.row.role.commands());
        known.map(|known| known.row.rights).unwrap_or_default()
    }

    /// What a peer of `role` may do here when it is new.
    pub(crate) fn first_rights(&self, role: NodeRole) -> Rights {
        if self.identity.role.obeys() && role.commands() {
            Rights::of_new_controller()
        } else {
            Rights::default()
        }
    }

    /// Writes an entry into the audit log, with the time of now.
    pub(crate) async fn audit(&self, entry: AuditEntry) {
        let entry = AuditEntry { at_ms: jiff::Timestamp::now().as_millisecond(), ..entry };
        if let Err(error) = self.store.add_audit(entry).await {
            tracing::error!(%error, "cannot write the audit log");
        }
    }

    /// Tells everybody who listens.
    pub(crate) fn publish(&self, kind: &str, key: &PublicKey, mut data: serde_json::Value) {
        data["id"] = key.id().to_string().into();
        self.miners.events().publish(kind, data);
    }

    /// Ends all connections.
    pub(crate) async fn end(&self, reason: crate::node::session::Reason) {
        self.ending.cancel();
        let sessions: Vec<_> = self.book().all().filter_map(|it| it.session.clone()).collect();
        for session in sessions {
            session.end(reason.clone());
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.peers.write_seen().await;
    }
}

/// Looks at this node's own miners at each tick.
async fn look(net: Arc<Net>) {
    let mut ticks = tokio::time::interval(net.options.stats_interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while net.ending.run_until_cancelled(ticks.tick()).await.is_some() {
        let moment = report::moment(&net.miners.list());
        // Also when nothing changed: that is told too, and whoever hears nothing knows nothing.
        net.moments.send_replace(moment);
    }
}

async fn write_down(net: Arc<Net>) {
    let mut ticks = tokio::time::interval(WRITE_DOWN);
    while net.ending.run_until_cancelled(ticks.tick()).await.is_some() {
        net.peers.write_seen().await;
    }
}

/// Raises the limit of open files of this process: each worker of a controller and each subscriber of
/// events has one, and the limit of most systems is 1,024. Returns the limit.
pub fn raise_limit() -> u64 {
    descriptors::raise(DESCRIPTORS)
}
