//! Other pools for a miner that runs.

use std::io::Write;

use adit_doubles::pool::{Faults, Pool};
use serde_json::{Value, json};

use crate::{
    host::wait_for,
    xmrig::{NONE, PASSWORD, Rig, WALLET},
};

const PATH: &str = "/miners/rig-1/pools";
const NEW_WALLET: &str = "48newWalletOfTheSameOperator1111111111111111111111111111111111";

fn to(pool: &Pool, wallet: &str) -> Value {
    json!({ "pools": [{ "url": pool.url(), "wallet": wallet, "pass": "new-password" }] })
}

fn mining() -> (Rig, Pool) {
    let (rig, pool) = (Rig::installed(), Pool::start());
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    (rig, pool)
}

#[test]
fn a_change_of_pools_is_verified_by_the_miners_own_figures() {
    let (mut rig, old) = mining();
    let pid = rig.host.program("rig-1");
    let new = Pool::start();
    let answer = rig.host.ok("POST", PATH, &to(&new, NEW_WALLET));
    assert_eq!(answer, json!({ "status": "connected", "verified": true }));
    let login = new.seen().logins[0].clone();
    assert_eq!((login.wallet.as_str(), login.password.as_str()), (NEW_WALLET, "new-password"));
    wait_for("the old session's end", || (old.seen().open == 0).then_some(()));
    wait_for("shares at the new pool", || (new.seen().accepted > 1).then_some(()));
    wait_for("figures of the new pool", || {
        (rig.stats()["pool"]["url"] == new.url().as_str()).then_some(())
    });
    assert_eq!(rig.host.program("rig-1"), pid, "it is no restart");

    // What it prints may repeat the new secrets as well as the old ones; also to the next host.
    let words = format!("no payment to {NEW_WALLET} with new-password, {WALLET} or {PASSWORD}");
    new.fault(Faults { reject_shares: Some(words), ..Faults::default() });
    let check = |rig: &Rig| {
        let logs = wait_for("what the pool said", || {
            let logs = rig.host.get("/miners/rig-1/logs?lines=100").to_string();
            logs.contains("no payment to").then_some(logs)
        });
        for text in [logs, rig.host.get("/audit").to_string(), rig.host.log()] {
            for secret in [NEW_WALLET, "new-password", WALLET, PASSWORD] {
                assert!(!text.contains(secret), "{secret}: {text}");
            }
        }
    };
    check(&rig);
    rig.host.kill();
    rig.host.up(&[]);
    rig.host.wait_for_phase("rig-1", "mining");
    check(&rig);

    // The configuration counts again from the next start on.
    let logins = old.seen().logins.len();
    rig.host.ok("POST", "/miners/rig-1/restart", NONE);
    wait_for("the configured pool", || (old.seen().logins.len() > logins).then_some(()));
}

#[test]
fn the_command_line_changes_pools_from_fields_a_file_and_stdin() {
    let (rig, old) = mining();
    let new = Pool::start();
    let (url, wallet) = (format!("url={}", new.url()), format!("wallet={NEW_WALLET}"));
    let args = ["miner", "pools", "rig-1", "--set", &url, "--set", &wallet];
    assert_eq!(rig.host.run_json(&args)["status"], "connected");
    let file = rig.host.folder.path().join("pools.json");
    std::fs::write(&file, to(&old, WALLET).to_string()).unwrap();
    let args = ["miner", "pools", "rig-1", file.to_str().unwrap()];
    assert_eq!(rig.host.run_json(&args)["status"], "connected");
    let mut command = rig.host.command(&["miner", "pools", "rig-1", "-"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let list = to(&new, NEW_WALLET)["pools"].to_string();
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), "rig-1: connected\n");
}

#[test]
fn saved_pools_are_filled_in_by_the_host() {
    let (rig, _old) = mining();
    let (first, second) = (Pool::start(), Pool::start());
    let address = json!({ "name": "xmr", "address": NEW_WALLET });
    rig.host.ok("POST", "/wallets", &address);
    for (name, pool) in [("first", &first), ("second", &second)] {
        let pool = json!({ "name": name, "url": pool.url(), "wallet": "xmr",
                           "user": "${wallet}.${miner}", "password": "new-password" });
        rig.host.ok("POST", "/pools", &pool);
    }
    let answer = rig.host.ok("POST", PATH, &json!({ "pools": ["first", "second"] }));
    assert_eq!(answer["status"], "connected");
    let login = first.seen().logins[0].clone();
    assert_eq!(login.wallet, format!("{NEW_WALLET}.rig-1"));
    assert_eq!(login.password, "new-password");
    assert_eq!(second.seen().connections, 0, "the first is tried first");
    let args = ["miner", "pools", "rig-1", "--pool", "second", "--pool", "first"];
    assert_eq!(rig.host.run_json(&args)["status"], "connected");
    assert_eq!(second.seen().logins.len(), 1);

    for (pools, says) in [
        (json!(["nobody"]), "there is no pool nobody"),
        (json!(["first", { "url": "x:1", "wallet": "4W" }]), "and not both"),
        (json!([7]), "pools"),
    ] {
        let (status, answer) = rig.host.call("POST", PATH, &json!({ "pools": pools }));
        assert!((400..=404).contains(&status), "{pools}: {status} {answer}");
        assert!(answer["error"].as_str().unwrap().contains(says), "{pools}: {answer}");
    }
    for text in [rig.host.get("/audit").to_string(), rig.host.log()] {
        assert!(!text.contains("new-password") && !text.contains(NEW_WALLET), "{text}");
    }
}

