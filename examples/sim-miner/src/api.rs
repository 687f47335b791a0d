//! The HTTP API on loopback: one short request on each connection.

mod http;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    api::http::{Request, Response},
    rig::Rig,
    settings,
};

/// Connections served at once; more are closed.
const CONNECTIONS_MAX: usize = 16;

/// The server, as far as its threads share it.
#[derive(Debug)]
struct Server {
    settings: settings::Api,
    rig: Arc<Rig>,
    is_dead: AtomicBool,
    connections: AtomicUsize,
}

/// Opens the API and serves it from threads of its own. Returns its address.
///
/// # Errors
/// When the port cannot be had or no thread can be started.
pub(crate) fn open(rig: &Arc<Rig>, settings: settings::Api) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))?;
    let address = listener.local_addr()?;
    let dies_after = settings.dies_after;
    let server = Arc::new(Server {
        settings,
        rig: Arc::clone(rig),
        is_dead: AtomicBool::new(false),
        connections: AtomicUsize::new(0),
    });
    if let Some(dies_after) = dies_after {
        let server = Arc::clone(&server);
        thread::Builder::new().name("api-end".to_owned()).spawn(move || {
            thread::sleep(dies_after.saturating_sub(server.rig.elapsed()));
            server.is_dead.store(true, Ordering::SeqCst);
            // Wakes the listener, which then closes.
            drop(TcpStream::connect(address));
        })?;
    }
    thread::Builder::new().name("api".to_owned()).spawn(move || server.accept(&listener))?;
    Ok(address)
}

impl Server {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for connection in listener.incoming() {
            if self.is_dead.load(Ordering::SeqCst) {
                return;
            }
            self.rig.stay_if_frozen();
            let Ok(connection) = connection else { continue };
            if self.connections.load(Ordering::SeqCst) >= CONNECTIONS_MAX {
                continue;
            }
            self.connections.fetch_add(1, Ordering::SeqCst);
            let server = Arc::clone(&self);
            let spawned = thread::Builder::new().name("api-reply".to_owned()).spawn(move || {
                // A caller that went away is the caller's affair.
                server.serve(connection).ok();
                server.connections.fetch_sub(1, Ordering::SeqCst);
            });
            if spawned.is_err() {
                self.connections.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn serve(&self, mut connection: TcpStream) -> io::Result<()> {
        let response = match http::read(&mut connection)? {
            Some(request) => {
                thread::sleep(self.settings.delay);
                self.answer(&request)
            }
            None => Response::error(400, "this is no HTTP request"),
        };
        self.rig.stay_if_frozen();
        if self.is_dead.load(Ordering::SeqCst) {
            return Ok(());
        }
        response.write(&mut connection)
    }

    fn answer(&self, request: &Request) -> Response {
        let token = self.settings.token.as_deref();
        if token.is_some_and(|token| !request.bears(token)) {
            return Response::error(401, "send the bearer token");
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/stats") => self.stats(),
            ("POST", "/pause") => self.set_paused(true),
            ("POST", "/resume") => self.set_paused(false),
            (_, "/stats" | "/pause" | "/resume") => Response::error(405, "use another method"),
            _ => Response::error(404, "there are GET /stats, POST /pause and POST /resume"),
        }
    }

    fn set_paused(&self, is_paused: bool) -> Response {
        self.rig.set_paused(is_paused);
        Response { status: 200, body: serde_json::json!({ "paused": is_paused }).to_string() }
    }

    fn stats(&self) -> Response {
        let mut stats = self.rig.stats();
        if self.settings.pad_to_bytes > 0 {
            stats["padding"] = "x".repeat(self.settings.pad_to_bytes).into();
        }
        let mut body = stats.to_string();
        if self.settings.is_broken {
            // All of it is ASCII but the configured texts.
            let half = (0..=body.len() / 2).rev().find(|at| body.is_char_boundary(*at));
            body.truncate(half.unwrap_or(0));
        }
        Response { status: 200, body }
    }
}
