//! `GET /miners` and `/miners/{name}`, which dashboards ask for again and again: encoded when a
//! miner's state changed and four times a second otherwise, however many ask.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    api::{
        Api, Inner,
        body::{Parameters, Segment},
        document::describe::{Operation, Output},
        error::ApiError,
        etag,
    },
    miners::{Miners, machine},
};
use adit_model::{
    dialect::{Machine, Subject, xmrig},
    miner::{Desired, MinerView},
    name::DriverId,
};

/// How long an answer stands when nobody changed anything. The time between two figures is longer.
const FRESH: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Also those that the operator stopped.
    #[serde(default)]
    all: bool,
    /// Without what only charts and other clients need.
    #[serde(default)]
    brief: bool,
}

/// A miner in the list, with what dashboards draw at once, so that they need not ask for each.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Entry {
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

#[derive(Serialize, JsonSchema)]
pub(crate) struct Rate {
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

/// An answer as it is sent.
#[derive(Clone)]
struct Encoded {
    body: Bytes,
    tag: HeaderValue,
    /// As [`Miners::revision`].
    revision: u64,
    made: Instant,
}

/// Where the last answer to a question is kept.
#[derive(Default)]
struct Slot(Mutex<Option<Encoded>>);

impl Slot {
    async fn get(
        &self,
        miners: &Miners,
        encode: impl Future<Output = Result<Bytes, ApiError>>,
    ) -> Result<Encoded, ApiError> {
        // Whoever comes meanwhile waits for the same encoding.
        let mut slot = self.0.lock().await;
        let revision = miners.revision();
        let stands = |it: &&Encoded| it.revision == revision && it.made.elapsed() < FRESH;
        if let Some(encoded) = slot.as_ref().filter(stands) {
            return Ok(encoded.clone());
        }
        let (made, before) = (Instant::now(), slot.take());
        let body = encode.await?;
        let encoded = match before.filter(|before| before.body == body) {
            Some(before) => Encoded { revision, made, ..before },
            None => Encoded { body, tag: etag::fresh(), revision, made },
        };
        Ok(slot.insert(encoded).clone())
    }
}

/// The last answers.
#[derive(Default)]
pub(super) struct Answers {
    /// By what is asked for.
    lists: [[Slot; 2]; 2],
    miners: std::sync::Mutex<HashMap<String, Arc<Slot>>>,
}

impl Answers {
    /// Where the answers about a miner are kept, if there were any.
    fn about(&self, name: &str) -> Option<Arc<Slot>> {
        self.miners().get(name).cloned()
    }

    fn miners(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.miners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_bytes(value: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "what is known of miners cannot be written as JSON");
        let told = "what is known cannot be written as JSON; the host's log says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", told)
    })
}

fn entries(api: &Api, query: ListQuery) -> Vec<Entry> {
    let (miners, worker) = (&api.0.miners, &api.0.options.worker);
    let is_listed =
        |view: &MinerView| query.all || view.desired == Desired::Running || view.running;
    let listed = miners.list().into_iter().filter(is_listed);
    if query.brief {
        return listed.map(Entry::brief).collect();
    }
    let machine = machine();
    listed.map(|view| Entry::whole(view, miners, worker, &machine)).collect()
}

/// The answer: a `T`, or that the client has it.
pub(crate) struct Kept<T> {
    encoded: Encoded,
    is_known: bool,
    body: PhantomData<fn() -> T>,
}

impl<T> Kept<T> {
    fn new(encoded: Encoded, headers: &HeaderMap) -> Self {
        let is_known = etag::is_known(headers, &encoded.tag);
        Self { encoded, is_known, body: PhantomData }
    }
}

impl<T> IntoResponse for Kept<T> {
    fn into_response(self) -> Response {
        let Encoded { body, tag, .. } = self.encoded;
        let tag = (header::ETAG, tag);
        if self.is_known {
            return (StatusCode::NOT_MODIFIED, [tag]).into_response();
        }
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ([kind, tag], body).into_response()
    }
}

impl<T: JsonSchema> Output for Kept<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<T>(200);
        operation.not_modified();
    }
}

pub(crate) async fn list(
    State(api): State<Api>,
    Parameters(query): Parameters<ListQuery>,
    headers: HeaderMap,
) -> Result<Kept<Vec<Entry>>, ApiError> {
    let slot = &api.0.answers.lists[usize::from(query.all)][usize::from(query.brief)];
    let encoding = async {
        let api = api.clone();
        // Long for a thousand miners.
        let encoding = tokio::task::spawn_blocking(move || to_bytes(&entries(&api, query)));
        encoding.await.unwrap_or_else(|_| Err(crate::miners::Error::ShuttingDown.into()))
    };
    Ok(Kept::new(slot.get(&api.0.miners, encoding).await?, &headers))
}

pub(crate) async fn one(
    State(api): State<Api>,
    Segment(name): Segment,
    headers: HeaderMap,
) -> Result<Kept<MinerView>, ApiError> {
    let Inner { miners, answers, .. } = &*api.0;
    let slot = match answers.about(&name) {
        Some(slot) => slot,
        None => {
            // Nothing is kept for names that are no miner's.
            miners.get(&name)?;
            Arc::clone(answers.miners().entry(name.clone()).or_default())
        }
    };
    let encoded = slot.get(miners, async { to_bytes(&miners.get(&name)?) }).await;
    if encoded.is_err() {
        answers.miners().remove(&name);
    }
    Ok(Kept::new(encoded?, &headers))
}
