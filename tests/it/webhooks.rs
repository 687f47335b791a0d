//! Webhooks of a real host: what is set up is told, and events reach a receiver.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
};

use serde_json::{Value, json};

use crate::host::{Host, PATIENCE, wait_for};

/// Takes deliveries for ever; each one's head and body.
fn receiver() -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/very-secret", listener.local_addr().unwrap());
    let (tell, got) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut bytes = Vec::new();
            let (head, body) = loop {
                let mut chunk = [0; 4096];
                let n = stream.read(&mut chunk).unwrap();
                bytes.extend_from_slice(&chunk[..n]);
                let text = String::from_utf8_lossy(&bytes);
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && let Ok(body) = serde_json::from_str::<Value>(body)
                {
                    break (head.to_owned(), body);
                }
                assert!(n > 0, "the request ended early");
            };
            let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(ok).unwrap();
            if tell.send((head, body)).is_err() {
                return;
            }
        }
    });
    (url, got)
}

#[test]
fn chosen_events_reach_their_receiver_and_the_list_tells_how_it_goes() {
    let (url, got) = receiver();
    let mut host = Host::absent();
    let settings = format!(
        "[[webhooks]]\nname = 'pager'\nurl = '{url}'\ntypes = ['miner.started', 'miner.stopped']\n\
         miners = ['rig']\nsecret = 'a sentence that nobody guesses'\n\
         [[webhooks]]\nname = 'away'\nurl = 'http://127.0.0.1:1/'\ntypes = ['miner.started']\n"
    );
    std::fs::write(host.settings(), settings).unwrap();
    host.up(&[]);
    host.simulate("other", &json!({}));
    host.simulate("rig", &json!({}));
    host.ok("DELETE", "/miners/rig", &Value::Null);
    for kind in ["miner.started", "miner.stopped"] {
        let (head, body) = got.recv_timeout(PATIENCE).unwrap();
        assert_eq!((&body["type"], &body["data"]["name"]), (&json!(kind), &json!("rig")), "{body}");
        assert!(head.contains("webhook-signature: v1,"), "{head}");
    }
    let listed = wait_for("both to be tried", || {
        let listed = host.get("/webhooks");
        (listed[0]["delivered"] == 2 && listed[1]["failures"].as_u64()? > 0).then_some(listed)
    });
    assert_eq!((&listed[0]["name"], &listed[0]["signed"]), (&json!("pager"), &json!(true)));
    assert!(listed[1]["lastError"].as_str().unwrap().contains("refused"), "{listed}");
    for secret in ["very-secret", "nobody guesses"] {
        assert!(!listed.to_string().contains(secret), "{listed}");
    }
    let tried = host.run_json(&["webhook", "test", "pager"]);
    assert_eq!(tried["status"], "delivered");
    let (_, body) = got.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body["type"], "webhook.test");
    let (status, answer) = host.call("POST", "/webhooks/away/test", &Value::Null);
    assert_eq!((status, &answer["code"]), (502, &json!("WEBHOOK_FAILED")), "{answer}");
    let (status, answer) = host.call("POST", "/webhooks/nobody/test", &Value::Null);
    assert_eq!((status, &answer["code"]), (404, &json!("WEBHOOK_NOT_FOUND")), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("pager, away"), "{answer}");
    assert_eq!(host.run_json(&["webhook", "list"]).as_array().unwrap().len(), 2);
}
