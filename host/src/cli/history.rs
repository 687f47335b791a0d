//! `adit history`: what was.

pub(super) mod chart;
mod totals;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cli::{
    Common, Error,
    client::{Client, segment},
    history::chart::{Chart, When},
    show,
};
use adit_model::{event::Event, history::HashrateStats};

#[derive(Subcommand)]
pub(super) enum History {
    /// Tell whether figures are kept, and how far they are written
    Status,
    /// List the miners that the history has, or tell of one
    Miners {
        /// The miner
        name: Option<String>,
    },
    /// Draw a chart of a miner
    Show(Show),
    /// List what there are totals of, or draw a chart of one
    Totals(totals::Totals),
    /// List what happened, newest first
    Events(Events),
}

#[derive(Args)]
pub(super) struct Show {
    /// The miner
    name: String,
    /// Id or name of the node that it is on; this one when left out
    #[arg(long, value_name = "NODE")]
    peer: Option<String>,
    /// Who tells of another node's miner: worker or controller
    #[arg(long, requires = "peer", value_parser = ["worker", "controller"])]
    source: Option<String>,
    #[command(flatten)]
    chart: Chart,
}

#[derive(Args)]
pub(super) struct Events {
    /// Of this miner only
    #[arg(long)]
    miner: Option<String>,
    /// Not before: a time, or how long ago, such as 90m, 24h, 7d
    #[arg(long)]
    since: Option<When>,
    /// Before: a time, or how long ago
    #[arg(long)]
    until: Option<When>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    limit: u32,
}

pub(super) async fn run(common: &Common, command: History) -> Result<(), Error> {
    let client = Client::find(common)?;
    match command {
        History::Status => {
            let status: Value = client.get("/history/status").await?;
            if common.json {
                show::json(&status);
            } else {
                print_status(&status);
            }
        }
        History::Miners { name: Some(name) } => {
            let path = format!("/history/miners/{}", segment(&name));
            let miner: HashrateStats = client.get(&path).await?;
            if common.json {
                show::json(&miner);
            } else {
                print_miners(vec![miner]);
            }
        }
        History::Miners { name: None } => {
            let miners: Vec<HashrateStats> = client.get("/history/miners").await?;
            if common.json {
                show::json(&miners);
            } else {
                print_miners(miners);
            }
        }
        History::Show(what) => show(common, &client, &what).await?,
        History::Totals(what) => totals::run(common, &client, &what).await?,
        History::Events(what) => events(common, &client, what).await?,
    }
    Ok(())
}

fn print_status(status: &Value) {
    let words = [
        ("enabled", "written"),
        ("retentionDays", "days kept"),
        ("stepMs", "ms between samples"),
        ("series", "series"),
        ("lastWritten", "last written"),
        ("failingSince", "failing since"),
        ("error", "error"),
        ("waitingTicks", "ticks that wait"),
        ("missedTicks", "ticks missed"),
        ("missedEvents", "events missed"),
        ("lostChunks", "chunks lost"),
        ("damagedTicks", "ticks damaged"),
        ("damagedChunks", "chunks damaged"),
    ];
    for (key, word) in words {
        match &status[key] {
            Value::Null => {}
            Value::String(text) => println!("{word:<20}{}", show::plain(text)),
            value => println!("{word:<20}{value}"),
        }
    }
}

fn print_miners(miners: Vec<HashrateStats>) {
    let time = |at: Option<jiff::Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let row = |it: HashrateStats| {
        [
            it.miner_name,
            show::hashrate(it.mean),
            show::hashrate(it.min),
            show::hashrate(it.max),
            it.total_points.to_string(),
            time(it.first_seen),
            time(it.last_seen),
        ]
    };
    let rows: Vec<_> = miners.into_iter().map(row).collect();
    show::table(["NAME", "MEAN", "LEAST", "MOST", "SAMPLES", "FIRST", "LAST"], &rows);
}

async fn show(common: &Common, client: &Client, what: &Show) -> Result<(), Error> {
    let Show { name, peer, source, chart } = what;
    let miner = segment(name);
    let place = match peer {
        Some(peer) => format!("/remote/{}/miners/{miner}/hashrate-history", segment(peer)),
        None => {
            // A chart of a name that was never a miner's is empty: more likely it is misspelt.
            let past = client.get::<Value>(&format!("/history/miners/{miner}")).await;
            if past.is_err() {
                client.get::<Value>(&format!("/miners/{miner}")).await?;
            }
            format!("/history/miners/{miner}/hashrate")
        }
    };
    let source = source.as_ref().map(|source| format!("&source={source}")).unwrap_or_default();
    chart.print(common, client, name, (&place, &source)).await
}

async fn events(common: &Common, client: &Client, what: Events) -> Result<(), Error> {
    let Events { miner, since, until, limit } = what;
    let mut path = format!("/history/events?limit={limit}");
    for (key, at) in [("since", since), ("until", until)] {
        if let Some(When(at)) = at {
            path.push_str(&format!("&{key}={at}"));
        }
    }
    if let Some(miner) = miner {
        path.push_str(&format!("&miner={}", segment(&miner)));
    }
    let events: Vec<Event> = client.get(&path).await?;
    if common.json {
        show::json(&events);
        return Ok(());
    }
    let rows: Vec<_> = events
        .iter()
        .map(|it| {
            let miner = it.miner().unwrap_or("-").to_owned();
            [it.at.to_string(), it.kind.clone(), miner, it.data.to_string()]
        })
        .collect();
    show::table(["TIME", "WHAT", "MINER", "MORE"], &rows);
    Ok(())
}
