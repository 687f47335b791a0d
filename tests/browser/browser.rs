//! Chromium without a window, commanded over WebDriver.
//!
//! WebDriver is JSON over HTTP. The crates for it were tried: one turns on `preserve_order` of
//! `serde_json` for the whole workspace, the other brings a second set of Unicode tables; and what
//! these tests need most, the browser's own protocol and log, is a bare request with both.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use reqwest::{Method, blocking::Client};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host::{processes, signal};

/// What makes a browser quiet, and able to run as root and without a display.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,800",
];

/// Longest wait for an answer of the driver.
const ANSWER: Duration = Duration::from_secs(120);

/// A browser with one page and a profile of its own, until this is dropped.
pub(crate) struct Browser {
    client: Client,
    process: Child,
    said: Option<JoinHandle<()>>,
    profile: TempDir,
    server: String,
    session: String,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver cannot be run: {error}"));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let said = std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self {
            client: Client::builder().no_proxy().timeout(ANSWER).build().unwrap(),
            process,
            said: Some(said),
            profile,
            server: format!("http://127.0.0.1:{}", port.expect("chromedriver tells its port")),
            session: String::new(),
        };
        let data = browser.profile.path().join("profile");
        let mut flags: Vec<_> = FLAGS.iter().map(|&it| it.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", data.display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let session = browser.ask(&Method::POST, "/session", &wanted).unwrap();
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    fn ask(&self, method: &Method, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.client.request(method.clone(), format!("{}{path}", self.server));
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = request.send().map_err(|error| error.to_string())?;
        let is_well = answer.status().is_success();
        let mut answer: Value = answer.json().map_err(|error| error.to_string())?;
        let value = answer["value"].take();
        if is_well { Ok(value) } else { Err(value["message"].to_string()) }
    }

    /// A command of the session.
    pub(crate) fn command(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.ask(&Method::POST, &format!("{}{path}", self.session), body)
    }

    /// A command of the browser's own protocol.
    pub(crate) fn tell(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("/goog/cdp/execute", &body).unwrap()
    }

    /// What a script returns.
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Result<Value, String> {
        self.command("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// A command to the element that the XPath leads to.
    pub(crate) fn touch(&self, path: &str, command: &str, body: &Value) -> Result<(), String> {
        let found = self.command("/element", &json!({ "using": "xpath", "value": path }))?;
        let element = found.as_object().and_then(|it| it.values().next()?.as_str());
        let element = element.ok_or_else(|| format!("{path}: {found}"))?;
        // Not under the bar at the top of the page, which would take the click.
        let into_view = "arguments[0].scrollIntoView({ block: 'center' })";
        self.run(into_view, std::slice::from_ref(&found))?;
        self.command(&format!("/element/{element}/{command}"), body).map(drop)
    }

    /// Presses and lets go of each key, wherever the focus is.
    pub(crate) fn press(&self, keys: &str) {
        let strokes: Vec<_> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|it| json!({ "type": it, "value": key })))
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.command("/actions", &json!({ "actions": [keyboard] })).unwrap();
    }

    /// Errors and warnings since it was asked last.
    pub(crate) fn log(&self) -> Vec<String> {
        let log = self.command("/se/log", &json!({ "type": "browser" })).unwrap();
        let grave = |it: &&Value| it["level"] == "SEVERE" || it["level"] == "WARNING";
        log.as_array().unwrap().iter().filter(grave).map(|it| it["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.ask(&Method::DELETE, &self.session, &Value::Null));
        drop(self.process.kill());
        drop(self.process.wait());
        if let Some(said) = self.said.take() {
            drop(said.join());
        }
        // A browser that did not end when asked.
        let mark = self.profile.path().as_os_str().as_encoded_bytes();
        for process in processes() {
            let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            if line.windows(mark.len()).any(|part| part == mark) {
                signal(process, rustix::process::Signal::KILL);
            }
        }
    }
}
