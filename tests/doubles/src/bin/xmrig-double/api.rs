//! XMRig's HTTP API: a new connection for every request.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    client::ALGORITHMS,
    config,
    rig::{Rig, tell},
};

/// Opens the API. `false`: the port is taken, and there is none for the whole life of the program.
pub(crate) fn start(rig: &Arc<Rig>) -> bool {
    let http = rig.state().config["http"].clone();
    if http["enabled"] != true {
        return true;
    }
    let port = u16::try_from(http["port"].as_u64().unwrap_or_default()).unwrap_or_default();
    let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) else {
        tell(&format!(" * HTTP API     127.0.0.1:{port} address already in use"));
        return false;
    };
    tell(&format!(" * HTTP API     127.0.0.1:{port} "));
    let rig = Arc::clone(rig);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if rig.state().config["http"]["enabled"] != true {
                return;
            }
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok();
            // One that hangs up half-way is no concern of the others.
            serve(&rig, stream).ok();
        }
    });
    true
}

struct Request {
    method: String,
    path: String,
    authorization: Option<String>,
    content_type: String,
    body: String,
}

fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Request> {
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        authorization: None,
        content_type: String::new(),
        body: String::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "content-type" => value.clone_into(&mut request.content_type),
            "content-length" => length = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    stream.take(length).read_to_string(&mut request.body)?;
    Ok(request)
}

fn serve(rig: &Rig, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let request = read(&mut stream)?;
    let (status, body) = answer(rig, &request);
    // The answer to what closed the API never arrives.
    if rig.state().config["http"]["enabled"] != true {
        return Ok(());
    }
    let body = if body.is_null() { String::new() } else { format!("{body:#}") };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    let stream = stream.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn answer(rig: &Rig, request: &Request) -> (u16, Value) {
    let http = rig.state().config["http"].clone();
    let is_restricted = http["restricted"] != false;
    let is_get = request.method == "GET";
    match (http["access-token"].as_str(), &request.authorization) {
        (None, None) if is_restricted => {}
        (Some(token), Some(given)) if *given == format!("Bearer {token}") => {}
        (Some(_), Some(_)) => return error(403),
        _ => return error(401),
    }
    let changes = !is_get || request.path.ends_with("/config");
    if changes && is_restricted {
        return error(403);
    }
    if !is_get && request.content_type != "application/json" {
        return error(415);
    }
    let body: Option<Value> = serde_json::from_str(&request.body).ok();
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/2/summary") => (200, summary(rig)),
        ("GET", "/2/backends") => (200, backends(rig)),
        ("GET", "/1/config" | "/2/config") => (200, rig.state().config.clone()),
        ("PUT" | "POST", "/1/config" | "/2/config") => match body.filter(config::is_usable) {
            Some(config) => {
                rig.replace(config);
                (204, Value::Null)
            }
            None => error(400),
        },
        ("POST", "/json_rpc") => (200, json_rpc(rig, &body.unwrap_or_default())),
        _ => error(404),
    }
}

fn error(status: u16) -> (u16, Value) {
    (status, json!({ "status": status, "error": "REFUSED" }))
}

fn json_rpc(rig: &Rig, request: &Value) -> Value {
    match request["method"].as_str() {
        Some("pause") => rig.pause(true),
        Some("resume") => rig.pause(false),
        _ => {
            let error = json!({ "code": -32601, "message": "Method not found" });
            return json!({ "error": error, "jsonrpc": "2.0", "id": request["id"] });
        }
    }
    json!({ "result": { "status": "OK" }, "jsonrpc": "2.0", "id": request["id"] })
}

fn summary(rig: &Rig) -> Value {
    let rate = rig.hashrate();
    let state = rig.state();
    let connection = &state.connection;
    let uptime_ms = connection.since.map_or(0, |since| since.elapsed().as_millis().max(1));
    let total = match state.first_job {
        None => json!([0.0, 0.0, 0.0]),
        Some(_) => json!([rate, null, null]),
    };
    json!({
        "id": "",
        "worker_id": state.config["api"]["worker-id"],
        "uptime": rig.started.elapsed().as_secs(),
        "restricted": false,
        "resources": { "memory": { "resident_set_memory": 4_000_000 } },
        "results": {
            "diff_current": connection.diff,
            "shares_good": state.accepted,
            "shares_total": state.accepted + state.rejected,
            "avg_time": 0,
            "avg_time_ms": 200,
            "hashes_total": state.hashes,
            "best": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        },
        "algo": state.algo,
        "connection": {
            "pool": connection.pool,
            "ip": connection.ip,
            "uptime": uptime_ms / 1000,
            "uptime_ms": uptime_ms,
            "ping": u64::from(state.accepted > 0),
            "failures": connection.failures,
            "tls": connection.tls,
            "tls-fingerprint": null,
            "algo": state.algo,
            "diff": connection.diff,
            "accepted": state.accepted,
            "rejected": state.rejected,
        },
        "version": rig.version,
        "kind": "miner",
        "ua": format!("XMRig/{} (double)", rig.version),
        "cpu": { "brand": "Double" },
        "donate_level": state.config["donate-level"],
        "paused": state.paused,
        "algorithms": ALGORITHMS,
        "hashrate": { "total": total, "highest": rate },
        "hugepages": [0, 1],
    })
}

fn backends(rig: &Rig) -> Value {
    let rate = rig.hashrate();
    let state = rig.state();
    let mut cpu = json!({ "type": "cpu", "enabled": true, "algo": state.algo, "msr": false });
    if state.first_job.is_some() && !state.paused {
        cpu["hashrate"] = json!([rate, null, null]);
        cpu["threads"] = json!([{ "intensity": 1, "affinity": -1, "av": 1,
                                  "hashrate": [rate, null, null] }]);
    }
    json!([cpu])
}
