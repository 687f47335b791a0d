//! The API over TLS.

use std::{fs, net::TcpStream, os::unix::fs::PermissionsExt, path::Path, process::Output};

use adit_doubles::certificate;
use serde_json::Value;

use crate::host::{Host, wait_for};

/// A host with a certificate that nobody vouches for.
fn encrypted() -> Host {
    let host = Host::absent();
    let (certificate, key) = certificate();
    write_private(&host.folder.path().join("key.pem"), &key);
    fs::write(host.folder.path().join("cert.pem"), certificate).unwrap();
    let before = fs::read_to_string(host.settings()).unwrap();
    let folder = host.folder.path().display();
    let tls =
        format!("[api]\ntls_certificate = \"{folder}/cert.pem\"\ntls_key = \"{folder}/key.pem\"\n");
    fs::write(host.settings(), format!("{before}{tls}")).unwrap();
    host
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_command_line_knows_the_host_by_its_certificate() {
    let mut host = encrypted();
    host.up(&[]);
    assert!(host.base.starts_with("https://"), "{}", host.base);
    assert_eq!(host.run_json(&["miner", "list"]), Value::Array(Vec::new()));

    let token = fs::read_to_string(host.state().join("token")).unwrap();
    let other = host.folder.path().join("other.pem");
    fs::write(&other, certificate().0).unwrap();
    let from_afar = |certificate: Option<&Path>| {
        let mut command = host.command(&["miner", "list", "--json", "--url", &host.base]);
        if let Some(certificate) = certificate {
            command.arg("--certificate").arg(certificate);
        }
        command.env("ADIT_TOKEN", token.trim()).output().unwrap()
    };
    assert!(from_afar(Some(&host.folder.path().join("cert.pem"))).status.success());
    let text = complaint(&from_afar(Some(&other)));
    assert!(text.contains("another certificate than the one that is known"), "{text}");
    let text = complaint(&from_afar(None));
    assert!(text.contains("does not answer"), "{text}");
}

#[test]
fn nothing_is_said_to_a_client_without_tls() {
    let mut host = encrypted();
    host.up(&[]);
    let plain = host.base.replacen("https", "http", 1);
    let answer = reqwest::blocking::get(format!("{plain}/health"));
    assert!(answer.is_err(), "{answer:?}");
}

#[test]
fn certificates_that_cannot_serve_are_refused_with_the_reason() {
    let refused = |change: &dyn Fn(&Path)| {
        let host = encrypted();
        change(host.folder.path());
        let output = host.run(&["up"]);
        complaint(&output)
    };
    let text = refused(&|folder| fs::remove_file(folder.join("cert.pem")).unwrap());
    assert!(text.contains("api.tls_certificate") && text.contains("No such file"), "{text}");
    let text = refused(&|folder| fs::write(folder.join("cert.pem"), "nothing").unwrap());
    assert!(text.contains("there is no certificate in it"), "{text}");
    let text = refused(&|folder| write_private(&folder.join("key.pem"), "nothing"));
    assert!(text.contains("api.tls_key") && text.contains("not a PEM file"), "{text}");
    let text = refused(&|folder| write_private(&folder.join("key.pem"), &certificate().1));
    assert!(text.contains("it cannot serve the certificate"), "{text}");
    let text = refused(&|folder| {
        let readable = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder.join("key.pem"), readable).unwrap();
    });
    assert!(text.contains("everybody on this machine may read it"), "{text}");
}

#[test]
fn a_renewed_certificate_is_taken_up_and_a_bad_one_is_not() {
    let mut host = encrypted();
    host.up(&[]);
    let (cert, key) = (host.folder.path().join("cert.pem"), host.folder.path().join("key.pem"));
    let address = host.base["https://".len()..].split('/').next().unwrap().to_owned();
    fs::write(&cert, "half of one").unwrap();
    wait_for("the complaint", || {
        drop(TcpStream::connect(&address).unwrap());
        host.log().contains("goes on with its last certificate").then_some(())
    });
    let (renewed, its_key) = certificate();
    write_private(&key, &its_key);
    fs::write(&cert, renewed).unwrap();
    // The command line knows only the renewed one.
    let list = || host.run(&["miner", "list"]).status.success();
    wait_for("the renewed certificate", || list().then_some(()));
}

#[test]
fn beyond_loopback_a_certificate_is_enough() {
    let mut host = encrypted();
    host.up(&["--listen", "0.0.0.0:0"]);
    assert!(host.run(&["miner", "list"]).status.success());
}
