//! A host that may not begin says why, and nothing has changed.

use std::{collections::BTreeMap, fs, net::TcpListener, path::Path, process::Output};

use rustix::process::{Signal, geteuid};
use serde_json::json;

use crate::{
    host::{Host, is_alive, signal},
    survival::{figures, keeper, mining, pid, programs},
};

/// Checks that `adit up` failed as it should and returns what it said.
fn refused(output: Output) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("adit: "), "{said}");
    said
}

/// Content of every file below `folder` that no keeper writes while it is there.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.is_file() && !name.contains("/log.") {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn a_second_host_is_sent_to_the_first() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    let said = refused(host.run(&["up"]));
    assert!(!host.has_ended());
    assert!(said.contains(&format!("another host (pid {}) uses", host.pid())), "{said}");
    assert!(said.contains(host.state().to_str().unwrap()), "{said}");
    figures(&host);
    assert_eq!(host.program("rig-1"), pid(&miner));
    assert_eq!(host.run_json(&["miner", "list"])[0]["phase"], "mining");
}

#[test]
fn a_host_whose_port_is_taken_names_the_holder_and_touches_nothing() {
    let mut host = Host::start();
    let alive = mining(&host, &json!({}));
    host.simulate("dead", &json!({}));
    let dead = host.wait_for_phase("dead", "mining");
    host.kill();
    // A host would start this one at once.
    signal(keeper(&dead), Signal::KILL);
    crate::host::wait_for("one program", || (programs(&host.state()).len() == 1).then_some(()));
    let before = contents(&host.state());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(host.run(&["up", "--listen", &address]));
    assert!(said.contains(&address), "{said}");
    assert!(said.contains(&format!("(pid {}) listens there", std::process::id())), "{said}");
    assert_eq!(programs(&host.state()), [pid(&alive)]);
    let after = contents(&host.state());
    let changed: Vec<_> = before.keys().chain(after.keys()).collect();
    let changed: Vec<_> =
        changed.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
    assert!(changed.is_empty(), "{changed:?}");
    drop(taken);
    host.up(&[]);
    host.wait_for_phase("dead", "mining");
    assert_eq!(host.program("rig-1"), pid(&alive));
}

#[test]
fn a_state_folder_of_another_user_is_refused() {
    let mut host = Host::start();
    let miner = mining(&host, &json!({}));
    host.kill();
    let of = |path: &Path| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap());
    let state = host.state();
    let stranger = if geteuid().is_root() {
        std::os::unix::fs::chown(&state, Some(65534), None).unwrap();
        state.clone()
    } else {
        "/usr/share".into()
    };
    let owner = of(&stranger);
    let said = refused(host.run(&["up", "--state-dir", stranger.to_str().unwrap()]));
    assert!(said.contains("belongs to another user"), "{said}");
    assert!(said.contains(stranger.to_str().unwrap()), "{said}");
    assert_eq!(of(&stranger), owner);
    assert!(is_alive(pid(&miner)));
    if geteuid().is_root() {
        std::os::unix::fs::chown(&state, Some(0), None).unwrap();
    }
    host.up(&[]);
    host.wait_for_phase("rig-1", "mining");
    assert_eq!(host.program("rig-1"), pid(&miner));
}
