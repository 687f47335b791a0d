//! A miner that earns nothing is not shown as well, and one that was sent away comes back.

use adit_doubles::{
    pool::{Faults, Pool},
    release::signing::PUBLISHER,
};
use serde_json::{Value, json};

use crate::{
    host::{signal, wait_for},
    xmrig::{NONE, Rig, WALLET},
};

/// A host with these settings of the watchdog, on which the double is installed.
fn watched(settings: &str) -> Rig {
    let signer = PUBLISHER.fingerprint();
    let rig = Rig::with_settings(&format!(
        "signers = {{ xmrig = \"{signer}\" }}\n[watchdog]\n{settings}"
    ));
    rig.publish("6.26.0", &json!({}));
    rig.host.ok("POST", "/miners/xmrig/install", NONE);
    rig
}

/// Patience in seconds where the default is minutes, but not with what hangs.
const IMPATIENT: &str =
    "waiting_s = 4\npool_s = 3\napi_s = 5\nzero_s = 60\nshare_s = 4\nreturn_s = 2\n";

fn incident(rig: &Rig, cause: &str) -> Value {
    wait_for(&format!("{cause}: {}", rig.host.miner("rig-1")), || {
        let found = rig.host.get("/miners/rig-1/incidents");
        found.as_array().unwrap().iter().find(|it| it["cause"] == cause).cloned()
    })
}

/// What the list and the doctor say of the miner.
fn is_told(rig: &Rig, text: &str) {
    let miner = wait_for(&format!("a note with {text:?}"), || {
        let miner = rig.host.miner("rig-1");
        miner["reason"].as_str().is_some_and(|it| it.contains(text)).then_some(miner)
    });
    assert_eq!(miner["watchdog"]["state"], "warning", "{miner}");
    let doctor = rig.host.ok("POST", "/doctor", NONE).to_string();
    assert!(doctor.contains(text), "{doctor}");
    let warned = rig.events("watchdog.warning");
    assert!(warned.iter().any(|it| it.to_string().contains(text)), "{warned:?}");
}

fn hashrate(rig: &Rig) -> Option<f64> {
    rig.stats()["hashrate"].as_f64().filter(|rate| *rate > 0.0)
}

#[test]
fn a_frozen_program_is_neither_shown_nor_recorded_as_hashing() {
    let (rig, pool) = (watched(""), Pool::start());
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    wait_for("a hashrate", || hashrate(&rig));
    // A line of a moment before must not stand in for the API.
    rig.host.ok("POST", "/miners/rig-1/stdin", &json!({ "input": "h" }));
    wait_for("a printed hashrate", || {
        rig.host.get("/miners/rig-1/logs?lines=50").to_string().contains("speed 10s").then_some(())
    });
    let before = rig.host.miner("rig-1")["run"]["id"].clone();
    signal(rig.host.program("rig-1"), rustix::process::Signal::STOP);
    wait_for("no hashrate", || rig.stats()["hashrate"].is_null().then_some(()));
    let samples = || {
        let stats = rig.host.get("/history/miners/rig-1");
        stats["totalPoints"].as_u64().unwrap()
    };
    // The last measurement is written by now.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let count = samples();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(samples(), count, "no sample without a measurement");
    let stats = rig.stats();
    assert!(stats["hashrate"].is_null() && stats["devices"].is_null(), "{stats}");
    assert_eq!(rig.host.get("/compat/hiveos/rig-1")["khs"].as_f64().unwrap_or(0.0), 0.0);
    let metrics = rig.host.request("GET", "/metrics").send().unwrap().text().unwrap();
    assert!(!metrics.contains("miner_hashrate_hashes_per_second{"), "{metrics}");
    assert_eq!(rig.host.miner("rig-1")["run"]["id"], before, "and it was not restarted so soon");
    // The next host does not take old lines for new ones.
    let mut rig = rig;
    rig.host.kill();
    rig.host.up(&[]);
    wait_for("stats", || rig.stats()["shares"].as_u64());
    assert!(hashrate(&rig).is_none(), "{}", rig.stats());
}

#[test]
fn shares_that_the_pool_never_answers_are_warned_of() {
    let (rig, pool) = (watched(IMPATIENT), Pool::start());
    pool.fault(Faults { ignore_shares: true, ..Faults::default() });
    let before = rig.start(&pool, &json!({}));
    let found = incident(&rig, "no-shares");
    let summary = found["summary"].as_str().unwrap();
    assert!(summary.contains("no share was ever accepted"), "{found}");
    assert!(summary.contains("H/s") && summary.contains("is to be expected"), "{found}");
    is_told(&rig, "no share was ever accepted");
    assert_eq!(rig.host.miner("rig-1")["run"]["id"], before["run"]["id"]);
    assert!(found["action"].is_null(), "{found}");
    // Answers come again, then none any more: what is usual is known.
    pool.fault(Faults::default());
    rig.wait_for_shares(30);
    wait_for("a healthy miner", || {
        (rig.host.miner("rig-1")["watchdog"]["state"] == "healthy").then_some(())
    });
    rig.wait_for_no_reason();
    pool.fault(Faults { ignore_shares: true, ..Faults::default() });
    is_told(&rig, "is usual");
}

