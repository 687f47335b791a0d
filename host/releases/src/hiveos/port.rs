//! The port of the miner's own API, which a package for HiveOS names in several of its texts.
//!
//! A rig of HiveOS runs one miner of a kind, so the number is fixed. Here each run gets a free port
//! instead, in a copy of those texts. That works only where the miner is told its port: one that
//! listens where it always does would not be found any more.

use std::{collections::BTreeMap, fs, path::Path};

use crate::hiveos::{MANIFEST, files};

/// Endings of the texts in which the number is replaced. Those of `adit-run` are the same.
const TEXTS: [&str; 8] = ["sh", "conf", "json", "ini", "cfg", "toml", "yaml", "yml"];

/// Asks the miner; whatever it names is no sign that the miner is told.
const ASKS: &str = "h-stats.sh";

/// Largest text that is looked at, in bytes. `adit-run` passes over larger ones too.
const LARGEST: u64 = 1 << 20;

/// What is known of the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiPort {
    /// The miner is told this one, so that a free one can take its place.
    Told(u16),
    /// It stays as the package has it; why, and what can be done.
    Fixed(String),
}

impl ApiPort {
    /// Looks in the texts of the package in `folder` for the port `named`, or the only one that its
    /// manifest, with the values `assigned`, has in a variable whose name ends in `PORT`.
    ///
    /// # Errors
    /// When `named` is none that the miner is told.
    pub(super) fn find(
        folder: &Path,
        assigned: &BTreeMap<String, Result<String, usize>>,
        named: Option<u16>,
    ) -> Result<Self, String> {
        let mut of_manifest: Vec<(&str, u16)> = Vec::new();
        for (name, value) in assigned.iter().filter(|(name, _)| name.ends_with("PORT")) {
            let port = value.as_ref().ok().and_then(|it| it.parse().ok()).filter(|it| *it > 0);
            of_manifest.extend(port.map(|port| (name.as_str(), port)));
        }
        let mut ports: Vec<u16> = of_manifest.iter().map(|it| it.1).collect();
        ports.sort_unstable();
        ports.dedup();
        let port = match (named, ports.as_slice()) {
            (Some(port), _) => port,
            (None, [port]) => *port,
            (None, []) => {
                return Ok(Self::Fixed(format!(
                    "{MANIFEST} has no variable for the port of the miner's API; if there is one, \
                     name it with --api-port"
                )));
            }
            (None, several) => {
                let several: Vec<String> = several.iter().map(u16::to_string).collect();
                return Ok(Self::Fixed(format!(
                    "{MANIFEST} has the ports {}; name that of the miner's API with --api-port",
                    several.join(" and ")
                )));
            }
        };
        let names: Vec<&str> =
            of_manifest.iter().filter(|it| it.1 == port).map(|it| it.0).collect();
        if is_told(folder, port, &names)? {
            return Ok(Self::Told(port));
        }
        let reason = format!(
            "nothing in the package tells the miner to listen at {port}: it would go on listening \
             where it always does"
        );
        if named.is_some() { Err(format!("--api-port: {reason}")) } else { Ok(Self::Fixed(reason)) }
    }
}

/// Whether a text that configures or runs the miner has the number, or a variable with it.
fn is_told(folder: &Path, port: u16, names: &[&str]) -> Result<bool, String> {
    for path in files(folder)? {
        let inside = path.strip_prefix(folder).unwrap_or(&path);
        let is_text = inside.extension().is_some_and(|it| TEXTS.iter().any(|text| it == *text));
        let says_itself = [MANIFEST, ASKS].iter().any(|it| inside == Path::new(it));
        if !is_text || says_itself || fs::metadata(&path).is_ok_and(|it| it.len() > LARGEST) {
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", inside.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        if has_number(&text, port) || names.iter().any(|name| uses(&text, name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the number is in `text` and no part of a longer one.
fn has_number(text: &str, port: u16) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let number = port.to_string();
    text.match_indices(&number).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + number.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

/// Whether a shell that reads `text` uses the variable.
fn uses(text: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split('$').skip(1).any(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.strip_prefix(name).is_some_and(|after| !after.starts_with(is_name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        texts: &[(&str, &str)],
        assigned: &[(&str, &str)],
        named: Option<u16>,
    ) -> Result<ApiPort, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in texts {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let assigned =
            assigned.iter().map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned())));
        ApiPort::find(folder.path(), &assigned.collect(), named)
    }

    #[test]
    fn a_port_that_the_miner_is_told_is_found() {
        let told = Ok(ApiPort::Told(4028));
        let manifest = [("WEB_PORT", "4028"), ("CUSTOM_NAME", "x")];
        let by_number = [("h-run.sh", "./x --api 127.0.0.1:4028")];
        assert_eq!(find(&by_number, &manifest, None), told);
        assert_eq!(find(&by_number, &[], Some(4028)), told);
        assert_eq!(find(&[("h-run.sh", "./x --api $WEB_PORT")], &manifest, None), told);
        assert_eq!(find(&[("h-config.sh", "p=${WEB_PORT}")], &manifest, None), told);
        assert_eq!(find(&[("x.json", "{\"port\":4028}")], &manifest, None), told);
        // The same number under two names is one port.
        let twice = [("API_PORT", "4028"), ("WEB_PORT", "4028")];
        assert_eq!(find(&by_number, &twice, None), told);
    }

    #[test]
    fn what_is_not_sure_stays_as_it_is() {
        let manifest = [("WEB_PORT", "4028")];
        for (texts, assigned, reason) in [
            // Who asks only does not tell the miner.
            (&[("h-stats.sh", "curl localhost:4028")][..], &manifest[..], "nothing in the package"),
            (&[("h-run.sh", "./x 14028 4028.5 $WEB_PORTS")], &manifest, "nothing in the package"),
            (&[("x.bin", "4028")], &manifest, "nothing in the package"),
            (&[], &[("WEB_PORT", "x"), ("PORTS", "1")], "has no variable for the port"),
            (&[], &[("A_PORT", "1"), ("B_PORT", "2")], "has the ports 1 and 2; name"),
        ] {
            let found = find(texts, assigned, None).unwrap();
            let ApiPort::Fixed(told) = found else { panic!("{found:?}") };
            assert!(told.contains(reason), "{told}");
        }
        let told = find(&[("h-run.sh", "./x")], &manifest, Some(4029)).unwrap_err();
        assert!(told.contains("--api-port: nothing in the package tells"), "{told}");
    }
}
