//! What the operator can set: a TOML file, then the environment, then flags.

mod api;
mod compat;
mod drivers;
mod events;
mod history;
mod node;
mod remote_write;
mod watchdog;
mod webhooks;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

pub use api::ApiSettings;
pub use compat::CompatSettings;
pub use drivers::DriverSettings;
pub use events::EventSettings;
pub use history::HistorySettings;
pub use remote_write::RemoteWriteSettings;
use serde::Deserialize;
pub use watchdog::WatchdogSettings;
pub use webhooks::WebhookSettings;

use adit_core::files;
use adit_model::name::DriverId;
use adit_releases::Sources;

pub use node::NodeSettings;

/// The settings file. Every key is optional; unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Folder of the database, the drivers, the programs and the miners' state.
    pub state_dir: PathBuf,
    /// Name of this rig, for pools; the machine's host name when absent.
    pub worker: Option<String>,
    /// The REST API.
    pub api: ApiSettings,
    /// Where drivers are and how long they may think.
    pub drivers: DriverSettings,
    /// Programs that the operator put in place: path by miner type.
    pub programs: BTreeMap<DriverId, PathBuf>,
    /// Where programs are downloaded from.
    pub releases: ReleaseSettings,
    /// How miners are watched.
    pub miners: MinerSettings,
    /// Who hears of what happens.
    pub events: EventSettings,
    /// What becomes of miners that are sick.
    pub watchdog: WatchdogSettings,
    /// How long figures and events are kept.
    pub history: HistorySettings,
    /// The network of nodes.
    pub node: NodeSettings,
    /// Where all series are pushed to.
    pub remote_write: RemoteWriteSettings,
    /// Who is told of events.
    pub webhooks: Vec<WebhookSettings>,
    /// Ports for other people's tools.
    pub compat: CompatSettings,
}

/// Where programs are downloaded from: GitHub, a mirror of it, or a server at the site.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseSettings {
    /// The release API; `/repos/OWNER/NAME/releases/latest` is asked below it.
    pub api: String,
    /// The files; `/OWNER/NAME/releases/download/TAG/FILE` is asked below it.
    pub downloads: String,
    /// Stands for `https://raw.githubusercontent.com` in the addresses of signing keys.
    pub keys: String,
    /// Further hosts that redirects and addresses of keys may name.
    pub hosts: Vec<String>,
    /// Fingerprint of the key that signs at a mirror of the operator's own, by miner type, in place
    /// of the publisher's.
    pub signers: BTreeMap<DriverId, String>,
    /// Longest silence of a server, in milliseconds.
    pub stall_ms: u64,
    /// Pause before the first retry of a download, in milliseconds; it doubles with each fruitless
    /// one.
    pub retry_pause_ms: u64,
}

/// How miners are watched.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinerSettings {
    /// Time between two looks at a miner's figures, in milliseconds.
    pub stats_interval_ms: u64,
    /// Time between two looks at a miner's output, in milliseconds.
    pub output_interval_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state_dir: default_state_dir(),
            worker: None,
            api: ApiSettings::default(),
            drivers: DriverSettings::default(),
            programs: BTreeMap::new(),
            releases: ReleaseSettings::default(),
            miners: MinerSettings::default(),
            events: EventSettings::default(),
            watchdog: WatchdogSettings::default(),
            history: HistorySettings::default(),
            node: NodeSettings::default(),
            remote_write: RemoteWriteSettings::default(),
            webhooks: Vec::new(),
            compat: CompatSettings::default(),
        }
    }
}

impl Default for ReleaseSettings {
    fn default() -> Self {
        let Sources { api, downloads, keys, hosts } = Sources::default();
        let (signers, stall_ms, retry_pause_ms) = (BTreeMap::new(), 30_000, 1_000);
        Self { api, downloads, keys, hosts, signers, stall_ms, retry_pause_ms }
    }
}

