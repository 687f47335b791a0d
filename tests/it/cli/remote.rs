//! The command line with no host, with another's, and with one that lies.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
};

use serde_json::{Value, json};

use crate::{
    cli::{failed, parsed, rows, run, said, told},
    host::{Host, is_alive, wait_for},
};

/// Commands that need a host.
const NEED_HOST: &[&[&str]] = &[
    &["miner", "start", "a", "--type", "sim"],
    &["miner", "start", "a"],
    &["miner", "stop", "a"],
    &["miner", "stats", "a"],
    &["miner", "logs", "a"],
    &["miner", "logs", "-f", "a"],
    &["miner", "stdin", "a", "h"],
    &["miner", "restart", "a"],
    &["miner", "pause", "a"],
    &["miner", "resume", "a"],
    &["driver", "list"],
    &["token", "list"],
    &["token", "create", "a"],
    &["token", "remove", "a"],
    &["down"],
];

#[test]
fn without_a_host_commands_say_so_and_end_with_3() {
    let mut host = Host::absent();
    let check = |host: &Host| {
        for args in NEED_HOST {
            for json in [[].as_slice(), &["--json"]] {
                let error = failed(host, &[args, json].concat(), 3);
                let expected =
                    format!("no host runs for the state folder {}", host.state().display());
                assert!(error.contains(&expected) && error.contains("adit up"), "{error}");
            }
        }
    };
    check(&host);
    assert_eq!(host.run_json(&["miner", "list"]), json!([]));
    let (code, out, error) = run(&host, &["miner", "list"]);
    assert_eq!((code, rows(&out).len()), (0, 1), "{out}");
    assert!(error.contains("no host runs"), "{error}");
    failed(&host, &["token", "show"], 1);
    let down = host.run_json(&["down", "--stop-miners"]);
    assert_eq!(down, json!({ "status": "down", "stopped": 0, "running": 0 }));
    assert!(!host.state().exists(), "nobody made a state folder");

    // A host that was killed leaves a note of itself.
    host.up(&[]);
    host.kill();
    assert!(host.state().join("host.json").exists());
    check(&host);
}

#[test]
fn miners_are_seen_and_stopped_without_a_host() {
    let mut host = Host::start();
    host.simulate("rig-1", &json!({}));
    let pid = host.program("rig-1");
    let down = said(&host, &["down"]);
    assert!(down.contains("1 miner runs on without a host"), "{down}");
    assert!(down.contains("down --stop-miners"), "{down}");
    // Its state folder is free a moment before.
    wait_for("the host's end", || host.has_ended().then_some(()));
    assert!(is_alive(pid));
    let list = run(&host, &["miner", "list"]).1;
    let table = rows(&list);
    assert_eq!(table[1][..3], ["rig-1", "sim", "running"]);
    assert!(table[1].contains(&pid.to_string().as_str()), "{list}");
    let (code, _, error) = run(&host, &["down"]);
    assert!(code == 3 && error.contains("1 miner runs on"), "{code}: {error}");
    assert_eq!(said(&host, &["down", "--stop-miners"]), "no host was running; stopped 1 miners\n");
    assert!(!is_alive(pid));
}

