//! The smallest useful driver: runs a program and reads `hashrate: 123.4 H/s` from its output.
#![forbid(unsafe_code)]

use adit_plugin_api::*;

struct Minimal;

impl Miner for Minimal {
    fn create(_: Context) -> Result<Self> {
        Ok(Self)
    }

    fn describe(&self) -> Description {
        Description {
            name: "Minimal".into(),
            summary: "Runs a program that prints its hashrate".into(),
            config_schema: json!({ "additionalProperties": false, "properties": { "seconds": {
                "type": "integer", "minimum": 1, "description": "Seconds to run" } } }),
            defaults: json!({ "seconds": 60 }),
            needs_program: true,
            ..Description::default()
        }
    }

    fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        let program = launch.program.clone().ok_or(Error::unavailable("no program"))?.program;
        let args = vec!["--seconds".into(), config.number("seconds")?.to_string()];
        Ok(StartPlan::Process(ProcessPlan { program, args, ..ProcessPlan::default() }))
    }

    fn output(&self, lines: &[&str]) -> Vec<Observation> {
        let text =
            |line: &&str| line.strip_prefix("hashrate: ")?.strip_suffix(" H/s")?.parse().ok();
        let rates = lines.iter().filter_map(text).filter(|it: &f64| *it >= 0.0 && it.is_finite());
        rates.map(|hashrate| Observation::Hashrate { hashrate }).collect()
    }
}

export_driver!(Minimal);

#[cfg(test)]
mod tests;
