//! What can go wrong with an installation, as the operator should hear it.

use std::{io, path::PathBuf};

use jiff::Timestamp;

use adit_model::name::DriverId;

/// Why a program was not installed, removed or changed. What was there before is still there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text that cannot be a version.
    #[error("{0:?} is no version: write it like 6.26.0")]
    BadVersion(String),
    /// A base URL of the settings cannot be used.
    #[error("releases.{name} {url:?}: {reason}")]
    BadSetting {
        /// The key below `[releases]`.
        name: &'static str,
        /// Its value.
        url: String,
        /// What to write instead.
        reason: &'static str,
    },
    /// The driver's plan cannot be carried out.
    #[error("the driver's install plan cannot be carried out: {0}; update the driver")]
    BadPlan(String),
    /// Another installation of the same type is under way.
    #[error("{0} is being installed or removed already: wait for that to end")]
    Busy(DriverId),
    /// The service has no such release.
    #[error("{repository} has no release {version}: see https://github.com/{repository}/releases")]
    NoRelease {
        /// `owner/name`.
        repository: String,
        /// The version asked for, or `latest`.
        version: String,
    },
    /// The newest release of the service is older than a version that was installed before.
    #[error(
        "{repository} names {found} as its newest release, but {newest} was installed here before: \
         it was refused, because old versions have known faults; to install it all the same, name \
         it with --version {found}"
    )]
    Older {
        /// `owner/name`.
        repository: String,
        /// The release.
        found: String,
        /// The newest version that was ever installed.
        newest: String,
    },
    /// The release has no file for this machine.
    #[error("release {version} has no {asset}; it has {}", listed(.available))]
    NoAsset {
        /// The file that the driver's plan names.
        asset: String,
        /// The release's version.
        version: String,
        /// The files that there are.
        available: Vec<String>,
    },
    /// The service answers no more requests for a while.
    #[error("{host} takes no more requests for now: try again {}", after(.until))]
    RateLimited {
        /// The service.
        host: String,
        /// When it takes requests again.
        until: Option<Timestamp>,
    },
    /// The service refused.
    #[error("{url} answered with {status}: check the address, or try again later")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The service cannot be reached or talks nonsense.
    #[error("cannot get {url}: {reason}; check the network, or install from a file with --from")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// The service points to a place that is not allowed.
    #[error("{url} must not be fetched: {reason}")]
    Forbidden {
        /// The place.
        url: String,
        /// Why.
        reason: &'static str,
    },
    /// A download broke off, again and again.
    #[error(
        "the download of {asset} broke off after {got} of {total} bytes ({reason}): install again \
         to go on from there"
    )]
    Interrupted {
        /// The file.
        asset: String,
        /// Bytes that arrived.
        got: u64,
        /// Bytes that it has.
        total: u64,
        /// What happened last.
        reason: String,
    },
    /// Something is larger than any release should be.
    #[error("{what} is larger than {limit} bytes and was refused")]
    TooLarge {
        /// What.
        what: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A file is not the one that was promised.
    #[error(
        "{asset} has SHA-256 {found}, but {by} says {expected}: it was refused; do not use this \
         file, and report it to its publisher"
    )]
    Mismatch {
        /// The file.
        asset: String,
        /// Who told the sum.
        by: String,
        /// The sum it must have.
        expected: String,
        /// The sum it has.
        found: String,
    },
    /// A sum that was recorded for a version differs from that of a new download of it.
    #[error(
        "{asset} of version {version} has SHA-256 {found}, but {recorded} when it was first \
         installed: it was refused, because a published file must not change"
    )]
    Changed {
        /// The file.
        asset: String,
        /// The version.
        version: String,
        /// The sum at first use.
        recorded: String,
        /// The sum now.
        found: String,
    },
    /// The list of sums is not signed by the key that the driver names.
    #[error("{what} is not signed as it should be: {reason}; the release was refused")]
    Signature {
        /// The signed file.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// The list of sums does not have the file.
    #[error("{sums} does not list {asset}, so nothing proves it: the release was refused")]
    NotListed {
        /// The list.
        sums: String,
        /// The file.
        asset: String,
    },
    /// Nothing proves a local file.
    #[error("nothing proves that {} is the right file: give its SHA-256 with --sha256", .0.display())]
    Unproven(PathBuf),
    /// A local file does not tell its version.
    #[error("the name of {} does not tell its version: give it with --version", .0.display())]
    NoVersion(PathBuf),
    /// The archive is damaged or does what an archive must not.
    #[error("{asset} was refused: {reason}")]
    Archive {
        /// The archive.
        asset: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The program of a verified archive does not run here.
    #[error("the program of version {version} does not run on this machine: {reason}")]
    Trial {
        /// The version.
        version: String,
        /// Why.
        reason: String,
    },
    /// The program of a verified archive is of another version.
    #[error(
        "the program of release {version} reports version {reported} where {version} was expected: \
         it was refused"
    )]
    OtherVersion {
        /// The release.
        version: String,
        /// What the program reports.
        reported: String,
    },
    /// Nothing, or not this version, is installed.
    #[error("{driver}{} is not installed{}", of(.version), besides(.installed))]
    NotInstalled {
        /// The miner type.
        driver: DriverId,
        /// The version asked for.
        version: Option<String>,
        /// The versions that are.
        installed: Vec<String>,
    },
    /// There is no version to go back to.
    #[error("{0} has no earlier version to go back to: install one with --version")]
    NoPrevious(DriverId),
    /// A file or folder could not be used.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted, on which path.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Io { what: "do a step of the installation".to_owned(), source }
    }
}

impl Error {
    /// An [`Error::Io`] about `path`, for `map_err`.
    pub(crate) fn io(
        verb: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what: format!("{verb} {}", path.display()), source }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no files at all".to_owned() } else { names.join(", ") }
}

fn after(until: &Option<Timestamp>) -> String {
    match until {
        Some(until) => format!("after {until}"),
        None => "in an hour".to_owned(),
    }
}

fn of(version: &Option<String>) -> String {
    version.as_ref().map(|version| format!(" {version}")).unwrap_or_default()
}

fn besides(installed: &[String]) -> String {
    if installed.is_empty() {
        String::new()
    } else {
        format!("; there are: {}", installed.join(", "))
    }
}
