//! Networks that are slow, break and come back.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{id, node, remote_miner, wait_for_peer};
use crate::host::wait_for;

/// Time that a byte takes through the relay, each way.
const DELAY: Duration = Duration::from_millis(150);

/// A slow network between two nodes, which can be broken.
struct Relay {
    address: String,
    broken: Arc<AtomicBool>,
    cut: Arc<AtomicBool>,
}

impl Relay {
    fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (broken, cut) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let flags = (Arc::clone(&broken), Arc::clone(&cut));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, flags) = (client.unwrap(), flags.clone());
                let Ok(server) = TcpStream::connect(&target) else { continue };
                for (from, to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    let (broken, cut) = flags.clone();
                    thread::spawn(move || carry(from, to, &broken, &cut));
                }
            }
        });
        Self { address, broken, cut }
    }

    /// Nothing goes through, and nobody is told.
    fn break_down(&self) {
        self.broken.store(true, Ordering::SeqCst);
        // Whoever is reading now reads once more.
        thread::sleep(DELAY);
    }

    /// Goes on. What was on the way before is lost with its connections.
    fn mend(&self) {
        self.cut.store(true, Ordering::SeqCst);
        thread::sleep(DELAY);
        self.broken.store(false, Ordering::SeqCst);
        self.cut.store(false, Ordering::SeqCst);
    }
}

/// Carries bytes one way, each late by the delay.
fn carry(mut from: TcpStream, mut to: TcpStream, broken: &AtomicBool, cut: &AtomicBool) {
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut closing = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let writer = thread::spawn(move || {
        for (due, bytes) in receive {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        to.shutdown(Shutdown::Write).ok();
    });
    let mut buffer = vec![0; 16 << 10];
    loop {
        if cut.load(Ordering::SeqCst) {
            break;
        }
        if broken.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                if send.send((Instant::now() + DELAY, buffer[..length].to_vec())).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    drop(send);
    writer.join().unwrap();
    for stream in [&mut closing.0, &mut closing.1] {
        stream.shutdown(Shutdown::Both).ok();
    }
}

#[test]
fn a_network_that_is_slow_breaks_and_comes_back_costs_no_miner() {
    let (controller, worker) = (node("farm", "controller"), node("rig", "worker"));
    let listen = controller.get("/node/info")["listen"].as_str().unwrap().to_owned();
    let relay = Relay::to(listen);
    let made = controller.ok("POST", "/node/invite", &json!({ "address": relay.address }));
    worker.ok("POST", "/node/join", &json!({ "invite": made["invite"] }));
    let rig = id(&worker);
    wait_for_peer(&controller, &rig);
    let took = controller.ok("POST", &format!("/peers/{rig}/ping"), &Value::Null);
    assert!(took["rtt_ms"].as_f64().unwrap() >= 300.0, "{took}");
    worker.simulate("rig", &json!({}));
    let pid = worker.program("rig");
    let sees = |what: &str| {
        wait_for(what, || {
            (remote_miner(&controller, &rig, "rig")["phase"] == "mining").then_some(())
        });
    };
    sees("figures through the slow network");
    relay.break_down();
    // The command is on its way when the network breaks, and arrives over the next connection.
    thread::scope(|scope| {
        let stopping = scope.spawn(|| {
            let body = json!({ "minerName": "rig" });
            controller.call("POST", &format!("/remote/{rig}/stop"), &body)
        });
        thread::sleep(Duration::from_secs(1));
        assert_eq!(worker.program("rig"), pid, "nothing gets through");
        relay.mend();
        let (status, answer) = stopping.join().unwrap();
        assert_eq!((status, &answer["status"]), (200, &json!("stopped")), "{answer}");
    });
    assert_eq!(worker.get("/miners/rig/runs").as_array().unwrap().len(), 1);
    worker.ok("POST", "/miners/rig/start", &Value::Null);
    let pid = worker.program("rig");
    relay.break_down();
    thread::sleep(Duration::from_secs(2));
    relay.mend();
    wait_for_peer(&controller, &rig);
    sees("figures after the second break");
    assert_eq!(worker.program("rig"), pid);
}
