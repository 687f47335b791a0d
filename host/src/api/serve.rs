//! Accepts connections: bounded in number, shared between addresses, with a limit on how long a
//! request's head may take.

mod places;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    response::Response,
};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) use places::Places;

use crate::api::{
    serve::places::{Busy, Marker, Place},
    tls::Tls,
};

/// Connections at once, besides those that only listen to events.
pub(super) const CONNECTIONS: usize = 1024;
/// Longest time for the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The same for connections that come when most places are taken.
const CROWDED_HEAD_LIMIT: Duration = Duration::from_secs(2);
/// How long connections may go on after the end was called for.
const GRACE: Duration = Duration::from_secs(3);
/// How long a client may take no byte of what waits for it. Whoever reads events slowly misses some;
/// whoever does not read at all gives its place back.
const STUCK_LIMIT_MS: u32 = 60_000;
/// Pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What answers a request of a client.
pub(super) type Answers = Arc<
    dyn Fn(SocketAddr, Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync,
>;

/// Serves `answers` until `ending`, over TLS if asked for, to at most `most` connections.
///
/// # Errors
/// When the listener itself cannot be used any more. Another failed accept is logged and tried again.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    answers: Answers,
    most: usize,
    ending: &CancellationToken,
) -> io::Result<()> {
    // The host has more to open than connections: files, the database, sockets of keepers.
    let files = usize::try_from(crate::node::raise_limit()).unwrap_or(usize::MAX);
    let places = Places::new(most.min(files / 2).max(1));
    let connections = TaskTracker::new();
    let served = loop {
        let accepted = tokio::select! {
            () = ending.cancelled() => break Ok(()),
            accepted = listener.accept() => accepted,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_final(&error) => break Err(error),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Most likely for want of file descriptors, which idle connections hold.
                places.evict_one();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = places.take(client.ip()) else {
            tracing::debug!(%client, "refused: all connections are busy");
            continue;
        };
        let limit = if places.is_crowded() { CROWDED_HEAD_LIMIT } else { HEAD_LIMIT };
        let acceptor = tls.as_ref().map(Tls::acceptor);
        let answers = Arc::clone(&answers);
        let caller = Conversation { client, answers, limit, marker: place.marker() };
        connections.spawn(hold(stream, acceptor, caller, place, ending.clone()));
    };
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::debug!("some connections did not end in time");
    }
    served
}

/// Whether nothing will ever be accepted again.
fn is_final(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP].map(Some).contains(&errno)
}

/// A connection, as far as it does not depend on how it is encrypted.
struct Conversation {
    client: SocketAddr,
    answers: Answers,
    /// For the head of a request.
    limit: Duration,
    marker: Marker,
}

/// Serves a connection to its end, or until its place is needed.
async fn hold(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    conversation: Conversation,
    place: Place,
    ending: CancellationToken,
) {
    let client = conversation.client;
    tokio::select! {
        () = place.evicted() => tracing::debug!(%client, "an idle connection made room"),
        () = greet(stream, acceptor, conversation, ending) => {}
    }
}

async fn greet(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    conversation: Conversation,
    ending: CancellationToken,
) {
    drop(stream.set_nodelay(true));
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, STUCK_LIMIT_MS) {
        tracing::debug!(%error, "a client that does not read will keep its place");
    }
    let Some(acceptor) = acceptor else { return talk(stream, conversation, ending).await };
    let client = conversation.client;
    match timeout(conversation.limit, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => talk(stream, conversation, ending).await,
        Ok(Err(error)) => tracing::debug!(%client, %error, "a client did not agree on TLS"),
        Err(_) => tracing::debug!(%client, "a client took too long to agree on TLS"),
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    conversation: Conversation,
    ending: CancellationToken,
) {
    let Conversation { client, answers, limit, marker } = conversation;
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let busy = marker.busy();
        let answer = answers(client, request.map(Body::new));
        async move { Ok::<_, Infallible>(answered(answer.await, busy)) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "a connection ended badly");
    }
}

/// The answer; one without a known size is a stream, during which the connection does not wait.
fn answered(response: Response, busy: Busy) -> Response {
    match response.body().size_hint().exact() {
        Some(_) => response,
        None => response.map(|body| Body::new(Streamed { body, _busy: busy })),
    }
}

/// A body that keeps its connection busy.
struct Streamed {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Streamed {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Serves "well" to at most `most`.
    async fn well(most: usize) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ending = CancellationToken::new();
        let until = ending.clone();
        let answers: Answers =
            Arc::new(|_, _| Box::pin(async { Response::new(Body::from("well")) }));
        tokio::spawn(async move { serve(listener, None, answers, most, &until).await });
        (address, ending)
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn half_requests_of_one_address_keep_nobody_out() {
        let (address, ending) = well(8).await;
        let mut halves = Vec::new();
        for _ in 0..8 {
            let mut half = TcpStream::connect(address).await.unwrap();
            half.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
            halves.push(half);
        }
        // As many again: each takes the place of an older one.
        for _ in 0..8 {
            halves.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(ask(address).await.ends_with("well"));
        // Not because their time was up: the newest ones are still there.
        let mut byte = [0; 1];
        assert!(matches!(halves[15].try_read(&mut byte), Err(error)
            if error.kind() == io::ErrorKind::WouldBlock));
        assert_eq!(halves[0].read(&mut byte).await.unwrap_or(0), 0);
        ending.cancel();
    }

    #[test]
    fn only_a_broken_listener_ends_it() {
        let error = |code: rustix::io::Errno| io::Error::from_raw_os_error(code.raw_os_error());
        for code in [rustix::io::Errno::BADF, rustix::io::Errno::INVAL] {
            assert!(is_final(&error(code)));
        }
        for code in [rustix::io::Errno::MFILE, rustix::io::Errno::CONNABORTED] {
            assert!(!is_final(&error(code)));
        }
    }
}
