//! Who may do what.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::{
    api::{NONE, assert_error, refused, token},
    host::{Host, PATIENCE, processes, wait_for},
};

const ALL: usize = 0;
const VIEW: usize = 1;
const OPERATE: usize = 2;
const ADMIN: usize = 3;

/// Every route: method, path, the least that a caller must be, and what those who may get. Nothing
/// of the names exists and nothing is sent, so that an allowed call changes nothing.
const ROUTES: &[(&str, &str, usize, u16)] = &[
    ("GET", "/health", ALL, 200),
    ("GET", "/ready", ALL, 200),
    ("GET", "/info", VIEW, 200),
    ("POST", "/doctor", VIEW, 200),
    ("POST", "/update", VIEW, 200),
    ("GET", "/events", VIEW, 200),
    ("GET", "/events/recent", VIEW, 200),
    ("POST", "/events/ticket", VIEW, 200),
    ("GET", "/ws/events", VIEW, 426),
    ("GET", "/audit", ADMIN, 200),
    ("GET", "/tokens", ADMIN, 200),
    ("POST", "/tokens", ADMIN, 400),
    ("DELETE", "/tokens/{id}", ADMIN, 404),
    ("GET", "/drivers", VIEW, 200),
    ("GET", "/drivers/{id}", VIEW, 404),
    ("POST", "/drivers/{id}/clear", OPERATE, 404),
    ("POST", "/drivers/{id}/trust", ADMIN, 400),
    ("GET", "/drivers/{id}/x/{*path}", VIEW, 404),
    ("POST", "/drivers/{id}/x/{*path}", ADMIN, 404),
    ("PUT", "/drivers/{id}/x/{*path}", ADMIN, 404),
    ("PATCH", "/drivers/{id}/x/{*path}", ADMIN, 404),
    ("DELETE", "/drivers/{id}/x/{*path}", ADMIN, 404),
    ("GET", "/miners", VIEW, 200),
    ("POST", "/miners", ADMIN, 400),
    ("GET", "/miners/available", VIEW, 200),
    ("GET", "/miners/{name}", VIEW, 404),
    ("DELETE", "/miners/{name}", OPERATE, 404),
    ("GET", "/miners/{name}/stats", VIEW, 404),
    ("GET", "/miners/{name}/logs", VIEW, 404),
    ("GET", "/miners/{name}/hashrate-history", VIEW, 404),
    ("GET", "/history/status", VIEW, 200),
    ("GET", "/history/miners", VIEW, 200),
    ("GET", "/history/miners/{name}", VIEW, 404),
    ("GET", "/history/miners/{name}/hashrate", VIEW, 200),
    ("GET", "/history/totals", VIEW, 200),
    ("GET", "/history/totals/hashrate", VIEW, 400),
    ("GET", "/history/events", VIEW, 200),
    ("GET", "/miners/{name}/plan", VIEW, 404),
    ("GET", "/miners/{name}/runs", VIEW, 404),
    ("POST", "/miners/{name}/start", OPERATE, 404),
    ("POST", "/miners/{name}/restart", OPERATE, 404),
    ("POST", "/miners/{name}/pause", OPERATE, 404),
    ("POST", "/miners/{name}/resume", OPERATE, 404),
    ("GET", "/miners/{name}/incidents", VIEW, 404),
    ("GET", "/incidents", VIEW, 200),
    ("GET", "/metrics", VIEW, 200),
    ("GET", "/remote-write", VIEW, 200),
    ("GET", "/webhooks", VIEW, 200),
    ("POST", "/webhooks/{name}/test", ADMIN, 404),
    ("GET", "/incidents/{id}", VIEW, 400),
    ("POST", "/miners/{name}/maintenance", OPERATE, 400),
    ("GET", "/miners/{name}/watchdog", VIEW, 404),
    ("PUT", "/miners/{name}/watchdog", OPERATE, 400),
    ("POST", "/miners/{name}/pools", ADMIN, 400),
    ("POST", "/miners/{name}/stdin", ADMIN, 400),
    ("POST", "/miners/{name}/install", ADMIN, 400),
    ("DELETE", "/miners/{name}/uninstall", ADMIN, 404),
    ("POST", "/miners/{name}/rollback", ADMIN, 409),
    ("GET", "/miners/{name}/versions", VIEW, 400),
    ("GET", "/profiles", VIEW, 200),
    ("POST", "/profiles", ADMIN, 400),
    ("GET", "/profiles/{id}", VIEW, 404),
    ("PUT", "/profiles/{id}", ADMIN, 400),
    ("DELETE", "/profiles/{id}", ADMIN, 404),
    ("GET", "/profiles/export", VIEW, 200),
    ("POST", "/profiles/import", ADMIN, 400),
    ("GET", "/profiles/{id}/plan", VIEW, 404),
    ("POST", "/profiles/{id}/start", OPERATE, 404),
    ("GET", "/wallets", VIEW, 200),
    ("POST", "/wallets", ADMIN, 400),
    ("GET", "/wallets/{name}", VIEW, 404),
    ("PUT", "/wallets/{name}", ADMIN, 400),
    ("DELETE", "/wallets/{name}", ADMIN, 404),
    ("GET", "/pools", VIEW, 200),
    ("POST", "/pools", ADMIN, 400),
    ("GET", "/pools/{name}", VIEW, 404),
    ("PUT", "/pools/{name}", ADMIN, 400),
    ("DELETE", "/pools/{name}", ADMIN, 404),
    // This node has no key yet.
    ("GET", "/node/info", VIEW, 200),
    ("POST", "/node/init", ADMIN, 400),
    ("POST", "/node/rotate", ADMIN, 409),
    ("POST", "/node/invite", ADMIN, 409),
    ("POST", "/node/join", ADMIN, 400),
    ("GET", "/peers", VIEW, 200),
    ("POST", "/peers", ADMIN, 409),
    ("GET", "/peers/{id}", VIEW, 409),
    ("PUT", "/peers/{id}", ADMIN, 400),
    ("DELETE", "/peers/{id}", ADMIN, 409),
    ("POST", "/peers/{id}/ping", OPERATE, 409),
    ("POST", "/peers/{id}/connect", OPERATE, 409),
    ("POST", "/peers/{id}/disconnect", OPERATE, 409),
    ("GET", "/remote/stats", VIEW, 409),
    ("POST", "/remote/start", OPERATE, 400),
    ("POST", "/remote/stop", OPERATE, 400),
    ("POST", "/remote/install", ADMIN, 400),
    ("POST", "/remote/deploy", ADMIN, 400),
    ("GET", "/remote/{peer}/stats", VIEW, 409),
    ("POST", "/remote/{peer}/start", OPERATE, 400),
    ("POST", "/remote/{peer}/stop", OPERATE, 400),
    ("POST", "/remote/{peer}/install", ADMIN, 400),
    ("GET", "/remote/{peer}/logs/{miner}", VIEW, 409),
    ("GET", "/remote/{peer}/miners/{miner}/hashrate-history", VIEW, 409),
];

