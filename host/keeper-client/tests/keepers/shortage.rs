//! A keeper that cannot start says why.

use std::{fs, os::unix::fs::PermissionsExt};

use adit_keeper_client::{Keepers, error::Error};

use crate::support::{Mine, binary};

/// What a start says when `adit` becomes a keeper by this shell script.
async fn said(script: &str) -> String {
    let mine = Mine::new();
    let exe = mine.dir.path().join("wrapper");
    let adit = binary();
    let adit = adit.display();
    fs::write(&exe, format!("#!/bin/sh\nADIT={adit}\n{script}\n")).unwrap();
    fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).unwrap();
    let keepers = Keepers::new(&mine.root, exe);
    let error = keepers.launch(&mine.spec("exec sleep 600")).await.unwrap_err();
    assert!(matches!(error, Error::Start(_)), "{error:?}");
    // Nothing is left that would stand in the way of the next start.
    mine.is_free().await;
    error.to_string()
}

#[tokio::test]
async fn too_few_open_files_are_named() {
    let error = said("ulimit -n 5\nexec $ADIT \"$@\"").await;
    assert!(error.contains("no more open files are allowed (see ulimit -n)"), "{error}");
}

#[tokio::test]
async fn too_little_memory_is_named() {
    // Too little to load the program's libraries: the loader says so, or the kernel kills it.
    let error = said("ulimit -v 6000\nexec $ADIT \"$@\"").await;
    let is_named = ["annot allocate memory", "cannot map", "signal", "emory"];
    assert!(is_named.iter().any(|text| error.contains(text)), "{error}");
}

#[tokio::test]
async fn what_a_keeper_printed_before_it_died_is_reported() {
    let error = said("echo 'thread main panicked:' >&2; echo 'no luck' >&2; exit 101").await;
    assert!(error.contains("it ended with code 101: thread main panicked: no luck"), "{error}");
    let error = said("kill -9 $$").await;
    assert!(error.contains("signal 9 ended it"), "{error}");
    let error = said("exit 0").await;
    assert!(error.contains("it was killed right after its start"), "{error}");
}
