//! `GET /ws/events`: the same messages over a WebSocket.

use std::{pin::pin, time::Duration};

use axum::{
    Extension,
    extract::{
        State, WebSocketUpgrade,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    api::{
        Api,
        access::Caller,
        body::Parameters,
        error::ApiError,
        events::{HEARTBEAT, Subscriber, Wishes, message, missed},
        json,
    },
    miners::Heard,
};
use adit_model::event::Filter;

/// Largest message of a client, in bytes: it has nothing longer to say than a list of miners.
const MESSAGE_BYTES: usize = 8 << 10;
/// Buffer for what a client sends; the library's own default takes 128 KiB a client.
const READ_BYTES: usize = 2 << 10;
/// Longest that one message may take to be handed to the system.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// Longest that a client is waited for that was told the end.
const GOODBYE: Duration = Duration::from_secs(1);
/// Heartbeats that may stay unanswered.
const SILENT_BEATS: u32 = 4;
/// Messages that a client may send between two heartbeats.
const MESSAGES: u32 = 60;

pub(crate) async fn open(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Parameters(wishes): Parameters<Wishes>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| {
        let told = "this route talks WebSocket: connect with a WebSocket client, or read /events";
        ApiError::new(StatusCode::UPGRADE_REQUIRED, "NO_WEBSOCKET", told)
    });
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(error) => {
            let upgrade = (header::UPGRADE, HeaderValue::from_static("websocket"));
            return Ok(([upgrade], error).into_response());
        }
    };
    let subscriber = Subscriber::new(api.clone(), caller, &wishes, &headers)?;
    let response = upgrade
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
        .on_upgrade(move |socket| {
            let sockets = api.0.streams.sockets.clone();
            sockets.track_future(Conversation::new(socket, subscriber).hold())
        });
    Ok(response)
}

/// What a client may say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said {
    /// From now on only these miners, and types; a list that is left out means all.
    Subscribe {
        #[serde(default)]
        miners: Vec<String>,
        #[serde(default)]
        types: Vec<String>,
    },
    /// Answer me.
    Ping,
}

/// How a conversation ends.
struct End(u16, &'static str);

struct Conversation {
    socket: WebSocket,
    subscriber: Subscriber,
    /// Heartbeats since the client was last heard.
    silent: u32,
    /// Messages since the last heartbeat.
    messages: u32,
}

impl Conversation {
    fn new(socket: WebSocket, subscriber: Subscriber) -> Self {
        Self { socket, subscriber, silent: 0, messages: 0 }
    }

    /// Talks until either side has enough, and says why.
    async fn hold(mut self) {
        if let Err(End(code, reason)) = self.talk().await {
            let close = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            let goodbye = async {
                let mut sent = self.socket.send(Message::Close(Some(close))).await.is_ok();
                // Closing with something unread would reset the connection, and the reason be lost.
                while sent {
                    sent = matches!(self.socket.recv().await, Some(Ok(_)));
                }
            };
            // The client may be gone, or not listen.
            drop(timeout(GOODBYE, goodbye).await);
        }
    }

    /// `Ok`: the client is gone.
    async fn talk(&mut self) -> Result<(), End> {
        if let Some(state) = self.subscriber.state().filter(|_| self.subscriber.is_new) {
            self.send(state).await?;
        }
        let mut beat = pin!(sleep_until(Instant::now() + HEARTBEAT));
        loop {
            tokio::select! {
                heard = self.subscriber.subscription.next() => match heard {
                    Some(heard) => self.pass_on(heard).await?,
                    None => return Err(End(close_code::AWAY, "the host ends")),
                },
                received = self.socket.recv() => match received {
                    Some(Ok(Message::Close(_))) | None => return Ok(()),
                    Some(Ok(said)) => self.hear(said).await?,
                    Some(Err(_)) => {
                        let told = "send text of at most 8 KiB by the rules of WebSocket";
                        return Err(End(close_code::PROTOCOL, told));
                    }
                },
                () = self.subscriber.api.0.access.revoked(&self.subscriber.caller) => {
                    return Err(End(close_code::POLICY, "the token is not valid any more"));
                }
                () = beat.as_mut() => {
                    beat.as_mut().reset(Instant::now() + HEARTBEAT);
                    self.beat().await?;
                }
            }
        }
    }

    async fn pass_on(&mut self, heard: Heard) -> Result<(), End> {
        match heard {
            Heard::Event(it) if self.subscriber.filter.matches(&it.event) => {
                self.send(it.json()).await
            }
            Heard::Event(_) => Ok(()),
            Heard::Missed { count } => {
                self.send(missed(count)).await?;
                match self.subscriber.state() {
                    Some(state) => self.send(state).await,
                    None => Ok(()),
                }
            }
        }
    }

    async fn hear(&mut self, said: Message) -> Result<(), End> {
        self.silent = 0;
        self.messages += 1;
        if self.messages > MESSAGES {
            return Err(End(close_code::POLICY, "too many messages"));
        }
        let text = match said {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(End(close_code::UNSUPPORTED, "send text, JSON")),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(()),
        };
        match json::read::<Said>(text.as_bytes()) {
            Ok(Said::Ping) => self.send(message("pong", &Value::Null)).await,
            Ok(Said::Subscribe { miners, types }) => match Filter::new(types, miners) {
                Ok(filter) => {
                    self.subscriber.filter = filter;
                    Ok(())
                }
                Err(error) => self.complain(&error.to_string()).await,
            },
            Err(error) => self.complain(&format!("the message cannot be used: {error}")).await,
        }
    }

    async fn complain(&mut self, what: &str) -> Result<(), End> {
        self.send(message("error", &json!({ "error": what }))).await
    }

    async fn beat(&mut self) -> Result<(), End> {
        self.messages = 0;
        self.silent += 1;
        if self.silent > SILENT_BEATS {
            return Err(End(close_code::POLICY, "no answer to the pings"));
        }
        if !self.subscriber.may_stay() {
            return Err(End(close_code::POLICY, "the token is not valid any more"));
        }
        self.hand_over(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, json: Bytes) -> Result<(), End> {
        let text = Utf8Bytes::try_from(json);
        let text = text.map_err(|_| End(close_code::ERROR, "the host failed at this"))?;
        self.hand_over(Message::Text(text)).await
    }

    /// A client that does not read is let go: it would never know what it missed.
    async fn hand_over(&mut self, message: Message) -> Result<(), End> {
        match timeout(SEND_LIMIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End(close_code::AWAY, "the connection broke")),
            Err(_) => Err(End(close_code::POLICY, "too slow")),
        }
    }
}
