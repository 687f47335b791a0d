//! `adit driver`: what drivers there are, and how new ones are made.

mod check;
mod hiveos;
mod new;
mod plugin_api;
mod see;

mod files;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::{
    Common, Error,
    client::{Client, segment},
    show,
};
use adit_drivers::{inspect::inspect, trust::Owner};

#[derive(Subcommand)]
pub(super) enum Driver {
    /// List the drivers that the host found, and why some were refused
    List,
    /// Show a driver that is loaded: how it does, and what its process is held to
    Show {
        /// The driver's id
        id: String,
    },
    /// Copy a driver file into the host's folder, where a running host finds it at once
    Add {
        /// The library, or the file written in TOML
        file: PathBuf,
    },
    /// Delete the file of a driver that was added; its miners run on
    Remove {
        /// The driver's id
        id: String,
    },
    /// Take a driver out of quarantine: load it anew
    Clear {
        /// The driver's id
        id: String,
    },
    /// Let a file run as a driver although it is not pinned yet
    Trust {
        /// The driver's id
        id: String,
        /// The SHA-256 of the file that is meant; needed when there are several
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
    },
    /// Show what a driver file says of itself, without running any of it; needs no host
    Inspect {
        /// The file
        file: PathBuf,
    },
    /// Check a driver, compiled or written in TOML, against the rules for drivers; needs no host
    Check(check::Check),
    /// Make a complete crate for a new driver
    New(new::New),
    /// Make a driver in TOML, and a program to install, from a package of HiveOS; runs none of it
    ImportHiveos(hiveos::Import),
}

pub(super) async fn run(common: &Common, command: Driver) -> Result<(), Error> {
    match command {
        Driver::List => list(common).await,
        Driver::Show { id } => see::show(common, &id).await,
        Driver::Add { file } => files::add(common, &file).await,
        Driver::Remove { id } => files::remove(common, &id).await,
        Driver::Clear { id } => clear(common, &id).await,
        Driver::Trust { id, sha256 } => trust(common, &id, sha256).await,
        Driver::Inspect { file } => inspect_file(common, &file),
        Driver::Check(command) => check::run(common, command).await,
        Driver::New(command) => new::run(common, &command),
        Driver::ImportHiveos(command) => hiveos::run(common, command),
    }
}

async fn list(common: &Common) -> Result<(), Error> {
    let drivers: Vec<Value> = Client::find(common)?.get("/drivers").await?;
    if common.json {
        show::json(&drivers);
        return Ok(());
    }
    let text = |driver: &Value, key: &str| driver[key].as_str().unwrap_or("-").to_owned();
    let rows: Vec<_> = drivers
        .iter()
        .map(|it| {
            let what = if it["reason"].is_string() { "reason" } else { "path" };
            let words = ["id", "version", "state", "isolation", what];
            words.map(|key| text(it, key))
        })
        .collect();
    show::table(["ID", "VERSION", "STATE", "RUNS", "FILE OR REASON"], &rows);
    Ok(())
}

async fn clear(common: &Common, id: &str) -> Result<(), Error> {
    let path = format!("/drivers/{}/clear", segment(id));
    let answer: Value = Client::find(common)?.post(&path).await?;
    if common.json {
        show::json(&answer);
    } else {
        println!("{} is loaded anew", show::plain(id));
    }
    Ok(())
}

async fn trust(common: &Common, id: &str, sha256: Option<String>) -> Result<(), Error> {
    let client = Client::find(common)?;
    let sha256 = match sha256 {
        Some(sha256) => sha256.to_lowercase(),
        None => untrusted(&client.get::<Vec<Value>>("/drivers").await?, id)?,
    };
    let path = format!("/drivers/{}/trust", segment(id));
    let answer: Value = client.post_json(&path, &json!({ "sha256": sha256 })).await?;
    if common.json {
        show::json(&answer);
    } else {
        println!("{} is trusted: {}", show::plain(id), show::plain(&sha256));
    }
    Ok(())
}

/// The only file of this id that waits to be trusted.
fn untrusted(listed: &[Value], id: &str) -> Result<String, Error> {
    let waiting = listed.iter().filter(|it| it["id"] == id && it["state"] == "untrusted");
    let sums: Vec<&str> = waiting.filter_map(|it| it["sha256"].as_str()).collect();
    match sums.as_slice() {
        [] => Err(Error::message(format!("no file of a driver {id} waits to be trusted"))),
        [one] => Ok((*one).to_owned()),
        _ => Err(Error::message(format!(
            "several files of {id} wait to be trusted; name one with --sha256: {}",
            sums.join(", ")
        ))),
    }
}

fn inspect_file(common: &Common, file: &std::path::Path) -> Result<(), Error> {
    let report = inspect(file, Owner::current());
    if common.json {
        show::json(&report);
    } else {
        let value = serde_json::to_value(&report.manifest).unwrap_or_default();
        println!("file      {}", show::plain(&report.path.display().to_string()));
        if let Some(sha256) = &report.sha256 {
            println!("sha256    {sha256}");
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            println!("{key:<9} {}", show::plain(&text));
        }
        for problem in &report.problems {
            println!("problem   {}", show::plain(problem));
        }
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    Err(Error::message(format!("{} would not be loaded", report.path.display())))
}
