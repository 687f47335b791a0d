//! XMRig from outside: installed from a release server, mining at a pool on this machine. The
//! program is a double, and the real one where a tester names it in `ADIT_TEST_XMRIG`.

mod bad_input;
mod faults;
mod income;
mod install;
mod path;
mod pools;
mod traps;

use std::fs;

use adit_doubles::{
    pool::Pool,
    release::{
        archives::TarGz,
        server::Server,
        signing::{PUBLISHER, Signer},
    },
};
use serde_json::{Value, json};

use crate::host::{Host, built, wait_for};

const NONE: &Value = &Value::Null;

/// A wallet that is nobody's, as long as real ones.
const WALLET: &str =
    "4AdUndXHHZ6cfufTMvppY6JwXNouMBzSkbLYfpAV5Usx3skxNgYeYTRj5UzqtReoS44qo9mtmXCqY45DJ852K5Jv";
const PASSWORD: &str = "hunter-two";

/// The file of a release that the driver takes on this machine.
fn asset(version: &str) -> String {
    format!("xmrig-{version}-linux-static-x64.tar.gz")
}

/// A host that installs from a release server on this machine.
struct Rig {
    host: Host,
    server: Server,
}

impl Rig {
    /// A host that trusts the key of the test, and no release.
    fn new() -> Self {
        let signer = format!("signers = {{ xmrig = \"{}\" }}\n", PUBLISHER.fingerprint());
        Self::with_settings(&signer)
    }

    /// `more` goes into the section for releases.
    fn with_settings(more: &str) -> Self {
        let server = Server::start(PUBLISHER.public());
        let mut host = Host::absent();
        let base = server.base();
        let settings = fs::read_to_string(host.settings()).unwrap();
        let releases = format!(
            "[releases]\napi = \"{base}\"\ndownloads = \"{base}\"\nkeys = \"{base}\"\n\
             stall_ms = 10000\nretry_pause_ms = 10\n{more}"
        );
        fs::write(host.settings(), format!("{settings}\n{releases}")).unwrap();
        host.up(&[]);
        Self { host, server }
    }

    /// A host on which the double is installed as XMRig 6.26.0.
    fn installed() -> Self {
        Self::obeying(&json!({}))
    }

    /// The same with orders for the double.
    fn obeying(orders: &Value) -> Self {
        let rig = Self::new();
        rig.publish("6.26.0", orders);
        rig.host.ok("POST", "/miners/xmrig/install", NONE);
        rig
    }

    /// A host on which the XMRig that the tester names is installed.
    fn real() -> Self {
        let rig = Self::new();
        let archive = archive_of("6.26.0", &real_program(), "donate.example:3333");
        rig.publish_archive("6.26.0", archive, &PUBLISHER);
        rig.host.ok("POST", "/miners/xmrig/install", NONE);
        rig
    }

    /// Publishes the double as a version of XMRig.
    fn publish(&self, version: &str, orders: &Value) {
        self.publish_archive(version, archive(version, orders), &PUBLISHER);
    }

    fn publish_archive(&self, version: &str, archive: TarGz, signer: &Signer) {
        self.server.publish(version, &asset(version), archive.bytes(), signer);
    }

    /// Makes a miner `rig-1` at `pool`, with `config` on top.
    fn start(&self, pool: &Pool, config: &Value) -> Value {
        let body = json!({ "name": "rig-1", "type": "xmrig", "config": at(pool, config) });
        self.host.ok("POST", "/miners", &body)
    }

    fn stats(&self) -> Value {
        self.host.get("/miners/rig-1/stats")
    }

    /// Waits until more shares than `count` were accepted, by the miner's own figures.
    fn wait_for_shares(&self, count: u64) -> u64 {
        wait_for(&format!("more shares than {count}"), || {
            self.stats()["shares"].as_u64().filter(|shares| *shares > count)
        })
    }

