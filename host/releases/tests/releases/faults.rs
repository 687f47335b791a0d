//! Each fault leaves the version before runnable, and nothing else.

use std::time::Duration;

use adit_doubles::release::{
    archives::{TarGz, bad_zip, program, sha256},
    server::Fault,
    signing::{OLD, PUBLISHER, STRANGER},
};
use adit_plugin_api::Proof;
use adit_releases::{Error, Limits, Progress};
use tar::EntryType;
use tokio::sync::watch;

use crate::rig::{PATIENCE, Rig, archive_name, open, tree, trial};

async fn refuses_archive(archive: TarGz, says: &str) {
    let rig = Rig::with_1().await;
    rig.publish_archive("2.0.0", archive.bytes(), &PUBLISHER);
    rig.refuses_2(says).await;
}

async fn refuses(fault: Fault, says: &str) {
    let rig = Rig::with_1().await;
    rig.server.fault(fault);
    rig.refuses_2(says).await;
}

#[tokio::test]
async fn a_body_that_is_always_cut_off_is_given_up() {
    let rig = Rig::with_1().await;
    let before = tree(&rig.path("versions"));
    rig.server.fault(Fault::Truncated { times: usize::MAX });
    let error = rig.install(None).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    assert_eq!(rig.runs().await.as_deref(), Some("1.0.0"));
    assert_eq!(tree(&rig.path("versions")), before);
}

#[tokio::test]
async fn a_wrong_sum_is_refused() {
    let rig = Rig::with_1().await;
    rig.server.edit("2.0.0", |release| {
        let name = archive_name("2.0.0");
        let other = TarGz::honest("2.0.0").file("more", 0o644, b"evil").bytes();
        release.assets.insert(name, other);
    });
    rig.refuses_2("the signed SHA256SUMS says").await;
}

#[tokio::test]
async fn a_sum_other_than_the_drivers_is_refused() {
    let mut rig = Rig::with_1().await;
    rig.plan.proof.sha256.insert(archive_name("2.0.0"), "ab".repeat(32));
    rig.refuses_2("the driver says abab").await;
}

#[tokio::test]
async fn a_sum_other_than_the_release_pages_is_refused() {
    let mut rig = Rig::with_1().await;
    rig.plan.proof = Proof::default();
    rig.server.edit("2.0.0", |it| it.digest = Some(format!("sha256:{}", "cd".repeat(32))));
    rig.refuses_2("the release page says cdcd").await;
}

#[tokio::test]
async fn a_list_whose_line_ends_changed_on_the_way_is_refused() {
    let rig = Rig::with_1().await;
    rig.server.edit("2.0.0", |release| {
        let sums = release.assets.get_mut("SHA256SUMS").unwrap();
        *sums = String::from_utf8(sums.clone()).unwrap().replace('\n', "\r\n").into();
    });
    rig.refuses_2("SHA256SUMS is not signed as it should be").await;
}

