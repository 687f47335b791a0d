//! Keeps a program to its own directories: the kernel (Landlock) lets it write nowhere else.
//!
//! Reading and running stay free, so programs find their libraries and tools. What cannot be
//! written: files outside, and device nodes other than those that miners need. A confined program
//! also cannot signal processes of other runs, and set-user-id programs give it no more rights.
//! Landlock says nothing about modes, owners and times of files, and nothing about the network.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

/// The newest generation of Landlock whose rights to write are used: truncation came with it.
const LANDLOCK: ABI = ABI::V3;

/// Devices that any program may write to.
const DEVICES: [&str; 9] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    // Registers that RandomX is faster with. Only root may write to them.
    "/dev/cpu",
];

/// Starts of the names of devices that compute: GPUs, and boards on serial lines and USB.
const COMPUTE: [&str; 9] =
    ["nvidia", "dri", "kfd", "bus", "hidraw", "i2c-", "ttyUSB", "ttyACM", "xdma"];

/// Rules that let a program write below `writable` only; `None` where the kernel has no Landlock.
///
/// # Errors
/// When a directory is not there, or the kernel refuses the rules.
pub(super) fn rules(writable: &[PathBuf]) -> io::Result<Option<RulesetCreated>> {
    let wrong = |error: RulesetError| io::Error::other(format!("Landlock failed: {error}"));
    // The first generation must be there, later ones add to it.
    let first = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if first.handle_access(AccessFs::from_write(ABI::V1)).and_then(Ruleset::create).is_err() {
        return Ok(None);
    }
    let write = AccessFs::from_write(LANDLOCK);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(write)
        .and_then(|rules| rules.scope(Scope::Signal))
        .and_then(Ruleset::create)
        .map_err(wrong)?;
    // A device node of its own making would be a way to every disk.
    let own: BitFlags<AccessFs> = write & !AccessFs::MakeBlock & !AccessFs::MakeChar;
    for folder in writable {
        let folder = PathFd::new(folder).map_err(io::Error::other)?;
        rules = rules.add_rule(PathBeneath::new(folder, own)).map_err(wrong)?;
    }
    let devices = path_beneath_rules(devices(), AccessFs::WriteFile);
    rules.add_rules(devices).map(Some).map_err(wrong)
}

fn devices() -> Vec<PathBuf> {
    let mut devices: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    devices.extend(entries.map(|it| it.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        COMPUTE.iter().any(|start| name.starts_with(start))
    }));
    // AMD's runtime shares memory by files there, and fails without.
    if Path::new("/dev/kfd").exists() {
        devices.push("/dev/shm".into());
    }
    devices
}
