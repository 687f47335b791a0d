//! What an attacker with a stolen key can do, and what a copied disk, a cut wire and messages of
//! drivers lead to.

use adit_plugin_api::{ErrorKind, PeerId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::node::{
    act::DRIVER_BYTES,
    noise,
    payload::{DriverAnswer, Fault, StopMiner},
};
use adit_model::name::DriverId;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_nodes_key_cannot_pose_as_its_controller() {
    let rig = Rig::up(NodeRole::Worker).await;
    let mut controller = Raw::session(&rig, NodeRole::Controller).await;
    let mut refusals = rig.refusals();
    let (first, _) = noise::tests::posing(&rig.net().identity.key, controller.key.public());
    let mut socket = Socket::dial(&rig.address()).await.unwrap();
    socket.send(first).await.unwrap();
    // The node answers, as the frame looks like one of the controller.
    socket.receive().await.unwrap();
    let (mut outgoing, mut incoming) = socket.split().await;
    outgoing.send(vec![vec![7; 300]]).await.unwrap();
    let told = refusals.next().await;
    assert!(told.contains("not authentic"), "{told}");
    while incoming.receive().await.is_ok() {}
    // The true controller never noticed.
    assert!(matches!(controller.ask(ping()).await, Ok(Body::Pong(_))));
}

/// A frame of a WebSocket client, masked with zeros.
fn masked(frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x80 | 126];
    bytes.extend(u16::try_from(frame.len()).unwrap().to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(frame);
    bytes
}

/// A connection as a stream of bytes, and the channel on it.
async fn stream(rig: &Rig, key: &SecretKey) -> (TcpStream, Channel) {
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let (dialling, first) = Dialling::begin(key, &rig.key(), Mode::Session, None).unwrap();
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(&masked(&first)).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 0x82);
    let length = match stream.read_u8().await.unwrap() {
        126 => usize::from(stream.read_u16().await.unwrap()),
        short => usize::from(short),
    };
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await.unwrap();
    (stream, dialling.finish(&answer).unwrap().0)
}

