//! Markup in what miners, pools and devices say.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
};

use serde_json::{Value, json};

use crate::{host::Host, page::Page};

/// Runs if it is ever taken for markup: at once, or with the policy broken and noted.
const MARKUP: &str = "<img src=x onerror=owned=1><script>owned=1</script><b class=owned>";
/// The same without spaces, and short.
const WORD: &str = "<img/src=x/onerror=owned=1>";

/// A device on the network whose pool, boards and algorithm are markup. Returns its address.
fn device() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = json!({
        "STATUS": [{ "STATUS": "S", "Msg": MARKUP }],
        "SUMMARY": [{ "Elapsed": 5000, "MHS av": 4.5, "MHS 5s": 4.5, "Accepted": 12,
                      "Rejected": 1, "Hardware Errors": 0, "Stale": 0 }],
        "DEVS": [{ "ASC": 0, "Name": MARKUP, "ID": 0, "Enabled": "Y", "Status": MARKUP,
                   "Temperature": 62.5, "MHS av": 4.5, "MHS 5s": 4.5, "Accepted": 12 }],
        "POOLS": [{ "POOL": 0, "URL": MARKUP, "Status": "Alive", "Priority": 0, "User": MARKUP,
                    "Stratum Active": true, "Stratum URL": MARKUP, "Last Share Time": 1 }],
        "COIN": [{ "Hash Method": WORD }],
    });
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut question = [0; 4096];
            drop(connection.read(&mut question));
            drop(connection.write_all(format!("{answer}\0").as_bytes()));
        }
    });
    address
}

#[test]
#[ignore = "needs Chromium"]
fn what_miners_pools_and_devices_say_is_shown_and_never_run() {
    let host = Host::start();
    let config = json!({ "worker": WORD, "algorithm": WORD });
    host.simulate("words", &config);
    let asic = json!({ "name": "asic", "type": "asic", "config": { "address": device() } });
    host.ok("POST", "/miners", &asic);
    let profile = json!({ "name": MARKUP, "minerType": "sim", "tags": [WORD], "config": config });
    host.ok("POST", "/profiles", &profile);
    host.ok("POST", "/tokens", &json!({ "name": MARKUP, "role": "view" }));
    host.wait_for_phase("words", "mining");
    let echo = json!({ "input": format!("echo {MARKUP}\n") });
    host.ok("POST", "/miners/words/stdin", &echo);
    host.wait_for_phase("asic", "mining");

    let page = Page::of(&host);
    let places = [
        ("#/", MARKUP, "the pool on the card"),
        ("#/", WORD, "the algorithm on the card"),
        ("#/miners/asic", MARKUP, "the pool and the device"),
        ("#/miners/words/log", MARKUP, "a line of output"),
        ("#/miners/words/plan", WORD, "the worker in a file"),
        ("#/profiles", MARKUP, "a profile"),
        ("#/settings/tokens", MARKUP, "a token"),
        ("#/events", MARKUP, "the pool in an event"),
    ];
    for (hash, text, what) in places {
        page.turn(hash);
        page.until(what, || {
            let shown = page.look("return document.body.innerText");
            shown.as_str().is_some_and(|it| it.contains(text))
        });
    }
    page.turn("#/profiles/exchange");
    page.click("JSON");
    page.click("Show");
    page.wait("what is exported", "return document.querySelector('pre.tail')?.innerText");
    let more =
        json!({ "adit": 1, "profiles": [{ "name": format!("{WORD} 2"), "minerType": "sim" }] });
    page.fill("import-text", &more.to_string());
    page.click("See what would happen");
    page.wait("what would be imported", "return document.querySelector('.outcome')?.innerText");
    for hash in [
        "#/settings/doctor",
        "#/miners/asic/pools",
        "#/drivers",
        "#/fleet",
        "#/settings/audit",
        "#/miners/%3Cimg%20src=x%3E",
    ] {
        page.turn(hash);
        page.wait(hash, "return document.querySelector('main h1, main h2')");
    }
    let owned = page.look("return [window.owned, document.querySelector('.owned')]");
    assert_eq!(owned, json!([Value::Null, Value::Null]));
    // The address of a miner that is not there is asked for, and nothing else went wrong.
    let complaints = page.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
