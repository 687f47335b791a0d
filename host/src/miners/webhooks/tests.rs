//! Deliveries to a receiver that takes, refuses, hangs or is away.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use super::*;
use crate::miners::{Events, outgoing::Outgoing};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A delivery as it arrived.
#[derive(Debug)]
struct Got {
    head: String,
    body: Value,
    raw: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|it| it.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default()
    }
}

/// A receiver that answers in this way, and with 204 when the list is at its end. `hang` never
/// answers, `close` ends the connection.
struct Receiver {
    url: String,
    got: mpsc::UnboundedReceiver<Got>,
    task: JoinHandle<()>,
}

impl Receiver {
    async fn new(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/secret", listener.local_addr().unwrap());
        let mut answers: VecDeque<String> = answers.iter().map(|it| (*it).to_owned()).collect();
        let (tell, got) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let got = receive(&mut stream).await;
                let answer = answers.pop_front().unwrap_or_else(|| "204 No Content".to_owned());
                match answer.as_str() {
                    "hang" => held.push(stream),
                    "close" => {}
                    status => {
                        let text = format!(
                            "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                        );
                        stream.write_all(text.as_bytes()).await.unwrap();
                    }
                }
                tell.send(got).unwrap();
            }
        });
        Self { url, got, task }
    }

    async fn next(&mut self) -> Got {
        tokio::time::timeout(PATIENCE, self.got.recv()).await.unwrap().unwrap()
    }

    /// The numbers of the next deliveries.
    async fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        for _ in 0..count {
            numbers.push(self.next().await.body["data"]["n"].as_u64().unwrap_or(0));
        }
        numbers
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(stream: &mut TcpStream) -> Got {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.unwrap();
        assert!(n > 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..n]);
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let body = &bytes[end + 4..];
        if body.len() == length.parse::<usize>().unwrap() {
            let raw = String::from_utf8(body.to_vec()).unwrap();
            return Got { head, body: serde_json::from_str(&raw).unwrap(), raw };
        }
    }
}

fn settings(url: &str) -> WebhookSettings {
    WebhookSettings {
        name: "pager".to_owned(),
        url: url.to_owned(),
        secret: None,
        filter: Filter::new(["test.*".to_owned()], []).unwrap(),
        types: vec!["test.*".to_owned()],
        miners: Vec::new(),
        timeout: Duration::from_secs(20),
        queue: 100,
        first_pause: Duration::from_millis(10),
    }
}

/// A hook that works until this is dropped.
struct Rig {
    hook: Arc<Hook>,
    events: Events,
    task: JoinHandle<()>,
}

impl Rig {
    fn new(settings: WebhookSettings) -> Self {
        let (hook, events) = (Arc::new(Hook::new(settings)), Events::new(1));
        let (working, heard) = (Arc::clone(&hook), events.subscribe(None));
        let task = tokio::spawn(async move {
            let web = Outgoing::default();
            tokio::join!(working.listen(heard), working.send_all(&web));
        });
        Self { hook, events, task }
    }

    fn publish(&self, numbers: std::ops::RangeInclusive<u64>) {
        for n in numbers {
            self.events.publish("test.happened", json!({ "n": n }));
        }
    }

