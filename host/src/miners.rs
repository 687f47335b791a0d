//! The use cases: start, stop and talk to miners, and tell how they are.
//!
//! Owns the miners under management. Knows nothing of HTTP or of the command line.

mod collector;
mod command;
mod database;
mod device;
mod directories;
mod doctor;
mod error;
mod events;
mod facts;
mod figures;
mod history;
mod hold;
mod install;
mod launch;
mod live;
mod logs;
mod machine;
mod make;
mod outgoing;
mod parts;
mod peers;
mod probe;
mod processor;
mod profiles;
mod programs;
mod record;
mod recover;
mod remote_write;
mod reply_end;
mod secrets;
mod series;
mod services;
mod supervisor;
mod talk;
mod tell;
mod tick;
mod updates;
mod watchdog;
mod webhooks;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use adit_plugin_api::Installed;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use command::Outcome;
pub use doctor::examine;
pub use error::Error;
pub use events::{Events, Heard, Published, Subscription};
pub use history::{Drawn, Elsewhere, History, HistoryStatus};
pub use install::{Install, Installation, InstalledPrograms};
pub(crate) use launch::random_token;
pub use logs::LogPage;
pub(crate) use machine::machine;
pub use make::NewMiner;
pub use peers::{PeerLink, Peers};
pub use profiles::{
    Conflicts, Document, Expected, Explained, ExplainedPool, ExplainedValue, Fates, Fault,
    Imported, Kind, PoolChange, PoolView, ProfileChange, WalletView,
};
pub use programs::Programs;
pub(crate) use record::{Record, write_private};
pub(crate) use recover::known;
pub use remote_write::{RemoteWriteSettings, RemoteWriteStatus};
pub use services::HostServices;
pub use updates::Update;
pub use watchdog::WatchdogSettings;
pub use webhooks::{SecretPlace, WebhookSecret, WebhookSettings, WebhookStatus};

use crate::miners::{
    live::{Live, Status},
    parts::Parts,
    probe::Prober,
    supervisor::{First, Order, Reply, Supervisor},
    tick::Ticker,
};
use adit_drivers::{handle::Driver, registry::Drivers};
use adit_keeper_client::Keepers;
use adit_model::{miner::MinerView, name::MinerName, plan::PlanView, sample::Grid};
use adit_store::{MinerRow, RunRow, Store};

/// Orders that may wait for one miner.
const ORDERS: usize = 16;

/// What the operator set about miners.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder with one folder per miner.
    pub root: PathBuf,
    /// Where programs are.
    pub programs: Programs,
    /// Name of this rig, for pools.
    pub worker: String,
    /// Time between two looks at a miner's figures.
    pub stats_interval: Duration,
    /// Time between two looks at a miner's output.
    pub output_interval: Duration,
    /// How the watchdog watches.
    pub watchdog: WatchdogSettings,
    /// Days until figures and events are deleted; 0: none are kept.
    pub retention_days: u32,
    /// Where all figures are pushed to, if anywhere.
    pub remote_write: Option<RemoteWriteSettings>,
    /// Who is told of events.
    pub webhooks: Vec<WebhookSettings>,
}

/// A miner under management.
#[derive(Clone)]
struct Member {
    row: MinerRow,
    orders: mpsc::Sender<(Order, Reply)>,
    status: watch::Receiver<Status>,
}

/// All miners of this node. Cheap to clone.
#[derive(Clone)]
pub struct Miners(Arc<Inner>);

struct Inner {
    parts: Arc<Parts>,
    /// Held for look-ups and changes of the map only, never across an await.
    members: Mutex<BTreeMap<MinerName, Member>>,
    /// Names of miners that are being created. Locked before `members` where both are.
    reserved: Mutex<BTreeSet<MinerName>>,
    history: History,
    tasks: TaskTracker,
    ending: CancellationToken,
    /// When this host began, in Unix seconds.
    started_s: f64,
}

