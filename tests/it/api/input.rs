//! Whatever clients send: refused with a sentence, and the host goes on.

use serde_json::{Value, json};

use crate::{
    api::{
        NONE, refused,
        wire::{ask, post},
    },
    host::{Host, is_alive},
};

/// Parts of a path that are no name, as they are on the wire.
fn odd_segments() -> Vec<String> {
    let odd = [
        "..",
        ".",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%2Fetc%2Fpasswd",
        "a%2fb",
        "a%5cb",
        "%00",
        "rig-1%00",
        "rig-1%0d%0aX:1",
        "rig-1%20",
        "RIG-1",
        "rig_1",
        "-",
        "%C3%A9",
        "%F0%9F%92%A9",
        "%E2%80%AE",
        "%FF%FE",
        "%",
        "%zz",
        "rig-1;a=b",
        "*",
        "'",
        "%22%3E%3Cscript%3E",
        "$(id)",
    ];
    let long = [&"a".repeat(64), &"a".repeat(10_000), &"%00".repeat(3_000), &"../".repeat(3_000)];
    odd.iter().map(ToString::to_string).chain(long.map(|it| it.to_string())).collect()
}

#[test]
fn odd_names_in_paths_are_refused_everywhere() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    let pid = host.program("rig-1");
    let places = [
        ("GET", "/miners/{}"),
        ("DELETE", "/miners/{}"),
        ("DELETE", "/miners/{}?remove=true"),
        ("GET", "/miners/{}/stats"),
        ("GET", "/miners/{}/logs"),
        ("GET", "/miners/{}/plan"),
        ("GET", "/miners/{}/runs"),
        ("POST", "/miners/{}/start"),
        ("POST", "/miners/{}/restart"),
        ("POST", "/miners/{}/pause"),
        ("POST", "/miners/{}/resume"),
        ("POST", "/miners/{}/stdin"),
        ("GET", "/drivers/{}"),
        ("DELETE", "/tokens/{}"),
    ];
    for (method, place) in places {
        for segment in odd_segments() {
            let path = place.replace("{}", &segment);
            let is_stdin = place.ends_with("stdin");
            let body: &[u8] = if is_stdin { br#"{"input":"q"}"# } else { b"" };
            let json = [("Content-Type", "application/json")];
            let answer = ask(&host, method, &path, &json, body);
            let what = format!("{method} {path:.80}");
            assert!([400, 404, 405].contains(&answer.status), "{what}: {}", answer.status);
            let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
            answer.assert(&what, answer.status, &code);
        }
    }
    assert!(is_alive(pid) && host.program("rig-1") == pid);
    assert!(!host.log().contains("panicked"), "{}", host.log());
}

#[test]
fn odd_names_in_bodies_are_refused() {
    let host = Host::start();
    let long = "a".repeat(10_000);
    for name in ["", "..", "a/b", "a\\b", "a\0b", "a b", "A", "é", "💩", "-a", "a\n", &long] {
        let body = json!({ "name": name, "type": "sim" });
        let told = refused(&host, ("POST", "/miners", &body), (400, "INVALID_INPUT"));
        assert!(told.contains("the miner name") && told.contains("is not usable"), "{told}");
        let body = json!({ "name": "rig-1", "type": name });
        let told = refused(&host, ("POST", "/miners", &body), (400, "INVALID_INPUT"));
        assert!(told.contains("the miner type") && told.contains("is not usable"), "{told}");
    }
    for name in ["", "   ", "a\nb", "a\0b", "\u{1b}[2J", &long] {
        let body = json!({ "name": name, "role": "view" });
        let told = refused(&host, ("POST", "/tokens", &body), (400, "INVALID_INPUT"));
        assert!(told.contains("1 to 100 printable characters"), "{told}");
    }
    assert_eq!((host.get("/miners"), host.get("/tokens")), (json!([]), json!([])));
}