/// A client at the loopback address with `last` as its last byte: failures count for each alone.
fn client_at(last: u8) -> Client {
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 9, last));
    Client::builder().no_proxy().timeout(PATIENCE).local_address(address).build().unwrap()
}

/// Status and body of a call with `token`.
fn call(
    client: &Client,
    host: &Host,
    (method, path): (&str, &str),
    token: Option<&str>,
) -> (u16, Value) {
    let request = client.request(method.parse().unwrap(), format!("{}{path}", host.base));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let response = request.send().unwrap();
    let status = response.status().as_u16();
    if response.headers().get("content-type").is_some_and(|it| it == "text/event-stream") {
        // Its body has no end.
        return (status, Value::Null);
    }
    (status, serde_json::from_str(&response.text().unwrap()).unwrap_or_default())
}

fn make_token(host: &Host, name: &str, role: &str) -> String {
    let made = host.ok("POST", "/tokens", &json!({ "name": name, "role": role }));
    made["token"].as_str().unwrap().to_owned()
}

#[test]
fn every_route_asks_for_its_role() {
    let host = Host::start();
    let tokens = ["view", "operate", "admin"].map(|role| make_token(&host, role, role));
    for (number, (method, path, least, status)) in ROUTES.iter().enumerate() {
        let client = client_at(u8::try_from(number + 1).unwrap());
        let route = (*method, path.replace("{name}", "nobody").replace("{id}", "nobody"));
        let route = (route.0, route.1.replace("{peer}", "nobody").replace("{miner}", "nobody"));
        let route = (route.0, route.1.as_str());
        let check = |who: &str, token: Option<&str>, expected: (u16, Option<&str>)| {
            let (given, answer) = call(&client, &host, route, token);
            let what = format!("{method} {path} by {who}");
            assert_eq!(given, expected.0, "{what}: {answer}");
            if given >= 400 {
                assert_error(&what, &answer);
            }
            if let Some(code) = expected.1 {
                assert_eq!(answer["code"], code, "{what}");
            }
        };
        let public = *least == ALL;
        let unknown = |code| if public { (*status, None) } else { (401, Some(code)) };
        check("nobody", None, unknown("NO_TOKEN"));
        check("a guesser", Some("0123456789abcdef0123456789abcdef"), unknown("WRONG_TOKEN"));
        for (level, token) in (VIEW..).zip(&tokens) {
            let role = ["nobody", "view", "operate", "admin"][level];
            let may = level >= *least;
            check(
                role,
                Some(token),
                if may { (*status, None) } else { (403, Some("ROLE_TOO_LOW")) },
            );
        }
        check("the token file", Some(&token(&host)), (*status, None));
    }
}

