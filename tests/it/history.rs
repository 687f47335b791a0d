//! What a real host keeps of its miners: charts, events, and what a kill leaves.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::host::{Host, wait_for};

const NONE: &Value = &Value::Null;

/// A host with a tick every 100 ms.
fn quick() -> Host {
    let host = Host::absent();
    let settings = "[miners]\nstats_interval_ms = 100\noutput_interval_ms = 50\n";
    fs::write(host.settings(), settings).unwrap();
    host
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// Waits until the history of the miner has so many samples.
fn wait_for_samples(host: &Host, name: &str, count: u64) -> Value {
    wait_for(&format!("{count} samples of {name}"), || {
        let (status, stats) = host.call("GET", &format!("/history/miners/{name}"), NONE);
        (status == 200 && stats["totalPoints"].as_u64().unwrap() >= count).then_some(stats)
    })
}

#[test]
fn charts_and_lists_tell_what_a_miner_did() {
    let mut host = quick();
    host.up(&[]);
    host.simulate("rig-1", &json!({}));
    let stats = wait_for_samples(&host, "rig-1", 20);
    let (least, most) = (stats["min"].as_f64().unwrap(), stats["max"].as_f64().unwrap());
    let mean = stats["mean"].as_f64().unwrap();
    assert!(least > 0.0 && least <= mean && mean <= most, "{stats}");
    // Clients in Go read whole numbers only.
    for rate in ["averageRate", "minRate", "maxRate"] {
        assert!(stats[rate].is_u64(), "{stats}");
    }

    // From its first sample on there is room for every one.
    let since = format!("since={}&points=10000", stats["firstSeen"].as_str().unwrap());
    let all = host.get(&format!("/history/miners/rig-1/hashrate?{since}"));
    assert!(list(&all).len() >= 20, "{all}");
    let first = &all[0];
    let hashrate = first["hashrate"].as_u64().unwrap();
    let exact = first["mean"].as_f64().unwrap();
    assert_eq!(hashrate.to_string(), format!("{exact:.0}"), "{first}");
    assert_eq!(first["timestamp"], stats["firstSeen"]);
    let few = format!("/history/miners/rig-1/hashrate?{}", since.replace("10000", "3"));
    let few = host.get(&few);
    assert!((1..=3).contains(&list(&few).len()), "{few}");
    let phases = host.get(&format!("/history/miners/rig-1/hashrate?metric=phase&{since}"));
    assert!(list(&phases).iter().any(|point| point["phase"] == "mining"), "{phases}");
    for metric in ["accepted", "rejected"] {
        let points = host.get(&format!("/history/miners/rig-1/hashrate?metric={metric}"));
        assert!(!list(&points).is_empty() && points[0].get("hashrate").is_none(), "{points}");
    }

    let recent = host.get("/miners/rig-1/hashrate-history");
    assert!(list(&recent).len() >= 20, "{recent}");
    assert!(recent[0]["hashrate"].is_u64() && recent[0]["timestamp"].is_string(), "{recent}");

    let algorithm = host.miner("rig-1")["stats"]["algorithm"].as_str().unwrap().to_owned();
    let pool = host.miner("rig-1")["stats"]["pool"]["url"].as_str().unwrap().to_owned();
    assert_eq!(host.get("/history/totals"), json!({ "algorithms": [algorithm], "pools": [pool] }));
    let at_pool = host.get(&format!("/history/totals/hashrate?pool={pool}"));
    assert!(at_pool[0]["mean"].as_f64().unwrap() > 0.0, "{at_pool}");
    let encoded = algorithm.replace('/', "%2F");
    let total = host.get(&format!("/history/totals/hashrate?algorithm={encoded}"));
    assert!(total[0]["mean"].as_f64().unwrap() > 0.0, "{total}");
    assert!(!list(&host.get("/history/totals/hashrate?metric=accepted")).is_empty());
    assert_eq!(host.get("/history/miners")[0]["minerName"], "rig-1");
    let status = host.get("/history/status");
    assert_eq!((&status["enabled"], &status["retentionDays"]), (&json!(true), &json!(30)));
    assert_eq!((&status["stepMs"], &status["missedTicks"]), (&json!(100), &json!(0)));

    // The next host has the last five minutes too.
    host.kill();
    host.up(&[]);
    wait_for("the figures of the host before", || {
        let again = host.get("/miners/rig-1/hashrate-history");
        list(&again).iter().any(|point| *point == recent[0]).then_some(())
    });

    // A removed miner leaves its history.
    host.ok("DELETE", "/miners/rig-1?remove=true", NONE);
    assert!(!list(&host.get("/history/miners/rig-1/hashrate")).is_empty());
    assert_eq!(host.call("GET", "/miners/rig-1/hashrate-history", NONE).0, 404);
}

#[test]
fn questions_that_make_no_sense_are_refused_with_what_to_write() {
    let mut host = quick();
    host.up(&[]);
    host.simulate("rig-1", &json!({}));
    wait_for_samples(&host, "rig-1", 1);
    let chart = "/history/miners/rig-1/hashrate";
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    for (query, expected) in [
        (format!("?since={late}&until={early}"), "a time before until"),
        (format!("?since={late}&until={late}"), "a time before until"),
        ("?since=yesterday".to_owned(), "since: write a time such as"),
        ("?until=2026-13-45T00:00:00Z".to_owned(), "until: write a time such as"),
        ("?since=".to_owned(), "since: write a time such as"),
        ("?points=0".to_owned(), "points: write 1 to 10000"),
        ("?points=10000000".to_owned(), "points: write 1 to 10000"),
        ("?points=-1".to_owned(), "points"),
        ("?points=many".to_owned(), "points"),
        ("?metric=colour".to_owned(), "write hashrate, accepted"),
        ("?from=1".to_owned(), "from"),
    ] {
        let (status, answer) = host.call("GET", &format!("{chart}{query}"), NONE);
        let error = answer["error"].as_str().unwrap();
        assert_eq!((status, answer["code"].as_str()), (400, Some("INVALID_INPUT")), "{query}");
        assert!(error.contains(expected), "{query}: {error}");
    }
    assert_eq!(host.get("/history/miners/nobody/hashrate"), json!([]));
    assert_eq!(host.get("/history/miners/nobody/hashrate?metric=phase"), json!([]));
    for path in ["/history/miners/nobody", "/history/miners/No%20Name/hashrate"] {
        let (status, answer) = host.call("GET", path, NONE);
        assert_eq!((status, &answer["code"]), (404, &json!("MINER_NOT_FOUND")), "{answer}");
    }
    for (query, code) in [
        ("?algorithm=nothing", "ALGORITHM_NOT_FOUND"),
        ("?pool=nothing", "POOL_NOT_FOUND"),
        ("?pool=a&algorithm=b", "INVALID_INPUT"),
        ("", "INVALID_INPUT"),
        ("?metric=phase", "INVALID_INPUT"),
    ] {
        let (_, answer) = host.call("GET", &format!("/history/totals/hashrate{query}"), NONE);
        assert_eq!(answer["code"], code, "{query}: {answer}");
    }
    for query in ["?limit=0", "?limit=5001", "?miner=Not%20A%20Name", "?since=x"] {
        assert_eq!(host.call("GET", &format!("/history/events{query}"), NONE).0, 400, "{query}");
    }
    // A time of which nothing is known is an empty list, however long it is.
    let far = format!("{chart}?since=2001-01-01T00:00:00Z&until=2002-01-01T00:00:00Z&points=10000");
    assert_eq!(host.get(&far), json!([]));
    let all = "?since=0001-01-01T00:00:00Z&until=9999-01-01T00:00:00Z&points=1";
    assert_eq!(list(&host.get(&format!("{chart}{all}"))).len(), 1);
}

#[test]
fn starts_exits_and_what_else_happened_are_kept() {
    let mut host = quick();
    host.up(&[]);
    host.simulate("rig-1", &json!({}));
    host.simulate("rig-2", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    host.ok("DELETE", "/miners/rig-1", NONE);
    let kinds = wait_for("the events", || {
        let events = host.get("/history/events?miner=rig-1");
        let kinds: Vec<_> =
            list(&events).iter().map(|it| it["type"].as_str().unwrap().to_owned()).collect();
        (kinds.first()? == "miner.stopped").then_some(kinds)
    });
    assert_eq!(kinds.last().unwrap(), "miner.started", "{kinds:?}");
    assert!(kinds.contains(&"miner.connected".to_owned()), "{kinds:?}");
    assert!(!kinds.contains(&"miner.stats".to_owned()), "{kinds:?}");
    let stopped = host.get("/history/events?miner=rig-1&limit=1");
    assert!(stopped[0]["data"]["reason"].is_string(), "{stopped}");
    assert_eq!(host.get("/history/events?until=2026-01-01T00:00:00Z"), json!([]));
    host.interrupt();
    host.up(&[]);
    let after = host.get("/history/events?miner=rig-1");
    assert_eq!(list(&after).len(), kinds.len(), "{after}");
}

#[test]
fn the_command_line_shows_the_history() {
    let mut host = quick();
    host.up(&[]);
    host.simulate("rig-1", &json!({}));
    wait_for_samples(&host, "rig-1", 5);
    let said = |args: &[&str]| {
        let output = host.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let chart = said(&["history", "show", "rig-1", "--since", "1m"]);
    assert!(chart.contains('█') && chart.contains("H/s ┤"), "{chart}");
    let phases = said(&["history", "show", "rig-1", "--metric", "phase", "--points", "2"]);
    assert!(phases.contains("mining"), "{phases}");
    assert!(said(&["history", "status"]).contains("days kept           30"));
    assert!(said(&["history", "miners"]).contains("rig-1"));
    assert!(said(&["history", "events", "--miner", "rig-1"]).contains("miner.started"));
    let points = host.run_json(&["history", "show", "rig-1", "--points", "2"]);
    assert!((1..=2).contains(&list(&points).len()), "{points}");
    for args in [
        ["history", "show", "rig-1", "--since", "soon"].as_slice(),
        &["history", "show", "rig-1", "--points", "0"],
        &["history", "show", "rig-1", "--metric", "colour"],
    ] {
        assert_eq!(host.run(args).status.code(), Some(2), "{args:?}");
    }
    let output = host.run(&["history", "show", "nobody"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no miner nobody"));
}

#[test]
fn a_killed_host_loses_no_tick_that_it_told_to_be_safe() {
    let mut host = quick();
    let mut told = BTreeSet::new();
    for round in 0..6 {
        host.up(&[]);
        if round == 0 {
            host.simulate("rig-1", &json!({}));
        }
        host.wait_for_phase("rig-1", "mining");
        let mut this_time: Vec<String> = Vec::new();
        wait_for("ticks to be written", || {
            let status = host.get("/history/status");
            // Not at once: its figures begin with the first look at it.
            if let (Some(at), true) =
                (status["lastWritten"].as_str(), host.miner("rig-1")["stats"]["hashrate"].is_f64())
                && this_time.last().is_none_or(|last| last != at)
            {
                this_time.push(at.to_owned());
            }
            (this_time.len() > 12).then_some(())
        });
        host.kill();
        told.extend(this_time.into_iter().skip(2));
    }
    host.up(&[]);
    let status = host.get("/history/status");
    assert_eq!((&status["damagedTicks"], &status["damagedChunks"]), (&json!(0), &json!(0)));
    let stats = host.get("/history/miners/rig-1");
    let since = stats["firstSeen"].as_str().unwrap();
    let chart = "/history/miners/rig-1/hashrate?points=10000&metric=phase";
    let points = host.get(&format!("{chart}&since={since}"));
    let kept: BTreeSet<&str> =
        list(&points).iter().map(|it| it["timestamp"].as_str().unwrap()).collect();
    assert!(told.len() >= 60, "{}", told.len());
    let lost: Vec<_> = told.iter().filter(|at| !kept.contains(at.as_str())).collect();
    assert!(lost.is_empty(), "lost {lost:?} of {}", told.len());
    // While nobody looked there is a gap and no invention.
    let gaps = list(&points).iter().filter(|it| it["afterGap"] == true).count();
    assert!(gaps >= 5, "{gaps}");
}

#[test]
fn a_miner_that_is_slow_to_answer_delays_nobody() {
    let mut host = quick();
    host.up(&[]);
    let slow = json!({ "misbehave": { "slowApiMs": 4_000 } });
    host.simulate("slow", &slow);
    host.simulate("quick", &json!({}));
    let began = wait_for_samples(&host, "quick", 1)["totalPoints"].as_u64().unwrap();
    let missed = || host.get("/history/status")["missedTicks"].as_u64().unwrap();
    let looks = |name: &str| host.get(&format!("/history/miners/{name}/hashrate?metric=phase"));
    // 40 ticks pass while it thinks about one answer: who waited for it would need two minutes.
    wait_for_samples(&host, "quick", began + 30);
    let figures = host.get("/miners/quick/stats");
    assert!(figures["hashrate"].as_f64().unwrap() > 0.0, "{figures}");
    assert_eq!(missed(), 0);
    assert!(!list(&looks("slow")).is_empty());
}
