//! `adit top` on a terminal of its own.

mod terminal;

use rustix::process::Signal;
use serde_json::json;

use crate::{
    cli::{failed, top::terminal::Terminal},
    host::{Host, wait_for},
};

/// The row of the table that tells of `miner`.
fn row<'a>(screen: &'a [String], miner: &str) -> &'a str {
    screen.iter().find(|row| row.starts_with(&format!("{miner} "))).map_or("", String::as_str)
}

fn host() -> Host {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    host
}

#[test]
fn the_miners_of_a_demonstration_are_watched_and_told_what_to_do() {
    let mut host = Host::absent();
    host.up(&["--demo"]);
    let mut terminal = Terminal::run(&host, &["top"], &[]);
    let screen = terminal.wait_until("figures", |screen| {
        ["demo-cpu", "demo-gpu"].iter().all(|it| row(screen, it).contains("H/s"))
            && screen.iter().any(|row| row.contains('┤') && row.contains('█'))
            && screen.iter().any(|row| row.contains("accepted"))
            && row(screen, "demo-cpu").contains(" mining ")
    });
    assert!(screen[0].contains("adit ") && screen[0].ends_with("demonstration"), "{screen:#?}");
    assert!(screen[1].contains("rx/0 ") && screen[1].contains("kawpow "), "{screen:#?}");
    assert!(screen[23].starts_with("q quit"), "{screen:#?}");
    assert!(terminal.is_raw());

    terminal.press("j");
    terminal.wait_until("the other miner", |it| it.contains(&"log of demo-gpu".to_owned()));
    terminal.press("p");
    host.wait_for_phase("demo-gpu", "paused");
    terminal.wait_until("the pause", |it| {
        row(it, "demo-gpu").contains(" paused ") && it[23] == "demo-gpu: paused"
    });
    terminal.press("x");
    terminal.wait_until("the question", |it| it[23] == "stop demo-gpu? y/n");
    terminal.press("n");
    terminal.wait_until("the keys", |it| it[23].starts_with("q quit"));
    assert_eq!(host.miner("demo-gpu")["desired"], "running");
    terminal.press("xy");
    host.wait_for_phase("demo-gpu", "stopped");
    terminal.wait_until("the stop", |it| row(it, "demo-gpu").contains(" stopped "));
    terminal.press("r");
    terminal.wait_until("the start", |it| it[23] == "demo-gpu: started");
    // Arrows are several bytes.
    terminal.press("\u{1b}[A");
    terminal.wait_until("the first miner", |it| it.contains(&"log of demo-cpu".to_owned()));
    terminal.press("?");
    terminal.wait_until("the help", |it| it.iter().any(|row| row.contains("sort by the next")));
    terminal.press(" l");
    terminal.wait_until("the log", |it| {
        it[2] == "log of demo-cpu" && it.iter().any(|row| row.contains("accepted"))
    });
    terminal.press("l\t\t\t");
    terminal.wait_until("an order", |it| it[2].contains("HASHRATE▾"));
    terminal.resize(40, 10);
    terminal.wait_until("a smaller screen", |it| {
        it[9].starts_with("q quit") && it[10].is_empty() && row(it, "demo-cpu").ends_with("H/s")
    });
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(host.miner("demo-cpu")["phase"], "mining", "miners run on");
}

#[test]
fn a_host_that_goes_away_is_waited_for() {
    let mut host = host();
    let mut terminal = Terminal::run(&host, &["top"], &[]);
    let is_there = |it: &[String]| it[0].starts_with("adit ") && row(it, "rig-1").contains("H/s");
    terminal.wait_until("figures", is_there);
    host.kill();
    let screen = terminal.wait_until("the news", |it| it[0].starts_with("host away, retrying: "));
    assert!(row(&screen, "rig-1").contains("H/s"), "what was known stays: {screen:#?}");
    // It comes back at another port.
    host.up(&[]);
    terminal.wait_until("the next host", is_there);
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let host = host();
    for which in [Signal::INT, Signal::HUP, Signal::QUIT] {
        let mut terminal = Terminal::run(&host, &["top"], &[]);
        terminal.wait_until("figures", |it| row(it, "rig-1").contains("H/s"));
        terminal.signal(which);
        assert_eq!(terminal.end(), Some(0), "{which:?}");
    }
    // What Ctrl-C types is a key here.
    let mut terminal = Terminal::run(&host, &["top"], &[]);
    terminal.wait_until("figures", |it| row(it, "rig-1").contains("H/s"));
    terminal.press("\u{3}");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_miner_cannot_draw() {
    let host = host();
    let nasty = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[6n\u{9b}2J\u{90}q\u{9c}\u{8}\u{7f}\u{202e}end";
    host.ok("POST", "/miners/rig-1/stdin", &json!({ "input": format!("echo {nasty}\n") }));
    wait_for("the echo", || {
        host.get("/miners/rig-1/logs?lines=50").to_string().contains("owned").then_some(())
    });
    let mut terminal = Terminal::run(&host, &["top"], &[("NO_COLOR", "1")]);
    let begins = |it: &[String]| it.iter().any(|row| row.contains("owned"));
    let screen = terminal.wait_until("the line", begins);
    assert!(
        screen.iter().any(|row| row.contains("]0;ownedq") && row.contains("end")),
        "{screen:#?}"
    );
    terminal.press("q");
    assert_eq!(terminal.end(), Some(0));
    let bytes = terminal.bytes();
    let text = String::from_utf8(bytes).unwrap();
    for not in ["\u{1b}]", "\u{1b}[6n", "\u{9b}", "\u{90}", "\u{7}", "\u{202e}"] {
        assert!(!text.contains(not), "{not:?}: {text:?}");
    }
    // Nor are there colours that nobody wants.
    assert!(!text.contains("38;5;") && text.contains("\u{1b}[7m"), "{text:?}");
    let mut terminal = Terminal::run(&host, &["top"], &[]);
    terminal.wait_until("figures", |it| row(it, "rig-1").contains("H/s"));
    terminal.press("q");
    terminal.end();
    assert!(String::from_utf8(terminal.bytes()).unwrap().contains("38;5;"));
}

#[test]
fn what_is_no_terminal_is_told_what_to_use() {
    let host = host();
    let told = failed(&host, &["top"], 1);
    assert!(told.contains("no terminal") && told.contains("`adit miner list`"), "{told}");
    assert!(failed(&host, &["top", "--json"], 1).contains("`adit miner list --json`"));
    failed(&Host::absent(), &["top"], 3);
}