#[tokio::test]
async fn a_list_that_was_changed_after_signing_is_refused() {
    let rig = Rig::with_1().await;
    let archive = TarGz::honest("2.0.0").file("more", 0o644, b"evil").bytes();
    let name = archive_name("2.0.0");
    let evil = format!("{} *{name}\n", sha256(&archive));
    let signature = PUBLISHER.sign(b"another list");
    rig.server.publish_as("2.0.0", &name, archive, evil.as_bytes(), signature);
    rig.refuses_2("SHA256SUMS is not signed as it should be").await;
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused() {
    let rig = Rig::with_1().await;
    rig.publish_archive("2.0.0", TarGz::honest("2.0.0").bytes(), &STRANGER);
    rig.refuses_2("not one of this text by the key").await;
}

#[tokio::test]
async fn another_key_is_refused_although_it_signed() {
    let rig = Rig::with_1().await;
    rig.publish_archive("2.0.0", TarGz::honest("2.0.0").bytes(), &STRANGER);
    rig.server.key(STRANGER.public());
    rig.refuses_2(&format!("not the pinned {}", PUBLISHER.fingerprint())).await;
}

#[tokio::test]
async fn a_signature_over_a_broken_hash_is_refused() {
    let mut rig = Rig::with_1().await;
    rig.publish_archive("2.0.0", TarGz::honest("2.0.0").bytes(), &OLD);
    rig.server.key(OLD.public());
    rig.plan.proof.fingerprint = Some(OLD.fingerprint());
    rig.refuses_2("a hash that is not safe").await;
}

#[tokio::test]
async fn garbage_for_key_and_signature_is_refused() {
    let rig = Rig::with_1().await;
    rig.server.key("no key".to_owned());
    rig.refuses_2("the key").await;
    rig.server.key(PUBLISHER.public());
    for garbage in ["", "no signature", "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n"] {
        rig.server.edit("2.0.0", |release| {
            release.assets.insert("SHA256SUMS.sig".to_owned(), garbage.into());
        });
        rig.refuses_2("is not signed as it should be").await;
    }
}

#[tokio::test]
async fn a_file_that_the_signed_list_lacks_is_refused() {
    let rig = Rig::with_1().await;
    let sums = format!("{} *other.tar.gz\n", "a".repeat(64));
    let (name, archive) = (archive_name("2.0.0"), TarGz::honest("2.0.0").bytes());
    let signature = PUBLISHER.sign(sums.as_bytes());
    rig.server.publish_as("2.0.0", &name, archive, sums.as_bytes(), signature);
    rig.refuses_2("SHA256SUMS does not list digger-2.0.0-linux.tar.gz").await;
}

#[tokio::test]
async fn a_path_that_leads_out_is_refused() {
    for path in [&b"../outside"[..], b"a/../../outside", b"/outside", b"a\\..\\outside"] {
        let archive = TarGz::honest("2.0.0").raw(path, EntryType::Regular, "", b"x");
        refuses_archive(archive, "digger-2.0.0-linux.tar.gz was refused: its path").await;
    }
}

#[tokio::test]
async fn links_and_devices_are_refused() {
    for (kind, says) in [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a device"),
        (EntryType::Fifo, "a device"),
        (EntryType::GNUSparse, "neither a file nor a folder"),
    ] {
        let archive = TarGz::honest("2.0.0").raw(b"link", kind, "/etc/passwd", b"");
        refuses_archive(archive, says).await;
    }
}

#[tokio::test]
async fn a_zip_is_judged_like_a_tar() {
    for (link, says) in [(true, "a symbolic link"), (false, "leads out of the archive")] {
        let mut rig = Rig::with_1().await;
        let archive = bad_zip("2.0.0", link);
        rig.server.publish("2.0.0", "digger-2.0.0.zip", archive, &PUBLISHER);
        rig.plan.asset = "digger-{version}.zip".to_owned();
        rig.refuses_2(says).await;
    }
}

#[tokio::test]
async fn a_file_that_comes_twice_is_refused() {
    let archive = TarGz::honest("2.0.0").file("digger-2.0.0/digger", 0o755, b"#!/bin/sh");
    refuses_archive(archive, "twice").await;
    let archive = TarGz::honest("2.0.0").file("digger-2.0.0/digger/x", 0o755, b"x");
    refuses_archive(archive, "a file and a folder of one name").await;
}

#[tokio::test]
async fn a_bomb_is_refused() {
    let archive = TarGz::honest("2.0.0").zeros("zeros", 100 << 20);
    refuses_archive(archive, "unpacked, is larger than").await;
}

#[tokio::test]
async fn too_many_entries_are_refused() {
    let mut archive = TarGz::honest("2.0.0");
    for number in 0..2_001 {
        archive = archive.file(&format!("files/{number}"), 0o644, b"");
    }
    refuses_archive(archive, "more than 2000 entries").await;
}

#[tokio::test]
async fn a_long_path_is_no_way_around() {
    let archive = TarGz::honest("2.0.0").file(&"a/".repeat(2_000), 0o644, b"x");
    refuses_archive(archive, "is too long").await;
    let long = vec![b'a'; 1 << 20];
    let archive = TarGz::honest("2.0.0").raw(b"x", EntryType::GNULongName, "", &long);
    refuses_archive(archive, "a header that is too long").await;
}

#[tokio::test]
async fn garbage_is_no_archive() {
    let rig = Rig::with_1().await;
    for garbage in [Vec::new(), b"garbage".to_vec(), TarGz::honest("2.0.0").bytes()[..9_000].into()]
    {
        rig.publish_archive("2.0.0", garbage, &PUBLISHER);
        rig.refuses_2("digger-2.0.0-linux.tar.gz was refused: it is damaged").await;
    }
}

#[tokio::test]
async fn an_archive_without_the_program_is_refused() {
    let archive = TarGz::new().file("digger-2.0.0/other", 0o755, &program("2.0.0"));
    refuses_archive(archive, "it has no program digger-2.0.0/digger").await;
}

#[tokio::test]
async fn a_program_that_does_not_run_is_not_installed() {
    let archive = TarGz::new().file("digger-2.0.0/digger", 0o755, b"\x7fELF of another machine");
    refuses_archive(archive, "the program of version 2.0.0 does not run on this machine").await;
}

#[tokio::test]
async fn a_release_without_a_file_for_this_machine_says_what_it_has() {
    let mut rig = Rig::with_1().await;
    rig.plan.asset = "digger-{version}-linux-arm64.tar.gz".to_owned();
    let says = "release 2.0.0 has no digger-2.0.0-linux-arm64.tar.gz; it has SHA256SUMS, \
                SHA256SUMS.sig, digger-2.0.0-linux.tar.gz";
    rig.refuses_2(says).await;
}

#[tokio::test]
async fn a_release_that_does_not_exist_is_named() {
    let rig = Rig::with_1().await;
    let error = rig.install(Some("9.9.9")).await.unwrap_err().to_string();
    assert!(error.contains("digger/digger has no release 9.9.9"), "{error}");
    refuses(Fault::NotFound, "digger/digger has no release").await;
}

#[tokio::test]
async fn a_rate_limit_says_when_to_try_again() {
    refuses(Fault::RateLimit, "try again after 2100-01-01T00:00:00Z").await;
    refuses(Fault::RetryAfter, "takes no more requests for now: try again after 20").await;
}

#[tokio::test]
async fn a_broken_service_is_named() {
    refuses(Fault::Broken, "answered with 502").await;
    refuses(Fault::Nonsense, "the answer describes no release").await;
}

#[tokio::test]
async fn a_stranger_host_is_not_asked() {
    refuses(Fault::RedirectAway, "https://evil.example/digger.tar.gz must not be fetched").await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    refuses(Fault::Longer, "is larger than").await;
    let rig = Rig::with_1().await;
    rig.server.edit("2.0.0", |release| release.size = Some(1 << 40));
    rig.refuses_2("is larger than 536870912 bytes").await;
}

#[tokio::test]
async fn a_service_that_is_gone_is_named() {
    let rig = Rig::with_1().await;
    // Bound and not listening: nobody else gets the port.
    let gone = tokio::net::TcpSocket::new_v4().unwrap();
    gone.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut server = rig.server.clone();
    server.address = gone.local_addr().unwrap();
    let releases = open(rig.folder.path(), &server, |_| {});
    let progress = watch::Sender::new(Progress::default());
    let error = releases.install(&rig.driver, &rig.plan, None, &trial(), &progress).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("cannot get http://127.0.0.1"), "{error}");
    assert!(error.contains("check the network"), "{error}");
    rig.still_1(&tree(&rig.path("versions"))).await;
}

