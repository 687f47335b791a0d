//! What operators see of nodes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::node::{book::Known, report::Totals};
use adit_model::{
    peer::{NodeId, NodeRole, PublicKey},
    rights::Rights,
};

/// This node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityView {
    /// Its id.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// Its public key in base64.
    pub public_key: PublicKey,
    /// What it is for.
    pub role: NodeRole,
    /// When its key was made.
    pub created_at: jiff::Timestamp,
}

/// This node and its network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    /// Whether the node was initialised.
    pub has_identity: bool,
    /// Who it is, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityView>,
    /// Peers it knows.
    pub registered_peers: usize,
    /// Those it is connected with.
    pub connected_peers: usize,
    /// Where it listens for others, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// The id that takes over when the rotation of the key is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_id: Option<NodeId>,
    /// What keeps it from listening, if something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerView {
    /// Its id.
    pub id: NodeId,
    /// What it calls itself. Text from outside: show, never trust.
    pub name: String,
    /// Its public key in base64.
    pub public_key: PublicKey,
    /// What it is for.
    pub role: NodeRole,
    /// Where this node dials it; empty when it dials this one.
    pub address: String,
    /// Whether this node keeps a connection to that address.
    pub dial: bool,
    /// What it may do here.
    pub rights: Rights,
    /// What this node may do there, as the peer said when it connected.
    pub granted: Rights,
    /// For commands to many at once.
    pub tags: Vec<String>,
    /// When it was paired.
    pub added_at: jiff::Timestamp,
    /// When it was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<jiff::Timestamp>,
    /// Whether there is a session now.
    pub connected: bool,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_since: Option<jiff::Timestamp>,
    /// The other end of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<String>,
    /// Time there and back, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping_ms: Option<f64>,
    /// How far its clock is ahead of this one's, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    /// Version of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether two machines use its key, so that it is not let in.
    pub cloned: bool,
    /// Why there is no session, when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

pub(crate) fn peer(known: &Known) -> PeerView {
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    let row = &known.row;
    let session = known.session.as_ref();
    let facts = session.map(|session| session.facts().clone());
    let heard = facts.as_ref().map(|facts| facts.heard_at_ms);
    PeerView {
        id: known.id.clone(),
        name: row.name.clone(),
        public_key: row.key,
        role: row.role,
        address: row.address.clone().unwrap_or_default(),
        dial: row.dial,
        rights: row.rights,
        granted: session.map(|session| session.granted).unwrap_or_default(),
        tags: row.tags.clone(),
        added_at: time(row.added_at_ms),
        last_seen: heard.or(row.last_seen_at_ms).map(time),
        connected: session.is_some(),
        connected_since: session.map(|session| time(session.since_ms)),
        remote_address: session.map(|session| session.address.to_string()),
        ping_ms: facts.as_ref().and_then(|facts| facts.latency_ms),
        clock_skew_ms: facts.and_then(|facts| facts.skew_ms),
        version: row.version.clone(),
        cloned: known.cloned,
        problem: known.problem.clone().filter(|_| session.is_none()),
    }
}

/// What is changed of a peer; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PeerChange {
    /// What it may do here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rights: Option<Rights>,
    /// For commands to many at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Where to dial it; empty: it dials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// An invite as it is handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InviteView {
    /// The code: a secret until it is used.
    pub invite: String,
    /// Until when it can be used.
    pub expires: jiff::Timestamp,
    /// How many nodes may join with it.
    pub uses: u32,
    /// Where the other node will dial.
    pub address: String,
    /// This node's id, to be compared at the other end.
    pub id: NodeId,
}

/// The figures of one node.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteStats {
    /// What it calls itself.
    pub name: String,
    /// Whether it is connected; if not, the figures are the last ones.
    pub connected: bool,
    /// When the figures came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<jiff::Timestamp>,
    /// Totals of its miners.
    pub totals: Totals,
    /// Its miners by name, as they were reported.
    pub miners: BTreeMap<String, Map<String, Value>>,
}

/// The figures of all workers.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetStats {
    /// Nodes that report.
    pub nodes: usize,
    /// Those that are connected.
    pub connected: usize,
    /// Totals of the connected ones.
    pub totals: Totals,
    /// Each node's own, by id.
    pub peers: BTreeMap<NodeId, RemoteStats>,
}
