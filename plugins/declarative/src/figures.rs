//! Figures from replies.

use std::collections::BTreeMap;

use adit_plugin_api::{
    DeviceMetrics, Error, PerformanceMetrics, PoolMetrics, Reply, Result, Value,
};
use toml::Spanned;

use crate::{
    fault::{Lines, list},
    manifest::{self, Devices, Manifest, Stats, Text},
    pick::{Pick, Quantity, Read, whole},
};

/// The probe whose replies are printed.
const PRINTED: &str = "output";

/// Most devices of one miner.
const MOST_DEVICES: usize = 1_024;

/// How to read them.
#[derive(Default)]
pub(crate) struct Figures {
    /// The probe of all that name none.
    probe: Option<String>,
    numbers: BTreeMap<&'static str, Pick>,
    texts: BTreeMap<&'static str, Pick>,
    windows: BTreeMap<String, Pick>,
    extra: BTreeMap<String, Pick>,
    devices: Option<List>,
}

struct List {
    probe: Option<String>,
    objects: Option<String>,
    picks: BTreeMap<&'static str, Pick>,
}

/// Makes picks and says in which line one is wrong.
struct Maker<'a> {
    lines: &'a Lines<'a>,
    probes: Vec<&'a str>,
}

impl Maker<'_> {
    fn pick(
        &self,
        pick: &Spanned<manifest::Pick>,
        field: &str,
        quantity: Quantity,
    ) -> Result<Pick> {
        let fault = |problem: &str| self.lines.fault(pick, &format!("stats.{field}"), problem);
        let made = Pick::new(&pick.get_ref().0, quantity).map_err(|problem| fault(&problem))?;
        if let Some(probe) = made.probe.as_deref().filter(|it| !self.probes.contains(it)) {
            let known = list(self.probes.iter().copied());
            return Err(fault(&format!("there is no probe {probe:?}; there are: {known}")));
        }
        Ok(made)
    }

    fn probe(&self, probe: Option<&Text>) -> Result<Option<String>> {
        let Some(probe) = probe else { return Ok(self.probes.first().map(|it| (*it).to_owned())) };
        if self.probes.contains(&probe.get_ref().as_str()) {
            return Ok(Some(probe.get_ref().clone()));
        }
        let known = list(self.probes.iter().copied());
        let told = format!("there is no such probe; there are: {known}");
        Err(self.lines.fault(probe, "stats.probe", &told))
    }

    fn all<'n>(
        &self,
        picks: impl IntoIterator<Item = Named<'n>>,
    ) -> Result<BTreeMap<&'static str, Pick>> {
        let given = picks.into_iter().filter_map(|(name, pick, it)| Some((name, pick?, it)));
        given.map(|(name, pick, it)| Ok((name, self.pick(pick, name, it)?))).collect()
    }
}

