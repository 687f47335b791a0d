//! A driver that misbehaves on demand, to test hosts.
//!
//! What it does wrong is a *fault*, `{kind}-{entry point}`:
//!
//! - kind: `panic`, `hang` (one hour), `huge` (a reply of 5 MiB), `garbage` (a reply that no host
//!   may act on), `exit` (status 7), `abort`, `segv`, `overflow` (of the stack), `spin` (one hour of
//!   computing), `bomb` (all memory), `socket` (garbage to the host), `fork`.
//! - entry point: `create`, `describe`, `install`, `uninstall`, `version`, `start`, `stop`,
//!   `probes`, `stats`, `output`, `command`, `request`, `message`, `healthy`, `drop`, or `thread`
//!   for a thread of the driver's own, started by `create`.
//!
//! One kind is of `start` alone: `plan-{what}` is a plan of good form that reaches for what is not
//! the driver's: `program`, `climb`, `file`, `absolute`, `loader` or `flood`.
//!
//! One kind is no fault and of `stats` alone: `publish` publishes a device that draws 123.5 W,
//! and an algorithm.
//!
//! Where the fault comes from: an object for a miner takes it from the miner's name, such as
//! `panic-start`. The object for the driver itself takes it from the file `fault` in its data
//! folder. A request to `/reach/WHAT` tries something that is not the driver's and answers with what
//! came of it; one to `/try/WHAT` does what only a hostile driver would (`hostile.rs`). A request to `/panic` and a message `panic` ask for that kind in that call alone.
//! The kind `leak` panics with the secret of the configuration, and logs it before.
//!
//! Without a fault it works: it runs the program `sim-miner` with the arguments in `args`.

mod fault;
mod hostile;

use std::{fs, path::PathBuf, sync::Mutex, thread};

use adit_plugin_api::{
    Command, CommandPlan, CommandStep, Config, Context, Description, DeviceMetrics, Error, Host,
    HttpRequest, HttpResponse, InstallPlan, Installed, Launch, Miner, Observation, PeerId,
    PerformanceMetrics, PlanFile, Probe, ProcessPlan, ReleasePlan, Reply, Result, StartPlan,
    StopAction, StopPlan, StopStep, Target, Value, export_driver, json,
};

use crate::fault::{HUGE, Shape, act, reach};

struct Faulty {
    kind: String,
    entry: String,
    data_dir: PathBuf,
    host: Host,
    secret: Mutex<String>,
}

impl Faulty {
    /// Figures of its own, beside those that the host collects.
    fn publish(&self) -> Result<()> {
        let device =
            DeviceMetrics { id: "meter".to_owned(), power: Some(123.5), ..Default::default() };
        let algorithm = Some("rx/meter".to_owned());
        self.host.publish(&PerformanceMetrics {
            algorithm,
            devices: vec![device],
            ..Default::default()
        })
    }

    /// A plan for something that is not the driver's.
    fn reach_out(&self, sane: ProcessPlan, launch: &Launch) -> ProcessPlan {
        let file = |path| vec![PlanFile { path, content: "escaped".to_owned() }];
        match self.entry.as_str() {
            "program" => ProcessPlan { program: "/bin/sh".into(), ..sane },
            "climb" => ProcessPlan { program: sane.program.join("../../bin/sh"), ..sane },
            "file" => ProcessPlan { files: file("sub/../../escape".into()), ..sane },
            "absolute" => ProcessPlan { files: file(launch.data_dir.join("escape")), ..sane },
            "loader" => {
                let preload = ("LD_PRELOAD".to_owned(), "/tmp/escape.so".to_owned());
                ProcessPlan { env: [preload].into(), ..sane }
            }
            "flood" => {
                let files = (0..1000).flat_map(|n| file(format!("escape-{n}").into()));
                ProcessPlan { files: files.collect(), ..sane }
            }
            _ => sane,
        }
    }

    /// Misbehaves if `entry` is the one.
    fn enter(&self, entry: &str) -> Shape {
        if self.entry == entry && self.kind == "leak" {
            let secret = self.secret.lock().map(|it| it.clone()).unwrap_or_default();
            log::warn!("the secret is {secret}");
            drop(self.host.event("leak", &json!({ "secret": secret })));
            panic!("a panic about {secret}");
        }
        if self.entry == entry { act(&self.kind) } else { Shape::Sane }
    }
}

fn long() -> String {
    "x".repeat(HUGE)
}

/// A text that must not reach a terminal, a path or a URL as it is.
const NASTY: &str = "\u{1b}[2J../../../etc/passwd\0\r\n";

