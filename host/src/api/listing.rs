//! `GET /miners`: the list that dashboards ask for again and again. Encoded when something changed
//! and at most once a second otherwise, however many ask.

use std::time::{Duration, Instant};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    api::{
        Api,
        body::Parameters,
        document::describe::{Operation, Output},
        error::ApiError,
        etag,
    },
    miners::{Miners, machine},
    model::{
        dialect::{Machine, Subject, xmrig},
        miner::{Desired, MinerView},
        name::DriverId,
    },
};

/// How long a list stands when nobody changed anything: the time between two figures is longer.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Also those that the operator stopped.
    #[serde(default)]
    all: bool,
    /// Without what only charts and other clients need.
    #[serde(default)]
    brief: bool,
}

/// A miner in the list: with what dashboards draw at once, so that they need not ask for each.
#[derive(Serialize, schemars::JsonSchema)]
struct Entry {
    #[serde(flatten)]
    view: MinerView,
    /// The same as `minerType`, for clients that read it so; absent in a brief list.
    #[serde(skip_serializing_if = "Option::is_none")]
    miner_type: Option<DriverId>,
    /// The last five minutes, oldest first; absent in a brief list.
    #[serde(rename = "hashrateHistory", skip_serializing_if = "Option::is_none")]
    hashrate_history: Option<Vec<Rate>>,
    /// The figures in the form of XMRig's `/2/summary`; absent in a brief list and while
    /// nothing runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_stats: Option<Value>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Rate {
    timestamp: jiff::Timestamp,
    /// In whole H/s.
    hashrate: u64,
}

impl Entry {
    fn brief(view: MinerView) -> Self {
        Self { view, miner_type: None, hashrate_history: None, full_stats: None }
    }

    fn whole(view: MinerView, miners: &Miners, worker: &str, machine: &Machine) -> Self {
        let points = miners.history().recent(view.name.as_str()).into_iter();
        let rates = points.filter_map(|point| {
            Some(Rate { timestamp: point.timestamp, hashrate: point.hashrate? })
        });
        let full_stats = view.running.then(|| {
            let subject = Subject::new(view.clone(), worker, machine.clone());
            xmrig::summary(&subject, xmrig::Form::Two)
        });
        Self {
            miner_type: Some(view.miner_type.clone()),
            hashrate_history: Some(rates.collect()),
            full_stats,
            view,
        }
    }
}

/// A list as it is sent.
#[derive(Clone)]
struct Encoded {
    body: Bytes,
    tag: HeaderValue,
    /// As [`Miners::revision`].
    revision: u64,
    made: Instant,
}

/// The list for each query.
#[derive(Default)]
pub(super) struct Lists([[Mutex<Option<Encoded>>; 2]; 2]);

impl Lists {
    async fn get(&self, api: &Api, query: ListQuery) -> Result<Encoded, ApiError> {
        // Whoever comes meanwhile waits for the same encoding.
        let mut slot = self.0[usize::from(query.all)][usize::from(query.brief)].lock().await;
        let revision = api.0.miners.revision();
        let stands = |it: &&Encoded| it.revision == revision && it.made.elapsed() < FRESH;
        if let Some(encoded) = slot.as_ref().filter(stands) {
            return Ok(encoded.clone());
        }
        let made = Instant::now();
        let encoding = api.clone();
        let body = tokio::task::spawn_blocking(move || encode(&encoding, query)).await;
        let body = body.ok().and_then(Result::ok).ok_or_else(|| {
            let told = "the list of miners cannot be written as JSON; the host's log says why";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", told)
        })?;
        let unchanged = slot.take().filter(|before| before.body == body);
        let encoded = match unchanged {
            Some(before) => Encoded { revision, made, ..before },
            None => Encoded { body, tag: etag::fresh(), revision, made },
        };
        Ok(slot.insert(encoded).clone())
    }
}

fn encode(api: &Api, query: ListQuery) -> serde_json::Result<Bytes> {
    let (miners, worker) = (&api.0.miners, &api.0.options.worker);
    let is_listed =
        |view: &MinerView| query.all || view.desired == Desired::Running || view.running;
    let listed = miners.list().into_iter().filter(is_listed);
    let entries: Vec<Entry> = if query.brief {
        listed.map(Entry::brief).collect()
    } else {
        let machine = machine();
        listed.map(|view| Entry::whole(view, miners, worker, &machine)).collect()
    };
    serde_json::to_vec(&entries).map(Bytes::from)
}

/// The answer: the list, or that the client has it.
pub(crate) struct List {
    encoded: Encoded,
    known: bool,
}

impl IntoResponse for List {
    fn into_response(self) -> Response {
        let Encoded { body, tag, .. } = self.encoded;
        let tag = (header::ETAG, tag);
        if self.known {
            return (StatusCode::NOT_MODIFIED, [tag]).into_response();
        }
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ([kind, tag], body).into_response()
    }
}

impl Output for List {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<Vec<Entry>>(200);
        operation.not_modified();
    }
}

pub(crate) async fn list(
    State(api): State<Api>,
    Parameters(query): Parameters<ListQuery>,
    headers: HeaderMap,
) -> Result<List, ApiError> {
    let encoded = api.0.lists.get(&api, query).await?;
    let known = etag::is_known(&headers, &encoded.tag);
    Ok(List { encoded, known })
}
