//! `/health`, `/ready`, `/info`: how the host is. Reading them changes nothing.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::api::Api;

pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "healthy" }))
}

/// The API answers only when every part has begun.
pub(crate) async fn ready(State(_): State<Api>) -> Json<Value> {
    Json(json!({
        "status": "ready",
        "components": { "manager": "ready", "drivers": "ready", "store": "ready" },
    }))
}

pub(crate) async fn info(State(api): State<Api>) -> Json<Value> {
    let mut installed = Vec::new();
    for driver in api.0.drivers.loaded() {
        let program = api.0.miners.program(&driver).await;
        // Clients read texts here, also of what is not installed.
        let binary = program.as_ref().ok().and_then(Option::clone).unwrap_or_default();
        installed.push(json!({
            "miner_type": driver.id(),
            "is_installed": program.is_ok(),
            "version": "",
            "path": binary.parent().unwrap_or(&binary),
            "miner_binary": binary,
            "problem": program.as_ref().err().map(ToString::to_string),
        }));
    }
    Json(json!({
        "timestamp": jiff::Timestamp::now(),
        "version": env!("CARGO_PKG_VERSION"),
        "os": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "available_cpu_cores": std::thread::available_parallelism().map_or(1, usize::from),
        "total_system_ram_gb": total_ram_gb(),
        "worker": api.0.options.worker,
        "demo": api.0.options.demo,
        "uptime_s": api.0.started.elapsed().as_secs(),
        "installed_miners_info": installed,
    }))
}

/// GiB of memory of this machine; absent where the system does not tell.
fn total_ram_gb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: f64 = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse().ok()
    })?;
    Some((kib / f64::from(1 << 20) * 100.0).round() / 100.0)
}
