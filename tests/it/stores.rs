//! The push of all series, to the stores that operators have.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::host::{Host, PATIENCE, wait_for};

/// A store of this machine's, which ends with the test.
struct Store(Child);

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn run(program: &str, args: &[String]) -> Store {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    Store(command.spawn().unwrap_or_else(|error| panic!("{program}: {error}")))
}

fn prometheus(folder: &Path, address: &str) -> Store {
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, "scrape_configs: []\n").unwrap();
    run(
        "prometheus",
        &[
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("tsdb").display()),
            format!("--web.listen-address={address}"),
            "--web.enable-remote-write-receiver".to_owned(),
        ],
    )
}

fn victoria(folder: &Path, address: &str) -> Store {
    run(
        "victoria-metrics",
        &[
            format!("-storageDataPath={}", folder.join("victoria").display()),
            format!("-httpListenAddr={address}"),
            "-search.latencyOffset=0s".to_owned(),
        ],
    )
}

/// What the store answers to a query, or nothing while it is not ready.
fn ask(address: &str, query: &str) -> Option<Value> {
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let address = format!("http://{address}/api/v1/query");
    let address = reqwest::Url::parse_with_params(&address, &[("query", query)]).unwrap();
    let answer: Value = client.get(address).send().ok()?.json().ok()?;
    answer["data"]["result"].as_array()?.first().cloned()
}

/// Has a store take the series of a host that ran before the store did.
fn takes_what_is_pushed(begin: fn(&Path, &str) -> Store) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let host = crate::api::host_with(&format!(
        "[remote_write]\nurl = 'http://{address}/api/v1/write'\ninterval_ms = 500\n"
    ));
    host.simulate("rig", &json!({}));
    host.wait_for_phase("rig", "mining");
    let status = |host: &Host| host.get("/remote-write");
    wait_for("the lack of the store to be noticed", || {
        (status(&host)["failures"].as_u64()? > 0).then_some(())
    });
    let _store = begin(host.folder.path(), &address);
    for (query, label, expected) in [
        ("miner_up", "instance", "rig"),
        ("miner_hashrate_hashes_per_second{window=\"10s\"} > 0", "algo", "rx/0"),
        ("host_build_info", "job", "adit"),
        ("driver_call_duration_seconds_count{driver=\"sim\"} > 0", "driver", "sim"),
        ("histogram_quantile(0.5, driver_call_duration_seconds_bucket) >= 0", "job", "adit"),
    ] {
        let series = wait_for(query, || ask(&address, query));
        assert_eq!(series["metric"][label], expected, "{series}");
    }
    // What waited for the store is there too, and nothing was refused.
    let told = status(&host);
    assert_eq!(
        (&told["refusedSamples"], &told["droppedSamples"]),
        (&json!(0), &json!(0)),
        "{told}"
    );
    assert!(told["sentSamples"].as_u64() > Some(0), "{told}");
}

#[test]
#[ignore = "needs prometheus, of Debian's package of that name"]
fn prometheus_takes_what_is_pushed() {
    takes_what_is_pushed(prometheus);
}

#[test]
#[ignore = "needs victoria-metrics, of Debian's package of that name"]
fn victoria_metrics_takes_what_is_pushed() {
    takes_what_is_pushed(victoria);
}
