//! The same over WebSocket, and what a client may not do there.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};
use tungstenite::{
    Message, WebSocket, client::IntoClientRequest, protocol::frame::coding::CloseCode,
};

use crate::rig::{PATIENCE, Rig, TOKEN};

struct Socket(WebSocket<TcpStream>);

impl Socket {
    fn open(rig: &Rig, query: &str) -> Self {
        let url = format!("ws://{}/api/ws/events{query}", rig.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("Authorization", format!("Bearer {TOKEN}").parse().unwrap());
        let stream = TcpStream::connect(rig.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(request, stream).unwrap();
        Self(socket)
    }

    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// The next message, which must be of type `kind`.
    fn expect(&mut self, kind: &str) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(message["type"], kind, "{message}");
                    assert!(message["timestamp"].is_string(), "{message}");
                    return message;
                }
                Message::Ping(_) => {}
                other => panic!("waited for {kind}, got {other:?}"),
            }
        }
    }

    /// How the host ends the conversation; what it says before that is passed over.
    fn end(&mut self) -> CloseCode {
        self.end_or_reset().expect("the host says why it ends")
    }

    /// The same; `None`: the system reset the connection, since the host left something unread.
    fn end_or_reset(&mut self) -> Option<CloseCode> {
        loop {
            let read = match self.0.read() {
                Err(tungstenite::Error::Io(error))
                    if error.kind() == ErrorKind::ConnectionReset =>
                {
                    return None;
                }
                read => read.unwrap(),
            };
            match read {
                Message::Close(Some(close)) => return Some(close.code),
                Message::Text(_) | Message::Ping(_) => {}
                other => panic!("waited for the end, got {other:?}"),
            }
        }
    }
}

#[test]
fn a_client_of_the_go_system_finds_what_it_knows() {
    let rig = Rig::start(10);
    let mut socket = Socket::open(&rig, "");
    assert_eq!(socket.expect("state.sync")["data"]["miners"], json!([]));
    socket.say(r#"{"type":"subscribe","miners":["rig-1"]}"#);
    socket.say(r#"{"type":"ping"}"#);
    assert!(socket.expect("pong").get("data").is_none());
    rig.events.publish("miner.started", json!({ "name": "rig-2" }));
    rig.events.publish("miner.stats", json!({ "name": "rig-1", "hashrate": 1.5 }));
    let stats = socket.expect("miner.stats");
    assert_eq!(stats["data"], json!({ "name": "rig-1", "hashrate": 1.5 }));
    socket.say(r#"{"type":"subscribe","miners":["*"]}"#);
    socket.say(r#"{"type":"ping"}"#);
    socket.expect("pong");
    rig.events.publish("miner.started", json!({ "name": "rig-2" }));
    assert_eq!(socket.expect("miner.started")["id"], rig.events.newest());
}

#[test]
fn a_pong_is_for_the_asker_alone() {
    let rig = Rig::start(10);
    let (mut asker, mut other) = (Socket::open(&rig, ""), Socket::open(&rig, ""));
    asker.expect("state.sync");
    other.expect("state.sync");
    asker.say(r#"{"type":"ping"}"#);
    asker.expect("pong");
    rig.publish(1);
    other.expect("test.happened");
}

#[test]
fn a_socket_resumes_as_a_stream_does() {
    let rig = Rig::start(10);
    rig.publish(3);
    let after = rig.events.newest() - 2;
    let mut socket = Socket::open(&rig, &format!("?after={after}&types=test.*"));
    assert_eq!(socket.expect("test.happened")["data"]["n"], 1);
    assert_eq!(socket.expect("test.happened")["data"]["n"], 2);
    let mut foreign = Socket::open(&rig, "?after=1");
    foreign.expect("events.missed");
    foreign.expect("state.sync");
    foreign.expect("test.happened");
}

#[test]
fn garbage_gets_an_answer_and_harms_nobody() {
    let rig = Rig::start(10);
    let mut socket = Socket::open(&rig, "");
    socket.expect("state.sync");
    for (said, told) in [
        ("", "EOF"),
        ("hello", "expected"),
        ("[1,2]", "send a JSON object"),
        (r#"{"type":"explode"}"#, "unknown variant `explode`"),
        (r#"{"miners":["a"]}"#, "missing field `type`"),
        (r#"{"type":"subscribe","miners":"rig-1"}"#, "expected a sequence"),
        (r#"{"type":"subscribe","miners":["../etc"]}"#, "is no name of a miner"),
        (r#"{"type":"subscribe","types":["x"]}"#, "is no type of event"),
    ] {
        socket.say(said);
        let error = socket.expect("error");
        assert!(error["data"]["error"].as_str().unwrap().contains(told), "{said}: {error}");
    }
    rig.publish(1);
    socket.expect("test.happened");
}

#[test]
fn whoever_breaks_the_rules_is_let_go() {
    let rig = Rig::start(10);
    let mut watcher = Socket::open(&rig, "");
    watcher.expect("state.sync");

    let mut oversized = Socket::open(&rig, "");
    // The host may have closed before all of it is written.
    drop(oversized.0.send(Message::text("x".repeat(64 << 10))));
    assert!([None, Some(CloseCode::Protocol)].contains(&oversized.end_or_reset()));

    let mut binary = Socket::open(&rig, "");
    binary.0.send(Message::binary(vec![0, 159, 146, 150])).unwrap();
    assert_eq!(binary.end(), CloseCode::Unsupported);

    let mut flood = Socket::open(&rig, "");
    for _ in 0..100 {
        drop(flood.0.send(Message::text(r#"{"type":"ping"}"#)));
    }
    assert_eq!(flood.end(), CloseCode::Policy);

    // No WebSocket at all after the handshake.
    let mut raw = Socket::open(&rig, "");
    raw.0.get_mut().write_all(&[0xff; 300]).unwrap();
    let mut answer = Vec::new();
    // The host closes, or resets what it did not read.
    drop(raw.0.get_mut().read_to_end(&mut answer));

    rig.publish(1);
    watcher.expect("test.happened");
}

#[test]
fn only_those_who_may_open_a_socket() {
    let rig = Rig::start(1);
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&upgrade, more].concat();
    rig.refused("/ws/events", &with(&[("Authorization", "")]), 401, "NO_TOKEN");
    let page = [("Origin", "http://evil.example")];
    rig.refused("/ws/events", &with(&page), 403, "FOREIGN_ORIGIN");
    rig.refused("/ws/events", &[], 426, "NO_WEBSOCKET");
    let mut only = Socket::open(&rig, "");
    only.expect("state.sync");
    rig.refused("/events", &[], 503, "TOO_MANY_SUBSCRIBERS");
}

#[test]
fn open_sockets_end_with_the_host() {
    let mut rig = Rig::start(10);
    let mut socket = Socket::open(&rig, "");
    socket.expect("state.sync");
    let ended = std::thread::spawn(move || socket.end());
    rig.end();
    assert_eq!(ended.join().unwrap(), CloseCode::Away);
}
