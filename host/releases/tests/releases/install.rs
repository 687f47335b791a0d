//! What a good release does.

use adit_doubles::release::{
    archives::{self, TarGz, sha256},
    server::Fault,
    signing::PUBLISHER,
};
use adit_plugin_api::Proof;
use adit_releases::{Error, Outcome, Proven, Step};

use crate::rig::{Rig, archive_name, open};

#[tokio::test]
async fn the_newest_release_is_installed_and_runs() {
    let rig = Rig::new().await;
    assert!(rig.releases.installed(&rig.driver).is_none());
    let (version, outcome) = rig.install(None).await.unwrap();
    assert_eq!(outcome, Outcome::Installed);
    assert_eq!(version.version, "1.0.0");
    assert_eq!(version.reported.as_deref(), Some("1.0.0"));
    assert!(version.active && !version.previous);
    let fingerprint = PUBLISHER.fingerprint();
    assert_eq!(version.proven, Proven::Signed { fingerprint });
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
    let installed = rig.releases.installed(&rig.driver).unwrap();
    assert_eq!(installed.program, version.path);
    assert!(installed.program.starts_with(&installed.dir));
    let progress = rig.progress.borrow().clone();
    assert_eq!(progress.step, Step::Activating);
    assert_eq!(Some(progress.bytes), progress.total);
    assert!(progress.bytes > 100_000, "{progress:?}");
    assert_eq!(rig.left_behind(), Vec::<String>::new());
}

#[tokio::test]
async fn a_programs_own_configuration_is_removed_and_modes_are_ours() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::new().await;
    let (version, _) = rig.install(None).await.unwrap();
    assert_eq!(version.removed, [std::path::PathBuf::from("digger-1.0.0/config.json")]);
    let dir = rig.releases.installed(&rig.driver).unwrap().dir.join("digger-1.0.0");
    assert!(!dir.join("config.json").exists());
    let mode = |name: &str| std::fs::metadata(dir.join(name)).unwrap().permissions().mode();
    assert_eq!(mode("digger") & 0o7777, 0o755);
    assert_eq!(mode("docs/README") & 0o7777, 0o644);
}

#[tokio::test]
async fn an_installed_version_is_not_downloaded_again() {
    let rig = Rig::with_1().await;
    let (version, outcome) = rig.install(Some("v1.0.0")).await.unwrap();
    assert_eq!((version.version.as_str(), outcome), ("1.0.0", Outcome::Unchanged));
    assert_eq!(rig.server.requests(), Vec::<String>::new());
    rig.install(None).await.unwrap();
    rig.server.requests();
    let (_, outcome) = rig.install(None).await.unwrap();
    assert_eq!(outcome, Outcome::Unchanged);
    assert_eq!(rig.server.requests(), ["/repos/digger/digger/releases/latest"]);
}

#[tokio::test]
async fn a_version_whose_program_is_gone_is_installed_again() {
    let rig = Rig::with_1().await;
    std::fs::remove_file(rig.releases.installed(&rig.driver).unwrap().program).unwrap();
    assert!(rig.releases.installed(&rig.driver).is_none());
    let (_, outcome) = rig.install(Some("1.0.0")).await.unwrap();
    assert_eq!(outcome, Outcome::Installed);
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
    assert_eq!(rig.left_behind(), Vec::<String>::new());
}

