//! `adit driver`: what drivers there are.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;

use crate::{
    cli::{Common, Error, client::Client, show},
    drivers::{inspect::inspect, trust::Owner},
};

#[derive(Subcommand)]
pub(super) enum Driver {
    /// List the drivers that the host found, and why some were refused
    List,
    /// Show what a driver file says of itself, without running any of it; needs no host
    Inspect {
        /// The file
        file: PathBuf,
    },
}

pub(super) async fn run(common: &Common, command: Driver) -> Result<(), Error> {
    match command {
        Driver::List => list(common).await,
        Driver::Inspect { file } => inspect_file(common, &file),
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
            [text(it, "id"), text(it, "version"), text(it, "state"), text(it, what)]
        })
        .collect();
    show::table(["ID", "VERSION", "STATE", "FILE OR REASON"], &rows);
    Ok(())
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
