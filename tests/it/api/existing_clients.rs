//! What the web dashboard and the scripts of the earlier system ask for: every route with the
//! fields that they read, and what their browsers need to be let in from another origin.

use data_encoding::BASE64;
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    api::{NONE, host_with},
    host::{Host, wait_for},
};

/// Kinds of values.
#[derive(Clone, Copy, Debug)]
enum Is {
    Text,
    Number,
    Truth,
    List,
    Object,
}

use Is::{List, Number, Object, Text, Truth};

impl Is {
    fn fits(self, value: &Value) -> bool {
        match self {
            Text => value.is_string(),
            Number => value.is_number(),
            Truth => value.is_boolean(),
            List => value.is_array(),
            Object => value.is_object(),
        }
    }
}

/// Checks fields of `answer`, each by its JSON pointer.
fn check(what: &str, answer: &Value, fields: &[(&str, Is)]) {
    for (pointer, kind) in fields {
        let found = answer.pointer(pointer);
        let fits = found.is_some_and(|it| kind.fits(it));
        assert!(fits, "{what}: {pointer} is no {kind:?}: {answer}");
    }
}

/// Route, and what is read of its answer while a miner runs.
const READ: &[(&str, &[(&str, Is)])] = &[
    ("/health", &[("/status", Text)]),
    ("/ready", &[("/status", Text), ("/components/manager", Text)]),
    (
        "/info",
        &[
            ("/timestamp", Text),
            ("/os", Text),
            ("/architecture", Text),
            ("/available_cpu_cores", Number),
            ("/total_system_ram_gb", Number),
            ("/installed_miners_info/0/is_installed", Truth),
            ("/installed_miners_info/0/version", Text),
            ("/installed_miners_info/0/path", Text),
            ("/installed_miners_info/0/miner_binary", Text),
        ],
    ),
    (
        "/miners",
        &[
            ("/0/name", Text),
            ("/0/miner_type", Text),
            ("/0/running", Truth),
            ("/0/hashrateHistory/0/timestamp", Text),
            ("/0/hashrateHistory/0/hashrate", Number),
            ("/0/full_stats/hashrate/total/0", Number),
            ("/0/full_stats/results/shares_good", Number),
            ("/0/full_stats/results/shares_total", Number),
            ("/0/full_stats/results/hashes_total", Number),
            ("/0/full_stats/connection/pool", Text),
            ("/0/full_stats/uptime", Number),
            ("/0/full_stats/algo", Text),
            ("/0/full_stats/cpu/threads", Number),
        ],
    ),
    ("/miners/available", &[("/0/name", Text), ("/0/description", Text)]),
    (
        "/miners/rig-1/stats",
        &[
            ("/hashrate", Number),
            ("/shares", Number),
            ("/rejected", Number),
            ("/uptime", Number),
            ("/algorithm", Text),
            ("/diffCurrent", Number),
        ],
    ),
    ("/miners/rig-1/hashrate-history", &[("/0/timestamp", Text), ("/0/hashrate", Number)]),
    ("/miners/rig-1/logs", &[("", List), ("/0", Text)]),
    (
        "/profiles",
        &[("/0/id", Text), ("/0/name", Text), ("/0/minerType", Text), ("/0/config", Object)],
    ),
    ("/history/status", &[("/enabled", Truth), ("/retentionDays", Number)]),
    (
        "/history/miners",
        &[
            ("/0/minerName", Text),
            ("/0/totalPoints", Number),
            ("/0/averageRate", Number),
            ("/0/maxRate", Number),
            ("/0/minRate", Number),
            ("/0/firstSeen", Text),
            ("/0/lastSeen", Text),
        ],
    ),
    ("/history/miners/rig-1", &[("/minerName", Text), ("/totalPoints", Number)]),
    (
        "/history/miners/rig-1/hashrate?since=2026-01-01T00:00:00Z",
        &[("/0/timestamp", Text), ("/0/hashrate", Number)],
    ),
    (
        "/node/info",
        &[("/hasIdentity", Truth), ("/registeredPeers", Number), ("/connectedPeers", Number)],
    ),
    ("/peers", &[("", List)]),
    ("/remote/stats", &[("", Object)]),
];

#[test]
fn every_route_that_they_read_has_the_fields_that_they_read() {
    let host = Host::start();
    assert!(host.base.ends_with("/api/v1/mining"), "{}", host.base);
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    let saved = json!({ "name": "cpu", "minerType": "sim", "config": { "seed": 1 } });
    host.ok("POST", "/profiles", &saved);
    host.ok("POST", "/node/init", &json!({ "name": "rig" }));
    wait_for("a history", || {
        let past = host.get("/history/miners");
        past.pointer("/0/averageRate").and_then(Value::as_f64).filter(|it| *it > 0.0)
    });
    wait_for("shares", || {
        let stats = host.get("/miners/rig-1/stats");
        // Told by the API alone.
        stats["uptime"].as_u64()?;
        stats["shares"].as_u64().filter(|it| *it > 0)
    });
    for (route, fields) in READ {
        check(route, &host.get(route), fields);
    }
}

#[test]
fn their_console_reads_each_line_in_base64() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    host.ok("DELETE", "/miners/rig-1", NONE);
    let page = host.get("/miners/rig-1/logs?lines=500");
    let theirs = host.get("/miners/rig-1/logs");
    let decoded = theirs.as_array().unwrap().iter().map(|line| {
        let bytes = BASE64.decode(line.as_str().unwrap().as_bytes()).unwrap();
        String::from_utf8(bytes).unwrap()
    });
    assert_eq!(json!(decoded.collect::<Vec<_>>()), page["lines"]);
    assert!(page["lines"].as_array().is_some_and(|lines| !lines.is_empty()));
}