#[test]
fn the_table_of_this_test_has_every_route() {
    let document = Host::start().get("/openapi.json");
    for (path, methods) in document["paths"].as_object().unwrap() {
        // Tested with what they answer, as their statuses are those of other programs.
        if path.starts_with("/compat/") || ["/openapi.json", "/docs"].contains(&path.as_str()) {
            continue;
        }
        let path = path.replace("{path}", "{*path}");
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let is_listed = ROUTES.iter().any(|route| (route.0, route.1) == (&*method, &*path));
            assert!(is_listed, "{method} {path} is not in the table");
        }
    }
}

#[test]
fn the_eleventh_wrong_token_has_to_wait_and_a_right_one_never() {
    let host = Host::start();
    let guesser = client_at(200);
    let route = ("GET", "/miners");
    for number in 1..=10 {
        let (status, answer) = call(&guesser, &host, route, Some(&format!("guess-{number}")));
        assert_eq!((status, &answer["code"]), (401, &json!("WRONG_TOKEN")), "guess {number}");
    }
    let url = format!("{}/miners", host.base);
    for given in ["guess-11", "guess-12"] {
        assert_eq!(call(&guesser, &host, route, Some(&token(&host))).0, 200, "the right one");
        let response = guesser.get(&url).bearer_auth(given).send().unwrap();
        assert_eq!(response.status().as_u16(), 429);
        let wait = response.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        let answer = response.json().unwrap();
        assert_error("too many", &answer);
        assert_eq!(answer["code"], "TOO_MANY_FAILURES");
    }
    assert_eq!(call(&guesser, &host, ("GET", "/health"), None).0, 200);
    assert_eq!(call(&client_at(201), &host, route, Some(&token(&host))).0, 200, "somebody else");
    assert_eq!(host.get("/miners"), json!([]));
}

#[test]
fn tokens_end_when_they_expire_or_are_removed() {
    let host = Host::start();
    let (gone, route) = (client_at(210), ("GET", "/miners"));
    let secret = make_token(&host, "dash", "view");
    assert_eq!(call(&gone, &host, route, Some(&secret)).0, 200);
    let listed = host.get("/tokens");
    assert_eq!((&listed[0]["name"], &listed[0]["role"]), (&json!("dash"), &json!("view")));
    assert!(!listed.to_string().contains(&secret), "{listed}");
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(host.ok("DELETE", &format!("/tokens/{id}"), NONE), json!({ "status": "removed" }));
    assert_eq!(call(&gone, &host, route, Some(&secret)).0, 401);
    refused(&host, ("DELETE", &format!("/tokens/{id}"), NONE), (404, "TOKEN_NOT_FOUND"));
    assert_eq!(host.get("/tokens"), json!([]));

    let body = json!({ "name": "short", "role": "view", "expiresInS": 5 });
    let made = host.ok("POST", "/tokens", &body);
    assert!(made["expiresAtMs"].as_i64() > made["createdAtMs"].as_i64(), "{made}");
    let secret = made["token"].as_str().unwrap();
    assert_eq!(call(&gone, &host, route, Some(secret)).0, 200);
    // The fourth wrong look would still be let in; each is a failure that counts.
    let mut last = 0;
    wait_for("the token to expire", || {
        last = call(&gone, &host, route, Some(secret)).0;
        (last != 200).then_some(())
    });
    assert_eq!(last, 401);
}

#[test]
fn tokens_and_the_state_folder_are_for_nobody_else() {
    let host = Host::start();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    host.simulate("rig-1", &json!({ "wallet": "wallet-of-mine-4711" }));
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(mode(&host.state()), 0o700);
    for file in ["token", "adit.db", "host.json", "miners/rig-1/miner.json"] {
        let path = host.state().join(file);
        assert_eq!(mode(&path) & 0o077, 0, "{file}");
    }
    for folder in ["miners/rig-1", "miners/rig-1/work"] {
        assert_eq!(mode(&host.state().join(folder)) & 0o077, 0, "{folder}");
    }
}

