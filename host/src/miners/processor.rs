//! Facts about the processors of this machine, as XMRig's API shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::OnceLock,
};

use adit_model::dialect::Processor;

/// XMRig's names of features, and the kernel's.
const FLAGS: [(&str, &str); 15] = [
    ("aes", "aes"),
    ("vaes", "vaes"),
    ("avx", "avx"),
    ("avx2", "avx2"),
    ("avx512f", "avx512f"),
    ("bmi2", "bmi2"),
    ("osxsave", "xsave"),
    ("pdpe1gb", "pdpe1gb"),
    ("sse2", "sse2"),
    ("ssse3", "ssse3"),
    ("sse4.1", "sse4_1"),
    ("xop", "xop"),
    ("popcnt", "popcnt"),
    ("cat_l3", "cat_l3"),
    ("vm", "hypervisor"),
];

/// The facts; read once, because they do not change while the host runs.
pub(super) fn processor() -> &'static Processor {
    static KNOWN: OnceLock<Processor> = OnceLock::new();
    KNOWN.get_or_init(|| below(Path::new("/")))
}

/// What the files below `root` say. What they do not say is absent.
fn below(root: &Path) -> Processor {
    let text = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
    let processors: Vec<BTreeMap<&str, &str>> = text
        .split("\n\n")
        .map(|block| block.lines().filter_map(|line| line.split_once(':')).map(trimmed).collect())
        .filter(|fields: &BTreeMap<_, _>| fields.contains_key("processor"))
        .collect();
    let first = processors.first().cloned().unwrap_or_default();
    let number = |name: &str| first.get(name)?.parse().ok();
    let all = |names: &[&str]| {
        let of = |fields: &BTreeMap<&str, &str>| {
            names.iter().map(|name| fields.get(name).map(|it| (*it).to_owned())).collect()
        };
        let found: BTreeSet<Option<Vec<String>>> = processors.iter().map(of).collect();
        let count = found.iter().flatten().count() as u64;
        (count > 0).then_some(count)
    };
    let has: BTreeSet<&str> = first.get("flags").into_iter().flat_map(|it| it.split(' ')).collect();
    let flags = FLAGS.iter().filter(|(_, kernel)| has.contains(kernel));
    Processor {
        brand: first.get("model name").map(|name| (*name).to_owned()),
        family: number("cpu family"),
        model: number("model"),
        stepping: number("stepping"),
        cores: all(&["physical id", "core id"]),
        packages: all(&["physical id"]),
        nodes: nodes(&root.join("sys/devices/system/node")),
        l2: cache(root, "2"),
        l3: cache(root, "3"),
        flags: flags.map(|(name, _)| *name).collect(),
    }
}

fn trimmed<'a>((name, value): (&'a str, &'a str)) -> (&'a str, &'a str) {
    (name.trim(), value.trim())
}

/// Memory nodes.
fn nodes(folder: &Path) -> Option<u64> {
    let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
    let is_node = |name: &str| {
        let number = name.strip_prefix("node");
        number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let count = names.filter(|name| name.to_str().is_some_and(is_node)).count() as u64;
    (count > 0).then_some(count)
}

/// Bytes of all caches of a level. One that several processors share counts once.
fn cache(root: &Path, level: &str) -> Option<u64> {
    let mut found = BTreeMap::new();
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    for processor in entries(&root.join("sys/devices/system/cpu")) {
        for index in entries(&processor.path().join("cache")) {
            let read = |name: &str| fs::read_to_string(index.path().join(name)).ok();
            let is_level = read("level").is_some_and(|it| it.trim() == level);
            if let (true, Some(size), Some(shared)) =
                (is_level, read("size"), read("shared_cpu_list"))
            {
                let kib: Option<u64> = size.trim().strip_suffix('K').and_then(|it| it.parse().ok());
                found.extend(kib.map(|kib| (shared, kib << 10)));
            }
        }
    }
    (!found.is_empty()).then(|| found.values().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_the_systems_files() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(below(root.path()), Processor::default());
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let block = |number: u32, core: u32| {
            format!(
                "processor\t: {number}\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\
                 stepping\t: 1\nphysical id\t: 0\ncore id\t\t: {core}\n\
                 flags\t\t: fpu sse2 sse4_1 aes avx2 hypervisor\n"
            )
        };
        let blocks = [block(0, 0), block(1, 1), block(2, 0), block(3, 1)];
        write("proc/cpuinfo", &blocks.join("\n"));
        for (cpu, shared) in [(0, "0,2"), (1, "1,3"), (2, "0,2"), (3, "1,3")] {
            let index = format!("sys/devices/system/cpu/cpu{cpu}/cache");
            for (at, level, size, shared) in
                [(0, "1", "32K", shared), (2, "2", "1024K", shared), (3, "3", "32768K", "0-3")]
            {
                write(&format!("{index}/index{at}/level"), &format!("{level}\n"));
                write(&format!("{index}/index{at}/size"), &format!("{size}\n"));
                write(&format!("{index}/index{at}/shared_cpu_list"), &format!("{shared}\n"));
            }
        }
        write("sys/devices/system/node/node0/cpulist", "0-3\n");
        write("sys/devices/system/node/possible", "0\n");
        let found = below(root.path());
        assert_eq!((found.family, found.model, found.stepping), (Some(25), Some(17), Some(1)));
        assert_eq!((found.cores, found.packages, found.nodes), (Some(2), Some(1), Some(1)));
        assert_eq!((found.l2, found.l3), (Some(2 << 20), Some(32 << 20)));
        assert_eq!(found.flags, ["aes", "avx2", "sse2", "sse4.1", "vm"]);
        // As in a recorded summary of XMRig on such a processor.
        assert_eq!(found.signature(), Some(10_555_153));
    }
}
