//! Many nodes commanded at once.

use std::fs;

use serde_json::json;

use crate::{
    host::{Host, wait_for},
    page::Page,
};

fn node(name: &str, role: &str) -> Host {
    let mut host = Host::absent();
    let usual = fs::read_to_string(host.settings()).unwrap();
    fs::write(host.settings(), format!("{usual}[node]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
    host.up(&[]);
    host.ok("POST", "/node/init", &json!({ "name": name, "role": role }));
    host
}

/// Outcomes by node.
const OUTCOMES: &str = "return [...document.querySelectorAll('dialog tbody tr')]
    .map((row) => [...row.cells].map((it) => it.innerText).join(' '))";

#[test]
#[ignore = "needs Chromium"]
fn miners_of_two_nodes_are_stopped_and_started_at_once() {
    let farm = node("farm", "controller");
    let workers = [node("rig-1", "worker"), node("rig-2", "worker")];
    for worker in &workers {
        worker.simulate("cpu", &json!({}));
        let invite = farm.ok("POST", "/node/invite", &json!({ "tags": ["cellar"] }));
        worker.ok("POST", "/node/join", &json!({ "invite": invite["invite"] }));
    }
    // One of them has another miner, which the other does not know.
    workers[0].simulate("alone", &json!({}));
    wait_for("both nodes", || (farm.get("/remote/stats")["connected"] == 2).then_some(()));

    let page = Page::of(&farm);
    page.turn("#/fleet");
    page.wait("both nodes", "return document.querySelectorAll('main li .tag.good').length === 2");
    page.click_at("//label[contains(., 'Select all')]/input");
    page.wait_for_text("2 selected");
    let command = |verb: &str, miner: &str| {
        page.click_at(&format!("//*[contains(@class,'toolbar')]//button[.='{verb}']"));
        let known = "return [...document.querySelectorAll('#bulk-names option')]
            .map((it) => it.value)";
        page.until("the miners to choose from", || page.look(known) == json!(["alone", "cpu"]));
        page.fill("bulk-name", miner);
        page.click_at("//dialog//button[@type='submit']");
        page.wait("the outcomes", "return document.querySelector('dialog tbody tr')");
        let mut outcomes: Vec<String> = serde_json::from_value(page.look(OUTCOMES)).unwrap();
        outcomes.sort();
        outcomes
    };
    assert_eq!(command("Stop a miner", "cpu"), ["rig-1 done", "rig-2 done"]);
    page.shoot("bulk-wide-light");
    page.click_at("//dialog//footer/button");
    for worker in &workers {
        worker.wait_for_phase("cpu", "stopped");
    }
    assert_eq!(workers[0].miner("alone")["running"], true, "the others mine on");
    assert_eq!(command("Start a miner", "cpu"), ["rig-1 done", "rig-2 done"]);
    page.click_at("//dialog//footer/button");
    for worker in &workers {
        worker.wait_for_phase("cpu", "mining");
    }
    // Whether the other was tried before depends on their ids.
    let outcomes = command("Stop a miner", "alone");
    assert!(outcomes[1].starts_with("rig-2 ") && outcomes[1] != "rig-2 done", "{outcomes:?}");
}
