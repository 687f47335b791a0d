//! A driver that breaks one rule for drivers: the one that its id names.
//!
//! The id is read from the manifest at run time, so that a copy of the file with another id in its
//! manifest is another broken driver. `broken-none` breaks none.
#![forbid(unsafe_code)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use adit_plugin_api::{
    Command, CommandPlan, CommandStep, Config, Context, Description, DeviceMetrics, Error,
    HttpRequest, HttpResponse, InstallPlan, Launch, Miner, Observation, PerformanceMetrics, Probe,
    ProcessPlan, Proof, ReleasePlan, Reply, Result, StartPlan, StopPlan, Target, Value,
    export_driver, json,
};

struct Broken {
    fault: String,
    calls: AtomicU64,
}

impl Broken {
    fn has(&self, fault: &str) -> bool {
        self.fault == fault
    }

    fn schema(&self) -> Value {
        let mut schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["pool"],
            "properties": {
                "pool": { "type": "string", "description": "Pool as host:port." },
                "password": { "type": "string", "writeOnly": true, "description": "Its password." },
                "threads": { "type": "integer", "minimum": 1, "description": "Threads." }
            },
            "examples": [{ "pool": "pool.example:3333" }]
        });
        if self.has("schema") {
            schema["properties"]["threads"] = json!({ "type": "integer" });
        }
        if self.has("secrets-marked") {
            schema["properties"]["token"] =
                json!({ "type": "string", "description": "Its token." });
        }
        schema
    }
}

impl Miner for Broken {
    fn create(context: Context) -> Result<Self> {
        let fault = context.driver.trim_start_matches("broken-").trim_end_matches('0');
        if fault == "sandbox" {
            // Refused, which is what it is about.
            let mode = fs::Permissions::from_mode(0o755);
            drop(fs::set_permissions(&context.data_dir, mode));
        }
        Ok(Self { fault: fault.to_owned(), calls: AtomicU64::new(0) })
    }

    fn describe(&self) -> Description {
        Description {
            name: "Broken".to_owned(),
            summary: if self.has("describes") { "" } else { "breaks a rule" }.to_owned(),
            config_schema: self.schema(),
            defaults: json!({ "threads": if self.has("defaults") { 0 } else { 1 } }),
            commands: vec!["pause".to_owned()],
            needs_program: true,
            ..Description::default()
        }
    }

    fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        let program = launch.program.clone().ok_or(Error::unavailable("no program"))?.program;
        if self.has("example") {
            return Err(Error::invalid("pool: no pool is good enough"));
        }
        let program = if self.has("plan") { "/bin/sh".into() } else { program };
        let password = config.text("password").unwrap_or_default().to_owned();
        let secrets = if self.has("secrets-masked") { Vec::new() } else { vec![password.clone()] };
        let args = vec![config.text("pool")?.to_owned(), format!("--pass={password}")];
        Ok(StartPlan::Process(ProcessPlan { program, args, secrets, ..ProcessPlan::default() }))
    }

    fn stop(&self, _: &Launch) -> StopPlan {
        let mut plan = StopPlan::default();
        if self.has("stop") {
            plan.steps.iter_mut().for_each(|step| step.grace = Duration::MAX);
        }
        plan
    }

    fn probes(&self, launch: &Launch) -> Vec<Probe> {
        let host = if self.has("probes") { "192.0.2.1" } else { "127.0.0.1" };
        vec![Probe::http("stats", format!("http://{host}:{}/stats", launch.api_port))]
    }

    fn stats(&self, _: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        match self.fault.as_str() {
            "no-panic" => panic!("a panic in stats"),
            "no-crash" => std::process::abort(),
            "in-time" => thread::sleep(Duration::from_secs(3_600)),
            "faults" if !replies.iter().any(Reply::is_ok) => {
                let hashrate = Some(0.0);
                return Ok(PerformanceMetrics { hashrate, ..PerformanceMetrics::default() });
            }
            _ => {}
        }
        let reply = replies.iter().find(|reply| reply.id == "stats");
        let stats = reply.ok_or_else(|| Error::unavailable("no reply"))?.json()?;
        let hashrate = stats["hashrate"].as_f64();
        if hashrate.is_none() {
            return Err(Error::unavailable("no figures"));
        }
        let factor = |fault: &str, factor: f64| if self.has(fault) { factor } else { 1.0 };
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(PerformanceMetrics {
            hashrate: hashrate.map(|it| it * factor("golden", 1000.0)),
            shares: stats["accepted"].as_u64(),
            uptime: self.has("many-at-once").then_some(calls),
            devices: vec![DeviceMetrics {
                id: "cpu:0".to_owned(),
                hashrate: hashrate.map(|it| it * factor("golden", 1000.0) * factor("devices", 2.0)),
                fan: self.has("units").then_some(45.0),
                ..DeviceMetrics::default()
            }],
            ..PerformanceMetrics::default()
        })
    }

    fn output(&self, lines: &[&str]) -> Vec<Observation> {
        let read = |line: &&str| -> Option<f64> {
            let words = if self.has("output") { "hashrate: " } else { "speed " };
            line.strip_prefix(words)?.strip_suffix(" H/s")?.parse().ok()
        };
        let sane = |it: &f64| self.has("output") || (it.is_finite() && *it >= 0.0);
        let rates = lines.iter().filter_map(read).filter(sane);
        rates.map(|hashrate| Observation::Hashrate { hashrate }).collect()
    }

    fn command(&self, command: &Command, _: &Launch) -> Result<CommandPlan> {
        if command.name != "pause" && !self.has("commands") {
            return Err(Error::unsupported("there is no such command"));
        }
        Ok(vec![CommandStep::Stdin { input: "p".to_owned() }].into())
    }

    fn install(&self, target: &Target) -> Result<InstallPlan> {
        if target.arch != "x86_64" {
            return Err(Error::unsupported("there is no release"));
        }
        let sums = self.has("install").then(|| "SHA256SUMS".to_owned());
        Ok(InstallPlan::Release(ReleasePlan {
            repository: "owner/name".to_owned(),
            asset: "name-{version}.tar.gz".to_owned(),
            program: "name".to_owned(),
            proof: Proof { sums, ..Proof::default() },
            ..ReleasePlan::default()
        }))
    }

    fn request(&self, request: &HttpRequest) -> Result<HttpResponse> {
        if self.has("answers") {
            return Ok(HttpResponse::json(&json!({ "path": request.path })));
        }
        Err(Error::unsupported("there is no such route"))
    }
}

// The digits leave room for every id of a copy.
export_driver!(Broken, { id: "broken-none000000000000" });
