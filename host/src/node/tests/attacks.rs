//! Each attack fails, and the log says why.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::node::{
    noise::MAX_FIRST_FRAME,
    payload::{GetStats, StopMiner},
};

fn stop() -> Body {
    Body::StopMiner(StopMiner { miner_name: "x".parse().unwrap() })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_refused() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut refusals = rig.refusals();
    let stranger = SecretKey::random().unwrap();
    let told = Raw::dial(&rig, &stranger, Mode::Session, None).await.err().unwrap();
    assert!(told.contains("is not paired with this one"), "{told}");
    assert!(refusals.next().await.contains("is not paired with this one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fake_listener_at_the_address_is_noticed() {
    let (controller, worker) = pair().await;
    let other = Rig::up(NodeRole::Controller).await;
    let address = adit_store::PeerUpdate {
        address: Some(Some(other.address())),
        ..adit_store::PeerUpdate::default()
    };
    worker.net().peers.update(controller.key(), |_, _| Ok(address)).await.unwrap();
    controller.node.end().await;
    let id = controller.id_when_down();
    let told = wait_for("the failure", || {
        let peer = worker.node.peer(&id).ok()?;
        peer.problem.filter(|told| told.contains("handshake failed"))
    })
    .await;
    assert!(told.contains("wrong key"), "{told}");
}

impl Rig {
    fn id_when_down(&self) -> String {
        identity::KeyFolder::new(self.options.folder.clone())
            .load()
            .unwrap()
            .unwrap()
            .id
            .to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_handshake_gets_no_session_and_ends_none() {
    let rig = Rig::up(NodeRole::Worker).await;
    let key = SecretKey::random().unwrap();
    rig.knows(key.public(), NodeRole::Controller).await;
    // What the attacker recorded: the first frame and the first frame of the channel.
    let (dialling, first) = Dialling::begin(&key, &rig.key(), Mode::Session, None).unwrap();
    let mut socket = Socket::dial(&rig.address()).await.unwrap();
    socket.send(first.clone()).await.unwrap();
    let answer = socket.receive().await.unwrap();
    let (mut channel, _) = dialling.finish(&answer).unwrap();
    let (own, peer) = (key.public().id().to_string(), rig.id());
    let greeting = Message::new(&own, &peer, handshake(NodeRole::Controller, Uuid::new_v4()));
    let frames = channel.sealer.seal(&greeting.encode().unwrap()).unwrap();
    let (mut outgoing, incoming) = socket.split().await;
    outgoing.send(frames.clone()).await.unwrap();
    wait_for("the session", || rig.is_connected(&own).then_some(())).await;
    let mut refusals = rig.refusals();
    let mut replay = Socket::dial(&rig.address()).await.unwrap();
    replay.send(first).await.unwrap();
    replay.receive().await.unwrap();
    let (mut replayed, _incoming) = replay.split().await;
    replayed.send(frames).await.unwrap();
    assert!(refusals.next().await.contains("not authentic"));
    assert!(rig.is_connected(&own), "the true session lives on");
    drop((outgoing, incoming));
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_reflected_and_changed_frames_end_the_session() {
    let rig = Rig::up(NodeRole::Worker).await;
    for attack in ["replayed", "reflected", "changed", "cut"] {
        let mut raw = Raw::session(&rig, NodeRole::Controller).await;
        let mut refusals = rig.refusals();
        let frame = match attack {
            "reflected" => raw.incoming.receive().await.unwrap().to_vec(),
            _ => {
                let message = Message::new(&raw.own, &raw.peer, ping());
                raw.channel.sealer.seal(&message.encode().unwrap()).unwrap().remove(0)
            }
        };
        let frames = match attack {
            "replayed" => vec![frame.clone(), frame],
            "changed" => vec![frame.iter().map(|byte| byte ^ 1).collect()],
            "cut" => vec![frame[..frame.len() - 1].to_vec()],
            _ => vec![frame],
        };
        raw.frames(frames).await.unwrap();
        let told = refusals.next().await;
        assert!(told.contains("not authentic"), "{attack}: {told}");
        let own = raw.own.clone();
        wait_for("the end", || (!rig.is_connected(&own)).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_cut_at_every_byte_leaves_nothing_behind() {
    let rig = Rig::up(NodeRole::Worker).await;
    let key = SecretKey::random().unwrap();
    rig.knows(key.public(), NodeRole::Controller).await;
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let (_, first) = Dialling::begin(&key, &rig.key(), Mode::Session, None).unwrap();
    let mut stream = request.as_bytes().to_vec();
    // A masked binary frame whose mask is zero.
    stream.extend([0x82, 0x80 | u8::try_from(first.len()).unwrap_or(126)]);
    if first.len() >= 126 {
        stream.extend(u16::try_from(first.len()).unwrap().to_be_bytes());
    }
    stream.extend([0; 4]);
    stream.extend(first);
    let mut refusals = rig.refusals();
    for end in 0..=stream.len() {
        *rig.net().failures() = Default::default();
        let mut socket = TcpStream::connect(rig.address()).await.unwrap();
        socket.write_all(&stream[..end]).await.unwrap();
        drop(socket);
    }
    assert!(refusals.next().await.contains("no WebSocket"));
    let net = rig.net();
    wait_for("all places to be free again", || {
        (net.handshakes.available_permits() == 256).then_some(())
    })
    .await;
    assert!(!rig.is_connected(&key.public().id().to_string()));
    *net.failures() = Default::default();
    assert!(Raw::session_as(&rig, &key, NodeRole::Controller, Uuid::new_v4()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_before_authentication_is_cheap_and_short() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut refusals = rig.refusals();
    let mut socket = Socket::dial(&rig.address()).await.unwrap();
    let _closed = socket.send(vec![0; MAX_FIRST_FRAME + 1]).await;
    let told = refusals.next().await;
    assert!(told.contains("forbidden size"), "{told}");
    let mut socket = Socket::dial(&rig.address()).await.unwrap();
    socket.send(b"hello, I am no node at all".to_vec()).await.unwrap();
    assert!(refusals.next().await.contains("does not speak this protocol"));
    let mut http = TcpStream::connect(rig.address()).await.unwrap();
    http.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(refusals.next().await.contains("no WebSocket"));
    let mut rest = Vec::new();
    let _closed = http.read_to_end(&mut rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_is_sent_away() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut refusals = rig.refusals();
    // One byte after another, and never a whole request.
    let mut slow = TcpStream::connect(rig.address()).await.unwrap();
    let dripping = tokio::spawn(async move {
        for byte in b"GET /ws HTTP/1.1\r\nHost: x\r\n".iter().cycle() {
            if slow.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    assert!(refusals.next().await.contains("in time"));
    dripping.abort();
    // And whoever is known and does not confirm.
    let key = SecretKey::random().unwrap();
    rig.knows(key.public(), NodeRole::Controller).await;
    let mut silent = Raw::dial(&rig, &key, Mode::Session, None).await.unwrap();
    assert!(silent.farewell().await.contains("nothing was heard"));
    assert_eq!(rig.net().handshakes.available_permits(), 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_frame_ends_the_session() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut raw = Raw::session(&rig, NodeRole::Controller).await;
    let mut refusals = rig.refusals();
    let _closed = raw.frames(vec![vec![0; 70_000]]).await;
    let told = refusals.next().await;
    assert!(told.contains("forbidden size"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_and_then_cut() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut raw = Raw::session(&rig, NodeRole::Controller).await;
    let mut refusals = rig.refusals();
    let mut limited = false;
    for _ in 0..100 {
        let answer = raw.ask(stop()).await;
        if let Ok(Body::Error(fault)) = answer {
            limited |= fault.code == "RATE_LIMITED";
        }
    }
    assert!(limited, "100 commands at once were all carried out");
    for _ in 0..2_000 {
        if raw.say(ping()).await.is_err() {
            break;
        }
    }
    assert!(refusals.next().await.contains("too many frames"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_commands_is_cut_off() {
    let rig = Rig::up(NodeRole::Dual).await;
    for body in [stop(), Body::GetStats(GetStats {}), Body::Unknown("reboot".to_owned())] {
        let mut raw = Raw::session(&rig, NodeRole::Worker).await;
        let mut refusals = rig.refusals();
        raw.say(body.clone()).await.unwrap();
        let told = refusals.next().await;
        assert!(told.contains("workers command nobody"), "{told}");
        assert!(raw.farewell().await.contains(body.kind()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cannot_promote_itself() {
    let rig = Rig::up(NodeRole::Dual).await;
    let key = SecretKey::random().unwrap();
    rig.knows(key.public(), NodeRole::Worker).await;
    let begun = Raw::session_as(&rig, &key, NodeRole::Controller, Uuid::new_v4()).await;
    let answer = begun.unwrap().ask(stop()).await.unwrap();
    assert!(matches!(&answer, Body::Error(fault) if fault.code == "FORBIDDEN"), "{answer:?}");
    assert!(rig.store.audit(1).await.unwrap()[0].outcome.contains("the right to control"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_sender_ends_the_session() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut raw = Raw::session(&rig, NodeRole::Controller).await;
    let mut refusals = rig.refusals();
    let other = SecretKey::random().unwrap().public().id().to_string();
    raw.send(&Message::new(&other, &raw.peer.clone(), stop())).await.unwrap();
    assert!(refusals.next().await.contains("another sender"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_hours_apart_change_nothing() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut raw = Raw::session(&rig, NodeRole::Controller).await;
    for hours in [-48, 48] {
        let mut message = Message::new(&raw.own, &raw.peer, stop());
        message.timestamp += jiff::SignedDuration::from_hours(hours);
        raw.send(&message).await.unwrap();
        let answer = raw.answer_to(message.id).await.unwrap();
        assert!(matches!(&answer, Body::Error(it) if it.code == "MINER_NOT_FOUND"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloned_identity_is_noticed_and_can_be_forgiven() {
    let rig = Rig::up(NodeRole::Controller).await;
    let key = SecretKey::random().unwrap();
    let id = key.public().id().to_string();
    rig.knows(key.public(), NodeRole::Worker).await;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let come = |instance| Raw::session_as(&rig, &key, NodeRole::Worker, instance);
    let _first = come(one).await.unwrap();
    let _second = come(two).await.unwrap();
    let mut refusals = rig.refusals();
    let told = come(one).await.err().unwrap();
    assert!(told.contains("two machines use the same key"), "{told}");
    assert!(refusals.next().await.contains("two machines use the same key"));
    wait_for("both to be cut", || (!rig.is_connected(&id)).then_some(())).await;
    assert!(come(two).await.is_err() && rig.node.peer(&id).unwrap().cloned);
    let error = rig.node.connect(&id).await.unwrap_err();
    assert!(error.to_string().contains("let in when it comes"), "{error}");
    assert!(come(two).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_connection_wins() {
    let rig = Rig::up(NodeRole::Controller).await;
    let key = SecretKey::random().unwrap();
    rig.knows(key.public(), NodeRole::Worker).await;
    let instance = Uuid::new_v4();
    let come = || Raw::session_as(&rig, &key, NodeRole::Worker, instance);
    let mut old = come().await.unwrap();
    let mut new = come().await.unwrap();
    assert!(old.farewell().await.contains("a newer connection"));
    assert!(matches!(new.ask(ping()).await, Ok(Body::Pong(_))));
    assert!(rig.is_connected(&new.key.public().id().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_one_effect_however_often_and_over_connections() {
    let rig = Rig::up(NodeRole::Worker).await;
    let key = SecretKey::random().unwrap();
    rig.knows(key.public(), NodeRole::Controller).await;
    let mut command = None;
    for _ in 0..3 {
        let come = Raw::session_as(&rig, &key, NodeRole::Controller, Uuid::new_v4());
        let mut raw = come.await.unwrap();
        let message = command.get_or_insert_with(|| Message::new(&raw.own, &raw.peer, stop()));
        let message = message.clone();
        raw.send(&message).await.unwrap();
        raw.send(&message).await.unwrap();
        let answer = raw.answer_to(message.id).await.unwrap();
        assert!(matches!(&answer, Body::Error(it) if it.code == "MINER_NOT_FOUND"), "{answer:?}");
    }
    let id = command.unwrap().id.to_string();
    let known = rig.store.begin_command(key.public(), id).await.unwrap();
    assert!(matches!(known, adit_store::Begun::Answered(_)), "{known:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_cut_short_by_a_crash_is_not_done_again() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut raw = Raw::session(&rig, NodeRole::Controller).await;
    let message = Message::new(&raw.own, &raw.peer, stop());
    // The node died after it noted the begin.
    rig.store.begin_command(raw.key.public(), message.id.to_string()).await.unwrap();
    raw.send(&message).await.unwrap();
    let answer = raw.answer_to(message.id).await.unwrap();
    assert!(matches!(&answer, Body::Error(it) if it.code == "UNKNOWN_OUTCOME"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_malformed_messages_are_answered() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut raw = Raw::session(&rig, NodeRole::Controller).await;
    let answer = raw.ask(Body::Unknown("reboot".to_owned())).await.unwrap();
    let Body::Error(fault) = answer else { panic!("{answer:?}") };
    // Without a payload that is an object nothing of it is read.
    assert_eq!(fault.code, "UNKNOWN_TYPE");
    let path = br#"{"id":"00000000-0000-4000-8000-000000000009","type":"stop_miner","from":"F",
        "to":"T","timestamp":"2026-01-01T00:00:00Z","payload":{"minerName":"../../x"}}"#;
    let text = String::from_utf8(path.to_vec()).unwrap();
    let text = text.replace("\"F\"", &format!("\"{}\"", raw.own));
    let text = text.replace("\"T\"", &format!("\"{}\"", raw.peer));
    let frames = raw.channel.sealer.seal(text.as_bytes()).unwrap();
    raw.frames(frames).await.unwrap();
    let id = "00000000-0000-4000-8000-000000000009".parse().unwrap();
    let answer = raw.answer_to(id).await.unwrap();
    let Body::Error(fault) = answer else { panic!("{answer:?}") };
    assert!(fault.code == "INVALID_INPUT" && fault.message.contains("is not usable"), "{fault:?}");
    assert!(matches!(raw.ask(ping()).await, Ok(Body::Pong(_))));
    let audit = rig.store.audit(10).await.unwrap();
    for (action, outcome) in [("reboot", "UNKNOWN_TYPE"), ("stop_miner", "is not usable")] {
        let noted = audit.iter().any(|it| it.action == action && it.outcome.contains(outcome));
        assert!(noted, "{action}: {audit:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_somebody_elses_question_reaches_nobody() {
    let rig = Rig::up(NodeRole::Controller).await;
    let (mut victim, mut attacker) =
        (Raw::session(&rig, NodeRole::Worker).await, Raw::session(&rig, NodeRole::Worker).await);
    let (net, key) = (rig.net(), victim.key.public());
    let asking = tokio::spawn(async move { net.command(&key, stop(), None).await });
    let question = loop {
        let heard = victim.hear().await.unwrap();
        if heard.body == stop() {
            break heard;
        }
    };
    let done = Body::Done(crate::node::payload::Done { result: "forged".into() });
    let mut forged = Message::new(&attacker.own, &attacker.peer, done);
    forged.reply_to = Some(question.id);
    attacker.send(&forged).await.unwrap();
    assert!(matches!(attacker.ask(ping()).await, Ok(Body::Pong(_))));
    assert!(!asking.is_finished());
    let told = Body::Error(crate::node::payload::Fault::new("NO", "true answer"));
    victim.send(&question.answer(told)).await.unwrap();
    let error = asking.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("true answer"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_failures_of_one_address_close_the_door_for_it() {
    let rig = Rig::up(NodeRole::Worker).await;
    let stranger = SecretKey::random().unwrap();
    let told = Raw::dial(&rig, &stranger, Mode::Session, None).await.err().unwrap();
    assert!(told.contains("is not paired"), "{told}");
    let (net, here) = (rig.net(), "127.0.0.1".parse().unwrap());
    // Far more than any address is allowed, so that the time of the test does not matter.
    (0..100_000).for_each(|_| net.failures().note(here, Instant::now()));
    let told = Raw::dial(&rig, &stranger, Mode::Session, None).await.err().unwrap();
    assert!(!told.contains("is not paired"), "the door is open: {told}");
}
