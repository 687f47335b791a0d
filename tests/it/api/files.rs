//! What lies in a folder of drivers without being one.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    api::host_with,
    host::{Host, built},
};

/// Files that are no driver: how they are made, and what their reason says.
type Bad = (&'static str, fn(&Path), &'static str);

const BAD: &[Bad] = &[
    ("empty.so", |path| fs::write(path, "").unwrap(), "an empty file"),
    (
        "text.so",
        |path| fs::write(path, "#!/bin/sh\ntouch /tmp/ran\n").unwrap(),
        "not an ELF library",
    ),
    ("cut.so", |path| write_changed(path, |bytes| bytes.truncate(5000)), "damaged or truncated"),
    (
        "noise.so",
        |path| write_changed(path, |bytes| bytes[64..4096].fill(0xaa)),
        "damaged or truncated",
    ),
    // Byte 18 of an ELF file names its processor; 0xf3 is RISC-V.
    ("other-cpu.so", |path| write_changed(path, |bytes| bytes[18] = 0xf3), "built for riscv64"),
    ("program.so", |path| copy("sim-miner", path), "no .adit_driver section"),
    ("folder.so", |path| fs::create_dir(path).unwrap(), "a folder, not a file"),
    ("dangling.so", |path| symlink("/nowhere/x.so", path).unwrap(), "which does not exist"),
    ("writable.so", write_writable, "writable"),
    ("again.so", |path| copy("libsim_driver.so", path), ""),
];

fn copy(name: &str, path: &Path) {
    let bytes = fs::copy(built(name), path).unwrap();
    assert!(bytes > 0);
}

fn write_changed(path: &Path, change: fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(built("libminimal_driver.so")).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn write_writable(path: &Path) {
    fs::copy(built("libminimal_driver.so"), path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
}

/// A host with a folder of drivers of its own, filled with what is no driver.
fn host() -> (Host, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, make, _) in BAD {
        make(&folder.path().join(name));
    }
    for (name, text) in [("notes.txt", "no library"), (".copying.so", "under way")] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let host = host_with(&format!("[drivers]\ndirs = ['{}']\n", folder.path().display()));
    (host, folder)
}

#[test]
fn what_is_no_driver_is_listed_with_its_reason() {
    let (host, folder) = host();
    let listed = host.get("/drivers");
    let listed = listed.as_array().unwrap();
    let at = |name: &str| {
        let path = folder.path().join(name);
        listed.iter().find(|it| it["path"] == json!(path)).cloned()
    };
    for (name, _, told_of) in BAD.iter().filter(|bad| bad.0 != "again.so") {
        let entry = at(name).unwrap_or_else(|| panic!("{name} is not listed: {listed:?}"));
        assert_eq!(entry["state"], "refused", "{entry}");
        let reason = entry["reason"].as_str().unwrap();
        assert!(!reason.is_empty() && reason.len() < 1000, "{name}: {reason}");
        assert!(!reason.contains(char::is_control), "{name}: {reason:?}");
        assert!(reason.contains(told_of), "{name}: {reason}");
    }
    assert_eq!((at("notes.txt"), at(".copying.so")), (None, None), "nobody said they were drivers");
    // Of two files with one id, the first of the search serves and the other says which that is.
    assert_eq!(at("again.so").unwrap()["state"], "loaded");
    let twin = listed.iter().find(|it| it["path"] == json!(built("libsim_driver.so"))).unwrap();
    assert!(twin["reason"].as_str().unwrap().contains("again.so"), "{twin}");
    host.simulate("rig-1", &json!({}));
    host.wait_for_phase("rig-1", "mining");
}

#[test]
fn the_command_line_lists_every_file_on_a_line_of_its_own() {
    let (host, folder) = host();
    let output = host.run(&["driver", "list"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "{text}");
    let json = host.run_json(&["driver", "list"]);
    assert_eq!(json, host.get("/drivers"));
    assert_eq!(text.lines().count(), json.as_array().unwrap().len() + 1, "{text}");
    for entry in json.as_array().unwrap() {
        let shown = entry["reason"].as_str().or(entry["path"].as_str()).unwrap();
        assert!(text.lines().any(|line| line.ends_with(shown)), "{shown} is not in {text}");
    }
    for (name, _, _) in BAD {
        let path = folder.path().join(name);
        let output = host.run(&["driver", "inspect", path.to_str().unwrap(), "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let problems = report["problems"].as_array().unwrap();
        let good = *name == "again.so";
        assert_eq!(
            (problems.is_empty(), output.status.code()),
            (good, Some(i32::from(!good))),
            "{name}: {report}"
        );
    }
}

#[test]
fn a_folder_of_drivers_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "no folder").unwrap();
    let missing = folder.path().join("missing");
    let host =
        host_with(&format!("[drivers]\ndirs = ['{}', '{}']\n", file.display(), missing.display()));
    let listed = host.get("/drivers");
    let of = |path: &Path| listed.as_array().unwrap().iter().find(|it| it["path"] == json!(path));
    let told = of(&file).unwrap_or_else(|| panic!("{listed}"))["reason"].as_str().unwrap();
    assert!(told.contains("cannot read the folder"), "{told}");
    assert!(of(&missing).is_none(), "a folder that is not there may come later");
    host.simulate("rig-1", &json!({}));
}
