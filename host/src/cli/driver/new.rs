//! `adit driver new`: a complete crate for a new driver.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use crate::cli::{Common, Error, driver::plugin_api, show};
use adit_model::name::DriverId;

#[derive(Args)]
pub(in crate::cli) struct New {
    /// Id of the driver, which is the miner type: lower-case letters, digits and dashes
    name: DriverId,
    /// The folder to make; NAME-driver in this folder when absent
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// A folder with the crate adit-plugin-api, to use instead of a copy inside the new crate
    #[arg(long, value_name = "FOLDER")]
    plugin_api: Option<PathBuf>,
}

/// The folder inside the new crate for its own copy of adit-plugin-api.
const OWN_API: &str = "plugin-api";

/// Path, text, and whether it is a program.
const FILES: [(&str, &str, bool); 9] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.txt"), false),
    (".gitignore", "/target\n", false),
    ("README.md", include_str!("template/README.md"), false),
    ("src/lib.rs", include_str!("template/lib.rs.txt"), false),
    ("src/tests.rs", include_str!("template/tests.rs.txt"), false),
    ("golden/mining.json", include_str!("template/golden/mining.json"), false),
    ("golden/output-only.json", include_str!("template/golden/output-only.json"), false),
    ("golden/not-yet.json", include_str!("template/golden/not-yet.json"), false),
    ("fake-miner", include_str!("template/fake-miner.sh"), true),
];

pub(super) fn run(common: &Common, command: &New) -> Result<(), Error> {
    let name = command.name.as_str();
    let folder = command.dir.clone().unwrap_or_else(|| PathBuf::from(format!("{name}-driver")));
    let api = match &command.plugin_api {
        None => PathBuf::from(OWN_API),
        Some(path) => existing_api(path)?,
    };
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let message = format!("{} is there and not empty: choose another --dir", folder.display());
        return Err(Error::message(message));
    }
    let (package, keys) = package(name);
    let library = package.replace('-', "_");
    for (path, text, is_program) in FILES {
        let text = text
            .replace("@NAME@", name)
            .replace("@TITLE@", &title(name))
            .replace("@PACKAGE@", &package)
            .replace("@KEYS@", &keys)
            .replace("@LIBRARY@", &library)
            .replace("@PLUGIN_API@", &format!("{:?}", api.display().to_string()));
        write(&folder.join(path), &text, is_program)?;
    }
    write(&folder.join("Cargo.lock"), &plugin_api::lock(&package), false)?;
    if command.plugin_api.is_none() {
        for (path, text) in plugin_api::files() {
            write(&folder.join(OWN_API).join(path), &text, false)?;
        }
    }
    if common.json {
        show::json(&json!({ "id": name, "folder": folder, "library": library }));
        return Ok(());
    }
    let folder = show::plain(&folder.display().to_string());
    println!("made {folder}. Build and check it:\n");
    println!("    cd {folder}");
    println!("    cargo test && cargo build --release");
    println!("    adit driver check target/release/lib{library}.so --golden golden");
    println!("\nREADME.md there says what to change and how to try it.");
    Ok(())
}

fn existing_api(path: &Path) -> Result<PathBuf, Error> {
    let wrong =
        |reason: String| Error::message(format!("--plugin-api {}: {reason}", path.display()));
    let whole = fs::canonicalize(path).map_err(|error| wrong(error.to_string()))?;
    let manifest = fs::read_to_string(whole.join("Cargo.toml")).unwrap_or_default();
    if !manifest.contains("name = \"adit-plugin-api\"") {
        return Err(wrong("this is not the folder of the crate adit-plugin-api".to_owned()));
    }
    Ok(whole)
}

/// Name of the package, and what the driver's macro needs to be told besides: a package must not
/// begin with a digit, an id may.
fn package(id: &str) -> (String, String) {
    if id.starts_with(|c: char| c.is_ascii_digit()) {
        return (format!("m{id}-driver"), format!(", {{ id: {id:?} }}"));
    }
    (format!("{id}-driver"), String::new())
}

/// `my-miner` as people would write it.
fn title(id: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    id.split('-').filter_map(capital).collect::<Vec<_>>().join(" ")
}

fn write(path: &Path, text: &str, is_program: bool) -> Result<(), Error> {
    let wrong =
        |error: std::io::Error| Error::message(format!("cannot write {}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut options = fs::OpenOptions::new();
    let mode = if is_program { 0o755 } else { 0o644 };
    let file = options.write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_makes_a_package_that_cargo_takes() {
        for (id, package_name, keys, shown) in [
            ("my-miner", "my-miner-driver", "", "My Miner"),
            ("7z", "m7z-driver", ", { id: \"7z\" }", "7z"),
            ("x-", "x--driver", "", "X"),
        ] {
            let (made, told) = package(id);
            assert_eq!((made.as_str(), told.as_str()), (package_name, keys));
            assert_eq!(title(id), shown);
        }
    }
}
