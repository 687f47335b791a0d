//! A session against a peer that does not keep to the rules.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;
use crate::node::{
    identity::SecretKey,
    noise::{Channel, Dialling, Listening, Mode, Sealer},
    payload::{GetStats, Ping, Report, StopMiner},
};

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&Zeroizing::new([byte; 32]))
}

/// The sending side of a peer, and the receiving side of this node.
struct Pair {
    sealer: Sealer,
    inbound: Inbound,
    now: Instant,
}

const PEER: &str = "PEER";
const OWN: &str = "OWN";

impl Pair {
    fn new() -> Self {
        let (dialling, first) =
            Dialling::begin(&key(1), &key(2).public(), Mode::Session, None).unwrap();
        let (listening, _) = Listening::begin(&key(2), &first, None).unwrap();
        let (Channel { opener, .. }, answer) = listening.finish(b"").unwrap();
        let (Channel { sealer, .. }, _) = dialling.finish(&answer).unwrap();
        let now = Instant::now();
        Self { sealer, inbound: Inbound::new(opener, OWN, PEER, now), now }
    }

    fn greeted(role: NodeRole) -> Self {
        let mut pair = Self::new();
        assert!(matches!(pair.send(handshake(role)), Ok(Received::Handshake(_))));
        pair
    }

    fn send(&mut self, body: Body) -> Result<Received, Reason> {
        self.send_as(PEER, OWN, body)
    }

