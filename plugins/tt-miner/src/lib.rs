//! Driver of TT-Miner, the closed miner for NVIDIA GPUs: KawPow, ProgPow, Ethash, Ghostrider, Blake3.
//!
//! `config` turns a configuration into TT-Miner's command line, `schema` describes it, `stats` reads
//! its API and `output` what it prints, `facts` remembers what only the first lines of a run tell,
//! `release` says where it comes from.
//!
//! TT-Miner was not at hand when this was written. The driver rests on its public texts, on lines
//! and replies that others published, and on what five other programs that read it agree on. Where
//! those say nothing, the driver says nothing either: a value is absent, not guessed.
//!
//! # Decisions
//!
//! - **Wallet and password stand on the command line.** TT-Miner reads no configuration file that
//!   takes them, so other users of the machine see them in the list of processes. Plans and logs
//!   show them masked.
//! - **One pool is written with `-o -u -w -p`**, where a wallet may have any character. Several
//!   pools, or several coins, need `-P wallet.worker:password@host:port`; a `:` or `@` in a wallet,
//!   worker or password is refused there, for TT-Miner would read another wallet.
//! - **No log files.** `-log` and `-logpool` write wallets into the program's folder; the host keeps
//!   the output anyway.
//! - **DAGs are kept in the miner's lasting folder** (`dagToDisk`), as the run's is emptied.
//! - **`stop` sends SIGINT first**, the Ctrl-C that TT-Miner watches for.
//!
//! # What is not known of TT-Miner
//!
//! - Whether the second number of the API's shares counts accepted or submitted ones. The driver
//!   takes it for submitted and reports `accepted = it - rejected`; the number itself is
//!   `sharesField` of the extra figures.
//! - What a printed line looks like once the hashrate is above 0: the unit is read, never assumed.
//! - What `S` in `[A0:R0:S0 …]` counts: it is not reported.
//! - Whether it can be paused: it cannot, as far as this driver knows.

#![forbid(unsafe_code)]

mod config;
mod facts;
mod output;
mod release;
mod schema;
mod stats;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use adit_plugin_api::{
    Command, CommandPlan, Config, Context, Description, Error, Host, InstallPlan, Launch, Miner,
    Observation, PerformanceMetrics, Phase, Probe, ProcessPlan, Reply, Result, StartPlan,
    StopAction, StopPlan, StopStep, Target, export_driver,
};

use crate::{config::TtConfig, output::Reader};

/// Algorithms that TT-Miner's texts name, in lower case.
const ALGORITHMS: &[&str] = &[
    "kawpow",
    "firopow",
    "meowpow",
    "evrprogpow",
    "progpow",
    "progpowz",
    "vprogpow",
    "ethash",
    "etchash",
    "ethashb3",
    "ubqhash",
    "fishhash",
    "ghostrider",
    "mike",
    "blake3",
    "sha256d",
    "sha256dt",
    "sha512256d",
    "sha3d",
    "sha3solidity",
    "flex",
    "spectrex",
    "xelis",
];

/// The driver.
pub struct TtMiner {
    host: Host,
    /// Held for the reading of some lines only.
    reader: Mutex<Reader>,
}

impl TtMiner {
    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Miner for TtMiner {
    fn create(context: Context) -> Result<Self> {
        Ok(Self { host: context.host, reader: Mutex::default() })
    }

    fn describe(&self) -> Description {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Description {
            name: "TT-Miner".to_owned(),
            summary: "Mines KawPow, ProgPow, Ethash, Ghostrider, Blake3 and more on NVIDIA GPUs"
                .to_owned(),
            homepage: Some("https://github.com/TrailingStop/TT-Miner-release".to_owned()),
            algorithms: ALGORITHMS.iter().map(|name| (*name).to_owned()).collect(),
            devices: vec!["gpu".to_owned(), "cpu".to_owned()],
            config_schema: schema::schema(),
            defaults: schema::defaults(),
            commands: Vec::new(),
            phase_limits: BTreeMap::from([
                (Phase::Starting, minutes(2)),
                // A DAG of several GB, on one GPU after the other, and kernels that are compiled.
                (Phase::Preparing, minutes(15)),
                (Phase::Connecting, minutes(5)),
                // It reports 0 H/s until its first share.
                (Phase::Waiting, minutes(45)),
                (Phase::Degraded, minutes(10)),
            ]),
            needs_program: true,
        }
    }

    fn install(&self, target: &Target) -> Result<InstallPlan> {
        release::plan(target)
    }

    fn version(&self, output: &str) -> Result<String> {
        release::version(output)
    }

    fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        let config = TtConfig::read(config)?;
        let installed = launch.program.as_ref().ok_or_else(|| {
            Error::unavailable("TT-Miner is not installed: run adit install tt-miner")
        })?;
        release::check_gpu_driver(launch)?;
        Ok(StartPlan::Process(ProcessPlan {
            program: installed.program.clone(),
            args: config.args(launch)?,
            secrets: config.secrets(launch),
            ..ProcessPlan::default()
        }))
    }

    fn stop(&self, _launch: &Launch) -> StopPlan {
        let step = |signal: &str, seconds| StopStep {
            action: StopAction::Signal { signal: signal.to_owned() },
            grace: Duration::from_secs(seconds),
        };
        StopPlan { steps: vec![step("INT", 15), step("TERM", 10)] }
    }

    fn probes(&self, launch: &Launch) -> Vec<Probe> {
        vec![stats::probe(launch)]
    }

    fn stats(&self, launch: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let seen = facts::of_run(&self.host, launch, &mut self.reader());
        stats::read(replies, &seen)
    }

    fn output(&self, lines: &[&str]) -> Vec<Observation> {
        self.reader().observe(lines)
    }

    fn command(&self, command: &Command, _launch: &Launch) -> Result<CommandPlan> {
        Err(Error::unsupported(format!(
            "TT-Miner has no way to {}: stop the miner, or let it stop at a temperature \
             (stopTemperature)",
            if command.name == "resume" { "go on after a pause" } else { "pause or be commanded" }
        )))
    }
}

export_driver!(TtMiner);

#[cfg(test)]
mod tests;