#[tokio::test]
async fn a_zip_is_unpacked_too() {
    let mut rig = Rig::new().await;
    let name = "digger-2.0.0-windows.zip";
    rig.server.publish("2.0.0", name, archives::zip("2.0.0"), &PUBLISHER);
    rig.plan.asset = "digger-{version}-windows.zip".to_owned();
    rig.install(None).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn a_signing_subkey_signs_as_well() {
    let rig = Rig::new().await;
    let archive = TarGz::honest("2.0.0").bytes();
    rig.publish_archive("2.0.0", archive, &PUBLISHER.subkey());
    rig.install(None).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn a_key_in_the_plan_is_not_fetched() {
    let mut rig = Rig::new().await;
    rig.plan.proof.key = Some(PUBLISHER.public());
    rig.plan.proof.key_url = None;
    rig.install(None).await.unwrap();
    assert!(!rig.server.requests().iter().any(|it| it.contains("keys")));
}

#[tokio::test]
async fn a_sum_known_to_the_driver_is_enough() {
    let mut rig = Rig::unsigned().await;
    let archive = TarGz::honest("2.0.0").bytes();
    let sum = sha256(&archive).to_uppercase();
    rig.publish_archive("2.0.0", archive, &PUBLISHER);
    rig.plan.proof.sha256.insert(archive_name("2.0.0"), sum);
    assert_eq!(rig.install(None).await.unwrap().0.proven, Proven::Pinned);
}

#[tokio::test]
async fn an_unsigned_release_is_trusted_at_first_use_and_must_not_change() {
    let rig = Rig::unsigned().await;
    assert_eq!(rig.install(None).await.unwrap().0.proven, Proven::FirstUse);
    rig.publish("2.0.0");
    rig.install(None).await.unwrap();
    rig.releases.uninstall(&rig.driver, Some("2.0.0")).await.unwrap();
    let changed = TarGz::honest("2.0.0").file("more", 0o644, b"evil").bytes();
    rig.publish_archive("2.0.0", changed, &PUBLISHER);
    rig.refuses_2("when it was first installed").await;
}

#[tokio::test]
async fn an_interrupted_download_goes_on_where_it_ended() {
    let rig = Rig::with_1().await;
    rig.server.fault(Fault::Truncated { times: 2 });
    rig.install(None).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
    let downloads: Vec<_> =
        { rig.server.requests() }.into_iter().filter(|it| it.contains("linux")).collect();
    assert_eq!(downloads.len(), 3, "{downloads:?}");
    assert!(downloads[1..].iter().all(|it| it.ends_with('-')), "{downloads:?}");
}

#[tokio::test]
async fn a_later_installation_goes_on_with_an_interrupted_download() {
    let rig = Rig::with_1().await;
    let error = rig.stalls().await;
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    assert!(error.to_string().contains("nothing arrives any more"), "{error}");
    // A new host, after a crash for all it knows.
    let releases = open(rig.folder.path(), &rig.server, |_| {});
    releases.sweep();
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
    let left = rig.left_behind();
    assert!(left.len() == 1 && left[0].ends_with(".part"), "{left:?}");
    rig.server.fault(Fault::None);
    rig.server.requests();
    rig.install(None).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
    let requests = rig.server.requests();
    assert!(requests.iter().any(|it| it.ends_with('-')), "{requests:?}");
}

#[tokio::test]
async fn a_part_that_is_not_the_beginning_is_thrown_away() {
    let rig = Rig::with_1().await;
    rig.stalls().await;
    let part = rig.path(".staging").join(rig.left_behind()[0].strip_prefix(".staging/").unwrap());
    let size = std::fs::metadata(&part).unwrap().len();
    std::fs::write(&part, vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
    rig.server.fault(Fault::None);
    rig.install(None).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn a_server_that_cannot_resume_is_asked_for_the_whole_file() {
    let rig = Rig::with_1().await;
    rig.server.fault(Fault::ResumeIgnored);
    rig.install(None).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn a_redirect_to_a_known_host_is_followed() {
    let rig = Rig::with_1().await;
    rig.server.fault(Fault::Redirect);
    rig.install(None).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn a_proof_without_a_key_is_no_proof() {
    let mut rig = Rig::new().await;
    rig.plan.proof = Proof { key_url: None, ..rig.plan.proof.clone() };
    let error = rig.install(None).await.unwrap_err();
    assert!(matches!(error, Error::BadPlan(_)), "{error}");
}

#[tokio::test]
async fn a_program_is_found_where_else_the_plan_says_and_nowhere_else() {
    let mut rig = Rig::new().await;
    let honest = rig.plan.program.clone();
    rig.plan.program = "digger/digger".to_owned();
    let error = rig.install(None).await.unwrap_err().to_string();
    assert!(error.contains("it has no program digger/digger"), "{error}");
    rig.plan.program_elsewhere = vec!["bin/digger".to_owned()];
    let error = rig.install(None).await.unwrap_err().to_string();
    assert!(error.contains("no program digger/digger or bin/digger"), "{error}");
    rig.plan.program_elsewhere.push("../digger".to_owned());
    assert!(rig.install(None).await.is_err());
    rig.plan.program_elsewhere = vec!["bin/digger".to_owned(), honest];
    rig.install(None).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
}
