//! What there is to see of a miner besides its figures and its log.

use serde_json::Value;

use crate::cli::{Common, Error, client::Client, miner::path, show};
use adit_model::{miner::MinerView, plan::PlanView};

/// Shows a miner.
pub(super) async fn show(common: &Common, name: &str) -> Result<(), Error> {
    let miner: MinerView = Client::find(common)?.get(&path(name, "")).await?;
    if common.json {
        show::json(&miner);
        return Ok(());
    }
    let phase = serde_json::to_value(miner.phase).unwrap_or_default();
    println!("{} ({}), {}", miner.name, miner.miner_type, phase.as_str().unwrap_or("-"));
    if let Some(reason) = &miner.reason {
        println!("  {}", show::plain(reason));
    }
    println!("  wanted    {}", miner.desired.as_str());
    if let Some(run) = &miner.run {
        let pid = run.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        println!(
            "  runs      {} (pid {pid}), for {}",
            show::plain(&run.program),
            show::since(run.started_at_ms)
        );
    }
    if let Some(stats) = &miner.stats {
        println!("  hashrate  {}", show::hashrate(stats.hashrate));
        println!(
            "  shares    {} accepted, {} rejected",
            show::count(stats.shares),
            show::count(stats.rejected)
        );
        if let Some(pool) = &stats.pool {
            println!("  pool      {}", show::plain(&pool.url));
        }
    }
    println!("  restarts  {}", miner.restarts);
    Ok(())
}

/// Shows what runs or would run.
pub(super) async fn plan(common: &Common, name: &str) -> Result<(), Error> {
    let plan: PlanView = Client::find(common)?.get(&path(name, "/plan")).await?;
    if common.json {
        show::json(&plan);
        return Ok(());
    }
    println!("program  {}", show::plain(&plan.program));
    for arg in &plan.args {
        println!("  {}", show::plain(arg));
    }
    println!("folder   {}", show::plain(&plan.cwd));
    for (name, value) in &plan.env {
        println!("env      {}={}", show::plain(name), show::plain(value));
    }
    for (path, content) in &plan.files {
        println!("file     {}", show::plain(path));
        content.lines().for_each(|line| println!("  {}", show::plain(line)));
    }
    Ok(())
}

/// Lists the last runs.
pub(super) async fn runs(common: &Common, name: &str, limit: u32) -> Result<(), Error> {
    let url = format!("{}?limit={limit}", path(name, "/runs"));
    let runs: Vec<Value> = Client::find(common)?.get(&url).await?;
    if common.json {
        show::json(&runs);
        return Ok(());
    }
    let time = |value: &Value| show::time(value.as_i64());
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let ended = if run["endedAtMs"].is_null() {
                "runs".to_owned()
            } else {
                time(&run["endedAtMs"])
            };
            let cause = run["cause"].as_str().unwrap_or("-").to_owned();
            [time(&run["startedAtMs"]), ended, cause]
        })
        .collect();
    show::table(["BEGAN", "ENDED", "CAUSE"], &rows);
    Ok(())
}

/// Lists what can be mined with.
pub(super) async fn types(common: &Common) -> Result<(), Error> {
    let types: Vec<Value> = Client::find(common)?.get("/miners/available").await?;
    if common.json {
        show::json(&types);
        return Ok(());
    }
    let rows: Vec<_> = types
        .iter()
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or("-").to_owned();
            let state = if it["installed"] == true { "ready" } else { "not installed" };
            [text("name"), state.to_owned(), text("description")]
        })
        .collect();
    show::table(["TYPE", "PROGRAM", "WHAT IT IS"], &rows);
    Ok(())
}
