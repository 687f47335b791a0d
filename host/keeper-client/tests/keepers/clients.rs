//! Clients of a keeper's socket that misbehave.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
};

use adit_keeper_client::{error::Error, run::Run};
use serde_json::{Value, json};

use crate::support::{LIMIT, Mine, exited};

fn connect(mine: &Mine) -> UnixStream {
    let stream = UnixStream::connect(mine.root.join("rig-1/socket")).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn reply(reader: &mut impl BufRead) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn garbage_gets_an_error_and_the_connection_goes_on() {
    let mine = Mine::new();
    let run = mine.launch("exec sleep 600").await;
    let mut stream = connect(&mine);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let other = json!({ "do": "stop", "run": "0c2e8e5e-0000-4000-8000-000000000000" }).to_string();
    for bad in [
        "",
        "{}",
        "[[[[",
        "\u{0}",
        r#"{"do":"dance"}"#,
        r#"{"do":"stdin"}"#,
        r#"{"do":"signal","signal":"STOP"}"#,
        r#"{"do":"status","protocol":99}"#,
        &other,
    ] {
        stream.write_all(format!("{bad}\n").as_bytes()).unwrap();
        let reply = reply(&mut reader);
        assert!(reply["refusal"].is_object() && reply["protocol"] == 1, "{bad} {reply}");
    }
    stream.write_all(b"\xff\xfe\n").unwrap();
    assert!(reply(&mut reader)["refusal"].is_object());
    // In pieces, and two in one.
    stream.write_all(b"{\"do\":\"sta").unwrap();
    stream.write_all(b"tus\"}\n{\"do\":\"status\"}\n").unwrap();
    for _ in 0..2 {
        assert_eq!(reply(&mut reader)["status"]["run"], json!(run.id()));
    }
    assert!(!run.status().await.unwrap().stopping);
    let error = run.signal("STOP").await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    let error = run.stdin(&"x".repeat(70_000)).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn a_request_without_end_is_cut_off() {
    let mine = Mine::new();
    let run = mine.launch("exec sleep 600").await;
    let mut stream = connect(&mine);
    // The keeper may hang up while we still write.
    stream.write_all(&vec![b'x'; 1 << 20]).ok();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).ok();
    assert!(rest.is_empty() || rest.starts_with(b"{"));
    assert!(run.status().await.is_ok());
}

#[tokio::test]
async fn silent_and_slow_clients_keep_nobody_waiting() {
    let mine = Mine::new();
    let run = mine.launch("read line; exit 8").await;
    let waiting = tokio::spawn({
        let run: Run = run.clone();
        async move { exited(&run).await }
    });
    let silent: Vec<_> = (0..40).map(|_| connect(&mine)).collect();
    let mut slow = connect(&mine);
    slow.set_nonblocking(true).unwrap();
    // It asks until it cannot any more and never reads an answer.
    for _ in 0..5000 {
        if slow.write_all(b"{\"do\":\"status\"}\n").is_err() {
            break;
        }
    }
    let keeper = run.first_status().keeper.pid;
    for _ in 0..20 {
        let open = std::fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().count();
        assert!(open < 32, "{open} descriptors");
        assert!(run.status().await.is_ok());
    }
    run.stdin("\n").await.unwrap();
    assert_eq!(waiting.await.unwrap().code, Some(8));
    drop(silent);
}
