//! Figures from the reply to `miner_getstat1`, the API that Claymore's miner began and a family of
//! programs speaks.
//!
//! The result is a list of texts: name and version; minutes; `total;shares;rejected`; hashrates by
//! GPU; the same two for a second algorithm; `temperature;fan` pairs; pool; `invalid;switches;…`;
//! and, from some programs, watts by GPU.

use adit_plugin_api::{
    DeviceMetrics, Error, Launch, PerformanceMetrics, Phase, PoolMetrics, Probe, Reply, Result,
    Value,
};

use crate::output::{Device, Printed};

/// Id of the one probe.
pub(crate) const PROBE: &str = "getstat1";

/// More GPUs than this are nonsense.
const GPUS_MAX: usize = 64;

/// How far the total may be from the sum of its parts, which were rounded.
const ROUNDING: f64 = 0.005;

/// One request on a connection of its own; the newline ends it.
pub(crate) fn probe(launch: &Launch) -> Probe {
    Probe::tcp(
        PROBE,
        format!("127.0.0.1:{}", launch.api_port),
        "{\"id\":0,\"jsonrpc\":\"2.0\",\"method\":\"miner_getstat1\"}\n",
    )
}

/// Reads the figures, completed by what TT-Miner printed. What is missing or makes no sense stays
/// absent.
///
/// # Errors
/// [`adit_plugin_api::ErrorKind::Unavailable`] when no reply holds figures of this family.
pub(crate) fn read(replies: &[Reply], printed: &Printed) -> Result<PerformanceMetrics> {
    let reply = replies.iter().find(|reply| reply.id == PROBE);
    let reply = reply.ok_or_else(|| Error::unavailable("there is no reply"))?.json()?;
    let fields: Vec<&str> = match reply["result"].as_array() {
        Some(fields) => fields.iter().map(|field| field.as_str().unwrap_or_default()).collect(),
        None => Vec::new(),
    };
    let [name, minutes, total, by_gpu, dual, dual_by_gpu, sensors, pool, more @ ..] = &fields[..]
    else {
        return Err(Error::unavailable("getstat1: the reply is not from this kind of miner"));
    };
    // TT-Miner alone of its family counts in H/s; the others count in kH/s.
    let unit = if name.starts_with("TT-Miner") { 1.0 } else { 1000.0 };
    let rate = |text: &str| figure(text).map(|rate| rate * unit).filter(|rate| rate.is_finite());

    let (shares, rejected) = (part(total, 1).and_then(whole), part(total, 2).and_then(whole));
    // Whether rejected ones are among the shares is not known; more rejected than shares makes no
    // sense either way.
    let accepted = shares.zip(rejected).and_then(|(all, rejected)| all.checked_sub(rejected));
    let mut metrics = PerformanceMetrics {
        hashrate: part(total, 0).and_then(rate),
        shares: accepted,
        rejected,
        invalid: more.first().and_then(|counts| part(counts, 0)).and_then(whole),
        // Whole minutes are all it tells.
        uptime: whole(minutes).and_then(|minutes| minutes.checked_mul(60)),
        algorithm: printed.algorithm.clone(),
        pool: url(pool),
        devices: devices(by_gpu, sensors, more.get(1).copied(), &rate, printed),
        ..PerformanceMetrics::default()
    };
    balance(&mut metrics);
    metrics.phase = phase(&metrics);
    // It has been seen to report 0 until its first share: that is not known to be a standstill.
    if metrics.hashrate == Some(0.0) && accepted.unwrap_or(0) == 0 {
        metrics.hashrate = None;
        metrics.devices.iter_mut().for_each(|device| device.hashrate = None);
    }
    extra(&mut metrics, name, shares, more, dual, dual_by_gpu, &rate);
    Ok(metrics)
}

/// The parts are to add up to the whole. Where they are far from it, nobody knows which is wrong.
fn balance(metrics: &mut PerformanceMetrics) {
    if metrics.devices.is_empty() {
        return;
    }
    let parts: Option<f64> = metrics.devices.iter().map(|device| device.hashrate).sum();
    match (metrics.hashrate, parts) {
        (Some(total), Some(sum)) if (total - sum).abs() <= total * ROUNDING + 1.0 => {
            metrics.hashrate = Some(sum);
        }
        (None, Some(sum)) => metrics.hashrate = Some(sum),
        _ => metrics.devices.iter_mut().for_each(|device| device.hashrate = None),
    }
}

/// Only what figures prove. Everything before the first hash is told by the output.
fn phase(metrics: &PerformanceMetrics) -> Option<Phase> {
    let hashes = metrics.hashrate.is_some_and(|rate| rate > 0.0);
    match (hashes, metrics.shares) {
        (true, Some(1..)) => Some(Phase::Mining),
        (true, _) => Some(Phase::Waiting),
        _ => None,
    }
}

