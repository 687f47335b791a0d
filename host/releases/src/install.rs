//! The steps of an installation.

mod unpacking;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use adit_plugin_api::ReleasePlan;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    Outcome, Releases, Trial, Version, blocking,
    download::{self, Arrived, Wanted},
    error::Error,
    install::unpacking::Unpacking,
    progress::{Reporter, Step, step},
    proof::{self, Proven},
    service::{self, Asset, Release, check_version},
    shelf::{self, Lock, Record, Shelf},
    signature::hex,
    unpack, version,
};
use adit_core::files;
use adit_model::{
    name::DriverId,
    version::{is_newer, is_same, newest},
};

/// A release's archive that lies on this machine.
#[derive(Clone, Debug)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// The SHA-256 it must have, in hex.
    pub sha256: Option<String>,
    /// Its version; read from its name when absent.
    pub version: Option<String>,
}

impl Releases {
    /// Installs the newest release, or that of `version`, and makes it the one that runs. One that
    /// is there already is not downloaded again. When dropped, nothing is installed.
    ///
    /// # Errors
    /// [`Error`]; what was there before is untouched.
    pub async fn install(
        &self,
        driver: &DriverId,
        plan: &ReleasePlan,
        version: Option<&str>,
        trial: &Trial,
        progress: &Reporter,
    ) -> Result<(Version, Outcome), Error> {
        let asked = version.map(check_version).transpose()?;
        let work = Work::begin(self, driver, plan, trial, progress)?;
        if let Some(there) = asked.as_ref().and_then(|it| work.shelf.record(it)) {
            return work.reuse(there).await;
        }
        let inner = &self.0;
        let release =
            service::find(&inner.web, &inner.options.sources, plan, asked.as_deref()).await?;
        progress.send_modify(|it| it.version = Some(release.version.clone()));
        if asked.is_none() {
            work.refuse_older(&release.version)?;
        }
        if let Some(there) = work.shelf.record(&release.version) {
            return work.reuse(there).await;
        }
        let done = work.fetch(&release).await;
        work.end(done).await
    }

    /// Installs a file that lies on this machine and makes it the one that runs.
    ///
    /// # Errors
    /// [`Error::Unproven`] when nothing proves the file; see the module's documentation.
    pub async fn install_file(
        &self,
        driver: &DriverId,
        plan: &ReleasePlan,
        file: &LocalFile,
        trial: &Trial,
        progress: &Reporter,
    ) -> Result<(Version, Outcome), Error> {
        let work = Work::begin(self, driver, plan, trial, progress)?;
        let done = work.take(file).await;
        work.end(done).await
    }
}

/// One installation under way.
struct Work<'a> {
    releases: &'a Releases,
    plan: &'a ReleasePlan,
    trial: &'a Trial,
    progress: &'a Reporter,
    shelf: Shelf,
    /// Shared with the blocking steps, which outlive this when it is dropped.
    lock: Arc<Lock>,
}

/// An archive in the staging folder, and what is known of it.
struct Archive {
    path: PathBuf,
    asset: String,
    sha256: String,
    proven: Proven,
}

impl<'a> Work<'a> {
    fn begin(
        releases: &'a Releases,
        driver: &DriverId,
        plan: &'a ReleasePlan,
        trial: &'a Trial,
        progress: &'a Reporter,
    ) -> Result<Self, Error> {
        let shelf = releases.shelf(driver);
        let lock = Arc::new(shelf.lock()?);
        shelf.sweep(&lock, None)?;
        step(progress, Step::Finding);
        Ok(Self { releases, plan, trial, progress, shelf, lock })
    }

