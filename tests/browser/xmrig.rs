//! XMRig from the dashboard alone: installed, made a profile of, started, moved to other pools. The
//! program is its double.

use adit_doubles::{
    pool::Pool,
    release::server::{Fault, Server},
};
use serde_json::{Value, json};

use crate::{host::Host, page::Page, pages::check, release};

/// A wallet that is nobody's, as long as real ones.
const WALLET: &str =
    "4AdUndXHHZ6cfufTMvppY6JwXNouMBzSkbLYfpAV5Usx3skxNgYeYTRj5UzqtReoS44qo9mtmXCqY45DJ852K5Jv";

/// A host on which the double is installed.
fn installed() -> (Host, Server) {
    let (host, server) = release::host();
    release::publish(&server, "6.26.0", 0);
    host.ok("POST", "/miners/xmrig/install", &Value::Null);
    (host, server)
}

fn save_pool(host: &Host, name: &str, url: &str) {
    let pool = json!({ "name": name, "url": url, "user": WALLET });
    host.ok("POST", "/pools", &pool);
}

/// Where the button `label` of XMRig's card is on the page of drivers.
fn on_card(label: &str) -> String {
    let card =
        "//li[contains(@class,'card')][.//span[@class='name' and normalize-space()='XMRig']]";
    format!("{card}//button[not(@disabled)][normalize-space()='{label}']")
}

#[test]
#[ignore = "needs Chromium"]
fn a_program_is_installed_with_progress_changed_and_removed() {
    let (host, server) = release::host();
    let page = Page::of(&host);
    page.turn("#/drivers");
    server.fault(Fault::NotFound);
    page.click_at(&on_card("Install"));
    page.wait("the failure", "return document.querySelector('main .problem')?.innerText");

    // It gets half of it and waits, as on a bad line.
    release::publish(&server, "6.25.0", 3_000_000);
    server.fault(Fault::Stalled);
    page.click_at(&on_card("Install"));
    let half = "const bar = document.querySelector('progress[aria-label=Download]');
        const part = bar && bar.value / bar.max;
        return part > 0.4 && part < 0.6 && document.body.innerText.includes('Downloading 6.25.0')";
    page.wait("half of the download", half);
    page.shoot("install-wide-light");
    page.resize(390, 844);
    page.prefer("dark");
    page.shoot("install-phone-dark");
    page.resize(1280, 800);
    server.fault(Fault::None);
    let runs = |version: &str| {
        let script = "return [...document.querySelectorAll('.program tbody tr')]
            .some((it) => ['runs', 'signature', arguments[0]].every((word) => it.innerText.includes(word)))";
        page.until(version, || page.run(script, &[json!(version)]) == true);
    };
    runs("6.25.0");

    release::publish(&server, "6.26.0", 0);
    page.click_at(&on_card("Update"));
    runs("6.26.0");
    page.click_at(&on_card("Roll back"));
    runs("6.25.0");
    page.click_at(&on_card("Uninstall"));
    page.click_at("//dialog//footer/button[normalize-space()='Uninstall']");
    page.until("the end of all versions", || {
        host.get("/miners/xmrig/versions")["versions"] == json!([])
    });
    page.click_at(&on_card("Install"));
    runs("6.26.0");
}

