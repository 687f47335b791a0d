//! Rules of the code base that the compiler does not check.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Longest source file, in lines.
const MAX_LINES: usize = 500;

/// Longest map, in lines.
const MAX_MAP_LINES: usize = 200;

/// Modules of `host/src`, lowest layer first. A module imports only from layers below its own. The
/// compiler keeps the layers below them apart: they are crates.
const LAYERS: &[&[&str]] = &[&["miners"], &["node"], &["api"], &["settings"], &["app"], &["cli"]];

/// A foreign name, and the only parts of `host` that may use it.
const OWNERS: &[(&str, &[&str])] = &[
    ("adit_plugin_api::abi", &["drivers/src"]),
    ("abi_stable::", &["drivers/src"]),
    ("libloading::", &["drivers/src/load.rs"]),
    ("object::", &["drivers/src"]),
    ("rusqlite::", &["store/src"]),
    ("axum::", &["src/api"]),
    ("tokio_tungstenite::", &["src/node/transport"]),
    ("snow::", &["src/node"]),
    ("x25519_dalek::", &["src/node"]),
    ("clap::", &["src/cli"]),
    ("ratatui::", &["src/cli/top"]),
    ("libc::", &["keeper/src", "drivers/src/runner/confine/sys.rs"]),
    ("process::Command", &["keeper/src", "keeper-client/src/process.rs"]),
];

/// Crates that a keeper must not bring with it: a machine runs one for each miner.
const TOO_LARGE_FOR_A_KEEPER: &[&str] = &["tokio", "rusqlite", "hyper", "reqwest", "axum"];

#[test]
fn files_are_short() {
    for (path, text) in files("", "rs") {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{}: {lines} lines, split it", path.display());
    }
    let map = read("ARCHITECTURE.md").lines().count();
    assert!(map <= MAX_MAP_LINES, "ARCHITECTURE.md: {map} lines, it is a map");
}

#[test]
fn modules_import_downwards() {
    for (path, text) in files("host/src", "rs") {
        let module = module(&path);
        let Some(own) = layer(&module) else { continue };
        for used in crate_paths(&text) {
            let Some(other) = layer(&used) else { continue };
            let allowed = used == module || other < own;
            assert!(allowed, "{}: `{module}` must not use `{used}`", path.display());
        }
    }
}

#[test]
fn every_module_has_a_layer_and_a_place_on_the_map() {
    let map = read("ARCHITECTURE.md");
    for (path, _) in files("host/src", "rs") {
        let module = module(&path);
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        assert!(layer(&module).is_some(), "{module} is in no layer");
        assert!(map.contains(&format!("`{module}`")), "ARCHITECTURE.md does not name {module}");
    }
    for (path, _) in files("host", "toml") {
        let Some(name) = path.parent().filter(|it| it.as_os_str() != "") else { continue };
        let name = name.display();
        assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name {name}");
    }
}

#[test]
fn a_keeper_stays_small() {
    let lock = read("Cargo.lock");
    let package = |name: &str| {
        let start = format!("[[package]]\nname = \"{name}\"\n");
        lock.split_once(&start).and_then(|(_, rest)| rest.split("[[package]]").next())
    };
    let mut pending = vec!["adit-keeper".to_owned()];
    let mut seen = Vec::new();
    while let Some(name) = pending.pop() {
        assert!(!TOO_LARGE_FOR_A_KEEPER.contains(&name.as_str()), "adit-keeper links {name}");
        if seen.contains(&name) {
            continue;
        }
        let text = package(&name).unwrap_or_default();
        let needed = text.split_once("dependencies = [").map_or("", |(_, rest)| rest);
        // A line is ` "name",` or ` "name version",`.
        let names =
            needed.lines().filter_map(|it| it.trim().strip_prefix('"')?.split([' ', '"']).next());
        pending.extend(names.map(str::to_owned));
        seen.push(name);
    }
    assert!(seen.len() > 5, "{seen:?}");
}

