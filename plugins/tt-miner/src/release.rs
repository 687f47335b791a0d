//! Where TT-Miner comes from, and what it needs of the machine.

use adit_plugin_api::{Error, InstallPlan, Launch, Proof, ReleasePlan, Result, Target};

/// The oldest driver of NVIDIA's that TT-Miner runs with on Linux, as its ReadMe says.
const LINUX_DRIVER: &str = "525.60.13";
/// The same on Windows.
const WINDOWS_DRIVER: &str = "528.33";

/// The release asset for `target`.
///
/// TT-Miner publishes neither sums nor signatures, and no sum of it is known for certain here, so
/// that the host trusts a version at its first use and refuses another file of it afterwards.
///
/// # Errors
/// When TT-Miner publishes nothing that runs there.
pub(crate) fn plan(target: &Target) -> Result<InstallPlan> {
    let (archive, program) = match (target.os.as_str(), target.arch.as_str()) {
        ("linux", "x86_64") => ("tar.gz", "TT-Miner"),
        ("windows", "x86_64") => ("zip", "TT-Miner.exe"),
        ("linux" | "windows", arch) => {
            return Err(Error::unsupported(format!(
                "TT-Miner is published for x86_64 only, and this machine is {arch}"
            )));
        }
        (os, _) => {
            return Err(Error::unsupported(format!(
                "TT-Miner is published for Linux and Windows only, and this machine runs {os}"
            )));
        }
    };
    Ok(InstallPlan::Release(ReleasePlan {
        repository: "TrailingStop/TT-Miner-release".to_owned(),
        asset: format!("TT-Miner-{{version}}.{archive}"),
        program: format!("TT-Miner-{{version}}/{program}"),
        // Releases differ: 2023.1.0 had a folder without the version.
        program_elsewhere: vec![format!("TT-Miner/{program}"), program.to_owned()],
        version_args: vec!["--version".to_owned()],
        // Its documentation lists no such option: the banner is what it prints before it complains.
        version_exit_codes: vec![1],
        proof: Proof::default(),
        ..ReleasePlan::default()
    }))
}

/// The version in what TT-Miner prints, such as `TT-Miner - Version: 2024.3.3 - Beta 5 (…)`, which
/// is `2024.3.3-beta.5`.
///
/// # Errors
/// When it could not run, with what is missing, or when another program printed it.
pub(crate) fn version(output: &str) -> Result<String> {
    if output.contains("libcuda.so") || output.contains("nvcuda.dll") {
        return Err(Error::unavailable(format!(
            "TT-Miner does not run without NVIDIA's driver: install version {LINUX_DRIVER} or \
             newer ({WINDOWS_DRIVER} on Windows)"
        )));
    }
    output
        .lines()
        .find_map(banner)
        .ok_or_else(|| Error::failed("this is not TT-Miner: it did not print its version"))
}

/// The version in one line; absent when it is not the banner.
pub(crate) fn banner(line: &str) -> Option<String> {
    let (before, rest) = line.split_once("TT-Miner - Version: ")?;
    // A time and stars stand before it, nothing else.
    let is_frame = |c: char| c.is_ascii_digit() || " .:*".contains(c);
    let named = rest.split_once(" (").map_or(rest, |(named, _)| named).trim();
    let (version, beta) = match named.split_once(" - ") {
        Some((version, beta)) => (version.trim(), Some(beta.trim())),
        None => (named, None),
    };
    let is_version = (1..=32).contains(&version.len())
        && version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
    if !before.chars().all(is_frame) || !is_version {
        return None;
    }
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '.' };
    let beta: Option<String> = beta.map(|beta| beta.chars().take(16).map(word).collect());
    Some(beta.map_or(version.to_owned(), |beta| format!("{version}-{beta}")))
}

/// Refuses a driver of NVIDIA's that is too old, when the host knows which one is loaded. Without
/// one TT-Miner may still mine on processors and other GPUs.
///
/// # Errors
/// [`adit_plugin_api::ErrorKind::Unavailable`] with what to install.
pub(crate) fn check_gpu_driver(launch: &Launch) -> Result<()> {
    let Some(found) = launch.facts.get("nvidiaDriver").and_then(|fact| fact.as_str()) else {
        return Ok(());
    };
    let oldest = if cfg!(windows) { WINDOWS_DRIVER } else { LINUX_DRIVER };
    if numbers(found) >= numbers(oldest) {
        return Ok(());
    }
    Err(Error::unavailable(format!(
        "TT-Miner needs NVIDIA's driver {oldest} or newer, and this machine has {found}: update the \
         driver"
    )))
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}
