//! `/health`, `/ready`, `/info`, `/doctor`, `/update`: how the host is. None of them changes
//! anything.

use std::{collections::BTreeMap, path::Path};

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    api::{Api, error::ApiError},
    miners::Update,
};
use adit_drivers::handle::Driver;
use adit_model::doctor::{Finding, Verdict, worst};

pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "healthy" }))
}

/// Ready when all that this host answers is true: when it has looked at every miner that an earlier
/// one left.
pub(crate) async fn ready(State(api): State<Api>) -> Result<Json<Value>, ApiError> {
    let components = components(&api);
    let shown: BTreeMap<_, _> = components
        .iter()
        .map(|(name, problem)| (*name, problem.as_deref().unwrap_or("ready")))
        .collect();
    let problems: Vec<&str> = components.iter().filter_map(|(_, it)| it.as_deref()).collect();
    if problems.is_empty() {
        return Ok(Json(json!({ "status": "ready", "components": shown })));
    }
    let told = format!("the host is not ready: {}", problems.join("; "));
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_READY", told)
        .details(json!({ "status": "starting", "components": shown }))
        .retry_after(1))
}

/// Each part of the host, and what keeps it from being ready.
fn components(api: &Api) -> [(&'static str, Option<String>); 3] {
    let manager = match api.0.miners.adopting() {
        0 => None,
        1 => Some("it has not looked at 1 miner yet".to_owned()),
        count => Some(format!("it has not looked at {count} miners yet")),
    };
    // What is damaged is for those with a token: see the doctor.
    let damaged = "the database is damaged; run adit doctor".to_owned();
    let store = api.0.miners.database_damage().map(|_| damaged);
    // Reasons are for those with a token as well.
    let drivers = match api.0.drivers.retried() {
        0 => None,
        count => Some(format!(
            "{count} of its drivers could not be loaded and are tried again; run adit doctor"
        )),
    };
    [("manager", manager), ("drivers", drivers), ("store", store)]
}

/// What existing clients know as the system's information: their names, not ours.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct SystemInfo {
    /// Now.
    timestamp: jiff::Timestamp,
    /// Version of adit.
    version: &'static str,
    os: &'static str,
    architecture: &'static str,
    available_cpu_cores: usize,
    /// GiB; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_system_ram_gb: Option<f64>,
    /// Name of this rig.
    worker: String,
    /// Whether the host runs as a demonstration.
    demo: bool,
    /// Seconds since the host began.
    uptime_s: u64,
    installed_miners_info: Vec<InstalledMiner>,
}

/// The program of one miner type. Clients read texts here, also of what is not installed.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct InstalledMiner {
    miner_type: String,
    is_installed: bool,
    /// Empty when nobody knows it.
    version: String,
    /// The folder of the program.
    path: String,
    miner_binary: String,
    /// The configuration file of the first running miner of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    config_path: Option<String>,
    /// Why it is not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub(crate) async fn info(State(api): State<Api>) -> Json<SystemInfo> {
    Json(system_info(&api).await)
}

async fn system_info(api: &Api) -> SystemInfo {
    let mut installed = Vec::new();
    for driver in api.0.drivers.loaded() {
        installed.push(installed_miner(api, &driver).await);
    }
    SystemInfo {
        timestamp: jiff::Timestamp::now(),
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        architecture: std::env::consts::ARCH,
        available_cpu_cores: std::thread::available_parallelism().map_or(1, usize::from),
        total_system_ram_gb: total_ram_gb(),
        worker: api.0.options.worker.clone(),
        demo: api.0.options.demo,
        uptime_s: api.0.started.elapsed().as_secs(),
        installed_miners_info: installed,
    }
}

async fn installed_miner(api: &Api, driver: &Driver) -> InstalledMiner {
    let (program, problem) = match api.0.miners.program(driver).await {
        Ok(program) => (program, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let (binary, version) = program.map(|it| (it.program, it.version)).unwrap_or_default();
    // A program that the operator put in place is known by what its run told.
    let running = api.0.miners.list().into_iter().find(|it| {
        it.miner_type == *driver.id() && it.run.as_ref().is_some_and(|run| run.pid.is_some())
    });
    let told = running.as_ref().and_then(|it| it.run.as_ref()?.version.clone());
    let config_path = match &running {
        Some(miner) => config_path(api, miner.name.as_str()).await,
        None => None,
    };
    InstalledMiner {
        miner_type: driver.id().to_string(),
        is_installed: problem.is_none(),
        version: version.or(told).unwrap_or_default(),
        path: binary.parent().unwrap_or(&binary).display().to_string(),
        miner_binary: binary.display().to_string(),
        config_path,
        problem,
    }
}

/// The first file that was written for a miner's run.
async fn config_path(api: &Api, miner: &str) -> Option<String> {
    let plan = api.0.miners.plan(miner).await.ok()?;
    let file = plan.files.keys().next()?;
    Some(Path::new(&plan.cwd).join(file).display().to_string())
}

/// GiB of memory of this machine; absent where the system does not tell.
fn total_ram_gb() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: f64 = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse().ok()
    })?;
    Some((kib / f64::from(1 << 20) * 100.0).round() / 100.0)
}

/// What the doctor says, with what existing clients read there.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Diagnosis {
    /// The worst of the verdicts.
    verdict: Verdict,
    findings: Vec<Finding>,
    #[serde(flatten)]
    system: SystemInfo,
}

/// Looks at the rig and tells what is wrong, with what to do about each.
pub(crate) async fn doctor(State(api): State<Api>) -> Json<Diagnosis> {
    let mut findings = api.0.miners.doctor().await;
    findings.push(exposure(&api));
    let verdict = worst(&findings);
    Json(Diagnosis { verdict, findings, system: system_info(&api).await })
}

/// Whoever gets here has a token; whether others can read it on its way is another matter.
fn exposure(api: &Api) -> Finding {
    let (id, address) = ("api", api.0.options.address);
    if address.ip().is_loopback() {
        return Finding::ok(
            id,
            format!("the API listens on {address}, which is this machine only"),
        );
    }
    if api.0.options.encrypted {
        return Finding::ok(id, format!("the API listens on {address} over TLS, with tokens"));
    }
    Finding::bad(
        id,
        Verdict::Warning,
        format!(
            "the API listens on {address} without encryption: who can listen on the network can \
             read tokens and wallets"
        ),
        "name a certificate with api.tls_certificate and api.tls_key, or listen on 127.0.0.1 and \
         reach it over SSH or a VPN",
    )
}

/// Which installed programs have newer releases.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Updates {
    /// A sentence for people.
    status: String,
    /// The newest release by miner type, of those that are not up to date.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    updates_available: BTreeMap<String, String>,
    /// Every installed program that was looked at.
    checked: Vec<Update>,
}

/// Asks the release pages; installs nothing.
pub(crate) async fn update(State(api): State<Api>) -> Json<Updates> {
    let checked = api.0.miners.updates().await;
    let newer = checked.iter().filter(|it| it.available);
    let updates_available: BTreeMap<String, String> =
        newer.filter_map(|it| Some((it.miner_type.to_string(), it.newest.clone()?))).collect();
    let silent = checked.iter().filter(|it| it.problem.is_some()).count();
    let status = match (updates_available.len(), silent) {
        (0, 0) => "All miners are up to date.".to_owned(),
        (0, _) => "No newer release was found, but not every release page answered.".to_owned(),
        (count, _) => format!("Newer releases: {count}."),
    };
    Json(Updates { status, updates_available, checked })
}
