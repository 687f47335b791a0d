//! Where the programs of drivers are.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use adit_plugin_api::{InstallPlan, Installed, Target};

use crate::miners::Error;
use adit_drivers::{call::CallError, handle::Driver};
use adit_model::name::DriverId;
use adit_releases::Releases;

/// Where to look for programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Programs that the operator put in place, by miner type.
    pub configured: BTreeMap<DriverId, PathBuf>,
    /// Folders with the programs that are shipped with the host.
    pub bundled: Vec<PathBuf>,
    /// Programs that were installed from releases.
    pub releases: Releases,
    /// Fingerprints of keys that sign in place of the publishers', by miner type.
    pub signers: BTreeMap<DriverId, String>,
}

impl Programs {
    /// The standard places for a host whose binary is `exe`.
    pub fn standard(
        configured: BTreeMap<DriverId, PathBuf>,
        exe: &Path,
        releases: Releases,
    ) -> Self {
        let beside = exe.parent().map(Path::to_owned);
        let bundled = beside.into_iter().chain([PathBuf::from("/usr/lib/adit/programs")]);
        Self { configured, bundled: bundled.collect(), releases, signers: BTreeMap::new() }
    }

    /// The program of `driver`; `None` when the driver needs none.
    ///
    /// # Errors
    /// [`Error::NoProgram`] with what to do.
    pub async fn find(&self, driver: &Driver) -> Result<Option<Installed>, Error> {
        if !driver.description().needs_program {
            return Ok(None);
        }
        if let Some(path) = self.configured.get(driver.id()) {
            return self.usable(path).map(Some).ok_or_else(|| {
                Error::NoProgram(format!(
                    "the program {} that the settings name for {} is not an executable file",
                    path.display(),
                    driver.id()
                ))
            });
        }
        let target = Target {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            version: None,
        };
        match driver.instance(None).await?.install(target).await {
            Ok(InstallPlan::Bundled { program }) => self.bundled(driver.id(), &program).map(Some),
            Ok(InstallPlan::Release(_)) => {
                self.releases.installed(driver.id()).map(Some).ok_or_else(|| {
                    Error::NoProgram(format!(
                        "the program of {0} is not installed: install it with `adit install {0}` \
                         or POST /miners/{0}/install",
                        driver.id()
                    ))
                })
            }
            Ok(_) => Err(Error::NoProgram(format!(
                "the program of {} is not installed: name it in the settings under \
                 [programs] as {} = \"/path/to/program\"",
                driver.id(),
                driver.id()
            ))),
            Err(error @ CallError::Refused { .. }) => Err(Error::NoProgram(format!(
                "the program of {} is not installed ({error}): name it in the settings under \
                 [programs] as {} = \"/path/to/program\"",
                driver.id(),
                driver.id()
            ))),
            // Nothing that a setting would mend.
            Err(error) => Err(error.into()),
        }
    }

    fn bundled(&self, id: &DriverId, program: &str) -> Result<Installed, Error> {
        let plain = !program.is_empty() && !program.contains('/') && program != "..";
        self.bundled
            .iter()
            .filter(|_| plain)
            .find_map(|folder| self.usable(&folder.join(program)))
            .ok_or_else(|| {
                let folders: Vec<_> =
                    self.bundled.iter().map(|it| it.display().to_string()).collect();
                Error::NoProgram(format!(
                    "the program {program:?} of {id} is in none of {}",
                    folders.join(", ")
                ))
            })
    }

    /// A program put in place by hand: a plan may name this very file only.
    fn usable(&self, path: &Path) -> Option<Installed> {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(path).ok()?;
        let executable = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        executable.then(|| Installed {
            version: None,
            dir: path.to_owned(),
            program: path.to_owned(),
        })
    }
}
