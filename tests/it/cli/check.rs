//! `adit driver check` and `adit driver new`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    cli::{run, said},
    host::{Host, built},
};

/// The id in the manifest of the broken driver as it is built.
const BUILT_AS: &str = "broken-none000000000000";

/// Every rule that a loaded driver can break.
const RULES: [&str; 22] = [
    "no-panic",
    "no-crash",
    "in-time",
    "describes",
    "schema",
    "defaults",
    "example",
    "secrets-marked",
    "plan",
    "secrets-masked",
    "stop",
    "probes",
    "faults",
    "output",
    "golden",
    "units",
    "devices",
    "commands",
    "install",
    "answers",
    "many-at-once",
    "sandbox",
];

/// A copy of the broken driver that breaks `rule`.
fn broken(folder: &Path, rule: &str) -> PathBuf {
    let mut bytes = fs::read(built("libbroken_driver.so")).unwrap();
    let id = format!("{:0<width$}", format!("broken-{rule}"), width = BUILT_AS.len());
    assert_eq!(id.len(), BUILT_AS.len(), "{id}");
    let mut found = false;
    let place =
        |bytes: &[u8]| bytes.windows(BUILT_AS.len()).position(|it| it == BUILT_AS.as_bytes());
    while let Some(at) = place(&bytes) {
        bytes[at..at + id.len()].copy_from_slice(id.as_bytes());
        found = true;
        if id == BUILT_AS {
            break;
        }
    }
    assert!(found, "the broken driver has another id");
    let file = folder.join("libbroken_driver.so");
    fs::write(&file, bytes).unwrap();
    file
}

fn golden(name: &str) -> String {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.join(name).to_str().unwrap().to_owned()
}

/// The exit code, and the ids of the rules that failed.
fn check(host: &Host, file: &Path) -> (i32, Vec<String>) {
    let golden = golden("broken-driver/golden");
    let file = file.to_str().unwrap();
    let deadline = ["--deadline-ms", "2000"];
    let words = [&["driver", "check", file, "--golden", &golden, "--json"], &deadline[..]].concat();
    let (code, out, error) = run(host, &words);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{error}"));
    let rules = report["rules"].as_array().unwrap();
    let failed = rules.iter().filter(|rule| rule["outcome"] == "failed");
    for rule in failed.clone() {
        assert!(rule["mend"].is_string() && rule["notes"][0].is_string(), "{rule}");
        let notes = rule["notes"].to_string();
        assert!(!notes.contains("started again"), "what is not asked breaks nothing: {notes}");
        assert!(!notes.contains(": : "), "each note names its place: {notes}");
    }
    (code, failed.map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn a_driver_that_keeps_the_rules_passes() {
    let host = Host::absent();
    let file = broken(host.folder.path(), "none");
    assert_eq!(check(&host, &file), (0, Vec::new()));
}

#[test]
fn each_rule_is_broken_by_a_driver_that_breaks_it() {
    let host = Host::absent();
    for rule in RULES {
        let file = broken(host.folder.path(), rule);
        let (code, failed) = check(&host, &file);
        assert_eq!(code, 1, "{rule}");
        assert!(failed.contains(&rule.to_owned()), "{rule}: {failed:?}");
        // A driver that breaks at stats can show no figures either.
        // With defaults that the schema refuses, no configuration is whole.
        if !["no-panic", "no-crash", "in-time", "defaults"].contains(&rule) {
            assert_eq!(failed, [rule], "only this one");
        }
    }
    let file = host.folder.path().join("text.so");
    fs::write(&file, "no driver at all").unwrap();
    assert_eq!(check(&host, &file), (1, vec!["loads".to_owned()]));
}

#[test]
fn a_check_that_cannot_be_made_says_why() {
    let host = Host::absent();
    let driver = built("libbroken_driver.so");
    let driver = driver.to_str().unwrap();
    for (words, complaint) in [
        (vec!["driver", "check", driver, "--golden", "/nowhere"], "/nowhere"),
        (vec!["driver", "check", driver, "--config", "/nowhere.json"], "/nowhere.json"),
    ] {
        let (code, _, error) = run(&host, &words);
        assert_eq!(code, 1);
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn a_new_driver_is_a_complete_crate_and_replaces_nothing() {
    let host = Host::absent();
    let folder = host.folder.path().join("mine");
    let folder = folder.to_str().unwrap();
    let api = golden("../plugin-api");
    let new = ["driver", "new", "my-miner", "--dir", folder, "--plugin-api", &api];
    let text = said(&host, &new);
    assert!(text.contains("adit driver check target/release/libmy_miner_driver.so"), "{text}");
    for (file, part) in [
        ("Cargo.toml", "name = \"my-miner-driver\""),
        ("src/lib.rs", "export_driver!(Driver);"),
        ("src/lib.rs", "name: \"My Miner\""),
        ("README.md", "libmy_miner_driver.so"),
        ("golden/mining.json", "\"expect\""),
    ] {
        let text = fs::read_to_string(Path::new(folder).join(file)).unwrap();
        assert!(text.contains(part) && !text.contains("@NAME@"), "{file}: {text}");
    }
    let manifest = fs::read_to_string(Path::new(folder).join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("{:?}", fs::canonicalize(&api).unwrap())), "{manifest}");
    assert!(!Path::new(folder).join("plugin-api").exists(), "it uses the one elsewhere");
    let (code, _, error) = run(&host, &new);
    assert_eq!(code, 1);
    assert!(error.contains("not empty"), "{error}");
    let (code, _, error) = run(&host, &["driver", "new", "../evil"]);
    assert_eq!(code, 2);
    assert!(error.contains("is not usable"), "{error}");
}
