//! P2P: who this node is, whom it knows, and how they talk. WebSocket stops in `transport`.
//!
//! `docs/node.md` has the protocol, `docs/node-messages.json` the schema of every message. Pure
//! rules, without sockets: `invite noise message limits session report`. The shells around them:
//! `transport`, `accept` and `dial` make connections, `link` serves one, `obey` carries out what
//! peers ask, `command` asks peers.

mod accept;
mod act;
mod book;
pub mod command;
mod dial;
mod error;
pub mod fleet;
pub mod identity;
pub mod invite;
mod late;
pub(crate) mod limits;
mod link;
pub mod message;
mod net;
pub mod noise;
mod obey;
mod pairing;
mod past;
pub mod payload;
mod peers;
mod report;
mod reported;
mod rotate;
mod session;
mod tell;
mod transport;
pub mod view;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use error::Error;
pub use net::raise_limit;

use crate::{
    miners::Miners,
    node::{
        identity::{Identity, KeyFolder},
        net::Net,
        peers::PeerTable,
        session::Reason,
        view::{IdentityView, NodeInfo},
    },
};
use adit_model::peer::NodeRole;
use adit_store::Store;

/// Where the node listens for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listen {
    /// On all addresses, port 9091, when the node's role commands; a worker dials and needs no port.
    #[default]
    Standard,
    /// Nowhere.
    Off,
    /// There, whatever the role; port 0 takes a free one.
    At(SocketAddr),
}

impl Listen {
    /// The standard port.
    pub const PORT: u16 = 9091;
}

/// What the operator set about the node.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the key.
    pub folder: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// `host:port` under which others reach this node; guessed when absent.
    pub advertise: Option<String>,
    /// Time between two reports of figures.
    pub stats_interval: Duration,
}

/// This node on the network. Cheap to clone.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    options: Options,
    keys: KeyFolder,
    store: Store,
    miners: Miners,
    peers: Arc<PeerTable>,
    /// The network, once the node is initialised. Locked for moments only.
    net: Mutex<Option<Arc<Net>>>,
    /// Held while a key is made or changed, so that it happens once at a time.
    changing: tokio::sync::Mutex<()>,
}

/// Whether the keys in `folder` can be used, if there are any. Changes nothing: a start calls it before
/// any miner is touched.
///
/// # Errors
/// As [`Node::begin`] would fail with them.
pub fn check_keys(folder: PathBuf) -> Result<(), Error> {
    let keys = KeyFolder::new(folder);
    keys.load()?;
    keys.next_key().map(drop)
}

impl Node {
    /// Brings the node up, if it was initialised.
    ///
    /// # Errors
    /// When there is a key that cannot be used, or the peers cannot be read.
    pub async fn begin(options: Options, store: Store, miners: Miners) -> Result<Self, Error> {
        let keys = KeyFolder::new(options.folder.clone());
        let identity = keys.load()?;
        let changing = tokio::sync::Mutex::new(());
        let peers = PeerTable::read(store.clone()).await?;
        let net = Mutex::new(None);
        let node = Self(Arc::new(Inner { options, keys, store, miners, peers, net, changing }));
        let weak = Arc::downgrade(&node.0);
        node.0.miners.history().watch_elsewhere(Arc::new(move |at_ms| {
            let net = weak.upgrade().and_then(|inner| Self(inner).net().ok());
            let commands = net.filter(|net| net.identity.role.commands());
            commands.map(|net| late::readings(&net, at_ms)).unwrap_or_default()
        }));
        if let Some(identity) = identity {
            node.work_as(identity).await?;
        }
        Ok(node)
    }

    async fn work_as(&self, identity: Identity) -> Result<Arc<Net>, Error> {
        let inner = &self.0;
        let next = inner.keys.next_key()?.map(|key| key.public());
        let (options, store, miners) =
            (inner.options.clone(), inner.store.clone(), inner.miners.clone());
        let peers = Arc::clone(&inner.peers);
        let net = Net::begin(options, identity, next, store, miners, peers).await;
        *self.slot() = Some(Arc::clone(&net));
        Ok(net)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Net>>> {
        self.0.net.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn net(&self) -> Result<Arc<Net>, Error> {
        self.slot().clone().ok_or(Error::NotInitialised)
    }

    /// Makes this node's key, once, and puts it to work.
    ///
    /// # Errors
    /// [`Error::Initialised`], [`Error::Invalid`], or when the key cannot be written.
    pub async fn init(&self, name: &str, role: NodeRole) -> Result<IdentityView, Error> {
        let _alone = self.0.changing.lock().await;
        let identity = self.0.keys.create(name, role)?;
        let net = self.work_as(identity).await?;
        tracing::info!(id = %net.id, role = %role, "this node has a key now");
        Ok(shown(&net.identity))
    }

    /// Who this node is and how its network does.
    pub fn info(&self) -> NodeInfo {
        let Ok(net) = self.net() else {
            return NodeInfo {
                has_identity: false,
                identity: None,
                registered_peers: 0,
                connected_peers: 0,
                listen: None,
                next_id: None,
                problem: None,
            };
        };
        let listening = net.listening().clone();
        let book = net.book();
        NodeInfo {
            has_identity: true,
            identity: Some(shown(&net.identity)),
            registered_peers: book.all().count(),
            connected_peers: book.all().filter(|known| known.session.is_some()).count(),
            listen: listening.address.map(|address| address.to_string()),
            next_id: net.announced_key().map(|key| key.id()),
            problem: listening.problem,
        }
    }

    /// Announces a new key to all peers, inside their sessions. It takes over with
    /// [`finish_rotation`](Self::finish_rotation), when all peers had the time to hear of it.
    ///
    /// # Errors
    /// When the key cannot be written.
    pub async fn rotate(&self) -> Result<NodeInfo, Error> {
        let _alone = self.0.changing.lock().await;
        let net = self.net()?;
        rotate::prepare(&net, &self.0.keys)?;
        rotate::announce(&net).await;
        Ok(self.info())
    }

    /// Lets the announced key take over: all sessions begin anew under it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when none was announced; [`Error::Key`] when the files refuse.
    pub async fn finish_rotation(&self) -> Result<NodeInfo, Error> {
        // In a task of its own: a caller that gives up must not leave the node without a network.
        let node = self.clone();
        let done = tokio::spawn(async move { node.let_next_key_take_over().await });
        done.await.unwrap_or(Err(Error::ShuttingDown))
    }

    async fn let_next_key_take_over(&self) -> Result<NodeInfo, Error> {
        let _alone = self.0.changing.lock().await;
        let net = self.net()?;
        if self.0.keys.next_key()?.is_none() {
            let told = "no new key was announced: begin with POST /node/rotate";
            return Err(Error::Invalid(told.to_owned()));
        }
        self.0.keys.switch()?;
        *self.slot() = None;
        net.end(Reason::Rotated).await;
        let identity = self.0.keys.load()?.ok_or(Error::NotInitialised)?;
        self.work_as(identity).await?;
        Ok(self.info())
    }

    /// Ends all connections.
    pub async fn end(&self) {
        let net = self.slot().take();
        if let Some(net) = net {
            net.end(Reason::ShuttingDown).await;
        }
    }
}

fn shown(identity: &Identity) -> IdentityView {
    IdentityView {
        id: identity.id.clone(),
        name: identity.name.clone(),
        public_key: identity.public,
        role: identity.role,
        created_at: jiff::Timestamp::from_millisecond(identity.created_at_ms).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
