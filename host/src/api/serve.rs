//! Accepts connections: bounded in number, with a limit on how long a request's head may take.

use std::{convert::Infallible, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::api::tls::Tls;

/// Connections at once, besides those that only listen to events.
const CONNECTIONS: usize = 1024;
/// Longest time for the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
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

/// Serves `answers` until `ending`, over TLS if asked for, with room for so many `streams` besides
/// requests.
///
/// # Errors
/// None at present; a failed accept is told to the log and tried again.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    answers: Answers,
    streams: usize,
    ending: &CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS + streams));
    let connections = TaskTracker::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = tokio::select! {
            () = ending.cancelled() => break,
            accepted = async { (place.await, listener.accept().await) } => accepted,
        };
        match accepted {
            (place, Ok((stream, client))) => {
                let acceptor = tls.as_ref().map(Tls::acceptor);
                let connection =
                    greet(stream, acceptor, client, Arc::clone(&answers), ending.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            (_, Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::debug!("some connections did not end in time");
    }
    Ok(())
}

async fn greet(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    client: SocketAddr,
    answers: Answers,
    ending: CancellationToken,
) {
    drop(stream.set_nodelay(true));
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, STUCK_LIMIT_MS) {
        tracing::debug!(%error, "a client that does not read will keep its place");
    }
    let Some(acceptor) = acceptor else { return talk(stream, client, answers, ending).await };
    match timeout(HEAD_LIMIT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => talk(stream, client, answers, ending).await,
        Ok(Err(error)) => tracing::debug!(%client, %error, "a client did not agree on TLS"),
        Err(_) => tracing::debug!(%client, "a client took too long to agree on TLS"),
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: SocketAddr,
    answers: Answers,
    ending: CancellationToken,
) {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let answer = answers(client, request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
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
