//! Watches all runs: judges each at every tick, and helps those that are sick.
//!
//! The judgement itself is [`adit_model::watchdog`]'s. Here is what it is fed with, what is
//! remembered between two looks, and what the operator can ask and say.

mod act;
mod failback;
mod ward;

pub(super) use act::SET_POOLS;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use adit_plugin_api::Phase;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, MissedTickBehavior},
};

use crate::miners::{
    Error, Member, Miners,
    hold::Hold,
    live::Live,
    watchdog::ward::{Next, Ward, Warned},
};
use adit_model::{
    name::MinerName,
    sample::{Batch, Sample},
    watchdog::{
        Cause,
        incident::{Evidence, Health, Incident},
        ladder::Remedy,
        limits::{Limits, Options},
        look::{Look, Signs},
    },
};
use adit_store::{IncidentLimits, Store};

/// Time between two writes of what was learned.
const SAVE: Duration = Duration::from_secs(300);
/// Warnings of earlier hosts that are remembered.
const WARNINGS: u32 = 1_000;
/// Longest maintenance, in minutes.
const MAINTENANCE_MINUTES: u32 = 7 * 24 * 60;

/// What the operator set about the watchdog.
#[derive(Clone, Debug)]
pub struct WatchdogSettings {
    /// How all miners are watched, unless one of them says otherwise.
    pub options: Options,
    /// How much of what was found is kept.
    pub incidents: IncidentLimits,
}

