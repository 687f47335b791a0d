//! XMRig's HTTP API: what its summary and its backends tell, for a miner of any driver.

use adit_plugin_api::{DeviceMetrics, Phase};
use serde_json::{Map, Value, json};

use crate::dialect::{Subject, bus, is_cpu, percent, whole};

/// Windows of a hashrate, in the order of the API.
const WINDOWS: [&str; 3] = ["10s", "60s", "15m"];

/// Which of the two forms of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/1/summary` and `/api.json`: with hashrates of threads and empty lists of errors.
    One,
    /// `/2/summary`.
    Two,
}

/// The summary. `restricted` is true: nothing can be changed here.
pub fn summary(subject: &Subject, form: Form) -> Value {
    let metrics = &subject.stats;
    let extra = |name: &str| metrics.extra_data.get(name).cloned().unwrap_or(Value::Null);
    let version = subject.version.as_deref().unwrap_or_default();
    let wanted = extra("hugePagesWanted").as_u64().unwrap_or(0);
    let pages = extra("hugePages").as_u64().unwrap_or(0);
    let mut all = json!({
        "id": "",
        "worker_id": match extra("worker") {
            Value::String(worker) => worker,
            _ => subject.worker.clone(),
        },
        "uptime": metrics.uptime.unwrap_or(0),
        "restricted": true,
        "resources": resources(subject),
        "features": known(&extra("features"), json!(["api", "http"])),
        "results": results(subject),
        "algo": metrics.algorithm,
        "connection": connection(subject),
        "version": version,
        "kind": "miner",
        "ua": known(&extra("userAgent"), json!(format!("{}/{version}", subject.miner_type))),
        "cpu": cpu(subject),
        "donate_level": extra("donateLevel").as_u64().unwrap_or(0),
        "paused": metrics.phase == Some(Phase::Paused),
        "algorithms": algorithms(subject),
        "hashrate": hashrate(subject),
        // The first form tells only whether all were had.
        "hugepages": match form {
            Form::One => json!(wanted > 0 && pages >= wanted),
            Form::Two => json!([pages, wanted]),
        },
    });
    if form == Form::One {
        let rates = subject.devices().into_iter().map(|it| json!([it.hashrate, null, null]));
        all["hashrate"]["threads"] = rates.collect();
        all["results"]["error_log"] = json!([]);
        all["connection"]["error_log"] = json!([]);
    }
    all
}

/// `value`, or `otherwise` when the miner does not report it.
fn known(value: &Value, otherwise: Value) -> Value {
    if value.is_null() { otherwise } else { value.clone() }
}

/// What it can mine; the current algorithm also when its driver names none.
fn algorithms(subject: &Subject) -> Vec<&String> {
    let current = subject.stats.algorithm.iter();
    let other = current.filter(|it| !subject.algorithms.contains(it));
    subject.algorithms.iter().chain(other).collect()
}

fn resources(subject: &Subject) -> Value {
    let machine = &subject.machine;
    let (free, total) = machine.memory.unzip();
    let own = subject.stats.extra_data.get("memoryBytes");
    json!({
        "memory": { "free": free, "total": total, "resident_set_memory": own },
        "load_average": machine.load,
        "hardware_concurrency": machine.threads,
    })
}

/// Mean time between two shares, in milliseconds.
fn share_time_ms(subject: &Subject) -> u64 {
    let metrics = &subject.stats;
    let told = metrics.extra_data.get("avgShareTimeMs").and_then(Value::as_u64);
    let mean = || metrics.uptime?.saturating_mul(1000).checked_div(metrics.shares?);
    told.or_else(mean).unwrap_or(0)
}

fn results(subject: &Subject) -> Value {
    let metrics = &subject.stats;
    let average_ms = share_time_ms(subject);
    let mut best = [0; 10];
    best[0] = metrics.extra_data.get("bestShare").and_then(Value::as_u64).unwrap_or(0);
    let shares = metrics.extra_data.get("bestShares").and_then(Value::as_array);
    for (place, share) in best.iter_mut().zip(shares.into_iter().flatten()) {
        *place = share.as_u64().unwrap_or(0);
    }
    let rejected = metrics.rejected.unwrap_or(0);
    json!({
        "diff_current": metrics.diff_current.unwrap_or(0),
        "shares_good": metrics.shares.unwrap_or(0),
        "shares_total": metrics.shares.unwrap_or(0).saturating_add(rejected),
        "avg_time": average_ms / 1000,
        "avg_time_ms": average_ms,
        "hashes_total": metrics.hashes_total.unwrap_or(0),
        "best": best,
    })
}

fn connection(subject: &Subject) -> Value {
    let metrics = &subject.stats;
    let pool = metrics.pool.clone().unwrap_or_default();
    let extra = |name: &str| metrics.extra_data.get(name).cloned().unwrap_or(Value::Null);
    // A lost connection has no age, by which clients know it.
    let uptime_ms = match pool.connected {
        Some(false) => 0,
        _ => pool.session_ms.unwrap_or_else(|| metrics.uptime.unwrap_or(0).saturating_mul(1000)),
    };
    let average_ms = share_time_ms(subject);
    json!({
        "pool": pool.url,
        "ip": extra("poolIp"),
        "uptime": uptime_ms / 1000,
        "uptime_ms": uptime_ms,
        "ping": whole(pool.latency_ms.unwrap_or(0.0)),
        "failures": extra("connectionsLost").as_u64().unwrap_or(0),
        "tls": extra("tls"),
        "tls-fingerprint": extra("tlsFingerprint"),
        "algo": metrics.algorithm,
        "diff": pool.difficulty.or(metrics.diff_current).unwrap_or(0),
        "accepted": metrics.shares.unwrap_or(0),
        "rejected": metrics.rejected.unwrap_or(0),
        "avg_time": average_ms / 1000,
        "avg_time_ms": average_ms,
        "hashes_total": metrics.hashes_total.unwrap_or(0),
    })
}

