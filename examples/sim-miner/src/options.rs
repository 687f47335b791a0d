//! What the command line and the configuration file may say.

use std::path::{Path, PathBuf};

use clap::{Args, Parser};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A program that behaves like a miner: it prints, serves statistics over HTTP, takes commands on
/// stdin, and misbehaves on demand. It computes nothing and opens no connection.
#[derive(Debug, Parser)]
#[command(name = "sim-miner", version)]
pub(crate) struct CommandLine {
    /// Read options from this JSON file: long names without dashes, such as "api-port": 4048.
    /// "api-token", "wallet" and "password" can be given there only. An option on the command
    /// line wins over the file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) options: Options,

    /// Become the grandchild of --fork-grandchild, in its own session or not
    #[arg(long, hide = true, value_name = "SETSID")]
    pub(crate) grandchild: Option<bool>,
}

/// Every option, unset until somebody sets it. Times count from the end of the start delay.
#[derive(Debug, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Hashes per second of all devices together [default: 12500]
    #[arg(long, value_name = "H/S", help_heading = "Mining")]
    pub(crate) hashrate: Option<f64>,
    /// Algorithm to print and report [default: rx/0]
    #[arg(long, value_name = "ID", help_heading = "Mining")]
    pub(crate) algorithm: Option<String>,
    /// Pool to print and report, host:port; it is never contacted [default: pool.example:3333]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Mining")]
    pub(crate) pool: Option<String>,
    /// Name of this rig at the pool [default: rig]
    #[arg(long, value_name = "NAME", help_heading = "Mining")]
    pub(crate) worker: Option<String>,
    /// Wallet at the pool; configuration file only
    #[arg(skip)]
    pub(crate) wallet: Option<String>,
    /// Password at the pool, where "d=5000" asks for jobs of difficulty 5000; configuration file
    /// only
    #[arg(skip)]
    pub(crate) password: Option<String>,
    /// Number of devices, 1 to 64; their hashrates add up to the total [default: 2]
    #[arg(long, value_name = "N", help_heading = "Mining")]
    pub(crate) devices: Option<u32>,
    /// Mean time between two shares; single gaps vary at random [default: 10000]
    #[arg(long, value_name = "MS", help_heading = "Mining")]
    pub(crate) share_interval_ms: Option<u64>,
    /// Length of the phase in which it would build a dataset or a DAG [default: 1500]
    #[arg(long, value_name = "MS", help_heading = "Mining")]
    pub(crate) preparing_ms: Option<u64>,
    /// Share of the shares that the pool rejects, 0 to 1 [default: 0.01]
    #[arg(long, value_name = "SHARE", help_heading = "Mining")]
    pub(crate) reject_rate: Option<f64>,
    /// Seed of everything random; the same seed gives the same hashrates and shares
    #[arg(long, value_name = "N", help_heading = "Mining")]
    pub(crate) seed: Option<u64>,

    /// Serve GET /stats, POST /pause and POST /resume on 127.0.0.1 at this port; 0 takes any free
    /// one and prints it. Without this option there is no API
    #[arg(long, value_name = "PORT", help_heading = "API")]
    pub(crate) api_port: Option<u16>,
    /// Bearer token that the API asks for; configuration file only
    #[arg(skip)]
    pub(crate) api_token: Option<String>,
    /// Read the bearer token that the API asks for from this file; its surrounding white space is
    /// ignored. Without a token the API answers everybody
    #[arg(long, value_name = "FILE", help_heading = "API")]
    pub(crate) api_token_file: Option<PathBuf>,

    /// Print "line 000001", "line 000002", … beside the ordinary output, and the last number at
    /// the end
    #[arg(long, help_heading = "Output")]
    pub(crate) count_lines: bool,
    /// Time between two numbered lines; 0 prints as fast as they are read [default: 10]
    #[arg(long, value_name = "MS", help_heading = "Output")]
    pub(crate) interval_ms: Option<u64>,
    /// Print nothing at all
    #[arg(long, help_heading = "Output")]
    pub(crate) no_output: bool,
    /// Print this many numbered lines each second beside the ordinary output
    #[arg(long, value_name = "LINES_PER_SECOND", help_heading = "Output")]
    pub(crate) flood: Option<u64>,
    /// Print the banner, then one line that never ends, 100 KiB each second
    #[arg(long, help_heading = "Output")]
    pub(crate) endless_line: bool,

    /// Do nothing at all for this long, then start
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour")]
    pub(crate) start_delay: Option<u64>,
    /// Abort (SIGABRT)
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour")]
    pub(crate) crash_after: Option<u64>,
    /// Die of SIGSEGV
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour")]
    pub(crate) segfault_after: Option<u64>,
    /// Exit with --exit-code
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour")]
    pub(crate) exit_after: Option<u64>,
    /// Exit code of --exit-after [default: 0]
    #[arg(long, value_name = "N", help_heading = "Misbehaviour")]
    pub(crate) exit_code: Option<u8>,
    /// Freeze: no output, no API reply, no command is taken, but the process lives and signals
    /// still end it
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour")]
    pub(crate) hang_after: Option<u64>,
    /// Go on after SIGTERM, SIGINT and SIGHUP; "q" on stdin still ends it
    #[arg(long, help_heading = "Misbehaviour")]
    pub(crate) ignore_sigterm: bool,
    /// Start a child of its own that ignores SIGTERM, SIGINT and SIGHUP, holds the output open,
    /// outlives this process and ends by itself after an hour
    #[arg(long, help_heading = "Misbehaviour")]
    pub(crate) fork_grandchild: bool,
    /// The same, in a session and process group of its own
    #[arg(long, help_heading = "Misbehaviour")]
    pub(crate) grandchild_setsid: bool,

    /// Wait this long before each API reply
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour of the API")]
    pub(crate) slow_api: Option<u64>,
    /// Answer GET /stats with status 200 and half of a JSON text
    #[arg(long, help_heading = "Misbehaviour of the API")]
    pub(crate) bad_json: bool,
    /// Pad the reply to GET /stats to at least this many bytes of valid JSON
    #[arg(long, value_name = "BYTES", help_heading = "Misbehaviour of the API")]
    pub(crate) huge_api: Option<usize>,
    /// Never open the API, whatever --api-port says
    #[arg(long, help_heading = "Misbehaviour of the API")]
    pub(crate) no_api: bool,
    /// Close the API and go on mining
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour of the API")]
    pub(crate) api_dies_after: Option<u64>,

    /// Run, but hash nothing
    #[arg(long, help_heading = "Misbehaviour of the mining")]
    pub(crate) zero_hashrate: bool,
    /// Hash at first, then nothing any more
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour of the mining")]
    pub(crate) hashrate_zero_after: Option<u64>,
    /// Lose the pool
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour of the mining")]
    pub(crate) pool_loss_after: Option<u64>,
    /// Find the pool again, this long after the loss
    #[arg(long, value_name = "MS", help_heading = "Misbehaviour of the mining")]
    pub(crate) pool_back_after: Option<u64>,
}

