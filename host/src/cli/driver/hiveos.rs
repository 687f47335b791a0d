//! `adit driver import-hiveos`: a driver in TOML from a package for HiveOS.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use crate::cli::{Common, Error, client, show};
use adit_model::name::DriverId;
use adit_releases::hiveos::{ApiPort, Package, unusable_path};

#[derive(Args)]
pub(in crate::cli) struct Import {
    /// The package: a .tar.gz, or a folder with h-manifest.conf
    package: PathBuf,
    /// Id of the new driver, which is the miner type; the package's name when absent
    #[arg(long)]
    id: Option<DriverId>,
    /// The folder to make; ID-hiveos in this folder when absent
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// What the miner logs in with, with the placeholders of HiveOS
    #[arg(long, default_value = "%WAL%.%WORKER_NAME%")]
    template: String,
    /// Port of the miner's own API in the package's scripts, in whose place each run gets a free
    /// one; what a variable called …PORT in h-manifest.conf says when absent
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    api_port: Option<u16>,
}

/// A placeholder of HiveOS, and ours.
const PLACEHOLDERS: [(&str, &str); 5] = [
    ("%WAL%", "${wallet}"),
    ("%WORKER_NAME%", "${worker}"),
    ("%URL%", "${url}"),
    ("%PASS%", "${password}"),
    ("%EMAIL%", "${email}"),
];

pub(super) fn run(common: &Common, command: Import) -> Result<(), Error> {
    let Import { package, id, dir, template, api_port } = command;
    let reason = unusable_path(client::home(common).path()).filter(|_| common.url.is_none());
    if let Some(reason) = reason {
        return Err(Error::message(reason));
    }
    let template = translated(&template).map_err(Error::message)?;
    let work = super::check::Scratch::new()?;
    let read = Package::open(&package, work.path(), api_port).map_err(Error::message)?;
    let id = match id {
        Some(id) => id,
        None => DriverId::new(plain_id(&read.name)).map_err(|_| {
            Error::message(format!("{:?} is no id for a driver: name one with --id", read.name))
        })?,
    };
    let folder = dir.unwrap_or_else(|| PathBuf::from(format!("{id}-hiveos")));
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let told = format!("{} is there and not empty: choose another --dir", folder.display());
        return Err(Error::message(told));
    }
    let wrong = |path: &Path, error: std::io::Error| {
        Error::message(format!("cannot write {}: {error}", path.display()))
    };
    fs::create_dir_all(&folder).map_err(|error| wrong(&folder, error))?;
    let archive = format!("{id}-{}.tar.gz", read.version);
    let (api_port, fixed) = match &read.api_port {
        ApiPort::Told(port) => (Some(*port), None),
        ApiPort::Fixed(reason) => (None, Some(reason)),
    };
    let filled = |text: &str, sha256: &str| {
        let target = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        text.replace("@ID@", id.as_str())
            .replace("@NAME@", &read.name)
            .replace("@VERSION@", &read.version)
            .replace("@ARCHIVE@", &archive)
            .replace("@SHA256@", sha256)
            .replace("@TARGET@", &target)
            .replace("@API_PORT@", &api_port.map(|it| it.to_string()).unwrap_or_default())
            .replace("@TEMPLATE@", &toml::Value::from(template.clone()).to_string())
    };
    let program = filled(include_str!("template/hiveos/adit-run.sh"), "");
    let packed = read.pack(&program, &folder.join(&archive)).map_err(Error::message)?;
    let driver = folder.join(format!("{id}.toml"));
    let text = filled(include_str!("template/hiveos/driver.toml.txt"), &packed.sha256);
    fs::write(&driver, text).map_err(|error| wrong(&driver, error))?;
    if common.json {
        let program = json!({ "archive": packed.path, "sha256": packed.sha256 });
        show::json(&json!({
            "id": id, "driver": driver, "program": program,
            "apiPort": api_port, "fixedPort": fixed,
        }));
        return Ok(());
    }
    let shown = |path: &Path| show::plain(&path.display().to_string());
    println!("made {}. Read it and the scripts of the package, then:\n", shown(&driver));
    println!("    adit driver check {}", shown(&driver));
    println!("    adit driver add {}", shown(&driver));
    println!("    adit install {id} --from {}", shown(&packed.path));
    println!("    adit miner start rig-1 --type {id} --set url=… --set wallet=…");
    match (api_port, fixed) {
        (Some(port), _) => println!("\nEach run has a free port where the package says {port}."),
        (None, Some(reason)) => {
            println!("\nTwo miners of it at once may want one port: {}.", show::plain(reason));
        }
        (None, None) => {}
    }
    Ok(())
}

/// The name of a package as an id.
fn plain_id(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(letter).collect::<String>().trim_matches('-').to_owned()
}

/// A text with the placeholders of HiveOS as one with ours.
fn translated(text: &str) -> Result<String, String> {
    let mut rest = text.replace('$', "$$");
    for (theirs, ours) in PLACEHOLDERS {
        rest = rest.replace(theirs, ours);
    }
    let parts: Vec<&str> = rest.split('%').collect();
    let is_name =
        |part: &&&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let between = parts.get(1..parts.len() - 1).unwrap_or_default();
    let Some(name) = between.iter().find(is_name) else { return Ok(rest) };
    let known: Vec<&str> = PLACEHOLDERS.iter().map(|(theirs, _)| *theirs).collect();
    Err(format!("--template: %{name}% has no meaning here; there are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_translated_or_refused() {
        for (text, expected) in [
            ("%WAL%.%WORKER_NAME%", Ok("${wallet}.${worker}")),
            ("x$y-%EMAIL%", Ok("x$$y-${email}")),
            ("100% of %WAL%", Ok("100% of ${wallet}")),
            ("5%x %ZWAL%", Err("%ZWAL% has no meaning here")),
            ("%ZWAL%", Err("%ZWAL% has no meaning here")),
        ] {
            match (translated(text), expected) {
                (Ok(made), Ok(expected)) => assert_eq!(made, expected),
                (Err(told), Err(expected)) => assert!(told.contains(expected), "{told}"),
                (made, _) => panic!("{text}: {made:?}"),
            }
        }
    }

    #[test]
    fn a_name_becomes_an_id() {
        for (name, id) in [("Nova_Miner", "nova-miner"), ("t-rex", "t-rex"), ("_x.", "x")] {
            assert_eq!(plain_id(name), id);
        }
    }
}