    fn send_as(&mut self, from: &str, to: &str, body: Body) -> Result<Received, Reason> {
        self.raw(&Message::new(from, to, body).encode().unwrap())
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<Received, Reason> {
        let mut last = Ok(Received::Nothing);
        for frame in self.sealer.seal(bytes).unwrap() {
            last = self.inbound.receive(&frame, self.now);
        }
        last
    }
}

fn handshake(role: NodeRole) -> Body {
    Body::Handshake(Handshake {
        name: "peer".to_owned(),
        role,
        version: "0.1.0".to_owned(),
        instance: Uuid::new_v4(),
        rights: Vec::new(),
        next_key: None,
    })
}

fn stop() -> Body {
    Body::StopMiner(StopMiner { miner_name: "a".parse().unwrap() })
}

#[test]
fn a_session_begins_with_one_handshake() {
    assert_eq!(Pair::new().send(Body::Ping(Ping::default())), Err(Reason::Order));
    let mut pair = Pair::greeted(NodeRole::Controller);
    assert_eq!(pair.send(handshake(NodeRole::Dual)), Err(Reason::Order));
}

#[test]
fn whoever_poses_as_another_is_cut_off() {
    for (from, to) in [("OTHER", OWN), (PEER, "OTHER"), (OWN, PEER), ("", "")] {
        let mut pair = Pair::greeted(NodeRole::Controller);
        let sent = pair.send_as(from, to, Body::Ping(Ping::default()));
        assert_eq!(sent, Err(Reason::Forged), "{from} {to}");
    }
}

#[test]
fn a_worker_commands_nobody() {
    for body in [stop(), Body::GetStats(GetStats {}), Body::Unknown("reboot".to_owned())] {
        let sent = Pair::greeted(NodeRole::Worker).send(body.clone());
        assert_eq!(sent, Err(Reason::WorkerCommands(body.kind().to_owned())));
        let sent = Pair::greeted(NodeRole::Controller).send(body.clone());
        assert!(matches!(sent, Ok(Received::Message(_))), "{sent:?}");
    }
    let mut worker = Pair::greeted(NodeRole::Worker);
    let report = Body::Stats(Report::default());
    assert!(matches!(worker.send(report), Ok(Received::Message(_))));
}

#[test]
fn what_is_no_message_ends_the_session() {
    for bytes in [&b"{}"[..], b"null", b"\xff\xfe", b"[", &[b' '; 70_000]] {
        let sent = Pair::greeted(NodeRole::Controller).raw(bytes);
        assert!(matches!(sent, Err(Reason::NoMessage(_))), "{sent:?}");
    }
}

#[test]
fn more_than_the_allowance_is_refused_and_a_flood_ends_the_session() {
    let mut pair = Pair::greeted(NodeRole::Controller);
    let carried_out =
        (0..100).filter(|_| matches!(pair.send(stop()), Ok(Received::Message(_)))).count();
    assert_eq!(carried_out, 20);
    assert!(matches!(pair.send(stop()), Ok(Received::OverAllowance(_))));
    pair.now += Duration::from_secs(1);
    assert!(matches!(pair.send(stop()), Ok(Received::Message(_))));
    let ended = (0..1_000).find_map(|_| pair.send(Body::Ping(Ping::default())).err());
    assert_eq!(ended, Some(Reason::Flood));
}

#[test]
fn a_flood_is_noticed_before_anything_is_decrypted() {
    let mut pair = Pair::greeted(NodeRole::Controller);
    pair.inbound.frames = Bucket::new(1, 1, pair.now);
    assert!(pair.send(Body::Ping(Ping::default())).is_ok());
    assert_eq!(pair.inbound.receive(b"garbage", pair.now), Err(Reason::Flood));
}

#[test]
fn many_bytes_are_noticed_before_anything_is_decrypted() {
    let mut pair = Pair::new();
    // Frames that are few and large, and none of them authentic.
    let frame = vec![0; crate::node::noise::MAX_FRAME];
    let most = usize::try_from(BYTES.0).unwrap() / frame.len();
    for _ in 0..most {
        let refused = Err(Reason::Channel(ChannelError::Frame));
        assert_eq!(pair.inbound.receive(&frame, pair.now), refused);
    }
    assert_eq!(pair.inbound.receive(&frame, pair.now), Err(Reason::Flood));
}

#[test]
fn the_senders_clock_decides_nothing() {
    for hours in [-20_000, -5, 5, 20_000] {
        let mut pair = Pair::greeted(NodeRole::Controller);
        let mut message = Message::new(PEER, OWN, stop());
        message.timestamp += jiff::SignedDuration::from_hours(hours);
        let sent = pair.raw(&message.encode().unwrap());
        assert!(matches!(sent, Ok(Received::Message(_))), "{hours} h: {sent:?}");
    }
    let message = json!({ "id": Uuid::new_v4(), "type": "ping", "from": PEER, "to": OWN,
                          "timestamp": "yesterday", "payload": {} });
    let sent = Pair::greeted(NodeRole::Controller).raw(message.to_string().as_bytes());
    assert!(matches!(sent, Err(Reason::NoMessage(_))));
}

#[test]
fn the_newest_connection_wins_unless_two_nodes_dial_each_other() {
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let ends = |dialled_here, instance| Ends { dialled_here, instance };
    for smaller in [true, false] {
        for here in [true, false] {
            let same = duplicate(ends(here, &one), ends(here, &one), smaller);
            assert_eq!(same, Verdict::Replace);
            // A peer that began anew is not held up by a connection of its last life.
            let reborn = duplicate(ends(here, &one), ends(!here, &two), smaller);
            assert_eq!(reborn, Verdict::Replace);
            // Both ends keep the same one: each sees the other's keys and directions mirrored.
            let ours = duplicate(ends(here, &one), ends(!here, &one), smaller);
            let theirs = duplicate(ends(!here, &two), ends(here, &two), !smaller);
            assert_eq!(ours, theirs);
            let expected = if here == smaller { Verdict::Keep } else { Verdict::Replace };
            assert_eq!(ours, expected);
        }
    }
}

#[test]
fn two_machines_with_one_key_are_noticed_and_one_that_flaps_is_not() {
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let mut instances = Instances::default();
    assert!(!instances.see(one) && !instances.see(one) && !instances.see(two));
    assert!(instances.see(one));
    let mut flapping = Instances::default();
    assert!((0..1_000).all(|_| !flapping.see(Uuid::new_v4())));
    assert!(flapping.0.len() <= Instances::KEPT);
    instances.forgive();
    assert!(!instances.see(one));
}