impl Miners {
    /// Takes all miners of the database and of the state folders under management: those that run
    /// are adopted, those that should run are started. `services` are those that `drivers` were
    /// loaded with.
    ///
    /// # Errors
    /// When the database or the folder of the miners cannot be read.
    pub async fn begin(
        options: Options,
        store: Store,
        keepers: Keepers,
        drivers: Drivers,
        services: &HostServices,
    ) -> Result<Self, Error> {
        let prober = Prober::new();
        let installations = install::Installations::default();
        let watchdog = watchdog::Watchdog::begin(options.watchdog.clone(), &store).await?;
        let (days, grid) = (options.retention_days, Grid::new(options.stats_interval));
        let history = History::begin(store.clone(), services.events.clone(), days, grid).await;
        let remote_write = remote_write::RemoteWrite::new(options.remote_write.clone());
        let webhooks = webhooks::Webhooks::new(options.webhooks.clone());
        let parts = Parts {
            options,
            store,
            keepers,
            drivers,
            prober,
            ticker: Ticker::new(),
            watchdog,
            remote_write,
            webhooks,
            outgoing: outgoing::Outgoing::default(),
            installations,
            changing: tokio::sync::Mutex::default(),
            events: services.events.clone(),
            figures: services.figures.clone(),
            revision: AtomicU64::new(0),
            adopting: AtomicUsize::new(0),
        };
        let parts = Arc::new(parts);
        let rows = recover::all(&parts).await?;
        profiles::apply::watch_as_profiles_say(&parts, &rows).await;
        let miners = Self(Arc::new(Inner {
            parts,
            members: Mutex::default(),
            reserved: Mutex::default(),
            history,
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
            started_s: jiff::Timestamp::now().as_duration().as_secs_f64(),
        }));
        miners.keep_history();
        miners.send_events();
        miners.0.parts.adopting.store(rows.len(), Ordering::Release);
        for row in rows {
            miners.supervise(row, None);
        }
        miners.0.tasks.spawn(miners.clone().report_salvages());
        miners.0.tasks.spawn(miners.clone().watch());
        miners.0.tasks.spawn(miners.clone().push());
        miners.0.tasks.spawn(miners.clone().tick());
        miners.0.tasks.spawn(miners.clone().watch_directories());
        miners.0.tasks.spawn(miners.clone().autostart());
        Ok(miners)
    }

    /// The bus on which everything that happens is told.
    pub fn events(&self) -> &Events {
        &self.0.parts.events
    }

    /// Another number whenever the state of some miner is another, its phase too. Figures and what the
    /// watchdog thinks come and go without.
    pub fn revision(&self) -> u64 {
        self.0.parts.revision.load(Ordering::Acquire)
    }

    /// How many miners this host has not looked at since it began: until none is left, one that runs
    /// may be shown as if it did not.
    pub fn adopting(&self) -> usize {
        self.0.parts.adopting.load(Ordering::Acquire)
    }

    /// All miners, by name.
    pub fn list(&self) -> Vec<MinerView> {
        let members: Vec<Member> = self.members().values().cloned().collect();
        members.iter().map(|member| self.view(member)).collect()
    }

    /// One miner.
    ///
    /// # Errors
    /// [`Error::NoMiner`].
    pub fn get(&self, name: &str) -> Result<MinerView, Error> {
        Ok(self.view(&self.member(name)?))
    }

    /// Starts a miner that exists; nothing happens when it runs.
    ///
    /// # Errors
    /// [`Error::NoMiner`], or why the first attempt failed; it is tried again all the same.
    pub async fn start(&self, name: &str) -> Result<MinerView, Error> {
        let name = self.member(name)?.row.name;
        self.order(&name, Order::Start).await?;
        self.get(name.as_str())
    }

    /// Ends a miner's run and begins a new one.
    ///
    /// # Errors
    /// As for [`start`](Self::start), and [`Error::NoDriver`].
    pub async fn restart(&self, name: &str) -> Result<MinerView, Error> {
        let MinerRow { name, driver, .. } = self.member(name)?.row;
        // What could not be started again is not ended.
        self.0.parts.driver(&driver)?;
        self.order(&name, Order::Restart).await?;
        self.get(name.as_str())
    }

    /// Stops a miner and returns when nothing of it runs. Safe to drop: the stop continues. It happens
    /// also when it cannot be written down: see [`stop_warning`](Self::stop_warning).
    ///
    /// # Errors
    /// [`Error::NoMiner`].
    pub async fn stop(&self, name: &str) -> Result<(), Error> {
        let name = self.member(name)?.row.name;
        self.order(&name, Order::Stop).await
    }

    /// Why a stop of the miner would be lost with the host; `None` when it is written down.
    pub fn stop_warning(&self, name: &str) -> Option<String> {
        self.member(name).ok()?.status.borrow().warning()
    }

