//! Tells the crate what it is built by and for. A driver is built in the same run, so both hold for
//! the driver too and go into its manifest.

use std::{env, process};

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    #[expect(clippy::disallowed_methods, reason = "a build script has no miners to look after")]
    let output = process::Command::new(compiler).arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=ADIT_TARGET={target}");
    println!("cargo:rustc-env=ADIT_RUSTC={}", version.unwrap_or_default());
}
