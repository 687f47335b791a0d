//! Driver of the simulated miner `sim-miner`: a whole driver to read, to try and to test with.
//!
//! `config` turns a configuration into the program's file, `schema` describes it, `stats`
//! and `output` read what the program says, `routes` are the driver's own part of the REST API.

#![forbid(unsafe_code)]

mod config;
mod output;
mod routes;
mod schema;
mod stats;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use adit_plugin_api::{
    Command, CommandPlan, CommandStep, Config, Context, Description, Error, Host, HttpAsk,
    HttpRequest, HttpResponse, InstallPlan, Launch, LogLevel, Miner, Observation, PeerId,
    PerformanceMetrics, Phase, PlanFile, Probe, ProcessPlan, Reply, Result, StartPlan, StopAction,
    StopPlan, StopStep, Target, export_driver,
};

use crate::config::SimConfig;

/// The program's configuration file, in the run's folder, where the program starts.
const FILE: &str = "sim-miner.json";

/// The driver.
pub struct Sim {
    host: Host,
    /// How often figures were read: published as an example of figures of the driver's own.
    readings: AtomicU64,
}

impl Miner for Sim {
    fn create(context: Context) -> Result<Self> {
        Ok(Self { host: context.host, readings: AtomicU64::new(0) })
    }

    fn describe(&self) -> Description {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Description {
            name: "Simulated miner".to_owned(),
            summary: "Mines nothing and needs nothing: for trying things out and for tests"
                .to_owned(),
            algorithms: ["rx/0", "kawpow", "ghostrider"].map(str::to_owned).into(),
            devices: vec!["cpu".to_owned(), "gpu".to_owned()],
            config_schema: schema::schema(),
            defaults: schema::defaults(),
            commands: ["pause", "resume", "speed"].map(str::to_owned).into(),
            phase_limits: BTreeMap::from([
                (Phase::Starting, Duration::from_secs(15)),
                // A little more than the longest that can be configured.
                (Phase::Preparing, minutes(11)),
                (Phase::Connecting, minutes(1)),
                (Phase::Waiting, minutes(15)),
                (Phase::Degraded, minutes(5)),
            ]),
            needs_program: true,
            ..Description::default()
        }
    }

    fn install(&self, target: &Target) -> Result<InstallPlan> {
        if target.os == "windows" {
            return Err(Error::unsupported("sim-miner needs Unix signals: use Linux or macOS"));
        }
        Ok(InstallPlan::Bundled { program: "sim-miner".to_owned() })
    }

    fn version(&self, output: &str) -> Result<String> {
        let version = output.lines().find_map(|line| line.trim_end().strip_prefix("sim-miner "));
        let is_version = |text: &&str| {
            text.starts_with(|c: char| c.is_ascii_digit())
                && (1..=64).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte))
        };
        version
            .filter(is_version)
            .map(str::to_owned)
            .ok_or_else(|| Error::failed("this is not sim-miner: it did not print its version"))
    }

    fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        let config = SimConfig::read(config)?;
        let installed = launch
            .program
            .as_ref()
            .ok_or_else(|| Error::unavailable("sim-miner is not installed: install it first"))?;
        Ok(StartPlan::Process(ProcessPlan {
            program: installed.program.clone(),
            args: vec!["--config".to_owned(), FILE.to_owned()],
            files: vec![PlanFile { path: FILE.into(), content: config.file(launch) }],
            console: config.console,
            secrets: config.secrets(launch),
            ..ProcessPlan::default()
        }))
    }

    fn stop(&self, _launch: &Launch) -> StopPlan {
        let action = StopAction::Signal { signal: "TERM".to_owned() };
        StopPlan { steps: vec![StopStep { action, grace: Duration::from_secs(5) }] }
    }

    fn probes(&self, launch: &Launch) -> Vec<Probe> {
        let bearer = format!("Bearer {}", launch.api_token);
        vec![Probe::http(stats::PROBE, url(launch, "stats")).header("Authorization", bearer)]
    }

    fn stats(&self, _launch: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let metrics = stats::read(replies)?;
        let readings = 1 + self.readings.fetch_add(1, Ordering::Relaxed);
        let own = [("readings".to_owned(), readings.into())].into_iter().collect();
        let own = PerformanceMetrics { extra_data: own, ..PerformanceMetrics::default() };
        if let Err(error) = self.host.publish(&own) {
            self.host.log(LogLevel::Debug, &format!("cannot publish: {}", error.message));
        }
        Ok(metrics)
    }

    fn output(&self, lines: &[&str]) -> Vec<Observation> {
        lines.iter().flat_map(|line| output::observe(line)).collect()
    }

    fn command(&self, command: &Command, launch: &Launch) -> Result<CommandPlan> {
        let step = match command.name.as_str() {
            name @ ("pause" | "resume") => CommandStep::Http(HttpAsk {
                url: url(launch, name),
                method: "POST".to_owned(),
                headers: [("Authorization".to_owned(), format!("Bearer {}", launch.api_token))]
                    .into(),
                body: String::new(),
            }),
            "speed" => CommandStep::Stdin { input: "h".to_owned() },
            _ => return Err(Error::unsupported("there are the commands pause, resume and speed")),
        };
        if !command.params.is_null() {
            return Err(Error::invalid(format!("{} takes no parameters", command.name)));
        }
        Ok(vec![step].into())
    }

    fn request(&self, request: &HttpRequest) -> Result<HttpResponse> {
        routes::answer(&self.host, request)
    }

    fn message(&self, _from: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        Ok(payload.to_vec())
    }
}

fn url(launch: &Launch, path: &str) -> String {
    format!("http://127.0.0.1:{}/{path}", launch.api_port)
}

export_driver!(Sim);

#[cfg(test)]
mod tests;
