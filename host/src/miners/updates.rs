//! Which installed programs have newer releases. Asks release pages and changes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{
    drivers::handle::Driver,
    miners::{Error, Miners, install::release_plan},
    model::name::DriverId,
};

/// Longest that a release page may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// An installed program and the newest release of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// The miner type.
    pub miner_type: DriverId,
    /// The version that runs at the next start.
    pub installed: String,
    /// The newest release, when its page answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// Whether that is a newer one.
    pub available: bool,
    /// Why the release page told nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Miners {
    /// Looks for newer releases of every program that was installed from a release page.
    pub async fn updates(&self) -> Vec<Update> {
        let mut asking = JoinSet::new();
        for driver in self.0.parts.drivers.loaded() {
            let releases = &self.0.parts.options.programs.releases;
            let active = releases.versions(driver.id()).into_iter().find(|it| it.active);
            let Some(active) = active else { continue };
            let miners = self.clone();
            asking.spawn(async move {
                let newest = tokio::time::timeout(PATIENCE, miners.newest(&driver)).await;
                let newest = match newest {
                    Ok(newest) => newest.map_err(|error| error.to_string()),
                    Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
                };
                let (newest, problem) = match newest {
                    Ok(version) => (Some(version), None),
                    Err(problem) => (None, Some(problem)),
                };
                let available =
                    newest.as_ref().is_some_and(|newest| is_newer(newest, &active.version));
                let miner_type = driver.id().clone();
                Update { miner_type, installed: active.version, newest, available, problem }
            });
        }
        let mut updates = asking.join_all().await;
        updates.sort_by(|a, b| a.miner_type.cmp(&b.miner_type));
        updates
    }

    async fn newest(&self, driver: &Driver) -> Result<String, Error> {
        let programs = &self.0.parts.options.programs;
        let plan = release_plan(driver, None, programs.signers.get(driver.id())).await?;
        Ok(programs.releases.newest(&plan).await?)
    }
}

/// Whether version `one` comes after `other`: number by number, and what is no number as text.
fn is_newer(one: &str, other: &str) -> bool {
    let parts = |version: &str| -> Vec<(u64, String)> {
        let parts = version.split(['.', '-', '+', '_']);
        parts.map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
    };
    let (one, other) = (parts(one), parts(other));
    for pair in one.iter().zip(&other) {
        let ((a, a_text), (b, b_text)) = pair;
        if (a, a_text.trim_start_matches('0')) != (b, b_text.trim_start_matches('0')) {
            return (a, a_text) > (b, b_text);
        }
    }
    // A part after a common beginning: a number comes later, as in 1.2.1; a word before, as in
    // 1.2-rc1.
    let numeric = |rest: &[(u64, String)]| {
        rest.first().is_some_and(|(_, text)| text.bytes().all(|it| it.is_ascii_digit()))
    };
    match one.len().cmp(&other.len()) {
        std::cmp::Ordering::Greater => numeric(&one[other.len()..]),
        std::cmp::Ordering::Less => !numeric(&other[one.len()..]),
        std::cmp::Ordering::Equal => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_newer;

    #[test]
    fn versions_are_compared_number_by_number() {
        for (one, other, newer) in [
            ("6.26.0", "6.25.0", true),
            ("6.25.0", "6.26.0", false),
            ("6.26.0", "6.26.0", false),
            ("6.10.0", "6.9.0", true),
            ("10.0", "9.9.9", true),
            ("2024.3.2", "2024.2.9", true),
            ("6.26.1", "6.26", true),
            ("6.26", "6.26.1", false),
            ("6.26.0", "6.26.0-rc1", true),
            ("6.26.0-rc1", "6.26.0", false),
            ("6.26.0-rc2", "6.26.0-rc1", true),
            ("6.026.0", "6.26.0", false),
        ] {
            assert_eq!(is_newer(one, other), newer, "{one} after {other}");
        }
    }
}
