//! The whole path of an operator: install, mine, pause, lose the pool, lose the host, stop.

use adit_doubles::{
    pool::{Options, Pool},
    release::signing::PUBLISHER,
};
use serde_json::json;

use crate::{
    host::{built, is_alive, pid_at, wait_for},
    xmrig::{NONE, PASSWORD, Rig, WALLET, archive_of, real_program},
};

/// From an empty state folder to a miner that stopped, with `program` as the release.
fn the_whole_path(program: &[u8]) {
    let mut rig = Rig::new();
    let others = Pool::start();
    let archive = archive_of("6.26.0", program, &others.url());
    rig.publish_archive("6.26.0", archive, &PUBLISHER);
    let pool = Pool::with(Options { difficulty: 500, ..Options::default() });
    installs(&rig);
    rig.start(&pool, &json!({ "rigId": "rig-a" }));
    mines(&rig, &pool);
    rests_and_goes_on(&rig, &pool);
    loses_its_pool(&rig, &pool);
    outlives_its_host(&mut rig, &pool);
    keeps_secrets(&rig);
    stops(&rig);
    // Whoever has seen shares of that configuration would have been paid.
    assert_eq!(others.seen().connections, 0, "it talked to the pool that XMRig ships");
    assert_eq!(pool.seen().complaints, Vec::<String>::new());
}

fn installs(rig: &Rig) {
    let done = rig.host.run_json(&["install", "xmrig"]);
    assert_eq!((&done["version"], &done["changed"]), (&json!("6.26.0"), &json!(true)), "{done}");
    let signed = json!({ "by": "signed", "fingerprint": PUBLISHER.fingerprint() });
    assert_eq!(done["proven"], signed);
    assert_eq!(done["removed"], json!(["xmrig-6.26.0/config.json"]));
    assert_eq!(rig.host.get("/miners/xmrig/versions")["versions"][0]["reported"], "6.26.0");
}

fn mines(rig: &Rig, pool: &Pool) {
    rig.host.wait_for_phase("rig-1", "mining");
    rig.wait_for_shares(2);
    // Told by the program, counted by the pool.
    wait_for("the pool to count as many", || {
        let shares = rig.stats()["shares"].as_u64().unwrap();
        (pool.seen().accepted >= shares && shares > 2).then_some(())
    });
    let login = pool.seen().logins[0].clone();
    assert_eq!((login.wallet.as_str(), login.password.as_str()), (WALLET, PASSWORD));
    assert_eq!(login.rig_id.as_deref(), Some("rig-a"));
    assert!(login.agent.starts_with("XMRig/"), "{login:?}");
    let stats = rig.stats();
    assert_eq!(stats["algorithm"], "argon2/chukwa");
    assert_eq!((&stats["rejected"], &stats["pool"]["url"]), (&json!(0), &json!(pool.url())));
    wait_for("a hashrate", || rig.stats()["hashrate"].as_f64().filter(|rate| *rate > 0.0));
}

fn rests_and_goes_on(rig: &Rig, pool: &Pool) {
    let pid = rig.host.program("rig-1");
    let paused = rig.host.ok("POST", "/miners/rig-1/pause", NONE);
    assert_eq!(paused, json!({ "status": "paused", "verified": true }));
    rig.host.wait_for_phase("rig-1", "paused");
    // Once the last shares have arrived no more do.
    wait_for("a pool without shares", || {
        let before = pool.seen().accepted;
        std::thread::sleep(std::time::Duration::from_secs(2));
        (pool.seen().accepted == before).then_some(())
    });
    let resumed = rig.host.run_json(&["miner", "resume", "rig-1"]);
    assert_eq!(resumed, json!({ "status": "resumed", "verified": true }));
    rig.wait_for_shares(rig.stats()["shares"].as_u64().unwrap());
    assert_eq!(rig.host.program("rig-1"), pid, "a pause is no restart");
}

fn loses_its_pool(rig: &Rig, pool: &Pool) {
    let (pid, logins) = (rig.host.program("rig-1"), pool.seen().logins.len());
    pool.lose();
    rig.host.wait_for_phase("rig-1", "degraded");
    wait_for("the loss", || (rig.stats()["pool"]["connected"] == false).then_some(()));
    rig.wait_for_reason("cannot reach the pool");
    pool.back();
    rig.host.wait_for_phase("rig-1", "mining");
    rig.wait_for_shares(rig.stats()["shares"].as_u64().unwrap());
    wait_for("the pool", || (rig.stats()["pool"]["connected"] == true).then_some(()));
    assert!(pool.seen().logins.len() > logins);
    rig.wait_for_no_reason();
    assert_eq!(rig.host.program("rig-1"), pid);
}

fn outlives_its_host(rig: &mut Rig, pool: &Pool) {
    let (pid, shares) = (rig.host.program("rig-1"), rig.stats()["shares"].as_u64().unwrap());
    rig.host.kill();
    let seen = pool.seen();
    wait_for("shares without a host", || (pool.seen().accepted > seen.accepted + 1).then_some(()));
    assert_eq!(pool.seen().logins.len(), seen.logins.len());
    rig.host.up(&[]);
    rig.host.wait_for_phase("rig-1", "mining");
    assert_eq!(rig.host.program("rig-1"), pid);
    rig.wait_for_shares(shares + 1);
}

fn keeps_secrets(rig: &Rig) {
    let args = std::fs::read_to_string(format!("/proc/{}/cmdline", rig.host.program("rig-1")));
    let texts = [
        rig.host.get("/miners/rig-1/plan").to_string(),
        rig.host.get("/miners/rig-1/logs?lines=5000").to_string(),
        rig.host.get("/miners/rig-1").to_string(),
        rig.host.get("/audit").to_string(),
        rig.host.get("/events/recent?limit=1000").to_string(),
        rig.host.log(),
        args.unwrap(),
    ];
    for text in texts {
        assert!(!text.contains(WALLET) && !text.contains(PASSWORD), "{text}");
    }
}

fn stops(rig: &Rig) {
    let pid = pid_at(&rig.host.miner("rig-1")["run"]["pid"]);
    assert_eq!(rig.host.ok("DELETE", "/miners/rig-1", NONE), json!({ "status": "stopped" }));
    assert!(!is_alive(pid));
    let runs = rig.host.get("/miners/rig-1/runs");
    // By the first SIGTERM: the second one would be a signal, and so would what comes after it.
    let run = &runs[0];
    assert_eq!((&run["byStop"], &run["code"], &run["signal"]), (&json!(true), &json!(0), NONE));
}

#[test]
fn the_whole_path_works_on_the_double() {
    the_whole_path(&std::fs::read(built("xmrig-double")).unwrap());
}

#[test]
#[ignore = "needs ADIT_TEST_XMRIG"]
fn the_whole_path_works_on_the_real_program() {
    the_whole_path(&real_program());
}
