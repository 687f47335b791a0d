//! The servers that ours is compared with: this binary again, as a process of its own.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use axum::{Json, Router, routing::get};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use crate::http;

const VARIABLE: &str = "ADIT_BENCH_ROLE";

/// What a server does.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// Answers `/health` with axum and nothing around it.
    Axum,
    /// Answers anything with the bytes it is given.
    Bytes,
}

impl Role {
    /// The role of this process, if it is such a server.
    pub(crate) fn of_this_process() -> Option<Self> {
        match std::env::var(VARIABLE).ok()?.as_str() {
            "axum" => Some(Self::Axum),
            _ => Some(Self::Bytes),
        }
    }
}

/// A server that runs; killed when dropped.
pub(crate) struct Baseline {
    child: Child,
    /// `address:port`.
    pub(crate) address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Baseline {
    /// Starts a server that knows `reply`.
    pub(crate) fn start(role: Role, reply: &[u8]) -> Self {
        let word = match role {
            Role::Axum => "axum",
            Role::Bytes => "bytes",
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(VARIABLE, word)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(reply).unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        stdout.read_line(&mut address).unwrap();
        Self { child, address: address.trim().to_owned(), _stdout: stdout }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Baseline {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves until killed.
pub(crate) fn serve(role: Role) {
    let mut reply = Vec::new();
    io::stdin().read_to_end(&mut reply).unwrap();
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        match role {
            Role::Axum => {
                let health = || async { Json(json!({ "status": "healthy" })) };
                let router = Router::new().route("/health", get(health));
                axum::serve(listener, router).await.unwrap();
            }
            Role::Bytes => loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(repeat(stream, reply.clone()));
            },
        }
    });
}

async fn repeat(mut stream: TcpStream, reply: Vec<u8>) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]).await {
            Ok(count) if count > 0 => filled += count,
            _ => return,
        }
        if http::head_end(&buffer[..filled]).is_some() {
            filled = 0;
            if stream.write_all(&reply).await.is_err() {
                return;
            }
        }
    }
}

/// How long a server without any work takes from start to its first reply.
pub(crate) fn start_and_ask() -> Duration {
    let begin = std::time::Instant::now();
    let server = Baseline::start(Role::Axum, b"");
    http::Client::connect(&server.address).get("/health", "");
    begin.elapsed()
}
