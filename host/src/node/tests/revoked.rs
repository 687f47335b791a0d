//! What was taken away stays away, whatever the peer and the operator do at the same moment.

use super::*;
use crate::node::{
    payload::{Rotate, StopMiner},
    view::PeerChange,
};

/// Comes again and again as a known node, each time under another name and with another next key,
/// until it is let in no more.
async fn pester(rig: Rigged, key: SecretKey) -> String {
    loop {
        let dialled = Raw::dial_to(&rig.address, rig.key, &rig.id, &key).await;
        let mut raw = match dialled {
            Ok(raw) => raw,
            Err(reason) if reason.contains("is not paired") => return reason,
            Err(_) => continue,
        };
        let next = SecretKey::random().unwrap().public();
        let greeting = Body::Handshake(Handshake {
            name: next.id().to_string(),
            role: NodeRole::Controller,
            version: "0.0.0".to_owned(),
            instance: Uuid::nil(),
            rights: Vec::new(),
            next_key: None,
        });
        let _cut_off = raw.say(greeting).await;
        let _cut_off = raw.say(Body::Rotate(Rotate { next_key: next })).await;
        let _cut_off = tokio::time::timeout(Duration::from_millis(20), raw.hear()).await;
    }
}

/// Where a rig is, for a task of its own.
#[derive(Clone)]
struct Rigged {
    address: String,
    key: PublicKey,
    id: String,
}

impl Raw {
    async fn dial_to(
        address: &str,
        peer: PublicKey,
        id: &str,
        key: &SecretKey,
    ) -> Result<Self, String> {
        let mut socket = Socket::dial(address).await?;
        let (dialling, first) = Dialling::begin(key, &peer, Mode::Session, None).unwrap();
        socket.send(first).await?;
        let answer = socket.receive().await?;
        let (channel, _) = dialling.finish(&answer).map_err(|error| error.to_string())?;
        let (outgoing, incoming) = socket.split().await;
        let own = key.public().id().to_string();
        Ok(Self { key: key.clone(), own, peer: id.to_owned(), channel, outgoing, incoming })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_that_comes_and_rotates_all_the_time_is_removed_for_good() {
    let rig = Rig::up(NodeRole::Worker).await;
    let place = Rigged { address: rig.address(), key: rig.key(), id: rig.id() };
    for round in 0..10_u64 {
        let key = SecretKey::random().unwrap();
        rig.knows(key.public(), NodeRole::Controller).await;
        let mut pestering = tokio::task::JoinSet::new();
        for _ in 0..4 {
            pestering.spawn(pester(place.clone(), key.clone()));
        }
        tokio::time::sleep(Duration::from_millis(20 + round * 7)).await;
        let id = key.public().id();
        // Rights go first, and come back with nothing that it says.
        let none = PeerChange { rights: Some(Rights::default()), ..PeerChange::default() };
        rig.node.change_peer(id.as_str(), none).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(rig.node.peer(id.as_str()).unwrap().rights.is_empty());
        rig.node.remove_peer(id.as_str()).await.unwrap();
        assert!(tokio::time::timeout(PATIENCE, pestering.join_all()).await.is_ok());
        assert!(rig.node.peers().is_empty() && rig.store.peers().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_that_is_removed_while_the_node_changes_its_key_is_gone() {
    let rig = Rig::up(NodeRole::Worker).await;
    for _ in 0..10 {
        let keys: Vec<_> = (0..8).map(|_| SecretKey::random().unwrap().public()).collect();
        for key in &keys {
            rig.knows(*key, NodeRole::Controller).await;
        }
        rig.node.rotate().await.unwrap();
        let finishing = rig.node.finish_rotation();
        let removing = async {
            for key in &keys {
                rig.node.remove_peer(key.id().as_str()).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (finished, ()) = tokio::join!(finishing, removing);
        finished.unwrap();
        assert!(rig.node.peers().is_empty() && rig.store.peers().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_while_a_command_is_noted_is_gone() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut raw = Raw::session(&rig, NodeRole::Controller).await;
    let held = rig.store.hold().await;
    let stop = Body::StopMiner(StopMiner { miner_name: "x".parse().unwrap() });
    let question = raw.say(stop).await.unwrap();
    // The command has passed its first check when it is under way.
    let net = rig.net();
    wait_for("the command", || net.under_way.is_any().then_some(())).await;
    net.peers.narrow(&raw.key.public(), Rights::default());
    drop(held);
    let answer = raw.answer_to(question.id).await.unwrap();
    assert!(matches!(&answer, Body::Error(fault) if fault.code == "FORBIDDEN"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_for_many_is_not_good_any_more_for_one_that_was_removed() {
    let controller = Rig::up(NodeRole::Controller).await;
    let made = controller.node.invite(None, 5, PATIENCE, Vec::new()).await.unwrap();
    let worker = Rig::up(NodeRole::Worker).await;
    worker.node.join(&made.invite).await.unwrap();
    controller.node.remove_peer(&worker.id()).await.unwrap();
    let error = worker.node.join(&made.invite).await.unwrap_err().to_string();
    assert!(error.contains("not known here"), "{error}");
    assert!(controller.node.peers().is_empty());
    // A new one lets it in.
    worker.node.join(&controller.invite().await).await.unwrap();
}
