//! A controller that is killed while a command of it is on its way.

use std::{fs, thread, time::Duration};

use serde_json::{Value, json};

use super::{
    id, node,
    relay::{DELAY, Relay},
    wait_for_peer,
};
use crate::host::{Host, signal, wait_for};

fn runs(worker: &Host) -> usize {
    worker.get("/miners/rig/runs").as_array().unwrap().len()
}

fn stop_here(worker: &Host) {
    worker.ok("DELETE", "/miners/rig", &Value::Null);
    worker.wait_for_phase("rig", "stopped");
}

#[test]
fn a_command_has_one_effect_when_the_controller_is_killed_meanwhile() {
    let (mut controller, worker) = (node("farm", "controller"), node("rig", "worker"));
    let listen = controller.get("/node/info")["listen"].as_str().unwrap().to_owned();
    let text = fs::read_to_string(controller.settings()).unwrap();
    fs::write(controller.settings(), text.replace("127.0.0.1:0", &listen)).unwrap();
    // A slow network, so that there is a meanwhile.
    let relay = Relay::to(listen);
    let made = controller.ok("POST", "/node/invite", &json!({ "address": relay.address }));
    worker.ok("POST", "/node/join", &json!({ "invite": made["invite"] }));
    let rig = id(&worker);
    wait_for_peer(&controller, &rig);
    worker.simulate("rig", &json!({}));
    stop_here(&worker);
    let path = format!("/remote/{rig}/start");
    // Before it is sent, on its way there, being carried out, and on the way back.
    for (number, after) in [0, 1, 2, 3].into_iter().zip([0.0, 0.5, 1.2, 1.8]) {
        let request = format!("7b1c8f0e-0000-4000-8000-00000000000{number}");
        let start = json!({ "minerName": "rig", "requestId": request });
        let before = runs(&worker);
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                controller
                    .request("POST", &path)
                    .json(&start)
                    .send()
                    .is_ok_and(|it| it.status().is_success())
            });
            thread::sleep(DELAY.mul_f64(after));
            signal(controller.pid(), rustix::process::Signal::KILL);
            // Nobody got an answer, or the machine was very slow.
            let _answered = asking.join().unwrap();
        });
        controller.kill();
        controller.up(&[]);
        wait_for_peer(&controller, &rig);
        // Whoever did not get the answer asks again, with the same id.
        let again = || {
            let (status, answer) = controller.call("POST", &path, &start);
            // Right after the restart the answer may be lost to the old session.
            if status == 200 { Some(answer) } else { None }
        };
        let answer = wait_for("the answer", again);
        assert_eq!(answer["status"], "miner started", "{answer}");
        assert_eq!(runs(&worker), before + 1, "killed after {after} delays");
        stop_here(&worker);
        // And once more: it was done, and is not done again.
        assert_eq!(controller.ok("POST", &path, &start), answer);
        thread::sleep(Duration::from_millis(200));
        assert_eq!(runs(&worker), before + 1);
        assert_eq!(worker.miner("rig")["running"], false);
    }
}
