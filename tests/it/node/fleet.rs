//! A controller and its workers.

use std::fs;

use serde_json::{Value, json};

use super::{allow, id, join, node, node_at, remote_miner, wait_for_peer};
use crate::host::{Host, wait_for};

#[test]
fn a_controller_sees_starts_and_stops_the_miners_of_its_workers() {
    let controller = node("farm", "controller");
    let workers = [node("rig-1", "worker"), node("rig-2", "worker")];
    for worker in &workers {
        join(worker, &controller, &["cellar"]);
        worker.simulate("rig", &json!({}));
    }
    let [one, two] = [id(&workers[0]), id(&workers[1])];
    for peer in [&one, &two] {
        wait_for("figures of the worker", || {
            let miner = remote_miner(&controller, peer, "rig");
            (miner["phase"] == "mining" && miner["hashrate"].as_f64()? > 0.0).then_some(())
        });
    }
    let fleet = controller.get("/remote/stats");
    assert_eq!((&fleet["nodes"], &fleet["connected"]), (&json!(2), &json!(2)));
    let totals = fleet["totals"]["algorithms"].as_object().unwrap();
    assert_eq!(totals.len(), 1, "{totals:?}");
    assert_eq!(totals.values().next().unwrap()["miners"], 2);
    let asked = controller.get(&format!("/remote/{one}/stats"));
    assert_eq!(asked["miners"]["rig"]["minerType"], "sim");
    let lines = controller.get(&format!("/remote/{one}/logs/rig?lines=5"));
    assert!(!lines.as_array().unwrap().is_empty(), "{lines}");
    let stop = json!({ "minerName": "rig" });
    let stopped = controller.ok("POST", &format!("/remote/{one}/stop"), &stop);
    assert_eq!(stopped, json!({ "status": "stopped" }));
    workers[0].wait_for_phase("rig", "stopped");
    assert_eq!(workers[1].miner("rig")["running"], true);
    let started = controller.ok("POST", &format!("/remote/{one}/start"), &stop);
    assert_eq!(started["status"], "miner started");
    workers[0].wait_for_phase("rig", "mining");
    let many = json!({ "targets": { "tags": ["cellar"] }, "command": stop });
    let outcomes = controller.ok("POST", "/remote/stop", &many);
    assert!(outcomes.as_array().unwrap().iter().all(|it| it["result"]["status"] == "stopped"));
    for (worker, peer) in workers.iter().zip([&one, &two]) {
        worker.wait_for_phase("rig", "stopped");
        wait_for("the controller to hear of it", || {
            (remote_miner(&controller, peer, "rig")["phase"] == "stopped").then_some(())
        });
    }
    let audit = workers[0].get("/audit?limit=20");
    let by_peer = format!("peer {}", id(&controller));
    let noted = |action: &str| {
        audit.as_array().unwrap().iter().any(|it| it["who"] == *by_peer && it["action"] == action)
    };
    assert!(noted("stop_miner rig") && noted("start_miner rig"), "{audit}");
}

#[test]
fn a_controller_cannot_redirect_an_income_unless_the_rig_lets_it() {
    let (controller, worker) = (node("farm", "controller"), node("rig", "worker"));
    join(&worker, &controller, &[]);
    let (farm, rig) = (id(&controller), id(&worker));
    let start = format!("/remote/{rig}/start");
    let tuned = json!({ "minerName": "new", "minerType": "sim", "config": { "seed": 1 } });
    let paid = json!({ "minerName": "new", "minerType": "sim",
                       "config": { "pool": "pool.example:1", "wallet": "thief" } });
    let refused = |body: &Value, lacking: &str| {
        let (status, answer) = controller.call("POST", &start, body);
        let told = answer["error"].as_str().unwrap();
        assert!(status == 403 && told.contains(lacking), "{status} {answer}");
        assert_eq!(answer["details"]["peerCode"], "FORBIDDEN");
    };
    refused(&tuned, "the right to config");
    refused(&paid, "the right to config, payout");
    allow(&worker, &farm, &["stats", "logs", "control", "config"]);
    refused(&paid, "the right to payout");
    assert_eq!(worker.get("/miners"), json!([]));
    assert_eq!(controller.ok("POST", &start, &tuned)["minerName"], "new");
    worker.wait_for_phase("new", "mining");
    allow(&worker, &farm, &[]);
    let (status, _) =
        controller.call("POST", &format!("/remote/{rig}/stop"), &json!({ "minerName": "new" }));
    assert_eq!(status, 403);
    let install = json!({ "minerType": "xmrig" });
    let (status, _) = controller.call("POST", &format!("/remote/{rig}/install"), &install);
    assert_eq!(status, 403);
    assert_eq!(worker.miner("new")["running"], true);
}

