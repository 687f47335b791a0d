//! A driver of somebody who has nothing but `adit` and the crate of the driver API: made, built,
//! checked, dropped into the folder of a running host, replaced and taken away again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    api::host_with,
    host::{Host, build, is_alive, wait_for},
};

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Builds the crate in `folder` without the network and returns the library. What this workspace
/// was built from is not built again.
fn compiled(folder: &Path) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // The versions that are on this machine, since this test was built with them.
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let build = build();
    let is_release = build.file_name().unwrap() == "release";
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--offline", "--quiet"])
        .args(is_release.then_some("--release"))
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_BUILD_BUILD_DIR", build.parent().unwrap())
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let profile = if is_release { "release" } else { "debug" };
    let name =
        format!("{}nova_driver{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    folder.join("target").join(profile).join(name)
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{}: {text}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// The files of the driver as the host lists them, each with its version and state.
fn listed(host: &Host) -> Vec<(Value, Value)> {
    let all = host.get("/drivers");
    let ours = all.as_array().unwrap().iter().filter(|it| it["id"] == "nova");
    ours.map(|it| (it["version"].clone(), it["state"].clone())).collect()
}

fn hashrate(host: &Host) -> Option<f64> {
    let all = host.get("/miners");
    let miner = all.as_array().unwrap().iter().find(|it| it["name"] == "rig-1")?.clone();
    (miner["phase"] == "mining").then(|| miner["stats"]["hashrate"].as_f64())?
}

#[test]
fn a_driver_of_somebody_else_comes_to_a_running_host_changes_and_goes() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("nova-driver");
    let program = folder.join("fake-miner");
    let host = host_with(&format!("[programs]\nnova = {:?}\n", path(&program)));
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api");
    host.run_json(&["driver", "new", "nova", "--dir", path(&folder), "--plugin-api", path(&api)]);
    let library = compiled(&folder);
    let golden = folder.join("golden");
    let report = host.run_json(&["driver", "check", path(&library), "--golden", path(&golden)]);
    assert_eq!((&report["passed"], &report["id"]), (&json!(true), &json!("nova")), "{report}");

    // Dropped as a file manager would: under its own name, and whole at once.
    let drivers = host.state().join("drivers");
    let (part, dropped) = (drivers.join(".nova.so"), drivers.join(library.file_name().unwrap()));
    fs::create_dir_all(&drivers).unwrap();
    fs::copy(&library, &part).unwrap();
    fs::rename(&part, &dropped).unwrap();
    wait_for("the driver", || (listed(&host) == [(json!("0.1.0"), json!("loaded"))]).then_some(()));
    let config = json!({ "pool": "pool.example:3333", "wallet": "4WALLET" });
    host.ok("POST", "/miners", &json!({ "name": "rig-1", "type": "nova", "config": config }));
    let first = wait_for("its miner's figures", || hashrate(&host));
    assert!((1000.0..1051.0).contains(&first), "{first}");
    let running = host.program("rig-1");

    // A newer version that reads the same lines otherwise, beside the older file.
    replace(&folder.join("Cargo.toml"), "version = \"0.1.0\"", "version = \"0.2.0\"");
    let read = "Observation::Hashrate { hashrate })";
    replace(
        &folder.join("src/lib.rs"),
        read,
        &read.replace("hashrate }", "hashrate: hashrate + 1e6 }"),
    );
    let added = host.run_json(&["driver", "add", path(&compiled(&folder))]);
    assert_eq!(added["driver"]["version"], "0.2.0", "{added}");
    wait_for("figures as the newer one reads them", || hashrate(&host).filter(|it| *it > 1e6));
    let mut both = listed(&host);
    both.sort_by_key(|it| it.0.to_string());
    let expected = [(json!("0.1.0"), json!("refused")), (json!("0.2.0"), json!("loaded"))];
    assert_eq!(both, expected);

    // Without the newer file the older one serves again, and without that one nothing does.
    host.run_json(&["driver", "remove", "nova"]);
    wait_for("figures as the older one reads them", || hashrate(&host).filter(|it| *it < 1e6));
    fs::remove_file(&dropped).unwrap();
    let miner = wait_for("a miner without a driver", || {
        let miner = host.miner("rig-1");
        (miner["driverless"] == true && listed(&host).is_empty()).then_some(miner)
    });
    assert_eq!((&miner["running"], &miner["restarts"]), (&json!(true), &json!(0)), "{miner}");
    assert!(is_alive(running) && host.program("rig-1") == running);
}
