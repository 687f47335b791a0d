//! Packages of custom miners for HiveOS, read without running any of them.
//!
//! Such a package has `h-manifest.conf`, which a shell would read, and scripts that configure, run
//! and ask the miner. Here the manifest is read as text: what a shell would have to compute is
//! refused. The scripts are packed up again beside a program that runs them.

mod port;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
pub use port::ApiPort;
use tar::{Builder, EntryType, Header};

use crate::{Limits, download::hash_file, unpack::unpack};
use adit_core::files as regular;

/// What a package must have.
const SCRIPTS: [&str; 3] = [MANIFEST, "h-run.sh", "h-stats.sh"];
const MANIFEST: &str = "h-manifest.conf";

/// Largest manifest, in bytes.
const LARGEST: u64 = 64 << 10;

/// Most files of a folder.
const MOST_FILES: usize = 4_096;

/// A package whose files lie in a folder of this host's own.
#[derive(Debug)]
pub struct Package {
    /// Its `CUSTOM_NAME`.
    pub name: String,
    /// Its `CUSTOM_VERSION`.
    pub version: String,
    /// Where its miner can be asked.
    pub api_port: ApiPort,
    /// Where its files are.
    folder: PathBuf,
}

/// An archive that was made.
#[derive(Debug)]
pub struct Packed {
    /// Where it is.
    pub path: PathBuf,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

/// Why the scripts of packages cannot run below the directory `state`, if so: they do not quote
/// paths, and `adit-run` refuses what a shell or `sed` would read as more than a path.
pub fn unusable_path(state: &Path) -> Option<String> {
    let path = state.canonicalize().or_else(|_| std::path::absolute(state)).ok()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+,@=-".contains(c);
    let text = path.to_str().filter(|it| it.chars().all(is_plain));
    text.is_none().then(|| {
        format!(
            "scripts of HiveOS packages cannot run below {}: use a state directory whose path has \
             letters, digits and / . _ - + , @ = only",
            path.display()
        )
    })
}

impl Package {
    /// Reads the `.tar.gz`, or the folder, at `path`. `work` is an empty folder that is there for
    /// as long as the package is used; `api_port` the port of the miner's API, if the operator names
    /// one.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it and what to do.
    pub fn open(path: &Path, work: &Path, api_port: Option<u16>) -> Result<Self, String> {
        let wrong = |reason: String| format!("{}: {reason}", path.display());
        let folder = if path.is_dir() {
            path.to_owned()
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let into = work.join("unpacked");
            let limits = Limits::default();
            // Before it is unpacked, which opens it: a pipe would never end.
            regular::open(path).map_err(|error| wrong(error.to_string()))?;
            unpack(path, &name, &into, &limits).map_err(|error| wrong(error.to_string()))?;
            into
        };
        let folder = top(&folder).map_err(wrong)?;
        if let Some(script) = SCRIPTS.iter().find(|it| !folder.join(it).is_file()) {
            return Err(wrong(format!("there is no {script}: this is no package for HiveOS")));
        }
        let manifest = folder.join(MANIFEST);
        let size = fs::metadata(&manifest).map_or(0, |it| it.len());
        if size > LARGEST {
            return Err(wrong(format!("{MANIFEST} has {size} bytes, more than {LARGEST}")));
        }
        let text = fs::read_to_string(&manifest)
            .map_err(|error| wrong(format!("cannot read {MANIFEST}: {error}")))?;
        let values = assignments(&text);
        let value = |name: &str| match values.get(name) {
            Some(Ok(value)) if is_plain(value) => Ok(value.clone()),
            Some(Ok(value)) => Err(wrong(format!(
                "{MANIFEST}: {name} is {value:?}: write letters, digits, dots, dashes and underscores"
            ))),
            Some(Err(line)) => Err(wrong(format!(
                "{MANIFEST}, line {line}: {name} is worked out by a shell, which is never run here: \
                 write the value itself"
            ))),
            None => Err(wrong(format!("{MANIFEST} has no {name}"))),
        };
        let (name, version) = (value("CUSTOM_NAME")?, value("CUSTOM_VERSION")?);
        let api_port = ApiPort::find(&folder, &values, api_port).map_err(wrong)?;
        Ok(Self { name, version, api_port, folder })
    }

