//! The file as it is written.

mod either;

use std::{collections::BTreeMap, time::Duration};

use adit_plugin_api::{Description, Error, Phase, Result};
use serde::Deserialize;
use toml::Spanned;

use crate::{fault::Lines, fields::Fields};

/// A text whose place in the file is known.
pub(crate) type Text = Spanned<String>;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    driver: Driver,
    pub(crate) program: Option<Program>,
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Spanned<Field>>,
    #[serde(default)]
    pub(crate) start: Start,
    #[serde(default)]
    pub(crate) stop: Vec<Spanned<Stop>>,
    #[serde(default)]
    pub(crate) probe: Vec<Spanned<Probe>>,
    pub(crate) stats: Option<Stats>,
    #[serde(default)]
    pub(crate) output: Vec<Rule>,
    #[serde(default)]
    pub(crate) command: BTreeMap<String, Spanned<Step>>,
    /// Seconds by phase.
    #[serde(default)]
    limits: BTreeMap<String, Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Driver {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "version")]
    _version: String,
    name: String,
    summary: String,
    homepage: Option<String>,
    #[serde(default, rename = "license")]
    _license: String,
    #[serde(default, rename = "authors")]
    _authors: Vec<String>,
    #[serde(default)]
    algorithms: Vec<String>,
    #[serde(default)]
    devices: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// Name of its file, when it is put in place by the operator or came with the host.
    pub(crate) name: Option<String>,
    /// What finds the version in the program's output; its first group is the version.
    pub(crate) version: Option<Text>,
    pub(crate) release: Option<Release>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    pub(crate) repository: String,
    #[serde(default)]
    pub(crate) version_args: Vec<String>,
    #[serde(default)]
    pub(crate) version_exit_codes: Vec<i32>,
    #[serde(default)]
    pub(crate) remove: Vec<String>,
    #[serde(default)]
    pub(crate) sha256: BTreeMap<String, String>,
    pub(crate) sums: Option<String>,
    pub(crate) signature: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) key_url: Option<String>,
    pub(crate) fingerprint: Option<String>,
    /// By `os-arch`.
    pub(crate) assets: BTreeMap<String, Asset>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asset {
    pub(crate) asset: String,
    pub(crate) program: String,
    #[serde(default)]
    pub(crate) program_elsewhere: Vec<String>,
}

/// A field of the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) required: bool,
    pub(crate) default: Option<toml::Value>,
    pub(crate) example: Option<toml::Value>,
    #[serde(default)]
    pub(crate) choices: Vec<String>,
    pub(crate) pattern: Option<Text>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    /// What it takes of a profile's pool.
    pub(crate) pool: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Text,
    /// A text that is never shown.
    Secret,
    Integer,
    Number,
    Flag,
    /// A list of texts.
    List,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    #[serde(default)]
    pub(crate) args: Vec<Spanned<Arg>>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, Text>,
    #[serde(default)]
    pub(crate) files: Vec<File>,
    pub(crate) stdin: Option<Text>,
    pub(crate) console: Option<Console>,
    #[serde(default)]
    pub(crate) confined: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Console {
    Pty,
    Pipes,
}

/// One word, or several that are there only if a field is given.
pub(crate) enum Arg {
    Word(String),
    If(IfArgs),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IfArgs {
    #[serde(rename = "if")]
    pub(crate) field: String,
    pub(crate) args: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) content: Text,
}

/// One step of the way to end a run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stop {
    pub(crate) signal: Option<String>,
    pub(crate) stdin: Option<String>,
    /// Seconds.
    pub(crate) grace: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    pub(crate) id: String,
    pub(crate) http: Option<Text>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Text>,
    pub(crate) tcp: Option<Text>,
    pub(crate) send: Option<Text>,
    /// Seconds.
    pub(crate) timeout: Option<f64>,
}

/// A command: what is written to stdin, or an HTTP request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) stdin: Option<Text>,
    pub(crate) http: Option<Text>,
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Text>,
    pub(crate) body: Option<Text>,
}