#[test]
fn secrets_are_in_no_log_and_no_list_of_processes() {
    let host = Host::start();
    let made = make_token(&host, "dash", "admin");
    let config = json!({ "wallet": "wallet-of-mine-4711", "password": "hunter2-hunter2" });
    host.simulate("rig-1", &config);
    host.wait_for_phase("rig-1", "mining");
    let record = fs::read_to_string(host.state().join("miners/rig-1/miner.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let of_run = record["launch"]["apiToken"].as_str().or(record["launch"]["api_token"].as_str());
    // Failures are what gets logged most.
    host.call(
        "POST",
        "/miners",
        &json!({ "type": "sim", "config": { "wallet": ["hunter2-hunter2"] } }),
    );
    host.ok("POST", "/miners/rig-1/stdin", &json!({ "input": "h" }));
    host.ok("POST", "/miners/rig-1/restart", NONE);
    let secrets = [&token(&host), &made, "wallet-of-mine-4711", "hunter2-hunter2", of_run.unwrap()];
    let shown = [
        ("log", host.log()),
        ("plan", host.get("/miners/rig-1/plan").to_string()),
        ("miner", host.miner("rig-1").to_string()),
        ("output", host.get("/miners/rig-1/logs?lines=500").to_string()),
        ("audit", host.get("/audit").to_string()),
        ("tokens", host.get("/tokens").to_string()),
    ];
    for secret in secrets {
        for (place, text) in &shown {
            assert!(!text.contains(secret), "{place} tells {secret}");
        }
        for process in processes().into_iter().filter(|it| *it != std::process::id()) {
            let words = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            assert!(!words.contains(secret), "the arguments of {process} tell {secret}");
        }
    }
}

#[test]
fn a_token_file_that_others_can_read_is_not_trusted() {
    let mut host = Host::start();
    host.interrupt();
    let file = host.state().join("token");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    for args in [["up"].as_slice(), &["token", "show"]] {
        let output = host.run(args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert!(told.contains("others can read it"), "{args:?}: {told}");
    }
}

#[test]
fn a_stream_ends_with_its_token_also_when_another_gets_its_name() {
    let host = Host::start();
    let secret = make_token(&host, "dash", "view");
    let client = client_at(220);
    let ticket = |client: &Client| {
        let (status, made) = call(client, &host, ("POST", "/events/ticket"), Some(&secret));
        assert_eq!(status, 200, "{made}");
        made["ticket"].as_str().unwrap().to_owned()
    };
    let late = ticket(&client);
    let url = format!("{}/events", host.base);
    let mut streams: Vec<_> = [url.clone(), format!("{url}?ticket={}", ticket(&client))]
        .iter()
        .map(|url| client.get(url).bearer_auth(&secret).send().unwrap())
        .collect();
    assert!(streams.iter().all(|it| it.status().as_u16() == 200));
    host.ok("DELETE", "/tokens/dash", NONE);
    make_token(&host, "dash", "view");
    for stream in &mut streams {
        // To its end; a stream that lives on would run into the client's time limit.
        std::io::copy(stream, &mut std::io::sink()).unwrap();
    }
    let answer = client.get(format!("{url}?ticket={late}")).send().unwrap();
    assert_eq!(answer.status().as_u16(), 401, "a ticket is worth no more than its token");
}

#[test]
fn refused_calls_do_not_push_changes_out_of_the_audit_log() {
    let host = Host::start();
    let viewer = make_token(&host, "viewer", "view");
    let client = client_at(221);
    for _ in 0..130 {
        assert_eq!(call(&client, &host, ("POST", "/tokens"), Some(&viewer)).0, 403);
        // Nor can somebody without any token.
        assert_eq!(call(&client, &host, ("POST", "/health"), None).0, 405);
    }
    let audit = host.get("/audit?limit=1000");
    let of = |who: &str| -> Vec<&Value> {
        audit.as_array().unwrap().iter().filter(|it| it["who"] == who).collect()
    };
    for who in ["viewer", "nobody"] {
        let (counts, full): (Vec<&Value>, Vec<&Value>) =
            of(who).into_iter().partition(|it| it["suppressed"].is_u64());
        assert!((100..130).contains(&full.len()), "{who}: {}", full.len());
        assert!(full.iter().all(|it| it["refused"] == true), "{full:?}");
        let [count] = counts.as_slice() else { panic!("{who}: {counts:?}") };
        let total = full.len() + usize::try_from(count["suppressed"].as_u64().unwrap()).unwrap();
        assert_eq!(total, 130, "{who}");
    }
    let made = of("token-file");
    assert!(made.iter().any(|it| it["action"] == "POST /api/v1/mining/tokens"), "{made:?}");
    let shown = host.run(&["audit"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("suppressed"));
}
