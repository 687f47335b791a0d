//! Payloads as the text and bytes that cross, and back.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, HttpRequest, HttpResponse, Observation, Reply, Result, error, millis};

/// What a driver's object is made for, without the handle on the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContextHead {
    pub(crate) driver: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) miner: Option<String>,
    pub(crate) data_dir: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) definition: Option<String>,
}

/// A [`Reply`] without its body.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReplyHead {
    id: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(rename = "elapsedMs", with = "millis")]
    elapsed: Duration,
    length: usize,
}

/// An [`HttpRequest`] without its body.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RequestHead {
    method: String,
    path: String,
    query: Vec<(String, String)>,
}

/// An [`HttpResponse`] without its body.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseHead {
    status: u16,
    #[serde(default)]
    content_type: String,
}

/// `value` as text; `what` names it in the error.
pub(crate) fn encode<T: Serialize + ?Sized>(what: &str, value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|cause| Error::failed(format!("{what} cannot be written: {cause}")))
}

/// The value in `text`; `what` names it in the error.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    let mut from = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut from)
        .map_err(|cause| Error::failed(format!("{what} cannot be read: {}", error::at(&cause))))?;
    from.end().map_err(|_| Error::failed(format!("{what} cannot be read: text after its end")))?;
    Ok(value)
}

/// Observations, of which one that cannot be read becomes [`Observation::Unknown`]: a newer driver
/// may see more than this version knows, and the others still count.
pub(crate) fn decode_observations(what: &str, text: &str) -> Result<Vec<Observation>> {
    if let Ok(all) = serde_json::from_str(text) {
        return Ok(all);
    }
    let each: Vec<serde_json::Value> = decode(what, text)?;
    let read = |one| serde_json::from_value(one).unwrap_or(Observation::Unknown);
    Ok(each.into_iter().map(read).collect())
}

/// Heads and joined bodies of `replies`.
pub(crate) fn encode_replies(replies: &[Reply]) -> Result<(String, Vec<u8>)> {
    let head = |reply: &Reply| ReplyHead {
        id: reply.id.clone(),
        status: reply.status,
        error: reply.error.clone(),
        elapsed: reply.elapsed,
        length: reply.body.len(),
    };
    let heads: Vec<ReplyHead> = replies.iter().map(head).collect();
    let bodies = replies.iter().flat_map(|reply| &reply.body).copied().collect();
    Ok((encode("the replies", &heads)?, bodies))
}

/// The replies of `heads`, each with its part of `bodies`.
pub(crate) fn decode_replies(heads: &str, bodies: &[u8]) -> Result<Vec<Reply>> {
    let heads: Vec<ReplyHead> = decode("the replies", heads)?;
    let mut rest = bodies;
    let mut replies = Vec::with_capacity(heads.len());
    for head in heads {
        let (body, next) = rest.split_at_checked(head.length).ok_or_else(mismatch)?;
        rest = next;
        replies.push(Reply {
            id: head.id,
            status: head.status,
            error: head.error,
            body: body.to_vec(),
            elapsed: head.elapsed,
        });
    }
    if rest.is_empty() { Ok(replies) } else { Err(mismatch()) }
}

fn mismatch() -> Error {
    Error::failed("the replies cannot be read: their lengths do not add up to the bodies")
}

/// The head of `request`; its body crosses as it is.
pub(crate) fn encode_request(request: &HttpRequest) -> Result<String> {
    let HttpRequest { method, path, query, body: _ } = request;
    let head = RequestHead { method: method.clone(), path: path.clone(), query: query.clone() };
    encode("the request", &head)
}

/// The request of `head` and `body`.
pub(crate) fn decode_request(head: &str, body: &[u8]) -> Result<HttpRequest> {
    let RequestHead { method, path, query } = decode("the request", head)?;
    Ok(HttpRequest { method, path, query, body: body.to_vec() })
}

/// The head of `response`; its body crosses as it is.
pub(crate) fn encode_response(response: &HttpResponse) -> Result<String> {
    let content_type = response.content_type.clone();
    encode("the response", &ResponseHead { status: response.status, content_type })
}

/// The response of `head` and `body`; its status is one that ends a request.
pub(crate) fn decode_response(what: &str, head: &str, body: Vec<u8>) -> Result<HttpResponse> {
    let ResponseHead { status, content_type } = decode(what, head)?;
    if !(200..=599).contains(&status) {
        return Err(Error::failed(format!("{what} has status {status}; use 200 to 599")));
    }
    Ok(HttpResponse { status, content_type, body })
}

#[cfg(test)]
mod tests;
