//! Reads what the doctor judges of the machine.

use std::{fs, path::Path};

use rustix::process::{Resource, getrlimit};

use crate::miners::processor;
use adit_model::{
    dialect::Machine,
    doctor::machine::{Cards, Disk, Facts},
};

/// The maker of a graphics card, as the bus tells it.
const NVIDIA: &str = "0x10de";
const AMD: &str = "0x1002";

/// Reads the facts of this machine. Blocks for some small files.
pub(crate) fn facts() -> Facts {
    Facts {
        open_files: getrlimit(Resource::Nofile).current,
        clock_synchronised: adit_keeper::clock_is_synchronised(),
        landlock: adit_drivers::runner::can_confine(),
        ..facts_below(Path::new("/"))
    }
}

/// What the files below `root` tell.
fn facts_below(root: &Path) -> Facts {
    let meminfo = read(root, "proc/meminfo");
    let of = |name: &str| number(&meminfo, name);
    let is_2_mib = of("Hugepagesize") == Some(2_048);
    let huge_pages = of("HugePages_Total").zip(of("HugePages_Free")).filter(|_| is_2_mib);
    let msr = root.join("dev/cpu/0/msr");
    Facts {
        cores: std::thread::available_parallelism().map_or(1, |it| it.get() as u64),
        available_mib: of("MemAvailable").map(|kib| kib >> 10),
        huge_pages,
        msr: msr.exists().then(|| {
            let access = rustix::fs::Access::WRITE_OK;
            rustix::fs::access(&msr, access).is_ok()
        }),
        is_x86: std::env::consts::ARCH == "x86_64",
        cgroup2: root.join("sys/fs/cgroup/cgroup.controllers").exists(),
        nvidia: cards(root, NVIDIA, "proc/driver/nvidia/version"),
        amd: cards(root, AMD, "sys/class/kfd"),
        ..Facts::default()
    }
}

/// What the dialects tell of this machine.
pub(crate) fn machine() -> Machine {
    let root = Path::new("/");
    let meminfo = read(root, "proc/meminfo");
    let bytes = |name: &str| number(&meminfo, name).map(|kib| kib << 10);
    let load = read(root, "proc/loadavg");
    let mut load = load.split_whitespace().map(|it| it.parse().ok());
    let mut next = || load.next().flatten();
    Machine {
        memory: bytes("MemAvailable").zip(bytes("MemTotal")),
        load: next().zip(next()).zip(next()).map(|((one, five), fifteen)| [one, five, fifteen]),
        threads: std::thread::available_parallelism().map_or(1, |it| it.get() as u64),
        processor: processor::processor().clone(),
    }
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

/// The number after `name:` in a file such as `/proc/meminfo`.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cards(root: &Path, maker: &str, driver: &str) -> Cards {
    let devices = fs::read_dir(root.join("sys/bus/pci/devices")).into_iter().flatten().flatten();
    let is_one = |device: &fs::DirEntry| {
        let of = |name: &str| read(&device.path(), name);
        // Class 3 is for what shows or computes pictures.
        of("vendor").trim() == maker && of("class").trim().starts_with("0x03")
    };
    Cards { count: devices.filter(is_one).count(), has_driver: root.join(driver).exists() }
}

/// The disk that `folder` is on.
pub(crate) fn disk(folder: &Path) -> Option<Disk> {
    let told = rustix::fs::statvfs(folder).ok()?;
    let free_mib = told.f_bavail.saturating_mul(told.f_frsize) >> 20;
    // Some file systems make room for files as they come, and say that there is none at all.
    Some(Disk { free_mib, free_files: (told.f_files > 0).then_some(told.f_favail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_the_systems_files() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(facts_below(root.path()).huge_pages, None);
        write(
            "proc/meminfo",
            "MemTotal:  8000000 kB\nMemAvailable:   4096000 kB\nHugePages_Total:    1280\n\
             HugePages_Free:     12\nHugepagesize:       2048 kB\n",
        );
        write("sys/fs/cgroup/cgroup.controllers", "cpu\n");
        write("dev/cpu/0/msr", "");
        for (slot, vendor, class) in [
            ("0000:01:00.0", NVIDIA, "0x030000"),
            ("0000:01:00.1", NVIDIA, "0x040300"),
            ("0000:02:00.0", AMD, "0x038000"),
        ] {
            write(&format!("sys/bus/pci/devices/{slot}/vendor"), &format!("{vendor}\n"));
            write(&format!("sys/bus/pci/devices/{slot}/class"), &format!("{class}\n"));
        }
        write("sys/class/kfd/dev", "");
        let facts = facts_below(root.path());
        assert_eq!((facts.available_mib, facts.huge_pages), (Some(4_000), Some((1_280, 12))));
        assert_eq!((facts.cgroup2, facts.msr), (true, Some(true)));
        assert_eq!(facts.nvidia, Cards { count: 1, has_driver: false });
        assert_eq!(facts.amd, Cards { count: 1, has_driver: true });
    }

    #[test]
    fn nonsense_is_no_fact() {
        for text in ["", "MemAvailable", "MemAvailable: x kB", "MemAvailableX: 1 kB"] {
            assert_eq!(number(text, "MemAvailable"), None, "{text}");
        }
    }
}
