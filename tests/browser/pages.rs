//! Every page, wide and narrow, light and dark: nothing complains, nothing is cut off, everything
//! can be read. What was seen is saved as pictures.

use std::fs;

use serde_json::{Value, json};

use crate::{
    host::{Host, wait_for},
    page::{Page, pages},
};

/// Name of the picture, page, and what is there once it is drawn.
const PAGES: &[(&str, &str, &str)] = &[
    ("miners", "#/", ".card.miner"),
    ("miner", "#/miners/gpu", ".plot canvas"),
    ("log", "#/miners/cpu/log", ".console pre"),
    ("plan", "#/miners/cpu/plan", ".plan dd"),
    ("runs", "#/miners/cpu/runs", "main td"),
    ("incidents", "#/events/incidents", ".incident"),
    ("profiles", "#/profiles", "main .card"),
    ("wallets", "#/profiles/wallets", "main .card"),
    ("pools", "#/profiles/pools", "main .card"),
    ("exchange", "#/profiles/exchange", "#import-text"),
    ("drivers", "#/drivers", "main .card"),
    ("fleet", "#/fleet", "main .card"),
    ("events", "#/events", ".feed li"),
    ("settings", "#/settings", "main .tile"),
    ("doctor", "#/settings/doctor", ".finding"),
    ("tokens", "#/settings/tokens", "main td"),
    ("audit", "#/settings/audit", "main td"),
];

/// What cannot be used or read: things without a name, and text with too little contrast (WCAG
/// 2.2 AA). Text over pictures and what is switched off is not judged.
const FAULTS: &str = r"
    const shown = (it) => it.checkVisibility?.() && it.getClientRects().length > 0;
    const faults = [];
    const headings = [...document.querySelectorAll('main h1, main h2')].filter(shown);
    if (!headings.length) faults.push('no heading');
    for (const it of document.querySelectorAll('button, a, input, select, textarea, [role=img], dialog')) {
        if (!shown(it)) continue;
        const name = it.getAttribute('aria-label') || it.labels?.[0]?.innerText || it.innerText
            || it.querySelector('img')?.alt;
        if (!name?.trim()) faults.push(`no name: ${it.outerHTML.slice(0, 120)}`);
    }
    const parse = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((it) => it / 255)
        .map((it) => (it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4))
        .reduce((sum, it, at) => sum + it * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = (it) => {
        for (let at = it; at; at = at.parentElement) {
            const color = parse(getComputedStyle(at).backgroundColor);
            if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
    };
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const it = node.parentElement;
        if (!node.data.trim() || !shown(it) || it.closest(':disabled, .hidden, .skip, noscript')) continue;
        const style = getComputedStyle(it);
        const [a, b] = [light(parse(style.color)), light(ground(it))].sort((x, y) => y - x);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < (large ? 3 : 4.5)) faults.push(`contrast ${ratio.toFixed(2)}: ${node.data.trim().slice(0, 40)}`);
    }
    return faults;";

/// How much wider the page is than the window.
const OVERHANG: &str =
    "return document.documentElement.scrollWidth - document.documentElement.clientWidth";

/// Has nothing on the page be unreadable, without a name or cut off.
pub(crate) fn check(page: &Page, what: &str) {
    let faults = page.run(FAULTS, &[]);
    assert_eq!(faults, json!([]), "{what}");
    let overhang = page.run(OVERHANG, &[]).as_f64().unwrap();
    assert!(overhang <= 0.0, "{what}: it scrolls sideways by {overhang} px");
}

