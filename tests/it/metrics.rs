//! `GET /metrics`: a valid text, and everything that dashboard and alerts ask for.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::json;

use crate::{
    host::{Host, wait_for},
    watchdog::{grief, impatient, wait_for_action},
};

fn scrape(host: &Host) -> String {
    let answer = host.request("GET", "/metrics").send().unwrap();
    assert!(answer.status().is_success());
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    answer.text().unwrap()
}

/// A host with a miner of which everything is known, a restart, a warning and a store that is away.
fn busy() -> Host {
    let host = impatient(
        "[remote_write]\nurl = 'http://127.0.0.1:1/write'\ninterval_ms = 200\n\
         [[webhooks]]\nname = 'pager'\nurl = 'http://127.0.0.1:1/'\ntypes = ['miner.started']\n",
    );
    host.simulate("well", &json!({}));
    grief(&host, "ill", &json!({ "hangAfterMs": 1500 }));
    host.wait_for_phase("well", "mining");
    wait_for_action(&host, "ill", "restart");
    host
}

fn names(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect()
}

#[test]
fn everything_that_is_asked_for_in_the_examples_is_there() {
    let host = busy();
    // A name of a series appears a moment after what it counts.
    let text = wait_for("the action to be counted", || {
        let text = scrape(&host);
        (text.contains("miner_watchdog_actions_total{")
            && text.contains("miner_restarts_total{")
            && text.contains("remote_write_failures_total"))
        .then_some(text)
    });
    assert!(text.contains(r#"miner_up{instance="well",driver="sim",algo="rx/0"} 1"#), "{text}");
    assert!(text.contains(r#"cause="frozen"} 1"#), "{text}");
    let families: BTreeSet<_> =
        text.lines().filter_map(|it| it.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(families, names(&text), "each family is described once, each series is of one");
    let series: Vec<_> = text
        .lines()
        .filter(|it| !it.starts_with('#'))
        .map(|it| it.rsplit_once(' ').unwrap())
        .collect();
    let distinct: BTreeSet<_> = series.iter().map(|it| it.0).collect();
    assert_eq!(distinct.len(), series.len(), "no series twice");
    assert!(series.iter().all(|it| it.1.parse::<f64>().is_ok()), "{text}");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy");
    for file in ["grafana-dashboard.json", "prometheus-alerts.yml"] {
        let asked = fs::read_to_string(examples.join(file)).unwrap();
        let asked: BTreeSet<String> =
            words(&asked).into_iter().filter(|it| is_metric(it)).collect();
        assert!(asked.len() >= 5, "{file}: {asked:?}");
        for name in asked {
            assert!(names(&text).contains(name.as_str()), "{file} asks for {name}\n{text}");
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned).collect()
}

fn is_metric(word: &str) -> bool {
    ["miner_", "driver_", "host_", "remote_write_", "webhook_", "process_"]
        .iter()
        .any(|it| word.starts_with(it))
        && !["driver_version", "miner_version"].contains(&word)
}

#[test]
fn metrics_need_a_token_unless_the_operator_says_otherwise() {
    let mut host = Host::start();
    let bare = |host: &Host| {
        host.bare_request(&reqwest::Method::GET, "/metrics").send().unwrap().status().as_u16()
    };
    assert_eq!(bare(&host), 401);
    host.kill();
    fs::write(host.settings(), "[api]\nmetrics_public = true\n").unwrap();
    host.up(&[]);
    assert_eq!(bare(&host), 200);
    let status = host.bare_request(&reqwest::Method::GET, "/miners").send().unwrap().status();
    assert_eq!(status, 401);
}

#[test]
#[ignore = "needs promtool, of Debian's package prometheus"]
fn promtool_has_nothing_to_say() {
    let host = busy();
    let file = host.folder.path().join("metrics.txt");
    fs::write(&file, scrape(&host)).unwrap();
    let checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr) + String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.trim().is_empty(), "{said}");
    let alerts =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy/prometheus-alerts.yml");
    let checked = Command::new("promtool").args(["check", "rules"]).arg(alerts).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