impl Figures {
    pub(crate) fn new(manifest: &Manifest, lines: &Lines<'_>) -> Result<Self> {
        let asked = manifest.probe.iter().map(|it| it.get_ref().id.as_str());
        let printed = manifest.output.iter().any(|rule| rule.figures.is_some()).then_some(PRINTED);
        let probes = asked.chain(printed).collect();
        let maker = Maker { lines, probes };
        let Some(stats) = &manifest.stats else { return Ok(Self::default()) };
        if maker.probes.is_empty() {
            let told = "[stats] needs a [[probe]], or figures in [[output]]: write how to ask";
            return Err(Error::invalid(told));
        }
        if let Some(phase) = &stats.phase {
            for word in phase.get_ref().0.values.values() {
                if manifest::phase(word).is_none() {
                    return Err(lines.fault(phase, "stats.phase", &manifest::no_phase(word)));
                }
            }
        }
        let named = |picks: &BTreeMap<String, Spanned<manifest::Pick>>, what: &str, quantity| {
            let each = picks.iter().map(|(name, pick)| {
                Ok((name.clone(), maker.pick(pick, &format!("{what}.{name}"), quantity)?))
            });
            each.collect::<Result<BTreeMap<_, _>>>()
        };
        Ok(Self {
            probe: maker.probe(stats.probe.as_ref())?,
            numbers: maker.all(numbers(stats))?,
            texts: maker.all(texts(stats))?,
            windows: named(&stats.windows, "windows", Quantity::Hashrate)?,
            extra: named(&stats.extra, "extra", Quantity::Plain)?,
            devices: stats.devices.as_ref().map(|it| List::new(it, &maker)).transpose()?,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.devices.is_none()
    }

    /// What printed JSON says.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub(crate) fn read_printed(&self, json: String) -> Result<PerformanceMetrics> {
        self.read(&[Reply { id: PRINTED.to_owned(), body: json.into(), ..Reply::default() }])
    }

    /// What the replies say. A value that is missing or makes no sense stays absent.
    ///
    /// # Errors
    /// When there is none at all.
    pub(crate) fn read(&self, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let read: Vec<Read<'_>> = replies.iter().map(Read::new).collect();
        let reply = |probe: Option<&String>| {
            let wanted = probe.or(self.probe.as_ref())?;
            read.iter().find(|it| it.id == wanted)
        };
        let number = |name| {
            let pick: &Pick = self.numbers.get(name)?;
            pick.number(reply(pick.probe.as_ref())?)
        };
        let text = |name| {
            let pick: &Pick = self.texts.get(name)?;
            pick.text(reply(pick.probe.as_ref())?)
        };
        let count = |name| number(name).map(whole);
        let devices = match &self.devices {
            Some(list) => list.read(reply(list.probe.as_ref())),
            None => Vec::new(),
        };
        let sum = devices.iter().filter_map(|it| it.hashrate).reduce(|a, b| a + b);
        let has_total = self.numbers.contains_key("hashrate");
        let windows = self.windows.iter().filter_map(|(window, pick)| {
            let reply = reply(pick.probe.as_ref())?;
            reply.json.is_some().then(|| (window.clone(), pick.number(reply)))
        });
        let extra = self.extra.iter().filter_map(|(name, pick)| {
            Some((name.clone(), Value::from(pick.text(reply(pick.probe.as_ref())?)?)))
        });
        let connected = self.texts.get("connected");
        let connected = connected.and_then(|pick| pick.flag(reply(pick.probe.as_ref())?));
        let pool = text("url").map(|url| PoolMetrics {
            url,
            connected,
            latency_ms: number("latency"),
            difficulty: count("pool difficulty"),
            ..PoolMetrics::default()
        });
        let metrics = PerformanceMetrics {
            hashrate: number("hashrate").or(sum.filter(|_| !has_total)),
            shares: count("shares"),
            rejected: count("rejected"),
            invalid: count("invalid"),
            stale: count("stale"),
            uptime: count("uptime"),
            last_share: number("last_share").and_then(|it| i64::try_from(whole(it)).ok()),
            algorithm: text("algorithm"),
            diff_current: count("difficulty"),
            avg_difficulty: count("average_difficulty"),
            phase: text("phase").and_then(|word| manifest::phase(&word)),
            hashrates: windows.collect(),
            hashes_total: count("hashes_total"),
            pool,
            devices,
            extra_data: extra.collect(),
            ..PerformanceMetrics::default()
        };
        if metrics.hashrate.is_none() && metrics.shares.is_none() && metrics.phase.is_none() {
            return Err(Error::unavailable(nothing(replies)));
        }
        Ok(metrics)
    }
}

type Named<'a> = (&'static str, Option<&'a Spanned<manifest::Pick>>, Quantity);

fn numbers(stats: &Stats) -> Vec<Named<'_>> {
    use Quantity::{Hashrate, Milliseconds, Plain, Seconds};
    let pool = stats.pool.as_ref();
    vec![
        ("hashrate", stats.hashrate.as_ref(), Hashrate),
        ("shares", stats.shares.as_ref(), Plain),
        ("rejected", stats.rejected.as_ref(), Plain),
        ("invalid", stats.invalid.as_ref(), Plain),
        ("stale", stats.stale.as_ref(), Plain),
        ("uptime", stats.uptime.as_ref(), Seconds),
        ("last_share", stats.last_share.as_ref(), Seconds),
        ("difficulty", stats.difficulty.as_ref(), Plain),
        ("average_difficulty", stats.average_difficulty.as_ref(), Plain),
        ("hashes_total", stats.hashes_total.as_ref(), Plain),
        ("latency", pool.and_then(|it| it.latency.as_ref()), Milliseconds),
        ("pool difficulty", pool.and_then(|it| it.difficulty.as_ref()), Plain),
    ]
}

fn texts(stats: &Stats) -> Vec<Named<'_>> {
    let pool = stats.pool.as_ref();
    vec![
        ("algorithm", stats.algorithm.as_ref(), Quantity::Plain),
        ("phase", stats.phase.as_ref(), Quantity::Plain),
        ("url", pool.map(|it| &it.url), Quantity::Plain),
        ("connected", pool.and_then(|it| it.connected.as_ref()), Quantity::Plain),
    ]
}

