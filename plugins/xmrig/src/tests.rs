mod samples;
mod traps;

use adit_plugin_api::{DriverObject, ErrorKind, Value, json, testing};

use super::*;

pub(crate) fn driver() -> DriverObject {
    testing::through_abi::<Xmrig>(&testing::host().context()).unwrap()
}

pub(crate) fn config(value: Value) -> Config {
    let Value::Object(fields) = value else { panic!("not an object") };
    Config(fields)
}

/// A configuration as the host completes it: with the defaults.
pub(crate) fn complete(value: Value) -> Config {
    let mut fields = config(schema::defaults());
    fields.0.extend(config(value).0);
    fields
}

pub(crate) fn plan(value: Value) -> Result<ProcessPlan> {
    match driver().start(&complete(value), &testing::launch())? {
        StartPlan::Process(plan) => Ok(plan),
        _ => panic!("no process"),
    }
}

/// XMRig's configuration in the plan for `value`.
pub(crate) fn file(value: Value) -> Value {
    plan(value).unwrap().files.remove(0).content.parse().unwrap()
}

/// A configuration with one pool and `more`.
pub(crate) fn with(more: Value) -> Value {
    let mut value = json!({ "pool": "p.example:3333", "wallet": "4Wallet" });
    value.as_object_mut().unwrap().extend(config(more).0);
    value
}

#[test]
fn the_description_is_as_recorded() {
    testing::golden("golden/description.json", &driver().describe().unwrap());
}

#[test]
fn plans_are_as_recorded() {
    testing::golden("golden/plan-single-pool.json", &plan(with(json!({}))).unwrap());
    let every_field = json!({
        "pools": [
            {
                "url": "stratum+ssl://a.example:443", "wallet": "4First", "pass": "first-pass",
                "rigId": "own", "coin": "monero", "tls": true, "sni": true, "keepalive": 30,
                "tlsFingerprint": "AB".repeat(32), "nicehash": true, "socks5": "10.0.0.1:1080",
                "enabled": true,
            },
            { "url": "[2001:db8::1]:3333", "user": "4Second", "rigId": "", "enabled": false },
            { "url": "c.example:3333", "wallet": "4Third", "algo": "chukwa", "socks5": "" },
        ],
        "algo": "RandomX", "rigId": "rig", "keepalive": true, "proxy": "127.0.0.1:9050",
        "cpu": true, "affinity": [0, 2], "threads": 2, "cpuPriority": 1,
        "hugePages": true, "hugePagesJit": true, "msr": true,
        "randomxMode": "fast", "randomxInitThreads": 4, "numa": false,
        "opencl": true, "openclDevices": [0, 2], "openclPlatform": "NVIDIA",
        "cuda": true, "cudaDevices": [1],
        "donateLevel": 5, "retries": 3, "retryPause": 7, "printTime": 15,
        "pauseOnBattery": true, "pauseOnActive": false,
        "xmrig": {
            "user-agent": "agent/1", "verbose": 1, "dns": { "ip_version": 4 },
            "cpu": { "yield": false, "asm": "ryzen" },
            "randomx": { "scratchpad_prefetch_mode": 2, "wrmsr": [["0x1a4", "0xf"]] },
            "opencl": { "cache": false, "adl": false }, "cuda": { "nvml": false },
        },
    });
    testing::golden("golden/every-field.json", &file(every_field));
}

