//! What a controller keeps of the past of its workers' miners.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{id, join, node, remote_miner, wait_for_peer};
use crate::host::{Host, PATIENCE, wait_for};

fn moments(points: &Value) -> Vec<String> {
    let points = points.as_array().unwrap_or_else(|| panic!("{points} is no list"));
    points.iter().map(|point| point["timestamp"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the controller has every sample that the worker has now, from `since` on.
fn wait_for_all(worker: &Host, controller: &Host, since: &str) {
    let range = format!("since={since}&points=10000");
    let own = moments(&worker.get(&format!("/history/miners/rig/hashrate?{range}")));
    assert!(!own.is_empty());
    let path = format!("/remote/{}/miners/rig/hashrate-history", id(worker));
    let mut missing = own.clone();
    let began = Instant::now();
    while !missing.is_empty() {
        assert!(
            began.elapsed() < PATIENCE,
            "of {} samples these are missing: {missing:?}",
            own.len()
        );
        let kept = controller.get(&format!("{path}?source=controller&{range}"));
        let kept: BTreeSet<String> = moments(&kept).into_iter().collect();
        missing.retain(|moment| !kept.contains(moment));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn more_samples(host: &Host, count: usize) {
    let all = || host.get("/history/miners/rig")["totalPoints"].as_u64().unwrap();
    let before = all();
    wait_for("more samples", || (all() >= before + count as u64).then_some(()));
}

#[test]
fn no_sample_is_lost_while_either_side_is_down() {
    let (mut controller, mut worker) = (node("farm", "controller"), node("rig", "worker"));
    // The port stays the same over the restart.
    let address = controller.get("/node/info")["listen"].as_str().unwrap().to_owned();
    let text = fs::read_to_string(controller.settings()).unwrap();
    fs::write(controller.settings(), text.replace("127.0.0.1:0", &address)).unwrap();
    join(&worker, &controller, &[]);
    worker.simulate("rig", &json!({}));
    let rig = id(&worker);
    wait_for("figures", || remote_miner(&controller, &rig, "rig")["hashrate"].as_f64());
    let path = format!("/remote/{rig}/miners/rig/hashrate-history");
    let kept = format!("{path}?source=controller&points=10000");
    let since = wait_for("the first sample", || {
        let (status, points) = controller.call("GET", &kept, &Value::Null);
        (status == 200).then(|| points[0]["timestamp"].as_str().map(str::to_owned))?
    });
    controller.kill();
    more_samples(&worker, 10);
    controller.up(&[]);
    wait_for_peer(&controller, &rig);
    // The newest ones are on their way.
    more_samples(&worker, 3);
    wait_for_all(&worker, &controller, &since);
    worker.kill();
    worker.up(&[]);
    wait_for_peer(&controller, &rig);
    more_samples(&worker, 3);
    wait_for_all(&worker, &controller, &since);
    // The worker tells itself, and when it is gone the controller does.
    let told = controller.get(&path);
    assert!(told.as_array().unwrap().len() >= 10, "{told}");
    let phases = controller.get(&format!("{path}?metric=phase&source=controller"));
    assert!(phases.as_array().unwrap().iter().any(|it| it["phase"] == "mining"), "{phases}");
    worker.kill();
    wait_for("the loss to be noticed", || {
        (controller.get(&format!("/peers/{rig}"))["connected"] == false).then_some(())
    });
    assert!(!moments(&controller.get(&path)).is_empty());
    let shown = controller.run_json(&["history", "show", "rig", "--peer", "rig"]);
    assert!(!moments(&shown).is_empty());
    let (status, answer) = controller.call("GET", &format!("{path}?source=worker"), &Value::Null);
    assert_eq!((status, &answer["code"]), (503, &json!("PEER_OFFLINE")));
    // The miners of others are not one's own.
    assert_eq!(controller.get("/history/miners"), json!([]));
    let other = format!("/remote/{rig}/miners/other/hashrate-history");
    let (status, answer) = controller.call("GET", &other, &Value::Null);
    assert_eq!((status, &answer["code"]), (404, &json!("MINER_NOT_FOUND")), "{answer}");
    for (query, told) in [("metric=x", "no metric"), ("points=0", "points"), ("source=x", "source")]
    {
        let (status, answer) = controller.call("GET", &format!("{path}?{query}"), &Value::Null);
        let sentence = answer["error"].as_str().unwrap();
        assert!(status == 400 && sentence.contains(told), "{query}: {answer}");
    }
}