#[test]
fn a_deployed_profile_cannot_drop_a_pool_without_the_right_to_payout() {
    let (controller, worker) = (node("farm", "controller"), node("rig", "worker"));
    join(&worker, &controller, &[]);
    let (farm, rig) = (id(&controller), id(&worker));
    worker.ok("POST", "/wallets", &json!({ "name": "mine", "address": "my-wallet-address" }));
    let pool = json!({ "name": "home", "url": "pool.example:1", "wallet": "mine" });
    worker.ok("POST", "/pools", &pool);
    for (name, more) in [
        ("in-config", json!({ "config": { "seed": 1, "pool": "pool.example:1", "wallet": "w" } })),
        ("in-list", json!({ "config": { "seed": 1 }, "pools": [{ "pool": "home" }] })),
        ("with-secret", json!({ "config": { "seed": 1, "password": "hunter2-hunter2" } })),
        ("harmless", json!({ "config": { "seed": 1, "devices": 2 } })),
    ] {
        let mut profile = json!({ "name": name, "minerType": "sim" });
        profile.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        worker.ok("POST", "/profiles", &profile);
    }
    let before = worker.get("/profiles");
    let deploy = |command: Value| {
        let body = json!({ "targets": { "peers": [rig] }, "command": command });
        controller.ok("POST", "/remote/deploy", &body)[0].clone()
    };
    allow(&worker, &farm, &["stats", "logs", "control", "config"]);
    for command in [
        json!({ "name": "in-config", "minerType": "sim", "config": { "seed": 2 } }),
        json!({ "name": "in-config", "minerType": "sim", "config": {} }),
        json!({ "name": "in-list", "minerType": "sim", "config": { "seed": 1 }, "pools": [] }),
        json!({ "name": "with-secret", "minerType": "sim", "config": { "seed": 2 } }),
    ] {
        let outcome = deploy(command.clone());
        let told = outcome["error"]["message"].as_str().unwrap_or_default();
        assert!(told.contains("the right to payout"), "{command}: {outcome}");
        assert_eq!(worker.get("/profiles"), before, "{command}");
    }
    // What it may, it still may: also over a profile whose pools stay as they are.
    for command in [
        json!({ "name": "harmless", "minerType": "sim", "config": { "seed": 2 } }),
        json!({ "name": "in-list", "minerType": "sim", "config": { "seed": 2 } }),
        json!({ "name": "new", "minerType": "sim", "config": { "seed": 3 } }),
    ] {
        assert_eq!(deploy(command.clone())["result"]["status"], "deployed", "{command}");
    }
    let pools = worker.get("/profiles/in-list")["pools"].to_string();
    assert!(pools.contains("home"), "{pools}");
    allow(&worker, &farm, &["stats", "control", "config", "payout"]);
    let all = json!({ "name": "in-config", "minerType": "sim", "config": { "seed": 2 } });
    assert_eq!(deploy(all)["result"]["status"], "deployed");
}

