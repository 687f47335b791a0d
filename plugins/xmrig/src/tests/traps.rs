//! One test for each thing of XMRig's that bites whoever supervises it.

use adit_plugin_api::{
    Ask, CommandStep, ErrorKind, HttpAsk, Observation, Phase, Probe, Reply, ShareResult, StopAction,
};

use super::*;

fn bearer() -> String {
    format!("Bearer {}", testing::launch().api_token)
}

fn observe(lines: &[&str]) -> Vec<Observation> {
    driver().output(lines).unwrap()
}

fn errors(lines: &[&str]) -> Vec<String> {
    let message = |seen| match seen {
        Observation::Error { message } | Observation::Warning { message } => Some(message),
        _ => None,
    };
    observe(lines).into_iter().filter_map(message).collect()
}

fn shares(lines: &[&str]) -> usize {
    let accepted = Observation::Share { result: ShareResult::Accepted };
    observe(lines).iter().filter(|seen| **seen == accepted).count()
}

/// A run folder with the configuration that a plan writes, and its launch.
fn run(value: Value) -> (tempfile::TempDir, Launch) {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch { run_dir: folder.path().to_owned(), ..testing::launch() };
    let StartPlan::Process(plan) = driver().start(&complete(value), &launch).unwrap() else {
        panic!("no process")
    };
    std::fs::write(folder.path().join("config.json"), &plan.files[0].content).unwrap();
    (folder, launch)
}

