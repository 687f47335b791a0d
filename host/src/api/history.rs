//! `/history`: what was.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        Api,
        body::{Parameters, Segment},
        error::ApiError,
    },
    miners::{self, Drawn, HistoryStatus},
};
use adit_model::{
    event::Event,
    history::{
        HashrateStats, Kind, Metric,
        thin::{Point, Range},
    },
    name::MinerName,
};
use adit_store::EventQuery;

/// Time that a chart shows when nobody says which, in milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;
/// Points of a chart when nobody says how many.
const POINTS: u64 = 1_000;
/// Points of a chart at most: a day in full.
const MOST_POINTS: u64 = 10_000;
/// Events in one answer when nobody says how many, and at most.
const EVENTS: u64 = 200;
const MOST_EVENTS: u64 = 5_000;

pub(crate) async fn status(State(api): State<Api>) -> Json<HistoryStatus> {
    Json(api.0.miners.history().status())
}

pub(crate) async fn miners(State(api): State<Api>) -> Result<Json<Vec<HashrateStats>>, ApiError> {
    Ok(Json(api.0.miners.history().miners().await?))
}

pub(crate) async fn miner(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<HashrateStats>, ApiError> {
    known(&api, &name)?;
    Ok(Json(api.0.miners.history().miner(&name).await?))
}

/// The last five minutes.
pub(crate) async fn recent(
    State(api): State<Api>,
    Segment(name): Segment,
) -> Result<Json<Vec<Point>>, ApiError> {
    api.0.miners.get(&name)?;
    Ok(Json(api.0.miners.history().recent(&name)))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChartQuery {
    since: Option<String>,
    until: Option<String>,
    points: Option<u64>,
    metric: Option<String>,
}

pub(crate) async fn chart(
    State(api): State<Api>,
    Segment(name): Segment,
    Parameters(query): Parameters<ChartQuery>,
) -> Result<Json<Drawn>, ApiError> {
    let ChartQuery { since, until, points, metric } = query;
    let (range, points, metric) = asked(since, until, points, metric.as_deref())?;
    // A miner without samples, of now or of the past, has an empty chart, as clients of the earlier
    // system expect. What cannot be a miner's name has none.
    MinerName::new(&name).map_err(|_| miners::Error::NoMiner(name.chars().take(80).collect()))?;
    let subject = (Kind::Miner, name.as_str());
    Ok(Json(api.0.miners.history().chart(subject, metric, range, points).await?))
}

/// The algorithms and pools that there are totals of.
pub(crate) async fn totals(State(api): State<Api>) -> Json<Value> {
    let history = api.0.miners.history();
    let (algorithms, pools) = (history.names(Kind::Algorithm), history.names(Kind::Pool));
    Json(json!({ "algorithms": algorithms, "pools": pools }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TotalQuery {
    algorithm: Option<String>,
    pool: Option<String>,
    since: Option<String>,
    until: Option<String>,
    points: Option<u64>,
    metric: Option<String>,
}

pub(crate) async fn total(
    State(api): State<Api>,
    Parameters(query): Parameters<TotalQuery>,
) -> Result<Json<Drawn>, ApiError> {
    let TotalQuery { algorithm, pool, since, until, points, metric } = query;
    let (range, points, metric) = asked(since, until, points, metric.as_deref())?;
    let history = api.0.miners.history();
    let unknown = |code: &str, what: &str, name: &str| {
        let sentence =
            format!("the history has no {what} {name:?}: GET /history/totals lists those it has");
        Err(ApiError::not_found(code, sentence))
    };
    let subject = match (&algorithm, &pool) {
        (Some(_), Some(_)) => {
            return Err(ApiError::bad_request("write algorithm=… or pool=…, not both"));
        }
        (Some(name), None) if history.has(Kind::Algorithm, name) => (Kind::Algorithm, &**name),
        (Some(name), None) => return unknown("ALGORITHM_NOT_FOUND", "algorithm", name),
        (None, Some(url)) if history.has(Kind::Pool, url) => (Kind::Pool, &**url),
        (None, Some(url)) => return unknown("POOL_NOT_FOUND", "pool", url),
        (None, None) if metric == Metric::Hashrate => {
            return Err(ApiError::bad_request(
                "hashrates of different algorithms do not add up: write algorithm=… or pool=…, or \
                 another metric such as metric=power for all miners together",
            ));
        }
        (None, None) => (Kind::Fleet, ""),
    };
    if metric == Metric::Phase {
        return Err(ApiError::bad_request("only a miner has phases: choose another metric"));
    }
    Ok(Json(history.chart(subject, metric, range, points).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    since: Option<String>,
    until: Option<String>,
    miner: Option<MinerName>,
    limit: Option<u64>,
}

pub(crate) async fn events(
    State(api): State<Api>,
    Parameters(query): Parameters<EventsQuery>,
) -> Result<Json<Vec<Event>>, ApiError> {
    let EventsQuery { since, until, miner, limit } = query;
    let limit = within("limit", limit.unwrap_or(EVENTS), MOST_EVENTS)?;
    // Without a beginning, all that is kept.
    let Range { since_ms, until_ms } = range(since, until, i64::MAX)?;
    let miner = miner.map(|name| name.to_string());
    let query = EventQuery { since_ms, until_ms, miner, limit };
    Ok(Json(api.0.miners.history().events(query).await?))
}

/// Refuses a name that is neither a miner's nor in the history.
fn known(api: &Api, name: &str) -> Result<(), ApiError> {
    if !api.0.miners.history().has(Kind::Miner, name) {
        api.0.miners.get(name)?;
    }
    Ok(())
}

/// What a query asks for, the last day when it does not say.
fn asked(
    since: Option<String>,
    until: Option<String>,
    points: Option<u64>,
    metric: Option<&str>,
) -> Result<(Range, u32, Metric), ApiError> {
    asked_of((since, until, DAY_MS), points, metric)
}

/// The same with another time before the end, in milliseconds.
pub(crate) fn asked_of(
    (since, until, before_ms): (Option<String>, Option<String>, i64),
    points: Option<u64>,
    metric: Option<&str>,
) -> Result<(Range, u32, Metric), ApiError> {
    let points = within("points", points.unwrap_or(POINTS), MOST_POINTS)?;
    let metric = metric.map(str::parse).transpose();
    let metric: Option<Metric> =
        metric.map_err(|error| ApiError::bad_request(format!("metric: {error}")))?;
    Ok((range(since, until, before_ms)?, points, metric.unwrap_or_default()))
}

fn within(what: &str, value: u64, most: u64) -> Result<u32, ApiError> {
    let value = u32::try_from(value).ok().filter(|it| (1..=most).contains(&u64::from(*it)));
    value.ok_or_else(|| ApiError::bad_request(format!("{what}: write 1 to {most}")))
}

fn range(since: Option<String>, until: Option<String>, before: i64) -> Result<Range, ApiError> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    // The end is exclusive: what is of this very millisecond belongs to the answer.
    let until_ms = time("until", until)?.unwrap_or(now_ms.saturating_add(1));
    let since_ms = time("since", since)?.unwrap_or(until_ms.saturating_sub(before));
    if since_ms >= until_ms {
        return Err(ApiError::bad_request("since: write a time before until"));
    }
    Ok(Range { since_ms, until_ms })
}

fn time(what: &str, text: Option<String>) -> Result<Option<i64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let time: Result<jiff::Timestamp, _> = text.parse();
    let time = time.map_err(|_| {
        ApiError::bad_request(format!(
            "{what}: write a time such as 2026-01-31T18:00:00Z (a + in a URL is %2B)"
        ))
    })?;
    Ok(Some(time.as_millisecond()))
}