#[test]
fn a_controller_that_is_killed_loses_no_worker_and_repeats_nothing() {
    let mut controller = node("farm", "controller");
    let worker = node("rig", "worker");
    // The port stays the same over the restart.
    let address = controller.get("/node/info")["listen"].as_str().unwrap().to_owned();
    let text = fs::read_to_string(controller.settings()).unwrap();
    fs::write(controller.settings(), text.replace("127.0.0.1:0", &address)).unwrap();
    join(&worker, &controller, &[]);
    worker.simulate("rig", &json!({}));
    let pid = worker.program("rig");
    let rig = id(&worker);
    let request = "7b1c8f0e-0000-4000-8000-000000000001";
    let stop = json!({ "minerName": "rig", "requestId": request });
    let path = format!("/remote/{rig}/stop");
    controller.ok("POST", &path, &stop);
    worker.wait_for_phase("rig", "stopped");
    controller.kill();
    worker.ok("POST", "/miners/rig/start", &Value::Null);
    let pid_again = worker.program("rig");
    assert_ne!(pid, pid_again);
    controller.up(&[]);
    wait_for_peer(&controller, &rig);
    // Whoever did not get the answer asks again; the miner that was started meanwhile runs on.
    assert_eq!(controller.ok("POST", &path, &stop)["status"], "stopped");
    assert_eq!(worker.program("rig"), pid_again);
    let runs = worker.get("/miners/rig/runs");
    assert_eq!(runs.as_array().unwrap().len(), 2, "{runs}");
    wait_for("figures", || {
        (remote_miner(&controller, &rig, "rig")["running"] == true).then_some(())
    });
}

#[test]
fn a_worker_that_is_restarted_comes_back_with_its_miner() {
    let controller = node("farm", "controller");
    let mut worker = node_at("rig", "worker", "off");
    join(&worker, &controller, &[]);
    worker.simulate("rig", &json!({}));
    let pid = worker.program("rig");
    let rig = id(&worker);
    wait_for("figures", || {
        (remote_miner(&controller, &rig, "rig")["running"] == true).then_some(())
    });
    worker.kill();
    wait_for("the loss to be noticed", || {
        (controller.get(&format!("/peers/{rig}"))["connected"] == false).then_some(())
    });
    let (status, answer) =
        controller.call("POST", &format!("/remote/{rig}/stop"), &json!({ "minerName": "rig" }));
    assert_eq!((status, &answer["code"]), (503, &json!("PEER_OFFLINE")));
    // What was told last is still shown.
    assert_eq!(remote_miner(&controller, &rig, "rig")["running"], true);
    worker.up(&[]);
    wait_for_peer(&controller, &rig);
    worker.wait_for_phase("rig", "mining");
    assert_eq!(worker.program("rig"), pid);
    assert_eq!(worker.get("/node/info")["listen"], Value::Null);
}

#[test]
fn profiles_are_deployed_in_waves_and_started() {
    let controller = node("farm", "controller");
    let (good, bad) = (node("good", "worker"), node("bad", "worker"));
    for worker in [&good, &bad] {
        join(worker, &controller, &["all"]);
    }
    allow(&good, &id(&controller), &["stats", "control", "config"]);
    let fast = json!({ "preparingMs": 0, "shareIntervalMs": 200, "seed": 1 });
    let deploy = json!({
        "targets": { "tags": ["all"] },
        "command": { "name": "fast", "minerType": "sim", "config": fast, "start": "rig" },
    });
    let outcomes = controller.ok("POST", "/remote/deploy", &deploy);
    for outcome in outcomes.as_array().unwrap() {
        let well = outcome["id"] == *id(&good);
        assert_eq!(outcome["result"]["status"] == "deployed", well, "{outcomes}");
        assert_eq!(outcome["error"].is_null(), well, "{outcomes}");
    }
    good.wait_for_phase("rig", "mining");
    assert_eq!(good.get("/profiles")[0]["name"], "fast");
    assert_eq!(bad.get("/profiles"), json!([]));
    // Over itself, and from then on by its name.
    controller.ok("POST", "/remote/deploy", &deploy);
    assert_eq!(good.get("/profiles").as_array().unwrap().len(), 1);
    let start = json!({ "profileId": "fast", "minerName": "another" });
    controller.ok("POST", &format!("/remote/{}/start", id(&good)), &start);
    good.wait_for_phase("another", "mining");
    let missing = json!({ "profileId": "nothing" });
    let path = format!("/remote/{}/start", id(&good));
    assert_eq!(controller.call("POST", &path, &missing).0, 404);
    let mut path_like = deploy.clone();
    path_like["command"]["name"] = "../../fast".into();
    path_like["targets"] = json!({ "peers": [id(&good)] });
    let refused = controller.ok("POST", "/remote/deploy", &path_like);
    assert!(refused[0]["error"]["message"].as_str().unwrap().contains("not a path"), "{refused}");
}