/// Options that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Parse { path: PathBuf, source: serde_json::Error },
}

impl Options {
    /// These options on top of those in the JSON file at `path`.
    pub(crate) fn over_file(self, path: &Path) -> Result<Self, OptionsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| OptionsError::Read { path: path.to_owned(), source })?;
        self.over_text(&text)
            .map_err(|source| OptionsError::Parse { path: path.to_owned(), source })
    }

    fn over_text(self, text: &str) -> Result<Self, serde_json::Error> {
        // Read once as options, so that an error names its line and column.
        serde_json::from_str::<Self>(text)?;
        let mut merged: Map<String, Value> = serde_json::from_str(text)?;
        if let Value::Object(given) = serde_json::to_value(self)? {
            let is_set = |value: &Value| !value.is_null() && *value != Value::Bool(false);
            merged.extend(given.into_iter().filter(|(_, value)| is_set(value)));
        }
        serde_json::from_value(Value::Object(merged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(arguments: &[&str]) -> Options {
        let words = ["sim-miner"].iter().chain(arguments);
        CommandLine::try_parse_from(words).expect("the arguments are right").options
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = r#"{"hashrate": 10, "devices": 3, "bad-json": true, "wallet": "W"}"#;
        let options = given(&["--hashrate", "20", "--no-api"]).over_text(file).unwrap();
        assert_eq!(options.hashrate, Some(20.0));
        assert_eq!(options.devices, Some(3));
        assert!(options.bad_json && options.no_api);
        assert_eq!(options.wallet.as_deref(), Some("W"));
    }

    #[test]
    fn an_unknown_or_mistyped_option_in_the_file_is_refused_by_name() {
        for (text, names) in [
            (r#"{"hashrat": 10}"#, "hashrat"),
            (r#"{"hashrate": "fast"}"#, "fast"),
            (r#"{"grandchild": true}"#, "grandchild"),
            ("[]", "map"),
            ("{", "EOF"),
        ] {
            let error = given(&[]).over_text(text).unwrap_err().to_string();
            assert!(error.contains(names), "{text}: {error}");
        }
    }

    #[test]
    fn secrets_have_no_place_on_the_command_line() {
        for word in ["--wallet", "--password", "--api-token"] {
            let error = CommandLine::try_parse_from(["sim-miner", word, "x"]).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::UnknownArgument);
        }
    }

    #[test]
    fn the_driver_writes_exactly_the_options_that_there_are() {
        let written = include_str!("../../sim-driver/golden/every-option.json");
        given(&[]).over_text(written).unwrap();
        let written: Map<String, Value> = serde_json::from_str(written).unwrap();
        let Value::Object(mut all) = serde_json::to_value(Options::default()).unwrap() else {
            panic!("options are an object")
        };
        // The driver puts the token itself into the file.
        all.remove("api-token-file");
        let names = |options: &Map<String, Value>| options.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&written), names(&all));
    }
}