fn cpu(subject: &Subject) -> Value {
    let extra = |name: &str| subject.stats.extra_data.get(name).cloned().unwrap_or(Value::Null);
    let processor = &subject.machine.processor;
    let is_64_bit = cfg!(target_pointer_width = "64");
    json!({
        "brand": known(&extra("cpu"), json!(processor.brand)),
        "family": processor.family,
        "model": processor.model,
        "stepping": processor.stepping,
        "proc_info": processor.signature(),
        "aes": processor.has("aes"),
        "avx2": processor.has("avx2"),
        "x64": std::env::consts::ARCH == "x86_64",
        "64_bit": is_64_bit,
        "l2": processor.l2,
        "l3": processor.l3,
        "cores": processor.cores,
        "threads": subject.machine.threads,
        "packages": processor.packages,
        "nodes": processor.nodes,
        "backend": known(&extra("cpuBackend"), json!("basic/1")),
        "msr": known(&extra("msrPreset"), json!("none")),
        "assembly": known(&extra("assembly"), json!("none")),
        "arch": std::env::consts::ARCH,
        "flags": processor.flags,
    })
}

/// Any window may be unknown.
fn windows(subject: &Subject) -> [Option<f64>; 3] {
    let metrics = &subject.stats;
    let mut rates = WINDOWS.map(|window| metrics.hashrates.get(window).copied().flatten());
    rates[0] = rates[0].or(metrics.hashrate);
    rates
}

fn hashrate(subject: &Subject) -> Value {
    let highest = subject.stats.extra_data.get("hashrateMax");
    json!({ "total": windows(subject), "highest": highest })
}

/// The backends: one for processors, one for each kind of graphics card.
pub fn backends(subject: &Subject) -> Value {
    let devices = subject.devices();
    let of = |kind: &str| devices.iter().copied().filter(|it| self::kind(it) == kind).collect();
    let [mut cpu, opencl, cuda]: [Vec<&DeviceMetrics>; 3] = ["cpu", "opencl", "cuda"].map(of);
    // A miner that tells of no device has one all the same.
    let whole = DeviceMetrics { hashrate: subject.stats.hashrate, ..DeviceMetrics::default() };
    if devices.is_empty() && subject.running {
        cpu.push(&whole);
    }
    // A program built without a backend does not list it. Who does not say has all three.
    let built_in = subject.stats.extra_data.get("backends").and_then(Value::as_array);
    let all = [("cpu", cpu), ("opencl", opencl), ("cuda", cuda)].into_iter();
    let has = |kind: &str| built_in.is_none_or(|all| all.iter().any(|it| it == kind));
    let shown = all.filter(|(kind, devices)| !devices.is_empty() || has(kind));
    shown.map(|(kind, devices)| backend(subject, kind, &devices)).collect()
}

fn kind(device: &DeviceMetrics) -> &'static str {
    let name = device.name.as_deref().unwrap_or_default();
    let made_by_nvidia =
        ["NVIDIA", "GeForce", "Quadro", "Tesla"].iter().any(|it| name.contains(it));
    match is_cpu(device) {
        true => "cpu",
        false if made_by_nvidia || device.id.starts_with("uuid:GPU-") => "cuda",
        false => "opencl",
    }
}

fn backend(subject: &Subject, kind: &str, devices: &[&DeviceMetrics]) -> Value {
    let mut told = Map::new();
    let mut set = |name: &str, value: Value| told.insert(name.to_owned(), value);
    set("type", json!(kind));
    set("enabled", json!(!devices.is_empty()));
    set("algo", json!(subject.stats.algorithm.as_ref().filter(|_| !devices.is_empty())));
    let extra = |name: &str| subject.stats.extra_data.get(name).cloned().unwrap_or(Value::Null);
    set("profile", if kind == "cpu" { extra("threadProfile") } else { Value::Null });
    match kind {
        "cpu" => {
            let pages = |name: &str| extra(name).as_u64().unwrap_or(0);
            let can_aes = subject.machine.processor.has("aes");
            set("hw-aes", known(&extra("hardwareAes"), json!(can_aes)));
            set("priority", known(&extra("threadPriority"), json!(-1)));
            set("msr", known(&extra("msr"), json!(false)));
            set("asm", known(&extra("assembly"), json!(false)));
            set("argon2-impl", extra("argon2Implementation"));
            set("hugepages", json!([pages("hugePages"), pages("hugePagesWanted")]));
            set("memory", known(&extra("threadMemoryBytes"), json!(0)));
        }
        "opencl" => drop(set("platform", Value::Null)),
        _ => {}
    }
    if !devices.is_empty() {
        let all: Option<f64> = devices.iter().map(|it| it.hashrate).sum();
        set("hashrate", json!([all, null, null]));
        set("threads", devices.iter().enumerate().map(|(at, it)| thread(kind, at, it)).collect());
    }
    told.into()
}

fn thread(kind: &str, at: usize, device: &DeviceMetrics) -> Value {
    let hashrate = [device.hashrate, None, None];
    if kind == "cpu" {
        return json!({ "intensity": 1, "affinity": -1, "av": 1, "hashrate": hashrate });
    }
    let bus_id = bus(device).map(|bus| format!("{bus:02x}:00.0"));
    json!({
        "index": device.index.map_or(at, |it| it as usize),
        "name": device.name,
        "bus_id": bus_id,
        "hashrate": hashrate,
        "health": {
            "temperature": device.temperature.map(whole),
            "power": device.power.map(whole),
            "fan_speed": device.fan.map(percent).into_iter().collect::<Vec<_>>(),
        },
    })
}
