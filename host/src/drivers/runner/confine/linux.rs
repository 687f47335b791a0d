//! The limits of this system's processes, Landlock for files and TCP, seccomp for system calls.

use std::{collections::BTreeMap, path::Path, thread, time::Duration};

use crate::drivers::{
    runner::{
        LoadOrder,
        confine::{Confinement, Rule},
    },
    text::chain,
};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use linux_raw_sys::general as nr;
use rustix::{
    process::{Resource, Rlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// How long a driver's share of a processor is counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Files that a driver may have open.
const MOST_FILES: u64 = 256;
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
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// Confines this process and all threads that it starts later.
pub(crate) fn confine(order: &LoadOrder) -> Confinement {
    // Killed before the host and the miners when the machine runs out of memory. Not always allowed.
    std::fs::write("/proc/self/oom_score_adj", "600").ok();
    hard_limit(Resource::Core, 0).ok();
    hard_limit(Resource::Nofile, MOST_FILES).ok();
    let memory = limit_memory(order.memory_bytes);
    let landlock = restrict_files(order);
    let calls = restrict_calls(order.network);
    let files = match &landlock {
        Ok(status) if status.ruleset == RulesetStatus::NotEnforced => {
            Rule::new(false, "this kernel has no Landlock, or it is switched off")
        }
        Ok(status) => Rule::new(
            true,
            format!(
                "reads system libraries and /sys, writes to its own folder only{}",
                if status.ruleset == RulesetStatus::PartiallyEnforced {
                    "; this kernel's Landlock is older and leaves some actions open"
                } else {
                    ""
                }
            ),
        ),
        Err(error) => Rule::new(false, format!("Landlock failed: {}", chain(error))),
    };
    let network = match (order.network, &calls) {
        (true, _) => Rule::new(false, "allowed by the settings (drivers.network)"),
        (false, Ok(())) => Rule::new(true, "none"),
        (false, Err(error)) => Rule::new(false, error.clone()),
    };
    let calls = match calls {
        Ok(()) => Rule::new(true, "no programs, no processes, no tracing, no mounting"),
        Err(error) => Rule::new(false, error),
    };
    let cpu = limit_cpu(order.cpu_percent);
    Confinement { memory, cpu, files, network, calls }
}

/// Whether the first generation of Landlock is there. A ruleset that is only made binds nobody.
pub(crate) fn has_landlock() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let made = rules.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create);
    made.is_ok()
}

fn hard_limit(resource: Resource, most: u64) -> rustix::io::Result<()> {
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

fn limit_memory(bytes: u64) -> Rule {
    // Of all that can be limited per process this is nearest to memory in use: what is only
    // reserved does not count.
    match hard_limit(Resource::Data, bytes) {
        Ok(()) => Rule::new(true, format!("{} MiB", bytes >> 20)),
        Err(error) => Rule::new(false, format!("the limit cannot be set: {error}")),
    }
}

/// The kernel counts processor time from the start of a process. So the limit moves: at the begin of
/// each window it is set to what was used and the share of the window.
fn limit_cpu(percent: u32) -> Rule {
    let share = (WINDOW.as_secs() * u64::from(percent)).div_ceil(100).max(1);
    let renew = move || {
        let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or_default();
        setrlimit(Resource::Cpu, Rlimit { current: Some(used + 1 + share), maximum: None })
    };
    let first = renew();
    let renewing = move || {
        while renew().is_ok() {
            thread::sleep(WINDOW);
        }
    };
    let thread = thread::Builder::new().name("cpu-limit".to_owned()).spawn(renewing);
    match (first, thread) {
        (Ok(()), Ok(_)) => {
            Rule::new(true, format!("{share} s of each {} s of one core", WINDOW.as_secs()))
        }
        (Err(error), _) => Rule::new(false, format!("the limit cannot be set: {error}")),
        (_, Err(error)) => Rule::new(false, format!("no thread to renew the limit: {error}")),
    }
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
    let library: [&Path; 1] = [&order.library];
    rules
        .create()?
        .add_rules(path_beneath_rules(READABLE, read))?
        .add_rules(path_beneath_rules(library, read))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(own, all & !AccessFs::Execute & !AccessFs::MakeBlock))?
        .restrict_self()
}

/// System calls that no driver needs.
const REFUSED: [u32; 27] = [
    nr::__NR_execve,
    nr::__NR_execveat,
    nr::__NR_ptrace,
    nr::__NR_process_vm_readv,
    nr::__NR_process_vm_writev,
    nr::__NR_pidfd_getfd,
    nr::__NR_kcmp,
    nr::__NR_mount,
    nr::__NR_umount2,
    nr::__NR_pivot_root,
    nr::__NR_chroot,
    nr::__NR_setns,
    nr::__NR_unshare,
    nr::__NR_bpf,
    nr::__NR_perf_event_open,
    nr::__NR_keyctl,
    nr::__NR_add_key,
    nr::__NR_request_key,
    nr::__NR_userfaultfd,
    nr::__NR_io_uring_setup,
    nr::__NR_init_module,
    nr::__NR_finit_module,
    nr::__NR_delete_module,
    nr::__NR_kexec_load,
    nr::__NR_swapon,
    nr::__NR_reboot,
    nr::__NR_acct,
];

fn restrict_calls(network: bool) -> Result<(), String> {
    let failed = |error: &dyn std::error::Error| format!("seccomp failed: {}", chain(error));
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.into_iter().map(|call| (i64::from(call), Vec::new())).collect();
    // Threads are made by clone as well.
    let thread = u64::from(nr::CLONE_THREAD);
    let no_thread =
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(|error| failed(&error))?;
    refused.insert(i64::from(nr::__NR_clone), vec![no_thread]);
    #[cfg(target_arch = "x86_64")]
    for call in [nr::__NR_fork, nr::__NR_vfork] {
        refused.insert(i64::from(call), Vec::new());
    }
    if !network {
        // Also not those that lead to services of this machine.
        refused.insert(i64::from(nr::__NR_socket), Vec::new());
    }
    // The arguments of its successor cannot be looked into; without it clone is used.
    let missing = BTreeMap::from([(i64::from(nr::__NR_clone3), Vec::new())]);
    for (calls, errno) in [(missing, rustix::io::Errno::NOSYS), (refused, rustix::io::Errno::PERM)]
    {
        let errno = u32::try_from(errno.raw_os_error()).unwrap_or(1);
        let arch = std::env::consts::ARCH.try_into().map_err(|error| failed(&error))?;
        let action = SeccompAction::Errno(errno);
        let filter = SeccompFilter::new(calls, SeccompAction::Allow, action, arch);
        let program: BpfProgram =
            filter.and_then(TryInto::try_into).map_err(|error| failed(&error))?;
        seccompiler::apply_filter(&program).map_err(|error| failed(&error))?;
    }
    Ok(())
}
