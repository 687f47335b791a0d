//! What `adit top` asks of the host, once a second, and what it tells it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    cli::{
        Common, Error,
        client::{Client, segment},
        top::{
            state::{About, Detail, News, Verb, Wanted},
            text::clean,
        },
    },
    miners::LogPage,
};
use adit_model::{history::thin::Point, miner::MinerView, name::MinerName};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A host that takes longer for a look is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Looks between two questions about the host itself.
const ABOUT_EVERY: u32 = 10;

/// Part of what a host says of itself.
#[derive(Deserialize)]
struct Info {
    version: String,
    worker: String,
    demo: bool,
    uptime_s: i64,
}

/// Looks at the host for ever. A change of `wanted` brings the next look forward.
pub(super) async fn run(
    common: &Common,
    mut wanted: watch::Receiver<Wanted>,
    news: mpsc::Sender<News>,
) {
    let mut client = None;
    let mut looks = 0_u32;
    loop {
        let next = Instant::now() + EVERY;
        let asked = wanted.borrow_and_update().clone();
        let look = async {
            let known = match client.take() {
                Some(client) => client,
                // It may come back at another address.
                None => Client::find(common)?,
            };
            let seen = look(&known, &asked, looks.is_multiple_of(ABOUT_EVERY)).await?;
            Ok((known, seen))
        };
        let told = match timeout(PATIENCE, look).await {
            Ok(Ok((known, seen))) => {
                client = Some(known);
                looks = looks.wrapping_add(1);
                seen
            }
            Ok(Err(error)) => away(&error),
            Err(_) => News::Away(format!("nothing came for {} s", PATIENCE.as_secs())),
        };
        if client.is_none() {
            looks = 0;
        }
        if news.send(told).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep_until(next) => {}
            Ok(()) = wanted.changed() => {}
        }
    }
}

fn away(error: &Error) -> News {
    News::Away(error.to_string())
}

async fn look(client: &Client, wanted: &Wanted, asks_about: bool) -> Result<News, Error> {
    let miners: Vec<MinerView> = client.get("/miners?all=true&brief=true").await?;
    let about = if asks_about { Some(about(client).await?) } else { None };
    let detail = match &wanted.miner {
        Some(name) if miners.iter().any(|it| it.name == *name) => {
            Some(detail(client, name, wanted.lines).await)
        }
        _ => None,
    };
    Ok(News::Look { about, miners, detail })
}

async fn about(client: &Client) -> Result<About, Error> {
    let Info { version, worker, demo, uptime_s } = client.get("/info").await?;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    Ok(About {
        version: clean(&version),
        worker: clean(&worker),
        is_demo: demo,
        began_ms: now_ms.saturating_sub(uptime_s.saturating_mul(1_000)),
    })
}

/// A miner's last minutes. What cannot be had is left out: the miner may be gone by now.
async fn detail(client: &Client, name: &MinerName, lines: u32) -> Detail {
    let path = format!("/miners/{}", segment(name.as_str()));
    let points: Result<Vec<Point>, _> = client.get(&format!("{path}/hashrate-history")).await;
    let page: Result<LogPage, _> = client.get(&format!("{path}/logs?lines={lines}")).await;
    let lines = match page {
        Ok(page) => page.lines,
        Err(error) => vec![error.to_string()],
    };
    let lines = lines.iter().map(|line| clean(line)).collect();
    Detail { miner: name.clone(), points: points.unwrap_or_default(), lines }
}

/// Tells a miner to do something; returns what came of it, in a sentence.
pub(super) async fn tell(common: &Common, verb: Verb, miner: &MinerName) -> News {
    let told = async {
        let client = Client::find(common)?;
        let path = format!("/miners/{}{}", segment(miner.as_str()), verb.route());
        let answer: Value = match verb {
            Verb::Stop => client.delete(&path).await?,
            _ => client.post(&path).await?,
        };
        Ok::<_, Error>(answer["status"].as_str().unwrap_or("started").to_owned())
    };
    News::Done(match told.await {
        Ok(status) => format!("{miner}: {status}"),
        Err(error) => format!("{miner}: {error}"),
    })
}
