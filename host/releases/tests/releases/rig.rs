//! A folder of programs, a release server, and what tests ask of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use adit_doubles::release::{
    archives::TarGz,
    server::{Fault, Server},
    signing::{PUBLISHER, Signer},
};
use adit_model::name::DriverId;
use adit_plugin_api::{Proof, ReleasePlan};
use adit_releases::{Error, Limits, Options, Outcome, Progress, Releases, Sources, Trial, Version};
use tokio::sync::watch;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: Server,
    pub(crate) releases: Releases,
    pub(crate) driver: DriverId,
    pub(crate) plan: ReleasePlan,
    pub(crate) progress: watch::Sender<Progress>,
}

pub(crate) fn archive_name(version: &str) -> String {
    format!("digger-{version}-linux.tar.gz")
}

impl Rig {
    /// Nothing is installed, and version 1.0.0 is published.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(PUBLISHER.public());
        let releases = open(folder.path(), &server, |_| {});
        let plan = ReleasePlan {
            repository: "digger/digger".to_owned(),
            asset: "digger-{version}-linux.tar.gz".to_owned(),
            program: "digger-{version}/digger".to_owned(),
            version_args: vec!["--version".to_owned()],
            remove: vec!["digger-{version}/config.json".to_owned()],
            proof: Proof {
                sums: Some("SHA256SUMS".to_owned()),
                signature: Some("SHA256SUMS.sig".to_owned()),
                key_url: Some(format!("{}/keys/digger.asc", server.base())),
                fingerprint: Some(PUBLISHER.fingerprint()),
                ..Proof::default()
            },
            ..ReleasePlan::default()
        };
        let driver = DriverId::new("digger").unwrap();
        let progress = watch::Sender::new(Progress::default());
        let rig = Self { folder, server, releases, driver, plan, progress };
        rig.publish("1.0.0");
        rig
    }

    /// Version 1.0.0 is installed, and 2.0.0 is published.
    pub(crate) async fn with_1() -> Self {
        let rig = Self::new().await;
        rig.install(None).await.unwrap();
        rig.publish("2.0.0");
        rig.server.requests();
        rig
    }

    /// The same without any proof from the publisher.
    pub(crate) async fn unsigned() -> Self {
        let mut rig = Self::new().await;
        rig.plan.proof = Proof::default();
        rig
    }

    pub(crate) fn publish(&self, version: &str) {
        self.publish_archive(version, TarGz::honest(version).bytes(), &PUBLISHER);
    }

    pub(crate) fn publish_archive(&self, version: &str, archive: Vec<u8>, signer: &Signer) {
        self.server.publish(version, &archive_name(version), archive, signer);
    }

    pub(crate) async fn install(&self, version: Option<&str>) -> Result<(Version, Outcome), Error> {
        let trial = trial();
        self.releases.install(&self.driver, &self.plan, version, &trial, &self.progress).await
    }

    /// The installation breaks off after a part of the download, where the server falls silent.
    pub(crate) async fn stalls(&self) -> Error {
        self.server.fault(Fault::Stalled);
        let short = |limits: &mut Limits| limits.stall = Duration::from_secs(1);
        let (releases, trial) = (open(self.folder.path(), &self.server, short), trial());
        let installed = releases.install(&self.driver, &self.plan, None, &trial, &self.progress);
        installed.await.unwrap_err()
    }

    /// The version that the installed program prints when it is run.
    pub(crate) async fn runs(&self) -> Option<String> {
        let program = self.releases.installed(&self.driver)?.program;
        Some(trial()(program, vec!["--version".to_owned()]).await.unwrap())
    }

    pub(crate) fn versions(&self) -> Vec<String> {
        let mut versions: Vec<_> =
            { self.releases.versions(&self.driver) }.into_iter().map(|it| it.version).collect();
        versions.sort();
        versions
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join("programs/digger").join(below)
    }

    /// Everything below the folder, except the version 1.0.0 and an empty staging folder.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let known = ["lock", "active.json", "trust.json", "versions", "versions/1.0.0", ".staging"];
        let mut left: Vec<String> = tree(&self.path(""))
            .into_keys()
            .filter(|path| !known.contains(&path.as_str()) && !path.starts_with("versions/1.0.0/"))
            .collect();
        let outside = std::fs::read_dir(self.folder.path()).unwrap();
        left.extend(
            outside
                .map(|it| it.unwrap().file_name().into_string().unwrap())
                .filter(|it| it != "programs"),
        );
        left
    }

    /// The installation of 2.0.0 fails with `says`, 1.0.0 runs on, and nothing is left behind.
    pub(crate) async fn refuses_2(&self, says: &str) {
        let before = tree(&self.path("versions"));
        let error = self.install(None).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains('\n') && error.len() < 600, "{error}");
        self.still_1(&before).await;
    }

    pub(crate) async fn still_1(&self, before: &BTreeMap<String, u64>) {
        assert_eq!(self.runs().await.as_deref(), Some("1.0.0"));
        assert_eq!(self.versions(), ["1.0.0"]);
        assert_eq!(&tree(&self.path("versions")), before);
        assert_eq!(self.left_behind(), Vec::<String>::new());
    }
}

pub(crate) fn open(folder: &Path, server: &Server, edit: impl FnOnce(&mut Limits)) -> Releases {
    let mut limits = Limits { retry_pause: Duration::from_millis(1), ..Limits::default() };
    edit(&mut limits);
    let sources = Sources {
        api: server.base(),
        downloads: server.base(),
        keys: server.base(),
        hosts: Vec::new(),
    };
    let root = folder.join("programs");
    Releases::new(Options { root, sources, limits }).unwrap()
}

/// Every path below `folder`, with its size.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        for entry in std::fs::read_dir(&path).into_iter().flatten() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let size = if metadata.is_dir() { 0 } else { metadata.len() };
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            found.insert(name, size);
            if metadata.is_dir() {
                pending.push(path);
            }
        }
    }
    found
}

/// Runs the program and reads the version as a driver would.
pub(crate) fn trial() -> Trial {
    Box::new(|program, args| {
        Box::pin(async move {
            // A child that another test is about to start may still hold it open for writing.
            let busy = std::io::ErrorKind::ExecutableFileBusy;
            let began = Instant::now();
            let output = loop {
                #[expect(clippy::disallowed_methods, reason = "a test is no host")]
                let output = tokio::process::Command::new(&program).args(&args).output().await;
                match output {
                    Err(error) if error.kind() == busy && began.elapsed() < PATIENCE => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    output => break output.map_err(|error| error.to_string())?,
                }
            };
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let version = text.split_whitespace().nth(1).map(str::to_owned);
            version.ok_or_else(|| "it printed no version".to_owned())
        })
    })
}
