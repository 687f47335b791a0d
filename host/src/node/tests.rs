//! Whole nodes over real sockets, and a raw peer that does as the test tells it.

mod attacks;
mod bounds;
mod faults;
mod life;
mod past;
mod revoked;
mod scale;

use std::time::Instant;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    miners::{self, Events, HostServices, PeerLink, Programs},
    node::{
        identity::SecretKey,
        message::{Body, Message},
        noise::{Channel, Dialling, Listening, Mode},
        payload::{Handshake, Ping},
        transport::{Incoming, Outgoing, Socket},
    },
};
use adit_drivers::registry::Drivers;
use adit_keeper_client::{Binary, Keepers};
use adit_model::{peer::PublicKey, rights::Rights};
use adit_releases::{Releases, Sources};
use adit_store::PeerRow;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// A node with a state folder of its own.
struct Rig {
    node: Node,
    store: Store,
    options: Options,
    miners: Miners,
    folder: TempDir,
}

impl Rig {
    /// A node that listens on loopback, whatever its role.
    async fn up(role: NodeRole) -> Self {
        Self::up_at(role, "127.0.0.1:0").await
    }

    async fn up_at(role: NodeRole, listen: &str) -> Self {
        Self::up_every(Duration::from_millis(100), role, listen).await
    }

    /// One that takes a sample every `interval`.
    async fn up_every(interval: Duration, role: NodeRole, listen: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path().join("adit.db")).unwrap();
        let miners = no_miners(&folder, &store, interval).await;
        let options = Options {
            folder: folder.path().join("node"),
            listen: Listen::At(listen.parse().unwrap()),
            advertise: None,
            stats_interval: interval,
        };
        let node = Node::begin(options.clone(), store.clone(), miners.clone()).await.unwrap();
        assert!(!node.info().has_identity);
        node.init(role.as_str(), role).await.unwrap();
        Self { node, store, options, miners, folder }
    }

    /// Ends the node and begins it again with the same state, on the same port.
    async fn again(&mut self) {
        let address = self.address();
        self.node.end().await;
        self.options.listen = Listen::At(address.parse().unwrap());
        let begun = Node::begin(self.options.clone(), self.store.clone(), self.miners.clone());
        self.node = begun.await.unwrap();
    }

    fn net(&self) -> Arc<Net> {
        self.node.net().unwrap()
    }

    fn address(&self) -> String {
        self.node.info().listen.unwrap()
    }

    fn key(&self) -> PublicKey {
        self.net().identity.public
    }

    fn id(&self) -> String {
        self.net().id.clone()
    }

    async fn invite(&self) -> String {
        self.node.invite(None, 1, Duration::from_secs(900), Vec::new()).await.unwrap().invite
    }

    /// Writes a peer down as if it had been paired.
    async fn knows(&self, key: PublicKey, role: NodeRole) {
        let rights = self.net().first_rights(role);
        self.net().peers.join(row(key, role, rights)).await.unwrap();
    }

    fn is_connected(&self, id: &str) -> bool {
        self.node.peer(id).is_ok_and(|peer| peer.connected)
    }

    /// Reasons why nodes were refused here.
    fn refusals(&self) -> Refusals {
        Refusals(self.miners.events().subscribe(None))
    }
}

struct Refusals(miners::Subscription);

