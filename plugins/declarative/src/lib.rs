//! Serves drivers that are written down in TOML instead of programmed: `docs/declarative-drivers.md`
//! says how such a file looks. The host hands this library the file's text with each object.
//!
//! `manifest` has the file as it is written, the other modules what becomes of its parts: `fields`
//! the configuration, `template` texts with placeholders, `plan` how to start, stop and command,
//! `release` where the program comes from, `pick` single values of replies, `figures` all of them,
//! `output` printed lines, `fault` what is wrong with a file and in which line.

#![forbid(unsafe_code)]

mod fault;
mod fields;
mod figures;
mod manifest;
mod output;
mod pick;
mod plan;
mod release;
mod template;

use adit_plugin_api::{
    Command, CommandPlan, Config, Context, Description, Error, Host, InstallPlan, Launch, LogLevel,
    Miner, Observation, PerformanceMetrics, Probe, Reply, Result, StartPlan, StopPlan, Target,
    export_driver,
};

use crate::{
    fault::Lines, fields::Fields, figures::Figures, manifest::Manifest, output::Output,
    plan::Plans, release::Program,
};

/// One driver, as its file says.
struct Declared {
    /// Of the object of a miner, for figures that are printed.
    host: Option<Host>,
    description: Description,
    fields: Fields,
    program: Program,
    plans: Plans,
    figures: Figures,
    output: Output,
}

impl Declared {
    /// What `text` says.
    ///
    /// # Errors
    /// With the line and what to write there.
    fn read(text: &str, host: Option<Host>) -> Result<Self> {
        let lines = Lines::new(text);
        let manifest = Manifest::read(&lines)?;
        let fields = Fields::new(&manifest.config, &lines)?;
        let plans = Plans::new(&manifest, &fields, &lines)?;
        let figures = Figures::new(&manifest, &lines)?;
        let output = Output::new(&manifest.output, &lines)?;
        if figures.is_empty() && output.is_empty() {
            let told = "it says nothing of figures: write [stats] with a [[probe]], or [[output]]";
            return Err(Error::invalid(told));
        }
        let program = Program::new(manifest.program.as_ref(), &lines)?;
        let description = manifest::describe(&manifest, &fields, &lines)?;
        Ok(Self { host, description, fields, program, plans, figures, output })
    }
}

impl Miner for Declared {
    fn create(context: Context) -> Result<Self> {
        let text = context.definition.ok_or_else(|| {
            Error::unsupported("this library serves drivers written in TOML: put one beside it")
        })?;
        Self::read(&text, context.miner.map(|_| context.host))
    }

    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        self.plans.start(config, &self.fields, launch)
    }

    fn install(&self, target: &Target) -> Result<InstallPlan> {
        self.program.install(target)
    }

    fn version(&self, output: &str) -> Result<String> {
        self.program.version(output)
    }

    fn stop(&self, _: &Launch) -> StopPlan {
        self.plans.stop()
    }

    fn probes(&self, launch: &Launch) -> Vec<Probe> {
        self.plans.probes(launch)
    }

    fn stats(&self, _: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        self.figures.read(replies)
    }

    fn output(&self, lines: &[&str]) -> Vec<Observation> {
        if let (Some(host), Some(json)) = (&self.host, self.output.figures(lines)) {
            let read = self.figures.read_printed(json);
            if let Err(error) = read.and_then(|metrics| host.publish(&metrics)) {
                host.log(LogLevel::Debug, &format!("printed figures: {}", error.message));
            }
        }
        lines.iter().flat_map(|line| self.output.read(line)).collect()
    }

    fn command(&self, command: &Command, launch: &Launch) -> Result<CommandPlan> {
        self.plans.command(command, launch)
    }
}

export_driver!(Declared, { interprets: "toml" });

#[cfg(test)]
mod tests;
