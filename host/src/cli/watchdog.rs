//! `adit incidents` and `adit watchdog`: what the watchdog saw and did, and what it is told.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::{
    Common, Error,
    client::{Client, segment},
    show,
};
use adit_model::watchdog::incident::{Evidence, Incident};

#[derive(Args)]
pub(super) struct Incidents {
    /// Of this miner only
    name: Option<String>,
    /// How many, newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Show this one with what it was decided from
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["name", "limit"])]
    id: Option<i64>,
}

#[derive(Subcommand)]
pub(super) enum Watchdog {
    /// Show what a miner says about how it is watched
    Show {
        /// Its name
        name: String,
    },
    /// Set how a miner is watched; what is not named is taken from the settings
    Set {
        /// Its name
        name: String,
        /// Such as enabled=false, warnOnly=true or zeroS=600; none: nothing of its own
        #[arg(value_name = "FIELD=VALUE")]
        fields: Vec<String>,
    },
    /// Leave a miner alone while you work on it
    Maintenance {
        /// Its name
        name: String,
        /// For how long; 0 ends it
        minutes: u32,
    },
}

pub(super) async fn incidents(common: &Common, which: Incidents) -> Result<(), Error> {
    let client = Client::find(common)?;
    if let Some(id) = which.id {
        return one(common, &client.get(&format!("/incidents/{id}")).await?);
    }
    let path = match &which.name {
        Some(name) => format!("/miners/{}/incidents", segment(name)),
        None => "/incidents".to_owned(),
    };
    let found: Vec<Incident> = client.get(&format!("{path}?limit={}", which.limit)).await?;
    if common.json {
        show::json(&found);
        return Ok(());
    }
    let rows: Vec<_> = found
        .iter()
        .map(|it| {
            [
                it.id.to_string(),
                time(it.at_ms),
                it.miner.to_string(),
                it.action.map_or("warning", |action| action.as_str()).to_owned(),
                it.summary.clone(),
            ]
        })
        .collect();
    show::table(["ID", "TIME", "MINER", "ACTION", "WHY"], &rows);
    Ok(())
}

fn one(common: &Common, whole: &Value) -> Result<(), Error> {
    if common.json {
        show::json(whole);
        return Ok(());
    }
    let unreadable =
        |error| Error::message(format!("the host's answer is not understood: {error}"));
    let incident: Incident = serde_json::from_value(whole.clone()).map_err(unreadable)?;
    let evidence: Evidence =
        serde_json::from_value(whole["evidence"].clone()).map_err(unreadable)?;
    println!("{} {}: {}", time(incident.at_ms), incident.miner, show::plain(&incident.summary));
    println!("\nfigures");
    for look in &evidence.looks {
        let phase = serde_json::to_value(look.phase).unwrap_or_default();
        println!(
            "{} {:<10} {:>14}  shares {:>8}  lines {:>8}  answers {:>6}",
            time(look.at_ms),
            phase.as_str().unwrap_or("-"),
            show::hashrate(look.metrics.hashrate),
            show::count(look.metrics.shares),
            look.signs.lines,
            look.signs.api_replies
        );
    }
    println!("\noutput");
    for line in &evidence.lines {
        println!("{}", show::plain(line));
    }
    if let Some(missing) = &evidence.missing {
        println!("{}", show::plain(missing));
    }
    Ok(())
}

fn time(at_ms: i64) -> String {
    let seconds = jiff::Timestamp::from_second(at_ms / 1000);
    seconds.map_or_else(|_| "-".to_owned(), |at| at.to_string())
}

pub(super) async fn run(common: &Common, command: Watchdog) -> Result<(), Error> {
    let client = Client::find(common)?;
    let path = |name: &str, what: &str| format!("/miners/{}/{what}", segment(name));
    let answer: Value = match command {
        Watchdog::Show { name } => client.get(&path(&name, "watchdog")).await?,
        Watchdog::Set { name, fields } => {
            let body = Value::Object(options(&fields)?);
            client.put_json(&path(&name, "watchdog"), &body).await?
        }
        Watchdog::Maintenance { name, minutes } => {
            let body = json!({ "minutes": minutes });
            let told: Value = client.post_json(&path(&name, "maintenance"), &body).await?;
            if !common.json {
                match told["untilMs"].as_i64() {
                    Some(until) => {
                        println!("{}: left alone until {}", show::plain(&name), time(until))
                    }
                    None => println!("{}: watched again", show::plain(&name)),
                }
                return Ok(());
            }
            told
        }
    };
    if common.json {
        show::json(&answer);
        return Ok(());
    }
    for (key, value) in answer.as_object().into_iter().flatten() {
        println!("{:<16} {}", show::plain(key), show::plain(&value.to_string()));
    }
    Ok(())
}

fn options(fields: &[String]) -> Result<Map<String, Value>, Error> {
    let pair = |field: &String| {
        let (name, value) = field
            .split_once('=')
            .ok_or_else(|| Error::message(format!("{field}: write FIELD=VALUE")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok((name.to_owned(), value))
    };
    fields.iter().map(pair).collect()
}
