//! `adit down`: the end of the host, and of the miners if asked for.

use std::time::{Duration, Instant};

use adit_plugin_api::Phase;
use clap::Args;
use futures_util::{StreamExt as _, stream};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    app::{
        home::{Home, Notice},
        offline,
    },
    cli::{
        Common, Error,
        client::{self, Client, segment},
        show, up,
    },
};
use adit_model::miner::MinerView;

/// How long the host may take to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the lock of a host that was killed may outlive it.
const GONE_WITHIN: Duration = Duration::from_secs(2);
/// How long miners may take to end: longer than any stop plan of a bundled driver.
const STOP_PATIENCE: Duration = Duration::from_mins(10);
/// How many miners are asked to stop at once.
const STOPS_AT_ONCE: usize = 16;
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
    let stopped = match with_host(common, down, &home, &notice).await {
        Ok(stopped) => stopped,
        // It may have been killed this moment: then its connections are reset, and the system takes
        // an instant to let go of its lock.
        Err(_) if is_gone_within(&home, GONE_WITHIN).await => {
            return without_host(common, down, &home).await;
        }
        Err(error) => return Err(error),
    };
    // A demonstration ends its own miners.
    let left = running(&home).await?;
    if common.json {
        let stopped = stopped - left.len().min(stopped);
        show::json(&json!({ "status": "down", "stopped": stopped, "running": left.len() }));
    } else if left.is_empty() {
        println!("the host is down and no miner runs");
    } else if !down.stop_miners {
        println!("the host is down. {}", up::still_running(left.len(), home.path()));
    }
    if down.stop_miners && !left.is_empty() {
        let (names, again) = (left.join(", "), up::still_running(left.len(), home.path()));
        return Err(Error::message(format!(
            "the host is down, and not every miner could be stopped: {names}. {again}"
        )));
    }
    Ok(())
}

/// Ends the host, and its miners if asked for. Returns how many ran.
async fn with_host(
    common: &Common,
    down: &Down,
    home: &Home,
    notice: &Notice,
) -> Result<usize, Error> {
    let client = Client::find(common)?;
    let running = count_running(&client).await?;
    if down.stop_miners {
        stop_all(&client).await?;
    }
    let pid = Pid::from_raw(notice.pid).ok_or_else(|| Error::NoHost(home.path().to_owned()))?;
    match kill_process(pid, Signal::TERM) {
        // It ended by itself.
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => {
            return Err(Error::message(format!("cannot end the host {}: {error}", notice.pid)));
        }
    }
    if !is_gone_within(home, PATIENCE).await {
        return Err(Error::message(format!(
            "the host (pid {}) did not end within {} s",
            notice.pid,
            PATIENCE.as_secs()
        )));
    }
    Ok(running)
}

async fn is_gone_within(home: &Home, patience: Duration) -> bool {
    let gone = async {
        while home.is_locked() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(patience, gone).await.is_ok()
}

/// Names of the miners that run without a host.
async fn running(home: &Home) -> Result<Vec<String>, Error> {
    let miners = offline::list(home).await?.into_iter();
    Ok(miners.filter(|miner| miner.running).map(|miner| miner.name.to_string()).collect())
}

async fn without_host(common: &Common, down: &Down, home: &Home) -> Result<(), Error> {
    if !down.stop_miners {
        let running = running(home).await?.len();
        if running > 0 {
            eprintln!("adit: {}", up::still_running(running, home.path()));
        }
        return Err(Error::NoHost(home.path().to_owned()));
    }
    let offline::Stopped { miners: stopped, left, unsaved, salvage } =
        offline::stop_all(home).await?;
    up::report_salvage(salvage.as_ref());
    if let Some(reason) = unsaved {
        eprintln!(
            "adit: that no miner shall run cannot be written down, so the next host may start them \
             again: {reason}"
        );
    }
    if common.json {
        show::json(&json!({ "status": "down", "stopped": stopped, "running": left.len() }));
    } else {
        println!("no host was running; stopped {stopped} miners");
    }
    if left.is_empty() {
        return Ok(());
    }
    let left: Vec<String> = left.iter().map(|(name, why)| format!("{name} ({why})")).collect();
    Err(Error::message(format!("not every miner could be stopped: {}", left.join(", "))))
}

async fn count_running(client: &Client) -> Result<usize, Error> {
    let miners: Vec<MinerView> = client.get("/miners?brief=true").await?;
    Ok(miners.iter().filter(|miner| miner.running).count())
}

async fn stop_all(client: &Client) -> Result<(), Error> {
    let miners: Vec<MinerView> = client.get("/miners?brief=true").await?;
    // Together: each answer may wait for a stop plan, and what one of them says stops no other.
    let stops = miners.iter().map(|miner| async move {
        let path = format!("/miners/{}", segment(miner.name.as_str()));
        match client.delete::<Value>(&path).await {
            Ok(answer) => {
                if let Some(warning) = answer["warning"].as_str() {
                    eprintln!("adit: {}: {warning}", miner.name);
                }
            }
            Err(error) => eprintln!("adit: {}: {error}", miner.name),
        }
    });
    stream::iter(stops).for_each_concurrent(STOPS_AT_ONCE, |stop| stop).await;
    // A long stop plan outlasts the answer. What cannot be ended at all is reported later.
    let until = Instant::now() + STOP_PATIENCE;
    while Instant::now() < until {
        let miners: Vec<MinerView> = client.get("/miners?brief=true").await?;
        if miners.iter().all(|miner| miner.phase == Phase::Stopped) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