fn devices(
    by_gpu: &str,
    sensors: &str,
    watts: Option<&str>,
    rate: &dyn Fn(&str) -> Option<f64>,
    printed: &Printed,
) -> Vec<DeviceMetrics> {
    let rates: Vec<&str> = by_gpu.split(';').filter(|text| !text.is_empty()).collect();
    if rates.len() > GPUS_MAX {
        return Vec::new();
    }
    let list = |text: &str| text.split(';').map(figure).collect::<Vec<_>>();
    // An odd or short list would put one GPU's temperature beside another.
    let sensors = Some(list(sensors)).filter(|list| list.len() == 2 * rates.len());
    let watts = watts.map(list).filter(|list| list.len() == rates.len());
    // The order of figures is that of the devices in use; if their numbers differ, nothing is known
    // of which is which.
    let names = (printed.devices.len() == rates.len()).then_some(&printed.devices);
    let one = |(at, text): (usize, &&str)| {
        let named = names.and_then(|names| names.get(at));
        let seen = named.and_then(|named| printed.gpus.get(&named.index));
        let sensor = |which: usize| sensors.as_ref().and_then(|list| list[2 * at + which]);
        // Both are 0 where it cannot read them.
        let temperature = sensor(0).filter(|celsius| *celsius > 0.0);
        let percent = sensor(1).filter(|_| temperature.is_some());
        let reported = watts.as_ref().and_then(|list| list[at]).filter(|watts| *watts > 0.0);
        DeviceMetrics {
            hashrate: rate(text),
            temperature,
            fan: percent.map(|percent| percent / 100.0).filter(|fan| *fan <= 1.0),
            power: reported.or_else(|| seen.and_then(|seen| seen.power)),
            accepted: seen.map(|seen| seen.accepted()),
            rejected: seen.map(|seen| seen.rejected()),
            ..identity(at, named)
        }
    };
    rates.iter().enumerate().map(one).collect()
}

fn identity(at: usize, named: Option<&Device>) -> DeviceMetrics {
    let Some(device) = named else {
        return DeviceMetrics { id: format!("gpu:{at}"), ..DeviceMetrics::default() };
    };
    let id = match &device.pci {
        Some(pci) => format!("pci:{pci}"),
        None => format!("index:{}", device.index),
    };
    let (pci, name) = (device.pci.clone(), device.name.clone());
    DeviceMetrics { id, pci, name, index: Some(device.index), ..DeviceMetrics::default() }
}

/// The first of the pools. Whether it is connected, the output tells.
fn url(pools: &str) -> Option<PoolMetrics> {
    let first = pools.split(';').next()?.trim();
    let is_plain = |text: &str| text.len() <= 300 && text.bytes().all(|it| it.is_ascii_graphic());
    let address = first.split_once("://").map_or(first, |(_, address)| address);
    // What stands before an @ may be a wallet.
    let address = address.rsplit_once('@').map_or(address, |(_, address)| address);
    (!address.is_empty() && is_plain(address))
        .then(|| PoolMetrics { url: address.to_owned(), ..PoolMetrics::default() })
}

fn extra(
    metrics: &mut PerformanceMetrics,
    name: &str,
    shares: Option<u64>,
    more: &[&str],
    dual: &str,
    dual_by_gpu: &str,
    rate: &dyn Fn(&str) -> Option<f64>,
) {
    let version = name.split_once('/').map(|(_, version)| version);
    let is_word = |text: &&str| (1..=64).contains(&text.len()) && !text.contains(char::is_control);
    // Without a second algorithm each GPU is off.
    let has_dual = dual_by_gpu.split(';').any(|text| figure(text).is_some());
    let dual_figure = |at: usize| part(dual, at).filter(|_| has_dual);
    for (key, value) in [
        ("version", version.filter(is_word).map(Value::from)),
        ("sharesField", shares.map(Value::from)),
        (
            "poolSwitches",
            more.first().and_then(|counts| part(counts, 1)).and_then(whole).map(Value::from),
        ),
        ("dualHashrate", dual_figure(0).and_then(rate).map(Value::from)),
        ("dualSharesField", dual_figure(1).and_then(whole).map(Value::from)),
        ("dualRejected", dual_figure(2).and_then(whole).map(Value::from)),
    ] {
        metrics.extra_data.extend(value.map(|value| (key.to_owned(), value)));
    }
}

/// The part number `at` of a list with semicolons.
fn part(list: &str, at: usize) -> Option<&str> {
    list.split(';').nth(at)
}

fn figure(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|figure: &f64| figure.is_finite() && *figure >= 0.0)
}

fn whole(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}
