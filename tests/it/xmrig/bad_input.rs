//! What goes wrong with a pool, a configuration or the machine is told in one sentence that says
//! what to do: over the API, on the command line and as an event.

use adit_doubles::pool::{Faults, Options, Pool};
use serde_json::{Value, json};

use crate::{
    host::{built, wait_for},
    xmrig::{NONE, Rig, WALLET, archive_of, on_both},
};

on_both! {
    wrong_wallet: a_wrong_wallet_is_told, the_real_program_tells_of_a_wrong_wallet;
    unreachable: an_unreachable_pool_is_told, the_real_program_tells_of_an_unreachable_pool;
    wrong_fingerprint: a_wrong_fingerprint_is_told, the_real_program_tells_of_a_wrong_fingerprint;
    other_algorithm: an_algorithm_that_it_cannot_mine_is_told,
        the_real_program_tells_of_an_algorithm_that_it_cannot_mine;
    unknown_algorithm: an_unknown_algorithm_is_refused_before_the_start,
        an_unknown_algorithm_is_refused_before_the_real_program_starts;
}

fn wrong_wallet(rig: &Rig) {
    let pool = Pool::start();
    let refuse_login = Some(format!("Invalid address used for login: {WALLET}"));
    pool.fault(Faults { refuse_login, ..Faults::default() });
    rig.start(&pool, &json!({}));
    let reason = rig.wait_for_reason("Invalid address used for login");
    assert!(reason.contains("check wallet and password"), "{reason}");
    // The pool repeats the wallet, and nobody is shown it.
    assert!(reason.contains("***"), "{reason}");
    assert_eq!(rig.host.miner("rig-1")["phase"], "connecting");
    pool.fault(Faults::default());
    rig.host.wait_for_phase("rig-1", "mining");
    rig.wait_for_no_reason();
}

fn unreachable(rig: &Rig) {
    let pool = Pool::start();
    pool.lose();
    rig.start(&pool, &json!({}));
    let reason = rig.wait_for_reason("cannot reach the pool");
    assert!(reason.contains(&pool.url()), "{reason}");
    assert!(reason.contains("connection refused; check its address and port"), "{reason}");
}

fn wrong_fingerprint(rig: &Rig) {
    let pool = Pool::with(Options { tls: true, difficulty: 500, ..Options::default() });
    let wrong = "0".repeat(64);
    rig.start(&pool, &json!({ "tls": true, "tlsFingerprint": wrong }));
    let reason = rig.wait_for_reason("shows another certificate than tlsFingerprint says");
    assert!(reason.contains("ask the pool for its fingerprint"), "{reason}");
    assert_eq!(pool.seen().logins.len(), 0, "it sent the wallet to whom it does not trust");
    rig.host.ok("DELETE", "/miners/rig-1?remove=true", NONE);
    rig.start(&pool, &json!({ "tls": true, "tlsFingerprint": pool.fingerprint() }));
    rig.host.wait_for_phase("rig-1", "mining");
    assert!(rig.wait_for_extra("tls").starts_with("TLSv1"));
}

fn other_algorithm(rig: &Rig) {
    let pool = Pool::start();
    let other_algorithm = Some("foo/1".to_owned());
    pool.fault(Faults { other_algorithm, ..Faults::default() });
    rig.start(&pool, &json!({ "algo": null }));
    let reason = rig.wait_for_reason("sends jobs for foo/1");
    assert!(reason.contains("choose another pool or port, or a newer XMRig"), "{reason}");
}

fn unknown_algorithm(rig: &Rig) {
    let config = json!({ "pool": "127.0.0.1:9", "wallet": "4W", "algo": "sha256d" });
    let body = json!({ "name": "rig-1", "type": "xmrig", "config": config });
    let (status, answer) = rig.host.call("POST", "/miners", &body);
    assert_eq!((status, &answer["code"]), (400, &json!("INVALID_CONFIG")), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("algo"), "{answer}");
    let args = ["miner", "start", "--type", "xmrig", "--set", "pool=127.0.0.1:9", "--set"];
    let output = rig.host.run(&[&args[..], &["wallet=4W", "--set", "algo=sha256d"]].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("algo"), "{error}");
    assert_eq!(rig.host.get("/miners"), json!([]));
}