impl Default for MinerSettings {
    fn default() -> Self {
        Self { stats_interval_ms: 10_000, output_interval_ms: 1_000 }
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the settings {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no TOML or has a key or value that does not exist.
    #[error("the settings {path} are not usable: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// A value makes no sense.
    #[error("{0}")]
    Value(String),
}

impl Settings {
    /// Reads `path`, or the standard file if there is one, or takes the defaults.
    ///
    /// # Errors
    /// When a named file is missing, or any file cannot be used.
    pub fn read(path: Option<&Path>) -> Result<Self, Error> {
        let standard = config_home().join("adit/adit.toml");
        let (path, named) = path.map_or((standard.as_path(), false), |path| (path, true));
        let text = match files::read_to_string(path) {
            Ok(text) => text,
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
        };
        toml::from_str(&text).map_err(|error: toml::de::Error| Error::Parse {
            path: path.to_owned(),
            message: error.to_string().trim().to_owned(),
        })
    }

    /// Refuses values that make no sense, with what to write instead.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::Value(message));
        self.api.check().map_err(Error::Value)?;
        self.watchdog.check().map_err(Error::Value)?;
        self.remote_write.check().map_err(Error::Value)?;
        self.node.check().map_err(Error::Value)?;
        webhooks::check(&self.webhooks).map_err(Error::Value)?;
        let beyond = self.api.plain_http_beyond_loopback;
        self.compat.check(beyond).map_err(Error::Value)?;
        if !self.state_dir.is_absolute() {
            return wrong(format!(
                "state_dir {}: write an absolute path",
                self.state_dir.display()
            ));
        }
        if self.state_dir.to_str().is_none() {
            return wrong("state_dir: use a path that is UTF-8".to_owned());
        }
        for (miner_type, signer) in &self.releases.signers {
            let digits = signer.chars().filter(|it| !it.is_whitespace());
            if digits.clone().count() != 40 || !digits.clone().all(|it| it.is_ascii_hexdigit()) {
                return wrong(format!(
                    "releases.signers.{miner_type}: write the 40 hex digits of the fingerprint of \
                     the key that signs at your mirror"
                ));
            }
        }
        for (name, value, least, most) in [
            ("miners.stats_interval_ms", self.miners.stats_interval_ms, 100, 3_600_000),
            ("miners.output_interval_ms", self.miners.output_interval_ms, 50, 60_000),
            ("releases.stall_ms", self.releases.stall_ms, 100, 600_000),
            ("releases.retry_pause_ms", self.releases.retry_pause_ms, 10, 60_000),
        ] {
            if !(least..=most).contains(&value) {
                return wrong(format!("{name} {value}: write {least} to {most}"));
            }
        }
        self.drivers.check().map_err(Error::Value)?;
        self.history.check().map_err(Error::Value)?;
        self.events.check().map_err(Error::Value)
    }

    /// [`MinerSettings::stats_interval_ms`] as a duration.
    pub fn stats_interval(&self) -> Duration {
        Duration::from_millis(self.miners.stats_interval_ms)
    }

    /// [`MinerSettings::output_interval_ms`] as a duration.
    pub fn output_interval(&self) -> Duration {
        Duration::from_millis(self.miners.output_interval_ms)
    }
}

/// Where the service of the system has its state; see `examples/deploy/adit.service`.
pub const SERVICE_STATE_DIR: &str = "/var/lib/adit";

/// `$XDG_DATA_HOME/adit`, or `~/.local/share/adit`.
pub fn default_state_dir() -> PathBuf {
    data_home().join("adit")
}

/// The folder of the demonstration, apart from everything real.
pub fn demo_state_dir() -> PathBuf {
    data_home().join("adit-demo")
}

fn data_home() -> PathBuf {
    xdg("XDG_DATA_HOME", ".local/share")
}

fn config_home() -> PathBuf {
    xdg("XDG_CONFIG_HOME", ".config")
}

/// The XDG base directory in `variable`, or its standard place below the home folder.
fn xdg(variable: &str, below_home: &str) -> PathBuf {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    set(variable)
        .or_else(|| set("HOME").map(|home| home.join(below_home)))
        // Without a home, as under some init systems.
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adit.toml");
        std::fs::write(&path, text).unwrap();
        let settings = Settings::read(Some(&path)).map_err(|error| error.to_string())?;
        settings.check().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn a_full_file_is_understood() {
        let settings = parse(
            "state_dir = '/var/lib/adit'
             worker = 'rig-1'
             [api]
             listen = '127.0.0.1:0'
             hosts = ['rig-1.lan']
             [drivers]
             dirs = ['/opt/drivers']
             [programs]
             xmrig = '/usr/bin/xmrig'
             [miners]
             stats_interval_ms = 500",
        )
        .unwrap();
        assert_eq!(settings.api.listen.port(), 0);
        assert_eq!(settings.stats_interval(), Duration::from_millis(500));
        assert_eq!(settings.programs.len(), 1);
    }

    #[test]
    fn bad_settings_say_what_is_wrong() {
        for (text, expected) in [
            ("colour = 'red'", "unknown field `colour`"),
            ("[api]\nlisten = 'here'", "invalid socket address"),
            ("[api]\nlisten = '0.0.0.0:9090'", "beyond loopback anybody"),
            ("[api]\nbase_path = 'api/'", "write it like /api/v1/mining"),
            ("state_dir = 'here'", "write an absolute path"),
            ("[miners]\nstats_interval_ms = 1", "write 100 to 3600000"),
            ("[programs]\n'../x' = '/bin/x'", "is not usable"),
            ("[watchdog]\nzero_s = 0", "watchdog.zero_s: write 1 to"),
            ("[history]\nretention_days = 9999", "or 0 to turn the history off"),
            ("[releases.signers]\nxmrig = '9AC4'", "write the 40 hex digits"),
            ("= 3", "are not usable"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error() {
        let error = Settings::read(Some(Path::new("/nowhere/adit.toml"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere/adit.toml"), "{error}");
    }
}