#[test]
fn shares_that_are_all_rejected_are_noted() {
    let (rig, pool) = (watched(IMPATIENT), Pool::start());
    let reject_shares = Some("Low difficulty share".to_owned());
    pool.fault(Faults { reject_shares, ..Faults::default() });
    rig.start(&pool, &json!({}));
    incident(&rig, "rejected");
    is_told(&rig, "shares were rejected");
}

#[test]
fn a_live_change_to_a_dead_pool_is_seen_and_warned_of() {
    let (mut rig, pool) = (watched(IMPATIENT), Pool::start());
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    // A session that is older than the change.
    wait_for("a session", || rig.stats()["pool"]["sessionMs"].as_u64().filter(|ms| *ms > 3_000));
    let gone = Pool::start();
    gone.lose();
    let body = json!({ "pools": [{ "url": gone.url(), "wallet": WALLET }] });
    let (status, answer) = rig.host.call("POST", "/miners/rig-1/pools", &body);
    assert_eq!(status, 202, "{answer}");
    let check = |rig: &Rig| {
        rig.host.wait_for_phase("rig-1", "degraded");
        wait_for("no connection", || (rig.stats()["pool"]["connected"] == false).then_some(()));
    };
    check(&rig);
    incident(&rig, "no-pool");
    // The old session is no better for the next host.
    rig.host.kill();
    rig.host.up(&[]);
    check(&rig);
}

#[test]
fn a_miner_returns_to_its_first_pool() {
    let rig = watched(IMPATIENT);
    let (first, second) = (Pool::start(), Pool::start());
    let pools = json!([{ "url": first.url(), "wallet": WALLET },
                       { "url": second.url(), "wallet": WALLET }]);
    rig.start(&first, &json!({ "pool": null, "wallet": null, "password": null, "pools": pools }));
    rig.host.wait_for_phase("rig-1", "mining");
    let pid = rig.host.program("rig-1");
    first.lose();
    second.lose();
    let action = |action: &str| {
        wait_for(&format!("{action}: {}", rig.host.miner("rig-1")), || {
            let found = rig.host.get("/miners/rig-1/incidents");
            found.as_array().unwrap().iter().find(|it| it["action"] == action).cloned()
        })
    };
    action("next-pool");
    second.back();
    wait_for("the second pool", || (second.seen().open > 0).then_some(()));
    first.back();
    let found = action("first-pool");
    assert!(found["summary"].as_str().unwrap().contains(&first.url()), "{found}");
    wait_for("the first pool", || (first.seen().open > 0).then_some(()));
    wait_for("its stats", || (rig.stats()["pool"]["url"] == first.url().as_str()).then_some(()));
    assert_eq!(rig.host.program("rig-1"), pid, "it is no restart");
}

#[test]
fn old_complaints_are_not_published_again_by_the_next_host() {
    let (mut rig, pool) = (watched(""), Pool::start());
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    pool.lose();
    rig.wait_for_reason("cannot reach the pool");
    let again = |rig: &mut Rig| {
        rig.host.kill();
        rig.host.up(&[]);
        wait_for("stats", || rig.stats()["shares"].as_u64());
        // Everything that was printed before is read by now.
        std::thread::sleep(std::time::Duration::from_secs(1));
        (rig.events("miner.error"), rig.events("miner.connected"))
    };
    let (errors, _) = again(&mut rig);
    assert_eq!(errors, Vec::<Value>::new(), "it lasts, and was told");
    pool.back();
    rig.host.wait_for_phase("rig-1", "mining");
    rig.wait_for_no_reason();
    assert_eq!(again(&mut rig), (Vec::new(), Vec::new()), "it is over");
    // What happens from now on is news.
    pool.lose();
    rig.wait_for_reason("cannot reach the pool");
}

#[test]
fn an_api_that_never_answers_is_noted() {
    let rig = watched(IMPATIENT);
    rig.publish("6.27.0", &json!({ "takePort": true }));
    rig.host.ok("POST", "/miners/xmrig/install", NONE);
    let pool = Pool::start();
    rig.start(&pool, &json!({}));
    let found = incident(&rig, "no-api");
    assert!(found["summary"].as_str().unwrap().contains("never answered"), "{found}");
}

#[test]
fn a_pause_shows_at_once_and_a_paused_miner_hashes_nothing() {
    let (mut rig, pool) = (watched(""), Pool::start());
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    wait_for("a hashrate", || hashrate(&rig));
    rig.host.ok("POST", "/miners/rig-1/pause", NONE);
    let miner = rig.host.miner("rig-1");
    assert_eq!((&miner["phase"], &miner["stats"]["hashrate"]), (&json!("paused"), &json!(0.0)));
    rig.host.kill();
    rig.host.up(&[]);
    let phase = rig.host.miner("rig-1")["phase"].clone();
    assert!(phase == "paused" || phase == "unknown", "{phase}");
    rig.host.wait_for_phase("rig-1", "paused");
    rig.host.ok("POST", "/miners/rig-1/resume", NONE);
    assert_ne!(rig.host.miner("rig-1")["phase"], "paused");
}
