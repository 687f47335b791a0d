//! What the host offers for a run, and the plan a driver answers with.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{CommandStep, Error, Installed, Result, error, millis};

/// A miner's configuration: a JSON object that matches the driver's schema, defaults filled in.
///
/// `Debug` shows the names of the fields only, because values may be secrets.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Config(pub Map<String, Value>);

impl Config {
    /// Reads the whole configuration into a type of the driver's own.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] with the name of the field that does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_path_to_error::deserialize(Value::Object(self.0.clone()))
            .map_err(|error| Error::invalid(error::at(&error)))
    }

    /// The text in `field`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when it is missing or no text.
    pub fn text(&self, field: &str) -> Result<&str> {
        self.0.get(field).and_then(Value::as_str).ok_or_else(|| missing(field, "a text"))
    }

    /// The whole number in `field`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] when it is missing, negative or no whole number.
    pub fn number(&self, field: &str) -> Result<u64> {
        self.0.get(field).and_then(Value::as_u64).ok_or_else(|| missing(field, "a whole number"))
    }

    /// Whether `field` is `true`; `false` when it is missing.
    pub fn flag(&self, field: &str) -> bool {
        self.0.get(field).and_then(Value::as_bool).unwrap_or_default()
    }
}

fn missing(field: &str, kind: &str) -> Error {
    Error::invalid(format!("{field}: write {kind} here"))
}

impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

/// What the host prepared for one run. Everything in it stays the same for the whole run, also
/// across restarts of the host.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Launch {
    /// Name of the miner, unique on this machine.
    pub miner: String,
    /// Id of the run.
    pub run: String,
    /// The run's own folder, empty at start: working directory and `HOME` of the program. Files of
    /// the plan are written below it.
    pub run_dir: PathBuf,
    /// The miner's folder that lasts over runs, for caches.
    pub data_dir: PathBuf,
    /// The program to run; absent for a driver that needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<Installed>,
    /// A TCP port on loopback that was free a moment ago, for the program's own API.
    pub api_port: u16,
    /// A fresh random token for the program's own API. A secret.
    pub api_token: String,
    /// Name of this rig, for the pool.
    pub worker: String,
    /// What the host found out about the machine. A fact that is missing is not known:
    /// `nvidiaDriver`: version of NVIDIA's kernel driver that is loaded, such as `550.54.14`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Value>,
    /// The addresses of a [`DevicePlan`], once it was made: where probes and commands may go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

impl fmt::Debug for Launch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Launch")
            .field("miner", &self.miner)
            .field("run", &self.run)
            .field("run_dir", &self.run_dir)
            .field("program", &self.program)
            .field("api_port", &self.api_port)
            .finish_non_exhaustive()
    }
}

/// How a run is to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
#[non_exhaustive]
pub enum StartPlan {
    /// The host runs this program.
    Process(ProcessPlan),
    /// There is no program: the host asks this device.
    Device(DevicePlan),
    /// A plan of a kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A program run by the host. Nothing in it goes through a shell.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessPlan {
    /// The program, inside [`Launch::program`]'s folder.
    pub program: PathBuf,
    /// Its arguments, one word each.
    pub args: Vec<String>,
    /// Environment on top of the host's own short list (`PATH`, `HOME`, `LANG`, `TERM`).
    pub env: BTreeMap<String, String>,
    /// Files to write before the start, below [`Launch::run_dir`], mode 0600.
    pub files: Vec<PlanFile>,
    /// Whether the program may write nowhere but below [`Launch::run_dir`] and
    /// [`Launch::data_dir`], where the kernel can enforce it. It finds `ADIT_CONFINED=1` in its
    /// environment if so, and `0` if not. A host from before this field ignores it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub confined: bool,
    /// What the program is connected to.
    pub console: Console,
    /// What to write to its stdin right after the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Texts to mask wherever the plan is shown: wallets, passwords, tokens.
    pub secrets: Vec<String>,
}

impl fmt::Debug for ProcessPlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ProcessPlan").field("program", &self.program).finish_non_exhaustive()
    }
}

/// A file that the program reads.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanFile {
    /// Path relative to [`Launch::run_dir`], without `..`.
    pub path: PathBuf,
    /// The whole content.
    pub content: String,
}

impl fmt::Debug for PlanFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PlanFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What a program's stdin, stdout and stderr are connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Console {
    /// A raw pseudo-terminal of 250 columns: the program believes that somebody watches and prints
    /// line by line.
    #[default]
    Pty,
    /// Pipes; stdout and stderr share one.
    Pipes,
}

/// A miner that is a device of its own and needs no program here.
///
/// A run of it is the time in which the host asks it for figures. It goes on hashing without the
/// host, and when the run ends, unless a step tells it otherwise.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DevicePlan {
    /// `host:port` of the device. Probes and commands may go to these addresses only, and the
    /// configuration must name each host.
    pub addresses: Vec<String>,
    /// What the device is told at the start; nothing when it only is to be watched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start: Vec<CommandStep>,
    /// What the device is told at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<CommandStep>,
    /// Texts to mask wherever the plan is shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl fmt::Debug for DevicePlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DevicePlan").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// How to end a run: steps in order, then SIGKILL to whatever is left of the process group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopPlan {
    /// The steps. After each one the host waits for its grace time or the end of the run.
    #[serde(default)]
    pub steps: Vec<StopStep>,
}

impl Default for StopPlan {
    /// SIGTERM and 30 seconds.
    fn default() -> Self {
        let action = StopAction::Signal { signal: "TERM".to_owned() };
        Self { steps: vec![StopStep { action, grace: Duration::from_secs(30) }] }
    }
}

/// One step of a [`StopPlan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopStep {
    /// What to do.
    #[serde(flatten)]
    pub action: StopAction,
    /// How long to wait for the end of the run before the next step.
    #[serde(rename = "graceMs", with = "millis")]
    pub grace: Duration,
}

/// What a [`StopStep`] does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
#[non_exhaustive]
pub enum StopAction {
    /// Sends a signal to the process group: `TERM`, `INT`, `HUP`, `QUIT`, `USR1`, `USR2` or `KILL`.
    Signal {
        /// The signal's name without `SIG`.
        signal: String,
    },
    /// Writes to the program's stdin.
    Stdin {
        /// What to write, as it is: no newline is added.
        input: String,
    },
    /// A step of a kind that this version does not know; it is passed over.
    #[serde(other)]
    Unknown,
}