/// Their page starts nothing while the list has an entry.
#[test]
fn what_was_stopped_is_not_among_the_running() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.get("/miners").as_array().unwrap().len(), 1);
    host.ok("DELETE", "/miners/rig-1", NONE);
    assert_eq!(host.get("/miners"), json!([]), "at once");
    assert_eq!(host.get("/miners?all=true")[0]["phase"], "stopped");
}

#[test]
fn everything_that_they_do_is_done_and_answered_as_they_expect() {
    let host = Host::start();
    let saved = json!({ "name": "cpu", "minerType": "sim", "config": { "seed": 1 } });
    let (status, made) = host.call("POST", "/profiles", &saved);
    assert_eq!(status, 201);
    check(
        "profile",
        &made,
        &[("/id", Text), ("/name", Text), ("/minerType", Text), ("/config", Object)],
    );
    let id = made["id"].as_str().unwrap();
    // A new one comes with an empty id.
    let (status, other) = host.call(
        "POST",
        "/profiles",
        &json!({ "id": "", "name": "gpu", "minerType": "sim", "config": {} }),
    );
    assert_eq!(status, 201, "{other}");
    assert_ne!(other["id"], made["id"]);
    // They send back what they read, changed.
    let mut changed = made.clone();
    changed["name"] = json!("cpu-1");
    let path = format!("/profiles/{id}");
    assert_eq!(host.ok("PUT", &path, &changed)["name"], "cpu-1");
    // A start has no body, and the answer tells the miner's name.
    let miner = host.ok("POST", &format!("{path}/start"), NONE);
    let name = miner["name"].as_str().unwrap().to_owned();
    host.wait_for_phase(&name, "mining");
    let typed = host.ok("POST", &format!("/miners/{name}/stdin"), &json!({ "input": "h" }));
    assert_eq!(typed, json!({ "status": "sent", "input": "h" }));
    assert_eq!(host.ok("DELETE", &format!("/miners/{name}"), NONE)["status"], "stopped");
    assert_eq!(host.ok("DELETE", &path, NONE), json!({ "status": "profile deleted" }));
    let updates = host.ok("POST", "/update", NONE);
    check("update", &updates, &[("/status", Text)]);
    check("doctor", &host.ok("POST", "/doctor", NONE), &[("/installed_miners_info", List)]);
    let identity = host.ok("POST", "/node/init", &json!({ "name": "rig", "role": "dual" }));
    let fields = [("/id", Text), ("/name", Text), ("/publicKey", Text), ("/role", Text)];
    check("node", &identity, &fields);
    // Not a prefix, not a guess: this miner or none.
    let (status, answer) = host.call("DELETE", "/miners/r", NONE);
    assert_eq!(status, 404);
    check("error", &answer, &[("/error", Text)]);
}

#[test]
fn events_have_the_envelope_that_they_read() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    let figures = wait_for("figures", || {
        let recent = host.get("/events/recent?types=miner.stats&limit=1");
        let event = recent["events"].get(0)?.clone();
        event.pointer("/data/hashrate")?;
        event.pointer("/data/shares").and_then(Value::as_u64).filter(|it| *it > 0)?;
        Some(event)
    });
    let fields = [
        ("/type", Text),
        ("/timestamp", Text),
        ("/data/name", Text),
        ("/data/hashrate", Number),
        ("/data/shares", Number),
        ("/data/rejected", Number),
        ("/data/uptime", Number),
        ("/data/algorithm", Text),
    ];
    check("miner.stats", &figures, &fields);
    for kind in ["miner.starting", "miner.started", "miner.connected"] {
        let recent = host.get(&format!("/events/recent?types={kind}"));
        check(
            kind,
            &recent["events"][0],
            &[("/type", Text), ("/timestamp", Text), ("/data/name", Text)],
        );
    }
}

#[test]
fn a_page_of_an_allowed_origin_is_let_in_by_its_browser() {
    let host = host_with("[api]\norigins = ['http://dash.lan:8080']\n");
    let preflight = |origin: &str, method: &str, path: &str| {
        host.bare_request(&Method::OPTIONS, path)
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, method)
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type")
            .send()
            .unwrap()
    };
    for (method, path) in [("GET", "/miners"), ("DELETE", "/miners/rig-1"), ("PUT", "/profiles/x")]
    {
        let answer = preflight("http://dash.lan:8080", method, path);
        let text = |name: &str| answer.headers()[name].to_str().unwrap().to_lowercase();
        assert_eq!(answer.status().as_u16(), 204, "{method} {path}");
        assert_eq!(text("access-control-allow-origin"), "http://dash.lan:8080");
        assert!(text("access-control-allow-methods").contains(&method.to_lowercase()));
        let allowed = text("access-control-allow-headers");
        assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
        assert!(text("vary").contains("origin"));
        // There is nothing that a browser would send by itself.
        assert!(answer.headers().get("access-control-allow-credentials").is_none());
    }
    let foreign = preflight("http://evil.example", "GET", "/miners");
    assert_eq!(foreign.status().as_u16(), 403);
    assert!(foreign.headers().get("access-control-allow-origin").is_none());
    // The preflight opens nothing: the request itself needs its token.
    let bare = host.bare_request(&Method::GET, "/miners").header("Origin", "http://dash.lan:8080");
    let bare = bare.send().unwrap();
    assert_eq!(bare.status().as_u16(), 401);
    assert_eq!(bare.headers()["access-control-allow-origin"], "http://dash.lan:8080");
    let asked = host.request("GET", "/miners").header("Origin", "http://dash.lan:8080");
    let asked = asked.send().unwrap();
    assert_eq!(asked.status().as_u16(), 200);
    assert_eq!(asked.headers()["access-control-allow-origin"], "http://dash.lan:8080");
}
