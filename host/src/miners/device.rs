//! A run without a program: the host asks a device for figures and tells it what to do.
//!
//! There is no keeper, for there is nothing to keep: the device hashes whether or not a host looks.
//! What a later host must know stands in `device.json` of the miner's folder.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use adit_core::files;
use adit_plugin_api::{CommandStep, DevicePlan};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::miners::{
    Error,
    probe::{Prober, Reach},
    record,
};
use adit_model::{
    name::MinerName,
    run::{ExitRecord, RunId},
};

const FILE: &str = "device.json";

/// How a run of a device ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Release {
    pub(crate) record: ExitRecord,
    /// Why the device did not carry out what it was told at the end, if so.
    pub(crate) complaint: Option<String>,
}

/// What is written down of a run. Holds secrets: mode 0600.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    run: RunId,
    started_at_ms: i64,
    plan: DevicePlan,
    end: Option<Release>,
}

/// A run of a device. Cheap to clone.
#[derive(Clone)]
pub(crate) struct DeviceRun(Arc<Inner>);

struct Inner {
    miner: MinerName,
    folder: PathBuf,
    written: Written,
    end: watch::Sender<Option<Release>>,
}

/// What the folder of a miner says of its device.
pub(crate) enum Found {
    /// It is to be watched.
    Running(DeviceRun),
    /// It is not watched any more.
    Ended(Release),
}

impl DeviceRun {
    /// The newest run of a device in `folder`; `None` when there never was one.
    ///
    /// # Errors
    /// When what was written cannot be read.
    pub(crate) fn find(miner: &MinerName, folder: &Path) -> io::Result<Option<Found>> {
        let written: Written = match files::read_json(&folder.join(FILE)) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(match written.end.clone() {
            Some(end) => Found::Ended(end),
            None => Found::Running(Self::of(miner, folder, written)),
        }))
    }

    /// Tells the device what the plan says, and begins.
    ///
    /// # Errors
    /// [`Error::Command`] when the device does not do it; [`Error::Io`].
    pub(crate) async fn begin(
        prober: &Prober,
        miner: &MinerName,
        folder: &Path,
        run: &RunId,
        plan: &DevicePlan,
        now_ms: i64,
    ) -> Result<Self, Error> {
        let reach = Reach::of(&plan.addresses);
        carry_out(prober, &plan.start, &reach).await?;
        let (run, plan) = (run.clone(), plan.clone());
        let written = Written { run, started_at_ms: now_ms, plan, end: None };
        // Written after it was told: a host that dies before tells it again.
        write(folder, &written)?;
        Ok(Self::of(miner, folder, written))
    }

    fn of(miner: &MinerName, folder: &Path, written: Written) -> Self {
        let (end, _) = watch::channel(None);
        let (miner, folder) = (miner.clone(), folder.to_owned());
        Self(Arc::new(Inner { miner, folder, written, end }))
    }

    pub(crate) fn id(&self) -> &RunId {
        &self.0.written.run
    }

    pub(crate) fn started_at_ms(&self) -> i64 {
        self.0.written.started_at_ms
    }

    pub(crate) fn addresses(&self) -> &[String] {
        &self.0.written.plan.addresses
    }

    /// Tells the device what the plan says for the end, and ends. A device that does not answer is
    /// let go all the same; the end says so.
    pub(crate) async fn stop(&self, prober: &Prober) {
        let inner = &self.0;
        let reach = Reach::of(self.addresses());
        let told = carry_out(prober, &inner.written.plan.stop, &reach).await;
        let record = ExitRecord {
            run: inner.written.run.clone(),
            code: None,
            signal: None,
            by_stop: true,
            started_at_ms: inner.written.started_at_ms,
            ended_at_ms: jiff::Timestamp::now().as_millisecond(),
            cpu_ms: 0,
            lines_dropped: 0,
        };
        let complaint = told.err().map(|error| error.to_string());
        if let Some(complaint) = &complaint {
            tracing::warn!(miner = %inner.miner, complaint, "the device did not take the end");
        }
        let end = Release { record, complaint };
        let written = Written { end: Some(end.clone()), ..inner.written.clone() };
        if let Err(error) = write(&inner.folder, &written) {
            tracing::error!(miner = %inner.miner, %error, "cannot write down the end of a run");
        }
        inner.end.send_replace(Some(end));
    }

    /// Waits for the end, however long that takes. Safe to drop.
    pub(crate) async fn wait(&self) -> Option<Release> {
        let mut end = self.0.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| end.clone())
    }
}

fn write(folder: &Path, written: &Written) -> Result<(), Error> {
    let failed =
        |source| Error::Io { what: format!("write {FILE} in {}", folder.display()), source };
    let text = serde_json::to_vec(written).map_err(|error| failed(error.into()))?;
    record::private_folder(folder).map_err(failed)?;
    record::write_atomically(&folder.join(FILE), &text).map_err(failed)
}

/// Carries out steps in order; the first that fails ends it.
///
/// # Errors
/// [`Error::Command`], or [`Error::Unsupported`] for a step that no device understands.
pub(crate) async fn carry_out(
    prober: &Prober,
    steps: &[CommandStep],
    reach: &Reach,
) -> Result<(), Error> {
    for step in steps {
        prober.tell(step, reach).await?;
    }
    Ok(())
}
