//! The limits of this system's processes, Landlock for files and TCP, seccomp for system calls.

use std::{io, os::fd::OwnedFd, path::Path};

use crate::{
    runner::{
        LoadOrder,
        confine::{Confinement, Rule, calls, sys},
    },
    text::chain,
};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::{
    process::{Resource, Rlimit, setrlimit},
    thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
        set_no_new_privs,
    },
};

/// Files that a driver may have open.
const MOST_FILES: u64 = 256;
/// Signals that may be queued.
const MOST_SIGNALS: u64 = 64;
/// The stack of the main thread, in bytes. Stacks that grow are not counted as memory.
const STACK: u64 = 8 << 20;
/// How much more than its memory a driver may reserve: a bound on the tables that the kernel keeps
/// for what is reserved, which are not counted either (1/512 of it).
const RESERVED: u64 = 4;
/// What a runner maps whatever the driver does, in bytes.
const MAPPED: u64 = 4 << 30;
/// The newest generation of Landlock whose rights are known here.
const LANDLOCK: ABI = ABI::V6;

/// Where a driver may read and map libraries.
const READABLE: [&str; 9] = [
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/sys",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
];
/// What it takes to find a host by its name and to verify its certificate.
const OF_NETWORK: [&str; 8] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
];
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// Confines this process and all threads that it starts later. Returns the descriptor at which the
/// host answers calls that are refused.
pub(crate) fn confine(order: &LoadOrder) -> (Confinement, Option<OwnedFd>) {
    // Killed before the host and the miners when the machine runs out of memory. Not always allowed.
    std::fs::write("/proc/self/oom_score_adj", "600").ok();
    let limited = limit(order);
    let landlock = restrict_files(order);
    let privileges = drop_privileges();
    // Last, because most of the calls above are not on the list.
    let filtered = restrict_calls(order.network);
    let (calls, listener) = match filtered {
        Ok(listener) => {
            (privileges.map_err(|error| format!("privileges are kept: {error}")), listener)
        }
        Err(error) => (Err(error), None),
    };
    let needs_calls = |detail: String| match &calls {
        Ok(()) => Rule::new(true, detail),
        Err(error) => Rule::new(false, error.clone()),
    };
    let memory = match &limited {
        Ok(()) => needs_calls(format!("{} MiB, none of it shared", order.memory_bytes >> 20)),
        Err(error) => Rule::new(false, format!("the limit cannot be set: {error}")),
    };
    let network = if order.network {
        Rule::new(false, "allowed by the settings (drivers.network): TCP and UDP")
    } else {
        needs_calls("none".to_owned())
    };
    let threads = order.bounds.threads;
    let grants = if listener.is_some() { "granted one by one by the host" } else { BY_HOST };
    let confinement = Confinement {
        memory,
        cpu: Rule::new(true, order.bounds.cpu()),
        threads: Rule::new(true, format!("{threads}, {grants}")),
        files: files(&landlock, calls.is_ok()),
        disk: match limited {
            Ok(()) => Rule::new(true, format!("{}, {BY_HOST}", order.bounds.disk())),
            Err(_) => Rule::new(false, "the limit of a file's size cannot be set"),
        },
        network,
        processes: needs_calls(
            "none: no signals to others, nor their limits, priorities and memory".to_owned(),
        ),
        calls: needs_calls(format!(
            "an allow-list; {}",
            if listener.is_some() {
                "what is refused is reported"
            } else {
                "what is refused cannot be reported here"
            }
        )),
    };
    (confinement, listener)
}

/// How the host sees to what the kernel does not count for a single process.
const BY_HOST: &str = "checked each second by the host";

/// What only a runner needs, and no driver.
pub(crate) fn seal(order: &LoadOrder) -> io::Result<()> {
    sys::install(&calls::sealed(order.network).map_err(io::Error::other)?)
}

/// Whether the first generation of Landlock is there. A ruleset that is only made binds nobody.
pub(crate) fn has_landlock() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let made = rules.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create);
    made.is_ok()
}

fn files(landlock: &Result<RestrictionStatus, RulesetError>, has_calls: bool) -> Rule {
    match landlock {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => {
            Rule::new(false, "this kernel has no Landlock, or it is switched off")
        }
        // The list of calls covers what older generations leave open: truncating files without the
        // right to write, commands to devices, signals.
        Ok(status) if status.ruleset == RulesetStatus::PartiallyEnforced && !has_calls => {
            Rule::new(false, "this kernel's Landlock is older and leaves some actions open")
        }
        Ok(_) => Rule::new(
            true,
            "reads system libraries and /sys, writes to its own folder only, changes no modes, \
             owners or times",
        ),
        Err(error) => Rule::new(false, format!("Landlock failed: {}", chain(error))),
    }
}

fn limit(order: &LoadOrder) -> rustix::io::Result<()> {
    let hard =
        |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    hard(Resource::Core, 0)?;
    hard(Resource::Nofile, MOST_FILES)?;
    hard(Resource::Memlock, 0)?;
    // What is queued counts for the user, so it would be missing elsewhere.
    hard(Resource::Sigpending, MOST_SIGNALS)?;
    hard(Resource::Fsize, order.bounds.file_bytes())?;
    // A lower limit than the one it was started with is kept.
    let stack = rustix::process::getrlimit(Resource::Stack).maximum.unwrap_or(STACK);
    hard(Resource::Stack, stack.min(STACK))?;
    // Of all that can be limited per process this is nearest to memory in use: what is only
    // reserved does not count.
    hard(Resource::Data, order.memory_bytes)?;
    hard(Resource::As, order.memory_bytes.saturating_mul(RESERVED).saturating_add(MAPPED))
}

/// Root without privileges is a user like others, who owns root's files.
fn drop_privileges() -> rustix::io::Result<()> {
    set_no_new_privs(true)?;
    // The bounding set matters for programs only, and none is started.
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

fn restrict_files(order: &LoadOrder) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::from_read(LANDLOCK);
    let all = AccessFs::from_all(LANDLOCK);
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    rules = rules.handle_access(all)?.scope(Scope::from_all(LANDLOCK))?;
    if !order.network {
        rules = rules.handle_access(AccessNet::from_all(LANDLOCK))?;
    }
    let own: [&Path; 1] = [&order.data_dir];
    // What is in memory is below no path, and open already.
    let library = Some(&order.library).filter(|_| !order.in_memory);
    let of_network = OF_NETWORK.iter().filter(|_| order.network);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
    // Files and folders, nothing that leads elsewhere: no devices, sockets, pipes or links.
    let in_own = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    rules
        .create()?
        .add_rules(path_beneath_rules(READABLE, read))?
        .add_rules(path_beneath_rules(of_network, read))?
        .add_rules(path_beneath_rules(library, read))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .add_rules(path_beneath_rules(own, in_own & !AccessFs::Execute))?
        .restrict_self()
}

fn restrict_calls(network: bool) -> Result<Option<OwnedFd>, String> {
    let failed = |error: io::Error| format!("seccomp failed: {error}");
    let supervised = calls::allowed(network, true)?;
    let listener = if can_continue() { sys::install_with_listener(&supervised).ok() } else { None };
    if listener.is_none() {
        // There is one listener for all filters of a process, and a container may have taken it.
        sys::install(&calls::allowed(network, false)?).map_err(failed)?;
    }
    // Of two errors that filters give, that of the later filter counts.
    sys::install(&calls::missing()?).map_err(failed)?;
    Ok(listener)
}

/// Whether the host may have the kernel make a call that was handed over: since Linux 5.5.
fn can_continue() -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|it: char| !it.is_ascii_digit()).map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    (next(), next()) >= (5, 5)
}
