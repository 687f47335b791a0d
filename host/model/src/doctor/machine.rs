//! What is judged of the machine itself: memory, huge pages, clock, limits, devices, the disk.

use crate::doctor::{Finding, Verdict};

/// 2 MiB pages that RandomX takes for its dataset and cache.
const RANDOMX_PAGES: u64 = 1_168;
/// Memory that RandomX takes, in MiB.
const RANDOMX_MIB: u64 = 2_400;
/// Open files that a host with some miners and a crowd of subscribers needs.
const FILES: u64 = 4_096;
/// Free space of the state folder below which logs and the history are soon in trouble, in MiB.
const SPACE_MIB: u64 = 1_024;
/// Free space below which nothing can be installed or written for long, in MiB.
const LEAST_SPACE_MIB: u64 = 100;

/// What was read of a machine; absent where it does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Processors that may be used.
    pub cores: u64,
    /// Memory that can be had, in MiB.
    pub available_mib: Option<u64>,
    /// 2 MiB pages that are set aside, and how many of them are free.
    pub huge_pages: Option<(u64, u64)>,
    /// Whether `/dev/cpu/0/msr` can be written; absent: there is none.
    pub msr: Option<bool>,
    /// Whether the processor has such registers.
    pub is_x86: bool,
    /// Whether the system says that its clock is set by a time server.
    pub clock_synchronised: Option<bool>,
    /// Files that this process may have open.
    pub open_files: Option<u64>,
    /// Whether Landlock can confine drivers.
    pub landlock: bool,
    /// Whether the system groups processes with cgroup v2.
    pub cgroup2: bool,
    /// Graphics cards by maker: how many, and whether their driver is there.
    pub nvidia: Cards,
    /// The same.
    pub amd: Cards,
}

/// Graphics cards of one maker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cards {
    /// How many the machine has.
    pub count: usize,
    /// Whether a driver for computing on them is loaded.
    pub has_driver: bool,
}

/// The disk of the state folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Space left for the host's user, in MiB.
    pub free_mib: u64,
    /// Files that can still be made; absent where there is no such limit.
    pub free_files: Option<u64>,
}

/// Judges the machine.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![
        memory(facts),
        huge_pages(facts),
        clock(facts),
        files(facts),
        landlock(facts),
        cgroup(facts),
    ];
    found.extend(msr(facts));
    found.extend(cards("NVIDIA", "nvidia", facts.nvidia, "install the package nvidia-driver"));
    found.extend(cards(
        "AMD",
        "amd",
        facts.amd,
        "install the maker's ROCm or OpenCL packages and see that the module amdgpu is loaded",
    ));
    found
}

fn memory(facts: &Facts) -> Finding {
    let id = "memory";
    match facts.available_mib {
        None => Finding::unknown(id, "the system does not tell how much memory there is"),
        Some(mib) if mib < RANDOMX_MIB => Finding::bad(
            id,
            Verdict::Note,
            format!(
                "{mib} MiB of memory are available; RandomX in its fast mode takes {RANDOMX_MIB}"
            ),
            "end what uses memory, or set the RandomX mode of the miner to light",
        ),
        Some(mib) => Finding::ok(id, format!("{mib} MiB of memory are available")),
    }
}

fn huge_pages(facts: &Facts) -> Finding {
    let id = "hugePages";
    // Each thread has a scratchpad of one page.
    let wanted = (RANDOMX_PAGES + facts.cores).next_multiple_of(128);
    let command = format!("sudo sysctl -w vm.nr_hugepages={wanted}");
    let fix = format!(
        "run: {command} and restart the miner; to keep it, write vm.nr_hugepages={wanted} to \
         /etc/sysctl.d/60-hugepages.conf"
    );
    match facts.huge_pages {
        None => Finding::unknown(id, "the system does not tell of huge pages"),
        Some((0, _)) => Finding::bad(
            id,
            Verdict::Warning,
            "no huge pages are set aside: RandomX loses up to half of its hashrate",
            fix,
        )
        .with_command(command),
        Some((all, _)) if all < RANDOMX_PAGES => Finding::bad(
            id,
            Verdict::Warning,
            format!(
                "{all} huge pages are set aside; RandomX takes {RANDOMX_PAGES} and one a thread"
            ),
            fix,
        )
        .with_command(command),
        Some((all, free)) => {
            Finding::ok(id, format!("{all} huge pages are set aside, {free} of them are free"))
        }
    }
}