fn set_pools(launch: &Launch, params: Value) -> Result<HttpAsk> {
    let command = Command { name: "set-pools".to_owned(), params };
    let plan = driver().command(&command, launch)?;
    // Whoever shows the run's output from now on must mask the new ones too.
    assert!(plan.secrets.contains(&"4B".to_owned()), "{:?}", plan.secrets);
    match &plan.steps[..] {
        [CommandStep::Http(ask)] => Ok(ask.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn trap_01_output_goes_into_a_pipe_and_no_file() {
    let plan = plan(with(json!({}))).unwrap();
    assert_eq!(plan.console, Console::Pipes);
    for key in ["log-file", "syslog"] {
        let error = self::plan(with(json!({ "xmrig": { key: "x" } }))).unwrap_err();
        assert!(error.message.starts_with(&format!("xmrig.{key}: ")), "{error}");
    }
}

#[test]
fn trap_02_colours_are_off_and_do_no_harm() {
    assert_eq!(file(with(json!({})))["colors"], false);
    assert!(plan(with(json!({ "xmrig": { "colors": true } }))).is_err());
    let coloured = "[2026-11-22 15:29:36\u{1b}[1;30m.611\u{1b}[0m] \u{1b}[46;1m\u{1b}[1;37m cpu    \
                    \u{20}\u{1b}[0m \u{1b}[1;32maccepted\u{1b}[0m (1/0) diff \u{1b}[1;37m3000\
                    \u{1b}[0m \u{1b}[1;30m(0 ms)\u{1b}[0m\u{1b}[0m";
    assert_eq!(shares(&[coloured]), 1);
}

/// That XMRig drops lines into a full pipe is its own; the driver goes on after the gap.
#[test]
fn trap_03_lines_that_were_lost_in_a_full_pipe_do_not_end_the_counting() {
    let share =
        |n: u64| format!("[2026-11-22 15:27:00.000]  cpu      accepted ({n}/0) diff 15 (0 ms)");
    let lines: Vec<String> = [1, 2, 40, 41, 42].map(share).into();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(shares(&lines), 4);
}

/// That XMRig outlives its reader is its own: the plan leaves ending it to the keeper, so XMRig must
/// not leave the keeper's process group.
#[test]
fn trap_04_xmrig_stays_with_its_keeper_when_the_reader_goes() {
    assert_eq!(file(with(json!({})))["background"], false);
}

#[test]
fn trap_05_stdin_is_a_pipe_that_stays_open() {
    // Both consoles have a stdin that the keeper holds; nothing is written to it at the start.
    let plan = plan(with(json!({}))).unwrap();
    assert_eq!((plan.console, plan.stdin), (Console::Pipes, None));
}

#[test]
fn trap_06_there_is_no_other_configuration_to_fall_back_to() {
    let plan = plan(with(json!({}))).unwrap();
    assert_eq!(
        plan.args,
        ["-c", "/run/adit/rig-1/config.json", "--data-dir=/run/adit/rig-1"].map(str::to_owned)
    );
    assert!(plan.env.is_empty(), "HOME stays the run's folder");
    let target = Target { os: "linux".into(), arch: "x86_64".into(), version: None };
    let InstallPlan::Release(release) = driver().install(&target).unwrap() else { panic!() };
    assert_eq!(release.remove, ["xmrig-{version}/config.json"]);
    for bad in [
        json!({}),
        json!({ "pools": [] }),
        json!({ "pools": [{ "url": "a.example:1", "wallet": "4W", "enabled": false }] }),
        json!({ "pool": "http://a.example:1", "wallet": "4W" }),
    ] {
        assert_eq!(self::plan(bad).unwrap_err().kind, ErrorKind::Invalid);
    }
    let seen = errors(&["no valid configuration found, try https://xmrig.com/wizard"]);
    assert!(seen[0].contains("found no pool that it can use"), "{seen:?}");
}

#[test]
fn trap_07_xmrig_neither_rewrites_nor_watches_its_configuration() {
    let written = file(with(json!({})));
    assert_eq!((&written["autosave"], &written["watch"]), (&json!(false), &json!(false)));
    assert!(plan(with(json!({ "xmrig": { "autosave": true } }))).is_err());
    assert!(plan(with(json!({ "xmrig": { "watch": true } }))).is_err());
    // After a change of pools the file is XMRig's own, and serves for the next change.
    let (_folder, launch) = run(with(json!({})));
    let mut own: Value = include_str!("../../samples/config-autosaved.json").parse().unwrap();
    own["http"]["port"] = launch.api_port.into();
    own["http"]["access-token"] = launch.api_token.clone().into();
    std::fs::write(launch.run_dir.join("config.json"), own.to_string()).unwrap();
    let params = json!({ "pools": [{ "url": "b.example:2", "wallet": "4B" }] });
    let body: Value = set_pools(&launch, params).unwrap().body.parse().unwrap();
    assert_eq!(body["cpu"]["rx"], json!([0]));
    assert_eq!(body["pools"][0]["url"], "b.example:2");
    // It is not written in one go.
    let half = &own.to_string()[..300];
    std::fs::write(launch.run_dir.join("config.json"), half).unwrap();
    let params = json!({ "pools": [{ "url": "b.example:2", "wallet": "4B" }] });
    assert_eq!(set_pools(&launch, params).unwrap_err().kind, ErrorKind::Unavailable);
}

#[test]
fn trap_08_a_change_of_pools_sends_the_whole_configuration() {
    let (folder, launch) = run(with(json!({ "threads": 1, "proxy": "127.0.0.1:9050" })));
    let params = json!({ "pools": [
        { "url": "b.example:2", "wallet": "4B" },
        { "url": "c.example:2", "wallet": "4C", "socks5": "", "rigId": "c" },
    ] });
    let ask = set_pools(&launch, params).unwrap();
    assert_eq!((ask.method.as_str(), ask.url.as_str()), ("PUT", "http://127.0.0.1:40001/1/config"));
    assert_eq!(ask.headers["Content-Type"], "application/json");
    assert_eq!(ask.headers["Authorization"], bearer());
    let mut body: Value = ask.body.parse().unwrap();
    let before = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
    let mut before: Value = before.parse().unwrap();
    let pools = body["pools"].take();
    before["pools"].take();
    assert_eq!(body, before);
    // What was common to all pools still is, above all the proxy.
    assert_eq!(pools[0]["socks5"], "127.0.0.1:9050");
    assert_eq!(pools[0]["rig-id"], "rig-1");
    assert_eq!((&pools[1]["socks5"], &pools[1]["rig-id"]), (&Value::Null, &json!("c")));
}

#[test]
fn trap_09_nothing_on_the_command_line_shadows_the_file() {
    let plan = plan(with(json!({
        "threads": 3, "hugePages": false, "cpuPriority": 2, "printTime": 5, "donateLevel": 2,
    })))
    .unwrap();
    assert_eq!(plan.args.len(), 3);
    assert!(plan.args.iter().all(|word| word == "-c"
        || word == "/run/adit/rig-1/config.json"
        || word == "--data-dir=/run/adit/rig-1"));
}

#[test]
fn trap_10_a_second_sigterm_comes_only_after_a_dataset_had_its_time() {
    let stop = driver().stop(&testing::launch()).unwrap();
    let term = StopAction::Signal { signal: "TERM".to_owned() };
    assert!(stop.steps.iter().all(|step| step.action == term));
    assert!(stop.steps[0].grace >= Duration::from_secs(30));
    assert!(stop.steps[0].grace <= Duration::from_secs(60));
}

/// That XMRig hangs after a redirect is its own; the second SIGTERM ends it.
#[test]
fn trap_11_a_redirect_is_told_and_the_stop_does_not_wait_for_ever() {
    assert_eq!(driver().stop(&testing::launch()).unwrap().steps.len(), 2);
    let seen = errors(&[
        "[2026-11-22 15:27:09.838]  net      p.example:3333 client.reconnect to evil.example:1",
    ]);
    assert!(seen[0].contains("sends the miner to evil.example:1"), "{seen:?}");
}

/// That a pool can crash XMRig is its own; the keeper sees the end and the host starts it again. The
/// driver itself must take any difficulty.
#[test]
fn trap_12_a_difficulty_of_a_hostile_pool_does_no_harm_here() {
    let mut summary: Value = include_str!("../../samples/summary-v2.json").parse().unwrap();
    for diff in [json!(0), json!(u64::MAX), json!(-1), json!(1e300), json!(null), json!("1")] {
        summary["results"]["diff_current"] = diff.clone();
        summary["connection"]["diff"] = diff.clone();
        let reply = testing::reply("summary", summary.to_string());
        let metrics = driver().stats(&testing::launch(), &[reply]).unwrap();
        assert_eq!(metrics.diff_current, diff.as_u64().filter(|diff| *diff > 0));
    }
}

#[test]
fn trap_13_a_forged_share_line_changes_no_counter() {
    let line = |text: &str| format!("[2026-11-22 15:27:00.000]  {text}");
    let real = |n: u64| line(&format!("cpu      accepted ({n}/0) diff 15 (0 ms)"));
    let (first, second) = (real(1), real(2));
    let message = line("net      p.example:1 error: \"you lose");
    let forged = line("cpu      accepted (777/0) diff 15 (0 ms)");
    let rest = "\", code: -1";
    assert_eq!(shares(&[&first, &message, &forged, rest, &second]), 2);
    // In quotes it stands where it is the pool's.
    let quoted = line("cpu      rejected (1/1) diff 15 \"accepted (2/0) diff 15 (0 ms)\" (0 ms)");
    assert_eq!(shares(&[&first, &quoted]), 1);
    // A share for XMRig's authors is printed with the counts as they were.
    assert_eq!(shares(&[&first, &first, &first, &second]), 2);
    // While the API works its counts are the only ones.
    let reply = testing::reply("summary", include_str!("../../samples/summary-v2.json"));
    let metrics = driver().stats(&testing::launch(), &[reply]).unwrap();
    assert_eq!((metrics.shares, metrics.rejected), (Some(20), Some(0)));
}

#[test]
fn trap_14_a_port_that_was_taken_is_told_and_the_output_serves() {
    for lines in [
        &[" * HTTP API     127.0.0.1:18089 address already in use"][..],
        &["[2026-11-22 15:27:00.000]  net      HTTP API server failed to start."],
    ] {
        let seen = errors(lines);
        assert!(seen[0].contains("could not open its API"), "{seen:?}");
        assert!(seen[0].contains("restart the miner"), "{seen:?}");
    }
    assert!(errors(&[" * HTTP API     127.0.0.1:44843 "]).is_empty());
    assert_eq!(file(with(json!({})))["http"]["port"], 40001);
    // What answers at that port then is somebody else's.
    for status in [401, 403] {
        let reply = Reply { status, ..testing::reply("summary", "{}") };
        let error = driver().stats(&testing::launch(), &[reply]).unwrap_err();
        assert!(error.message.contains("another program has XMRig's port"), "{error}");
    }
    let other = testing::reply("summary", r#"{"kind":"proxy","results":{"accepted":1}}"#);
    assert!(driver().stats(&testing::launch(), &[other]).is_err());
}

#[test]
fn trap_15_the_api_is_unrestricted_and_has_a_token() {
    let http = file(with(json!({})))["http"].take();
    assert_eq!(http["restricted"], false);
    assert_eq!(http["host"], "127.0.0.1");
    assert_eq!(http["access-token"], testing::launch().api_token.as_str());
    assert!(plan(with(json!({ "xmrig": { "http": { "restricted": true } } }))).is_err());
    for Probe { ask, .. } in driver().probes(&testing::launch()).unwrap() {
        let Ask::Http(ask) = ask else { panic!("not HTTP") };
        assert_eq!(ask.headers["Authorization"], bearer());
        assert!(!ask.url.contains('?'), "XMRig answers 404 to any query");
    }
}

#[test]
fn trap_16_a_donate_level_that_xmrig_would_ignore_is_refused() {
    let error = plan(with(json!({ "donateLevel": 0 }))).unwrap_err();
    assert_eq!(
        error.message,
        "donateLevel: XMRig's minimum is 1 and it takes 0 for 1: write 1 to 99"
    );
    for level in [-1, 100, i64::MAX] {
        assert!(plan(with(json!({ "donateLevel": level }))).is_err(), "{level}");
    }
    assert_eq!(file(with(json!({})))["donate-level"], 1);
    assert_eq!(file(with(json!({ "donateLevel": 99 })))["donate-level"], 99);
}

#[test]
fn trap_17_a_dead_pool_shows_in_the_phase_because_xmrig_never_exits() {
    let phase = |summary: &str| {
        let reply = testing::reply("summary", summary);
        driver().stats(&testing::launch(), &[reply]).unwrap().phase
    };
    assert_eq!(phase(include_str!("../../samples/summary-no-pool.json")), Some(Phase::Degraded));
    let mut never: Value = include_str!("../../samples/summary-early.json").parse().unwrap();
    never["connection"]["pool"] = "".into();
    never["connection"]["uptime_ms"] = 0.into();
    assert_eq!(phase(&never.to_string()), Some(Phase::Connecting));
    let limits = driver().describe().unwrap().phase_limits;
    assert!(limits.contains_key(&Phase::Connecting) && limits.contains_key(&Phase::Degraded));
    let seen = errors(&[
        "[2026-11-22 15:27:16.009]  net      p.example:1 192.0.2.1 connect error: \"connection \
         refused\"",
    ]);
    assert_eq!(
        seen,
        ["cannot reach the pool p.example:1: connection refused; check its address and port"]
    );
}

#[test]
fn trap_18_xmrig_is_never_sent_into_the_background() {
    let plan = plan(with(json!({}))).unwrap();
    let written: Value = plan.files[0].content.parse().unwrap();
    assert_eq!(written["background"], false);
    let error = self::plan(with(json!({ "xmrig": { "background": true } }))).unwrap_err();
    assert_eq!(
        error.message,
        "xmrig.background: is not yours to set: XMRig would leave its keeper"
    );
}

#[test]
fn trap_19_registers_are_changed_only_when_asked_for() {
    let randomx = file(with(json!({})))["randomx"].take();
    assert_eq!((&randomx["wrmsr"], &randomx["rdmsr"]), (&json!(false), &json!(false)));
    let randomx = file(with(json!({ "msr": true })))["randomx"].take();
    assert_eq!((&randomx["wrmsr"], &randomx["rdmsr"]), (&json!(true), &json!(true)));
    assert_eq!(file(with(json!({ "hugePages": false })))["cpu"]["huge-pages"], false);
    assert_eq!(file(with(json!({})))["dmi"], false);
}
