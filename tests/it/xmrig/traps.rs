//! Where XMRig bites whoever supervises it, seen from outside. The driver's own tests have all of
//! them; these need a program that runs.

use adit_doubles::pool::{Faults, Options, Pool};
use serde_json::json;

use crate::{
    host::{is_alive, wait_for},
    xmrig::{NONE, Rig, on_both},
};

on_both! {
    trap_03: trap_03_output_that_nobody_reads_stops_nothing,
        trap_03_output_that_nobody_reads_stops_nothing_in_the_real_program;
    trap_11: trap_11_a_redirect_is_told_and_the_stop_ends_all_the_same,
        trap_11_a_redirect_is_told_and_the_stop_ends_the_real_program_all_the_same;
    trap_12: trap_12_a_crash_by_a_pool_is_seen_and_the_miner_started_again,
        trap_12_a_crash_of_the_real_program_by_a_pool_is_seen_and_the_miner_started_again;
    trap_13: trap_13_a_forged_share_line_changes_no_counter,
        trap_13_a_forged_share_line_of_the_real_program_changes_no_counter;
    trap_17: trap_17_a_dead_pool_ends_nothing,
        trap_17_a_dead_pool_does_not_end_the_real_program;
}

fn gentle() -> Pool {
    Pool::with(Options { difficulty: 500, ..Options::default() })
}

/// The keeper reads, whatever becomes of the host; what it held back is there afterwards.
fn trap_03(rig: &Rig) {
    let pool = gentle();
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    let keys = "h".repeat(50);
    for _ in 0..100 {
        // Each key prints at least one line.
        rig.host.ok("POST", "/miners/rig-1/stdin", &json!({ "input": keys }));
    }
    rig.wait_for_shares(rig.stats()["shares"].as_u64().unwrap_or_default());
    // The keys are taken before they are read.
    wait_for("their lines", || {
        let logs = rig.host.get("/miners/rig-1/logs?lines=10000");
        (logs["lines"].as_array().unwrap().len() > 4_000).then_some(())
    });
}

fn trap_11(rig: &Rig) {
    let (pool, to) = (gentle(), gentle());
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    let pid = rig.host.program("rig-1");
    pool.redirect(&to);
    wait_for("a login at the other pool", || (!to.seen().logins.is_empty()).then_some(()));
    let told = format!("sends the miner to {}", to.url());
    wait_for("an event about it", || {
        rig.events("miner.error").iter().any(|it| it.to_string().contains(&told)).then_some(())
    });
    // The first pool keeps its connection open, so the first SIGTERM is not enough: the second one
    // comes after a minute.
    let (status, answer) = rig.host.call("DELETE", "/miners/rig-1", NONE);
    assert_eq!((status, &answer["status"]), (200, &json!("stopping")), "{answer}");
    assert!(is_alive(pid), "it ended by the first SIGTERM");
    pool.lose();
    rig.host.wait_for_phase("rig-1", "stopped");
    assert!(!is_alive(pid));
}

fn trap_12(rig: &Rig) {
    let pool = gentle();
    let restart = json!({ "firstPauseS": 0 });
    let config = super::at(&pool, &json!({}));
    let body = json!({ "name": "rig-1", "type": "xmrig", "config": config, "restart": restart });
    rig.host.ok("POST", "/miners", &body);
    rig.host.wait_for_phase("rig-1", "mining");
    pool.fault(Faults { zero_target: true, ..Faults::default() });
    pool.new_job();
    wait_for("the crash", || {
        let runs = rig.host.get("/miners/rig-1/runs");
        runs.as_array().unwrap().iter().any(|run| run["signal"] == 8).then_some(())
    });
    pool.fault(Faults::default());
    // The end is in the history before the miner shows it.
    wait_for("the next run", || {
        let miner = rig.host.miner("rig-1");
        (miner["phase"] == "mining" && miner["restarts"].as_u64() >= Some(1)).then_some(())
    });
}

fn trap_13(rig: &Rig) {
    let pool = gentle();
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    let forged = "sorry\n[2026-11-22 15:27:00.000]  cpu      accepted (777777/0) diff 15 (0 ms)";
    let reject_shares = Some(forged.to_owned());
    pool.fault(Faults { reject_shares, ..Faults::default() });
    let rejected =
        wait_for("refused shares", || rig.stats()["rejected"].as_u64().filter(|count| *count >= 3));
    wait_for("the forged line in the log", || {
        let logs = rig.host.get("/miners/rig-1/logs?lines=1000").to_string();
        logs.contains("accepted (777777/0)").then_some(())
    });
    let (stats, seen) = (rig.stats(), pool.seen());
    assert!(stats["shares"].as_u64().unwrap() <= seen.accepted, "{stats} {seen:?}");
    assert!(rejected <= seen.rejected);
}

fn trap_17(rig: &Rig) {
    let pool = gentle();
    rig.start(&pool, &json!({}));
    rig.host.wait_for_phase("rig-1", "mining");
    let (pid, connections) = (rig.host.program("rig-1"), pool.seen().connections);
    pool.lose();
    rig.host.wait_for_phase("rig-1", "degraded");
    rig.wait_for_reason("cannot reach the pool");
    let miner = rig.host.miner("rig-1");
    assert_eq!((&miner["running"], &miner["restarts"]), (&json!(true), &json!(0)));
    pool.back();
    rig.host.wait_for_phase("rig-1", "mining");
    assert!(pool.seen().connections > connections);
    rig.wait_for_no_reason();
    assert_eq!(rig.host.program("rig-1"), pid);
}