fn msr(facts: &Facts) -> Option<Finding> {
    let id = "msr";
    let told = "RandomX is up to 15 % slower";
    facts.is_x86.then(|| match facts.msr {
        Some(true) => Finding::ok(id, "the model specific registers can be set"),
        Some(false) => Finding::bad(
            id,
            Verdict::Note,
            format!("only root may set the model specific registers: {told} without that"),
            "set them at boot with the miner's own script (randomx_boost.sh for XMRig), or run the \
             host as root",
        ),
        None => Finding::bad(
            id,
            Verdict::Note,
            format!("the module msr is not loaded: {told}"),
            "run: sudo modprobe msr; to keep it, write msr to /etc/modules-load.d/msr.conf",
        )
        .with_command("sudo modprobe msr"),
    })
}

fn clock(facts: &Facts) -> Finding {
    let id = "clock";
    match facts.clock_synchronised {
        Some(true) => Finding::ok(id, "the clock is set by a time server"),
        Some(false) => Finding::bad(
            id,
            Verdict::Warning,
            "the clock is not set by a time server: charts, invites and TLS go wrong when it drifts",
            "run: sudo timedatectl set-ntp true, or install chrony",
        )
        .with_command("sudo timedatectl set-ntp true"),
        None => Finding::unknown(id, "the system does not tell whether its clock is right"),
    }
}

fn files(facts: &Facts) -> Finding {
    let id = "openFiles";
    match facts.open_files {
        None => Finding::ok(id, "any number of files may be open"),
        Some(most) if most < FILES => Finding::bad(
            id,
            Verdict::Warning,
            format!("{most} files may be open at once; many miners and subscribers need {FILES}"),
            "set LimitNOFILE=65536 in the unit, or run ulimit -n 65536 before adit up",
        ),
        Some(most) => Finding::ok(id, format!("{most} files may be open at once")),
    }
}

fn landlock(facts: &Facts) -> Finding {
    let id = "landlock";
    if facts.landlock {
        return Finding::ok(id, "the kernel confines drivers to their own folders");
    }
    Finding::bad(
        id,
        Verdict::Warning,
        "this kernel has no Landlock: drivers that did not come with adit can read what the host can",
        "run Linux 5.13 or newer with landlock among the names after lsm= on its command line",
    )
}

fn cgroup(facts: &Facts) -> Finding {
    let id = "cgroup";
    if facts.cgroup2 {
        return Finding::ok(id, "processes are grouped with cgroup v2");
    }
    Finding::bad(
        id,
        Verdict::Note,
        "cgroup v2 is not there: memory and processor time of miners cannot be limited",
        "boot with systemd.unified_cgroup_hierarchy=1 if limits are wanted",
    )
}

fn cards(maker: &str, id: &str, cards: Cards, fix: &str) -> Option<Finding> {
    (cards.count > 0).then(|| {
        let count = cards.count;
        if cards.has_driver {
            return Finding::ok(id, format!("{count} {maker} graphics card(s) with their driver"));
        }
        let told = format!("{count} {maker} graphics card(s), and no driver to compute on them");
        Finding::bad(id, Verdict::Warning, told, fix)
    })
}