#[test]
fn bad_requests_say_what_to_change() {
    let host = node("farm", "controller");
    for (method, path, body, status, told) in [
        ("POST", "/node/init", json!({ "name": "again" }), 409, "has a key already"),
        ("POST", "/node/join", json!({ "invite": "adit1_x" }), 400, "damaged"),
        ("POST", "/node/invite", json!({ "minutes": 0 }), 400, "minutes: write 1 to"),
        ("POST", "/node/invite", json!({ "address": "x" }), 400, "address: write host:port"),
        ("POST", "/node/invite", json!({ "tags": ["a b"] }), 400, "tags: write at most"),
        ("POST", "/peers", json!({ "address": "1.2.3.4:9091" }), 400, "make an invite"),
        ("GET", "/peers/nobody", Value::Null, 404, "no peer nobody"),
        ("GET", "/remote/nobody/stats", Value::Null, 404, "no peer nobody"),
        ("GET", "/remote/nobody/logs/A", Value::Null, 400, "is not usable"),
        ("POST", "/remote/nobody/start", json!({}), 400, "minerName, profileId or minerType"),
        ("POST", "/remote/nobody/stop", json!({ "minerName": "../x" }), 400, "is not usable"),
        (
            "POST",
            "/remote/stop",
            json!({ "targets": {}, "command": { "minerName": "a" } }),
            400,
            "no node is chosen",
        ),
        (
            "POST",
            "/remote/stop",
            json!({ "targets": { "all": true }, "command": { "minerName": "a" } }),
            400,
            "there is no node to command",
        ),
        ("POST", "/node/rotate", json!({ "finish": true }), 400, "no new key was announced"),
    ] {
        let (given, answer) = host.call(method, path, &body);
        let sentence = answer["error"].as_str().unwrap();
        assert!(given == status && sentence.contains(told), "{method} {path}: {given} {answer}");
    }
    let made = host.ok("POST", "/peers", &Value::Null);
    assert!(made["invite"].as_str().unwrap().starts_with("adit1_"));
}

#[test]
fn the_command_line_pairs_two_machines() {
    let controller = Host::absent();
    let usual = fs::read_to_string(controller.settings()).unwrap();
    fs::write(controller.settings(), format!("{usual}[node]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
    let mut controller = controller;
    controller.up(&[]);
    let mut worker = Host::absent();
    worker.up(&[]);
    let told = |host: &Host, args: &[&str]| {
        let output = host.run(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(told(&worker, &["node", "info"]).contains("no key yet"));
    told(&controller, &["node", "init", "farm", "--role", "controller"]);
    told(&worker, &["node", "init", "rig", "--role", "worker"]);
    let shown = told(&controller, &["node", "invite"]);
    assert!(!shown.contains(['█', '▀']), "a picture is for terminals: {shown}");
    let code = shown.lines().find(|line| line.starts_with("adit1_")).unwrap();
    let joined = told(&worker, &["node", "join", code]);
    assert!(joined.contains(&id(&controller)) && joined.contains(&id(&worker)), "{joined}");
    wait_for_peer(&controller, &id(&worker));
    assert!(told(&controller, &["peer", "list"]).contains("connected"));
    assert!(told(&controller, &["peer", "ping", "rig"]).contains("ms"));
    worker.simulate("sim", &json!({}));
    told(&controller, &["remote", "stop", "sim", "--all"]);
    worker.wait_for_phase("sim", "stopped");
    told(&worker, &["peer", "set", "farm", "--rights", "none"]);
    let output = controller.run(&["remote", "start", "sim", "--all"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("the right to control"));
    told(&controller, &["peer", "remove", "rig"]);
    assert_eq!(controller.get("/peers"), json!([]));
}