    /// Stops a miner and forgets it with its log. Safe to drop: it goes on.
    ///
    /// # Errors
    /// As for [`stop`](Self::stop).
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let name = self.member(name)?.row.name;
        self.order(&name, Order::Remove).await?;
        {
            let mut members = self.members();
            members.remove(&name);
            // Once more, with what was asked for while it was removed.
            self.0.parts.watchdog.forget(&name);
        }
        self.0.parts.changed();
        Ok(())
    }

    /// Stops all miners at once and returns when nothing runs.
    ///
    /// # Errors
    /// The first error; the other miners are stopped all the same.
    pub async fn stop_all(&self) -> Result<(), Error> {
        let names: Vec<MinerName> = self.members().keys().cloned().collect();
        let mut stopping = tokio::task::JoinSet::new();
        for name in names {
            let miners = self.clone();
            stopping.spawn(async move { miners.order(&name, Order::Stop).await });
        }
        stopping.join_all().await.into_iter().collect()
    }

    /// What runs or would run, secrets masked.
    ///
    /// # Errors
    /// [`Error::NoMiner`]; when nothing runs, whatever keeps the driver from planning.
    pub async fn plan(&self, name: &str) -> Result<PlanView, Error> {
        let member = self.member(name)?;
        if let Some((Live { plan: Some(plan), .. }, _)) = &member.status.borrow().live {
            return Ok(PlanView::clone(plan));
        }
        Ok(launch::plan(&self.0.parts, &member.row).await?.view())
    }

    /// The last runs of a miner, newest first.
    ///
    /// # Errors
    /// [`Error::NoMiner`], or when the database cannot be read.
    pub async fn runs(&self, name: &str, limit: u32) -> Result<Vec<RunRow>, Error> {
        let member = self.member(name)?;
        Ok(self.0.parts.store.runs(&member.row.name, limit).await?)
    }

    /// The program of a driver; `None` when it needs none.
    ///
    /// # Errors
    /// [`Error::NoProgram`] with what to do.
    pub async fn program(&self, driver: &Driver) -> Result<Option<Installed>, Error> {
        self.0.parts.options.programs.find(driver).await
    }

    /// Lets go of all miners. Their programs run on.
    pub async fn end(&self) {
        self.0.ending.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Takes a miner of the database under management, with its `first` start if it is new.
    fn supervise(&self, row: MinerRow, first: Option<First>) {
        let (orders, inbox) = mpsc::channel(ORDERS);
        let (publish, status) = watch::channel(Status::unknown(&row));
        let parts = Arc::clone(&self.0.parts);
        let supervisor = Supervisor::new(parts, row.clone(), first, publish);
        self.0.tasks.spawn(supervisor.serve(inbox, self.0.ending.clone()));
        let before = self.members().insert(row.name.clone(), Member { row, orders, status });
        debug_assert!(before.is_none(), "names are reserved, and unique in the database");
        self.0.parts.changed();
    }

    async fn order(&self, name: &MinerName, order: Order) -> Result<(), Error> {
        let member = self.member(name.as_str())?;
        let (reply, answer) = oneshot::channel();
        member.orders.send((order, reply)).await.map_err(|_| Error::ShuttingDown)?;
        answer.await.map_err(|_| Error::ShuttingDown)?
    }

    fn member(&self, name: &str) -> Result<Member, Error> {
        let shown = || name.chars().take(80).collect();
        let name = MinerName::new(name).map_err(|_| Error::NoMiner(shown()))?;
        self.members().get(&name).cloned().ok_or_else(|| Error::NoMiner(shown()))
    }

    fn view(&self, member: &Member) -> MinerView {
        let driver = &member.row.driver;
        let missing = self.0.parts.drivers.get(driver).is_none();
        let missing = missing.then(|| format!("the driver {driver} is not loaded"));
        let view = member.status.borrow().view(&member.row, missing);
        let watchdog = self.0.parts.watchdog.health(&member.row.name);
        // What the miner says of itself comes first.
        let finding = watchdog.as_ref().and_then(|it| it.finding.as_ref()).filter(|_| view.running);
        let reason = view.reason.or_else(|| finding.map(ToString::to_string));
        MinerView { watchdog, reason, ..view }
    }

    fn reserved(&self) -> MutexGuard<'_, BTreeSet<MinerName>> {
        self.0.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<MinerName, Member>> {
        self.0.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