#[test]
#[ignore = "needs Chromium"]
fn from_nothing_to_a_hashrate_by_clicks_alone() {
    let (host, server) = release::host();
    release::publish(&server, "6.26.0", 0);
    let pool = Pool::start();
    let page = Page::of(&host);
    page.wait_for_text("No miners yet");
    page.click_at("//main//a[normalize-space()='Drivers']");
    page.click_at(&on_card("Install"));
    page.wait("the program", "return document.querySelector('.program .tag.good')");
    page.turn("#/profiles");
    page.click_at("//main//a[normalize-space()='wallet']");
    page.click("New wallet");
    page.fill("n-name", "xmr");
    page.fill("n-address", WALLET);
    page.click("Save");
    page.click("Pools");
    page.click("New pool");
    page.fill("n-name", "home");
    page.fill("n-url", &pool.url());
    page.fill("n-wallet", "xmr");
    page.click("Save");
    page.wait("the pool", "return document.querySelector('main .card .name')");
    page.click_at("//nav[@aria-label='Sections']/a[normalize-space()='Profiles']");
    page.click("New profile");
    page.fill("p-name", "CPU");
    page.choose("p-type", "XMRig");
    page.wait("a field for a pool", "return document.querySelector('#field-pool')");
    page.choose("p-pools", &format!("home ({})", pool.url()));
    let own = "return document.querySelectorAll('#field-pool, #field-pools, #field-wallet').length";
    page.until("the fields that the saved pool stands for to be gone", || page.look(own) == 0);
    page.fill("field-threads", "1");
    page.click("Save");
    page.click("Start");
    page.wait("the miner", "return location.hash.startsWith('#/miners/')");
    page.wait(
        "a hashrate",
        "return document.querySelector('[data-rate]')?.innerText.match(/[0-9].*H.s/)",
    );
    assert_eq!(pool.seen().logins[0].wallet, WALLET);
    let complaints = page.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
#[ignore = "needs Chromium"]
fn pools_are_filled_into_rows_that_move() {
    let (host, _server) = installed();
    let (main, spare) = (Pool::start(), Pool::start());
    let page = Page::of(&host);
    page.click("Start a miner");
    page.choose("what", "XMRig");
    page.fill("name", "rows");
    for (row, url) in [(1, "wrong.example:1"), (2, &*spare.url()), (3, &*main.url())] {
        page.click("Add a pool");
        page.fill(&format!("field-pools-{row}-url"), url);
        page.fill(&format!("field-pools-{row}-wallet"), WALLET);
    }
    let urls = "return [...document.querySelectorAll('.row-item input[id$=-url]')]
        .map((it) => it.value)";
    page.click("Move pool 3 up");
    let order = json!(["wrong.example:1", main.url(), spare.url()]);
    page.until("the pool to be moved", || page.look(urls) == order);
    let focus = "return document.activeElement.getAttribute('aria-label')";
    page.until("the focus to go with it", || page.look(focus) == "Move pool 2 up");
    page.click("Move pool 1 down");
    page.click("Move pool 2 down");
    for (screen, width, height) in [("wide", 1280, 800), ("phone", 390, 844)] {
        page.resize(width, height);
        for scheme in ["light", "dark"] {
            page.prefer(scheme);
            page.run("document.querySelector('.rows').scrollIntoView()", &[]);
            let picture = format!("rows-{screen}-{scheme}");
            page.shoot(&picture);
            check(&page, &picture);
        }
    }
    page.resize(1280, 800);
    page.click("Remove pool 3");
    let order = json!([main.url(), spare.url()]);
    page.until("the pool to be gone", || page.look(urls) == order);
    page.click_at("//dialog//button[@type='submit']");
    page.wait("the page of the miner", "return location.hash === '#/miners/rows'");
    host.wait_for_phase("rows", "mining");
    let plan = host.get("/miners/rows/plan");
    let file = plan["files"].as_object().unwrap().values().next().unwrap().as_str().unwrap();
    let file: Value = serde_json::from_str(file).unwrap();
    let of_plan: Vec<_> = file["pools"].as_array().unwrap().iter().map(|it| &it["url"]).collect();
    assert_eq!(of_plan, [&json!(main.url()), &json!(spare.url())]);
    assert_eq!(main.seen().logins.len(), 1);
}

#[test]
#[ignore = "needs Chromium"]
fn rows_within_rows_are_json_and_everything_arrives() {
    let host = Host::start();
    let page = Page::of(&host);
    let draw = "const { SchemaForm } = await import('/web/form.js');
        const { html, render, useState } = await import('/web/vendor/preact-htm.js');
        const entry = { type: 'object', properties: { name: { type: 'string' },
            words: { type: 'array', items: { type: 'string' } },
            deep: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } } } } } };
        const schema = { type: 'object', properties: {
            entries: { type: 'array', items: { $ref: '#/$defs/entry' } } }, $defs: { entry } };
        const Form = () => {
            const [value, setValue] = useState({});
            window.value = value;
            return html`<h2>Form</h2><${SchemaForm} schema=${schema} value=${value} onChange=${setValue} />`;
        };
        render(html`<${Form} />`, document.querySelector('main'));";
    page.run(&format!("return (async () => {{ {draw} }})()"), &[]);
    page.click("Add an entry");
    page.fill("field-entries-1-name", "first");
    page.fill("field-entries-1-words", "one\ntwo");
    page.fill("field-entries-1-deep", "[{\"a\": \"b\"}]");
    let value = json!({ "entries": [
        { "name": "first", "words": ["one", "two"], "deep": [{ "a": "b" }] },
    ] });
    page.until("the value", || page.look("return window.value") == value);
    page.click("Remove entry 1");
    page.until("nothing", || page.look("return window.value") == json!({}));
}

#[test]
#[ignore = "needs Chromium"]
fn a_running_miner_is_moved_to_saved_pools() {
    let (host, _server) = installed();
    let (own, first, second, gone) = (Pool::start(), Pool::start(), Pool::start(), Pool::start());
    gone.lose();
    save_pool(&host, "first", &first.url());
    save_pool(&host, "second", &second.url());
    save_pool(&host, "gone", &gone.url());
    let config = json!({ "pool": own.url(), "wallet": WALLET, "threads": 1, "printTime": 1 });
    host.ok("POST", "/miners", &json!({ "name": "rig", "type": "xmrig", "config": config }));
    host.wait_for_phase("rig", "mining");
    let program = host.program("rig");

    let page = Page::of(&host);
    page.turn("#/miners/rig");
    page.click_at("//nav[@aria-label='Sections']/a[normalize-space()='Pools']");
    page.choose("live-pools", &format!("first ({})", first.url()));
    page.choose("live-pools", &format!("second ({})", second.url()));
    page.click("Move pool second up");
    page.click("Move the miner there");
    page.wait_for_text("The miner is connected to the new pool.");
    assert_eq!((second.seen().logins.len(), first.seen().connections), (1, 0));
    page.until("the pool on the page", || {
        let tile = page.look("return document.querySelector('main .tile').innerText");
        tile.as_str().is_some_and(|it| it.contains(&second.url()))
    });
    for (screen, width, height) in [("wide", 1280, 800), ("phone", 390, 844)] {
        page.resize(width, height);
        for scheme in ["light", "dark"] {
            page.prefer(scheme);
            let picture = format!("live-pools-{screen}-{scheme}");
            page.shoot(&picture);
            check(&page, &picture);
        }
    }
    page.resize(1280, 800);

    page.click("Remove pool second");
    page.click("Remove pool first");
    page.choose("live-pools", &format!("gone ({})", gone.url()));
    page.click("Move the miner there");
    page.wait_for_text("the miner took the new pools, but it still shows its session with");
    assert_eq!(host.program("rig"), program, "it is no restart");
    page.click("Restart");
    page.until("its own pool", || own.seen().logins.len() == 2);
    let complaints = page.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
#[ignore = "needs Chromium"]
fn a_miner_that_cannot_change_its_pools_says_how_else() {
    let host = Host::start();
    host.simulate("sim", &json!({}));
    let page = Page::of(&host);
    page.turn("#/miners/sim/pools");
    page.wait_for_text("It takes its pools at the start");
}
