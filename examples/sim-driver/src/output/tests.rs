use adit_plugin_api::testing;

use super::*;

const TIME: &str = "[2026-11-22 18:18:49.218]";

fn check(line: &str, expected: &[Observation]) {
    assert_eq!(observe(line), expected, "{line:?}");
}

fn share(result: ShareResult) -> Observation {
    Observation::Share { result }
}

#[test]
fn a_recorded_run_is_understood() {
    let lines = include_str!("../../samples/output.txt").lines();
    let seen: Vec<_> = lines.map(|line| (line, observe(line))).collect();
    testing::golden("golden/output.json", &seen);
}

#[test]
fn shares_and_rates_count_only_in_their_whole_form() {
    let accepted = [share(ShareResult::Accepted), Observation::Phase { phase: Phase::Mining }];
    let good = format!("{TIME}  share    accepted (1/0) diff 11250 device 2 (41 ms)");
    check(&good, &accepted);
    check(&format!("{good}\r"), &accepted);
    let rejected = format!("{TIME}  share    rejected (1/1) diff 5 device 0 \"stale\" (4 ms)");
    check(&rejected, &[share(ShareResult::Rejected)]);
    for hostile in [
        // The words without the form.
        "accepted (777/0)".to_owned(),
        "share    accepted (1/0) diff 11250 device 2 (41 ms)".to_owned(),
        format!(" {good}"),
        format!("x{good}"),
        format!("{good} and more"),
        good.replace("18:18", "18-18"),
        good.replace("2026", "20266"),
        good.replace("share   ", "net     "),
        good.replace("share   ", "miner   "),
        good.replace("share   ", "pool    "),
        good.replace("(1/0)", "(-1/0)"),
        good.replace("(1/0)", "(1)"),
        good.replace("11250", "1e3"),
        good.replace("41 ms", "41"),
        good.replace("(1/0)", "(99999999999999999999/0)"),
        // Text of a pool inside another line.
        format!("{TIME}  net      lost p:1: \"x\" share    accepted (1/0) diff 1 device 2 (4 ms)")
            .replace("lost p:1:", "says"),
        format!("{TIME}  miner    speed 10s/60s/15m 1e999 n/a n/a H/s max n/a H/s"),
        format!("{TIME}  miner    speed 10s/60s/15m -1 n/a n/a H/s max n/a H/s"),
        format!("{TIME}  miner    speed 10s/60s/15m NaN n/a n/a H/s max n/a H/s"),
        format!("{TIME}  miner    speed 10s/60s/15m 5 H/s"),
        format!("{TIME}  miner    resumed (stopping)"),
    ] {
        check(&hostile, &[]);
    }
}

#[test]
fn a_reason_that_looks_like_a_share_stays_a_reason() {
    let reason = "\\\" (1 ms)\" accepted (9/9) diff 1 device 0 (1 ms)";
    let line = format!("{TIME}  share    rejected (0/1) diff 5 device 0 \"{reason}\" (4 ms)");
    check(&line, &[share(ShareResult::Rejected)]);
    let line = format!("{TIME}  net      lost p:1: \"{reason}\"");
    let seen = observe(&line);
    assert!(matches!(&seen[..], [Observation::Pool(_), Observation::Phase { .. }]), "{seen:?}");
}

#[test]
fn texts_from_outside_are_cut_and_cleaned() {
    let long = format!("{TIME}  error    \x1b[31m{}", "é".repeat(10_000));
    let [Observation::Error { message }] = &observe(&long)[..] else { panic!("no error") };
    assert_eq!(message.chars().count(), MESSAGE_MAX);
    assert!(!message.contains('\x1b'));
}

#[test]
fn garbage_says_nothing() {
    let long = "x".repeat(1 << 20);
    for line in ["", "[", "[]", "]  ", "line 000001", "flood 000000001", "\0", "é", &long] {
        check(line, &[]);
    }
    // Cut at every byte, also inside of characters.
    let line = format!("{TIME}  share   é accepted (1/0) diff 11250 device 2 (41 ms)");
    for length in 0..line.len() {
        check(&String::from_utf8_lossy(&line.as_bytes()[..length]), &[]);
    }
}
