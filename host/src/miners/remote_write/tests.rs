//! Pushing to a receiver that takes, refuses or is away, and reads what it gets.

use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    wire::{WriteRequest, pack},
    *,
};
use adit_model::series::Family;

fn settings(url: String) -> RemoteWriteSettings {
    RemoteWriteSettings {
        url,
        interval: Duration::from_secs(10),
        bearer_token_file: None,
        labels: vec![("host".to_owned(), "rig-1".to_owned())],
        buffer_bytes: 1 << 20,
    }
}

fn request(value: f64) -> Packed {
    let mut family = Family::gauge("miner_up", "Up.");
    family.add(&[("instance", "a")], value);
    pack(&[family], &[("host".to_owned(), "rig-1".to_owned())], 1_800_000_000_000).unwrap()
}

/// Reads one request: its head, and its body once decoded.
async fn receive(stream: &mut TcpStream) -> (String, WriteRequest) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.unwrap();
        assert!(n > 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..n]);
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let body = &bytes[end + 4..];
        if body.len() == length.parse::<usize>().unwrap() {
            let raw = snap::raw::Decoder::new().decompress_vec(body).unwrap();
            return (head, WriteRequest::decode(raw.as_slice()).unwrap());
        }
    }
}

async fn answer(stream: &mut TcpStream, status: &str) {
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: 7\r\n\r\nno way\n");
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Pushes the values 1, 2, 3 … to a receiver that answers in this way. What it got, and how it went.
async fn course(answers: &[&str], token: Option<&str>) -> (Vec<(String, f64)>, RemoteWriteStatus) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(format!("http://{}/write", listener.local_addr().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    if let Some(token) = token {
        let path = folder.path().join("token");
        std::fs::write(&path, token).unwrap();
        settings.bearer_token_file = Some(path);
    }
    let remote = std::sync::Arc::new(RemoteWrite::new(Some(settings.clone())));
    for value in (1..).zip(answers).map(|(n, _)| f64::from(n)) {
        remote.push(request(value), &settings);
    }
    let sending = std::sync::Arc::clone(&remote);
    let sending =
        tokio::spawn(async move { sending.send_all(&Outgoing::default(), &settings).await });
    let mut got = Vec::new();
    let (mut stream, _) = listener.accept().await.unwrap();
    for status in answers {
        let (head, request) = receive(&mut stream).await;
        got.push((head, request.timeseries[0].samples[0].value));
        answer(&mut stream, status).await;
    }
    let done = |status: &RemoteWriteStatus| {
        status.sent_samples + status.refused_samples + status.failures >= answers.len() as u64
    };
    while !done(&remote.status()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sending.abort();
    (got, remote.status())
}

#[tokio::test]
async fn samples_arrive_in_order_with_the_headers_of_the_protocol() {
    let (got, status) = course(&["200 OK", "204 No Content"], Some("secret\n")).await;
    assert_eq!(got.iter().map(|it| it.1).collect::<Vec<_>>(), [1.0, 2.0]);
    for header in [
        "content-type: application/x-protobuf",
        "content-encoding: snappy",
        "x-prometheus-remote-write-version: 0.1.0",
        "authorization: bearer secret",
    ] {
        assert!(got[0].0.contains(header), "{}", got[0].0);
    }
    assert_eq!((status.sent_samples, status.pending_samples, status.failures), (2, 0, 0));
    assert!(status.last_success_ms.is_some() && status.last_error.is_none());
}

#[tokio::test]
async fn what_is_refused_is_not_sent_again_and_counted() {
    let (got, status) = course(&["400 Bad Request", "200 OK"], None).await;
    assert_eq!(got.iter().map(|it| it.1).collect::<Vec<_>>(), [1.0, 2.0]);
    assert_eq!((status.refused_samples, status.sent_samples, status.failures), (1, 1, 0));
}

#[tokio::test]
async fn what_fails_is_sent_again() {
    let (got, status) = course(&["503 Service Unavailable", "200 OK", "200 OK"], None).await;
    assert_eq!(got.iter().map(|it| it.1).collect::<Vec<_>>(), [1.0, 1.0, 2.0]);
    assert_eq!((status.failures, status.sent_samples, status.refused_samples), (1, 2, 0));
    assert_eq!(status.last_error, None);
}

#[tokio::test]
async fn while_the_store_is_away_the_oldest_go_and_are_counted() {
    let size = request(1.0).body.len();
    let settings = RemoteWriteSettings {
        buffer_bytes: size * 3 + 2,
        ..settings("http://127.0.0.1:1/write".to_owned())
    };
    let remote = RemoteWrite::new(Some(settings.clone()));
    for _ in 0..10 {
        remote.push(request(1.0), &settings);
    }
    let status = remote.status();
    assert_eq!((status.dropped_samples, status.pending_samples), (7, 3));
    let web = Outgoing::default();
    let failed = async {
        while remote.status().failures == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        biased;
        () = remote.send_all(&web, &settings) => panic!("it goes on trying"),
        failed = tokio::time::timeout(Duration::from_secs(60), failed) => failed.unwrap(),
    }
    let status = remote.status();
    assert!(status.failures >= 1 && status.sent_samples == 0, "{status:?}");
    assert!(status.last_error.is_some_and(|it| it.contains("refused")), "it says why");
}