    /// Packs `program`, called `adit-run`, and the package in the folder `package` beside it.
    ///
    /// # Errors
    /// When something in the package is neither a file nor a folder, or the disk fails.
    pub fn pack(&self, program: &str, to: &Path) -> Result<Packed, String> {
        let wrong = |error: io::Error| format!("cannot write {}: {error}", to.display());
        let file = File::create_new(to).map_err(wrong)?;
        let mut archive = Builder::new(GzEncoder::new(file, Compression::default()));
        add(&mut archive, Path::new("adit-run"), program.as_bytes(), true).map_err(wrong)?;
        for path in files(&self.folder)? {
            let inside = path.strip_prefix(&self.folder).unwrap_or(&path);
            let shown = |error: io::Error| format!("{}: {error}", inside.display());
            let bytes = fs::read(&path).map_err(shown)?;
            let is_program =
                is_executable(&path) || inside.extension().is_some_and(|it| it == "sh");
            add(&mut archive, &Path::new("package").join(inside), &bytes, is_program)
                .map_err(wrong)?;
        }
        let file = archive.into_inner().and_then(GzEncoder::finish).map_err(wrong)?;
        file.sync_all().map_err(wrong)?;
        let sha256 = hash_file(to).map_err(wrong)?.sha256;
        Ok(Packed { path: to.to_owned(), sha256 })
    }
}

/// The folder with the manifest: this one, or the only one in it.
fn top(folder: &Path) -> Result<PathBuf, String> {
    if folder.join(MANIFEST).is_file() {
        return Ok(folder.to_owned());
    }
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot read it: {error}"))?;
    let mut folders = entries.flatten().map(|it| it.path()).filter(|it| it.is_dir());
    match (folders.next(), folders.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(format!("there is no {MANIFEST}: this is no package for HiveOS")),
    }
}

/// What the manifest assigns, or the line of what only a shell could work out.
fn assignments(text: &str) -> BTreeMap<String, Result<String, usize>> {
    let mut values = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let Some((name, value)) = line.split_once('=') else { continue };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            continue;
        }
        let read = literal(value, &values).ok_or(number + 1);
        values.insert(name.to_owned(), read);
    }
    values
}

/// The value that is written, if no shell is needed to know it.
fn literal(text: &str, known: &BTreeMap<String, Result<String, usize>>) -> Option<String> {
    if let Some(rest) = text.strip_prefix('\'') {
        let (value, rest) = rest.split_once('\'')?;
        return is_over(rest).then(|| value.to_owned());
    }
    let value = match text.strip_prefix('"') {
        Some(rest) => {
            let (value, rest) = rest.split_once('"')?;
            is_over(rest).then_some(value)?
        }
        None => {
            let (value, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
            is_over(rest).then_some(value)?
        }
    };
    if value.contains(['`', '\\', ';', '|', '&', '<', '>', '(', '\'', '*', '?', '~']) {
        return None;
    }
    expanded(value, known)
}

/// Nothing follows but a comment.
fn is_over(rest: &str) -> bool {
    let rest = rest.trim();
    rest.is_empty() || rest.starts_with('#')
}

/// `value` with `$NAME` and `${NAME}` of what was assigned before.
fn expanded(value: &str, known: &BTreeMap<String, Result<String, usize>>) -> Option<String> {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let (name, after) = match after.strip_prefix('{') {
            Some(after) => after.split_once('}')?,
            None => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                after.split_at(after.find(|c: char| !is_name(c)).unwrap_or(after.len()))
            }
        };
        text.push_str(known.get(name)?.as_ref().ok()?);
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

fn is_plain(text: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(is_usual) && !text.starts_with(['.', '-'])
}

/// All files below `folder`, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let (mut found, mut pending) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = pending.pop() {
        let wrong = |error: io::Error| format!("{}: {error}", path.display());
        let meta = fs::symlink_metadata(&path).map_err(wrong)?;
        if meta.is_dir() {
            for entry in fs::read_dir(&path).map_err(wrong)? {
                pending.push(entry.map_err(wrong)?.path());
            }
        } else if meta.is_file() {
            found.push(path);
        } else {
            let told = "neither a file nor a folder; replace it by what it leads to";
            return Err(format!("{}: {told}", path.display()));
        }
        if found.len() + pending.len() > MOST_FILES {
            return Err(format!("it has more than {MOST_FILES} files"));
        }
    }
    found.sort();
    Ok(found)
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o111 != 0)
}

