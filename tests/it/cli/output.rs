//! What a miner prints, on the operator's terminal.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Stdio},
    sync::mpsc::{Receiver, channel},
};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    cli::said,
    host::{Host, PATIENCE, signal, wait_for},
};

/// A command that runs on, and the lines it prints.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(host: &Host, args: &[&str]) -> Self {
        let mut command = host.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Waits for a line that `fits`.
    fn wait_for(&self, fits: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap();
            if fits(&line) {
                return line;
            }
        }
    }

    /// How it ended by itself: exit code, and what it complained of.
    fn end(mut self) -> (Option<i32>, String) {
        let status = wait_for("the end of the command", || self.child.try_wait().unwrap());
        let mut error = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        (status.code(), error)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn lines(output: ChildStdout) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

fn host() -> Host {
    let host = Host::start();
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
    host
}

fn say(host: &Host, text: &str) {
    host.ok("POST", "/miners/rig-1/stdin", &json!({ "input": format!("echo {text}\n") }));
}

#[test]
fn a_log_is_followed_until_somebody_ends_it() {
    let host = host();
    for json in [false, true] {
        let args = ["miner", "logs", "-f", "rig-1", "--json"];
        let follower = Follower::start(&host, if json { &args } else { &args[..4] });
        follower.wait_for(|_| true);
        let shown = |text: &str| if json { format!("\"{text}\"") } else { text.to_owned() };
        for text in [format!("first {json}"), format!("second {json}")] {
            say(&host, &text);
            follower.wait_for(|line| line == shown(&text));
        }
        signal(follower.child.id(), Signal::INT);
        let (code, error) = follower.end();
        assert_eq!((code, error.as_str()), (None, ""), "ended by the signal, without a word");
    }
}

#[test]
fn a_follower_ends_with_the_miner_or_the_host() {
    let mut host = host();
    let followers =
        [(); 2].map(|()| Follower::start(&host, &["miner", "logs", "--follow", "rig-1"]));
    for follower in &followers {
        follower.wait_for(|_| true);
    }
    let [first, second] = followers;
    host.ok("DELETE", "/miners/rig-1?remove=true", &json!(null));
    let (code, error) = first.end();
    assert_eq!((code, error.as_str()), (Some(1), "adit: there is no miner rig-1\n"));
    drop(second);
    host.simulate("rig-1", &json!({}));
    let follower = Follower::start(&host, &["miner", "logs", "-f", "rig-1"]);
    follower.wait_for(|_| true);
    host.kill();
    let (code, error) = follower.end();
    assert_eq!(code, Some(1));
    assert!(error.contains("does not answer"), "{error}");
}

#[test]
fn a_reader_that_goes_away_ends_the_command_without_a_fuss() {
    let host = host();
    for args in [
        ["miner", "logs", "-f", "rig-1"].as_slice(),
        &["miner", "logs", "rig-1"],
        &["miner", "list"],
        &["miner", "stats", "rig-1", "--json"],
        &["token", "list"],
        &["driver", "list"],
    ] {
        let mut command = host.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        say(&host, "something to print");
        let status = wait_for("the end of the command", || child.try_wait().unwrap());
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert_eq!(error, "", "{args:?}");
        assert_ne!(status.code(), Some(101), "{args:?}");
    }
}

#[test]
fn a_miner_cannot_steer_the_terminal() {
    let host = host();
    // Clears the screen, sets the title, asks for an answer as if typed; and the 8-bit forms.
    // Then what turns the direction of the text behind it.
    let nasty = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[6n\u{9b}2J\u{90}q\u{9c}\u{8}\u{7f}\u{202e}\u{2066}\u{200f}end";
    say(&host, nasty);
    wait_for("the echo", || {
        let lines = host.get("/miners/rig-1/logs?lines=50");
        lines.to_string().contains("owned").then_some(())
    });
    for args in [
        ["miner", "logs", "rig-1"].as_slice(),
        &["miner", "logs", "rig-1", "--json"],
        &["api", "GET", "/miners/rig-1/logs?lines=50"],
    ] {
        let out = said(&host, args);
        let line = out.lines().find(|line| line.contains("owned")).unwrap();
        assert!(line.contains("end"), "{line:?}");
        let turns = |c: char| "\u{202e}\u{2066}\u{200f}".contains(c);
        let steers = |c: char| turns(c) || (c.is_control() && c != '\n' && c != '\t');
        assert!(!out.contains(steers), "{args:?}: {line:?}");
    }
}