#[test]
fn bodies_that_are_no_object_are_refused() {
    let host = Host::start();
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let bodies = [
        String::new(),
        " \n".to_owned(),
        "{".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "7".to_owned(),
        "\"sim\"".to_owned(),
        "[]".to_owned(),
        // What a lenient reader takes for the fields in their order.
        r#"["rig-1", "sim", {}, {}]"#.to_owned(),
        r#"["text"]"#.to_owned(),
        r#"["dash", "admin", null]"#.to_owned(),
        "{}{}".to_owned(),
        "{'name': 'x'}".to_owned(),
        "{\"name\": \"x\",}".to_owned(),
        "\u{feff}{}".to_owned(),
        "<xml/>".to_owned(),
        "name=x&type=sim".to_owned(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!(
            "{{\"type\":\"sim\",\"config\":{}1{}}}",
            "{\"a\":".repeat(10_000),
            "}".repeat(10_000)
        ),
    ];
    for path in ["/miners", "/tokens", "/miners/nobody/stdin"] {
        for body in &bodies {
            let what = format!("{path} {body:.60}");
            post(&host, path, body.as_bytes()).assert(&what, 400, "INVALID_INPUT");
        }
        let broken = b"{\"name\":\"\xff\xfe\",\"input\":\"\xff\"}".as_slice();
        post(&host, path, broken).assert("no UTF-8", 400, "INVALID_INPUT");
    }
    assert_eq!((host.get("/miners"), host.get("/tokens")), (json!([]), json!([])));
}

#[test]
fn wrong_fields_are_refused_by_name() {
    let host = Host::start();
    let long = format!(r#"{{"type":"sim","{}":1}}"#, "x".repeat(100_000));
    for (path, body, named) in [
        ("/miners", r#"{}"#, "type"),
        ("/miners", r#"{"type":"sim","colour":1}"#, "colour"),
        ("/miners", r#"{"type":"sim","Type":"sim"}"#, "Type"),
        ("/miners", long.as_str(), "xxxxxxxxxx"),
        ("/miners", r#"{"type":7}"#, "expected a string"),
        ("/miners", r#"{"type":null}"#, "missing field `type`"),
        ("/miners", r#"{"type":"sim","type":"sim"}"#, "type"),
        ("/miners", r#"{"type":"sim","config":[]}"#, "config"),
        ("/miners", r#"{"type":"sim","config":"hunter2"}"#, "config"),
        ("/miners", r#"{"type":"sim","restart":{"firstPause":1}}"#, "firstPause"),
        ("/miners", r#"{"type":"sim","restart":{"firstPauseS":-1}}"#, "u32"),
        ("/miners", r#"{"type":"sim","restart":{"firstPauseS":1.5}}"#, "u32"),
        ("/miners", r#"{"type":"sim","restart":{"firstPauseS":99999999999}}"#, "u32"),
        ("/miners", r#"{"type":"sim","restart":7}"#, "restart: write a JSON object"),
        ("/miners", r#"{"type":"sim","config":{"hashrate":1e999}}"#, "number out of range"),
        ("/tokens", r#"{"role":"view"}"#, "name"),
        ("/tokens", r#"{"name":"x"}"#, "role"),
        ("/tokens", r#"{"name":"x","role":"root"}"#, "root"),
        ("/tokens", r#"{"name":"x","role":"Admin"}"#, "Admin"),
        ("/tokens", r#"{"name":"x","role":"view","expiresInS":-1}"#, "u32"),
        ("/tokens", r#"{"name":"x","role":"view","expires":1}"#, "expires"),
        ("/miners/nobody/stdin", r#"{}"#, "input"),
        ("/miners/nobody/stdin", r#"{"input":7}"#, "expected a string"),
        ("/miners/nobody/stdin", r#"{"input":"x","newline":true}"#, "newline"),
    ] {
        let answer = post(&host, path, body.as_bytes());
        let what = format!("{path} {body:.80}");
        answer.assert(&what, 400, "INVALID_INPUT");
        let told = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(told.contains(named) && !told.contains("hunter2"), "{what}: {told}");
    }
    assert_eq!((host.get("/miners"), host.get("/tokens")), (json!([]), json!([])));
}

#[test]
fn tokens_that_would_mislead_are_refused() {
    let host = Host::start();
    for (body, named) in [
        (json!({ "name": "token-file", "role": "view" }), "token-file"),
        (json!({ "name": "nobody", "role": "view" }), "nobody"),
        (json!({ "name": "dash", "role": "view", "expiresInS": 0 }), "expiresInS"),
    ] {
        let told = refused(&host, ("POST", "/tokens", &body), (400, "INVALID_INPUT"));
        assert!(told.contains(named), "{body}: {told}");
    }
    assert_eq!(host.get("/tokens"), json!([]));
}

#[test]
fn queries_are_checked() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    let far = u64::MAX;
    for (path, named) in [
        ("/miners/rig-1/logs?line=5", "line"),
        ("/miners/rig-1/logs?lines=-1", "lines"),
        ("/miners/rig-1/logs?lines=many", "lines"),
        ("/miners/rig-1/logs?lines=99999999999999999999999", "lines"),
        ("/miners/rig-1/logs?lines=1&lines=2", "lines"),
        ("/miners/rig-1/logs?after=", "after"),
        ("/miners/rig-1/logs?after=x", "after"),
        ("/miners/rig-1/logs?after=1:2:3", "after"),
        ("/miners/rig-1/logs?after=-1:0", "after"),
        ("/miners/rig-1/logs?after=0:0&wait=-1", "wait"),
        ("/miners/rig-1/logs?after=0:0&lines=5", "lines and after"),
        ("/miners/rig-1/logs?wait=5", "wait"),
        ("/miners/rig-1/runs?limit=x", "limit"),
        ("/miners/rig-1/runs?offset=1", "offset"),
        ("/audit?limit=-5", "limit"),
        ("/audit?who=me", "who"),
    ] {
        let told = refused(&host, ("GET", path, NONE), (400, "INVALID_INPUT"));
        assert!(told.contains(named), "{path}: {told}");
    }
    for query in ["remove=yes", "remove=", "remove=1", "force=true", "remove=true&remove=false"] {
        let path = format!("/miners/rig-1?{query}");
        refused(&host, ("DELETE", &path, NONE), (400, "INVALID_INPUT"));
    }
    assert!(host.miner("rig-1")["running"] == true, "nothing of that stops a miner");
    for path in [
        "/miners/rig-1/logs?lines=0".to_owned(),
        format!("/miners/rig-1/logs?lines={far}"),
        format!("/miners/rig-1/logs?after=0:{far}"),
        format!("/miners/rig-1/logs?after={far}:0"),
        format!("/miners/rig-1/logs?after={far}:{far}"),
        "/miners/rig-1/runs?limit=0".to_owned(),
        "/miners/rig-1/runs?limit=4294967295".to_owned(),
        "/audit?limit=4294967295".to_owned(),
    ] {
        host.get(&path);
    }
    assert_eq!(host.get("/miners/rig-1/logs?lines=0")["lines"], json!([]));
    let page = host.get(&format!("/miners/rig-1/logs?after={far}:{far}"));
    let next = page["cursor"].as_str().unwrap();
    host.get(&format!("/miners/rig-1/logs?after={next}"));
}

#[test]
fn what_a_miner_that_does_not_run_cannot_do_is_told() {
    let host = Host::start();
    let quit = json!({ "input": "q" });
    for (method, path, body) in [
        ("GET", "/miners/rig-1", NONE),
        ("DELETE", "/miners/rig-1", NONE),
        ("DELETE", "/miners/rig-1?remove=true", NONE),
        ("GET", "/miners/rig-1/stats", NONE),
        ("GET", "/miners/rig-1/logs", NONE),
        ("GET", "/miners/rig-1/logs?after=0:0&wait=20", NONE),
        ("GET", "/miners/rig-1/plan", NONE),
        ("GET", "/miners/rig-1/runs", NONE),
        ("POST", "/miners/rig-1/start", NONE),
        ("POST", "/miners/rig-1/restart", NONE),
        ("POST", "/miners/rig-1/pause", NONE),
        ("POST", "/miners/rig-1/resume", NONE),
        ("POST", "/miners/rig-1/stdin", &quit),
    ] {
        let told = refused(&host, (method, path, body), (404, "MINER_NOT_FOUND"));
        assert!(told.contains("rig-1"), "{told}");
    }
    refused(&host, ("GET", "/drivers/nosuch", NONE), (404, "DRIVER_NOT_FOUND"));

    host.simulate("rig-1", &json!({}));
    host.ok("DELETE", "/miners/rig-1", NONE);
    for (method, path, body) in [
        ("POST", "/miners/rig-1/pause", NONE),
        ("POST", "/miners/rig-1/resume", NONE),
        ("POST", "/miners/rig-1/stdin", &quit),
    ] {
        let told = refused(&host, (method, path, body), (409, "NOT_RUNNING"));
        assert_eq!(told, "the miner rig-1 is not running");
    }
    assert_eq!(host.get("/miners/rig-1/stats")["phase"], "stopped");
    assert!(!host.get("/miners/rig-1/logs?lines=500")["lines"].as_array().unwrap().is_empty());
    assert!(host.get("/miners/rig-1/plan")["program"].as_str().unwrap().ends_with("sim-miner"));
    // A stop of what is stopped is done already.
    assert_eq!(host.ok("DELETE", "/miners/rig-1", NONE), json!({ "status": "stopped" }));
}

#[test]
fn text_for_a_miner_has_a_limit_and_is_written_as_it_is() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    let stdin = |input: &str| host.call("POST", "/miners/rig-1/stdin", &json!({ "input": input }));
    for input in [String::new(), "h".repeat((16 << 10) + 1)] {
        let (status, answer) = stdin(&input);
        assert_eq!((status, &answer["code"]), (400, &json!("INVALID_INPUT")), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains("1 to 16384 bytes"), "{answer}");
    }
    for input in ["h".repeat(16 << 10), "\0\u{7}\u{1b}[A💩".to_owned()] {
        let (status, answer) = stdin(&input);
        assert_eq!((status, &answer["input"]), (200, &Value::from(input)), "{answer}");
    }
    assert!(host.miner("rig-1")["running"] == true);
}