#[test]
fn a_host_is_reached_by_its_url_with_a_token() {
    let host = Host::start();
    let viewer = host.ok("POST", "/tokens", &json!({ "name": "dash", "role": "view" }));
    let viewer = viewer["token"].as_str().unwrap();
    // Of a machine that has no state folder of that host.
    let elsewhere = Host::absent();
    let call = |token: Option<&str>, args: &[&str]| {
        let mut command = elsewhere.command(args);
        command.envs(token.map(|token| ("ADIT_TOKEN", token)));
        told(&command.output().unwrap())
    };
    let url = ["--url", host.base.as_str()];
    let list = [["miner", "list", "--json"].as_slice(), &url].concat();
    let (code, out, _) = call(Some(viewer), &list);
    assert_eq!((code, parsed(&out)), (0, json!([])));
    let with_slash = format!("{}/", host.base);
    assert_eq!(call(Some(viewer), &["miner", "list", "--url", &with_slash]).0, 0);
    let start = [["miner", "start", "a", "--type", "sim"].as_slice(), &url].concat();
    for (token, args, told_of) in [
        (None, &list, "set ADIT_TOKEN"),
        (Some(""), &list, "set ADIT_TOKEN"),
        (Some("wrong"), &list, "this token is not known"),
        (Some("a\nb"), &list, ""),
        (Some(viewer), &start, "the role admin"),
        (Some(viewer), &vec!["down", "--url", &host.base], "on its own machine"),
        (Some(viewer), &vec!["miner", "list", "--url", "http://127.0.0.1:1"], "does not answer"),
        (Some(viewer), &vec!["miner", "list", "--url", "nonsense"], "does not answer"),
        (Some(viewer), &vec!["miner", "list", "--url", "file:///etc/passwd"], "does not answer"),
    ] {
        let (code, out, error) = call(token, args);
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}: {error}");
        assert!(error.contains(told_of) && !error.contains(viewer), "{args:?}: {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
    assert_eq!(host.get("/miners"), json!([]));
}

#[test]
fn the_state_folder_is_named_by_option_or_environment() {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    let other = Host::absent();
    assert_eq!(other.run_json(&["miner", "list"]), json!([]));
    let state = host.state();
    let listed = other.run_json(&["miner", "list", "--state-dir", state.to_str().unwrap()]);
    assert_eq!(listed[0]["name"], "rig-1", "the option counts before the environment");
    // A token in the environment counts before the file.
    let mut command = host.command(&["miner", "list"]);
    let (code, _, error) = told(&command.env("ADIT_TOKEN", "wrong").output().unwrap());
    assert!(code == 1 && error.contains("not known"), "{error}");
}

/// A server that gives everyone the same answer.
fn liar(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _request = stream.read(&mut [0; 4096]).unwrap();
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    url
}

#[test]
fn what_a_host_answers_is_shown_and_never_trusted() {
    let host = Host::absent();
    let nasty = "\u{1b}[2J\u{9b}2J\u{7}\nadit: all is well";
    let answer = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let refusal = json!({ "error": nasty, "code": "X" }).to_string();
    let done = json!({ "status": nasty, "token": nasty, nasty: nasty }).to_string();
    let list =
        json!([{ "id": nasty, "path": nasty, "state": nasty, "version": nasty }]).to_string();
    for (status, body) in [
        ("400 Bad Request", refusal.as_str()),
        ("500 Oh No", "<html>\u{1b}[2J</html>"),
        ("200 OK", &done),
        ("200 OK", &list),
        ("200 OK", "half of"),
        ("200 OK", ""),
        ("204 No Content", ""),
        ("302 Found", ""),
    ] {
        let url = liar(answer(status, body));
        for args in [
            ["miner", "list"].as_slice(),
            &["miner", "stats", "a"],
            &["miner", "pause", "a"],
            &["miner", "logs", "a"],
            &["miner", "start", "a"],
            &["driver", "list"],
            &["token", "list"],
            &["token", "create", "a"],
            &["token", "remove", "a"],
        ] {
            let mut command = host.command(&[args, &["--url", &url]].concat());
            let (code, out, error) = told(&command.env("ADIT_TOKEN", "x").output().unwrap());
            let what = format!("{args:?} {status} {body:.40}: {code} {out:?} {error:?}");
            let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
            assert!(!out.contains(steers) && !error.contains(steers), "{what}");
            assert!([0, 1].contains(&code) && !error.contains("panicked"), "{what}");
            assert!(!out.starts_with("adit:") && error.lines().count() <= 1, "{what}");
            assert_eq!(code == 1, !error.is_empty(), "{what}");
        }
    }
}

#[test]
fn a_host_that_cannot_be_says_why() {
    let host = Host::start();
    let (code, _, error) = run(&host, &["up"]);
    assert_eq!(code, 1);
    let expected = format!("another host (pid {})", host.pid());
    assert!(error.contains(&expected), "{error}");

    let port = host.base.split(['/', ':']).nth(4).unwrap().to_owned();
    let other = Host::absent();
    let taken = format!("127.0.0.1:{port}");
    let (code, _, error) = run(&other, &["up", "--listen", &taken]);
    assert_eq!(code, 1);
    assert!(error.contains(&format!("cannot listen on {taken}")), "{error}");

    for (text, told_of) in [
        ("colour = 1\n", "unknown field `colour`"),
        ("[drivers]\ncall_timeout_ms = 1\n", "drivers.call_timeout_ms 1: write 100 to 600000"),
        ("[api]\nlisten = 7\n", "listen"),
        ("= = =", "are not usable"),
    ] {
        fs::write(other.settings(), text).unwrap();
        let (code, _, error) = run(&other, &["up"]);
        assert_eq!(code, 1, "{text}: {error}");
        assert!(error.contains(told_of), "{text}: {error}");
    }
    let missing = other.folder.path().join("missing.toml");
    let (code, _, error) = run(&other, &["up", "--config", missing.to_str().unwrap()]);
    assert!(code == 1 && error.contains("missing.toml"), "{error}");
    assert_eq!(host.get("/miners"), Value::Array(Vec::new()));
}