/// Sends the begin of a session and of a command in it, `cut` bytes of both. `None`: that is all.
async fn send_cut(rig: &Rig, cut: usize) -> Option<TcpStream> {
    let key = SecretKey::random().unwrap();
    rig.knows(key.public(), NodeRole::Controller).await;
    let (mut stream, mut channel) = stream(rig, &key).await;
    let (own, peer) = (key.public().id().to_string(), rig.id());
    let stop = Body::StopMiner(StopMiner { miner_name: "x".parse().unwrap() });
    let mut bytes = Vec::new();
    for body in [handshake(NodeRole::Controller, Uuid::new_v4()), stop] {
        let message = Message::new(&own, &peer, body).encode().unwrap();
        let frames = channel.sealer.seal(&message).unwrap();
        frames.iter().for_each(|frame| bytes.extend(masked(frame)));
    }
    let sent = bytes.get(..cut)?;
    stream.write_all(sent).await.unwrap();
    (cut < bytes.len()).then_some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_cut_at_every_byte_is_carried_out_whole_or_not_at_all() {
    let rig = Rig::up(NodeRole::Worker).await;
    let carried_out = async || {
        let audit = rig.store.audit(10_000).await.unwrap();
        audit.iter().filter(|it| it.action == "stop_miner x").count()
    };
    let mut cut = 0;
    while let Some(stream) = send_cut(&rig, cut).await {
        drop(stream);
        *rig.net().failures() = Default::default();
        // Whoever goes has to be noticed, or there is no place for the next one.
        let net = rig.net();
        wait_for("a place", || (net.handshakes.available_permits() > 200).then_some(())).await;
        cut += 1;
    }
    assert!(cut > 500, "{cut} bytes are no session and command");
    let net = rig.net();
    let is_quiet = || {
        let none = net.book().all().all(|known| known.session.is_none());
        (none && net.handshakes.available_permits() == 256).then_some(())
    };
    wait_for("all sessions to end", is_quiet).await;
    let mut raw = Raw::session(&rig, NodeRole::Controller).await;
    let stop = Body::StopMiner(StopMiner { miner_name: "x".parse().unwrap() });
    assert!(matches!(raw.ask(stop).await, Ok(Body::Error(_))));
    // The whole one of those that were cut off may have been lost, or be under way still.
    let done = carried_out().await;
    assert!((1..=2).contains(&done), "{done} commands of which only two were whole");
}

/// Another machine with the disk of `rig`.
async fn copied(rig: &Rig) -> Rig {
    let copy = Rig::up(NodeRole::Worker).await;
    copy.node.end().await;
    for name in ["key", "node.json"] {
        let from = rig.folder.path().join("node").join(name);
        std::fs::copy(from, copy.folder.path().join("node").join(name)).unwrap();
    }
    for row in rig.store.peers().await.unwrap() {
        copy.store.add_peer(row).await.unwrap();
    }
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_disk_is_noticed_by_the_controller() {
    let (controller, worker) = pair().await;
    let id = worker.id();
    let mut copy = copied(&worker).await;
    let mut refusals = controller.refusals();
    copy.options.listen = Listen::Off;
    copy.node =
        Node::begin(copy.options.clone(), copy.store.clone(), copy.miners.clone()).await.unwrap();
    assert_eq!(copy.id(), id);
    // Both dial, and each takes the place of the other until it is clear that they are two.
    let told = refusals.next().await;
    assert!(told.contains("two machines use the same key"), "{told}");
    wait_for("both to be kept out", || {
        let peer = controller.node.peer(&id).unwrap();
        (peer.cloned && !peer.connected).then_some(())
    })
    .await;
    let problem = controller.node.peer(&id).unwrap().problem.unwrap();
    assert!(problem.contains("disk was copied"), "{problem}");
    copy.node.end().await;
    // When one of them is gone the operator lets the other in again.
    let _told_to_wait = controller.node.connect(&id).await;
    wait_for("the true one", || controller.is_connected(&id).then_some(())).await;
}

async fn send(rig: &Rig, to: &str, payload: Vec<u8>) -> adit_plugin_api::Result<Vec<u8>> {
    let (courier, to) = (rig.node.courier(), PeerId(to.to_owned()));
    let sending = tokio::task::spawn_blocking(move || {
        courier.send(&DriverId::new("acme").unwrap(), &to, &payload)
    });
    sending.await.unwrap()
}

/// Answers the next message of a driver that the peer hears.
async fn answer_driver(raw: &mut Raw, answer: Body) -> Vec<u8> {
    loop {
        let message = raw.hear().await.unwrap();
        if let Body::Driver(driver) = &message.body {
            assert_eq!(driver.driver.as_str(), "acme");
            raw.send(&message.answer(answer)).await.unwrap();
            return data_encoding::BASE64.decode(driver.data.as_bytes()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_drivers_go_there_and_back() {
    let rig = Rig::up(NodeRole::Controller).await;
    let mut worker = Raw::session(&rig, NodeRole::Worker).await;
    let to = worker.own.clone();
    let everything: Vec<u8> = (0..=255).collect();
    let data = data_encoding::BASE64.encode(b"\x00answer\xff");
    let (sent, heard) = tokio::join!(
        send(&rig, &to, everything.clone()),
        answer_driver(&mut worker, Body::DriverAnswer(DriverAnswer { data }))
    );
    assert_eq!((sent.unwrap().as_slice(), heard), (&b"\x00answer\xff"[..], everything));
    // What goes wrong there, and what is no answer.
    let fault = Body::Error(Fault::new("UNSUPPORTED_MINER", "there is no driver acme"));
    let garbage = Body::DriverAnswer(DriverAnswer { data: "%".to_owned() });
    for (answer, told) in [(fault, "no driver acme"), (garbage, "cannot be read")] {
        let (sent, _) = tokio::join!(send(&rig, &to, vec![1]), answer_driver(&mut worker, answer));
        let error = sent.unwrap_err();
        assert!(error.kind == ErrorKind::Failed && error.message.contains(told), "{error:?}");
    }
    let error = send(&rig, &to, vec![0; DRIVER_BYTES + 1]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
    let error = send(&rig, "nobody", vec![1]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
    drop(worker);
    wait_for("the worker to be gone", || (!rig.is_connected(&to)).then_some(())).await;
    let error = send(&rig, &to, vec![1]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_drivers_need_a_right_and_a_driver() {
    let (controller, worker) = pair().await;
    // What a driver makes of a message may be anything.
    let error = send(&controller, &worker.id(), vec![1]).await.unwrap_err();
    assert!(error.message.contains("the right to config, payout"), "{error:?}");
    let all = adit_model::rights::Right::ALL.into_iter().collect();
    let all = crate::node::view::PeerChange { rights: Some(all), ..Default::default() };
    worker.node.change_peer(&controller.id(), all).await.unwrap();
    let error = send(&controller, &worker.id(), vec![1]).await.unwrap_err();
    assert!(error.message.contains("acme"), "{error:?}");
    let none =
        crate::node::view::PeerChange { rights: Some(Rights::default()), ..Default::default() };
    worker.node.change_peer(&controller.id(), none).await.unwrap();
    let error = send(&controller, &worker.id(), vec![1]).await.unwrap_err();
    assert!(error.message.contains("the right to control"), "{error:?}");
    // A worker's driver may answer and never asks.
    let error = send(&worker, &controller.id(), vec![1]).await.unwrap_err();
    assert!(error.message.contains("workers command nobody"), "{error:?}");
}
