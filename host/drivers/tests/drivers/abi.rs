//! Drivers that were compiled with other versions of the driver API, and a host of another one.
//! `tests/abi` says what they are and how they were made.

use std::{
    fs,
    io::{ErrorKind, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use adit_drivers::handle::Driver;
use adit_plugin_api::{Config, HttpRequest, Launch, Reply, StartPlan, Value, json};
use sha2::{Digest, Sha256};

use crate::place::{PATIENCE, Place, built, get};

/// A fixture, unpacked, if it is what its list of sums says.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/abi/fixtures");
    let packed = fs::read(folder.join(format!("{name}-x86_64.gz"))).unwrap();
    let hex: String = Sha256::digest(&packed).iter().map(|byte| format!("{byte:02x}")).collect();
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert!(sums.contains(&format!("{hex}  {name}-x86_64.gz")), "{name} is not what was made");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

async fn ask(driver: &Driver, path: &str, body: &str) -> String {
    let object = driver.instance(None).await.unwrap();
    let request = HttpRequest { path: path.into(), body: body.into(), ..HttpRequest::default() };
    let answer = object.request(request).await;
    answer.map_or_else(|error| error.to_string(), |it| String::from_utf8(it.body).unwrap())
}

async fn check(driver: &Driver) {
    let object = driver.instance(None).await.unwrap();
    assert_eq!(driver.description().name, "Fixture");
    let config: Config = serde_json::from_value(json!({ "pool": "pool.example:1" })).unwrap();
    let launch = Launch { data_dir: "/data".into(), api_port: 7, ..Launch::default() };
    let StartPlan::Process(plan) = object.start(config, launch).await.unwrap() else {
        panic!("a program is planned");
    };
    assert_eq!(plan.args, ["pool.example:1", "7"]);
    let body = br#"{"hashrate": 12.5}"#.to_vec();
    let replies = vec![Reply { body, ..Reply::default() }];
    let metrics = object.stats(Launch::default(), replies).await.unwrap();
    assert_eq!(metrics.hashrate, Some(12.5));
    assert_eq!(object.is_healthy().await, Ok(true));
    assert_eq!(ask(driver, "/panic", "").await, "the driver panicked in request: panic on demand");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")),
    ignore = "the fixtures are compiled for x86_64 Linux with glibc"
)]
async fn drivers_of_an_older_and_a_newer_api_work_here() {
    for name in ["driver-1.0.0", "driver-1.1.0"] {
        let place = Place::new();
        place.put("fixture.so", &fixture(name));
        for options in [place.options(), place.process_options()] {
            let drivers = place.load_with(options).await;
            let driver = get(&drivers, "fixture");
            assert_eq!(driver.manifest().api.to_string(), name.trim_start_matches("driver-"));
            check(&driver).await;
            // The newer one calls what this host does not have, and gets the answer for that.
            let now = ask(&driver, "/now", "").await;
            let expected = if name == "driver-1.1.0" { "0" } else { "no route /now" };
            assert_eq!(now, expected);
        }
    }
}

fn next_host(place: &Place, driver: &Path) -> Value {
    let program: PathBuf = place.put("host", &fixture("host-1.1.0"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // A child that another test is about to start may still hold it open for writing.
    let began = Instant::now();
    let output = loop {
        match Command::new(&program).arg(driver).output() {
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy && began.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            output => break output.unwrap(),
        }
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", driver.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")),
    ignore = "the fixtures are compiled for x86_64 Linux with glibc"
)]
fn drivers_of_today_work_in_a_newer_host() {
    let place = Place::new();
    let explained = |bytes: &[u8]| {
        let answer = next_host(&place, &place.put("driver.so", bytes));
        assert_eq!(answer["healthy"], true, "{answer}");
        answer["explained"].as_str().unwrap().to_owned()
    };
    assert_eq!(explained(&fixture("driver-1.1.0")), "shares at 1000");
    let missing = "explain needs a driver of API 1.1";
    assert_eq!(explained(&fixture("driver-1.0.0")), missing);
    for driver in ["minimal_driver", "faulty_driver", "sim_driver"] {
        assert_eq!(explained(&built(driver)), missing, "{driver}");
    }
}