    async fn wait_for(&self, is_so: impl Fn(&WebhookStatus) -> bool) -> WebhookStatus {
        let look = async {
            loop {
                let status = self.hook.status();
                if is_so(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, look).await;
        seen.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {:?}", self.hook.status()))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn events_arrive_in_order_and_signed() {
    let mut receiver = Receiver::new(&[]).await;
    let secret = WebhookSecret::from("a sentence that nobody guesses".to_owned());
    let place = Some(SecretPlace::Here(secret.clone()));
    let rig = Rig::new(WebhookSettings { secret: place, ..settings(&receiver.url) });
    rig.events.publish("other.happened", json!({ "n": 9 }));
    rig.publish(1..=3);
    for n in 1..=3 {
        let got = receiver.next().await;
        assert_eq!(
            (&got.body["type"], &got.body["data"]["n"]),
            (&json!("test.happened"), &json!(n))
        );
        assert!(got.body["id"].is_u64() && got.body["timestamp"].is_string(), "{got:?}");
        let at_s: i64 = got.header("webhook-timestamp").parse().unwrap();
        let id = got.header("webhook-id");
        assert!((jiff::Timestamp::now().as_second() - at_s).abs() < 300);
        let expected = secret.key().unwrap().sign(id, at_s, got.raw.as_bytes());
        assert_eq!(got.header("webhook-signature"), expected);
        assert_eq!(got.header("content-type"), "application/json");
    }
    let status = rig.wait_for(|it| it.delivered == 3).await;
    assert_eq!((status.queued, status.failures, status.dropped), (0, 0, 0));
    assert!(status.signed && status.last_success_ms.is_some());
    assert!(!serde_json::to_string(&status).unwrap().contains("secret"), "{status:?}");
}

#[tokio::test]
async fn what_fails_is_sent_again_with_the_same_id_and_nothing_overtakes_it() {
    let mut receiver =
        Receiver::new(&["500 Internal Server Error", "close", "429 Too Many Requests"]).await;
    let rig = Rig::new(settings(&receiver.url));
    rig.publish(1..=2);
    let mut ids = Vec::new();
    for _ in 0..4 {
        let got = receiver.next().await;
        assert_eq!(got.body["data"]["n"], 1);
        ids.push(got.header("webhook-id").to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one event has one id");
    assert_eq!(receiver.numbers(1).await, [2]);
    let status = rig.wait_for(|it| it.delivered == 2).await;
    assert_eq!((status.failures, status.refused), (3, 0));
    assert!(status.last_error.unwrap().contains("429"));
}

#[tokio::test]
async fn what_is_refused_or_redirected_is_given_up_and_counted() {
    let answers = ["400 Bad Request", "302 Found\r\nlocation: http://127.0.0.1:1/"];
    let mut receiver = Receiver::new(&answers).await;
    let rig = Rig::new(settings(&receiver.url));
    rig.publish(1..=3);
    assert_eq!(receiver.numbers(3).await, [1, 2, 3]);
    let status = rig.wait_for(|it| it.delivered == 1).await;
    assert_eq!((status.refused, status.failures), (2, 0));
    assert!(status.last_error.unwrap().contains("redirects"));
}

#[tokio::test]
async fn an_event_that_is_never_taken_does_not_hold_the_others_for_ever() {
    let mut receiver = Receiver::new(&["500 Internal Server Error"; 10]).await;
    // All pauses are as short as the first one allows.
    let first_pause = Duration::from_micros(10);
    let rig = Rig::new(WebhookSettings { first_pause, ..settings(&receiver.url) });
    rig.publish(1..=2);
    assert_eq!(receiver.numbers(11).await, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
    let status = rig.wait_for(|it| it.delivered == 1).await;
    assert_eq!((status.refused, status.failures), (1, 10));
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody_else() {
    let mut slow = Receiver::new(&["hang"]).await;
    let mut quick = Receiver::new(&[]).await;
    let timeout = Duration::from_secs(2);
    let hanging = Rig::new(WebhookSettings { timeout, ..settings(&slow.url) });
    let other = Hook::new(settings(&quick.url));
    let web = Outgoing::default();
    hanging.publish(1..=1);
    slow.next().await;
    other.test(&web).await.unwrap();
    assert_eq!(quick.next().await.body["type"], "webhook.test");
    // And it gets what it did not answer once more.
    assert_eq!(slow.numbers(1).await, [1]);
    let status = hanging.wait_for(|it| it.delivered == 1).await;
    assert!(status.last_error.unwrap().contains("no answer within 2000 ms"));
}

#[tokio::test]
async fn what_is_too_much_is_dropped_counted_and_told() {
    // Bound and not listening yet: nobody else gets the port.
    let away = TcpSocket::new_v4().unwrap();
    away.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = away.local_addr().unwrap();
    let first_pause = Duration::from_millis(300);
    let url = format!("http://{address}/");
    let rig = Rig::new(WebhookSettings { queue: 3, first_pause, ..settings(&url) });
    rig.publish(1..=1);
    let status = rig.wait_for(|it| it.failures >= 1).await;
    assert!(status.last_error.unwrap().contains("refused"));
    rig.publish(2..=10);
    // Not while one of them is tried.
    let status = rig.wait_for(|it| it.dropped >= 7 && it.queued == 3).await;
    assert_eq!(status.dropped, 7);
    let listener = away.listen(16).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let (mut stream, _) = listener.accept().await.unwrap();
        let got = receive(&mut stream).await;
        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(ok).await.unwrap();
        let data = &got.body["data"];
        seen.push((got.body["type"].clone(), data["n"].as_u64().or(data["count"].as_u64())));
    }
    let happened = |n| (json!("test.happened"), Some(n));
    let expected = [(json!("events.missed"), Some(7)), happened(8), happened(9), happened(10)];
    assert_eq!(seen, expected);
    rig.wait_for(|it| it.delivered == 3 && it.queued == 0).await;
}

#[tokio::test]
async fn a_secret_file_is_read_anew_and_its_absence_is_told() {
    let mut receiver = Receiver::new(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let secret = Some(SecretPlace::File(path.clone()));
    let rig = Rig::new(WebhookSettings { secret, ..settings(&receiver.url) });
    rig.publish(1..=1);
    let status = rig.wait_for(|it| it.failures >= 1).await;
    assert!(status.last_error.unwrap().contains(path.to_str().unwrap()));
    std::fs::write(&path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLw9NBySyZ/Qk0hE=\n").unwrap();
    assert!(receiver.next().await.header("webhook-signature").starts_with("v1,"));
}

#[test]
fn an_address_is_shown_without_what_may_be_secret() {
    for (url, expected) in [
        ("https://hooks.example/T0/B0/key", "https://hooks.example/…"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("https://a.example?token=1", "https://a.example/…"),
    ] {
        assert_eq!(shown(url), expected);
    }
}
