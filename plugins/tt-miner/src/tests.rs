mod rules;

use adit_plugin_api::{DriverObject, ErrorKind, Value, json, testing};

use super::*;

pub(crate) fn driver() -> DriverObject {
    testing::through_abi::<TtMiner>(&testing::host().context()).unwrap()
}

pub(crate) fn config(value: Value) -> Config {
    let Value::Object(fields) = value else { panic!("not an object") };
    Config(fields)
}

/// A plan for `value` as the host completes it: with the defaults.
pub(crate) fn plan(value: Value) -> Result<ProcessPlan> {
    let mut fields = config(schema::defaults());
    fields.0.extend(config(value).0);
    match driver().start(&fields, &testing::launch())? {
        StartPlan::Process(plan) => Ok(plan),
        _ => panic!("no process"),
    }
}

/// The arguments that `value` makes, behind those that each run has.
pub(crate) fn args(value: Value) -> String {
    let args = plan(value).unwrap().args.join(" ");
    args.strip_prefix("-b 127.0.0.1:40001 -nocolor ").unwrap().to_owned()
}

/// A configuration with one pool and `more`.
pub(crate) fn with(more: Value) -> Value {
    let mut value = json!({ "coin": "RVN", "pool": "p.example:3333", "wallet": "RWallet" });
    value.as_object_mut().unwrap().extend(config(more).0);
    value
}

#[test]
fn the_description_and_the_plans_are_as_recorded() {
    let (driver, launch) = (driver(), testing::launch());
    testing::golden("golden/description.json", &driver.describe().unwrap());
    let install = |os: &str| {
        let target = Target { os: os.into(), arch: "x86_64".into(), version: None };
        driver.install(&target).unwrap()
    };
    testing::golden(
        "golden/plans.json",
        &json!({
            "start": plan(with(json!({}))).unwrap(),
            "installLinux": install("linux"),
            "installWindows": install("windows"),
            "stop": driver.stop(&launch).unwrap(),
            "probes": driver.probes(&launch).unwrap(),
        }),
    );
}

#[test]
fn where_tt_miner_is_not_published_the_operator_reads_so() {
    for (os, arch, wanted) in [
        ("linux", "aarch64", "for x86_64 only"),
        ("macos", "x86_64", "Linux and Windows only"),
        ("macos", "aarch64", "Linux and Windows only"),
    ] {
        let target = Target { os: os.into(), arch: arch.into(), version: None };
        let error = driver().install(&target).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.contains(wanted), "{}", error.message);
    }
}

#[test]
fn versions_are_read_from_the_banner_only() {
    let version = |text: &str| driver().version(text);
    for (text, expected) in [
        (
            "15:56:25.381 ********* TT-Miner - Version: 2023.4.0 (Sep  7 2023 13:13:32)\n",
            "2023.4.0",
        ),
        (
            "\n             TT-Miner - Version: 2024.3.3 - Beta 5 (Jul 25 2024 08:21:53)",
            "2024.3.3-beta.5",
        ),
        ("TT-Miner - Version: 6.2.0", "6.2.0"),
    ] {
        assert_eq!(version(text).unwrap(), expected, "{text}");
    }
    for other in ["", "XMRig 6.26.0", "see TT-Miner - Version: 1.2", "TT-Miner - Version: x"] {
        assert!(version(other).is_err(), "{other}");
    }
    let error = version(
        "./TT-Miner: error while loading shared libraries: libcuda.so.1: cannot open shared object \
         file: No such file or directory",
    );
    assert!(error.unwrap_err().message.contains("install version 525.60.13 or newer"));
}

#[test]
fn a_gpu_driver_that_is_too_old_is_told_before_anything_runs() {
    let start = |found: Value| {
        let launch =
            Launch { facts: [("nvidiaDriver".to_owned(), found)].into(), ..testing::launch() };
        driver().start(&config(with(json!({}))), &launch)
    };
    for good in ["525.60.13", "525.105.17", "550.54.14", "1000"] {
        start(good.into()).unwrap();
    }
    for old in ["525.60.11", "470.239.06", "525"] {
        let error = start(old.into()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("525.60.13 or newer, and this machine has"), "{error}");
    }
    // What cannot be read is not known.
    start(Value::Null).unwrap();
}

#[test]
fn secrets_are_masked_and_commands_have_a_clear_answer() {
    let more = json!({
        "alternate": [{
            "coin": "ZIL",
            "pools": [{ "url": "zmp://z.example:1", "wallet": "zil1wallet", "password": "zpw" }],
        }],
        "password": "first-pw",
    });
    let plan = plan(with(more)).unwrap();
    for secret in ["RWallet", "first-pw", "zil1wallet", "zpw"] {
        assert!(plan.secrets.iter().any(|it| it == secret), "{secret}");
    }
    for name in ["pause", "resume"] {
        let command = Command { name: name.to_owned(), params: Value::Null };
        let error = driver().command(&command, &testing::launch()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.starts_with("TT-Miner has no way to "), "{error}");
    }
}
