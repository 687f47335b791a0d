//! What a supervisor tells of its miner, and how that is shown.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use adit_plugin_api::{Launch, Phase};

use crate::miners::{
    collector::{Collector, Origin},
    figures::{Figures, SharedFigures},
    hold::Hold,
    record::Record,
    secrets::Secrets,
};
use adit_model::{
    miner::{Desired, MinerView, RunView},
    plan::PlanView,
    restart::RestartPolicy,
    sample::Sample,
};
use adit_store::MinerRow;

/// A run that somebody is connected to. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) hold: Hold,
    /// How it was launched; `None` when nobody wrote that down.
    pub(crate) launch: Option<Arc<Launch>>,
    pub(crate) plan: Option<Arc<PlanView>>,
    /// What must not be shown of its output.
    pub(crate) secrets: Secrets,
    pub(crate) figures: SharedFigures,
    pub(crate) origin: Origin,
    /// What reads its output and asks its API; none without a record of its launch.
    pub(crate) collector: Weak<Collector>,
}

impl Live {
    pub(crate) fn new(
        hold: Hold,
        record: Option<Record>,
        figures: SharedFigures,
        secrets: Secrets,
        origin: Origin,
    ) -> Self {
        let (launch, plan) = record.map(|it| (Arc::new(it.launch), Arc::new(it.plan))).unzip();
        Self { hold, launch, plan, secrets, figures, origin, collector: Weak::new() }
    }

    fn view(&self) -> RunView {
        let program = self.launch.as_ref().and_then(|launch| launch.program.as_ref());
        let (pid, keeper_pid) = self.hold.pids().unzip();
        RunView {
            id: self.hold.id().to_string(),
            pid,
            keeper_pid,
            addresses: self.hold.addresses().to_vec(),
            started_at_ms: self.hold.started_at_ms(),
            program: program.map(|it| it.program.display().to_string()).unwrap_or_default(),
            version: program.and_then(|it| it.version.clone()),
        }
    }
}

/// Why a start has to wait.
#[derive(Clone)]
pub(crate) struct Wait {
    pub(crate) phase: Phase,
    pub(crate) reason: String,
    /// Unix milliseconds; `None`: until the operator acts.
    pub(crate) until_ms: Option<i64>,
}

/// Where a miner stands.
#[derive(Clone)]
pub(crate) struct Status {
    pub(crate) desired: Desired,
    /// Whether the host does not know yet what runs.
    pub(crate) unsettled: bool,
    /// Whether processes of the miner live that the host has no connection to.
    pub(crate) unreachable: bool,
    /// Whether the host has looked for a run at all.
    pub(crate) is_inspected: bool,
    /// The run, and whether a stop is under way.
    pub(crate) live: Option<(Live, bool)>,
    pub(crate) waiting: Option<Wait>,
    /// What keeps the host from seeing the run or from ending it.
    pub(crate) trouble: Option<String>,
    /// Why the database does not know that the miner shall not run.
    pub(crate) unsaved: Option<String>,
    pub(crate) restarts: u32,
    /// What happens when the program ends by itself, as of the last start.
    pub(crate) restart: RestartPolicy,
}

impl Status {
    /// Before the first look.
    pub(crate) fn unknown(row: &MinerRow) -> Self {
        let (desired, restart) = (row.desired, row.restart.clone());
        Self {
            desired,
            unsettled: true,
            is_inspected: false,
            unreachable: false,
            live: None,
            waiting: None,
            trouble: None,
            unsaved: None,
            restarts: 0,
            restart,
        }
    }

    /// The view of the miner `row`. `driver_missing` says why its driver cannot serve it, if so.
    pub(crate) fn view(&self, row: &MinerRow, driver_missing: Option<String>) -> MinerView {
        let figures = self.live.as_ref().map(|(live, _)| live.figures.get()).unwrap_or_default();
        let driver_error = driver_missing.or_else(|| figures.driver_error.clone());
        let phase = self.phase(&figures);
        let waiting = self.waiting.as_ref();
        let reason = (self.trouble.clone().or_else(|| self.warning()))
            .or_else(|| waiting.map(|waiting| waiting.reason.clone()))
            .or_else(|| driver_error.clone())
            .or_else(|| figures.output_error.clone());
        let stats = figures.metrics.map(|mut metrics| {
            metrics.phase = Some(phase);
            metrics
        });
        MinerView {
            name: row.name.clone(),
            miner_type: row.driver.clone(),
            desired: self.desired,
            phase,
            running: self.live.is_some() || self.unreachable,
            reason,
            retry_at_ms: waiting.and_then(|waiting| waiting.until_ms),
            driverless: driver_error.is_some(),
            run: self.live.as_ref().map(|(live, _)| live.view()),
            restarts: self.restarts,
            restart: self.restart.clone(),
            profile_id: row.profile,
            stats,
            watchdog: None,
        }
    }

    /// What the operator must know of a stop that could not be written down.
    pub(crate) fn warning(&self) -> Option<String> {
        let unsaved = self.unsaved.as_ref()?;
        Some(format!(
            "the stop cannot be written down: {unsaved}; a host that starts before that works starts \
             the miner again"
        ))
    }

    /// The miner `row` at one moment. A run without signs of life gives no sample: an old
    /// measurement is not repeated. Replies are at most `lifetime` old.
    pub(crate) fn sample(&self, row: &MinerRow, at_ms: i64, lifetime: Duration) -> Sample {
        let live = self.live.as_ref().map(|(live, _)| live);
        let figures = live.map(|live| live.figures.get()).unwrap_or_default();
        let sampled = live.map(|live| live.figures.get_within(lifetime)).unwrap_or_default();
        let metrics = sampled.metrics.filter(|_| !sampled.is_unheard);
        let phase = self.phase(&figures);
        Sample { name: row.name.clone(), driver: row.driver.clone(), phase, metrics, at_ms }
    }

    fn phase(&self, figures: &Figures) -> Phase {
        let reported = figures.metrics.as_ref().and_then(|metrics| metrics.phase);
        match (&self.live, &self.waiting) {
            (Some((_, true)), _) => Phase::Stopping,
            // A run that was adopted is no start, even before anybody looked at it.
            (Some((live, false)), _) => reported.unwrap_or(match (live.origin, &figures.metrics) {
                (Origin::Adopted, None) => Phase::Unknown,
                _ => Phase::Starting,
            }),
            (None, _) if self.unreachable && self.desired == Desired::Stopped => Phase::Stopping,
            (None, _) if self.unreachable => Phase::Degraded,
            (None, Some(waiting)) => waiting.phase,
            // It may have been mining for days.
            (None, None) if !self.is_inspected => Phase::Unknown,
            (None, None) if self.desired == Desired::Running || self.unsettled => Phase::Starting,
            (None, None) => Phase::Stopped,
        }
    }
}
