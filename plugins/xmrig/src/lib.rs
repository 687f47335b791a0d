//! Driver of XMRig, the miner for CPUs and GPUs: RandomX, GhostRider, KawPow, Argon2, CryptoNight.
//!
//! `config` turns a configuration into XMRig's file, `schema` describes it, `control` asks and
//! commands a running XMRig, `stats` and `output` read what it says, `release` says where it comes
//! from, `names` what it can mine. Facts are those of XMRig 6.26.
//!
//! # Decisions
//!
//! - **One file, and nothing beside it.** Everything stands in `config.json` in the run's folder,
//!   which is also XMRig's data folder and `HOME`, so that every configuration that XMRig could
//!   fall back to is this one. The command line has only the two paths.
//! - **Pipes.** XMRig prints nothing into a file, and what it prints into a pipe is the same as on
//!   a terminal. Its stdin stays open: without one it aborts at its end.
//! - **`${…}` is refused** in every text that goes into the file. XMRig replaces it by a variable
//!   of its environment in some of them, and there is no way to write one that it leaves alone.
//! - **The rig's name** at the pool is the one that the host gives (`Launch::worker`), unless
//!   `rigId` says another; an empty `rigId` sends none. XMRig's own `worker-id` is the miner's name.
//! - **Registers are left alone** unless `msr` is set: as root XMRig would otherwise write them and
//!   open a kernel interface for it. Huge pages are used by default; as root XMRig reserves them.
//! - **An algorithm or coin that XMRig does not know is refused**, for it would mine whatever the
//!   pool says. So is every key that would do nothing beside others.
//! - **Libraries are not named**: `cuda.loader`, `opencl.loader` and a path in `cuda.nvml` would
//!   have XMRig run what a configuration says. XMRig finds them where they belong.
//!
//! # Changing pools
//!
//! `set-pools` takes `{"pools": […]}`, as in the configuration. What all pools of before have in
//! common (algorithm or coin, rig id, keepalive, proxy) holds for a new one that does not say
//! otherwise. XMRig replaces its whole configuration by what it is sent, hence the driver reads the
//! current one from the run's folder, where XMRig also writes what it was sent. XMRig answers 204
//! before it has talked to the new pool, and while that one does not answer, goes on hashing for the
//! old one: the change is done when the figures name the new pool (`pool.url`) as connected, in a
//! session younger than the change (`pool.sessionMs`). It holds for the run; a restart begins with
//! the configured pools.
//!
//! # What cannot be tested without the program
//!
//! Tests named `trap_NN_…` show how the driver meets what bites in XMRig. Four of those are
//! behaviour of the program alone, and the test shows only that the plan allows for it: that it
//! drops output into a full pipe (3), survives the loss of its reader (4), hangs after a pool's
//! redirect (11), and crashes of a pool's target (12). Tests of the whole host have 3, 11, 12, 13
//! and 17 again, on a stand-in that does the same and, where a tester names one, on a real XMRig.
//! That it takes a dataset's time to end (10) and writes registers as root (19) is seen by nobody
//! there: the one takes gigabytes, the other the machine's kernel.

#![forbid(unsafe_code)]

mod config;
mod control;
mod names;
mod output;
mod release;
mod schema;
mod stats;

use std::{collections::BTreeMap, env::consts, time::Duration};

use adit_plugin_api::{
    Command, CommandPlan, Config, Console, Context, Description, Error, InstallPlan, Launch, Miner,
    Observation, PerformanceMetrics, Phase, PlanFile, Probe, ProcessPlan, Reply, Result, StartPlan,
    StopPlan, Target, export_driver,
};

use crate::{config::XmrigConfig, output::Reader};

/// XMRig's configuration, in the run's folder.
const FILE: &str = "config.json";

/// The driver.
pub struct Xmrig {
    reader: Reader,
}

impl Miner for Xmrig {
    fn create(_context: Context) -> Result<Self> {
        Ok(Self { reader: Reader::default() })
    }

    fn describe(&self) -> Description {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Description {
            name: "XMRig".to_owned(),
            summary: "Mines RandomX, GhostRider, Argon2 and CryptoNight on CPUs and KawPow on GPUs"
                .to_owned(),
            homepage: Some("https://xmrig.com".to_owned()),
            algorithms: names::ALGORITHMS.iter().map(|name| (*name).to_owned()).collect(),
            devices: vec!["cpu".to_owned(), "gpu".to_owned()],
            config_schema: schema::schema(),
            defaults: schema::defaults(),
            commands: control::COMMANDS.iter().map(|name| (*name).to_owned()).collect(),
            phase_limits: BTreeMap::from([
                (Phase::Starting, Duration::from_secs(30)),
                // RandomX's dataset takes one slow thread minutes.
                (Phase::Preparing, minutes(10)),
                // Five attempts at each of several pools, 20 seconds each.
                (Phase::Connecting, minutes(5)),
                (Phase::Waiting, minutes(30)),
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
        let config = XmrigConfig::read(config, consts::OS)?;
        let installed = launch
            .program
            .as_ref()
            .ok_or_else(|| Error::unavailable("XMRig is not installed: run adit install xmrig"))?;
        let folder = launch.run_dir.to_str().ok_or_else(|| {
            Error::failed("the path of the run's folder is no UTF-8: move the state folder")
        })?;
        Ok(StartPlan::Process(ProcessPlan {
            program: installed.program.clone(),
            args: vec!["-c".to_owned(), format!("{folder}/{FILE}"), format!("--data-dir={folder}")],
            files: vec![PlanFile { path: FILE.into(), content: config.file(launch)? }],
            console: Console::Pipes,
            secrets: config.secrets(launch),
            ..ProcessPlan::default()
        }))
    }

    fn stop(&self, _launch: &Launch) -> StopPlan {
        control::stop()
    }

    fn probes(&self, launch: &Launch) -> Vec<Probe> {
        control::probes(launch)
    }

    fn stats(&self, _launch: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let metrics = stats::read(replies)?;
        if let Some(pages) = stats::huge_pages(&metrics) {
            self.reader.count_pages(pages);
        }
        Ok(metrics)
    }

    fn output(&self, lines: &[&str]) -> Vec<Observation> {
        self.reader.observe(lines)
    }

    fn command(&self, command: &Command, launch: &Launch) -> Result<CommandPlan> {
        control::plan(command, launch)
    }
}

export_driver!(Xmrig);

#[cfg(test)]
mod tests;
