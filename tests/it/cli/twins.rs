//! Every operation of the API has its twin on the command line.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::{
    cli::{failed, run, said},
    host::Host,
};

/// Operation, and the command that does the same. A command with `api` is the one for any route.
const TWINS: &[(&str, &str)] = &[
    ("get /health", "api"),
    ("get /ready", "api"),
    ("get /openapi.json", "api"),
    ("get /docs", "api"),
    ("get /info", "info"),
    ("post /doctor", "doctor"),
    ("post /update", "update"),
    ("get /events", "events"),
    ("get /ws/events", "events"),
    ("get /events/recent", "events"),
    ("post /events/ticket", "api"),
    ("get /webhooks", "webhook list"),
    ("post /webhooks/{name}/test", "webhook test"),
    ("get /audit", "audit"),
    ("get /tokens", "token list"),
    ("post /tokens", "token create"),
    ("delete /tokens/{id}", "token remove"),
    ("get /miners", "miner list"),
    ("post /miners", "miner start"),
    ("get /miners/available", "miner types"),
    ("get /miners/{name}", "miner show"),
    ("delete /miners/{name}", "miner stop"),
    ("get /miners/{name}/stats", "miner stats"),
    ("get /miners/{name}/logs", "miner logs"),
    ("get /miners/{name}/plan", "miner plan"),
    ("get /miners/{name}/runs", "miner runs"),
    ("post /miners/{name}/start", "miner start"),
    ("post /miners/{name}/restart", "miner restart"),
    ("post /miners/{name}/pause", "miner pause"),
    ("post /miners/{name}/resume", "miner resume"),
    ("post /miners/{name}/stdin", "miner stdin"),
    ("post /miners/{name}/pools", "miner pools"),
    ("post /miners/{name}/maintenance", "watchdog maintenance"),
    ("get /miners/{name}/watchdog", "watchdog show"),
    ("put /miners/{name}/watchdog", "watchdog set"),
    ("get /miners/{name}/incidents", "incidents"),
    ("get /incidents", "incidents"),
    ("get /incidents/{id}", "incidents"),
    ("post /miners/{name}/install", "install"),
    ("delete /miners/{name}/uninstall", "uninstall"),
    ("post /miners/{name}/rollback", "rollback"),
    ("get /miners/{name}/versions", "versions"),
    ("get /miners/{name}/hashrate-history", "history show"),
    ("get /drivers", "driver list"),
    ("get /drivers/{id}", "driver show"),
    ("post /drivers/{id}/clear", "driver clear"),
    ("post /drivers/{id}/trust", "driver trust"),
    ("get /drivers/{id}/x/{path}", "api"),
    ("post /drivers/{id}/x/{path}", "api"),
    ("put /drivers/{id}/x/{path}", "api"),
    ("patch /drivers/{id}/x/{path}", "api"),
    ("delete /drivers/{id}/x/{path}", "api"),
    ("get /history/status", "history status"),
    ("get /history/miners", "history miners"),
    ("get /history/miners/{name}", "history miners"),
    ("get /history/miners/{name}/hashrate", "history show"),
    ("get /history/totals", "history totals"),
    ("get /history/totals/hashrate", "history totals"),
    ("get /history/events", "history events"),
    ("get /metrics", "api"),
    ("get /remote-write", "remote-write"),
    ("get /profiles", "profile list"),
    ("post /profiles", "profile create"),
    ("get /profiles/{id}", "profile show"),
    ("put /profiles/{id}", "profile edit"),
    ("delete /profiles/{id}", "profile delete"),
    ("get /profiles/export", "profile export"),
    ("post /profiles/import", "profile import"),
    ("get /profiles/{id}/plan", "explain"),
    ("post /profiles/{id}/start", "profile start"),
    ("get /wallets", "wallet list"),
    ("post /wallets", "wallet create"),
    ("get /wallets/{name}", "wallet show"),
    ("put /wallets/{name}", "wallet edit"),
    ("delete /wallets/{name}", "wallet delete"),
    ("get /pools", "pool list"),
    ("post /pools", "pool create"),
    ("get /pools/{name}", "pool show"),
    ("put /pools/{name}", "pool edit"),
    ("delete /pools/{name}", "pool delete"),
    ("get /node/info", "node info"),
    ("post /node/init", "node init"),
    ("post /node/rotate", "node rotate"),
    ("post /node/invite", "node invite"),
    ("post /node/join", "node join"),
    ("get /peers", "peer list"),
    ("post /peers", "node invite"),
    ("get /peers/{id}", "peer show"),
    ("put /peers/{id}", "peer set"),
    ("delete /peers/{id}", "peer remove"),
    ("post /peers/{id}/ping", "peer ping"),
    ("post /peers/{id}/connect", "peer connect"),
    ("post /peers/{id}/disconnect", "peer disconnect"),
    ("get /remote/stats", "remote stats"),
    ("post /remote/start", "remote start"),
    ("post /remote/stop", "remote stop"),
    ("post /remote/install", "remote install"),
    ("post /remote/deploy", "remote deploy"),
    ("get /remote/{peer}/stats", "remote stats"),
    ("post /remote/{peer}/start", "remote start"),
    ("post /remote/{peer}/stop", "remote stop"),
    ("post /remote/{peer}/install", "remote install"),
    ("get /remote/{peer}/logs/{miner}", "remote logs"),
    ("get /remote/{peer}/miners/{miner}/hashrate-history", "history show"),
    ("get /compat/xmrig/{name}/1/summary", "api"),
    ("get /compat/xmrig/{name}/2/summary", "api"),
    ("get /compat/xmrig/{name}/2/backends", "api"),
    ("get /compat/xmrig/{name}/api.json", "api"),
    ("get /compat/xmrig/{name}/1/config", "api"),
    ("put /compat/xmrig/{name}/1/config", "api"),
    ("get /compat/xmrig/{name}/2/config", "api"),
    ("put /compat/xmrig/{name}/2/config", "api"),
    ("post /compat/xmrig/{name}/json_rpc", "api"),
    ("get /compat/hiveos/{name}", "api"),
    ("get /compat/mmpos/{name}", "api"),
];