impl Miner for Faulty {
    fn create(context: Context) -> Result<Self> {
        let (data_dir, host) = (context.data_dir.clone(), context.host.clone());
        let fault = context.miner.or_else(|| {
            let file = context.data_dir.join("fault");
            fs::read_to_string(file).ok().map(|fault| fault.trim().to_owned())
        });
        let fault = fault.unwrap_or_default();
        log::info!("object with the fault {fault:?}");
        let (kind, entry) = fault.split_once('-').unwrap_or_default();
        let secret = Mutex::default();
        let faulty =
            Self { kind: kind.to_owned(), entry: entry.to_owned(), data_dir, host, secret };
        if faulty.enter("create") == Shape::Huge {
            return Err(Error::failed(long()));
        }
        if faulty.entry == "thread" {
            let kind = faulty.kind.clone();
            thread::Builder::new().name("faulty".to_owned()).spawn(move || act(&kind))?;
        }
        Ok(faulty)
    }

    fn describe(&self) -> Description {
        let args = json!({ "type": "array", "items": { "type": "string" } });
        let secret = json!({ "type": "string", "writeOnly": true });
        let properties = json!({ "args": args, "key": secret });
        let schema = json!({ "type": "object", "properties": properties });
        let sane = Description {
            name: "Faulty".to_owned(),
            summary: "misbehaves on demand".to_owned(),
            algorithms: vec!["rx/0".to_owned()],
            devices: vec!["cpu".to_owned()],
            config_schema: schema,
            defaults: json!({ "args": [] }),
            commands: vec!["pause".to_owned(), "resume".to_owned()],
            needs_program: true,
            ..Description::default()
        };
        match self.enter("describe") {
            Shape::Sane => sane,
            Shape::Huge => Description { summary: long(), ..sane },
            Shape::Garbage => Description {
                name: NASTY.to_owned(),
                config_schema: json!("no schema"),
                defaults: json!([1]),
                ..sane
            },
        }
    }

    fn install(&self, _: &Target) -> Result<InstallPlan> {
        Ok(match self.enter("install") {
            Shape::Sane => InstallPlan::Bundled { program: "sim-miner".to_owned() },
            Shape::Huge => InstallPlan::Bundled { program: long() },
            Shape::Garbage => InstallPlan::Release(ReleasePlan {
                repository: NASTY.to_owned(),
                asset: NASTY.to_owned(),
                program: NASTY.to_owned(),
                remove: vec!["/".to_owned(), "../..".to_owned()],
                ..ReleasePlan::default()
            }),
        })
    }

    fn uninstall(&self, _: &Installed) -> Result<()> {
        match self.enter("uninstall") {
            Shape::Sane => Ok(()),
            Shape::Huge => Err(Error::failed(long())),
            Shape::Garbage => Err(Error::failed(NASTY)),
        }
    }

    fn version(&self, output: &str) -> Result<String> {
        match self.enter("version") {
            Shape::Sane => {
                let version = output.split_whitespace().find(|word| word.contains('.'));
                version.map(str::to_owned).ok_or_else(|| Error::failed("no version"))
            }
            Shape::Huge => Ok(long()),
            Shape::Garbage => Ok(NASTY.to_owned()),
        }
    }

    fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        if let (Ok(mut secret), Some(key)) = (self.secret.lock(), config.0.get("key")) {
            key.as_str().unwrap_or_default().clone_into(&mut secret);
        }
        let shape = self.enter("start");
        let installed = launch.program.clone();
        let program =
            installed.ok_or_else(|| Error::unavailable("install the program first"))?.program;
        let args = config.0.get("args").and_then(Value::as_array);
        let words = args.into_iter().flatten().filter_map(Value::as_str);
        let args = words.map(str::to_owned).collect();
        let sane = ProcessPlan { program, args, ..ProcessPlan::default() };
        if self.kind == "plan" {
            return Ok(StartPlan::Process(self.reach_out(sane, launch)));
        }
        Ok(StartPlan::Process(match shape {
            Shape::Sane => sane,
            Shape::Huge => ProcessPlan { stdin: Some(long()), ..sane },
            Shape::Garbage => ProcessPlan {
                program: "/opt/../bin/sh".into(),
                args: vec!["a\0b".to_owned()],
                env: [("A=B\0".to_owned(), NASTY.to_owned())].into(),
                files: vec![PlanFile { path: "../escape".into(), content: NASTY.to_owned() }],
                ..sane
            },
        }))
    }

    fn stop(&self, _: &Launch) -> StopPlan {
        let step = |action| StopStep { action, grace: std::time::Duration::from_secs(5) };
        let term = step(StopAction::Signal { signal: "TERM".to_owned() });
        match self.enter("stop") {
            Shape::Sane => StopPlan { steps: vec![term] },
            Shape::Huge => StopPlan { steps: vec![step(StopAction::Stdin { input: long() })] },
            Shape::Garbage => {
                let endless = StopStep { grace: std::time::Duration::MAX, ..term };
                let unknown = step(StopAction::Signal { signal: NASTY.to_owned() });
                StopPlan { steps: vec![unknown, step(StopAction::Unknown), endless] }
            }
        }
    }

    fn probes(&self, launch: &Launch) -> Vec<Probe> {
        let url = format!("http://127.0.0.1:{}/", launch.api_port);
        match self.enter("probes") {
            Shape::Sane => vec![Probe::http("api", url)],
            Shape::Huge => vec![Probe::http("api", long())],
            Shape::Garbage => vec![
                Probe::http("away", "http://192.0.2.1/"),
                Probe::http("nasty", NASTY).header(NASTY, NASTY),
                Probe::tcp("port", "127.0.0.1:99999", NASTY),
            ],
        }
    }

    fn stats(&self, _: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let device = |hashrate| DeviceMetrics { hashrate: Some(hashrate), ..Default::default() };
        let sane = PerformanceMetrics {
            hashrate: Some(1000.0),
            shares: u64::try_from(replies.len()).ok(),
            ..PerformanceMetrics::default()
        };
        if self.kind == "publish" {
            self.publish()?;
        }
        Ok(match self.enter("stats") {
            Shape::Sane => sane,
            Shape::Huge => PerformanceMetrics { algorithm: Some(long()), ..sane },
            Shape::Garbage => PerformanceMetrics {
                hashrate: Some(-1.0),
                hashrates: [("10s".to_owned(), Some(f64::NAN))].into(),
                algorithm: Some(NASTY.to_owned()),
                devices: vec![device(f64::MAX), device(-5.0)],
                last_share: Some(i64::MIN),
                ..sane
            },
        })
    }

    fn output(&self, lines: &[&str]) -> Vec<Observation> {
        let error = |message: &str| Observation::Error { message: message.to_owned() };
        match self.enter("output") {
            Shape::Sane => lines.iter().map(|_| Observation::Progress).collect(),
            Shape::Huge => vec![error(&long())],
            Shape::Garbage => vec![
                Observation::Hashrate { hashrate: f64::NAN },
                Observation::Hashrate { hashrate: -1.0 },
                error(NASTY),
                Observation::Unknown,
            ],
        }
    }

    fn command(&self, command: &Command, _: &Launch) -> Result<CommandPlan> {
        let step = match self.enter("command") {
            Shape::Sane => CommandStep::Stdin { input: format!("{}\n", command.name) },
            Shape::Huge => CommandStep::Stdin { input: long() },
            Shape::Garbage => CommandStep::Unknown,
        };
        Ok(vec![step].into())
    }

    fn request(&self, request: &HttpRequest) -> Result<HttpResponse> {
        if let Some(what) = request.path.strip_prefix("/reach/") {
            let reached = reach(what, &self.data_dir);
            let body = reached.unwrap_or_else(|error| format!("refused: {error}")).into_bytes();
            return Ok(HttpResponse { status: 200, content_type: "text/plain".to_owned(), body });
        }
        #[cfg(target_os = "linux")]
        if let Some(attempt) = request.path.strip_prefix("/try/") {
            let body = hostile::attempt(attempt, &self.data_dir).into_bytes();
            return Ok(HttpResponse { status: 200, content_type: "text/plain".to_owned(), body });
        }
        let asked = act(request.path.trim_start_matches('/'));
        let shape = if asked == Shape::Sane { self.enter("request") } else { asked };
        let sane = HttpResponse {
            status: 200,
            content_type: "application/octet-stream".to_owned(),
            body: request.body.clone(),
        };
        Ok(match shape {
            Shape::Sane => sane,
            Shape::Huge => HttpResponse { body: vec![0; HUGE], ..sane },
            Shape::Garbage => HttpResponse { status: 999, content_type: NASTY.to_owned(), ..sane },
        })
    }

    fn message(&self, _: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        let asked = act(str::from_utf8(payload).unwrap_or_default());
        let shape = if asked == Shape::Sane { self.enter("message") } else { asked };
        Ok(match shape {
            Shape::Sane => payload.to_vec(),
            Shape::Huge => vec![0; HUGE],
            Shape::Garbage => vec![0xff; 16],
        })
    }

    fn is_healthy(&self) -> bool {
        self.enter("healthy") == Shape::Sane
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.enter("drop");
    }
}

export_driver!(Faulty, { id: "faulty" });
