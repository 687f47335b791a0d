//! `adit profile`, `adit wallet`, `adit pool` and `adit explain`.

use std::{fs, io::Write, process::Stdio};

use crate::{
    cli::{failed, rows, said, told},
    host::Host,
};

#[test]
fn a_profile_from_its_wallet_to_its_miner() {
    let host = Host::start();
    assert_eq!(
        said(&host, &["wallet", "create", "xmr", "4Address", "--coin", "XMR"]),
        "xmr: saved\n"
    );
    let mut command = host.command(&[
        "pool",
        "create",
        "main",
        "main.example:3333",
        "--wallet",
        "xmr",
        "--password-stdin",
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hunter2\n").unwrap();
    assert_eq!(told(&child.wait_with_output().unwrap()).1, "main: saved\n");
    let list = said(&host, &["pool", "list"]);
    let expected = ["main", "-", "main.example:3333", "-", "${wallet}", "xmr", "yes"];
    assert_eq!(rows(&list)[1], expected, "{list}");
    said(&host, &["pool", "edit", "main", "--address", "main.example:4444"]);
    assert_eq!(host.run_json(&["pool", "list"])[0]["url"], "main.example:4444");
    said(&host, &["pool", "edit", "main", "--address", "main.example:3333", "--coin", "xmr"]);

    let create = ["profile", "create", "Home CPU", "--type", "sim", "--pool", "main"];
    let set = ["--set", "preparingMs=0", "--set", "worker=${worker}", "--tag", "home"];
    assert!(said(&host, &[&create[..], &set].concat()).starts_with("Home CPU: saved as "));
    said(
        &host,
        &[
            "profile",
            "edit",
            "Home CPU",
            "--name",
            "cpu",
            "--set",
            "devices=3",
            "--unset",
            "worker",
        ],
    );
    let shown = host.run_json(&["profile", "show", "cpu"]);
    assert_eq!(shown["config"], serde_json::json!({ "preparingMs": 0, "devices": 3 }));
    assert_eq!(shown["tags"], serde_json::json!(["home"]));

    let explained = said(&host, &["explain", "cpu"]);
    let line = |field: &str| {
        let line = explained.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("config.pool "), "main.example:3333 pool main");
    assert_eq!(line("config.wallet "), "*** wallet xmr");
    assert_eq!(line("config.algorithm "), "rx/0 default");
    assert!(!explained.contains("hunter2") && !explained.contains("4Address"), "{explained}");

    assert!(said(&host, &["profile", "start", "cpu"]).starts_with("cpu: started (pid "));
    assert!(said(&host, &["miner", "start", "--profile", "cpu"]).starts_with("cpu-2: started"));
    let list = said(&host, &["profile", "list"]);
    assert_eq!(rows(&list)[1], ["cpu", "sim", "main", "-", "cpu,cpu-2", "home"], "{list}");

    let told = failed(&host, &["wallet", "delete", "xmr"], 1);
    assert!(told.contains("is used by the pool \"main\""), "{told}");
    for args in
        [["profile", "delete", "cpu"], ["pool", "delete", "main"], ["wallet", "delete", "xmr"]]
    {
        assert_eq!(said(&host, &args), format!("{}: deleted\n", args[2]));
    }
    failed(&host, &["explain", "cpu"], 1);
    failed(&host, &["miner", "start", "x", "--profile", "cpu", "--set", "a=1"], 2);
    failed(&host, &["miner", "start", "x", "--set", "a=1"], 2);
}

#[test]
fn a_document_goes_from_rig_to_rig() {
    let (from, to) = (Host::start(), Host::start());
    said(&from, &["wallet", "create", "xmr", "4Address"]);
    let set = "wallet=${wallet.xmr}";
    said(&from, &["profile", "create", "cpu", "--type", "sim", "--set", set, "--autostart"]);
    let file = from.folder.path().join("adit-profiles");
    let path = file.to_str().unwrap();
    for args in [
        &["profile", "export", "--toml"][..],
        &["profile", "export"],
        &["profile", "export", "--json"],
    ] {
        let text = said(&from, args);
        // As an editor on Windows may save it.
        fs::write(&file, format!("\u{feff}{text}")).unwrap();
        let trial = said(&to, &["profile", "import", path, "--dry-run"]);
        assert!(trial.starts_with("nothing was changed; this would be:\n"), "{trial}");
    }
    let done = said(&to, &["profile", "import", path]);
    assert_eq!(
        rows(&done)[1..],
        [vec!["wallet", "xmr", "created"], vec!["profile", "cpu", "created"]]
    );
    assert_eq!(to.run_json(&["profile", "show", "cpu"])["autostart"], true);
    said(&to, &["wallet", "edit", "xmr", "--address", "4Mine"]);
    let told = failed(&to, &["profile", "import", path], 1);
    assert!(told.contains("the wallet \"xmr\""), "{told}");
    let done = said(&to, &["profile", "import", path, "--conflicts", "skip"]);
    assert_eq!(
        rows(&done)[1..],
        [vec!["wallet", "xmr", "skipped"], vec!["profile", "cpu", "unchanged"]]
    );
    fs::write(&file, "adit = 1\nx = ").unwrap();
    let told = failed(&to, &["profile", "import", path], 1);
    assert!(told.contains("line 2"), "{told}");
    failed(&to, &["profile", "import", "/nowhere"], 1);
}