    /// A mirror could offer an old version as the newest, rightly signed and with faults that are
    /// known by now. The version that runs already is no step back.
    fn refuse_older(&self, found: &str) -> Result<(), Error> {
        let trust = self.shelf.trust()?;
        let newest = newest(trust.keys().map(String::as_str));
        let is_active = || self.shelf.active().is_some_and(|it| it.version == found);
        match newest {
            Some(newest) if is_newer(newest, found) && !is_active() => Err(Error::Older {
                repository: self.plan.repository.clone(),
                found: found.to_owned(),
                newest: newest.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Makes an installed version the one that runs.
    async fn reuse(&self, record: Record) -> Result<(Version, Outcome), Error> {
        let active = self.shelf.active().is_some_and(|it| it.version == record.version);
        if active {
            return Ok((version(&self.shelf, &record), Outcome::Unchanged));
        }
        let (shelf, lock) = (self.shelf.clone(), Arc::clone(&self.lock));
        blocking(move || {
            shelf.activate(&lock, &record.version)?;
            Ok((version(&shelf, &record), Outcome::Activated))
        })
        .await
    }

    async fn fetch(&self, release: &Release) -> Result<(Version, Outcome), Error> {
        let name = release.fill(&self.plan.asset);
        proof::demand(&self.plan.proof, &name)?;
        let asset = release.asset(&name)?;
        let inner = &self.releases.0;
        let (web, sources) = (&inner.web, &inner.options.sources);
        let repository = &self.plan.repository;
        // First, as it is small: without a proof nothing need be downloaded.
        let expected =
            proof::of_release(web, sources, &self.plan.proof, repository, release, &name).await?;
        let part = self.shelf.staging().join(part_name(release, asset));
        self.shelf.sweep(&self.lock, Some(&part))?;
        let wanted = Wanted {
            url: sources.asset(repository, &release.tag, &name),
            asset: name.clone(),
            size: asset.size,
            part: part.clone(),
        };
        let check = |arrived: &Arrived| self.check(release, asset, expected.as_ref(), arrived);
        let limits = &inner.options.limits;
        let mut arrived = download::download(web, &wanted, limits, self.progress).await?;
        if arrived.resumed && check(&arrived).is_err() {
            // The beginning may be of another file, or damaged since.
            shelf::remove(&part).map_err(Error::io("remove", &part))?;
            arrived = download::download(web, &wanted, limits, self.progress).await?;
        }
        step(self.progress, Step::Verifying);
        let proven = check(&arrived)?;
        let archive = Archive { path: part, asset: name, sha256: arrived.sha256, proven };
        self.unpack(archive, release).await
    }

    /// What proves what arrived.
    fn check(
        &self,
        release: &Release,
        asset: &Asset,
        expected: Option<&proof::Expected>,
        arrived: &Arrived,
    ) -> Result<Proven, Error> {
        let proven = match expected {
            Some(expected) => {
                expected.check(&asset.name, &arrived.sha256)?;
                expected.proven.clone()
            }
            None => {
                let trust = self.shelf.trust()?;
                proof::first_use(&trust, &release.version, &asset.name, &arrived.sha256)?
            }
        };
        let published = asset.digest.as_deref().and_then(|it| it.strip_prefix("sha256:"));
        if let Some(published) = published.and_then(proof::plain_sum) {
            proof::compare(&asset.name, "the release page", &published, &arrived.sha256)?;
        }
        Ok(proven)
    }

    async fn take(&self, file: &LocalFile) -> Result<(Version, Outcome), Error> {
        let name = file.path.file_name().and_then(|it| it.to_str());
        let name = name.ok_or_else(|| Error::NoVersion(file.path.clone()))?.to_owned();
        let version = match &file.version {
            Some(version) => check_version(version)?,
            None => version_in(&name, &self.plan.asset)
                .ok_or_else(|| Error::NoVersion(file.path.clone()))?,
        };
        let release =
            Release { tag: format!("v{version}"), version: version.clone(), assets: Vec::new() };
        let path = self.shelf.staging().join("file");
        let (from, to) = (file.path.clone(), path.clone());
        let limit = self.releases.0.options.limits.download_bytes;
        // What is checked and what is unpacked must be the same bytes.
        let sha256 = blocking(move || copy(&from, &to, limit)).await?;
        step(self.progress, Step::Verifying);
        let proven = self.prove(file, &release, &name, &sha256)?;
        if let Some(there) = self.shelf.record(&version) {
            return match there.sha256 == sha256 {
                true => self.reuse(there).await,
                false => Err(Error::Changed {
                    asset: name,
                    version,
                    recorded: there.sha256,
                    found: sha256,
                }),
            };
        }
        self.unpack(Archive { path, asset: name, sha256, proven }, &release).await
    }

    /// What proves a local file.
    fn prove(
        &self,
        file: &LocalFile,
        release: &Release,
        name: &str,
        sha256: &str,
    ) -> Result<Proven, Error> {
        if let Some(given) = &file.sha256 {
            let given = proof::plain_sum(given).ok_or_else(|| Error::Mismatch {
                asset: name.to_owned(),
                by: "--sha256".to_owned(),
                expected: given.chars().take(80).collect(),
                found: sha256.to_owned(),
            })?;
            proof::compare(name, "the operator", &given, sha256)?;
            return Ok(Proven::Given);
        }
        let fill = |pattern: &str| release.fill(pattern);
        let expected = proof::of_file(&self.plan.proof, &file.path, name, fill)?;
        let expected = expected.ok_or_else(|| Error::Unproven(file.path.clone()))?;
        expected.check(name, sha256)?;
        Ok(expected.proven)
    }

    /// From a proven archive to the version that runs.
    async fn unpack(
        &self,
        archive: Archive,
        release: &Release,
    ) -> Result<(Version, Outcome), Error> {
        step(self.progress, Step::Unpacking);
        let places = [&self.plan.program].into_iter().chain(&self.plan.program_elsewhere);
        let places: Vec<PathBuf> =
            places.map(|path| unpack::plan_path(&release.fill(path))).collect::<Result<_, _>>()?;
        let remove: Vec<PathBuf> = { self.plan.remove.iter() }
            .map(|path| unpack::plan_path(&release.fill(path)))
            .collect::<Result<_, _>>()?;
        let staged = self.shelf.staging().join("unpacked");
        let files = staged.join("files");
        let unpacking = Unpacking {
            archive: archive.path.clone(),
            asset: archive.asset.clone(),
            files: files.clone(),
            places,
            remove,
            limits: self.releases.0.options.limits.clone(),
        };
        let lock = Arc::clone(&self.lock);
        let (program, removed) = blocking(move || {
            let done = unpacking.carry_out();
            drop(lock);
            done
        })
        .await?;
        let path = files.join(&program);
        step(self.progress, Step::Trying);
        let reported = match self.plan.version_args.as_slice() {
            [] => None,
            args => {
                let tried = (self.trial)(path, args.to_vec()).await;
                let version = release.version.clone();
                let reported =
                    tried.map_err(|reason| Error::Trial { version: version.clone(), reason })?;
                if !is_same(&reported, &version) {
                    return Err(Error::OtherVersion { version, reported });
                }
                Some(reported)
            }
        };
        step(self.progress, Step::Activating);
        let record = Record {
            version: release.version.clone(),
            reported,
            program,
            asset: archive.asset,
            sha256: archive.sha256,
            proven: archive.proven,
            installed_at: Timestamp::now(),
            removed,
        };
        let (shelf, lock) = (self.shelf.clone(), Arc::clone(&self.lock));
        blocking(move || {
            shelf.place(&lock, &record, &staged)?;
            shelf.activate(&lock, &record.version)?;
            Ok((version(&shelf, &record), Outcome::Installed))
        })
        .await
    }

    /// Leaves nothing in the staging folder, except a download to go on with.
    async fn end<T: Send + 'static>(self, done: Result<T, Error>) -> Result<T, Error> {
        let interrupted = matches!(done, Err(Error::Interrupted { .. }));
        let (shelf, lock) = (self.shelf, self.lock);
        let swept = blocking(move || {
            let nothing = shelf.staging().join("nothing");
            shelf.sweep(&lock, if interrupted { None } else { Some(&nothing) })
        });
        if let Err(error) = swept.await {
            tracing::warn!(%error, "cannot remove what an installation left");
        }
        done
    }
}

/// A part of another file must never be taken for the beginning of this one.
fn part_name(release: &Release, asset: &Asset) -> String {
    let id = (&release.tag, &asset.name, asset.size, &asset.updated_at, &asset.digest);
    let hash = hex(&Sha256::digest(format!("{id:?}")));
    format!("{}.part", &hash[..16])
}

/// The version in a file's name, by the plan's pattern for it.
fn version_in(name: &str, pattern: &str) -> Option<String> {
    let mark = ["{version}", "{tag}"].into_iter().find(|mark| pattern.contains(mark))?;
    let (before, after) = pattern.split_once(mark)?;
    let version = name.strip_prefix(before)?.strip_suffix(after)?;
    check_version(version).ok()
}

/// Copies a file of at most `limit` bytes and returns the SHA-256 of the copy.
fn copy(from: &Path, to: &Path, limit: u64) -> Result<String, Error> {
    let source = files::open(from).map_err(Error::io("open", from))?;
    let mut copy = File::create(to).map_err(Error::io("write", to))?;
    let copied = io::copy(&mut source.take(limit + 1), &mut copy);
    if copied.map_err(Error::io("copy", from))? > limit {
        return Err(Error::TooLarge { what: from.display().to_string(), limit });
    }
    let hashed = download::hash_file(to).map_err(Error::io("read", to))?;
    Ok(hashed.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_a_files_name() {
        let pattern = "xmrig-{version}-linux-static-x64.tar.gz";
        let check = |name| version_in(name, pattern);
        assert_eq!(check("xmrig-6.26.0-linux-static-x64.tar.gz").as_deref(), Some("6.26.0"));
        for other in ["xmrig-linux-static-x64.tar.gz", "my.tar.gz", ""] {
            assert_eq!(check(other), None, "{other}");
        }
        assert_eq!(version_in("a/../b", "a{version}b"), None);
        assert_eq!(version_in("x", "x"), None);
    }
}
