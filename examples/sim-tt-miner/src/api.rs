//! The monitoring API: raw TCP, one JSON text on a line, one reply without a newline behind it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

use crate::rig::Rig;

/// Longest request.
const LINE_BYTES: u64 = 4096;
/// How long a silent client is listened to.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers one connection after the other until the end of the process.
pub(crate) fn serve(listener: &TcpListener, rig: &Rig) {
    for connection in listener.incoming().flatten() {
        // A caller that went away is the caller's affair.
        answer(&connection, rig).ok();
    }
}

fn answer(mut connection: &TcpStream, rig: &Rig) -> io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(connection.take(LINE_BYTES)).read_line(&mut line)?;
    let request: Value = serde_json::from_str(&line)?;
    let reply = match request["method"].as_str() {
        Some("miner_getstat1") => {
            json!({ "id": request["id"], "jsonrpc": "2.0", "result": rig.stat1() })
        }
        _ => json!({ "id": request["id"], "jsonrpc": "2.0", "error": "unknown method" }),
    };
    connection.write_all(reply.to_string().as_bytes())
}
