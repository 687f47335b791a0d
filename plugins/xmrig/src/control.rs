//! Talking to a running XMRig: questions, commands, and the end.

use std::{fs, time::Duration};

use adit_plugin_api::{
    Command, CommandPlan, CommandStep, Error, HttpAsk, Launch, Probe, Result, StopAction, StopPlan,
    StopStep, Value, json,
};
use serde::Deserialize;

use crate::{
    FILE,
    config::{
        as_written,
        pool::{self, Pool, PoolDefaults},
    },
    stats,
};

/// Commands that [`plan`] knows.
pub(crate) const COMMANDS: &[&str] = &["pause", "resume", "set-pools"];

/// The largest configuration that is read back: the one written at the start is far smaller, and
/// XMRig adds its thread profiles.
const FILE_MAX: u64 = 1 << 20;

/// What is asked for figures.
pub(crate) fn probes(launch: &Launch) -> Vec<Probe> {
    [(stats::SUMMARY, "2/summary"), (stats::BACKENDS, "2/backends")]
        .map(|(id, path)| {
            Probe::http(id, url(launch, path)).header("Authorization", bearer(launch))
        })
        .into()
}

/// SIGTERM ends XMRig within milliseconds, except while it builds a dataset, which it finishes
/// first. A second one ends it at once, but without restoring the processor's registers.
pub(crate) fn stop() -> StopPlan {
    let term = |seconds| StopStep {
        action: StopAction::Signal { signal: "TERM".to_owned() },
        grace: Duration::from_secs(seconds),
    };
    StopPlan { steps: vec![term(60), term(5)] }
}

/// How a command is carried out.
///
/// # Errors
/// For an unknown command, wrong parameters, or when the run's configuration cannot be read.
pub(crate) fn plan(command: &Command, launch: &Launch) -> Result<CommandPlan> {
    let mut secrets = Vec::new();
    let ask = match command.name.as_str() {
        name @ ("pause" | "resume") => {
            if !command.params.is_null() {
                return Err(Error::invalid(format!("params: {name} takes none")));
            }
            let body = json!({ "jsonrpc": "2.0", "id": 1, "method": name });
            ask(launch, "POST", "json_rpc", &body)
        }
        "set-pools" => {
            let wish = read_pools(&command.params)?;
            secrets = as_written(wish.pools.iter().flat_map(Pool::secrets).cloned().collect());
            ask(launch, "PUT", "1/config", &with_pools(&wish, launch)?)
        }
        _ => {
            return Err(Error::unsupported(format!(
                "there are the commands {}",
                COMMANDS.join(", ")
            )));
        }
    };
    Ok(CommandPlan { secrets, ..vec![CommandStep::Http(ask)].into() })
}

fn ask(launch: &Launch, method: &str, path: &str, body: &Value) -> HttpAsk {
    let headers = [
        ("Authorization".to_owned(), bearer(launch)),
        // XMRig compares the whole text: a charset behind it is refused.
        ("Content-Type".to_owned(), "application/json".to_owned()),
    ];
    HttpAsk {
        url: url(launch, path),
        method: method.to_owned(),
        headers: headers.into(),
        body: body.to_string(),
    }
}

fn url(launch: &Launch, path: &str) -> String {
    format!("http://127.0.0.1:{}/{path}", launch.api_port)
}

fn bearer(launch: &Launch) -> String {
    format!("Bearer {}", launch.api_token)
}

/// Parameters of `set-pools`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetPools {
    pools: Vec<Pool>,
}

fn read_pools(params: &Value) -> Result<SetPools> {
    let Value::Object(fields) = params else {
        return Err(Error::invalid("params: write {\"pools\": [{\"url\": …, \"wallet\": …}]}"));
    };
    adit_plugin_api::Config(fields.clone()).parse()
}

/// The run's whole configuration with other pools. XMRig takes what is absent for its default and
/// would close its API.
fn with_pools(wish: &SetPools, launch: &Launch) -> Result<Value> {
    let mut file = current(launch)?;
    let before = file["pools"].as_array().map_or(&[][..], Vec::as_slice);
    let pools = pool::entries(&wish.pools, &PoolDefaults::shared_by(before))?;
    file["pools"] = pools.into();
    Ok(file)
}

/// The configuration in force: what was written at the start, or what XMRig itself wrote there
/// after the last change. Checked, because a damaged one would end the supervision of a miner.
fn current(launch: &Launch) -> Result<Value> {
    let path = launch.run_dir.join(FILE);
    let unusable = |why: &str| {
        Error::unavailable(format!(
            "cannot read the run's configuration {}: {why}; try again, or restart the miner with \
             the new pools",
            path.display()
        ))
    };
    let length = fs::metadata(&path).map_err(|error| unusable(&error.kind().to_string()))?.len();
    if length > FILE_MAX {
        return Err(unusable("it is too large"));
    }
    let text = fs::read_to_string(&path).map_err(|error| unusable(&error.kind().to_string()))?;
    let file: Value = text.parse().map_err(|_| unusable("it is no JSON"))?;
    let http = &file["http"];
    let is_ours = http["enabled"] == true
        && http["port"] == launch.api_port
        && http["access-token"] == launch.api_token
        && http["restricted"] == false;
    if !is_ours {
        return Err(unusable("it is not of this run"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