/// Judges the disk of the state folder.
pub fn judge_disk(disk: Option<Disk>) -> Finding {
    let id = "space";
    let Some(Disk { free_mib, free_files }) = disk else {
        return Finding::unknown(id, "the system does not tell how much space is left");
    };
    let fix = "remove what is not needed, old programs first (adit versions TYPE, adit uninstall \
               TYPE --version V), or put the state folder on another disk with --state-dir";
    let told = format!("{free_mib} MiB are free for the state folder");
    if free_files == Some(0) {
        let told = "no further file can be made on the disk of the state folder";
        return Finding::bad(id, Verdict::Problem, told, fix);
    }
    match free_mib {
        0..LEAST_SPACE_MIB => Finding::bad(id, Verdict::Problem, told, fix),
        LEAST_SPACE_MIB..SPACE_MIB => Finding::bad(id, Verdict::Warning, told, fix),
        _ => Finding::ok(id, told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            cores: 8,
            available_mib: Some(16_000),
            huge_pages: Some((1_280, 1_280)),
            msr: Some(true),
            is_x86: true,
            clock_synchronised: Some(true),
            open_files: Some(65_536),
            landlock: true,
            cgroup2: true,
            nvidia: Cards { count: 2, has_driver: true },
            amd: Cards::default(),
        }
    }

    fn verdict(facts: &Facts, id: &str) -> Verdict {
        let found = judge(facts);
        let one = found.iter().find(|it| it.id == id).unwrap_or_else(|| panic!("no {id}"));
        assert_eq!(one.fix.is_none(), one.verdict == Verdict::Ok, "{one:?}");
        if let Some(command) = &one.command {
            let fix = one.fix.as_deref().unwrap_or_default();
            assert!(fix.contains(&format!("run: {command}")), "{one:?}");
        }
        one.verdict
    }

    #[test]
    fn a_good_machine_is_well() {
        let found = judge(&good());
        assert!(found.iter().all(|it| it.verdict == Verdict::Ok), "{found:?}");
        assert!(found.iter().all(|it| it.id != "amd"), "{found:?}");
    }

    #[test]
    fn each_fault_is_found_with_a_fix() {
        let without = |change: fn(&mut Facts), id: &str| {
            let mut facts = good();
            change(&mut facts);
            let bad = judge(&facts).iter().filter(|it| it.verdict != Verdict::Ok).count();
            assert_eq!(bad, 1, "{id}");
            verdict(&facts, id)
        };
        assert_eq!(without(|it| it.available_mib = Some(100), "memory"), Verdict::Note);
        assert_eq!(without(|it| it.huge_pages = Some((0, 0)), "hugePages"), Verdict::Warning);
        assert_eq!(without(|it| it.huge_pages = Some((9, 9)), "hugePages"), Verdict::Warning);
        assert_eq!(without(|it| it.msr = Some(false), "msr"), Verdict::Note);
        assert_eq!(without(|it| it.msr = None, "msr"), Verdict::Note);
        assert_eq!(without(|it| it.clock_synchronised = Some(false), "clock"), Verdict::Warning);
        assert_eq!(without(|it| it.open_files = Some(1_024), "openFiles"), Verdict::Warning);
        assert_eq!(without(|it| it.landlock = false, "landlock"), Verdict::Warning);
        assert_eq!(without(|it| it.cgroup2 = false, "cgroup"), Verdict::Note);
        assert_eq!(without(|it| it.nvidia.has_driver = false, "nvidia"), Verdict::Warning);
        let found = judge(&Facts { huge_pages: Some((0, 0)), ..good() });
        let command = found.iter().find_map(|it| it.command.as_deref());
        assert_eq!(command, Some("sudo sysctl -w vm.nr_hugepages=1280"));
    }

    #[test]
    fn a_full_disk_is_a_problem_before_it_is_full() {
        let of = |free_mib, free_files| judge_disk(Some(Disk { free_mib, free_files })).verdict;
        assert_eq!(of(50_000, Some(1_000_000)), Verdict::Ok);
        assert_eq!(of(50_000, None), Verdict::Ok);
        assert_eq!(of(500, None), Verdict::Warning);
        assert_eq!(of(50, None), Verdict::Problem);
        assert_eq!(of(50_000, Some(0)), Verdict::Problem);
        assert_eq!(judge_disk(None).verdict, Verdict::Note);
    }
}