#[test]
fn a_port_that_was_taken_after_the_host_chose_it_is_told_and_the_output_serves() {
    let rig = Rig::obeying(&json!({ "takePort": true }));
    let pool = Pool::start();
    rig.start(&pool, &json!({}));
    let reason = rig.wait_for_reason("could not open its API");
    assert!(reason.contains("restart the miner, which then gets another port"), "{reason}");
    rig.wait_for_shares(2);
    // It holds for the run, and shares are no sign that it is over.
    rig.wait_for_reason("could not open its API");
    assert_eq!(rig.stats()["pool"]["url"], pool.url().as_str());
}

#[test]
fn a_program_that_exits_at_once_fails_with_what_it_printed() {
    let rig = Rig::obeying(&json!({ "exitCode": 132 }));
    let pool = Pool::start();
    let restart = json!({ "firstPauseS": 0, "crashLoopExits": 2, "retryFailedAfterS": 0 });
    let config = super::at(&pool, &json!({}));
    let body = json!({ "name": "rig-1", "type": "xmrig", "config": config, "restart": restart });
    rig.host.ok("POST", "/miners", &body);
    rig.host.wait_for_phase("rig-1", "failed");
    let reason = rig.wait_for_reason("the program ended 2 times within");
    assert!(reason.contains("exit code 132"), "{reason}");
    assert!(reason.contains("Illegal instruction, as on a processor without AES"), "{reason}");
}

#[test]
fn missing_huge_pages_are_told_as_long_as_they_are_missing() {
    let (rig, pool) = (Rig::installed(), Pool::start());
    rig.start(&pool, &json!({ "hugePages": true }));
    rig.wait_for_reason("got 0 of 1 huge pages");
    rig.wait_for_shares(2);
    let reason = rig.wait_for_reason("got 0 of 1 huge pages");
    assert!(reason.contains("run sysctl -w vm.nr_hugepages=1280 as root"), "{reason}");
    assert!(reason.contains("or set hugePages to false"), "{reason}");
}

/// One that was put in place by hand, with the configuration that came with it.
#[test]
fn a_configuration_beside_the_program_is_never_used() {
    let (others, pool) = (Pool::start(), Pool::start());
    let rig = Rig::new();
    let folder = rig.host.folder.path().join("by-hand");
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("xmrig");
    let theirs = json!({ "pools": [{ "url": others.url(), "user": "somebody-else" }] });
    std::fs::write(folder.join("config.json"), theirs.to_string()).unwrap();
    std::fs::copy(built("xmrig-double"), &program).unwrap();
    let mut rig = rig;
    rig.host.interrupt();
    let settings = std::fs::read_to_string(rig.host.settings()).unwrap();
    let settings = format!("{settings}\n[programs]\nxmrig = {program:?}\n");
    std::fs::write(rig.host.settings(), settings).unwrap();
    rig.host.up(&[]);
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    rig.wait_for_shares(1);
    assert_eq!(others.seen().connections, 0);
    // The double does as XMRig does: without a usable configuration it takes that one.
    let said = std::process::Command::new(&program)
        .args(["-c", "/nowhere/config.json"])
        .env_clear()
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn();
    let mut astray = said.unwrap();
    wait_for("the other pool", || (others.seen().connections > 0).then_some(()));
    astray.kill().unwrap();
    astray.wait().unwrap();
}

/// What an archive has besides the program never runs and never counts.
#[test]
fn the_configuration_of_a_release_is_removed_and_told() {
    let (others, rig) = (Pool::start(), Rig::new());
    let program = std::fs::read(built("xmrig-double")).unwrap();
    let archive = archive_of("6.26.0", &program, &others.url());
    rig.publish_archive("6.26.0", archive, &adit_doubles::release::signing::PUBLISHER);
    let done = rig.host.ok("POST", "/miners/xmrig/install", NONE);
    assert_eq!(done["removed"], json!(["xmrig-6.26.0/config.json"]));
    let path = std::path::PathBuf::from(done["path"].as_str().unwrap());
    assert!(path.exists() && !path.with_file_name("config.json").exists());
    let told: Vec<Value> = rig.events("install.done");
    assert_eq!(told[0]["removed"], json!(["xmrig-6.26.0/config.json"]));
}