/// A host where there is something to see on each page, and the other node.
fn furnished() -> (Host, Host) {
    let node = |name: &str, role: &str| {
        let mut host = Host::absent();
        let settings = "[miners]\nstats_interval_ms = 500\noutput_interval_ms = 50\n\
            [watchdog]\nsilence_s = 3\napi_s = 3\nzero_s = 3\nshare_s = 3\n\
            [node]\nlisten = \"127.0.0.1:0\"\n";
        fs::write(host.settings(), settings).unwrap();
        host.up(&[]);
        host.ok("POST", "/node/init", &json!({ "name": name, "role": role }));
        host
    };
    let (host, worker) = (node("farm", "controller"), node("rig-7", "worker"));
    worker.simulate("seven", &json!({ "hashrate": 8_400, "wallet": "w" }));
    let invite = host.ok("POST", "/node/invite", &json!({ "tags": ["basement", "cpu"] }));
    worker.ok("POST", "/node/join", &json!({ "invite": invite["invite"] }));
    host.simulate("cpu", &json!({ "wallet": "w", "shareIntervalMs": 900 }));
    let gpu = json!({ "algorithm": "kawpow", "hashrate": 96_000_000, "devices": 4, "wallet": "w" });
    host.simulate("gpu", &gpu);
    host.simulate("ill", &json!({ "misbehave": { "hangAfterMs": 1500 } }));
    host.simulate("idle", &json!({}));
    host.ok("DELETE", "/miners/idle", &Value::Null);
    host.ok(
        "POST",
        "/wallets",
        &json!({ "name": "xmr", "coin": "XMR", "address": "4".repeat(95) }),
    );
    host.ok(
        "POST",
        "/pools",
        &json!({ "name": "main", "url": "pool.example:3333", "wallet": "xmr" }),
    );
    let profile = json!({ "name": "CPU", "minerType": "sim", "pools": ["main"], "tags": ["cpu"],
                          "config": {} });
    host.ok("POST", "/profiles", &profile);
    host.ok("POST", "/tokens", &json!({ "name": "grafana", "role": "view" }));
    wait_for("an incident", || {
        host.get("/incidents").as_array().is_some_and(|it| !it.is_empty()).then_some(())
    });
    wait_for("figures of the other node", || {
        let fleet = host.get("/remote/stats");
        fleet["peers"].as_object()?.values().next()?["miners"].get("seven").cloned()
    });
    (host, worker)
}

#[test]
#[ignore = "needs Chromium"]
fn every_page_is_readable_on_any_screen_and_complains_about_nothing() {
    let (host, _worker) = furnished();
    let page = Page::of(&host);
    for (name, hash, sign) in PAGES {
        page.turn(hash);
        for (screen, width, height) in [("wide", 1280, 800), ("phone", 390, 844)] {
            page.resize(width, height);
            for scheme in ["light", "dark"] {
                page.prefer(scheme);
                let there = format!("return document.querySelector('{sign}')");
                page.wait(&format!("{sign} on {name}"), &there);
                // Charts are drawn anew in the next frames.
                page.wait("a frame", FRAME);
                let picture = format!("{name}-{screen}-{scheme}");
                page.shoot(&picture);
                check(&page, &picture);
            }
        }
        page.resize(320, 640);
        page.wait("a frame", FRAME);
        check(&page, &format!("{name} at 320 px"));
        page.resize(1280, 800);
        let complaints = page.complaints();
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
    page.turn("#/");
    page.click("Start a miner");
    page.choose("what", "Simulated miner");
    page.wait("the form", "return document.querySelector('#field-pool')");
    for (screen, width, height) in [("wide", 1280, 800), ("phone", 390, 844)] {
        page.resize(width, height);
        page.shoot(&format!("start-{screen}-dark"));
        check(&page, screen);
    }
    assert_eq!(page.complaints(), Vec::<String>::new());
}

/// Two frames from now; chromedriver waits for the promise.
const FRAME: &str = "return new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(true), 150))))";

#[test]
#[ignore = "needs Chromium"]
fn an_empty_host_says_what_to_do_next_on_each_page() {
    let host = Host::start();
    let page = Page::open();
    page.go(&pages(&host));
    page.wait("the question", "return document.querySelector('#token')");
    page.resize(390, 844);
    check(&page, "login");
    page.shoot("login-phone-light");
    page.enter(&host);
    let empty = [
        "#/",
        "#/profiles",
        "#/profiles/wallets",
        "#/profiles/pools",
        "#/fleet",
        "#/events",
        "#/events/incidents",
    ];
    for hash in empty {
        page.turn(hash);
        page.wait(hash, "return document.querySelector('.empty-state p')?.innerText");
        check(&page, hash);
    }
    page.turn("#/");
    page.wait("the button", "return document.querySelector('.empty-state button')");
    page.shoot("empty-phone-light");
    assert_eq!(page.complaints(), Vec::<String>::new());
}
