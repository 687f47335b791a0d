//! `adit events`: what happens on this node.

use std::time::Duration;

use clap::Args;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::{sleep, timeout};

use crate::cli::{
    Common, Error,
    client::{Client, segment},
    show,
};
use adit_model::event::Filter;

/// A stream that is silent for so long is broken: the host sends something every 15 s.
const SILENCE: Duration = Duration::from_secs(60);
/// Pause before the host is looked for again.
const AWAY: Duration = Duration::from_secs(1);
/// Largest frame of the stream, in bytes.
const FRAME_BYTES: usize = 4 << 20;

#[derive(Args)]
pub(super) struct Events {
    /// Go on with what happens, also over a restart of the host
    #[arg(short, long)]
    follow: bool,
    /// Events to begin with
    #[arg(short = 'n', long, default_value_t = 20)]
    last: u32,
    /// Only this type, such as miner.started or miner.*; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events about this miner; may be given several times
    #[arg(long, value_name = "NAME")]
    miner: Vec<String>,
}

#[derive(Deserialize)]
struct Recent {
    newest: u64,
    events: Vec<Value>,
}

pub(super) async fn run(common: &Common, events: &Events) -> Result<(), Error> {
    Filter::new(events.types.clone(), events.miner.clone())
        .map_err(|error| Error::message(error.to_string()))?;
    let mut query = String::new();
    for (name, list) in [("types", &events.types), ("miner", &events.miner)] {
        if !list.is_empty() {
            query.push_str(&format!("&{name}={}", segment(&list.join(","))));
        }
    }
    let client = Client::find(common)?;
    let recent = format!("/events/recent?limit={}{query}", events.last);
    let recent: Recent = client.get(&recent).await?;
    if common.json && !events.follow {
        show::json(&recent.events);
        return Ok(());
    }
    for event in &recent.events {
        print(common, event);
    }
    if events.follow { follow(common, client, &query, recent.newest).await } else { Ok(()) }
}

/// Goes on until the command is ended, or the host refuses.
async fn follow(
    common: &Common,
    mut client: Client,
    query: &str,
    mut last: u64,
) -> Result<(), Error> {
    loop {
        let stream = client.stream(&format!("/events?after={last}{query}")).await?;
        if let Some(stream) = stream {
            pass_on(common, stream, &mut last).await?;
        }
        eprintln!("adit: the host is away; waiting for it");
        client = loop {
            sleep(AWAY).await;
            // It may come back at another address.
            match Client::find(common) {
                Ok(client) if client.is_there().await => break client,
                Ok(_) | Err(Error::NoHost(_)) => {}
                Err(error) => return Err(error),
            }
        };
    }
}

/// Prints what the stream brings until it ends or breaks.
async fn pass_on(common: &Common, mut stream: Incoming, last: &mut u64) -> Result<(), Error> {
    let mut pending = Vec::new();
    while let Ok(Some(Ok(frame))) = timeout(SILENCE, stream.frame()).await {
        let Ok(chunk) = frame.into_data() else { continue };
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = pending.drain(..end + 2).collect();
            let Some(event) = event(&frame) else { continue };
            if let Some(id) = event["id"].as_u64() {
                *last = id;
            }
            print(common, &event);
        }
        if pending.len() > FRAME_BYTES {
            return Err(Error::message("the host's events cannot be understood"));
        }
    }
    Ok(())
}

/// The event in a frame; `None` for what only keeps the stream alive.
fn event(frame: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(frame).ok()?;
    let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
    serde_json::from_str(data).ok()
}

fn print(common: &Common, event: &Value) {
    if common.json {
        println!("{}", show::escaped(&event.to_string()));
    } else if event["type"] != "state.sync" {
        println!("{}", show::plain(&line(event)));
    }
}

/// One line for people: time, type, miner, and the rest as `name=value`.
fn line(event: &Value) -> String {
    let text = |field: &str| event[field].as_str().unwrap_or("-").to_owned();
    let nothing = Map::new();
    let data = event["data"].as_object().unwrap_or(&nothing);
    let name = data.get("name").and_then(Value::as_str).unwrap_or("-");
    let mut line = format!("{}  {:<16}  {name}", text("timestamp"), text("type"));
    for (field, value) in data.iter().filter(|(field, _)| *field != "name") {
        match value {
            Value::String(word) => line.push_str(&format!("  {field}={word}")),
            value => line.push_str(&format!("  {field}={value}")),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn frames_are_understood() {
        let frame = b"id: 7\ndata: {\"id\":7,\"type\":\"miner.started\"}\n\n";
        assert_eq!(event(frame).unwrap()["id"], 7);
        for other in [&b":\n\n"[..], b"retry: 3000\n\n", b"data: no JSON\n\n", b"data: \xff\n\n"] {
            assert_eq!(event(other), None);
        }
    }

    #[test]
    fn an_event_is_one_line() {
        let event = json!({
            "id": 7, "type": "miner.stopped", "timestamp": "2026-01-01T00:00:00Z",
            "data": { "name": "rig-1", "reason": "exit code 3", "asked": false },
        });
        let expected = "2026-01-01T00:00:00Z  miner.stopped     rig-1  asked=false  \
                        reason=exit code 3";
        assert_eq!(line(&event), expected);
        assert_eq!(line(&json!({})), "-  -                 -");
    }
}
