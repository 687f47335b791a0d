//! What a newcomer does first.

use serde_json::json;

use crate::{
    host::{Host, wait_for},
    page::{Page, pages, token},
};

#[test]
#[ignore = "needs Chromium"]
fn a_token_is_asked_for_and_a_wrong_one_is_refused() {
    let host = Host::start();
    let page = Page::open();
    page.go(&pages(&host));
    page.fill("token", "wrong");
    page.click("Enter");
    page.wait_for_text("This token is not known");
    let token = token(&host);
    page.fill("token", &token);
    page.click("Enter");
    page.wait_for_text("No miners yet");
    assert_eq!(page.look("return localStorage.getItem('adit-token')"), json!(null));
    page.turn("#/settings");
    page.click("Forget the token");
    page.wait("the question", "return document.querySelector('#token')");
    assert_eq!(page.look("return sessionStorage.length"), 0, "nothing of the token is left");
    // The link works in the very tab that asks, where it changes nothing but the fragment.
    page.run("location.hash = arguments[0]", &[json!(format!("token={token}"))]);
    page.wait_for_text("No miners yet");
}

#[test]
#[ignore = "needs Chromium"]
fn a_miner_is_started_watched_paused_and_stopped() {
    let host = Host::start();
    let page = Page::of(&host);
    let address = page.look("return location.href");
    assert_eq!(address, format!("{}#/", pages(&host)), "the token is not in the address any more");

    page.wait_for_text("No miners yet");
    page.click("Start a miner");
    page.choose("what", "Simulated miner");
    page.fill("field-pool", "no-port");
    page.fill("name", "first");
    page.click_at("//dialog//button[@type='submit']");
    page.wait("the refusal", "return document.querySelector('dialog .problem')?.innerText");
    page.fill("field-pool", "pool.example:5555");
    page.click_at("//dialog//button[@type='submit']");
    page.wait("the page of the miner", "return location.hash === '#/miners/first'");
    let pool = wait_for("the pool", || {
        host.get("/miners/first/stats")["pool"]["url"].as_str().map(str::to_owned)
    });
    assert_eq!(pool, "pool.example:5555");

    page.run("window.mark = 'not loaded anew'", &[]);
    let rate =
        "return document.querySelector('[data-rate=first]')?.innerText.match(/[0-9].*H.s/)?.[0]";
    let first = page.wait("a hashrate", rate);
    page.until("another hashrate", || {
        let now = page.look(rate);
        now.is_string() && now != first
    });
    assert_eq!(page.look("return window.mark"), "not loaded anew");

    for (metric, range) in [("Hashrate", "5 min"), ("Temperature", "1 h"), ("Power", "24 h")] {
        page.click_at(&format!("//select[@aria-label='Metric']/option[.='{metric}']"));
        page.click(range);
        let drawn = "const canvas = document.querySelector('.plot canvas');
            const label = document.querySelector('.plot')?.getAttribute('aria-label') ?? '';
            if (!canvas || !label.startsWith(arguments[0])) return false;
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            return data.some((it) => it !== 0);";
        page.until(metric, || page.run(drawn, &[json!(metric)]) == true);
    }

    page.click("Pause");
    page.wait("the pause", "return document.querySelector('.phase-paused')");
    host.wait_for_phase("first", "paused");
    page.click("Resume");
    page.wait("the end of the pause", "return document.querySelector('.phase-mining')");

    page.click("Log");
    page.fill("stdin", "echo what was typed");
    page.click("Send");
    page.wait_for_text("what was typed");

    page.click("Stop");
    page.wait("the stop", "return document.querySelector('.phase-stopped')");
    let miner = host.miner("first");
    assert_eq!((&miner["desired"], &miner["running"]), (&json!("stopped"), &json!(false)));
    page.click("Start");
    page.wait("the start", "return document.querySelector('.phase-mining')");
    page.click("Remove");
    page.click("Stop and forget");
    page.wait_for_text("No miners yet");
    let complaints = page.complaints();
    // The form that was refused, and nothing else.
    assert!(complaints.iter().all(|it| it.contains("400")), "{complaints:#?}");
}
