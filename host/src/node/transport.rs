//! WebSocket: the only place that knows it. Frames in, frames out, small buffers, hard limits.

use std::{net::SocketAddr, time::Duration};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config, client_async_with_config,
    tungstenite::{
        self, Bytes, Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::StatusCode,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::node::{
    noise::{MAX_FIRST_FRAME, MAX_FRAME},
    session::Reason,
};

/// Where nodes listen for each other.
const PATH: &str = "/ws";
/// Buffer for reading, allocated for every connection. The library's own would be 128 KiB.
const READ_BUFFER: usize = 2 << 10;
/// Most that is held back for a connection that does not take it.
const WRITE_BUFFER: usize = 256 << 10;
/// Longest time for a connection to come about.
const DIAL: Duration = Duration::from_secs(10);
/// Longest time until the other end has proven who it is.
pub(crate) const PROOF: Duration = Duration::from_secs(5);
/// Longest time to say why one closes.
const FAREWELL: Duration = Duration::from_secs(1);
/// Longest reason that fits into a close frame.
const REASON_BYTES: usize = 120;

type Stream = WebSocketStream<TcpStream>;

/// A connection whose other end is not known yet.
pub(crate) struct Socket {
    stream: Stream,
    role: Role,
    /// The other end.
    pub(crate) address: SocketAddr,
}

/// Why there is no connection, a sentence.
pub(crate) type Failure = String;

impl Socket {
    /// Answers an incoming connection. The caller limits the time.
    pub(crate) async fn accept(stream: TcpStream, address: SocketAddr) -> Result<Self, Failure> {
        prepare(&stream);
        // The library's own type; what it holds is small.
        #[expect(clippy::result_large_err, reason = "the library prescribes it")]
        let check = |request: &Request, response: Response| {
            if request.uri().path() == PATH {
                return Ok(response);
            }
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = StatusCode::NOT_FOUND;
            Err(refusal)
        };
        let config = Some(config(MAX_FIRST_FRAME));
        let stream = accept_hdr_async_with_config(stream, check, config).await;
        let stream = stream.map_err(|error| format!("no WebSocket: {error}"))?;
        Ok(Self { stream, role: Role::Server, address })
    }

    /// Dials `address` (`host:port`).
    pub(crate) async fn dial(address: &str) -> Result<Self, Failure> {
        let dialling = async {
            let found = tokio::net::lookup_host(address).await;
            let mut last = "it has no address".to_owned();
            for socket in found.map_err(|error| error.to_string())?.take(8) {
                match TcpStream::connect(socket).await {
                    Ok(stream) => return Self::greet(stream, socket, address).await,
                    Err(error) => last = error.to_string(),
                }
            }
            Err(last)
        };
        let limit = || Err(format!("nothing answered within {} s", DIAL.as_secs()));
        tokio::time::timeout(DIAL, dialling).await.unwrap_or_else(|_| limit())
    }

    async fn greet(stream: TcpStream, socket: SocketAddr, host: &str) -> Result<Self, Failure> {
        prepare(&stream);
        let config = Some(config(MAX_FIRST_FRAME));
        let url = format!("ws://{host}{PATH}");
        let (stream, _) = client_async_with_config(url, stream, config)
            .await
            .map_err(|error| format!("no node of adit answers there: {error}"))?;
        Ok(Self { stream, role: Role::Client, address: socket })
    }

    /// The next frame of a handshake. The caller limits the time.
    pub(crate) async fn receive(&mut self) -> Result<Bytes, Failure> {
        next(&mut self.stream).await.map_err(|reason| reason.to_string())
    }

    /// Sends a frame of a handshake.
    pub(crate) async fn send(&mut self, frame: Vec<u8>) -> Result<(), Failure> {
        let sent = self.stream.send(Message::binary(frame)).await;
        sent.map_err(|error| error.to_string())
    }

    /// Closes with a hint for the other end. It is not authentic there.
    pub(crate) async fn refuse(mut self, reason: &str) {
        drop(tokio::time::timeout(FAREWELL, self.stream.close(Some(farewell(reason)))).await);
    }

    /// Both directions, with the limits of a session. Nothing of a session may have arrived: the
    /// other end waits for a frame of this one first.
    pub(crate) async fn split(self) -> (Outgoing, Incoming) {
        let config = Some(config(MAX_FRAME));
        let raw = self.stream.into_inner();
        let stream = Stream::from_raw_socket(raw, self.role, config).await;
        let (sink, stream) = stream.split();
        (Outgoing(sink), Incoming(stream))
    }
}

/// The sending half.
pub(crate) struct Outgoing(SplitSink<Stream, Message>);

impl Outgoing {
    /// Sends frames in order. The caller limits the time.
    pub(crate) async fn send(&mut self, frames: Vec<Vec<u8>>) -> Result<(), Reason> {
        for frame in frames {
            self.0.send(Message::binary(frame)).await.map_err(|_| Reason::Gone)?;
        }
        Ok(())
    }

    /// Says why one closes.
    pub(crate) async fn close(mut self, reason: &Reason) {
        let frame = Message::Close(Some(farewell(&reason.to_string())));
        drop(tokio::time::timeout(FAREWELL, self.0.send(frame)).await);
    }
}

/// The receiving half.
pub(crate) struct Incoming(SplitStream<Stream>);

impl Incoming {
    /// The next frame. Safe to drop. The caller limits the time.
    pub(crate) async fn receive(&mut self) -> Result<Bytes, Reason> {
        next(&mut self.0).await
    }
}

async fn next(
    stream: &mut (impl StreamExt<Item = Result<Message, tungstenite::Error>> + Unpin),
) -> Result<Bytes, Reason> {
    match stream.next().await {
        Some(Ok(Message::Binary(frame))) => Ok(frame),
        Some(Ok(Message::Close(Some(frame)))) if !frame.reason.is_empty() => {
            let told = frame.reason.chars().filter(|c| !c.is_control()).collect();
            Err(Reason::Told(told))
        }
        None | Some(Ok(Message::Close(_))) => Err(Reason::Gone),
        // Signs of life are messages inside the channel: these here nobody vouches for.
        Some(Ok(_)) => Err(Reason::Channel(crate::node::noise::ChannelError::NotOurs)),
        Some(Err(tungstenite::Error::Capacity(_))) => {
            Err(Reason::Channel(crate::node::noise::ChannelError::Size))
        }
        Some(Err(_)) => Err(Reason::Gone),
    }
}

fn config(largest: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
}

fn farewell(reason: &str) -> CloseFrame {
    let mut end = reason.len().min(REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame { code: CloseCode::Policy, reason: reason[..end].to_owned().into() }
}

/// Small messages go out at once, and a dead connection is noticed although nothing comes back.
fn prepare(stream: &TcpStream) {
    drop(stream.set_nodelay(true));
    #[cfg(target_os = "linux")]
    let _not_set = rustix::net::sockopt::set_tcp_user_timeout(stream, 30_000);
}
