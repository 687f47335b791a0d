//! The routes about other nodes.

use serde_json::Value;

use crate::{
    api::{
        document::{Routes, delete, describe::Operation, get, post, put},
        node, remote,
    },
    node::view::{InviteView, PeerView},
};
use adit_model::access::Role;

use Role::{Admin, Operate, View};

/// The network of nodes: this one and those it knows.
pub(super) fn nodes() -> Routes {
    Routes::about("Nodes")
        .at("/node/info", [get(View, node::info, "Show this node")])
        .at("/node/init", [post(Admin, node::init, "Give this machine an identity as a node")])
        .at("/node/rotate", [post(Admin, node::rotate, "Announce a new key, or let it take over")])
        .at(
            "/node/invite",
            [post(Admin, node::invite, "Make an invite for other nodes").created::<InviteView>()],
        )
        .at(
            "/node/join",
            [post(Admin, node::join, "Join another node with its invite").created::<PeerView>()],
        )
        .at(
            "/peers",
            [
                get(View, node::list, "List the nodes that this one knows"),
                post(Admin, node::add, "Join with an invite, or make one").created::<Value>(),
            ],
        )
        .at(
            "/peers/{id}",
            [
                get(View, node::one, "Show a node"),
                put(Admin, node::change, "Change what a node may do here"),
                delete(Admin, node::remove, "Forget a node"),
            ],
        )
        .at("/peers/{id}/ping", [post(Operate, node::ping, "Measure the way to a node")])
        .at("/peers/{id}/connect", [post(Operate, node::connect, "Connect to a node now")])
        .at("/peers/{id}/disconnect", [post(Operate, node::disconnect, "Part from a node")])
}

/// What other nodes do.
pub(super) fn fleet() -> Routes {
    let peers = |it: &mut Operation<'_>| it.errors(&[404, 429]);
    Routes::about("Fleet")
        .at("/remote/stats", [get(View, remote::fleet, "Show the figures of all nodes")])
        .at(
            "/remote/start",
            [post(Operate, remote::start_many, "Start miners on many nodes").and(peers)],
        )
        .at(
            "/remote/stop",
            [post(Operate, remote::stop_many, "Stop miners on many nodes").and(peers)],
        )
        .at(
            "/remote/install",
            [post(Admin, remote::install_many, "Install programs on many nodes").and(peers)],
        )
        .at(
            "/remote/deploy",
            [post(Admin, remote::deploy_many, "Save profiles on many nodes").and(peers)],
        )
        .at("/remote/{peer}/stats", [get(View, remote::stats, "Show a node's figures").and(peers)])
        .at(
            "/remote/{peer}/start",
            [post(Operate, remote::start, "Start a miner on a node").and(peers)],
        )
        .at(
            "/remote/{peer}/stop",
            [post(Operate, remote::stop, "Stop a miner on a node").and(peers)],
        )
        .at(
            "/remote/{peer}/install",
            [post(Admin, remote::install, "Install a program on a node").and(peers)],
        )
        .at(
            "/remote/{peer}/logs/{miner}",
            [get(View, remote::logs, "Read the log of a node's miner").and(peers)],
        )
        .at(
            "/remote/{peer}/miners/{miner}/hashrate-history",
            [get(View, remote::past, "Chart the past of a node's miner").and(peers)],
        )
}
