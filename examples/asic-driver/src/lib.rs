//! Driver of ASIC miners on the network that speak cgminer's API: a driver without a program.
//!
//! The device mines by itself, with the pools of its own configuration; the host watches it. With
//! `control` the host also switches its boards on at the start and off at the end. The API is JSON
//! over TCP, port 4028, one question on a connection; a reply ends with a NUL. Commands need a
//! device that grants this host privileged access (`--api-allow W:…`).
//!
//! `stats` reads the replies.

#![forbid(unsafe_code)]

mod stats;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use adit_plugin_api::{
    Command, CommandPlan, CommandStep, Config, Context, Description, DevicePlan, Error, Launch,
    Miner, PerformanceMetrics, Phase, Probe, Reply, Result, StartPlan, Value, export_driver, json,
};
use serde::Deserialize;

/// cgminer's port.
const PORT: u16 = 4028;
/// More boards than this are nonsense.
const BOARDS_MAX: u64 = 64;

/// The driver.
pub struct Asic {
    /// Numbers of the boards in the last figures. Locked for a copy only.
    boards: Mutex<Vec<u64>>,
}

/// What an operator may say. The schema has a description of each field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AsicConfig {
    address: String,
    #[serde(default)]
    control: bool,
    boards: Option<u64>,
    pool: Option<u64>,
}

impl Miner for Asic {
    fn create(_: Context) -> Result<Self> {
        Ok(Self { boards: Mutex::default() })
    }

    fn describe(&self) -> Description {
        Description {
            name: "ASIC".to_owned(),
            summary: "Watches ASIC miners on the network that speak cgminer's API".to_owned(),
            algorithms: vec!["sha256d".to_owned(), "scrypt".to_owned()],
            devices: vec!["asic".to_owned()],
            config_schema: schema(),
            defaults: json!({ "control": false }),
            commands: ["pause", "resume", "switch-pool"].map(str::to_owned).into(),
            phase_limits: BTreeMap::from([
                (Phase::Starting, Duration::from_secs(60)),
                // Boards that warm up and tune themselves.
                (Phase::Preparing, Duration::from_secs(20 * 60)),
            ]),
            needs_program: false,
            ..Description::default()
        }
    }

    fn start(&self, config: &Config, _: &Launch) -> Result<StartPlan> {
        let config: AsicConfig = config.parse()?;
        let address = address(&config.address)?;
        if config.boards.is_some_and(|boards| !(1..=BOARDS_MAX).contains(&boards)) {
            return Err(Error::invalid(format!("boards: write 1 to {BOARDS_MAX}")));
        }
        let boards = match (config.control, config.boards) {
            (true, Some(boards)) => boards,
            (true, None) => {
                return Err(Error::invalid("boards: write how many there are, to control them"));
            }
            (false, Some(_)) => {
                return Err(Error::invalid("boards: does nothing without control"));
            }
            (false, None) => 0,
        };
        let each = |command: &str| -> Vec<CommandStep> {
            (0..boards).map(|board| step(&address, command, board)).collect()
        };
        let mut start = each("ascenable");
        start.extend(config.pool.map(|pool| step(&address, "switchpool", pool)));
        let stop = each("ascdisable");
        let addresses = vec![address.clone()];
        Ok(StartPlan::Device(DevicePlan { addresses, start, stop, secrets: Vec::new() }))
    }

    fn probes(&self, launch: &Launch) -> Vec<Probe> {
        let Some(address) = launch.addresses.first() else { return Vec::new() };
        let probe = |name: &&str| Probe {
            // A device may be busy, and far away.
            timeout: Duration::from_secs(4),
            ..Probe::tcp(*name, address, json!({ "command": name }).to_string())
        };
        stats::QUESTIONS.iter().map(probe).collect()
    }

    fn stats(&self, _: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let (metrics, boards) = stats::read(replies)?;
        *self.boards.lock().unwrap_or_else(PoisonError::into_inner) = boards;
        Ok(metrics)
    }

    fn command(&self, command: &Command, launch: &Launch) -> Result<CommandPlan> {
        let address = launch.addresses.first();
        let address = address.ok_or_else(|| Error::unavailable("the device has no address yet"))?;
        let boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let each = |name: &str| -> Result<CommandPlan> {
            if boards.is_empty() {
                return Err(Error::unavailable(
                    "the device did not tell its boards yet: try again",
                ));
            }
            let steps: Vec<_> = boards.iter().map(|board| step(address, name, *board)).collect();
            Ok(steps.into())
        };
        match (command.name.as_str(), command.params["pool"].as_u64()) {
            ("pause", _) => each("ascdisable"),
            ("resume", _) => each("ascenable"),
            ("switch-pool", Some(pool)) => Ok(vec![step(address, "switchpool", pool)].into()),
            ("switch-pool", None) => {
                Err(Error::invalid("params.pool: write the number of a pool of the device"))
            }
            _ => Err(Error::unsupported("there are the commands pause, resume and switch-pool")),
        }
    }
}

fn schema() -> Value {
    json!({
        "title": "ASIC on the network",
        "type": "object",
        "additionalProperties": false,
        "required": ["address"],
        "properties": {
            "address": {
                "description": "Host name or address of the device, with a port when it is not 4028.",
                "type": "string",
                "pattern": r"^([A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?$",
            },
            "control": {
                "description": "Switches the boards on at the start and off at the end. Without it \
                                the device is only watched, and mines on when the miner is stopped.",
                "type": "boolean",
            },
            "boards": {
                "description": "Number of hash boards, to control them.",
                "type": "integer",
                "minimum": 1,
                "maximum": BOARDS_MAX,
            },
            "pool": {
                "description": "Number of the device's own pool to switch to at the start.",
                "type": "integer",
                "minimum": 0,
                "maximum": 99,
            },
        },
        "examples": [{ "address": "192.0.2.10" }],
    })
}

/// `host:port`, made of a host with or without a port.
fn address(text: &str) -> Result<String> {
    let has_port = match text.strip_prefix('[') {
        Some(rest) => rest.contains("]:"),
        None => text.contains(':'),
    };
    let address = if has_port { text.to_owned() } else { format!("{text}:{PORT}") };
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none_or(|port| port == 0) || text.is_empty() || text.contains(char::is_whitespace) {
        return Err(Error::invalid("address: write a host, or host:port"));
    }
    Ok(address)
}

/// A command with a number, which must be answered with success or with a remark.
fn step(address: &str, command: &str, parameter: u64) -> CommandStep {
    CommandStep::Tcp {
        address: address.to_owned(),
        send: json!({ "command": command, "parameter": parameter.to_string() }).to_string(),
        expect: [("/STATUS/0/STATUS".to_owned(), json!("S"))].into(),
    }
}

export_driver!(Asic);

#[cfg(test)]
mod tests;
