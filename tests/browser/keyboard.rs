//! The dashboard without a mouse.

use crate::{
    host::Host,
    page::{ENTER, ESCAPE, Page, TAB, pages, token},
};

/// What has the focus: its label, and whether a ring is drawn around it.
const FOCUS: &str = "
    const it = document.activeElement;
    // Between the last stop and the first, nothing has it.
    if (it === document.body) return ['', false];
    const label = it.labels?.[0]?.innerText ?? it.getAttribute('aria-label') ?? it.innerText ?? '';
    const style = getComputedStyle(it);
    return [label.trim(), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];";

impl Page {
    /// Presses Tab until what says `label` has the focus. Everything on the way must show it.
    fn tab_to(&self, label: &str) {
        let mut way = Vec::new();
        for _ in 0..80 {
            self.press(TAB);
            let focus = self.look(FOCUS);
            let name = focus[0].as_str().unwrap().to_owned();
            assert!(name.is_empty() || focus[1] == true, "{name} does not show its focus");
            if name.starts_with(label) {
                return;
            }
            way.push(name);
        }
        panic!("Tab does not lead to {label}: {way:#?}");
    }
}

#[test]
#[ignore = "needs Chromium"]
fn everything_can_be_done_with_the_keyboard() {
    let host = Host::start();
    let page = Page::open();
    page.go(&pages(&host));
    page.wait("the question", "return document.querySelector('#token')");
    page.tab_to("Token");
    page.press(&token(&host));
    page.press(ENTER);
    page.wait_for_text("No miners yet");

    // The first stop leads past the navigation.
    page.run("document.activeElement.blur()", &[]);
    page.tab_to("Skip to content");
    page.press(ENTER);
    let inside = "return document.activeElement === document.querySelector('main')";
    page.wait("the content to have the focus", inside);
    assert_eq!(page.look("return location.hash"), "", "it does not lead to another page");

    page.tab_to("Start a miner");
    page.press(ENTER);
    page.wait("the form", "return document.querySelector('dialog[open]')");
    page.press(ESCAPE);
    page.wait("its end", "return !document.querySelector('dialog')");
    page.wait(
        "the focus to be back",
        "return document.activeElement?.innerText === 'Start a miner'",
    );
    page.press(ENTER);
    page.wait("the drivers", "return document.querySelector('dialog option[value=\"type:sim\"]')");
    page.tab_to("What to run");
    page.press("Simulated");
    page.wait("the form", "return document.querySelector('dialog #name')");
    page.tab_to("Name");
    page.press("keys");
    page.press(ENTER);
    page.wait("the page of the miner", "return location.hash === '#/miners/keys'");
    host.wait_for_phase("keys", "mining");
    page.wait("the same on the page", "return document.querySelector('.phase-mining')");

    page.tab_to("Stop");
    page.press(ENTER);
    page.wait("the stop", "return document.querySelector('.phase-stopped')");
    page.tab_to("Log");
    page.press(ENTER);
    page.wait("the log", "return document.querySelector('.console pre')");
    page.tab_to("Output of keys");
    page.run("document.activeElement.blur()", &[]);
    page.tab_to("Settings");
    page.press(ENTER);
    page.wait("the settings", "return location.hash === '#/settings'");
    page.tab_to("dark");
    page.press(" ");
    page.wait("the theme", "return document.documentElement.dataset.theme === 'dark'");
    let complaints = page.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