impl List {
    fn new(devices: &Devices, maker: &Maker<'_>) -> Result<Self> {
        use Quantity::{Hashrate, Plain, Share, Watts};
        let all: [Named<'_>; 13] = [
            ("index", devices.index.as_ref(), Plain),
            ("name", devices.name.as_ref(), Plain),
            ("pci", devices.pci.as_ref(), Plain),
            ("bus", devices.bus.as_ref(), Plain),
            ("uuid", devices.uuid.as_ref(), Plain),
            ("hashrate", devices.hashrate.as_ref(), Hashrate),
            ("accepted", devices.accepted.as_ref(), Plain),
            ("rejected", devices.rejected.as_ref(), Plain),
            ("invalid", devices.invalid.as_ref(), Plain),
            ("temperature", devices.temperature.as_ref(), Plain),
            ("memory_temperature", devices.memory_temperature.as_ref(), Plain),
            ("fan", devices.fan.as_ref(), Share),
            ("power", devices.power.as_ref(), Watts),
        ];
        for (name, pick, _) in &all {
            let Some(pick) = pick else { continue };
            let table = &pick.get_ref().0;
            if table.regex.is_some() || table.probe.is_some() {
                let told = "a device's values are found by pointer, all in the reply to one probe";
                return Err(maker.lines.fault(pick, &format!("stats.devices.{name}"), told));
            }
        }
        let probe = match &devices.probe {
            Some(probe) => maker.probe(Some(probe))?,
            None => None,
        };
        let picks = maker.all(all)?;
        debug_assert!(picks.values().all(Pick::is_pointer));
        Ok(Self { probe, objects: devices.list.as_ref().map(|it| it.get_ref().clone()), picks })
    }

    fn read(&self, reply: Option<&Read<'_>>) -> Vec<DeviceMetrics> {
        let Some(json) = reply.and_then(|it| it.json.as_ref()) else { return Vec::new() };
        let Some(objects) = &self.objects else { return self.columns(json) };
        let list = json.pointer(objects).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let each = list.iter().take(MOST_DEVICES).enumerate();
        each.map(|(place, object)| self.device(place, json, &|pick| pick.value_in(object)))
            .collect()
    }

    /// Devices of which each value is a list of its own.
    fn columns(&self, json: &Value) -> Vec<DeviceMetrics> {
        let column = |pick: &Pick| pick.value_in(json).and_then(Value::as_array);
        let lengths = self.picks.values().filter_map(|pick| column(pick).map(Vec::len));
        let count = lengths.max().unwrap_or(0).min(MOST_DEVICES);
        let device = |place: usize| self.device(place, json, &|pick| column(pick)?.get(place));
        (0..count).map(device).collect()
    }

    fn device<'a>(
        &self,
        place: usize,
        json: &Value,
        value: &dyn Fn(&Pick) -> Option<&'a Value>,
    ) -> DeviceMetrics {
        let number = |name: &str| {
            let pick = self.picks.get(name)?;
            pick.number_of(value(pick)?, json)
        };
        let text = |name: &str| {
            let pick = self.picks.get(name)?;
            pick.text_of(value(pick)?)
        };
        let count = |name: &str| number(name).map(whole);
        let index = if self.picks.contains_key("index") {
            count("index").and_then(|it| u32::try_from(it).ok())
        } else {
            u32::try_from(place).ok()
        };
        let bus = count("bus").and_then(|it| u8::try_from(it).ok());
        let pci = text("pci").or_else(|| bus.map(|bus| format!("0000:{bus:02x}:00.0")));
        let uuid = text("uuid");
        let id = match (&pci, &uuid) {
            (Some(pci), _) => format!("pci:{pci}"),
            (None, Some(uuid)) => format!("uuid:{uuid}"),
            (None, None) => format!("index:{}", index.map_or(place, |it| it as usize)),
        };
        DeviceMetrics {
            id,
            pci,
            uuid,
            index,
            name: text("name"),
            hashrate: number("hashrate"),
            accepted: count("accepted"),
            rejected: count("rejected"),
            invalid: count("invalid"),
            temperature: number("temperature"),
            memory_temperature: number("memory_temperature"),
            fan: number("fan").filter(|it| *it <= 1.0),
            power: number("power"),
            ..DeviceMetrics::default()
        }
    }
}

/// Why there are no stats: what kept the replies away, if anything did.
fn nothing(replies: &[Reply]) -> String {
    let errors = replies.iter().filter_map(|it| Some(format!("{}: {}", it.id, it.error.as_ref()?)));
    let errors: Vec<String> = errors.collect();
    if errors.is_empty() { "the replies hold no stats".to_owned() } else { errors.join("; ") }
}