/// Where a value is: a JSON pointer alone, or more.
#[derive(Default)]
pub(crate) struct Pick(pub(crate) PickTable);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PickTable {
    pub(crate) probe: Option<String>,
    pub(crate) pointer: Option<String>,
    pub(crate) regex: Option<String>,
    pub(crate) unit: Option<String>,
    /// Pointer to what the unit is, if the program says so itself.
    pub(crate) unit_at: Option<String>,
    /// What the program's words mean.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stats {
    /// The probe of all that names none.
    pub(crate) probe: Option<Text>,
    pub(crate) hashrate: Option<Spanned<Pick>>,
    pub(crate) shares: Option<Spanned<Pick>>,
    pub(crate) rejected: Option<Spanned<Pick>>,
    pub(crate) invalid: Option<Spanned<Pick>>,
    pub(crate) stale: Option<Spanned<Pick>>,
    pub(crate) uptime: Option<Spanned<Pick>>,
    pub(crate) last_share: Option<Spanned<Pick>>,
    pub(crate) algorithm: Option<Spanned<Pick>>,
    pub(crate) difficulty: Option<Spanned<Pick>>,
    pub(crate) average_difficulty: Option<Spanned<Pick>>,
    pub(crate) hashes_total: Option<Spanned<Pick>>,
    pub(crate) phase: Option<Spanned<Pick>>,
    #[serde(default)]
    pub(crate) windows: BTreeMap<String, Spanned<Pick>>,
    pub(crate) pool: Option<Pool>,
    pub(crate) devices: Option<Devices>,
    #[serde(default)]
    pub(crate) extra: BTreeMap<String, Spanned<Pick>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pool {
    pub(crate) url: Spanned<Pick>,
    pub(crate) connected: Option<Spanned<Pick>>,
    pub(crate) latency: Option<Spanned<Pick>>,
    pub(crate) difficulty: Option<Spanned<Pick>>,
}

/// Devices: a list of objects, or lists of values with one for each device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Devices {
    pub(crate) probe: Option<Text>,
    /// Pointer to the list of objects; the others then lead on from each.
    pub(crate) list: Option<Text>,
    pub(crate) index: Option<Spanned<Pick>>,
    pub(crate) name: Option<Spanned<Pick>>,
    pub(crate) pci: Option<Spanned<Pick>>,
    /// Number of the PCI bus.
    pub(crate) bus: Option<Spanned<Pick>>,
    pub(crate) uuid: Option<Spanned<Pick>>,
    pub(crate) hashrate: Option<Spanned<Pick>>,
    pub(crate) accepted: Option<Spanned<Pick>>,
    pub(crate) rejected: Option<Spanned<Pick>>,
    pub(crate) invalid: Option<Spanned<Pick>>,
    pub(crate) temperature: Option<Spanned<Pick>>,
    pub(crate) memory_temperature: Option<Spanned<Pick>>,
    pub(crate) fan: Option<Spanned<Pick>>,
    pub(crate) power: Option<Spanned<Pick>>,
}

/// What a printed line means. Groups of the expression are named by number or name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(rename = "match")]
    pub(crate) matches: Text,
    pub(crate) phase: Option<Text>,
    pub(crate) share: Option<Text>,
    pub(crate) hashrate: Option<Text>,
    /// Of the hashrate, unless a group `unit` says it.
    pub(crate) unit: Option<Text>,
    pub(crate) algorithm: Option<Text>,
    pub(crate) pool: Option<Text>,
    pub(crate) connected: Option<bool>,
    pub(crate) error: Option<Text>,
    pub(crate) warning: Option<Text>,
    /// JSON that `[stats]` reads as a reply to the probe `output`.
    pub(crate) figures: Option<Text>,
    #[serde(default)]
    pub(crate) progress: bool,
}

impl Manifest {
    pub(crate) fn read(lines: &Lines<'_>) -> Result<Self> {
        toml::from_str(lines.text()).map_err(|error| lines.unreadable(&error))
    }
}

/// What the host is told of the driver.
pub(crate) fn describe(
    manifest: &Manifest,
    fields: &Fields,
    lines: &Lines<'_>,
) -> Result<Description> {
    let Driver { name, summary, homepage, algorithms, devices, .. } = &manifest.driver;
    let limit = |(word, seconds): (&String, &Spanned<u64>)| {
        let known = phase(word).filter(|it| *it != Phase::Paused);
        let place = || lines.fault(seconds, &format!("limits.{word}"), &no_phase(word));
        let limit = Duration::from_secs(*seconds.get_ref());
        Ok::<_, Error>((known.ok_or_else(place)?, limit))
    };
    Ok(Description {
        name: name.clone(),
        summary: summary.clone(),
        homepage: homepage.clone(),
        algorithms: algorithms.clone(),
        devices: devices.clone(),
        config_schema: fields.schema(),
        defaults: fields.defaults(),
        commands: manifest.command.keys().cloned().collect(),
        phase_limits: manifest.limits.iter().map(limit).collect::<Result<_>>()?,
        needs_program: true,
    })
}

/// The phase that a driver may tell and that is written like this.
pub(crate) fn phase(word: &str) -> Option<Phase> {
    Some(match word {
        "starting" => Phase::Starting,
        "preparing" => Phase::Preparing,
        "connecting" => Phase::Connecting,
        "waiting" => Phase::Waiting,
        "mining" => Phase::Mining,
        "paused" => Phase::Paused,
        "degraded" => Phase::Degraded,
        _ => return None,
    })
}

pub(crate) fn no_phase(word: &str) -> String {
    format!(
        "{word:?} is no phase: write starting, preparing, connecting, waiting, mining, paused or \
         degraded"
    )
}
