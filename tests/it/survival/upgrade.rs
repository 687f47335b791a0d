//! The host's own file is replaced under it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    host::{Host, built, is_alive},
    survival::{Follower, NONE, assert_no_gap, counting, figures, keeper, mining, pid, programs},
};

/// Puts a copy of the binary `adit` at `place` the way a package manager does: beside, then renamed.
fn install(place: &Path) {
    let new = place.with_extension("new");
    fs::copy(built("adit"), &new).unwrap();
    fs::rename(new, place).unwrap();
}

/// An installation below `folder`: binary, program and driver.
fn installation(folder: &Path) -> PathBuf {
    let drivers = folder.join("drivers");
    fs::create_dir_all(&drivers).unwrap();
    for (name, place) in [("sim-miner", folder), ("libsim_driver.so", &drivers)] {
        fs::copy(built(name), place.join(name)).unwrap();
    }
    let binary = folder.join("adit");
    install(&binary);
    binary
}

#[test]
fn a_new_version_of_the_host_goes_on_with_the_miners_of_the_old_one() {
    let mut host = Host::absent();
    host.binary = installation(&host.folder.path().join("opt"));
    host.up(&[]);
    let miner = mining(&host, &counting());
    let old = host.pid();
    install(&host.binary);
    let runs_deleted = fs::read_link(format!("/proc/{old}/exe")).unwrap();
    assert!(runs_deleted.to_string_lossy().ends_with("(deleted)"), "{runs_deleted:?}");

    // The old one still starts miners, although its file is gone.
    host.simulate("rig-2", &json!({}));
    let second = pid(&host.wait_for_phase("rig-2", "mining"));
    host.kill();
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    host.wait_for_phase("rig-2", "mining");
    assert_eq!((host.program("rig-1"), host.program("rig-2")), (pid(&miner), second));
    figures(&host);

    // Driver and program are replaced too, and the old program's file is gone.
    let folder = host.folder.path().join("opt");
    fs::remove_dir_all(&folder).unwrap();
    installation(&folder);
    host.interrupt();
    assert!(is_alive(pid(&miner)));
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), pid(&miner));
    figures(&host);
    assert_eq!(programs(&host.state()).len(), 2);
    host.ok("DELETE", "/miners/rig-1", NONE);
    let mut log = Follower::new();
    log.read(&host);
    assert_no_gap(&log.lines);
}

/// The binary that the keeper of `miner` runs.
fn keeper_binary(host: &Host, miner: &str) -> PathBuf {
    fs::read_link(format!("/proc/{}/exe", keeper(&host.miner(miner)))).unwrap()
}

#[test]
fn the_small_binary_becomes_the_keeper_only_if_it_is_of_the_hosts_version() {
    let mut host = Host::absent();
    let folder = host.folder.path().join("opt");
    host.binary = installation(&folder);
    let small = folder.join("adit-keeper");
    fs::copy(built("adit-keeper"), &small).unwrap();
    host.up(&[]);
    mining(&host, &counting());
    assert_eq!(keeper_binary(&host, "rig-1"), small);

    // Replaced under the host: it goes on with the one that it found.
    fs::remove_file(&small).unwrap();
    fs::write(&small, "#!/bin/sh\necho adit-keeper 0.0.0\n").unwrap();
    fs::set_permissions(&small, fs::Permissions::from_mode(0o755)).unwrap();
    host.simulate("rig-2", &json!({}));
    host.wait_for_phase("rig-2", "mining");
    assert!(keeper_binary(&host, "rig-2").to_string_lossy().ends_with("adit-keeper (deleted)"));

    host.kill();
    host.up(&[]);
    host.simulate("rig-3", &json!({}));
    host.wait_for_phase("rig-3", "mining");
    assert_eq!(keeper_binary(&host, "rig-3"), host.binary);
}