    /// Waits for the field `name`, which only the program's API tells; a phase may be from the
    /// output.
    fn wait_for_extra(&self, name: &str) -> String {
        wait_for(name, || self.stats()["extraData"][name].as_str().map(str::to_owned))
    }

    /// Waits until the miner's note has `text` in it, and checks that the command line and the
    /// events tell the same.
    fn wait_for_reason(&self, text: &str) -> String {
        let reason = wait_for(&format!("a note with {text:?}"), || {
            let miner = self.host.miner("rig-1");
            miner["reason"].as_str().filter(|it| it.contains(text)).map(str::to_owned)
        });
        assert!(!reason.contains('\n') && reason.len() < 700, "{reason}");
        let listed = self.host.run_json(&["miner", "list"]).to_string();
        assert!(listed.contains(text), "{listed}");
        // Told a moment after it is shown.
        wait_for(&format!("an event with {text:?}"), || {
            let events = self.events("miner.error");
            events.iter().any(|it| it.to_string().contains(text)).then_some(())
        });
        for shown in [&reason, &listed] {
            assert!(!shown.contains(WALLET) && !shown.contains(PASSWORD), "{shown}");
        }
        reason
    }

    /// Waits until the miner's note is gone: a phase is from the API, a note from the output, which
    /// may be read a moment later.
    fn wait_for_no_reason(&self) {
        wait_for("no note any more", || self.host.miner("rig-1")["reason"].is_null().then_some(()));
    }

    /// The data of all events of a kind.
    fn events(&self, kind: &str) -> Vec<Value> {
        let recent = self.host.get("/events/recent?limit=1000");
        let events = recent["events"].as_array().unwrap().clone();
        events.iter().filter(|event| event["type"] == kind).map(|it| it["data"].clone()).collect()
    }

    /// The command line's complaint about an installation.
    fn install_fails(&self) -> String {
        let output = self.host.run(&["install", "xmrig"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    }
}

/// The XMRig that the tester names.
fn real_program() -> Vec<u8> {
    let path = std::env::var("ADIT_TEST_XMRIG").expect("ADIT_TEST_XMRIG names an XMRig");
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Tests that what is checked is true of the double, and of the real program.
macro_rules! on_both {
    ($($check:ident: $double:ident, $real:ident;)*) => {
        $(
            #[test]
            fn $double() {
                $check(&$crate::xmrig::Rig::installed());
            }

            #[test]
            #[ignore = "needs ADIT_TEST_XMRIG"]
            fn $real() {
                $check(&$crate::xmrig::Rig::real());
            }
        )*
    };
}
use on_both;

/// A configuration for `pool`, one thread.
fn at(pool: &Pool, config: &Value) -> Value {
    let mut full = json!({
        "pool": pool.url(), "wallet": WALLET, "password": PASSWORD, "algo": "argon2/chukwa",
        "threads": 1, "hugePages": false, "retries": 5, "retryPause": 1, "printTime": 1,
    });
    full.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    full.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    full
}

/// What a release holds: a script that runs the double with orders, and the configuration that
/// XMRig ships, which mines for others.
fn archive(version: &str, orders: &Value) -> TarGz {
    let mut orders = orders.clone();
    orders["version"] = json!(version);
    let script = format!(
        "#!/bin/sh\nDOUBLE_ORDERS='{orders}' exec {} \"$@\"\n",
        built("xmrig-double").display()
    );
    archive_of(version, script.as_bytes(), "donate.example:3333")
}

fn archive_of(version: &str, program: &[u8], others: &str) -> TarGz {
    let theirs = json!({ "pools": [{ "url": others, "user": "somebody-else" }], "autosave": true });
    let top = format!("xmrig-{version}");
    TarGz::new()
        .file(&format!("{top}/xmrig"), 0o755, program)
        .file(&format!("{top}/config.json"), 0o644, theirs.to_string().as_bytes())
        .file(&format!("{top}/SHA256SUMS"), 0o644, b"of the contents, unsigned\n")
}
