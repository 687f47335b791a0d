//! `adit audit`: who changed what.

use clap::Args;
use serde_json::Value;

use crate::cli::{Common, Error, client::Client, show};

#[derive(Args)]
pub(super) struct Audit {
    /// How many entries, newest first
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

pub(super) async fn run(common: &Common, audit: &Audit) -> Result<(), Error> {
    let path = format!("/audit?limit={}", audit.limit);
    let entries: Vec<Value> = Client::find(common)?.get(&path).await?;
    if common.json {
        show::json(&entries);
        return Ok(());
    }
    let rows: Vec<_> = entries
        .iter()
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or("-").to_owned();
            let at = show::time(it["atMs"].as_i64());
            [at, text("who"), text("address"), text("outcome"), text("action")]
        })
        .collect();
    show::table(["WHEN", "WHO", "FROM", "OUTCOME", "WHAT"], &rows);
    Ok(())
}
