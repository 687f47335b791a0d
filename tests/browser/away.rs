//! A page whose host goes away.

use serde_json::json;

use crate::{host::Host, page::Page};

#[test]
#[ignore = "needs Chromium"]
fn the_page_says_that_the_host_is_gone_and_comes_back_with_it() {
    let mut host = Host::start();
    let listen = host.base.split('/').nth(2).unwrap().to_owned();
    host.simulate("rig", &json!({}));
    let page = Page::of(&host);
    let rate = "return document.querySelector('[data-rate=rig]')?.innerText";
    page.run("window.mark = 'not loaded anew'", &[]);
    page.until("a hashrate", || page.look(rate).as_str().is_some_and(|it| it.contains("H/s")));
    let program = host.program("rig");

    host.kill();
    page.wait_for_text("The host does not answer");
    page.wait("the sign", "return document.querySelector('.link.off')");
    let last = page.look(rate);

    host.up(&["--listen", &listen]);
    page.wait("the sign", "return document.querySelector('.link.on')");
    page.wait("the end of the alarm", "return !document.querySelector('.banner')");
    page.until("another hashrate", || {
        let now = page.look(rate);
        now != last && now.as_str().is_some_and(|it| it.contains("H/s"))
    });
    assert_eq!(page.look("return window.mark"), "not loaded anew");
    assert_eq!(host.program("rig"), program, "the miner never noticed");
    let complaints = page.complaints();
    let expected = |it: &String| it.contains("net::ERR_");
    assert!(complaints.iter().all(expected), "{complaints:#?}");
}
