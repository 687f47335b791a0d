//! `GET /metrics`: a valid text, and everything that dashboard and alerts ask for.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    host::{Host, wait_for},
    watchdog::{grief, impatient, patient_about_hashes, wait_for_action},
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
    patient_about_hashes(&host, "ill");
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

/// The family of a series: a histogram has several.
fn family(name: &str) -> &str {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|it| name.strip_suffix(it));
    base.filter(|it| it.ends_with("_duration_seconds")).unwrap_or(name)
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
    let series: BTreeSet<_> = names(&text).into_iter().map(family).collect();
    assert_eq!(families, series, "each family is described once, each series is of one");
    for line in [
        r#"driver_calls_total{driver="sim",op="stats",outcome="ok"}"#,
        r#"driver_quarantined{driver="sim"} 0"#,
        r#"driver_call_duration_seconds_bucket{driver="sim",le="+Inf"}"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
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
        let queries = queries(file, &asked);
        assert_eq!(
            queries.len(),
            asked.matches("expr").count() + asked.matches("label_values(").count()
        );
        let asked: BTreeSet<String> = queries.iter().flat_map(|it| asked_by(it)).collect();
        assert!(asked.len() >= 5, "{file}: {asked:?}");
        for name in asked {
            assert!(names(&text).contains(name.as_str()), "{file} asks for {name}\n{text}");
        }
    }
}

/// The queries of a dashboard or of alert rules.
fn queries(file: &str, text: &str) -> Vec<String> {
    if file.ends_with(".json") {
        let mut found = Vec::new();
        find_queries(&serde_json::from_str(text).unwrap(), &mut found);
        return found;
    }
    // Each begins after `expr:` and goes on in lines that are indented deeper.
    let depth = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text.lines().collect();
    let begins = lines.iter().enumerate().filter(|(_, line)| line.trim().starts_with("expr:"));
    let whole = begins.map(|(at, line)| {
        let more = lines[at + 1..].iter().take_while(|it| depth(it) > depth(line));
        [line.trim().trim_start_matches("expr:").trim_start_matches(" |")]
            .into_iter()
            .chain(more.copied())
            .collect::<Vec<_>>()
            .join(" ")
    });
    whole.collect()
}

fn find_queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                match inner.as_str() {
                    // A datasource is one too, of one word.
                    Some(text) if name == "expr" || (name == "query" && text.contains('(')) => {
                        found.push(text.to_owned());
                    }
                    _ => find_queries(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|it| find_queries(it, found)),
        _ => {}
    }
}

/// The metrics that a query asks for: every name that is no function, no label and no keyword.
fn asked_by(query: &str) -> BTreeSet<String> {
    let mut rest = query.to_owned();
    for (open, close) in [('"', '"'), ('{', '}'), ('[', ']')] {
        while let Some(from) = rest.find(open) {
            let to = from + 1 + rest[from + 1..].find(close).unwrap();
            rest.replace_range(from..=to, " ");
        }
    }
    for word in ["by", "on", "ignoring", "without"] {
        while let Some(from) = rest.find(&format!(" {word} (")) {
            let to = from + rest[from..].find(')').unwrap();
            rest.replace_range(from..=to, " ");
        }
    }
    // The second word of this is a label.
    if let Some(inner) = rest.strip_prefix("label_values(") {
        rest = inner.split(',').next().unwrap().to_owned();
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let spaced: String =
        rest.chars().map(|c| if is_part(c) || c == '(' { c } else { ' ' }).collect();
    let spaced = spaced.replace('(', " ( ");
    let words: Vec<&str> = spaced.split_whitespace().chain([""]).collect();
    let named = words.windows(2).filter(|it| {
        it[0].starts_with(|c: char| c.is_ascii_alphabetic())
            && it[1] != "("
            && !["and", "or", "unless", "bool"].contains(&it[0])
    });
    named.map(|it| it[0].to_owned()).collect()
}

#[test]
fn names_are_found_in_queries() {
    let query =
        r#"sum by (a) (rate(x_total{b="c, d"}[5m])) / on (a) y{le!="+Inf"} > 0.5 and z == 1"#;
    assert_eq!(
        asked_by(query).iter().map(String::as_str).collect::<Vec<_>>(),
        ["x_total", "y", "z"]
    );
    let alert = "groups:\n  - alert: A\n    expr: |\n      x\n        and y\n    for: 1m\n";
    assert_eq!(asked_by(&queries("a.yml", alert)[0]).len(), 2);
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
