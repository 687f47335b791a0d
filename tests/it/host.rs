//! A real host with a state folder of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use reqwest::{Method, blocking::Client};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest wait for anything; a condition that takes this long will never come true, not even on a
/// machine with better things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The folder with the binaries and drivers of this build.
pub(crate) fn build() -> PathBuf {
    // target/<profile>/deps/it-…
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

/// The file `name` of this build.
///
/// # Panics
/// When it was not built: `cargo build --workspace` builds what the tests run.
pub(crate) fn built(name: &str) -> PathBuf {
    let path = build().join(name);
    assert!(path.exists(), "{} is missing: run cargo build --workspace", path.display());
    path
}

/// Waits until `look` sees something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A state folder, and the host that uses it while there is one.
///
/// When dropped, the host is killed and every program of the folder with it.
pub(crate) struct Host {
    pub(crate) folder: TempDir,
    /// The binary that is the host.
    pub(crate) binary: PathBuf,
    /// The network namespace that it runs in, if not this one.
    pub(crate) network: Option<String>,
    /// The user that it runs as, if not this one.
    pub(crate) user: Option<u32>,
    child: Option<Child>,
    said: Option<JoinHandle<String>>,
    pub(crate) base: String,
    token: String,
    client: Client,
}

impl Host {
    /// A host on an empty state folder.
    pub(crate) fn start() -> Self {
        let mut host = Self::absent();
        host.up(&[]);
        host
    }

    /// An empty state folder without a host.
    pub(crate) fn absent() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = "[miners]\nstats_interval_ms = 200\noutput_interval_ms = 50\n";
        fs::write(folder.path().join("adit.toml"), settings).unwrap();
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self {
            folder,
            binary: built("adit"),
            network: None,
            user: None,
            child: None,
            said: None,
            base: String::new(),
            token: String::new(),
            client,
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.folder.path().join("adit.toml")
    }

    /// `adit` with the folders of this host and nothing of the tester's own.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = match (&self.network, self.user) {
            (Some(network), _) => {
                let mut inside = Command::new("/usr/sbin/ip");
                inside.args(["netns", "exec", network]).arg(&self.binary);
                inside
            }
            (None, Some(user)) => {
                let mut inside = Command::new("setpriv");
                inside.args(["--clear-groups", "--reuid", &user.to_string()]).arg(&self.binary);
                inside
            }
            (None, None) => Command::new(&self.binary),
        };
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .env("ADIT_STATE_DIR", self.state())
            .env("ADIT_CONFIG", self.settings())
            .env("ADIT_LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null());
        command
    }

    /// Runs `adit` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `adit`, which must succeed, and reads what it prints as JSON.
    pub(crate) fn run_json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts the host and does not wait for anything.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("host.log"))
            .unwrap();
        let mut command = self.command(&[&["up"], args].concat());
        command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
    }

    /// Starts the host and waits until it serves.
    pub(crate) fn up(&mut self, args: &[&str]) {
        let mut child = self.spawn(args);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let base =
            lines.find_map(|line| Some(line.ok()?.trim().strip_prefix("api")?.trim().to_owned()));
        self.child = Some(child);
        self.base = base.unwrap_or_else(|| panic!("the host did not come up: {}", self.log()));
        // Read on, so that the host never writes to a closed pipe.
        let said = move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n");
        self.said = Some(std::thread::spawn(said));
        self.token = fs::read_to_string(self.state().join("token")).unwrap();
    }

    /// What the host wrote to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("host.log")).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// `kill -9` of the host.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends the host as Ctrl-C would. Returns what it printed since it was up.
    pub(crate) fn interrupt(&mut self) -> String {
        signal(self.pid(), rustix::process::Signal::INT);
        self.wait()
    }

    /// Waits for the host's end, which must be a good one. Returns what it printed since it was up.
    pub(crate) fn wait(&mut self) -> String {
        let mut child = self.child.take().unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.log());
        self.said.take().unwrap().join().unwrap()
    }

    /// Whether the host process ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// A request with the admin's token.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::blocking::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.bare_request(&method, path).bearer_auth(&self.token)
    }

    /// A request without any token.
    pub(crate) fn bare_request(
        &self,
        method: &Method,
        path: &str,
    ) -> reqwest::blocking::RequestBuilder {
        self.client.request(method.clone(), format!("{}{path}", self.base))
    }

    /// Status and JSON body of a request, with a JSON body unless that is null.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.request(method, path);
        let request = if body.is_null() { request } else { request.json(body) };
        let response = request.send().unwrap();
        let status = response.status().as_u16();
        let text = response.text().unwrap();
        let json = serde_json::from_str(&text);
        (status, json.unwrap_or_else(|_| panic!("{method} {path}: {status} {text}")))
    }

    /// The answer to a request that must succeed.
    pub(crate) fn ok(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.ok("GET", path, &Value::Null)
    }

    /// Makes a simulated miner that is hashing at once, with `config` on top.
    pub(crate) fn simulate(&self, name: &str, config: &Value) -> Value {
        let mut full = json!({ "preparingMs": 0, "shareIntervalMs": 200, "seed": 1 });
        full.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        self.ok("POST", "/miners", &json!({ "name": name, "type": "sim", "config": full }))
    }

    pub(crate) fn miner(&self, name: &str) -> Value {
        self.get(&format!("/miners/{name}"))
    }

    /// Waits until the miner is in `phase`.
    pub(crate) fn wait_for_phase(&self, name: &str, phase: &str) -> Value {
        wait_for(&format!("{name} to be {phase}: {}", self.miner(name)), || {
            let miner = self.miner(name);
            (miner["phase"] == phase).then_some(miner)
        })
    }

    /// Pid of the miner's program.
    pub(crate) fn program(&self, name: &str) -> u32 {
        pid_at(&self.miner(name)["run"]["pid"])
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        let marks = [self.state().into_os_string().into_encoded_bytes()];
        for process in processes() {
            let of_ours = ["cmdline", "environ"].iter().any(|file| {
                let text = fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
                marks.iter().any(|mark| text.windows(mark.len()).any(|part| part == mark))
            });
            if of_ours && process != std::process::id() {
                signal(process, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Every process id of the machine.
pub(crate) fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A pid in JSON.
pub(crate) fn pid_at(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_else(|| panic!("{value} is no pid"))).unwrap()
}

/// Whether a process is there and no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat.rsplit(')').next().unwrap_or_default().trim().starts_with(['Z', 'X'])
    })
}

/// Sends a signal; nothing happens when the process is gone.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _gone = rustix::process::kill_process(pid, signal);
}
