//! `adit driver show`: one driver that is loaded.

use serde_json::Value;

use crate::cli::{
    Common, Error,
    client::{Client, segment},
    show,
};

/// Shows a driver: what it is, how it does, and what its process is held to.
pub(super) async fn show(common: &Common, id: &str) -> Result<(), Error> {
    let path = format!("/drivers/{}", segment(id));
    let driver: Value = Client::find(common)?.get(&path).await?;
    if common.json {
        show::json(&driver);
        return Ok(());
    }
    let text = |value: &Value| value.as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    let list = |value: &Value| {
        let words: Vec<_> = value.as_array()?.iter().filter_map(Value::as_str).collect();
        (!words.is_empty()).then(|| words.join(", "))
    };
    let (manifest, description) = (&driver["manifest"], &driver["description"]);
    let healthy = if driver["healthy"] == true { "yes" } else { "no" };
    let problem =
        text(&driver["problem"]).filter(|it| Some(it) != text(&driver["reason"]).as_ref());
    let process = &driver["process"];
    let held = |what: &str| rule(&process["confinement"][what]);
    show::facts(&[
        ("id", text(&driver["id"])),
        ("name", text(&description["name"])),
        ("what it does", text(&description["summary"])),
        ("version", text(&manifest["version"])),
        ("API", text(&manifest["api"])),
        ("state", text(&driver["state"])),
        ("reason", text(&driver["reason"])),
        ("healthy", Some(healthy.to_owned())),
        ("problem", problem),
        ("calls", Some(calls(&driver["health"]))),
        ("last failure", last_failure(&driver["health"]["lastFailure"])),
        ("quarantine", quarantine(&driver["quarantine"])),
        ("runs", text(&driver["isolation"])),
        ("pid", process["pid"].as_u64().map(|pid| pid.to_string())),
        ("last end", last_end(&process["lastEnd"])),
        ("memory", held("memory")),
        ("processor", held("cpu")),
        ("threads", held("threads")),
        ("files", held("files")),
        ("disk", held("disk")),
        ("network", held("network")),
        ("processes", held("processes")),
        ("system calls", held("calls")),
        ("refused calls", refused(&process["refused"])),
        ("file", text(&driver["path"])),
        ("sha256", text(&driver["sha256"])),
        ("loaded", text(&driver["loadedAt"])),
        ("algorithms", list(&description["algorithms"])),
        ("devices", list(&description["devices"])),
        ("commands", list(&description["commands"])),
    ]);
    Ok(())
}

fn calls(health: &Value) -> String {
    let count = |key: &str| health[key].as_u64().unwrap_or(0);
    format!(
        "{}, {} failed ({} panics, {} timeouts), {} ends of its process, {} not returned",
        count("calls"),
        count("failures"),
        count("panics"),
        count("timeouts"),
        count("crashes"),
        count("stuck")
    )
}

fn last_failure(failure: &Value) -> Option<String> {
    let text = |key: &str| failure[key].as_str();
    Some(format!("{} in {}: {}", text("at")?, text("op")?, text("message")?))
}

fn quarantine(quarantine: &Value) -> Option<String> {
    let since = quarantine["since"].as_str()?;
    Some(format!(
        "since {since}, {} failures in {} s; adit driver clear tries again",
        quarantine["count"], quarantine["withinS"]
    ))
}

fn last_end(end: &Value) -> Option<String> {
    Some(format!("{}: {}", end["at"].as_str()?, end["cause"].as_str()?))
}

/// The system calls that it made and may not make.
fn refused(calls: &Value) -> Option<String> {
    let one = |call: &Value| {
        let (name, last) = (call["call"].as_str()?, call["lastAt"].as_str()?);
        Some(format!("{name} ({} times, last {last})", call["count"]))
    };
    let calls: Vec<_> = calls.as_array()?.iter().filter_map(one).collect();
    (!calls.is_empty()).then(|| calls.join(", "))
}

/// What kernel and host see to, or why they do not.
fn rule(rule: &Value) -> Option<String> {
    let detail = rule["detail"].as_str()?;
    let not = if rule["enforced"] == true { "" } else { "not: " };
    Some(format!("{not}{detail}"))
}
