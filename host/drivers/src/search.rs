//! Where drivers may lie.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::definition;

/// What the library of a driver is called after its last dot on this system.
const EXTENSION: &str = if cfg!(target_os = "macos") { "dylib" } else { "so" };

/// The folders that are searched for drivers, first found first.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The folders; one that does not exist is passed over.
    pub dirs: Vec<PathBuf>,
    /// Those of them whose drivers came with the host: who may write there may replace the host.
    pub bundled: Vec<PathBuf>,
}

/// A file that may be a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its path, through the folder it was found in.
    pub path: PathBuf,
    /// Whether it lies among the products of a cargo build, where a library that is no driver is
    /// nothing to report.
    pub in_build: bool,
    /// Whether it came with the host.
    pub is_bundled: bool,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The files, by order of the folders and then by name.
    pub candidates: Vec<Candidate>,
    /// Folders that could not be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Search {
    /// The usual folders: the configured ones, `drivers/` beside the host's binary, the binary's
    /// own folder when cargo built it, `drivers/` in Adit's data folder `data_dir`
    /// (`$XDG_DATA_HOME/adit`, or the state folder), and `/usr/lib/adit/drivers`.
    pub fn standard(configured: Vec<PathBuf>, exe: &Path, data_dir: &Path) -> Self {
        let mut dirs = configured;
        let mut bundled = vec![PathBuf::from("/usr/lib/adit/drivers")];
        if let Some(own) = exe.parent() {
            bundled.push(own.join("drivers"));
            if is_build_dir(own) {
                bundled.push(own.to_path_buf());
            }
        }
        dirs.extend_from_slice(bundled.get(1..).unwrap_or_default());
        dirs.push(data_dir.join("drivers"));
        dirs.extend_from_slice(bundled.get(..1).unwrap_or_default());
        Self { dirs, bundled }
    }

    /// Lists the files that may be drivers. Reads folders only, no file.
    pub fn find(&self) -> Found {
        let mut found = Found::default();
        let mut seen = HashSet::new();
        for dir in &self.dirs {
            // The same folder by two names is searched once.
            if !seen.insert(fs::canonicalize(dir).unwrap_or_else(|_| dir.clone())) {
                continue;
            }
            let in_build = is_build_dir(dir);
            let is_bundled = self.bundled.contains(dir);
            match files(dir, in_build) {
                Ok(paths) => found.candidates.extend(paths.into_iter().map(|path| Candidate {
                    path,
                    in_build,
                    is_bundled,
                })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => found
                    .unreadable
                    .push((dir.clone(), format!("cannot read the folder: {}", cause(&error)))),
            }
        }
        found
    }
}

/// An I/O error without the number that the standard library adds.
pub(crate) fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

fn files(dir: &Path, in_build: bool) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        // A name that begins with a dot is a copy under way.
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let is_library = Path::new(&name).extension() == Some(OsStr::new(EXTENSION));
        let is_definition = !in_build && definition::is_definition(Path::new(&name));
        if !hidden && (is_library || is_definition) {
            paths.push(dir.join(name));
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether cargo puts its products into `dir`.
fn is_build_dir(dir: &Path) -> bool {
    let name = |path: Option<&Path>| path.and_then(Path::file_name).map(OsStr::to_owned);
    let profile = |name: &OsStr| name == "debug" || name == "release";
    let parent = dir.parent();
    let by_name = name(Some(dir)).is_some_and(|name| profile(&name))
        && name(parent).is_some_and(|name| name == "target");
    by_name || dir.join(".cargo-lock").is_file() || dir.join("deps").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn library(name: &str) -> String {
        format!("{name}.{EXTENSION}")
    }

    #[test]
    fn files_come_by_order_of_the_folders_and_then_by_name() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (root.path().join("one"), root.path().join("two"));
        for name in [&library("b"), &library("a"), "a.txt", &library(".part"), EXTENSION] {
            touch(&two.join(name));
        }
        touch(&one.join(library("z")));
        let missing = root.path().join("missing");
        let again = two.join("..").join("two");
        let found =
            Search { dirs: vec![missing, one.clone(), two.clone(), again], ..Search::default() }
                .find();
        let paths: Vec<_> = found.candidates.into_iter().map(|file| file.path).collect();
        let expected = [one.join(library("z")), two.join(library("a")), two.join(library("b"))];
        assert_eq!(paths, expected);
        assert!(found.unreadable.is_empty());
    }

    #[test]
    fn a_folder_that_is_none_is_reported() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        touch(&file);
        let found = Search { dirs: vec![file.clone()], ..Search::default() }.find();
        let reason = "cannot read the folder: not a directory".to_owned();
        assert_eq!(found.unreadable, [(file, reason)]);
    }

    #[test]
    fn the_binarys_own_folder_is_searched_only_in_a_cargo_build() {
        let dirs = |exe: &str| {
            Search::standard(vec!["/mine".into()], Path::new(exe), Path::new("/data")).dirs
        };
        let expected = ["/mine", "/usr/bin/drivers", "/data/drivers", "/usr/lib/adit/drivers"];
        assert_eq!(dirs("/usr/bin/adit"), expected.map(PathBuf::from));
        let expected = [
            "/mine",
            "/src/target/release/drivers",
            "/src/target/release",
            "/data/drivers",
            "/usr/lib/adit/drivers",
        ];
        assert_eq!(dirs("/src/target/release/adit"), expected.map(PathBuf::from));

        let root = tempfile::tempdir().unwrap();
        assert!(!is_build_dir(root.path()));
        touch(&root.path().join(".cargo-lock"));
        assert!(is_build_dir(root.path()));
    }
}