#[test]
fn every_operation_has_its_command_and_every_command_is_there() {
    let host = Host::start();
    let twins: BTreeMap<&str, &str> = TWINS.iter().copied().collect();
    assert_eq!(twins.len(), TWINS.len(), "an operation is listed twice");
    let document = host.get("/openapi.json");
    let mut operations: Vec<String> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        operations.extend(methods.as_object().unwrap().keys().map(|it| format!("{it} {path}")));
    }
    for operation in &operations {
        assert!(twins.contains_key(operation.as_str()), "{operation} has no command");
    }
    for (operation, command) in twins {
        assert!(operations.iter().any(|it| it == operation), "{operation} is no operation");
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let (code, said, error) = run(&host, &args);
        assert_eq!(code, 0, "{command}: {error}");
        assert!(said.contains(&format!("adit {command}")), "{command}: {said}");
    }
}

#[test]
fn any_route_can_be_called() {
    let host = Host::start();
    let listed: Value = serde_json::from_str(&said(&host, &["api", "get", "/miners"])).unwrap();
    assert_eq!(listed, json!([]));
    let body = r#"{"name":"dash","role":"view"}"#;
    let made: Value =
        serde_json::from_str(&said(&host, &["api", "POST", "/tokens", "--data", body])).unwrap();
    assert_eq!(made["name"], "dash");
    let figures = said(&host, &["api", "GET", "/metrics"]);
    assert!(figures.contains("# TYPE"), "{figures}");
    let told = failed(&host, &["api", "GET", "/miners/nobody"], 1);
    assert!(told.contains("there is no miner nobody"), "{told}");
    assert!(failed(&host, &["api", "LOOK", "/miners"], 1).contains("write one of GET"));
    assert!(failed(&host, &["api", "GET", "miners"], 1).contains("begins with /"));
    assert!(failed(&host, &["api", "POST", "/tokens", "--data", "{"], 1).contains("no JSON"));
}

#[test]
fn a_miner_is_shown_with_its_plan_and_its_runs() {
    let host = Host::start();
    host.simulate("rig-1", &json!({ "wallet": "wallet-of-mine" }));
    host.wait_for_phase("rig-1", "mining");
    let shown = said(&host, &["miner", "show", "rig-1"]);
    assert!(shown.starts_with("rig-1 (sim), mining\n") && shown.contains("restarts  0"), "{shown}");
    let plan = said(&host, &["miner", "plan", "rig-1"]);
    assert!(plan.starts_with("program  /") && plan.contains("sim-miner"), "{plan}");
    assert!(said(&host, &["miner", "runs", "rig-1"]).contains("  runs  "));
    assert!(said(&host, &["miner", "types"]).contains("sim "));
    let audit = said(&host, &["audit"]);
    assert!(
        audit.contains("token-file") && audit.contains("POST /api/v1/mining/miners"),
        "{audit}"
    );
}

#[test]
fn shells_and_manuals_know_the_commands() {
    let host = Host::absent();
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&host, &["completions", shell]);
        assert!(script.contains("doctor") && script.contains("completions"), "{shell}");
        assert!(!script.contains("driver-runner ("), "{shell}");
    }
    assert_eq!(run(&host, &["completions", "tcsh"]).0, 2);
    let folder = host.folder.path().join("man");
    let told = said(&host, &["man", folder.to_str().unwrap()]);
    assert!(told.contains(" pages in "), "{told}");
    let told = host.run_json(&["man", folder.to_str().unwrap()]);
    assert!(told["pages"].as_u64() > Some(80), "{told}");
    let page = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert!(page("adit.1").contains("Exit codes"), "{}", page("adit.1"));
    assert!(
        page("adit-miner-start.1").contains("adit miner start"),
        "{}",
        page("adit-miner-start.1")
    );
    // A dash in a command's name is no blank.
    let push = page("adit-remote-write.1");
    assert!(push.contains("adit remote\\-write"), "{push}");
    assert!(!folder.join("adit-keeper.1").exists());
    let help = said(&host, &["--help"]);
    assert!(help.contains("Exit codes:\n  0  done"), "{help}");
    for face in ["/docs", "/metrics", "[compat]", "[remote_write]", "[[webhooks]]"] {
        assert!(help.contains(face), "{face}: {help}");
    }
}
