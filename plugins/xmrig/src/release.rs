//! Where XMRig comes from, and what proves it.

use adit_plugin_api::{Error, InstallPlan, Proof, ReleasePlan, Result, Target};

/// Fingerprint of the key that signs XMRig's releases, "XMRig <support@xmrig.com>" of 2019.
const FINGERPRINT: &str = "9AC4CEA8E66E35A5C7CDDC1B446A53638BE94409";

/// The key, as XMRig keeps it beside its source.
const KEY_URL: &str = "https://raw.githubusercontent.com/xmrig/xmrig/master/doc/gpg_keys/xmrig.asc";

/// The release asset for `target`.
///
/// # Errors
/// When XMRig publishes nothing that runs there.
pub(crate) fn plan(target: &Target) -> Result<InstallPlan> {
    let platform = match (target.os.as_str(), target.arch.as_str()) {
        // Built against no library of the system: it runs on every distribution.
        ("linux", "x86_64") => "linux-static-x64.tar.gz",
        ("macos", "x86_64") => "macos-x64.tar.gz",
        ("macos", "aarch64") => "macos-arm64.tar.gz",
        ("windows", "x86_64") if is_before_6_23(target) => "gcc-win64.zip",
        ("windows", "x86_64") => "windows-x64.zip",
        ("windows", "aarch64") if !is_before_6_23(target) => "windows-arm64.zip",
        ("linux", arch) => {
            return Err(Error::unsupported(format!(
                "XMRig publishes no program for Linux on {arch}: build it on this machine from the \
                 source at https://github.com/xmrig/xmrig and install that file \
                 (adit install xmrig --from FILE --sha256 SUM)"
            )));
        }
        (os, arch) => {
            return Err(Error::unsupported(format!(
                "XMRig publishes no program for {os} on {arch}"
            )));
        }
    };
    let program = if target.os == "windows" { "xmrig.exe" } else { "xmrig" };
    Ok(InstallPlan::Release(ReleasePlan {
        repository: "xmrig/xmrig".to_owned(),
        asset: format!("xmrig-{{version}}-{platform}"),
        program: format!("xmrig-{{version}}/{program}"),
        version_args: vec!["--version".to_owned()],
        // It mines for XMRig's authors, and XMRig falls back to it.
        remove: vec!["xmrig-{version}/config.json".to_owned()],
        proof: Proof {
            sums: Some("SHA256SUMS".to_owned()),
            signature: Some("SHA256SUMS.sig".to_owned()),
            key_url: Some(KEY_URL.to_owned()),
            fingerprint: Some(FINGERPRINT.to_owned()),
            ..Proof::default()
        },
        ..ReleasePlan::default()
    }))
}

/// The programs for Windows had other names then.
fn is_before_6_23(target: &Target) -> bool {
    let version = target.version.as_deref().unwrap_or_default().trim_start_matches('v');
    let mut parts = version.split('.').map(|part| part.parse::<u32>());
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 23),
        _ => false,
    }
}

/// The version in the text of `xmrig --version`, which begins `XMRig 6.26.0`.
///
/// # Errors
/// When another program printed it.
pub(crate) fn version(output: &str) -> Result<String> {
    let version = output.lines().find_map(|line| line.trim_end().strip_prefix("XMRig "));
    let is_version = |text: &&str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte))
    };
    version
        .filter(is_version)
        .map(str::to_owned)
        .ok_or_else(|| Error::failed("this is not XMRig: it did not print its version"))
}