#[test]
fn foreign_names_stay_with_their_owner() {
    for (path, text) in files("host", "rs") {
        // Of a crate's own tests: `store/tests/…`.
        if path.iter().take(2).any(|it| it == "tests") {
            continue;
        }
        for (name, owners) in OWNERS {
            let is_owner = |owner: &&str| {
                path.starts_with(owner) || path == Path::new(owner).with_extension("rs")
            };
            let owned = owners.iter().any(is_owner);
            let named = text.lines().any(|it| !is_comment(it) && says(it, name));
            assert!(owned || !named, "{}: only {owners:?} may name `{name}`", path.display());
        }
    }
}

#[test]
fn drivers_are_found_on_disk_only() {
    let drivers: Vec<String> = files("", "toml")
        .into_iter()
        .filter(|(path, text)| path.ends_with("Cargo.toml") && text.contains("cdylib"))
        .filter_map(|(_, text)| Some(text.split("name = \"").nth(1)?.split('"').next()?.to_owned()))
        .collect();
    assert!(drivers.len() >= 3, "found only {drivers:?}");
    for manifest in ["host/Cargo.toml", "tests/Cargo.toml", "plugin-api/Cargo.toml"] {
        let text = read(manifest);
        for driver in &drivers {
            assert!(!text.contains(&format!("\n{driver}")), "{manifest} depends on {driver}");
        }
    }
}

#[test]
fn every_crate_inherits_the_lints() {
    for (path, text) in files("", "toml") {
        let crate_manifest = path.ends_with("Cargo.toml") && text.contains("[package]");
        let inherits = text.contains("[lints]\nworkspace = true");
        assert!(!crate_manifest || inherits, "{}: inherit the lints", path.display());
    }
}

/// The files that links of `text` name, those of other sites left out.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let included = text.split("{{#include ").skip(1).filter_map(|rest| rest.split('}').next());
    targets.chain(included).filter(|it| !it.is_empty() && !it.contains("://")).collect()
}

#[test]
fn links_of_the_documentation_lead_to_files() {
    let mut all = files("docs", "md");
    all.iter_mut().for_each(|(path, _)| *path = Path::new("docs").join(&path));
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "plugin-api/STABILITY.md"] {
        all.push((name.into(), read(name)));
    }
    for (path, text) in &all {
        for link in links(text) {
            let target = root().join(path.parent().unwrap()).join(link);
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
        }
    }
}

#[test]
fn the_book_has_every_page() {
    let summary = read("docs/SUMMARY.md");
    for (page, _) in files("docs", "md") {
        let name = page.to_str().unwrap();
        assert!(name == "SUMMARY.md" || links(&summary).contains(&name), "{name} is on no page");
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Whether `line` has `name` as a path of its own and not as the end of another word.
fn says(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|it| it.is_alphanumeric() || it == '_')
    })
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// `store/schema.rs` and `store.rs` are both module `store`.
fn module(path: &Path) -> String {
    let first = path.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The `x` of every `crate::x` and `crate::{x, ..}` in `text`.
fn crate_paths(text: &str) -> Vec<String> {
    let code = text.lines().filter(|it| !is_comment(it)).collect::<Vec<_>>().concat();
    let mut found = Vec::new();
    for path in code.split("crate::").skip(1) {
        match path.strip_prefix('{') {
            None => found.push(ident(path)),
            Some(group) => found.extend(heads(group)),
        }
    }
    found
}

/// The first word of every item of a group whose opening brace was taken off.
fn heads(group: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut is_start) = (1, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => is_start = true,
            _ if is_start && c.is_alphabetic() => {
                found.push(ident(&group[at..]));
                is_start = false;
            }
            _ => (),
        }
        if depth == 0 {
            break;
        }
    }
    found
}

fn ident(text: &str) -> String {
    text.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Files under `dir` of the workspace with extension `ext`: path relative to `dir`, and text.
fn files(dir: &str, ext: &str) -> Vec<(PathBuf, String)> {
    let root = root().join(dir);
    let mut found = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(path) = pending.pop() {
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "target" && name != ".git" {
            pending.extend(fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()));
        } else if path.extension().is_some_and(|it| it == ext) {
            let relative = path.strip_prefix(&root).unwrap().to_owned();
            found.push((relative, fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(!found.is_empty(), "no .{ext} file under {}", root.display());
    found
}
