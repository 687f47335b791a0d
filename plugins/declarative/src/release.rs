//! Where the program comes from, and how it tells its version.

use std::collections::BTreeMap;

use adit_plugin_api::{Error, InstallPlan, Proof, ReleasePlan, Result, Target};
use regex::Regex;

use crate::{
    fault::{Lines, list},
    manifest::{self, Asset, Release},
    pick::expression,
};

/// The program, as far as the file tells of it.
#[derive(Default)]
pub(crate) struct Program {
    name: Option<String>,
    version: Option<Regex>,
    /// The same on every machine, and what differs by `os-arch`.
    release: Option<(ReleasePlan, BTreeMap<String, Asset>)>,
}

impl Program {
    pub(crate) fn new(program: Option<&manifest::Program>, lines: &Lines<'_>) -> Result<Self> {
        let Some(manifest::Program { name, version, release }) = program else {
            return Ok(Self::default());
        };
        let version = version.as_ref().map(|text| {
            let made = expression(text.get_ref()).and_then(|made| match made.captures_len() {
                1 => Err("it has no group: put brackets around the version".to_owned()),
                _ => Ok(made),
            });
            made.map_err(|problem| lines.fault(text, "program.version", &problem))
        });
        let version = version.transpose()?;
        let release = release.as_ref().map(|release| (plan(release), release.assets.clone()));
        Ok(Self { name: name.clone(), version, release })
    }

    pub(crate) fn install(&self, target: &Target) -> Result<InstallPlan> {
        let Some((plan, assets)) = &self.release else {
            return match &self.name {
                Some(program) => Ok(InstallPlan::Bundled { program: program.clone() }),
                None => Err(Error::unsupported(
                    "this driver does not install its program: name the program in [programs] of \
                     the host's settings",
                )),
            };
        };
        let wanted = format!("{}-{}", target.os, target.arch);
        let Asset { asset, program, program_elsewhere } = assets.get(&wanted).ok_or_else(|| {
            let known = list(assets.keys().map(String::as_str));
            Error::unsupported(format!("there is no release for {wanted}; there are: {known}"))
        })?;
        Ok(InstallPlan::Release(ReleasePlan {
            asset: asset.clone(),
            program: program.clone(),
            program_elsewhere: program_elsewhere.clone(),
            ..plan.clone()
        }))
    }

    pub(crate) fn version(&self, output: &str) -> Result<String> {
        let none = || Error::failed("the program printed no version");
        if let Some(expression) = &self.version {
            let found = expression.captures(output).and_then(|it| it.get(1));
            let version = found.ok_or_else(none)?.as_str();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-+_".contains(c);
            let is_version = (1..=64).contains(&version.len()) && version.chars().all(is_plain);
            return if is_version { Ok(version.to_owned()) } else { Err(none()) };
        }
        let words = output.split(|c: char| c.is_whitespace() || c == ',');
        let mut words = words.map(|word| word.trim_start_matches(['v', 'V']));
        let is_version = |word: &&str| {
            word.contains('.')
                && word.starts_with(|c: char| c.is_ascii_digit())
                && word.len() <= 64
                && word.chars().all(|c| c.is_ascii_alphanumeric() || ".-+_".contains(c))
        };
        words.find(is_version).map(str::to_owned).ok_or_else(none)
    }
}

fn plan(release: &Release) -> ReleasePlan {
    ReleasePlan {
        repository: release.repository.clone(),
        version_args: release.version_args.clone(),
        version_exit_codes: release.version_exit_codes.clone(),
        remove: release.remove.clone(),
        proof: Proof {
            sha256: release.sha256.clone(),
            sums: release.sums.clone(),
            signature: release.signature.clone(),
            key: release.key.clone(),
            key_url: release.key_url.clone(),
            fingerprint: release.fingerprint.clone(),
        },
        ..ReleasePlan::default()
    }
}
