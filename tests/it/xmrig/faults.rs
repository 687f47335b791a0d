//! Whatever is wrong with a release, the version before stays, runs, and the operator is told.

use std::fs;

use adit_doubles::release::{
    archives::{TarGz, sha256},
    server::Fault,
    signing::{PUBLISHER, STRANGER},
};
use serde_json::{Value, json};
use tar::EntryType;

use crate::xmrig::{NONE, Rig, archive, asset};

/// A rig on which 6.25.0 is installed and 6.26.0 is published.
fn rig() -> Rig {
    let rig = Rig::new();
    rig.publish("6.25.0", &json!({}));
    rig.host.ok("POST", "/miners/xmrig/install", NONE);
    rig.publish("6.26.0", &json!({}));
    rig
}

/// The installation fails with `says` over both faces, and nothing changed.
fn refused(rig: &Rig, status: u16, code: &str, says: &str) {
    let (told, answer) = rig.host.call("POST", "/miners/xmrig/install", NONE);
    assert_eq!((told, &answer["code"]), (status, &json!(code)), "{answer}");
    let sentence = answer["error"].as_str().unwrap();
    assert!(sentence.contains(says) && !sentence.contains('\n'), "{sentence}");
    let error = rig.install_fails();
    assert!(error.contains(says), "{error}");
    let failed = rig.events("install.failed");
    assert!(failed.iter().all(|it| it["error"].as_str().unwrap().contains(says)), "{failed:?}");
    assert_eq!(failed.len(), 2);
    still_runs_6_25(rig);
}

fn still_runs_6_25(rig: &Rig) {
    let versions = rig.host.get("/miners/xmrig/versions")["versions"].clone();
    assert_eq!(versions.as_array().unwrap().len(), 1, "{versions}");
    let it = &versions[0];
    assert_eq!((&it["version"], &it["active"]), (&json!("6.25.0"), &json!(true)));
    let program = it["path"].as_str().unwrap();
    let said = std::process::Command::new(program).arg("--version").output().unwrap().stdout;
    assert!(said.starts_with(b"XMRig 6.25.0\n"));
    let plan = rig.host.call(
        "POST",
        "/miners",
        &json!({
            "name": "rig-1", "type": "xmrig",
            "config": { "pool": "127.0.0.1:9", "wallet": "4W", "threads": 1 },
        }),
    );
    assert_eq!(plan.0, 201, "{}", plan.1);
    assert_eq!(plan.1["run"]["version"], "6.25.0");
}

fn refused_archive(archive: TarGz, says: &str) {
    let rig = rig();
    rig.publish_archive("6.26.0", archive, &PUBLISHER);
    refused(&rig, 422, "ARCHIVE_REFUSED", says);
}

#[test]
fn a_truncated_body_is_refused() {
    let rig = rig();
    rig.server.fault(Fault::Truncated { times: usize::MAX });
    refused(&rig, 502, "DOWNLOAD_FAILED", "broke off after");
}

#[test]
fn a_wrong_sum_is_refused() {
    let rig = rig();
    rig.server.edit("6.26.0", |release| {
        let other = archive("6.26.0", &json!({})).file("more", 0o644, b"evil").bytes();
        release.assets.insert(asset("6.26.0"), other);
    });
    refused(&rig, 422, "NOT_VERIFIED", "the signed SHA256SUMS says");
}

#[test]
fn a_wrong_signature_is_refused() {
    let rig = rig();
    let archive = archive("6.26.0", &json!({})).bytes();
    let sums = format!("{} *{}\n", sha256(&archive), asset("6.26.0"));
    let signature = PUBLISHER.sign(b"another list");
    rig.server.publish_as("6.26.0", &asset("6.26.0"), archive, sums.as_bytes(), signature);
    refused(&rig, 422, "NOT_VERIFIED", "SHA256SUMS is not signed as it should be");
}

#[test]
fn another_key_is_refused() {
    let rig = rig();
    rig.publish_archive("6.26.0", archive("6.26.0", &json!({})), &STRANGER);
    rig.server.key(STRANGER.public());
    refused(&rig, 422, "NOT_VERIFIED", &format!("not the pinned {}", PUBLISHER.fingerprint()));
}

#[test]
fn a_path_that_leads_out_is_refused() {
    let evil = archive("6.26.0", &json!({}));
    refused_archive(evil.raw(b"../../outside", EntryType::Regular, "", b"x"), "its path");
}

#[test]
fn a_symbolic_link_is_refused() {
    let evil = archive("6.26.0", &json!({}));
    refused_archive(evil.raw(b"link", EntryType::Symlink, "/etc/passwd", b""), "a symbolic link");
}

#[test]
fn a_bomb_is_refused() {
    let evil = archive("6.26.0", &json!({})).zeros("zeros", 100 << 20);
    refused_archive(evil, "unpacked, is larger than");
}

#[test]
fn a_program_that_was_cut_off_is_refused_and_not_fed_to_a_shell() {
    let rig = rig();
    let done = rig.host.folder.path().join("done");
    let program = format!("\x7fELF\ntouch {}\n", done.display());
    let archive = super::archive_of("6.26.0", program.as_bytes(), "donate.example:3333");
    rig.publish_archive("6.26.0", archive, &PUBLISHER);
    refused(&rig, 422, "DOES_NOT_RUN", "it is a damaged program");
    assert!(!done.exists(), "a shell carried it out");
}

#[test]
fn a_release_that_is_not_there_is_named() {
    let rig = rig();
    rig.server.fault(Fault::NotFound);
    refused(&rig, 404, "NO_RELEASE", "xmrig/xmrig has no release");
}

#[test]
fn a_rate_limit_says_when_to_try_again() {
    let rig = rig();
    rig.server.fault(Fault::RateLimit);
    refused(&rig, 503, "RATE_LIMITED", "try again after 2100-01-01T00:00:00Z");
}

#[test]
fn a_stalled_download_is_given_up_and_gone_on_with_later() {
    let mut rig = rig();
    // Elsewhere a busy machine may take its time.
    rig.host.interrupt();
    let settings = fs::read_to_string(rig.host.settings()).unwrap();
    fs::write(rig.host.settings(), settings.replace("stall_ms = 10000", "stall_ms = 700")).unwrap();
    rig.host.up(&[]);
    rig.server.fault(Fault::Stalled);
    refused(&rig, 502, "DOWNLOAD_FAILED", "nothing arrives any more");
    rig.server.fault(Fault::None);
    rig.server.requests();
    rig.host.run_json(&["install", "xmrig"]);
    let requests = rig.server.requests();
    assert!(requests.iter().any(|it| it.ends_with('-')), "{requests:?}");
}

#[test]
fn a_server_that_cannot_resume_is_asked_for_the_whole_file() {
    let rig = rig();
    rig.server.fault(Fault::ResumeIgnored);
    let done = rig.host.run_json(&["install", "xmrig"]);
    assert_eq!((&done["version"], &done["proven"]["by"]), (&json!("6.26.0"), &json!("signed")));
    assert_eq!(rig.events("install.failed"), Vec::<Value>::new());
}

#[test]
fn a_release_without_a_file_for_this_cpu_says_what_it_has() {
    let rig = rig();
    let name = "xmrig-6.26.0-windows-arm64.zip";
    rig.server.publish("6.26.0", name, b"of another machine".to_vec(), &PUBLISHER);
    let says = format!("release 6.26.0 has no {}; it has SHA256SUMS", asset("6.26.0"));
    refused(&rig, 400, "UNSUPPORTED", &says);
}
