//! What anybody, known or not, can have this node keep or do has its bounds.

use tokio::net::TcpStream;

use super::*;
use crate::node::{
    limits::Shares,
    noise::Header,
    payload::{Event, StopMiner},
};

fn stop() -> Body {
    Body::StopMiner(StopMiner { miner_name: "x".parse().unwrap() })
}

/// Events of a kind that were published so far.
fn published(heard: &mut miners::Subscription, kind: &str) -> Vec<serde_json::Value> {
    let all = std::iter::from_fn(|| heard.try_next());
    let events = all.filter_map(|heard| match heard {
        miners::Heard::Event(published) => Some(published),
        miners::Heard::Missed { .. } => None,
    });
    let wanted = events.filter(|published| published.event.kind == kind);
    wanted.map(|published| published.event.data.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_fill_the_log() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut heard = rig.miners.events().subscribe(None);
    let mut told = 0;
    for _ in 0..120 {
        *rig.net().failures() = Default::default();
        let mut socket = Socket::dial(&rig.address()).await.unwrap();
        socket.send(b"hello, I am no node at all".to_vec()).await.unwrap();
        assert!(socket.receive().await.is_err());
        told += published(&mut heard, "peer.refused").len();
    }
    let net = rig.net();
    wait_for("the last of them", || (net.handshakes.available_permits() == 256).then_some(()))
        .await;
    told += published(&mut heard, "peer.refused").len();
    // Fifty at once and then one every ten seconds, however slow this machine is.
    assert!((50..100).contains(&told), "{told} of 120 were told");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_leaves_places_for_others() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut silent = Vec::new();
    for _ in 0..Shares::EACH + 50 {
        silent.push(TcpStream::connect(rig.address()).await.unwrap());
    }
    let net = rig.net();
    wait_for("its share to be taken", || {
        (net.shares.take("127.0.0.1".parse().unwrap()).is_none()).then_some(())
    })
    .await;
    assert!(net.handshakes.available_permits() >= 256 - Shares::EACH);
    assert!(net.shares.take("192.0.2.1".parse().unwrap()).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_counted_over_all_sessions_of_a_peer() {
    let rig = Rig::up(NodeRole::Worker).await;
    let key = SecretKey::random().unwrap();
    rig.knows(key.public(), NodeRole::Controller).await;
    let began = Instant::now();
    let mut done = 0_u64;
    for _ in 0..30 {
        let come = Raw::session_as(&rig, &key, NodeRole::Controller, Uuid::new_v4());
        let mut raw = come.await.unwrap();
        for _ in 0..20 {
            let answer = raw.ask(stop()).await.unwrap();
            let Body::Error(fault) = answer else { panic!("{answer:?}") };
            done += u64::from(fault.code == "MINER_NOT_FOUND");
        }
    }
    let most = 200 + 3 * began.elapsed().as_secs() + 3;
    assert!((100..=most).contains(&done), "{done} of 600 commands, {most} are allowed");
    let audit = rig.store.audit(10_000).await.unwrap();
    let noted = audit.iter().filter(|it| it.action == "stop_miner x").count();
    assert_eq!(noted as u64, done, "what is refused for its number is not noted");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_worker_are_few_small_and_of_kinds_that_a_rig_has() {
    let rig = Rig::up(NodeRole::Controller).await;
    let mut raw = Raw::session(&rig, NodeRole::Worker).await;
    let mut heard = rig.miners.events().subscribe(None);
    let began = Instant::now();
    let event = |kind: &str, text: &str| {
        let (kind, at) = (kind.to_owned(), jiff::Timestamp::now());
        Body::Event(Event { kind, at, data: serde_json::json!({ "text": text }) })
    };
    for (kind, text) in [
        ("peer.removed", "x".to_owned()),
        ("token.created", "x".to_owned()),
        ("miner.stats", "x".to_owned()),
        ("miner.error", "x".repeat(9_000)),
    ] {
        raw.say(event(kind, &text)).await.unwrap();
    }
    let mut told = Vec::new();
    for _ in 0..200 {
        raw.say(event("miner.error", "a pool is gone")).await.unwrap();
        assert!(matches!(raw.ask(ping()).await, Ok(Body::Pong(_) | Body::Error(_))));
        told.extend(published(&mut heard, "peer.event"));
    }
    let most = 102 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!((50..=most).contains(&told.len()), "{} of 200 were told", told.len());
    assert!(told.iter().all(|it| it["event"]["data"]["text"] == "a pool is gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_version_is_told_which_one_to_update() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut refusals = rig.refusals();
    let mut socket = Socket::dial(&rig.address()).await.unwrap();
    let newer = Header { version: 9, mode: Mode::Session }.encode();
    socket.send(newer.to_vec()).await.unwrap();
    let told = socket.receive().await.unwrap_err();
    assert!(told.contains("speaks version 9"), "{told}");
    assert!(refusals.next().await.contains("update the older one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_belongs_to_another_node_cannot_be_announced() {
    let rig = Rig::up(NodeRole::Controller).await;
    let victim = Raw::session(&rig, NodeRole::Worker).await;
    for next in [victim.key.public(), rig.key()] {
        let key = SecretKey::random().unwrap();
        rig.knows(key.public(), NodeRole::Worker).await;
        let mut raw = Raw::dial(&rig, &key, Mode::Session, None).await.unwrap();
        let Body::Handshake(mut greeting) = handshake(NodeRole::Worker, Uuid::new_v4()) else {
            panic!("a handshake is one");
        };
        greeting.next_key = Some(next);
        raw.say(Body::Handshake(greeting)).await.unwrap();
        assert_eq!(raw.hear().await.unwrap().body.kind(), "handshake");
        let row = rig.net().book().get(&key.public()).unwrap().row.clone();
        assert_eq!(row.next_key, None);
    }
}
