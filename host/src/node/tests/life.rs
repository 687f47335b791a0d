//! How nodes come to know each other, and how they part.

use serde_json::json;

use super::*;
use crate::node::{
    command::{Targets, Waves},
    payload::StopMiner,
    view::PeerChange,
};

fn stop(name: &str) -> Body {
    Body::StopMiner(StopMiner { miner_name: name.parse().unwrap() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_joins_and_both_know_each_other() {
    let (controller, worker) = pair().await;
    let there = worker.node.peer(&controller.id()).unwrap();
    let here = controller.node.peer(&worker.id()).unwrap();
    assert_eq!(there.rights, Rights::of_new_controller());
    assert!(here.rights.is_empty() && there.connected && here.connected);
    assert_eq!((here.role, there.role), (NodeRole::Worker, NodeRole::Controller));
    assert_eq!(here.granted, Rights::of_new_controller());
    assert!(controller.node.ping(&worker.id()).await.unwrap() > 0.0);
    assert!(worker.node.ping(&controller.id()).await.unwrap() > 0.0);
    assert!(controller.node.peer("nobody").is_err());
    let fleet = controller.node.fleet(true).unwrap();
    assert_eq!((fleet.nodes, fleet.connected), (1, 1));
    // Where nothing is mined there is an answer all the same.
    assert!(controller.node.remote_stats(&worker.id()).await.unwrap().miners.is_empty());
    let error = controller.node.command(&worker.id(), stop("x"), None).await.unwrap_err();
    assert!(matches!(&error, Error::Peer { code, .. } if code == "MINER_NOT_FOUND"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_may_dial_too_and_a_worker_has_several() {
    let worker = Rig::up(NodeRole::Worker).await;
    for role in [NodeRole::Controller, NodeRole::Dual] {
        let controller = Rig::up(role).await;
        controller.node.join(&worker.invite().await).await.unwrap();
        let peer = worker.node.peer(&controller.id()).unwrap();
        assert_eq!((peer.rights, peer.address.as_str()), (Rights::of_new_controller(), ""));
        assert!(controller.node.remote_stats(&worker.id()).await.is_ok());
        controller.node.end().await;
    }
    assert_eq!(worker.node.peers().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_is_for_one_node_once() {
    let controller = Rig::up(NodeRole::Controller).await;
    let code = controller.invite().await;
    let mut joining = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let code = code.clone();
        joining.spawn(async move {
            let worker = Rig::up(NodeRole::Worker).await;
            let joined = worker.node.join(&code).await;
            assert_eq!(worker.node.peers().len(), usize::from(joined.is_ok()), "{joined:?}");
            (joined.is_ok(), worker)
        });
    }
    let done = joining.join_all().await;
    assert_eq!(done.iter().filter(|(joined, _)| *joined).count(), 1);
    assert_eq!(controller.node.peers().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_invites_say_what_is_wrong() {
    let controller = Rig::up(NodeRole::Controller).await;
    let worker = Rig::up(NodeRole::Worker).await;
    let refused = async |code: &str| worker.node.join(code).await.unwrap_err().to_string();
    assert!(refused("hello").await.contains("begins with adit1_"));
    let own = worker.invite().await;
    assert!(refused(&own).await.contains("this very node"));
    let expired = controller.node.invite(None, 1, Duration::ZERO, Vec::new()).await.unwrap();
    assert!(refused(&expired.invite).await.contains("has expired"));
    // Somebody else answers at the address of the invite.
    let other = Rig::up(NodeRole::Controller).await;
    let at = Some(other.address());
    let misled = controller.node.invite(at, 1, PATIENCE, Vec::new()).await.unwrap();
    let told = refused(&misled.invite).await;
    assert!(told.contains("not known here"), "{told}");
    assert!(worker.node.peers().is_empty() && controller.node.peers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_peer_is_cut_off_at_once_and_never_let_in_again() {
    let (controller, worker) = pair().await;
    let mut refusals = controller.refusals();
    controller.node.remove_peer(&worker.id()).await.unwrap();
    let id = controller.id();
    wait_for("the cut", || (!worker.is_connected(&id)).then_some(())).await;
    assert!(refusals.next().await.contains("is not paired with this one"));
    assert!(controller.node.peers().is_empty());
    assert!(controller.store.peers().await.unwrap().is_empty());
    let error = controller.node.command(&worker.id(), stop("x"), None).await.unwrap_err();
    assert!(matches!(error, Error::NoPeer(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_find_each_other_again_after_a_restart() {
    let (mut controller, mut worker) = pair().await;
    controller.again().await;
    let id = worker.id();
    wait_for("the worker to come back", || controller.is_connected(&id).then_some(())).await;
    worker.again().await;
    wait_for("the worker again", || controller.is_connected(&id).then_some(())).await;
    assert_eq!(worker.id(), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_peer_stays_so_until_it_is_connected_again() {
    let (controller, worker) = pair().await;
    let id = controller.id();
    worker.node.disconnect(&id).await.unwrap();
    assert!(!worker.is_connected(&id));
    let peer = worker.node.connect(&id).await.unwrap();
    assert!(peer.connected && peer.dial);
    let error = controller.node.disconnect(&worker.id()).await;
    assert!(error.is_ok());
    let told = controller.node.connect(&worker.id()).await;
    // It dials this node: it is back already, or the error says why it cannot be called.
    if let Err(error) = told {
        assert!(error.to_string().contains("it dials this one"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_the_receivers_and_count_at_once() {
    let (controller, worker) = pair().await;
    let rights = |rights: &[adit_model::rights::Right]| PeerChange {
        rights: Some(rights.iter().copied().collect()),
        ..PeerChange::default()
    };
    worker.node.change_peer(&controller.id(), rights(&[])).await.unwrap();
    let error = controller.node.command(&worker.id(), stop("x"), None).await.unwrap_err();
    assert!(matches!(&error, Error::Peer { code, .. } if code == "FORBIDDEN"), "{error}");
    let error = controller.node.remote_stats(&worker.id()).await.unwrap_err();
    assert!(error.to_string().contains("the right to stats"), "{error}");
    let audit = worker.store.audit(10).await.unwrap();
    assert!(audit.iter().any(|it| it.action == "stop_miner x" && it.outcome.contains("FORBIDDEN")));
    let audit = controller.store.audit(10).await.unwrap();
    assert!(audit.iter().any(|it| it.action == "sent stop_miner x"), "{audit:?}");
    // Nobody gives a right to whom it means nothing.
    let all = rights(&adit_model::rights::Right::ALL);
    let error = controller.node.change_peer(&worker.id(), all).await.unwrap_err();
    assert!(matches!(error, Error::Role(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_commands_nobody_and_a_controller_obeys_nobody() {
    let (controller, worker) = pair().await;
    let error = worker.node.command(&controller.id(), stop("x"), None).await.unwrap_err();
    assert!(error.to_string().contains("workers command nobody"), "{error}");
    let other = Rig::up(NodeRole::Controller).await;
    other.node.join(&controller.invite().await).await.unwrap();
    let error = other.node.command(&controller.id(), stop("x"), None).await.unwrap_err();
    assert!(error.to_string().contains("obeys nobody"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_to_many_have_an_outcome_each_and_stop_after_failures() {
    let controller = Rig::up(NodeRole::Controller).await;
    let made = controller.node.invite(None, 3, PATIENCE, vec!["cellar".to_owned()]).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..3 {
        let worker = Rig::up(NodeRole::Worker).await;
        worker.node.join(&made.invite).await.unwrap();
        workers.push(worker);
    }
    let targets = Targets { tags: vec!["cellar".to_owned()], ..Targets::default() };
    let all = Waves::default();
    let outcomes = controller.node.command_many(&targets, stop("x"), all).await.unwrap();
    let codes = |outcomes: &[crate::node::command::Outcome]| -> Vec<String> {
        outcomes.iter().map(|it| it.error.clone().unwrap().code).collect()
    };
    assert_eq!(codes(&outcomes), ["PEER_REFUSED"; 3]);
    let careful = Waves { canary: Some(1), ..Waves::default() };
    let outcomes = controller.node.command_many(&targets, stop("x"), careful).await.unwrap();
    assert_eq!(codes(&outcomes), ["PEER_REFUSED", "SKIPPED", "SKIPPED"]);
    let patient = Waves { canary: Some(1), max_failures: 1, wave: Some(1) };
    let outcomes = controller.node.command_many(&targets, stop("x"), patient).await.unwrap();
    assert_eq!(codes(&outcomes), ["PEER_REFUSED", "PEER_REFUSED", "SKIPPED"]);
    let none = Targets { tags: vec!["attic".to_owned()], ..Targets::default() };
    assert!(controller.node.command_many(&none, stop("x"), all).await.is_err());
    assert_eq!(serde_json::to_value(&outcomes[2]).unwrap()["error"]["code"], json!("SKIPPED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_both_sides_can_be_changed() {
    let (mut controller, worker) = pair().await;
    // The controller keeps its port.
    controller.again().await;
    let ids = (worker.id(), controller.id());
    wait_for("both", || {
        (controller.is_connected(&ids.0) && worker.is_connected(&ids.1)).then_some(())
    })
    .await;
    for (changing, other) in [(&worker, &controller), (&controller, &worker)] {
        let (old, other_id) = (changing.id(), other.id());
        let info = changing.node.rotate().await.unwrap();
        let next = info.next_id.unwrap().to_string();
        assert_eq!(changing.id(), old);
        changing.node.finish_rotation().await.unwrap();
        assert_eq!(changing.id(), next);
        wait_for("the session under the new key", || {
            (other.is_connected(&next) && changing.is_connected(&other_id)).then_some(())
        })
        .await;
        assert!(other.node.peer(&old).is_err(), "the old key is gone");
        assert_eq!(other.node.peers().len(), 1);
    }
    let error = worker.node.finish_rotation().await.unwrap_err();
    assert!(error.to_string().contains("no new key was announced"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_dial_each_other_keep_one_connection() {
    let one = Rig::up(NodeRole::Dual).await;
    let two = Rig::up(NodeRole::Dual).await;
    two.node.join(&one.invite().await).await.unwrap();
    let change = PeerChange { address: Some(two.address()), ..PeerChange::default() };
    one.node.change_peer(&two.id(), change).await.unwrap();
    let (one_id, two_id) = (one.id(), two.id());
    for _ in 0..20 {
        wait_for("a connection", || {
            (one.is_connected(&two_id) && two.is_connected(&one_id)).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // One of the two connections may only now be given up.
    let began = Instant::now();
    while one.node.ping(&two_id).await.is_err() || two.node.ping(&one_id).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "no answer over the connection that is kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_talk_over_ipv6() {
    let controller = Rig::up_at(NodeRole::Controller, "[::1]:0").await;
    let worker = Rig::up(NodeRole::Worker).await;
    let code = controller.invite().await;
    let peer = worker.node.join(&code).await.unwrap();
    assert!(peer.address.starts_with("[::1]:") && peer.connected, "{peer:?}");
    assert!(controller.node.remote_stats(&worker.id()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_initialised_once_and_needs_a_name() {
    let worker = Rig::up(NodeRole::Worker).await;
    let again = worker.node.init("other", NodeRole::Dual).await;
    assert!(matches!(again, Err(Error::Initialised)));
    assert!(worker.folder.path().join("node/key").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_announced_while_a_session_begins_is_told_in_it() {
    let worker = Rig::up(NodeRole::Worker).await;
    let key = SecretKey::random().unwrap();
    worker.knows(key.public(), NodeRole::Controller).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let change = PeerChange { address: Some(address), ..PeerChange::default() };
    worker.node.change_peer(key.public().id().as_str(), change).await.unwrap();
    let mut raw = Raw::answer(&worker, &key, &listener).await;
    let Body::Handshake(greeting) = raw.hear().await.unwrap().body else { panic!("no greeting") };
    assert_eq!(greeting.next_key, None);
    // The worker has greeted, and has no session yet that it could tell of its new key.
    let next = worker.node.rotate().await.unwrap().next_id.unwrap();
    raw.say(handshake(NodeRole::Controller, Uuid::new_v4())).await.unwrap();
    loop {
        if let Body::Rotate(told) = raw.hear().await.unwrap().body {
            assert_eq!(told.next_key.id(), next);
            break;
        }
    }
}
