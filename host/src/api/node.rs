//! `/node` and `/peers`: who this node is and whom it knows.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        Api,
        body::{Body, OptionalBody, Segment},
        error::ApiError,
    },
    node::view::{IdentityView, InviteView, NodeInfo, PeerChange, PeerView},
};
use adit_model::peer::NodeRole;

/// How long an invite is good when nobody says.
const MINUTES: u32 = 15;
/// Longest life of an invite, in minutes: a week.
const MOST_MINUTES: u32 = 7 * 24 * 60;
/// Most nodes that may join with one invite.
const MOST_USES: u32 = 10_000;

pub(crate) async fn info(State(api): State<Api>) -> Json<NodeInfo> {
    Json(api.0.node.info())
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InitBody {
    name: String,
    #[serde(default = "dual")]
    role: NodeRole,
}

fn dual() -> NodeRole {
    NodeRole::Dual
}

pub(crate) async fn init(
    State(api): State<Api>,
    Body(body): Body<InitBody>,
) -> Result<Json<IdentityView>, ApiError> {
    Ok(Json(api.0.node.init(&body.name, body.role).await?))
}

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RotateBody {
    /// Let the announced key take over.
    finish: bool,
}

pub(crate) async fn rotate(
    State(api): State<Api>,
    OptionalBody(body): OptionalBody<RotateBody>,
) -> Result<Json<NodeInfo>, ApiError> {
    let node = &api.0.node;
    let done = if body.finish { node.finish_rotation().await } else { node.rotate().await };
    Ok(Json(done?))
}

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct InviteBody {
    /// `host:port` under which the other node reaches this one; guessed when absent.
    address: Option<String>,
    /// How many nodes may join; 1 when absent.
    uses: Option<u32>,
    /// How long it is good; 15 when absent.
    minutes: Option<u32>,
    /// Tags of whoever joins.
    tags: Vec<String>,
}

pub(crate) async fn invite(
    State(api): State<Api>,
    OptionalBody(body): OptionalBody<InviteBody>,
) -> Result<Response, ApiError> {
    let made = new_invite(&api, body).await?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

async fn new_invite(api: &Api, body: InviteBody) -> Result<InviteView, ApiError> {
    let InviteBody { address, uses, minutes, tags } = body;
    let (uses, minutes) = (uses.unwrap_or(1), minutes.unwrap_or(MINUTES));
    for (name, value, most) in [("uses", uses, MOST_USES), ("minutes", minutes, MOST_MINUTES)] {
        if !(1..=most).contains(&value) {
            return Err(ApiError::bad_request(format!("{name}: write 1 to {most}")));
        }
    }
    let life = Duration::from_secs(u64::from(minutes) * 60);
    Ok(api.0.node.invite(address, uses, life, tags).await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinBody {
    invite: String,
}

pub(crate) async fn join(
    State(api): State<Api>,
    Body(body): Body<JoinBody>,
) -> Result<Response, ApiError> {
    let peer = api.0.node.join(&body.invite).await?;
    Ok((StatusCode::CREATED, Json(peer)).into_response())
}

/// With an invite: joins. Without one: makes one.
#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PeerBody {
    invite: Option<String>,
    address: Option<String>,
    /// Taken for older clients, which name what they add; a peer names itself.
    #[serde(rename = "name")]
    _name: Option<String>,
}

pub(crate) async fn add(
    State(api): State<Api>,
    OptionalBody(body): OptionalBody<PeerBody>,
) -> Result<Response, ApiError> {
    match (body.invite, body.address) {
        (Some(invite), None) => join(State(api), Body(JoinBody { invite })).await,
        (None, None) => {
            let made = new_invite(&api, InviteBody::default()).await?;
            Ok((StatusCode::CREATED, Json(made)).into_response())
        }
        (_, Some(_)) => Err(ApiError::bad_request(
            "address: a peer is not added by its address, which proves nothing: make an invite on \
             one node with POST /node/invite and use it on the other with POST /node/join",
        )),
    }
}

pub(crate) async fn list(State(api): State<Api>) -> Json<Vec<PeerView>> {
    Json(api.0.node.peers())
}

pub(crate) async fn one(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Json<PeerView>, ApiError> {
    Ok(Json(api.0.node.peer(&id)?))
}

pub(crate) async fn change(
    State(api): State<Api>,
    Segment(id): Segment,
    Body(body): Body<PeerChange>,
) -> Result<Json<PeerView>, ApiError> {
    Ok(Json(api.0.node.change_peer(&id, body).await?))
}

pub(crate) async fn remove(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Json<Value>, ApiError> {
    api.0.node.remove_peer(&id).await?;
    Ok(Json(json!({ "status": "peer removed" })))
}

pub(crate) async fn ping(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Json<Value>, ApiError> {
    let took = api.0.node.ping(&id).await?;
    Ok(Json(json!({ "rtt_ms": took })))
}

pub(crate) async fn connect(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Json<Value>, ApiError> {
    let peer = api.0.node.connect(&id).await?;
    Ok(Json(json!({ "status": "connected", "peer": peer })))
}

pub(crate) async fn disconnect(
    State(api): State<Api>,
    Segment(id): Segment,
) -> Result<Json<Value>, ApiError> {
    api.0.node.disconnect(&id).await?;
    Ok(Json(json!({ "status": "disconnected" })))
}
