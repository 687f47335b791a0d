//! Requests to addresses that the operator chose: one attempt each, with a limit of time. Redirects
//! are not followed: what is sent goes where the operator said and nowhere else.

use std::{io, path::Path, sync::OnceLock, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, body::Bytes, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use adit_core::files;
use adit_releases::blocking;

/// Longest pause between two attempts, whatever the other side says.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Largest answer that is read, in bytes: it may say why something was refused.
const ANSWER_BYTES: usize = 4 << 10;

type Web = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// What sends requests. Made at first use: reading the machine's certificates takes time and memory.
#[derive(Default)]
pub(super) struct Outgoing(OnceLock<Result<Web, String>>);

/// Reads a secret from a file that the settings name.
pub(super) async fn read_secret(path: &Path) -> io::Result<String> {
    let path = path.to_owned();
    blocking(move || files::read_to_string(&path)).await
}

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The other side has it.
    Taken,
    /// Sending it again would not help.
    Refused(String),
    /// It may go better later.
    Failed {
        /// What went wrong.
        why: String,
        /// How long to wait at least, as the other side wishes.
        wish: Option<Duration>,
        /// Whether there was an answer at all.
        answered: bool,
    },
}

impl Sent {
    /// There was no answer.
    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into(), wish: None, answered: false }
    }
}

impl Outgoing {
    /// Sends `ask` and waits for the answer, at most `limit`.
    pub(super) async fn send(&self, ask: Request<Full<Bytes>>, limit: Duration) -> Sent {
        let web = match self.0.get_or_init(web) {
            Ok(web) => web,
            Err(why) => return Sent::failed(why),
        };
        match tokio::time::timeout(limit, answer(web, ask)).await {
            Ok(sent) => sent,
            Err(_) => Sent::failed(format!("no answer within {} ms", limit.as_millis())),
        }
    }
}

/// The pause after `failed` failures in a row: `first`, doubled with each, or what the other side
/// wishes; spread by a quarter, so that those who failed together do not come together.
pub(super) fn pause(first: Duration, failed: u32, wish: Option<Duration>) -> Duration {
    let own = first.saturating_mul(2_u32.saturating_pow(failed.min(16)));
    let pause = wish.map_or(own, |wish| wish.max(first)).min(LONGEST_PAUSE);
    let share = f64::from(uuid::Uuid::new_v4().as_bytes()[15]) / f64::from(u8::MAX);
    pause.mul_f64(0.75 + share / 2.0)
}

fn web() -> Result<Web, String> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| format!("cannot read this machine's certificates: {error}"))?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

async fn answer(web: &Web, ask: Request<Full<Bytes>>) -> Sent {
    let answer = match web.request(ask).await {
        Ok(answer) => answer,
        Err(error) => return Sent::failed(cause(&error)),
    };
    let status = answer.status();
    let wish = answer.headers().get(header::RETRY_AFTER).and_then(|it| it.to_str().ok());
    let wish = wish.and_then(|it| it.parse().ok()).map(Duration::from_secs);
    // Read to the end also when it went well: the connection is used again.
    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
    if status.is_success() {
        return Sent::Taken;
    }
    let body = body.map(|it| it.to_bytes()).unwrap_or_default();
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let said: String = String::from_utf8_lossy(&body).chars().map(plain).take(300).collect();
    let said = format!("{status}: {}", said.trim());
    match status {
        _ if status.is_redirection() => {
            Sent::Refused(format!("{status}: it redirects, which is not followed"))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Sent::Failed { why: said, wish, answered: true }
        }
        _ if status.is_server_error() => Sent::Failed { why: said, wish, answered: true },
        _ => Sent::Refused(said),
    }
}

/// The innermost cause: what the system said.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_heed_the_other_side() {
        let first = Duration::from_secs(1);
        for (failed, wish, middle) in [
            (0, None, 1),
            (1, None, 2),
            (5, None, 32),
            (30, None, 60),
            (0, Some(7), 7),
            (0, Some(0), 1),
            (0, Some(9000), 60),
        ] {
            let pause = pause(first, failed, wish.map(Duration::from_secs)).as_secs_f64();
            let middle = f64::from(middle);
            assert!((middle * 0.74..=middle * 1.26).contains(&pause), "{failed} {wish:?}: {pause}");
        }
    }
}
