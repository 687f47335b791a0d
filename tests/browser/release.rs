//! A host that installs from a release server on this machine, where XMRig's double is published.

use std::fs;

use adit_doubles::release::{archives::TarGz, server::Server, signing::PUBLISHER};

use crate::host::{Host, built};

/// A host that trusts the publisher of the test, and the server where nothing is released yet.
pub(crate) fn host() -> (Host, Server) {
    let server = Server::start(PUBLISHER.public());
    let mut host = Host::absent();
    let (base, key) = (server.base(), PUBLISHER.fingerprint());
    let usual = fs::read_to_string(host.settings()).unwrap();
    let releases = format!(
        "[releases]\napi = \"{base}\"\ndownloads = \"{base}\"\nkeys = \"{base}\"\n\
         stall_ms = 4000\nretry_pause_ms = 10\nsigners = {{ xmrig = \"{key}\" }}\n"
    );
    fs::write(host.settings(), format!("{usual}\n{releases}")).unwrap();
    host.up(&[]);
    (host, server)
}

/// Releases the double as a version of XMRig, with `padding` bytes that cannot be compressed.
pub(crate) fn publish(server: &Server, version: &str, padding: usize) {
    let script = format!(
        "#!/bin/sh\nDOUBLE_ORDERS='{{\"version\":\"{version}\"}}' exec {} \"$@\"\n",
        built("xmrig-double").display()
    );
    let top = format!("xmrig-{version}");
    let noise = (0..padding).scan(1_u32, |seed, _| {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(seed.to_be_bytes()[0])
    });
    let archive = TarGz::new().file(&format!("{top}/xmrig"), 0o755, script.as_bytes()).file(
        &format!("{top}/noise"),
        0o644,
        &noise.collect::<Vec<_>>(),
    );
    let asset = format!("xmrig-{version}-linux-static-x64.tar.gz");
    server.publish(version, &asset, archive.bytes(), &PUBLISHER);
}
