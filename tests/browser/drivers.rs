//! Drivers that wait for the operator: in quarantine, and not approved.

use std::fs;

use serde_json::json;

use crate::{host::Host, page::Page, pages::check};

/// A host whose settings have `text` for drivers.
fn host_with(text: &str) -> Host {
    let mut host = Host::absent();
    let usual = fs::read_to_string(host.settings()).unwrap();
    fs::write(host.settings(), format!("{usual}[drivers]\n{text}")).unwrap();
    host.up(&[]);
    host
}

/// The word on the card of the driver that shows `text`.
fn state(page: &Page, text: &str) -> String {
    let script = "return [...document.querySelectorAll('main .card')]
        .find((it) => it.innerText.includes(arguments[0]))?.querySelector('.tag').innerText";
    page.run(script, &[json!(text)]).as_str().unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs Chromium"]
fn a_quarantine_is_explained_and_cleared() {
    let host = host_with("quarantine_failures = 2\n");
    let spoilt = json!({ "name": "panic-start", "type": "faulty", "config": { "args": [] } });
    for _ in 0..2 {
        let (status, answer) = host.call("POST", "/miners", &spoilt);
        assert!(status >= 500, "{answer}");
    }
    let page = Page::of(&host);
    page.turn("#/drivers");
    page.wait_for_text("2 failures within");
    assert_eq!(state(&page, "2 failures within"), "quarantined");
    for (screen, width, scheme) in [("wide", 1280, "light"), ("phone", 390, "dark")] {
        page.resize(width, 844);
        page.prefer(scheme);
        let picture = format!("quarantine-{screen}-{scheme}");
        page.shoot(&picture);
        check(&page, &picture);
    }
    page.resize(1280, 800);
    page.click("Clear the quarantine");
    page.until("the driver to serve", || {
        !page.look("return document.body.innerText").to_string().contains("2 failures within")
    });
    assert_eq!(host.get("/drivers/faulty")["state"], "loaded");
    let complaints = page.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
#[ignore = "needs Chromium"]
fn a_file_is_trusted_after_its_sum_was_shown() {
    let host = host_with("trust = \"pinned\"\n");
    let drivers = host.get("/drivers");
    let sim = drivers.as_array().unwrap().iter().find(|it| it["id"] == "sim").unwrap();
    let path = sim["path"].as_str().unwrap();
    let page = Page::of(&host);
    page.turn("#/drivers");
    page.wait_for_text(path);
    assert_eq!(state(&page, path), "not trusted");
    page.click_at(&format!(
        "//li[contains(@class,'card')][.//p[normalize-space()='{path}']]//button"
    ));
    let asked = page.wait("the question", "return document.querySelector('dialog p')?.innerText");
    let sum = sim["sha256"].as_str().unwrap();
    assert!(asked.as_str().unwrap().contains(sum), "{asked}");
    page.click("Cancel");
    assert_eq!(state(&page, path), "not trusted", "asking alone does nothing");
    page.click_at(&format!(
        "//li[contains(@class,'card')][.//p[normalize-space()='{path}']]//button"
    ));
    page.shoot("trust-wide-light");
    page.click_at("//dialog//footer/button[normalize-space()='Trust this file']");
    page.until("the driver to be loaded", || state(&page, path) == "loaded");
    let lock = fs::read_to_string(host.state().join("drivers.lock")).unwrap();
    assert!(lock.contains(sum), "{lock}");
    let complaints = page.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
