//! Secrets and wallets: where they are hidden, for how long, and where they are shown.

use std::fs;

use serde_json::{Value, json};

use crate::{
    api::NONE,
    host::{Host, wait_for},
};

const FIRST: &str = "first-secret-password";
const SECOND: &str = "second-secret-password";
const WALLET: &str = "4SavedWalletAddress";

/// A profile of a driver with a secret field and plain arguments, whose program prints its worker.
fn profile(secret: &str, worker: &str) -> Value {
    let args = json!(["--preparing-ms", "0", "--worker", worker]);
    json!({ "name": "p", "minerType": "faulty", "config": { "key": secret, "args": args } })
}

fn start(host: &Host, name: &str) {
    host.ok("POST", "/profiles/p/start", &json!({ "name": name }));
}

/// All that is in the log of a miner, as a *view* token reads it.
fn log(host: &Host, token: &str, miner: &str) -> String {
    let path = format!("/miners/{miner}/logs?lines=1000");
    let answer = host.bare_request(&reqwest::Method::GET, &path).bearer_auth(token).send().unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().unwrap()
}

fn worker_lines(log: &str) -> usize {
    log.matches("WORKER").count()
}

fn view_token(host: &Host) -> String {
    let made = host.ok("POST", "/tokens", &json!({ "name": "viewer", "role": "view" }));
    made["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_secret_is_masked_as_long_as_the_log_has_it() {
    let mut host = Host::start();
    let token = view_token(&host);
    host.ok("POST", "/profiles", &profile(FIRST, FIRST));
    start(&host, "m");
    let assert_masked = |host: &Host, runs: usize, when: &str| {
        let shown = wait_for(&format!("{runs} runs in the log {when}"), || {
            let shown = log(host, &token, "m");
            (worker_lines(&shown) >= runs).then_some(shown)
        });
        for secret in [FIRST, SECOND] {
            assert!(!shown.contains(secret), "{when}: {shown}");
        }
        assert!(shown.contains("***"), "{when}: {shown}");
    };
    assert_masked(&host, 1, "in the first run");
    // A change of the saved password, during the first run and then with another run.
    host.ok("PUT", "/profiles/p", &profile(SECOND, SECOND));
    assert_masked(&host, 1, "after the change");
    host.ok("POST", "/miners/m/restart", NONE);
    assert_masked(&host, 2, "in the second run");
    host.kill();
    host.up(&[]);
    assert_masked(&host, 2, "with another host");
    host.ok("DELETE", "/miners/m", NONE);
    assert_masked(&host, 2, "after the end");
    host.ok("PUT", "/profiles/p", &profile("third", "nothing"));
    host.ok("POST", "/miners/m/start", NONE);
    assert_masked(&host, 3, "in a run without either");
    host.ok("DELETE", "/profiles/p", NONE);
    host.kill();
    // What the next run would be made of is lost, and so is what ran.
    fs::write(host.state().join("miners/m/miner.json"), "").unwrap();
    host.up(&[]);
    assert_masked(&host, 3, "without a record of the run");
    let raw = fs::read_dir(host.state().join("miners/m")).unwrap().map(|it| it.unwrap().path());
    let raw: Vec<_> = raw.filter(|it| it.to_string_lossy().contains("/log.")).collect();
    assert!(fs::read_to_string(&raw[0]).unwrap().contains(FIRST), "the program prints it");
}

#[test]
fn a_secret_in_a_panic_of_a_driver_is_masked_wherever_it_is_shown() {
    let host = Host::start();
    let token = view_token(&host);
    host.ok("POST", "/profiles", &profile(FIRST, "w"));
    let (status, answer) = host.call("POST", "/profiles/p/start", &json!({ "name": "leak-start" }));
    assert!(status >= 500 && answer.to_string().contains("a panic about ***"), "{answer}");
    start(&host, "leak-stats");
    let note = wait_for("the note of the miner", || {
        let miner = host.miner("leak-stats");
        miner["reason"].as_str().filter(|it| it.contains("a panic about")).map(str::to_owned)
    });
    assert!(note.contains("a panic about ***"), "{note}");
    for path in [
        "/miners?all=true",
        "/miners/leak-stats",
        "/drivers",
        "/drivers/faulty",
        "/events/recent?limit=1000",
        "/profiles",
        "/profiles/export",
        "/miners/leak-stats/plan",
        "/miners/available",
    ] {
        let request = host.bare_request(&reqwest::Method::GET, path).bearer_auth(&token);
        let text = request.send().unwrap().text().unwrap();
        assert!(!text.contains(FIRST), "{path}: {text}");
    }
    assert!(host.get("/drivers/faulty").to_string().contains("a panic about ***"));
    assert!(!host.ok("POST", "/doctor", NONE).to_string().contains(FIRST));
    for args in [&["miner", "list"][..], &["driver", "list"], &["doctor"]] {
        let output = host.run(args);
        let text = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&text).contains(FIRST), "{args:?}");
    }
    let log = host.log();
    assert!(log.contains("the secret is ***") && !log.contains(FIRST), "{log}");
}

#[test]
fn a_wallet_is_shown_as_the_docs_say() {
    let host = Host::start();
    let token = view_token(&host);
    host.ok("POST", "/wallets", &json!({ "name": "xmr", "coin": "XMR", "address": WALLET }));
    // In a field that the driver does not call a secret.
    host.ok("POST", "/profiles", &profile("key", "${wallet.xmr}"));
    start(&host, "m");
    wait_for("its first lines", || (worker_lines(&log(&host, &token, "m")) > 0).then_some(()));
    let of_view = |path: &str| {
        let request = host.bare_request(&reqwest::Method::GET, path).bearer_auth(&token);
        request.send().unwrap().text().unwrap()
    };
    // Saved wallets are public, so that everybody with a token can see where the income goes, and so
    // that an export can be imported elsewhere.
    for path in ["/wallets", "/wallets/xmr", "/profiles/export"] {
        assert!(of_view(path).contains(WALLET), "{path}");
    }
    // What is posted when something does not work is not about the owner's income.
    for path in [
        "/miners/m/plan",
        "/miners/m/logs?lines=1000",
        "/miners/m",
        "/miners/m/runs",
        "/profiles/p/plan",
        "/profiles/p",
        "/profiles",
        "/pools",
        "/events/recent?limit=1000",
        "/incidents",
        "/miners/m/incidents?evidence=true",
    ] {
        let text = of_view(path);
        assert!(!text.contains(WALLET), "{path}: {text}");
    }
    assert!(of_view("/miners/m/plan").contains("***"));
    assert!(!host.get("/audit").to_string().contains(WALLET));
    assert!(!host.log().contains(WALLET));
    // Only an admin changes where the income goes.
    let change = json!({ "name": "xmr", "coin": "XMR", "address": "4Other" });
    for (method, path) in
        [("POST", "/wallets"), ("PUT", "/wallets/xmr"), ("DELETE", "/wallets/xmr")]
    {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = host.bare_request(&method, path).bearer_auth(&token).json(&change);
        assert_eq!(request.send().unwrap().status(), 403, "{path}");
    }
}
