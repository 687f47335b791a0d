//! The program as its keeper sees it: output, stdin, signals, API, and the end.

#![expect(clippy::disallowed_methods, reason = "each test ends the one process that it starts")]
#![expect(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

/// A running sim-miner, killed at the end of the test.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<Vec<u8>>,
}

impl Running {
    fn new(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sim-miner"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sim-miner starts");
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                if send.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    fn type_in(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The next line that contains `text`.
    fn line(&self, text: &str) -> String {
        let begin = Instant::now();
        loop {
            let left = LIMIT.saturating_sub(begin.elapsed());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no {text:?}"));
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// All lines up to the end of the output.
    fn rest(&self) -> Vec<String> {
        let lines = std::iter::from_fn(|| match self.lines.recv_timeout(LIMIT) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the output does not end"),
        });
        lines.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned()).collect()
    }

    fn end(&mut self) -> ExitStatus {
        wait("the end", || self.child.try_wait().unwrap())
    }

    fn api(&self) -> String {
        let line = self.line("listening on http://");
        line.rsplit('/').next().unwrap().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < LIMIT, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Status and body; `None` when nobody answers.
fn ask(address: &str, request: &str, token: &str) -> Option<(u16, String)> {
    let mut connection = TcpStream::connect(address).ok()?;
    connection.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!("{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    connection.write_all(head.as_bytes()).ok()?;
    let mut reply = String::new();
    connection.read_to_string(&mut reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn stats(address: &str) -> Value {
    let (status, body) = ask(address, "GET /stats", "").expect("the API answers");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn sigterm_sigint_and_q_end_it_cleanly() {
    for (how, reason) in
        [(Some(Signal::TERM), "SIGTERM"), (Some(Signal::INT), "SIGINT"), (None, "q on stdin")]
    {
        let mut miner = Running::new(&[]);
        miner.line("preparing");
        match how {
            Some(signal) => miner.signal(signal),
            None => miner.type_in(b"q"),
        }
        assert_eq!(miner.end().code(), Some(0));
        assert!(miner.rest().pop().unwrap().ends_with(&format!("stopping: {reason}")));
    }
}

#[test]
fn the_end_of_stdin_changes_nothing() {
    let mut miner = Running::new(&["--preparing-ms", "0", "--share-interval-ms", "50"]);
    miner.stdin = None;
    miner.line("accepted");
    miner.signal(Signal::TERM);
    assert_eq!(miner.end().code(), Some(0));
}

#[test]
fn typed_commands_are_answered() {
    // It prepares as long as the test lasts: there are no hashes to tell of.
    let pool = ["--pool", "p.example:1", "--hashrate", "5", "--preparing-ms", "600000"];
    let mut miner = Running::new(&pool);
    miner.type_in(b"h");
    assert!(miner.line("speed").ends_with("speed 10s/60s/15m n/a n/a n/a H/s max n/a H/s"));
    miner.type_in(b"s");
    assert!(miner.line("results").ends_with("results accepted 0 rejected 0 diff 50"));
    miner.type_in(b"c");
    assert!(miner.line("latency").contains("connection to p.example:1 is "));
    miner.type_in(b"p");
    miner.line("paused");
    miner.type_in(b"r");
    miner.line("resumed");
    miner.type_in(b"echo tea for two\n");
    assert_eq!(miner.line("tea"), "tea for two");
}

#[test]
fn no_numbered_line_is_missing() {
    let mut miner = Running::new(&["--count-lines", "--interval-ms", "0"]);
    miner.line("line 000500");
    miner.signal(Signal::TERM);
    miner.end();
    let rest = miner.rest();
    let numbered: Vec<&str> = rest.iter().filter_map(|line| line.strip_prefix("line ")).collect();
    let last = 500 + numbered.len();
    assert!((501..=last).zip(numbered).all(|(number, text)| text == format!("{number:06}")));
    assert_eq!(rest.last().unwrap(), &format!("counted {last} lines"));
}

#[test]
fn the_api_pauses_resumes_and_tells_what_is_going_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sim.json");
    let options = r#"{"api-port": 0, "api-token": "key", "devices": 3, "preparing-ms": 0,
        "share-interval-ms": 50, "reject-rate": 0, "wallet": "4WALLET", "password": "hush"}"#;
    std::fs::write(&file, options).unwrap();
    let mut miner = Running::new(&["--config", file.to_str().unwrap()]);
    let address = miner.api();
    assert_eq!(ask(&address, "GET /stats", "").unwrap().0, 401);
    assert_eq!(ask(&address, "POST /pause", "kex").unwrap().0, 401);
    assert_eq!(ask(&address, "GET /pause", "key").unwrap().0, 405);
    assert_eq!(ask(&address, "GET /", "key").unwrap().0, 404);
    let look = || {
        let (_, body) = ask(&address, "GET /stats", "key")?;
        let stats: Value = serde_json::from_str(&body).unwrap();
        let is_mining = stats["phase"] == "mining" && stats["hashrate"]["10s"].is_f64();
        is_mining.then_some((stats, body))
    };
    let (stats, body) = wait("the first share", look);
    let devices = stats["devices"].as_array().unwrap();
    let sum: f64 = devices.iter().filter_map(|device| device["hashrate"].as_f64()).sum();
    assert!((sum - stats["hashrate"]["10s"].as_f64().unwrap()).abs() < 1e-6);
    assert_eq!(devices.len(), 3);
    assert_eq!(ask(&address, "POST /pause", "key").unwrap().0, 200);
    assert_eq!(ask(&address, "POST /pause", "key").unwrap().0, 200);
    assert!(ask(&address, "GET /stats", "key").unwrap().1.contains(r#""phase":"paused""#));
    assert_eq!(ask(&address, "POST /resume", "key").unwrap().0, 200);
    assert!(ask(&address, "GET /stats", "key").unwrap().1.contains(r#""phase":"mining""#));
    miner.type_in(b"sq");
    miner.end();
    let said = miner.rest().concat() + &body;
    assert!(!said.contains("4WALLET") && !said.contains("hush") && !said.contains("key"));
}

#[test]
fn it_dies_as_it_was_told() {
    let dead = |arguments: &[&str]| Running::new(arguments).end();
    assert_eq!(dead(&["--exit-after", "1", "--exit-code", "7"]).code(), Some(7));
    assert_eq!(dead(&["--crash-after", "1"]).signal(), Some(Signal::ABORT.as_raw()));
    assert_eq!(dead(&["--segfault-after", "1"]).signal(), Some(Signal::SEGV.as_raw()));
    assert_eq!(dead(&["--exit-code", "7"]).code(), Some(2));
}

#[test]
fn deaf_to_signals_it_still_obeys_its_stdin() {
    let mut miner = Running::new(&["--ignore-sigterm"]);
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT"), (Signal::HUP, "HUP")] {
        miner.line("");
        miner.signal(signal);
        miner.line(&format!("SIG{name} ignored"));
    }
    miner.type_in(b"q");
    assert_eq!(miner.end().code(), Some(0));
}

/// Killed at the end of the test, also of one that fails: it would hold the test's output open.
struct Grandchild(Pid);

impl Drop for Grandchild {
    fn drop(&mut self) {
        kill_process(self.0, Signal::KILL).ok();
    }
}

#[test]
fn the_grandchild_outlives_it_and_sigterm() {
    for (option, own_session) in [("--fork-grandchild", false), ("--grandchild-setsid", true)] {
        let mut miner = Running::new(&[option]);
        let line = miner.line("grandchild ");
        let pid = Pid::from_raw(line.rsplit(' ').next().unwrap().parse().unwrap()).unwrap();
        let grandchild = Grandchild(pid);
        let is_apart = || session(pid) != session(Pid::from_child(&miner.child));
        if own_session {
            wait("its own session", || is_apart().then_some(()));
        } else {
            assert!(!is_apart());
        }
        // The last of its handlers: the others are in place then.
        wait("deaf ears", || has_handler(pid, Signal::HUP).then_some(()));
        miner.signal(Signal::TERM);
        assert_eq!(miner.end().code(), Some(0));
        kill_process(pid, Signal::TERM).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
        assert!(miner.lines.try_recv() != Err(mpsc::TryRecvError::Disconnected));
        assert!(test_kill_process(pid).is_ok());
        drop(grandchild);
        miner.rest();
    }
}

/// The number of its session, 0 where a container does not see it: `getsid` of a library may take
/// that for impossible.
fn session(pid: Pid) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    after_name.split_whitespace().nth(3).unwrap().parse().unwrap()
}

fn has_handler(pid: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    caught >> (signal.as_raw() - 1) & 1 == 1
}

#[test]
fn the_api_misbehaves_as_it_was_told() {
    let miner = Running::new(&["--api-port", "0", "--bad-json"]);
    let (status, body) = ask(&miner.api(), "GET /stats", "").unwrap();
    assert_eq!(status, 200);
    assert!(serde_json::from_str::<Value>(&body).is_err());

    let miner = Running::new(&["--api-port", "0", "--huge-api", "3000000"]);
    assert!(stats(&miner.api()).to_string().len() >= 3_000_000);

    let miner = Running::new(&["--api-port", "0", "--api-dies-after", "1"]);
    let address = miner.api();
    wait("the end of the API", || ask(&address, "GET /stats", "").is_none().then_some(()));
    miner.line("new job");

    let miner = Running::new(&["--api-port", "0", "--no-api", "--preparing-ms", "0"]);
    // The address would stand before the first phase.
    assert!(!miner.line("]").contains("listening"));
    miner.line("new job");
}

#[test]
fn a_hang_freezes_all_but_the_process() {
    let mut miner = Running::new(&["--api-port", "0", "--hang-after", "3000", "--count-lines"]);
    let address = miner.api();
    let begin = Instant::now();
    stats(&address);
    // Silence before its time is that of a slow machine.
    let freeze = || {
        let is_silent = miner.lines.recv_timeout(Duration::from_secs(1)).is_err();
        (is_silent && begin.elapsed() > Duration::from_secs(4)).then_some(())
    };
    wait("silence", freeze);
    let mut connection = TcpStream::connect(&address).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    connection.write_all(b"GET /stats HTTP/1.1\r\n\r\n").unwrap();
    let error = connection.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    miner.type_in(b"h");
    assert_eq!(miner.child.try_wait().unwrap(), None);
    miner.signal(Signal::TERM);
    assert_eq!(miner.end().code(), Some(0));
    assert!(miner.rest().is_empty());
}

#[test]
fn floods_endless_lines_and_silence_are_what_they_say() {
    let mut miner = Running::new(&["--flood", "20000"]);
    miner.line("flood 000020000");
    miner.type_in(b"q");
    assert_eq!(miner.end().code(), Some(0));

    let mut miner = Running::new(&["--endless-line", "--exit-after", "1500"]);
    miner.end();
    let last = miner.rest().pop().unwrap();
    assert!(last.len() >= 1024 && last.bytes().all(|byte| byte == b'x'));

    let mut miner = Running::new(&["--no-output", "--exit-after", "1500"]);
    miner.type_in(b"h");
    assert_eq!(miner.end().code(), Some(0));
    assert!(miner.rest().is_empty());
}

#[test]
fn a_delayed_start_says_nothing_and_ends_at_once() {
    let mut miner = Running::new(&["--start-delay", "3600000"]);
    wait("the handler", || has_handler(Pid::from_child(&miner.child), Signal::TERM).then_some(()));
    assert!(miner.lines.try_recv().is_err());
    miner.signal(Signal::TERM);
    assert_eq!(miner.end().code(), Some(0));
}

#[test]
fn nobody_reading_the_output_keeps_it_from_ending() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sim-miner"))
        .args(["--flood", "1000000"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Read one byte: then it prints. Read no more: then its pipe is full soon.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let pid = Pid::from_child(&child);
    let stdout = child.stdout.take().unwrap();
    let is_full = || rustix::io::ioctl_fionread(&stdout).unwrap() > 60_000;
    wait("a full pipe", || is_full().then_some(()));
    kill_process(pid, Signal::TERM).unwrap();
    let status = wait("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
