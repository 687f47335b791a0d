//! `GET /events`: a stream of server-sent events.

use std::collections::VecDeque;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use tokio::time::{Instant, sleep_until};

use crate::{
    api::{
        Api,
        access::Caller,
        body::Parameters,
        error::ApiError,
        events::{HEARTBEAT, Subscriber, Wishes, missed},
    },
    miners::Heard,
};

/// How long a browser waits before it connects again.
const RETRY: &str = "retry: 3000\n\n";
/// A comment: keeps proxies from giving the connection up.
const BEAT: &str = ":\n\n";

pub(crate) async fn stream(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Parameters(wishes): Parameters<Wishes>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let frames = Frames::new(Subscriber::new(api, caller, &wishes, &headers)?);
    let body = stream::unfold(frames, |mut frames| async {
        frames.next().await.map(|frame| (Ok::<_, std::convert::Infallible>(frame), frames))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // nginx holds back what it is not told to pass on.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The frames of one stream. Asked for only when the connection takes more, so a client that does
/// not read holds nothing but its place.
struct Frames {
    subscriber: Subscriber,
    /// What goes out before anything else.
    first: VecDeque<Bytes>,
    beat: Instant,
}

impl Frames {
    fn new(subscriber: Subscriber) -> Self {
        let mut first = VecDeque::from([Bytes::from_static(RETRY.as_bytes())]);
        first.extend(subscriber.state().filter(|_| subscriber.is_new).map(|it| frame(&it)));
        Self { subscriber, first, beat: Instant::now() + HEARTBEAT }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.first.pop_front() {
                return Some(frame);
            }
            self.first.shrink_to(0);
            tokio::select! {
                biased;
                () = sleep_until(self.beat) => {
                    if !self.subscriber.may_stay() {
                        return None;
                    }
                    self.beat = Instant::now() + HEARTBEAT;
                    return Some(Bytes::from_static(BEAT.as_bytes()));
                }
                () = self.subscriber.api.0.access.revoked(&self.subscriber.caller) => return None,
                heard = self.subscriber.subscription.next() => match heard? {
                    Heard::Event(it) if self.subscriber.filter.matches(&it.event) => {
                        return Some(it.sse());
                    }
                    Heard::Event(_) => {}
                    Heard::Missed { count } => {
                        self.first.push_back(frame(&missed(count)));
                        self.first.extend(self.subscriber.state().map(|it| frame(&it)));
                    }
                },
            }
        }
    }
}

/// A message without an id as a frame.
fn frame(json: &Bytes) -> Bytes {
    [b"data: ", json.as_ref(), b"\n\n"].concat().into()
}