/// The installation ends long before the server would be done.
async fn gives_up(fault: Fault, says: &str) {
    let rig = Rig::with_1().await;
    let before = tree(&rig.path("versions"));
    rig.server.fault(fault);
    let short = |limits: &mut Limits| {
        // Longer than any pause of the server: it is never silent.
        limits.stall = Duration::from_secs(1);
        limits.retry_pause = Duration::from_millis(1);
    };
    let (releases, trial) = (open(rig.folder.path(), &rig.server, short), trial());
    let installing = releases.install(&rig.driver, &rig.plan, None, &trial, &rig.progress);
    let error = tokio::time::timeout(PATIENCE, installing).await.unwrap().unwrap_err().to_string();
    assert!(error.contains(says), "{error}");
    rig.server.fault(Fault::None);
    // The lock is free, and what arrived of an archive is of use.
    rig.install(None).await.unwrap();
    assert_ne!(tree(&rig.path("versions")), before);
}

#[tokio::test]
async fn a_server_that_sends_byte_by_byte_holds_nothing_up() {
    gives_up(Fault::DrippingApi, "/releases/latest: it takes longer than 4 s").await;
    gives_up(Fault::DrippingLists, "SHA256SUMS: it takes longer than 4 s").await;
    gives_up(Fault::DrippingArchives, "less than 1024 bytes a second arrive").await;
}

#[tokio::test]
async fn a_program_of_another_version_is_not_installed() {
    let archive = TarGz::new().file("digger-2.0.0/digger", 0o755, &program("1.9.0"));
    let says = "the program of release 2.0.0 reports version 1.9.0 where 2.0.0 was expected";
    refuses_archive(archive, says).await;
}
