//! `adit remote`: what other nodes mine, and having them start and stop.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    cli::{
        Common, Error,
        client::{Client, segment},
        input,
        peer::targets,
        show,
    },
    node::{command::Outcome, payload::Logs},
};

/// Which nodes.
#[derive(Args)]
pub(super) struct Which {
    /// Id of a node; may be repeated
    #[arg(long = "peer", value_name = "ID")]
    peers: Vec<String>,
    /// All nodes that have one of these tags, with commas
    #[arg(long, value_name = "TAGS")]
    tags: Option<String>,
    /// All nodes that obey
    #[arg(long)]
    all: bool,
    /// First so many nodes, the others only if these did well
    #[arg(long, value_name = "N")]
    canary: Option<usize>,
    /// After that so many at a time
    #[arg(long, value_name = "N")]
    wave: Option<usize>,
    /// Failures after which no further wave begins
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_failures: usize,
}

impl Which {
    fn with(&self, command: &Value) -> Value {
        json!({
            "targets": targets(&self.peers, self.tags.as_deref(), self.all),
            "waves": { "canary": self.canary, "wave": self.wave, "maxFailures": self.max_failures },
            "command": command,
        })
    }
}

#[derive(Subcommand)]
pub(super) enum Remote {
    /// Show the figures of one node, or of the fleet
    Stats {
        /// Id or name of a node; the fleet without it
        peer: Option<String>,
    },
    /// Start a miner on nodes: one that exists, or from a profile
    Start {
        /// Name of the miner
        miner: Option<String>,
        /// Profile to start from
        #[arg(long, value_name = "PROFILE")]
        profile: Option<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Stop a miner on nodes
    Stop {
        /// Name of the miner
        miner: String,
        #[command(flatten)]
        which: Which,
    },
    /// Have nodes install the program of a miner type, verified there
    Install {
        /// The miner type
        miner_type: String,
        /// The version; the newest when left out
        #[arg(long)]
        version: Option<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Write a profile on nodes, over the one of the same name
    Deploy {
        /// JSON file with name, minerType, config, and if need be pools and start
        file: std::path::PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// Print what a miner of a node printed
    Logs {
        /// Id or name of the node
        peer: String,
        /// Name of the miner
        miner: String,
        /// Last lines to print
        #[arg(long, short = 'n', default_value_t = 100)]
        lines: usize,
    },
}

pub(super) async fn run(common: &Common, command: Remote) -> Result<(), Error> {
    let client = Client::find(common)?;
    match command {
        Remote::Stats { peer: None } => {
            let fleet: Value = client.get("/remote/stats").await?;
            if common.json {
                show::json(&fleet);
            } else {
                fleet_table(&fleet);
            }
        }
        Remote::Stats { peer: Some(peer) } => {
            let path = format!("/remote/{}/stats", segment(&peer));
            let stats: Value = client.get(&path).await?;
            if common.json {
                show::json(&stats);
            } else {
                miners(&stats["miners"]);
            }
        }
        Remote::Start { miner, profile, which } => {
            let body = which.with(&json!({ "minerName": miner, "profileId": profile }));
            let done: Vec<Outcome> = client.post_json("/remote/start", &body).await?;
            outcomes(common, &done)?;
        }
        Remote::Stop { miner, which } => {
            let body = which.with(&json!({ "minerName": miner }));
            let done: Vec<Outcome> = client.post_json("/remote/stop", &body).await?;
            outcomes(common, &done)?;
        }
        Remote::Install { miner_type, version, which } => {
            let body = which.with(&json!({ "minerType": miner_type, "version": version }));
            let done: Vec<Outcome> = client.post_json("/remote/install", &body).await?;
            outcomes(common, &done)?;
        }
        Remote::Deploy { file, which } => {
            let profile: Value = serde_json::from_str(&input::read(&file)?).map_err(|error| {
                Error::message(format!("cannot read the profile {}: {error}", file.display()))
            })?;
            let done: Vec<Outcome> =
                client.post_json("/remote/deploy", &which.with(&profile)).await?;
            outcomes(common, &done)?;
        }
        Remote::Logs { peer, miner, lines } => {
            let (peer, miner) = (segment(&peer), segment(&miner));
            let path = format!("/remote/{peer}/logs/{miner}?lines={lines}&page=true");
            let logs: Logs = client.get(&path).await?;
            if common.json {
                show::json(&logs);
            } else {
                logs.lines.iter().for_each(|line| println!("{}", show::plain(line)));
            }
        }
    }
    Ok(())
}

fn fleet_table(fleet: &Value) {
    println!("{} of {} nodes are connected", fleet["connected"], fleet["nodes"]);
    let algorithms = fleet["totals"]["algorithms"].as_object().cloned().unwrap_or_default();
    let rows: Vec<[String; 4]> = algorithms
        .iter()
        .map(|(name, totals)| {
            [
                name.clone(),
                totals["miners"].to_string(),
                show::hashrate(totals["hashrate"].as_f64()),
                show::count(totals["shares"].as_u64()),
            ]
        })
        .collect();
    show::table(["ALGORITHM", "MINERS", "HASHRATE", "SHARES"], &rows);
}

fn miners(miners: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rows: Vec<[String; 6]> = miners
        .as_object()
        .cloned()
        .unwrap_or_default()
        .iter()
        .map(|(name, miner)| {
            [
                name.clone(),
                text(&miner["minerType"]),
                text(&miner["phase"]),
                text(&miner["algorithm"]),
                show::hashrate(miner["hashrate"].as_f64()),
                show::count(miner["shares"].as_u64()),
            ]
        })
        .collect();
    show::table(["NAME", "TYPE", "PHASE", "ALGORITHM", "HASHRATE", "SHARES"], &rows);
}

/// Tells what became of a command at each node; a failure anywhere is one of the command.
fn outcomes(common: &Common, outcomes: &[Outcome]) -> Result<(), Error> {
    if common.json {
        show::json(&outcomes);
    } else {
        let rows: Vec<[String; 2]> = outcomes
            .iter()
            .map(|outcome| {
                let told = match &outcome.error {
                    Some(error) => error.message.clone(),
                    None => "done".to_owned(),
                };
                [outcome.id.to_string(), told]
            })
            .collect();
        show::table(["NODE", "OUTCOME"], &rows);
    }
    match outcomes.iter().filter(|outcome| outcome.error.is_some()).count() {
        0 => Ok(()),
        failed => Err(Error::message(format!("{failed} of {} nodes failed", outcomes.len()))),
    }
}