/// Everything that is not content is the same each time, and so is the archive's sum.
fn add(
    archive: &mut Builder<GzEncoder<File>>,
    path: &Path,
    bytes: &[u8],
    is_program: bool,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(if is_program { 0o755 } else { 0o644 });
    archive.append_data(&mut header, path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_and_never_run() {
        let text = "#!/bin/bash\n# comment\nCUSTOM_NAME=nova\nexport CUSTOM_VERSION=\"1.2.0\" # now\n\
                    BIN=$CUSTOM_NAME-bin\nPATH_OF='/a/$x'\nLOG=${CUSTOM_NAME}/log\nBAD=$(touch /tmp/x)\n\
                    WORSE=`id`\nUNKNOWN=$HOME/x\nA=1; rm -rf /\nif [ x = y ]; then\n";
        let values = assignments(text);
        for (name, expected) in [
            ("CUSTOM_NAME", Ok("nova")),
            ("CUSTOM_VERSION", Ok("1.2.0")),
            ("BIN", Ok("nova-bin")),
            ("PATH_OF", Ok("/a/$x")),
            ("LOG", Ok("nova/log")),
            ("BAD", Err(8)),
            ("WORSE", Err(9)),
            ("UNKNOWN", Err(10)),
            ("A", Err(11)),
        ] {
            assert_eq!(values[name].as_deref().map_err(|line| *line), expected, "{name}");
        }
        assert_eq!(values.len(), 9);
    }

    fn package(manifest: &str) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("nova");
        fs::create_dir(&folder).unwrap();
        for (name, text) in [(MANIFEST, manifest), ("h-run.sh", "x"), ("h-stats.sh", "y")] {
            fs::write(folder.join(name), text).unwrap();
        }
        (root, folder)
    }

    #[test]
    fn a_package_is_packed_the_same_each_time() {
        let (root, folder) = package("CUSTOM_NAME=nova\nCUSTOM_VERSION=1.2\n");
        let read = Package::open(&folder, root.path(), None).unwrap();
        assert_eq!((read.name.as_str(), read.version.as_str()), ("nova", "1.2"));
        let [one, two] = ["one", "two"]
            .map(|it| read.pack("#!/bin/sh\n", &root.path().join(format!("{it}.tar.gz"))).unwrap());
        assert_eq!((one.sha256.len(), &one.sha256), (64, &two.sha256));
        let into = root.path().join("into");
        unpack(&one.path, "one.tar.gz", &into, &Limits::default()).unwrap();
        assert!(is_executable(&into.join("adit-run")));
        assert!(is_executable(&into.join("package/h-run.sh")));
        // The archive is no package; the folder inside it is.
        let again = Package::open(&into, root.path(), None).unwrap();
        assert_eq!(again.name, "nova");
    }

    #[test]
    fn what_is_no_package_is_refused_with_the_reason() {
        for (manifest, told) in [
            ("CUSTOM_VERSION=1\n", "has no CUSTOM_NAME"),
            (
                "CUSTOM_NAME=$(id)\nCUSTOM_VERSION=1\n",
                "line 1: CUSTOM_NAME is worked out by a shell",
            ),
            ("CUSTOM_NAME=a/b\nCUSTOM_VERSION=1\n", "CUSTOM_NAME is \"a/b\""),
        ] {
            let (root, folder) = package(manifest);
            let error = Package::open(&folder, root.path(), None).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let (root, folder) = package("CUSTOM_NAME=a\nCUSTOM_VERSION=1\n");
        std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
        let read = Package::open(&folder, root.path(), None).unwrap();
        let error = read.pack("x", &root.path().join("a.tar.gz")).unwrap_err();
        assert!(error.contains("neither a file nor a folder"), "{error}");
        fs::remove_file(folder.join("h-stats.sh")).unwrap();
        let error = Package::open(&folder, root.path(), None).unwrap_err();
        assert!(error.contains("there is no h-stats.sh"), "{error}");
    }
}
