//! Versions side by side, and ends at bad moments.

use std::{fs, sync::Arc};

use adit_releases::{Error, Outcome, Progress, Releases, Step, Trial};
use tokio::sync::{Notify, watch};

use crate::rig::{PATIENCE, Rig, open, trial};

fn flags(rig: &Rig) -> Vec<(String, bool, bool)> {
    let mut versions: Vec<_> = { rig.releases.versions(&rig.driver) }
        .into_iter()
        .map(|it| (it.version, it.active, it.previous))
        .collect();
    versions.sort();
    versions
}

fn flag(version: &str, active: bool, previous: bool) -> (String, bool, bool) {
    (version.to_owned(), active, previous)
}

#[tokio::test]
async fn a_rollback_goes_back_and_forth() {
    let rig = Rig::with_1().await;
    let error = rig.releases.rollback(&rig.driver).await.unwrap_err();
    assert!(matches!(error, Error::NoPrevious(_)), "{error}");
    rig.install(None).await.unwrap();
    assert_eq!(flags(&rig), [flag("1.0.0", false, true), flag("2.0.0", true, false)]);
    rig.server.requests();
    assert_eq!(rig.releases.rollback(&rig.driver).await.unwrap().version, "1.0.0");
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
    assert_eq!(flags(&rig), [flag("1.0.0", true, false), flag("2.0.0", false, true)]);
    assert_eq!(rig.releases.rollback(&rig.driver).await.unwrap().version, "2.0.0");
    assert_eq!(rig.server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn an_older_version_is_activated_without_a_download() {
    let rig = Rig::with_1().await;
    rig.install(None).await.unwrap();
    rig.server.requests();
    assert_eq!(rig.install(Some("1.0.0")).await.unwrap().1, Outcome::Activated);
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
    assert_eq!(rig.server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn an_older_release_is_installed_only_when_it_is_named() {
    let rig = Rig::with_1().await;
    rig.install(None).await.unwrap();
    // What a mirror may do: it names an old release, rightly signed, as the newest.
    rig.publish("1.0.0");
    let refused = |error: Error| {
        let error = error.to_string();
        assert!(error.contains("1.0.0") && error.contains("2.0.0 was installed here"), "{error}");
        assert!(error.contains("--version 1.0.0"), "{error}");
    };
    refused(rig.install(None).await.unwrap_err());
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
    // Also when nothing is installed any more, and when it need not be downloaded.
    rig.releases.uninstall(&rig.driver, Some("2.0.0")).await.unwrap();
    rig.releases.uninstall(&rig.driver, None).await.unwrap();
    refused(rig.install(None).await.unwrap_err());
    assert_eq!(rig.releases.newest_installed(&rig.driver).as_deref(), Some("2.0.0"));
    assert_eq!(rig.install(Some("1.0.0")).await.unwrap().1, Outcome::Installed);
    // Nothing gets older by what runs already.
    assert_eq!(rig.install(None).await.unwrap().1, Outcome::Unchanged);
    rig.publish("2.0.1");
    assert_eq!(rig.install(None).await.unwrap().0.version, "2.0.1");
}

#[tokio::test]
async fn uninstalling_the_version_that_runs_brings_back_the_one_before() {
    let rig = Rig::with_1().await;
    rig.install(None).await.unwrap();
    let error = rig.releases.uninstall(&rig.driver, Some("3.0.0")).await.unwrap_err().to_string();
    assert!(error.contains("digger 3.0.0 is not installed; there are: 2.0.0, 1.0.0"), "{error}");
    rig.releases.uninstall(&rig.driver, Some("v2.0.0")).await.unwrap();
    assert_eq!(flags(&rig), [flag("1.0.0", true, false)]);
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
    rig.releases.uninstall(&rig.driver, None).await.unwrap();
    assert!(rig.releases.installed(&rig.driver).is_none());
    assert_eq!(rig.versions(), Vec::<String>::new());
    assert!(!rig.path("active.json").exists());
    let error = rig.releases.uninstall(&rig.driver, None).await.unwrap_err();
    assert!(matches!(error, Error::NotInstalled { .. }), "{error}");
    assert_eq!(rig.left_behind(), Vec::<String>::new());
}

/// A trial that waits, so that an installation can be caught in the middle.
fn slow_trial() -> (Trial, Arc<Notify>) {
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let trial: Trial = Box::new(move |program, args| {
        let wait = Arc::clone(&wait);
        Box::pin(async move {
            wait.notified().await;
            trial()(program, args).await
        })
    });
    (trial, go)
}

async fn until_tried(progress: &watch::Sender<Progress>) {
    let mut progress = progress.subscribe();
    let tried = progress.wait_for(|it| it.step == Step::Trying);
    tokio::time::timeout(PATIENCE, tried).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_type_has_one_installation_at_a_time() {
    let rig = Arc::new(Rig::with_1().await);
    let (trial, go) = slow_trial();
    let first = Arc::clone(&rig);
    let first = tokio::spawn(async move {
        first.releases.install(&first.driver, &first.plan, None, &trial, &first.progress).await
    });
    until_tried(&rig.progress).await;
    // Another handle, as another process would have.
    let other: Releases = open(rig.folder.path(), &rig.server, |_| {});
    other.sweep();
    let progress = watch::Sender::new(Progress::default());
    let again = other.install(&rig.driver, &rig.plan, None, &crate::rig::trial(), &progress).await;
    assert!(matches!(again, Err(Error::Busy(_))), "{again:?}");
    assert!(matches!(other.uninstall(&rig.driver, None).await, Err(Error::Busy(_))));
    assert!(matches!(other.rollback(&rig.driver).await, Err(Error::Busy(_))));
    go.notify_one();
    first.await.unwrap().unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn an_installation_that_is_given_up_changes_nothing() {
    let rig = Arc::new(Rig::with_1().await);
    let (trial, _go) = slow_trial();
    let first = Arc::clone(&rig);
    let first = tokio::spawn(async move {
        first.releases.install(&first.driver, &first.plan, None, &trial, &first.progress).await
    });
    until_tried(&rig.progress).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
    rig.install(None).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"));
}

/// What is on disk when the host dies after each step of an installation of 2.0.0, in order.
#[tokio::test]
async fn a_crash_after_any_step_leaves_a_version_that_runs() {
    let done = Rig::with_1().await;
    done.install(None).await.unwrap();
    for step in 0..6 {
        let rig = Rig::with_1().await;
        let staged = rig.path(".staging/unpacked");
        let place = rig.path("versions/2.0.0");
        fs::create_dir_all(rig.path(".staging")).unwrap();
        // Half an archive, then half unpacked, then whole, placed, and half the new record.
        match step {
            0 => fs::write(rig.path(".staging/file"), b"half").unwrap(),
            1 => fs::create_dir_all(staged.join("files/digger-2.0.0")).unwrap(),
            2 => copy(&done.path("versions/2.0.0"), &staged),
            3 => copy(&done.path("versions/2.0.0"), &place),
            4 => {
                copy(&done.path("versions/2.0.0"), &place);
                fs::write(rig.path("active.json.new"), b"{\"vers").unwrap();
            }
            _ => {
                copy(&done.path("versions/2.0.0"), &place);
                fs::remove_dir_all(place.join("files")).unwrap();
            }
        }
        assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"), "{step}");
        rig.releases.sweep();
        assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"), "{step}");
        let staging = fs::read_dir(rig.path(".staging")).unwrap().count();
        assert!(staging == 0 && !rig.path("active.json.new").exists(), "{step}");
        rig.install(None).await.unwrap();
        assert_eq!(rig.runs().await.as_deref(), Some("2.0.0"), "{step}");
        assert_eq!(rig.releases.rollback(&rig.driver).await.unwrap().version, "1.0.0");
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn damaged_records_lose_no_program_and_damaged_versions_do_not_run() {
    let rig = Rig::with_1().await;
    for damage in ["", "{", "{\"version\":\"../../../etc\"}", "[]"] {
        fs::write(rig.path("active.json"), damage).unwrap();
        assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"), "{damage}");
    }
    fs::write(rig.path("versions/1.0.0/release.json"), "{").unwrap();
    assert!(rig.releases.installed(&rig.driver).is_none());
    rig.install(Some("1.0.0")).await.unwrap();
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
}
