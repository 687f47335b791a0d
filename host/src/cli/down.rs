//! `adit down`: the end of the host, and of the miners if asked for.

use std::time::Duration;

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    app::{home::Home, offline},
    cli::{
        Common, Error,
        client::{self, Client, segment},
        show, up,
    },
    model::miner::MinerView,
};

/// How long the host may take to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Args)]
pub(super) struct Down {
    /// Stop all miners too; also works when no host runs
    #[arg(long)]
    stop_miners: bool,
}

pub(super) async fn run(common: &Common, down: &Down) -> Result<(), Error> {
    if common.url.is_some() {
        return Err(Error::message("a host is ended on its own machine: leave --url out"));
    }
    let home = client::home(common);
    let Some(notice) = home.notice() else {
        return without_host(common, down, &home).await;
    };
    let client = Client::find(common)?;
    let running = count_running(&client).await?;
    if down.stop_miners {
        stop_all(&client).await?;
    }
    let pid = Pid::from_raw(notice.pid).ok_or_else(|| Error::NoHost(home.path().to_owned()))?;
    kill_process(pid, Signal::TERM)
        .map_err(|error| Error::message(format!("cannot end the host {}: {error}", notice.pid)))?;
    let gone = async {
        while home.is_locked() {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(PATIENCE, gone).await.is_err() {
        return Err(Error::message(format!(
            "the host (pid {}) did not end within {} s",
            notice.pid,
            PATIENCE.as_secs()
        )));
    }
    // A demonstration ends its own miners.
    let left = offline::list(&home).await?.iter().filter(|miner| miner.running).count();
    if common.json {
        show::json(
            &json!({ "status": "down", "stopped": running - left.min(running), "running": left }),
        );
    } else if left > 0 {
        println!("the host is down. {}", up::still_running(left, home.path()));
    } else {
        println!("the host is down and no miner runs");
    }
    Ok(())
}

async fn without_host(common: &Common, down: &Down, home: &Home) -> Result<(), Error> {
    if !down.stop_miners {
        let running = offline::list(home).await?.iter().filter(|miner| miner.running).count();
        if running > 0 {
            eprintln!("adit: {}", up::still_running(running, home.path()));
        }
        return Err(Error::NoHost(home.path().to_owned()));
    }
    let offline::Stopped { miners: stopped, set_aside } = offline::stop_all(home).await?;
    up::tell_set_aside(set_aside.as_ref());
    if common.json {
        show::json(&json!({ "status": "down", "stopped": stopped, "running": 0 }));
    } else {
        println!("no host was running; stopped {stopped} miners");
    }
    Ok(())
}

async fn count_running(client: &Client) -> Result<usize, Error> {
    let miners: Vec<MinerView> = client.get("/miners?brief=true").await?;
    Ok(miners.iter().filter(|miner| miner.running).count())
}

async fn stop_all(client: &Client) -> Result<(), Error> {
    let miners: Vec<MinerView> = client.get("/miners?brief=true").await?;
    for miner in &miners {
        let path = format!("/miners/{}", segment(miner.name.as_str()));
        client.delete::<Value>(&path).await?;
    }
    // A long stop ladder outlasts the answer.
    while count_running(client).await? > 0 {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
