//! Installing from a file.

use std::path::PathBuf;

use adit_doubles::release::{
    archives::{TarGz, sha256},
    signing::{PUBLISHER, STRANGER, Signer},
};
use adit_plugin_api::Proof;
use adit_releases::{Error, LocalFile, Outcome, Proven, Version};

use crate::rig::{PATIENCE, Rig, archive_name, trial};

fn put(rig: &Rig, name: &str, bytes: &[u8]) -> PathBuf {
    let folder = rig.folder.path().join("downloads");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
    folder.join(name)
}

async fn install(rig: &Rig, path: PathBuf, sum: Option<&str>) -> Result<(Version, Outcome), Error> {
    let file = LocalFile { path, sha256: sum.map(str::to_owned), version: None };
    let trial = trial();
    rig.releases.install_file(&rig.driver, &rig.plan, &file, &trial, &rig.progress).await
}

#[tokio::test]
async fn a_file_with_its_sum_is_installed_without_network() {
    let rig = Rig::with_1().await;
    let archive = TarGz::honest("2.0.0").bytes();
    let path = put(&rig, &archive_name("2.0.0"), &archive);
    let error = install(&rig, path.clone(), Some(&"ab".repeat(32))).await.unwrap_err();
    assert!(error.to_string().contains("the operator says abab"), "{error}");
    let error = install(&rig, path.clone(), Some("ab")).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    assert_eq!(rig.versions(), ["1.0.0"]);
    let (version, outcome) = install(&rig, path, Some(&sha256(&archive))).await.unwrap();
    assert_eq!((version.version.as_str(), outcome), ("2.0.0", Outcome::Installed));
    assert_eq!(version.proven, Proven::Given);
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
    assert_eq!(rig.server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_nothing_proves_is_refused() {
    let mut rig = Rig::with_1().await;
    let path = put(&rig, &archive_name("2.0.0"), &TarGz::honest("2.0.0").bytes());
    for proof in [rig.plan.proof.clone(), Proof::default()] {
        rig.plan.proof = proof;
        let error = install(&rig, path.clone(), None).await.unwrap_err();
        assert!(matches!(error, Error::Unproven(_)), "{error}");
        assert!(error.to_string().contains("--sha256"), "{error}");
    }
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn a_file_is_proven_by_the_signed_list_beside_it() {
    let rig = Rig::with_1().await;
    let archive = TarGz::honest("2.0.0").bytes();
    let sums = format!("{} *{}\n", sha256(&archive), archive_name("2.0.0"));
    let path = put(&rig, &archive_name("2.0.0"), &archive);
    let sign =
        |signer: &Signer| put(&rig, "SHA256SUMS.sig", signer.sign(sums.as_bytes()).as_bytes());
    put(&rig, "SHA256SUMS", sums.as_bytes());
    put(&rig, "digger.asc", PUBLISHER.public().as_bytes());
    sign(&STRANGER);
    let error = install(&rig, path.clone(), None).await.unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
    sign(&PUBLISHER);
    let (version, _) = install(&rig, path.clone(), None).await.unwrap();
    assert_eq!(version.proven, Proven::Signed { fingerprint: PUBLISHER.fingerprint() });
    assert_eq!(install(&rig, path, None).await.unwrap().1, Outcome::Unchanged);
}

#[tokio::test]
async fn another_file_of_an_installed_version_is_refused() {
    let rig = Rig::with_1().await;
    let archive = TarGz::honest("1.0.0").file("more", 0o644, b"x").bytes();
    let path = put(&rig, &archive_name("1.0.0"), &archive);
    let error = install(&rig, path, Some(&sha256(&archive))).await.unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn what_is_no_file_or_has_no_version_is_refused() {
    let rig = Rig::new().await;
    let path = put(&rig, "mine.tar.gz", &TarGz::honest("2.0.0").bytes());
    let error = install(&rig, path.clone(), Some(&"ab".repeat(32))).await.unwrap_err();
    assert!(matches!(error, Error::NoVersion(_)), "{error}");
    let sum = "ab".repeat(32);
    let missing = path.with_file_name(archive_name("2.0.0"));
    let error = install(&rig, missing.clone(), Some(&sum)).await.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    std::fs::create_dir(&missing).unwrap();
    let error = install(&rig, missing, Some(&sum)).await.unwrap_err();
    assert!(error.to_string().contains("it is a directory, not a regular file"), "{error}");
}

#[tokio::test]
async fn a_pipe_is_refused_before_anybody_waits_for_it() {
    let rig = Rig::new().await;
    let path = rig.folder.path().join(archive_name("2.0.0"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
    let sum = "ab".repeat(32);
    let installing = install(&rig, path, Some(&sum));
    let error = tokio::time::timeout(PATIENCE, installing).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("it is a named pipe, not a regular file"), "{error}");
    // Nothing holds the lock.
    rig.install(None).await.unwrap();
}