#[test]
fn pools_that_do_not_answer_are_told_and_not_taken_for_done() {
    let (rig, old) = mining();
    let gone = Pool::start();
    gone.lose();
    let (status, answer) = rig.host.call("POST", PATH, &to(&gone, NEW_WALLET));
    assert_eq!((status, &answer["status"]), (202, &json!("pending")), "{answer}");
    let reason = answer["reason"].as_str().unwrap();
    // XMRig goes on to show the old one, and the new one when it has tried for long enough.
    let is_told = |text: &str| {
        text.contains(&format!("session with {}", old.url()))
            || text.contains(&format!("not connected to {}", gone.url()))
    };
    assert!(is_told(reason), "{reason}");
    let miner = rig.wait_for_reason("cannot reach the pool");
    assert!(miner.contains(&gone.url()), "{miner}");
    let wallet = format!("wallet={NEW_WALLET}");
    let url = format!("url={}", gone.url());
    let output = rig.host.run(&["miner", "pools", "rig-1", "--set", &url, "--set", &wallet]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("the miner took the new pools, but it ") && is_told(&error), "{error}");
}

#[test]
fn a_wallet_that_the_same_pool_refuses_is_not_taken_for_done() {
    let (rig, pool) = mining();
    let refuse_login = Some("Invalid address used for login".to_owned());
    pool.fault(Faults { refuse_login, ..Faults::default() });
    let (status, answer) = rig.host.call("POST", PATH, &to(&pool, "4wrong"));
    assert_eq!((status, &answer["verified"]), (202, &json!(false)), "{answer}");
    rig.wait_for_reason("Invalid address used for login");
}

#[test]
fn pools_that_cannot_be_are_refused_by_field() {
    let (rig, pool) = mining();
    for (body, says) in [
        (json!({}), "pools"),
        (json!({ "pools": [] }), "pools: write 1 to"),
        (json!({ "pools": [{ "url": "x:1", "wallet": "4W" }], "more": 1 }), "more"),
        (json!({ "pools": [{ "url": "x:1" }] }), "pools[0].wallet: write the wallet"),
        (json!({ "pools": [{ "url": "x", "wallet": "4W" }] }), "pools[0].url: write host:port"),
        (json!({ "pools": [{ "url": "x:1", "wallet": "4W", "port": 1 }] }), "port"),
        (
            json!({ "pools": [{ "url": "x:1", "wallet": "4W", "algo": "sha256d" }] }),
            "pools[0].algo",
        ),
    ] {
        let (status, answer) = rig.host.call("POST", PATH, &body);
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(says), "{body}: {answer}");
    }
    assert_eq!(pool.seen().logins.len(), 1);
    let (status, _) = rig.host.call("POST", "/miners/nobody/pools", &to(&pool, "4W"));
    assert_eq!(status, 404);
    rig.host.ok("DELETE", "/miners/rig-1", NONE);
    let (status, answer) = rig.host.call("POST", PATH, &to(&pool, "4W"));
    assert_eq!((status, &answer["code"]), (409, &json!("NOT_RUNNING")));
}

#[test]
fn a_program_that_says_yes_and_does_nothing_is_found_out() {
    let (rig, pool) = (Rig::obeying(&json!({ "deaf": true })), Pool::start());
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    let (status, answer) = rig.host.call("POST", "/miners/rig-1/pause", NONE);
    assert_eq!((status, &answer["code"]), (502, &json!("COMMAND_FAILED")), "{answer}");
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains("it took pause and 6 s later it does not rest"), "{error}");
    let new = Pool::start();
    let (status, answer) = rig.host.call("POST", PATH, &to(&new, NEW_WALLET));
    assert_eq!((status, &answer["verified"]), (202, &json!(false)), "{answer}");
    assert_eq!(new.seen().connections, 0);
}