#[test]
fn the_other_plans_are_as_recorded() {
    let (driver, launch) = (driver(), testing::launch());
    let install = |os: &str, arch: &str, version: Option<&str>| {
        let version = version.map(str::to_owned);
        driver.install(&Target { os: os.into(), arch: arch.into(), version })
    };
    let command = |name: &str| {
        driver.command(&Command { name: name.into(), params: Value::Null }, &launch).unwrap()
    };
    let plans = json!({
        "installLinux": install("linux", "x86_64", None).unwrap(),
        "installMac": install("macos", "aarch64", None).unwrap(),
        "installMacIntel": install("macos", "x86_64", Some("6.26.0")).unwrap(),
        "installWindows": install("windows", "x86_64", Some("6.26.0")).unwrap(),
        "installWindowsArm": install("windows", "aarch64", None).unwrap(),
        "installOldWindows": install("windows", "x86_64", Some("v6.22.1")).unwrap(),
        "stop": driver.stop(&launch).unwrap(),
        "probes": driver.probes(&launch).unwrap(),
        "pause": command("pause"),
        "resume": command("resume"),
    });
    testing::golden("golden/plans.json", &plans);
}

#[test]
fn where_xmrig_publishes_nothing_the_operator_reads_what_to_do() {
    for (os, arch, wanted) in [
        ("linux", "aarch64", "build it on this machine"),
        ("linux", "riscv64", "build it on this machine"),
        ("freebsd", "x86_64", "no program for freebsd"),
    ] {
        let target = Target { os: os.into(), arch: arch.into(), version: None };
        let error = driver().install(&target).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.contains(wanted), "{}", error.message);
    }
}

#[test]
fn the_version_is_read_from_the_program_itself() {
    let version = |text: &str| driver().version(text);
    assert_eq!(version(include_str!("../samples/version.txt")).unwrap(), "6.26.0");
    assert_eq!(version("warning\r\nXMRig 6.27.0-dev\r\n").unwrap(), "6.27.0-dev");
    for other in ["", "XMRig", "XMRig ", "xmrig-proxy 6.26.0", "XMRig ../1", "libuv/1.44.2"] {
        assert!(version(other).is_err(), "{other}");
    }
}

#[test]
fn secrets_stand_in_the_file_and_nowhere_else() {
    let plan = plan(json!({
        "pools": [
            { "url": "a.example:1", "wallet": "4Wallet", "pass": "hu\"sh\\" },
            { "url": "b.example:1", "user": "4User" },
        ],
        "xmrig": { "x-service": { "access-token": "their-token", "list": [{ "secret": "deep" }] } },
    }))
    .unwrap();
    let token = testing::launch().api_token;
    for secret in ["4Wallet", "hu\"sh\\", "4User", "their-token", "deep", &token] {
        assert!(plan.secrets.iter().any(|masked| masked == secret), "{secret}");
    }
    let mut shown = plan.files[0].content.clone();
    for secret in &plan.secrets {
        shown = shown.replace(secret.as_str(), "***");
    }
    shown += &format!("{:?} {:?} {:?} {:?}", plan.args, plan.env, plan.stdin, plan.program);
    for secret in ["4Wallet", "hu\\\"sh", "4User", "their-token", "deep", &token] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn without_a_program_there_is_no_plan() {
    let launch = Launch { program: None, ..testing::launch() };
    let error = driver().start(&complete(with(json!({}))), &launch).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[test]
fn the_rig_has_the_name_that_the_host_gives_unless_another_is_wanted() {
    let rig = |launch_worker: &str, value: Value| {
        let launch = Launch { worker: launch_worker.to_owned(), ..testing::launch() };
        let StartPlan::Process(plan) = driver().start(&complete(with(value)), &launch).unwrap()
        else {
            panic!("no process")
        };
        let file: Value = plan.files[0].content.parse().unwrap();
        file["pools"][0]["rig-id"].clone()
    };
    assert_eq!(rig("host", json!({})), "host");
    assert_eq!(rig("host", json!({ "rigId": "mine" })), "mine");
    assert_eq!(rig("host", json!({ "rigId": "" })), Value::Null);
    for unusable in ["", "${HOME}", "a\nb"] {
        assert_eq!(rig(unusable, json!({})), Value::Null, "{unusable}");
    }
}

#[test]
fn the_manifest_names_the_driver() {
    assert_eq!(adit_plugin_api::export::default_id(env!("CARGO_PKG_NAME")), "xmrig");
}