/// How often the watchdog acted on one miner, since the host began.
pub(crate) type Actions = BTreeMap<(MinerName, Remedy, Cause), u64>;
/// How often a program was started again, by miner and cause.
pub(crate) type Restarts = BTreeMap<(MinerName, &'static str), u64>;

/// All that the watchdog remembers.
pub(crate) struct Watchdog {
    settings: WatchdogSettings,
    /// Held for moments, never across an await.
    wards: Mutex<BTreeMap<MinerName, Ward>>,
    /// What earlier hosts warned of: no news while its run lasts.
    warned: Mutex<BTreeMap<MinerName, Warned>>,
    actions: Mutex<Actions>,
    restarts: Mutex<Restarts>,
    began: Instant,
}

impl Watchdog {
    /// A watchdog that knows what earlier hosts were told and learned.
    pub(crate) async fn begin(settings: WatchdogSettings, store: &Store) -> Result<Self, Error> {
        let known = store.watchdogs().await?;
        let wards = known.into_iter().map(|(name, row)| (name, Ward::new(row)));
        let wards = Mutex::new(wards.collect());
        let (actions, restarts) = (Mutex::default(), Mutex::default());
        let mut warned: BTreeMap<MinerName, Warned> = BTreeMap::new();
        // Without them a warning is published again, which is no reason not to start.
        let incidents = store.incidents(None, WARNINGS).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read what earlier hosts warned of");
            Vec::new()
        });
        for incident in incidents {
            if incident.action.is_none() {
                warned.entry(incident.miner).or_default().push((incident.run, incident.cause));
            }
        }
        let warned = Mutex::new(warned);
        Ok(Self { settings, wards, warned, actions, restarts, began: Instant::now() })
    }

    fn wards(&self) -> MutexGuard<'_, BTreeMap<MinerName, Ward>> {
        self.wards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_warned(&self, miner: &MinerName) -> Warned {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.remove(miner).unwrap_or_default()
    }

    fn count(&self, miner: &MinerName, remedy: Remedy, cause: Cause) {
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        *actions.entry((miner.clone(), remedy, cause)).or_default() += 1;
    }

    /// Counts a start that is not the first.
    pub(crate) fn count_restart(&self, miner: &MinerName, cause: &'static str) {
        let mut restarts = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        *restarts.entry((miner.clone(), cause)).or_default() += 1;
    }

    pub(crate) fn actions(&self) -> Actions {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn restarts(&self) -> Restarts {
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often each miner changed its pool while it was watched.
    pub(crate) fn pool_switches(&self) -> Vec<(MinerName, u64)> {
        let wards = self.wards();
        wards.iter().map(|(name, ward)| (name.clone(), ward.pool_switches)).collect()
    }

    /// How many places the miner's list of pools is turned on: the next pool comes first.
    pub(crate) fn pool_turn(&self, miner: &MinerName) -> usize {
        self.wards().get(miner).map_or(0, |ward| ward.pool_turn() as usize)
    }

    /// The operator takes the miner in hand: what was done before does not count any more.
    pub(crate) fn begin_anew(&self, miner: &MinerName) {
        if let Some(ward) = self.wards().get_mut(miner) {
            ward.begin_anew();
        }
    }

    /// Watches the miner as its profile wants, from now on.
    pub(crate) fn follow(&self, miner: &MinerName, profile: &Options) {
        let mut wards = self.wards();
        match wards.get_mut(miner) {
            Some(ward) => ward.of_profile = profile.clone(),
            None if profile.is_empty() => {}
            None => wards.entry(miner.clone()).or_default().of_profile = profile.clone(),
        }
    }

    /// Watches a new miner as was written down with it.
    pub(crate) fn set_options(&self, miner: &MinerName, options: Options) {
        if options != Options::default() {
            self.wards().entry(miner.clone()).or_default().options = options;
        }
    }

    pub(crate) fn forget(&self, miner: &MinerName) {
        self.wards().remove(miner);
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        actions.retain(|(name, _, _), _| name != miner);
        let mut restarts = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        restarts.retain(|(name, _), _| name != miner);
    }

    /// What it thinks of a miner; `None` while it has not looked.
    pub(crate) fn health(&self, miner: &MinerName) -> Option<Health> {
        let wards = self.wards();
        let ward = wards.get(miner)?;
        let until = ward.maintenance_until_ms.filter(|until| *until > now_ms());
        ward.verdict.as_ref().map(|verdict| Health::of(verdict, until))
    }
}

/// One miner at one tick.
struct Subject {
    sample: Sample,
    member: Member,
    live: Option<Live>,
    /// Read off the async threads.
    cpu_ms: Option<u64>,
}

impl Miners {
    /// Watches until the host ends.
    pub(super) async fn watch(self) {
        let mut batches = self.batches();
        let mut save = tokio::time::interval_at(Instant::now() + SAVE, SAVE);
        save.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.0.ending.cancelled() => break,
                batch = batches.recv() => match batch {
                    Ok(batch) => self.judge(&batch).await,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                },
                _ = save.tick() => self.save_baselines().await,
            }
        }
        self.save_baselines().await;
    }

    async fn save_baselines(&self) {
        let watchdog = &self.0.parts.watchdog;
        let news: Vec<_> = watchdog
            .wards()
            .iter_mut()
            .filter_map(|(name, ward)| Some((name.clone(), ward.baselines_to_save()?)))
            .collect();
        if news.is_empty() {
            return;
        }
        if let Err(error) = self.0.parts.store.put_baselines(news).await {
            tracing::error!(%error, "cannot write down what is usual for the miners");
        }
    }

    async fn judge(&self, batch: &Batch) {
        let subjects = self.subjects(batch).await;
        let step = Duration::from_millis(u64::from(batch.grid.step_ms()));
        for subject in subjects {
            let limits = self.limits(&subject.member);
            let name = subject.sample.name.clone();
            let now = self.0.parts.watchdog.began.elapsed();
            let (next, tries_first_pool) = {
                let mut wards = self.0.parts.watchdog.wards();
                let ward = wards.entry(name.clone()).or_default();
                ward.warned_before.extend(self.0.parts.watchdog.take_warned(&name));
                let driver = self.0.parts.drivers.get(&subject.member.row.driver);
                let look = look(&subject, driver.is_some());
                let run = subject.live.as_ref().map(|live| live.hold.id().clone());
                (ward.see(run, look, step, &limits), ward.tries_first_pool(now, &limits))
            };
            let miners = self.clone();
            if tries_first_pool {
                let (miners, name) = (self.clone(), name.clone());
                self.0.tasks.spawn(async move { miners.try_first_pool(name, limits).await });
            }
            match (next, subject.live) {
                (Next::Warn(finding), Some(live)) => {
                    self.0.tasks.spawn(async move { miners.warn(name, live, finding).await });
                }
                (Next::Help(finding), Some(live)) => {
                    self.0.tasks.spawn(async move { miners.help(name, live, finding).await });
                }
                _ => {}
            }
        }
        self.save_pool_turns().await;
    }

    /// Writes down which pool comes first for whom, where that is another one.
    async fn save_pool_turns(&self) {
        let watchdog = &self.0.parts.watchdog;
        let turn =
            |(name, ward): (&MinerName, &mut Ward)| Some((name.clone(), ward.turn_to_save()?));
        let turns: Vec<_> = watchdog.wards().iter_mut().filter_map(turn).collect();
        if turns.is_empty() {
            return;
        }
        if let Err(error) = self.0.parts.store.put_pool_turns(turns).await {
            tracing::error!(%error, "cannot write down which pool comes first");
        }
    }

    async fn subjects(&self, batch: &Batch) -> Vec<Subject> {
        let subjects: Vec<Subject> = batch
            .samples
            .iter()
            .filter_map(|sample| {
                let member = self.members().get(&sample.name).cloned()?;
                let live = member.status.borrow().live.clone().map(|(live, _)| live);
                Some(Subject { sample: sample.clone(), member, live, cpu_ms: None })
            })
            .collect();
        let read = tokio::task::spawn_blocking(move || {
            let cpu = |subject: &Subject| match &subject.live.as_ref()?.hold {
                Hold::Program(_, status) => adit_keeper_client::cpu_time_ms(&status.program),
                Hold::Device(_) => None,
            };
            let with_cpu = |subject: Subject| Subject { cpu_ms: cpu(&subject), ..subject };
            subjects.into_iter().map(with_cpu).collect()
        });
        read.await.unwrap_or_default()
    }

    fn limits(&self, member: &Member) -> Limits {
        let watchdog = &self.0.parts.watchdog;
        let driver = self.0.parts.drivers.get(&member.row.driver);
        let phases = driver.map(|driver| driver.description().phase_limits.clone());
        let wards = watchdog.wards();
        let ward = wards.get(&member.row.name);
        let own = ward.map(|ward| ward.options.or(&ward.of_profile)).unwrap_or_default();
        let mut limits =
            Limits::new(&own.or(&watchdog.settings.options), &phases.unwrap_or_default());
        limits.maintenance_until_ms = ward.and_then(|ward| ward.maintenance_until_ms);
        limits
    }

    /// The last incidents, newest first; of one miner or of all.
    ///
    /// # Errors
    /// [`Error::NoMiner`], or when the database cannot be read.
    pub async fn incidents(&self, name: Option<&str>, limit: u32) -> Result<Vec<Incident>, Error> {
        let name = name.map(|name| self.member(name)).transpose()?.map(|it| it.row.name);
        Ok(self.0.parts.store.incidents(name.as_ref(), limit).await?)
    }

    /// One incident with what it was decided from.
    ///
    /// # Errors
    /// [`Error::NoIncident`], or when the database cannot be read.
    pub async fn incident(&self, id: i64) -> Result<(Incident, Evidence), Error> {
        self.0.parts.store.incident(id).await?.ok_or(Error::NoIncident(id))
    }

    /// Leaves a miner alone for so many minutes; 0 ends that at once.
    ///
    /// # Errors
    /// [`Error::NoMiner`], [`Error::Invalid`], or when it cannot be written down.
    pub async fn maintain(&self, name: &str, minutes: u32) -> Result<Option<i64>, Error> {
        let name = self.member(name)?.row.name;
        if minutes > MAINTENANCE_MINUTES {
            return Err(Error::Invalid(format!(
                "minutes: write at most {MAINTENANCE_MINUTES}; to leave a miner alone for good, \
                 switch its watchdog off"
            )));
        }
        let until = (minutes > 0).then(|| now_ms() + i64::from(minutes) * 60_000);
        self.0.parts.store.set_maintenance(&name, until).await?;
        self.change_ward(&name, |ward| ward.maintenance_until_ms = until)?;
        self.0.parts.changed();
        let data = serde_json::json!({ "name": name, "untilMs": until });
        self.0.parts.events.publish("watchdog.maintenance", data);
        Ok(until)
    }

    /// What a miner says about how it is watched.
    ///
    /// # Errors
    /// [`Error::NoMiner`].
    pub fn watchdog_options(&self, name: &str) -> Result<Options, Error> {
        let name = self.member(name)?.row.name;
        let wards = self.0.parts.watchdog.wards();
        Ok(wards.get(&name).map(|ward| ward.options.clone()).unwrap_or_default())
    }

    /// Sets how a miner is watched, at once.
    ///
    /// # Errors
    /// [`Error::NoMiner`], [`Error::Invalid`], or when it cannot be written down.
    pub async fn set_watchdog_options(&self, name: &str, options: Options) -> Result<(), Error> {
        let name = self.member(name)?.row.name;
        options.check().map_err(|error| Error::Invalid(error.to_string()))?;
        self.0.parts.store.set_watchdog_options(&name, options.clone()).await?;
        self.change_ward(&name, |ward| ward.options = options)
    }

    /// Changes what is remembered of a miner, unless it was removed meanwhile: another one of its
    /// name would get it.
    fn change_ward(&self, name: &MinerName, change: impl FnOnce(&mut Ward)) -> Result<(), Error> {
        let members = self.members();
        if !members.contains_key(name) {
            return Err(Error::NoMiner(name.to_string()));
        }
        change(self.0.parts.watchdog.wards().entry(name.clone()).or_default());
        Ok(())
    }
}

fn look(subject: &Subject, has_driver: bool) -> Look {
    let figures = subject.live.as_ref().map(|live| live.figures.get()).unwrap_or_default();
    let phase = subject.sample.phase;
    Look {
        at_ms: subject.sample.at_ms,
        // A host that does not know yet what runs says that it starts.
        phase: if subject.live.is_some() || phase != Phase::Starting {
            phase
        } else {
            Phase::Backoff
        },
        metrics: figures.metrics.unwrap_or_default(),
        signs: Signs { cpu_ms: subject.cpu_ms, ..figures.signs },
        // Without a driver or a record of its launch nobody asks it anything.
        blind: !has_driver
            || figures.driver_error.is_some()
            || subject.live.as_ref().is_some_and(|live| live.launch.is_none()),
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
