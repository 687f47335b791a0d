//! Profiles, wallets and pools from one rig to another, by hand.

use std::fs;

use serde_json::{Value, json};

use crate::{
    host::{Host, wait_for},
    page::Page,
    pages::check,
};

/// Rows of the table of what happens: name, kind, and what.
const ROWS: &str = "return [...document.querySelectorAll('.outcome tbody tr')]
    .map((row) => [...row.cells].map((it) => it.innerText.trim()).join('|'))";

fn furnish(host: &Host) {
    let wallet = json!({ "name": "xmr", "coin": "XMR", "address": "4Address" });
    host.ok("POST", "/wallets", &wallet);
    let pool = json!({ "name": "main", "url": "main.example:3333", "wallet": "xmr",
                       "password": "hunter-two" });
    host.ok("POST", "/pools", &pool);
    let profile = json!({ "name": "cpu", "minerType": "sim", "pools": ["main"], "config": {} });
    host.ok("POST", "/profiles", &profile);
}

#[test]
#[ignore = "needs Chromium"]
fn what_one_rig_exports_another_imports_after_a_look() {
    let (from, to) = (Host::start(), Host::start());
    furnish(&from);
    let page = Page::of(&from);
    let downloads = tempfile::tempdir().unwrap();
    page.downloads_to(downloads.path());
    page.turn("#/profiles");
    page.click("Import and export");
    page.click("Download");
    let file = wait_for("the download", || {
        let file = fs::read_dir(downloads.path()).unwrap().flatten().next()?.path();
        let is_whole = file.extension()? == "toml" && file.metadata().ok()?.len() > 0;
        is_whole.then_some(file)
    });
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("[[profiles]]") && !text.contains("hunter-two"), "{text}");
    page.click("JSON");
    page.click("Show");
    let shown = page.wait("the text", "return document.querySelector('pre.tail')?.innerText");
    let shown: Value = serde_json::from_str(shown.as_str().unwrap()).unwrap();
    assert_eq!(shown, from.get("/profiles/export"));
    page.click_until_said("Copy the export", "Copied");
    let pasted = page.pasted();
    assert_eq!(serde_json::from_str::<Value>(pasted.as_str().unwrap()).unwrap(), shown);
    assert_eq!(page.complaints(), Vec::<String>::new());

    page.enter(&to);
    page.turn("#/profiles/exchange");
    page.give_file("import-file", &file);
    let whole = "return document.getElementById('import-text').value";
    page.until("the text of the file", || page.look(whole) == text.as_str());
    page.click("See what would happen");
    page.wait_for_text("*** stands for a secret");
    page.fill("import-text", &text.replace("***", "hunter-three"));
    page.click("See what would happen");
    page.wait("the table", "return document.querySelector('.outcome')");
    assert_eq!(page.look(ROWS), json!(["xmr|wallet|new", "main|pool|new", "cpu|profile|new"]));
    page.shoot("import-wide-light");
    assert_eq!((to.get("/profiles"), to.get("/wallets")), (json!([]), json!([])), "only a look");
    page.click("Import");
    page.wait_for_text("Imported.");
    assert_eq!(to.get("/profiles/cpu")["pools"], json!(["main"]));
    assert_eq!(to.get("/pools/main")["passwordSet"], true);
}

#[test]
#[ignore = "needs Chromium"]
fn what_is_in_the_way_is_shown_and_refused_kept_or_replaced() {
    let host = Host::start();
    furnish(&host);
    let mut document = host.get("/profiles/export");
    document["wallets"][0]["address"] = json!("4Other");
    let more = json!({ "name": "new", "minerType": "sim" });
    document["profiles"].as_array_mut().unwrap().push(more);

    let page = Page::of(&host);
    page.turn("#/profiles/exchange");
    page.fill("import-text", "{ no JSON");
    page.click("See what would happen");
    page.wait_for_text("this is no JSON");
    page.fill("import-text", &document.to_string());
    page.click("See what would happen");
    page.wait("the refusal", "return document.querySelector('.outcome .tag.bad')");
    let rows = json!([
        "xmr|wallet|differs",
        "main|pool|the same",
        "new|profile|new",
        "cpu|profile|the same"
    ]);
    assert_eq!(page.look(ROWS), rows);
    let button = "return [...document.querySelectorAll('button')]
        .some((it) => it.innerText === 'Import')";
    assert_eq!(page.look(button), false, "what is refused cannot be done");
    page.resize(390, 844);
    page.shoot("conflict-phone-light");
    check(&page, "conflict-phone-light");
    page.resize(1280, 800);

    page.click("Skip");
    page.click("See what would happen");
    page.wait("the look", "return document.querySelector('.outcome')");
    assert_eq!(page.look(ROWS)[0], "xmr|wallet|differs, stays");
    page.click("Import");
    page.wait_for_text("Imported.");
    assert_eq!(host.get("/wallets/xmr")["address"], "4Address");
    assert_eq!(host.get("/profiles").as_array().unwrap().len(), 2);

    page.click("Replace");
    page.click("See what would happen");
    page.wait("the look", "return document.querySelector('.outcome .tag.warn')");
    page.click("Import");
    page.wait_for_text("Imported.");
    assert_eq!(host.get("/wallets/xmr")["address"], "4Other");
    page.click("See what would happen");
    page.wait_for_text("There is nothing to do");
    let complaints = page.complaints();
    // The look that was refused, and nothing else.
    assert!(complaints.iter().all(|it| it.contains("409")), "{complaints:#?}");
}
