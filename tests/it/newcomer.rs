//! A driver of somebody who has nothing but `adit`, Rust and the page "Write a driver": made, built and
//! checked with the page's own lines, dropped into the folder of a running host, replaced and taken
//! away again.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    api::host_with,
    host::{Host, build, is_alive, wait_for},
};

/// The first block in `language` of the page's section that begins with `heading`.
fn block(heading: &str, language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/write-a-driver.md");
    let page = fs::read_to_string(page).unwrap();
    let section = page.split("\n## ").find(|it| it.starts_with(heading)).unwrap();
    let mark = format!("```{language}\n");
    let text = section.split_once(&mark).and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    text.to_owned()
}

/// Types `lines` into a shell in `folder`, where `adit` means `host`. Without the network: what was
/// built this test from is on this machine, and is not built again.
fn typed(host: &Host, folder: &Path, lines: &str) -> String {
    let (build, cargo) = (build(), Path::new(env!("CARGO")).parent().unwrap().to_owned());
    let path = std::env::var_os("PATH").unwrap();
    let path = [build.clone(), cargo].into_iter().chain(std::env::split_paths(&path));
    let mut shell = Command::new("sh");
    shell
        .args(["-ec", lines])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("XDG_DATA_HOME", host.folder.path().join("data"))
        .env("ADIT_STATE_DIR", host.state())
        .env("ADIT_CONFIG", host.settings())
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_BUILD_BUILD_DIR", build.parent().unwrap())
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        // Compiled in half the time; whether it is fast does not matter here.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env_remove("CARGO_TARGET_DIR");
    let output = shell.output().unwrap();
    let [said, complaint] =
        [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{lines}\n{said}\n{complaint}");
    said
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{}: {text}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// The files of the driver as the host lists them, each with its version and state.
fn listed(host: &Host) -> Vec<(Value, Value)> {
    let all = host.get("/drivers");
    let ours = all.as_array().unwrap().iter().filter(|it| it["id"] == "my-miner");
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
    let folder = outside.path().join("my-miner-driver");
    let settings = block("3. ", "toml");
    let settings = settings.replace("/path/of", outside.path().to_str().unwrap());
    let host = host_with(&settings);

    let lines = format!("{}{}", block("1. ", "sh"), block("2. ", "sh"));
    let said = typed(&host, outside.path(), &lines);
    assert!(said.contains("test result: ok. 2 passed"), "{said}");
    assert!(said.contains(" 0 failed, ") && !said.contains("FAILED"), "{said}");

    let drivers = host.state().join("drivers");
    let lines = block("3. ", "sh").replace("~/.local/share/adit", host.state().to_str().unwrap());
    let (drop, mine) = lines.split_once("adit driver list\n").unwrap();
    typed(&host, &folder, drop);
    wait_for("the driver", || (listed(&host) == [(json!("0.1.0"), json!("loaded"))]).then_some(()));
    // Without an end of its own.
    let said = typed(&host, &folder, &mine.replace("logs -f", "logs"));
    assert!(said.contains("rig-1") && said.contains("my-miner"), "{said}");
    let dropped = drivers.join("libmy_miner_driver.so");
    let first = wait_for("its miner's figures", || hashrate(&host));
    assert!((1000.0..1051.0).contains(&first), "{first}");
    let running = host.program("rig-1");

    // A newer version that reads the same lines otherwise, beside the older file.
    replace(&folder.join("Cargo.toml"), "version = \"0.1.0\"", "version = \"0.2.0\"");
    // With all that the page shows besides.
    let shown = block("4. ", "rust");
    let (imports, methods) = shown.split_once("\n\n").unwrap();
    let library = folder.join("src/lib.rs");
    replace(&library, "use serde::", &format!("{imports}\nuse serde::"));
    replace(&library, "    fn probes(", &format!("{methods}\n    fn probes("));
    let commands = "needs_program: true,\ncommands: vec![\"pause\".into(), \"resume\".into()],";
    replace(&library, "needs_program: true,", commands);
    let lines = block("2. ", "sh").replace("cargo test\n", "");
    let said = typed(&host, &folder, &lines);
    assert!(said.contains(" 0 failed, "), "{said}");
    let read = "Observation::Hashrate { hashrate })";
    replace(
        &folder.join("src/lib.rs"),
        read,
        &read.replace("hashrate }", "hashrate: hashrate + 1e6 }"),
    );
    typed(&host, &folder, "cargo build --release --quiet");
    let newer = folder.join("target/release").join(dropped.file_name().unwrap());
    let added = host.run_json(&["driver", "add", newer.to_str().unwrap()]);
    assert_eq!(added["driver"]["version"], "0.2.0", "{added}");
    wait_for("figures as the newer one reads them", || hashrate(&host).filter(|it| *it > 1e6));
    let mut both = listed(&host);
    both.sort_by_key(|it| it.0.to_string());
    let expected = [(json!("0.1.0"), json!("refused")), (json!("0.2.0"), json!("loaded"))];
    assert_eq!(both, expected);
    assert_eq!(host.get("/drivers/my-miner/x/hello"), json!({ "hello": "world" }));

    // Without the newer file the older one serves again, and without that one nothing does.
    host.run_json(&["driver", "remove", "my-miner"]);
    wait_for("figures as the older one reads them", || hashrate(&host).filter(|it| *it < 1e6));
    fs::remove_file(&dropped).unwrap();
    let miner = wait_for("a miner without a driver", || {
        let miner = host.miner("rig-1");
        (miner["driverless"] == true && listed(&host).is_empty()).then_some(miner)
    });
    assert_eq!((&miner["running"], &miner["restarts"]), (&json!(true), &json!(0)), "{miner}");
    assert!(is_alive(running) && host.program("rig-1") == running);
}
