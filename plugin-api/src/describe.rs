//! What a driver is and how its program gets onto the machine.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Phase, millis};

/// What a driver offers. Asked once after loading; must not depend on the machine's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Description {
    /// Name for people, such as `XMRig`.
    pub name: String,
    /// One line that says what it mines and on what.
    pub summary: String,
    /// Where the program comes from, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Algorithm ids as miners write them.
    pub algorithms: Vec<String>,
    /// Kinds of device it can use: `cpu`, `gpu`, `asic`, `fpga`.
    pub devices: Vec<String>,
    /// JSON Schema (draft 2020-12) of the driver's configuration. The host refuses a configuration
    /// that does not match before it asks for a plan. Mark secrets with `"writeOnly": true`.
    ///
    /// Say with the keyword `x-adit-pool` where the pools of a profile go: `"list"` at an array of
    /// pools, and at the fields of its items what each takes of a pool: `"url"` (`host:port`),
    /// `"uri"` (the same behind `stratum+tcp://` or `stratum+ssl://`), `"rawUri"` (the same behind
    /// the scheme that the operator saved: none, `ssl://`, or one that demands a protocol, such as
    /// `stratum+ssl://` or `epic+ssl://`), `"user"`, `"password"`, `"tls"` (`true`, or left out) and
    /// `"tlsFingerprint"` (64 hex digits). A program that knows one pool only has these at fields
    /// of the top. A pool with something that no field takes is refused when the profile is saved.
    ///
    /// The keyword `x-adit-error` next to a `pattern` is the sentence that an operator reads instead
    /// of the regular expression, such as `"write host:port"`.
    pub config_schema: Value,
    /// Values for the fields that a configuration leaves out. Must match the schema as far as it
    /// goes.
    pub defaults: Value,
    /// Commands that [`crate::Miner::command`] understands, such as `pause` and `resume`.
    pub commands: Vec<String>,
    /// How long each phase may last before the watchdog looks closer. A phase that is missing has
    /// the host's own limit.
    #[serde(with = "phase_limits")]
    pub phase_limits: BTreeMap<Phase, Duration>,
    /// Whether the driver needs a program. `false` for one that talks to hardware itself.
    pub needs_program: bool,
}

mod phase_limits {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Limit(#[serde(with = "millis")] Duration);

    pub(super) fn serialize<S: serde::Serializer>(
        limits: &BTreeMap<Phase, Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(limits.iter().map(|(phase, limit)| (phase, Limit(*limit))))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Phase, Duration>, D::Error> {
        let limits = BTreeMap::<Phase, Limit>::deserialize(from)?;
        Ok(limits.into_iter().map(|(phase, limit)| (phase, limit.0)).collect())
    }
}

/// The machine a program is wanted for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    /// `linux`, `macos` or `windows`.
    pub os: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// The version the operator asked for; absent: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Where a driver's program comes from, and what proves that it is the right one.
///
/// The host carries it out; see the host's documentation for the steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "one value at a time, made once an installation")]
pub enum InstallPlan {
    /// The program is shipped with Adit or put in place by the operator; there is nothing to
    /// download.
    Bundled {
        /// File name of the program, without folder.
        program: String,
    },
    /// The program is an asset of a release on a GitHub-like service.
    Release(ReleasePlan),
    /// A plan of a kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A program that is downloaded from a release page.
///
/// In every text `{version}` stands for the version without a leading `v`, `{tag}` for the
/// release's tag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReleasePlan {
    /// `owner/name` of the repository.
    pub repository: String,
    /// Name of the asset for the asked target, such as `xmrig-{version}-linux-static-x64.tar.gz`.
    pub asset: String,
    /// Path of the program inside the archive, such as `xmrig-{version}/xmrig`.
    pub program: String,
    /// Where else in the archive it may be when it is not there, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub program_elsewhere: Vec<String>,
    /// Arguments that make the program print its version.
    pub version_args: Vec<String>,
    /// Exit codes other than 0 with which the program may end after it printed its version. Any
    /// other, and a signal, means that it does not run here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub version_exit_codes: Vec<i32>,
    /// Paths inside the archive that are removed after unpacking, such as a default configuration.
    pub remove: Vec<String>,
    /// What proves the asset.
    pub proof: Proof,
}

/// What the host checks before it unpacks a download.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Proof {
    /// SHA-256 by asset name, in hex, for the versions that the driver knows.
    pub sha256: BTreeMap<String, String>,
    /// Name of the asset that lists the sums, such as `SHA256SUMS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sums: Option<String>,
    /// Name of the asset with the detached OpenPGP signature of the sums.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The signing key, ASCII-armoured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where the signing key is fetched from; it must have `fingerprint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_url: Option<String>,
    /// Fingerprint that the signing key must have: 40 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// A program as it lies on this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Installed {
    /// Its version, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The folder it was unpacked to. A plan may name programs inside it only.
    pub dir: PathBuf,
    /// The program itself.
    pub program: PathBuf,
}
