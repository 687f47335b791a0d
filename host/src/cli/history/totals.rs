//! `adit history totals`: all miners of an algorithm, of a pool or of the node together.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::{
    Common, Error,
    client::{self, Client, segment},
    history::chart::Chart,
    show,
};

#[derive(Args)]
pub(in crate::cli) struct Totals {
    /// Of the miners of this algorithm
    algorithm: Option<String>,
    /// Of the miners at this pool, by its URL
    #[arg(long, value_name = "URL", conflicts_with = "algorithm")]
    pool: Option<String>,
    #[command(flatten)]
    chart: Chart,
}

#[derive(Deserialize)]
struct Subjects {
    algorithms: Vec<String>,
    pools: Vec<String>,
}

/// Draws a chart; without a word of it, lists what there are totals of.
pub(super) async fn run(common: &Common, client: &Client, what: &Totals) -> Result<(), Error> {
    let (subject, query) = match (&what.algorithm, &what.pool) {
        (Some(algorithm), _) => (algorithm.as_str(), format!("&algorithm={}", segment(algorithm))),
        (None, Some(url)) => (url.as_str(), format!("&pool={}", segment(url))),
        (None, None) if what.chart.is_asked_for() => ("all miners together", String::new()),
        (None, None) => return list(common, client).await,
    };
    what.chart.print(common, client, subject, ("/history/totals/hashrate", &query)).await
}

async fn list(common: &Common, client: &Client) -> Result<(), Error> {
    let answer: Value = client.get("/history/totals").await?;
    if common.json {
        show::json(&answer);
        return Ok(());
    }
    let Subjects { algorithms, pools } =
        serde_json::from_value(answer).map_err(|error| client::not_understood(&error))?;
    let row = |kind: &str, name: String| [kind.to_owned(), name];
    let algorithms = algorithms.into_iter().map(|name| row("algorithm", name));
    let rows: Vec<_> = algorithms.chain(pools.into_iter().map(|url| row("pool", url))).collect();
    show::table(["TOTAL OF", "NAME"], &rows);
    Ok(())
}