impl Refusals {
    async fn next(&mut self) -> String {
        let waiting = async {
            loop {
                let miners::Heard::Event(heard) = self.0.next().await.unwrap() else { continue };
                if heard.event.kind == "peer.refused" {
                    return heard.event.data["reason"].as_str().unwrap().to_owned();
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("a refusal with its reason")
    }
}

fn row(key: PublicKey, role: NodeRole, rights: Rights) -> PeerRow {
    PeerRow {
        key,
        name: "raw".to_owned(),
        role,
        rights,
        tags: Vec::new(),
        address: None,
        dial: false,
        added_at_ms: 1,
        last_seen_at_ms: None,
        next_key: None,
        version: None,
        invite: None,
    }
}

async fn no_miners(folder: &TempDir, store: &Store, interval: Duration) -> Miners {
    let (sources, limits) = (Sources::default(), adit_releases::Limits::default());
    let root = folder.path().join("programs");
    let releases = Releases::new(adit_releases::Options { root, sources, limits }).unwrap();
    let root = folder.path().join("miners");
    let options = miners::Options {
        root: root.clone(),
        programs: Programs {
            configured: Default::default(),
            bundled: Vec::new(),
            releases,
            signers: Default::default(),
        },
        worker: "rig".to_owned(),
        stats_interval: interval,
        output_interval: Duration::from_millis(100),
        retention_days: 1,
        remote_write: None,
        webhooks: Vec::new(),
        watchdog: miners::WatchdogSettings {
            options: Default::default(),
            incidents: adit_store::IncidentLimits { per_miner: 10, days: 1 },
        },
    };
    let keepers = Keepers::new(root, Binary::standard().await);
    let drivers = Drivers::default();
    let services = HostServices::new(store.clone(), Events::new(1), PeerLink::default());
    Miners::begin(options, store.clone(), keepers, drivers, &services).await.unwrap()
}

/// Waits until `look` sees something.
async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A controller and a worker that have paired and are connected.
async fn pair() -> (Rig, Rig) {
    let controller = Rig::up(NodeRole::Controller).await;
    let worker = Rig::up(NodeRole::Worker).await;
    worker.node.join(&controller.invite().await).await.unwrap();
    let id = worker.id();
    wait_for("the session", || controller.is_connected(&id).then_some(())).await;
    (controller, worker)
}

/// A peer that does as it is told.
struct Raw {
    key: SecretKey,
    own: String,
    peer: String,
    channel: Channel,
    outgoing: Outgoing,
    incoming: Incoming,
}

impl Raw {
    /// Shakes hands with `rig`; nothing is sent after that yet.
    async fn dial(
        rig: &Rig,
        key: &SecretKey,
        mode: Mode,
        psk: Option<&[u8; 32]>,
    ) -> Result<Self, String> {
        let mut socket = Socket::dial(&rig.address()).await?;
        let (dialling, first) = Dialling::begin(key, &rig.key(), mode, psk).unwrap();
        socket.send(first).await?;
        let answer = socket.receive().await?;
        let (channel, _) = dialling.finish(&answer).map_err(|error| error.to_string())?;
        let (outgoing, incoming) = socket.split().await;
        let (own, peer) = (key.public().id().to_string(), rig.id());
        Ok(Self { key: key.clone(), own, peer, channel, outgoing, incoming })
    }

    /// Lets `rig` in, which dials; nothing is sent after the handshake of the channel yet.
    async fn answer(rig: &Rig, key: &SecretKey, listener: &tokio::net::TcpListener) -> Self {
        let (stream, address) = listener.accept().await.unwrap();
        let mut socket = Socket::accept(stream, address).await.unwrap();
        let first = socket.receive().await.unwrap();
        let (listening, _) = Listening::begin(key, &first, None).unwrap();
        let card = br#"{"name":"raw","role":"controller"}"#;
        let (channel, answer) = listening.finish(card).unwrap();
        socket.send(answer).await.unwrap();
        let (outgoing, incoming) = socket.split().await;
        let (own, peer) = (key.public().id().to_string(), rig.id());
        Self { key: key.clone(), own, peer, channel, outgoing, incoming }
    }

    /// A session with `rig`, which knows this peer by `role`.
    async fn session(rig: &Rig, role: NodeRole) -> Self {
        let key = SecretKey::random().unwrap();
        rig.knows(key.public(), role).await;
        Self::session_as(rig, &key, role, Uuid::new_v4()).await.unwrap()
    }

    async fn session_as(
        rig: &Rig,
        key: &SecretKey,
        role: NodeRole,
        instance: Uuid,
    ) -> Result<Self, String> {
        let mut raw = Self::dial(rig, key, Mode::Session, None).await?;
        raw.say(handshake(role, instance)).await?;
        let answer = raw.hear().await?;
        assert_eq!(answer.body.kind(), "handshake");
        Ok(raw)
    }

    async fn say(&mut self, body: Body) -> Result<Message, String> {
        let message = Message::new(&self.own, &self.peer, body);
        self.send(&message).await?;
        Ok(message)
    }

    async fn send(&mut self, message: &Message) -> Result<(), String> {
        let frames = self.channel.sealer.seal(&message.encode().unwrap()).unwrap();
        self.frames(frames).await
    }

    async fn frames(&mut self, frames: Vec<Vec<u8>>) -> Result<(), String> {
        self.outgoing.send(frames).await.map_err(|reason| reason.to_string())
    }

    async fn hear(&mut self) -> Result<Message, String> {
        let hearing = async {
            loop {
                let frame = self.incoming.receive().await.map_err(|reason| reason.to_string())?;
                let opened = self.channel.opener.open(&frame).map_err(|error| error.to_string())?;
                if let Some(bytes) = opened {
                    return Message::decode(&bytes);
                }
            }
        };
        tokio::time::timeout(PATIENCE, hearing).await.expect("something to hear")
    }

    /// The answer to a question, whatever else is said meanwhile.
    async fn ask(&mut self, body: Body) -> Result<Body, String> {
        let question = self.say(body).await?;
        self.answer_to(question.id).await
    }

    async fn answer_to(&mut self, id: Uuid) -> Result<Body, String> {
        loop {
            let heard = self.hear().await?;
            if heard.reply_to == Some(id) {
                return Ok(heard.body);
            }
        }
    }

    /// Why the other end closed.
    async fn farewell(&mut self) -> String {
        loop {
            if let Err(reason) = self.hear().await {
                return reason;
            }
        }
    }
}

fn handshake(role: NodeRole, instance: Uuid) -> Body {
    Body::Handshake(Handshake {
        name: "raw".to_owned(),
        role,
        version: "0.0.0".to_owned(),
        instance,
        rights: Vec::new(),
        next_key: None,
    })
}

fn ping() -> Body {
    Body::Ping(Ping::default())
}
