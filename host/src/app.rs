//! The composition root: builds the parts from the settings, begins and ends them in order.

pub mod demo;
pub mod home;
pub mod offline;
mod port;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, Access, Api, Bound, Tls},
    app::home::{Home, HostLock, Notice},
    miners::{self, Events, HostServices, Miners, PeerLink, Programs},
    node::{self, Node},
    settings::{self, Settings},
};
use adit_drivers::{
    hosting::Hosting, news::News, registry::Drivers, runner::Spawner, search::Search,
};
use adit_keeper_client::{Binary, Keepers};
use adit_releases::{Releases, Sources};
use adit_store::{Salvage, Store};

/// Why the host cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting makes no sense.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// The state folder cannot be used.
    #[error("cannot {what} {path}: {source}")]
    Home {
        /// What was attempted, a verb.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another host uses the same state folder.
    #[error(
        "another host{} uses the state folder {path} already: talk to that one, or choose another \
         folder with --state-dir",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    SecondHost {
        /// The folder.
        path: PathBuf,
        /// The other host, when known.
        pid: Option<i32>,
    },
    /// The port is taken.
    #[error("cannot listen on {address}: {source}{}", holder(.by))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
        /// The process that listens there, when known.
        by: Option<String>,
    },
    /// The certificate of the API cannot be used.
    #[error(transparent)]
    Tls(#[from] api::TlsError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] adit_store::Error),
    /// The settings for releases cannot be used.
    #[error(transparent)]
    Releases(#[from] adit_releases::Error),
    /// The network of nodes cannot be used.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The miners cannot be taken under management.
    #[error(transparent)]
    Miners(#[from] miners::Error),
    /// The demonstration lacks its driver.
    #[error(
        "the demonstration needs the driver sim, which was not found{0}: build it with `cargo build`"
    )]
    NoDemo(String),
}

fn holder(by: &Option<String>) -> String {
    match by {
        Some(process) => format!("; {process} listens there. Choose another port with --listen"),
        None => "; choose another port with --listen".to_owned(),
    }
}

/// A host that is up and not yet serving.
pub struct App {
    /// The miners under management.
    pub miners: Miners,
    /// The network of nodes.
    pub node: Node,
    /// The drivers that were found.
    pub drivers: Drivers,
    /// Where the API listens.
    pub address: SocketAddr,
    /// What was done about a damaged database, if there was one.
    pub salvage: Option<Salvage>,
    /// The state folder.
    pub home: Home,
    api: Api,
    listener: TcpListener,
    tls: Option<Tls>,
    ports: Bound,
    // Held as long as the host lives.
    _lock: HostLock,
}

impl App {
    /// Brings all parts up: lock, port, database, drivers, miners. Nothing is started or adopted
    /// before everything that can refuse has agreed.
    ///
    /// # Errors
    /// What keeps the host from running; nothing was changed then.
    pub async fn begin(settings: &Settings, demo: bool) -> Result<Self, Error> {
        settings.check()?;
        node::raise_limit();
        let home = Home::new(settings.state_dir.clone());
        let releases = open_releases(settings, &home)?;
        let tls = open_tls(settings)?;
        let lock = home.lock()?;
        home.use_reserve();
        home.sweep();
        releases.sweep();
        node::check_keys(home.node())?;
        let listener = listen(settings.api.listen).await?;
        let address = listener.local_addr().unwrap_or(settings.api.listen);
        let ports = settings.compat.ports().bind().await.map_err(settings::Error::Value)?;
        let (store, salvage) = Store::open(home.database())?;
        let token = home.token()?;
        let access = Access::new(store.clone(), &token).await?;
        let exe = std::env::current_exe().map_err(home.wrong("find the binary of"))?;
        let worker = settings.worker.clone().unwrap_or_else(host_name);
        let events = Events::new(jiff::Timestamp::now().as_millisecond());
        let link = PeerLink::default();
        let services = HostServices::new(store.clone(), events, link.clone());
        let drivers = load_drivers(settings, &home, &services, &exe).await;
        let options = miners::Options {
            root: home.miners(),
            programs: Programs {
                signers: settings.releases.signers.clone(),
                ..Programs::standard(settings.programs.clone(), &exe, releases)
            },
            worker: worker.clone(),
            stats_interval: settings.stats_interval(),
            output_interval: settings.output_interval(),
            watchdog: settings.watchdog.for_miners(),
            retention_days: settings.history.retention_days,
            remote_write: settings.remote_write.for_miners(&worker),
            webhooks: settings.webhooks.iter().map(|it| it.for_miners()).collect(),
        };
        let keepers = Keepers::new(home.miners(), Binary::standard().await);
        // Can fail, so it comes before anything is started. Who reads it now waits for the answer.
        home.announce(&Notice::new(address, &settings.api, demo))?;
        let miners =
            Miners::begin(options, store.clone(), keepers, drivers.clone(), &services).await?;
        let node = begin_node(settings, &home, &store, &miners).await?;
        link.connect(node.courier());
        let options = api::Options {
            address,
            encrypted: tls.is_some(),
            base_path: settings.api.base_path.clone(),
            hosts: settings.api.hosts.clone(),
            origins: settings.api.origins.clone(),
            metrics_public: settings.api.metrics_public,
            worker,
            demo,
            max_subscribers: settings.events.max_subscribers,
        };
        home.set_reserve_aside();
        let api = Api::new(options, access, miners.clone(), node.clone(), drivers.clone(), store);
        Ok(Self {
            miners,
            node,
            drivers,
            address,
            salvage,
            home,
            api,
            listener,
            tls,
            ports,
            _lock: lock,
        })
    }

    /// Serves the API until `ending`, then lets go of the miners. Their programs run on.
    ///
    /// # Errors
    /// When the listener cannot be used any more.
    pub async fn serve(self, ending: CancellationToken) -> std::io::Result<()> {
        let drivers = self.drivers.clone();
        let until = ending.clone();
        let watching = tokio::spawn(async move { drivers.watch(until).await });
        let (miners, until) = (self.miners.clone(), ending.clone());
        let checking = tokio::spawn(async move { miners.check_database(until).await });
        let served = self.api.serve(self.listener, self.tls, self.ports, ending).await;
        watching.abort();
        checking.abort();
        self.node.end().await;
        self.miners.end().await;
        self.home.withdraw();
        served
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| {
        let taken = source.kind() == std::io::ErrorKind::AddrInUse;
        let by = taken.then(|| port::listener(address.port())).flatten();
        Error::Listen { address, source, by }
    })
}

fn open_tls(settings: &Settings) -> Result<Option<Tls>, Error> {
    let files = settings.api.tls();
    Ok(files.map(|(certificate, key)| Tls::open(certificate, key)).transpose()?)
}

fn open_releases(settings: &Settings, home: &Home) -> Result<Releases, Error> {
    let settings::ReleaseSettings {
        api,
        downloads,
        keys,
        hosts,
        signers: _,
        stall_ms,
        retry_pause_ms,
    } = settings.releases.clone();
    let sources = Sources { api, downloads, keys, hosts };
    let limits = adit_releases::Limits {
        stall: Duration::from_millis(stall_ms),
        retry_pause: Duration::from_millis(retry_pause_ms),
        ..adit_releases::Limits::default()
    };
    Ok(Releases::new(adit_releases::Options { root: home.programs(), sources, limits })?)
}

async fn begin_node(
    settings: &Settings,
    home: &Home,
    store: &Store,
    miners: &Miners,
) -> Result<Node, Error> {
    let settings::NodeSettings { listen, advertise } = settings.node.clone();
    let options = node::Options {
        folder: home.node(),
        listen,
        advertise,
        stats_interval: settings.stats_interval(),
    };
    Ok(Node::begin(options, store.clone(), miners.clone()).await?)
}

async fn load_drivers(
    settings: &Settings,
    home: &Home,
    services: &HostServices,
    exe: &Path,
) -> Drivers {
    let search = Search::standard(settings.drivers.dirs.clone(), exe, home.path());
    let mut options =
        adit_drivers::registry::Options::new(search, home.copies(), home.driver_data());
    options.limits = settings.drivers.limits();
    options.trust = settings.drivers.trust;
    options.lock = Some(home.driver_lock());
    options.tolerance = settings.drivers.tolerance();
    options.hosting = Hosting {
        spawner: Some(runner_spawner()),
        isolation: settings.drivers.isolation.clone(),
        rations: settings.drivers.rations(),
    };
    options.secrets = services.secrets().clone();
    let events = services.events().clone();
    options.news = News::to(Arc::new(move |kind, data| events.publish(kind, data)));
    let services = services.clone();
    let services = move |driver: &_, miner: Option<&_>| services.of_object(driver, miner);
    Drivers::load(options, Arc::new(services)).await
}

/// Starts this binary again for a driver. Processes are the keepers' business, which drivers know
/// nothing of.
pub(crate) fn runner_spawner() -> Spawner {
    Arc::new(|socket| adit_keeper_client::spawn_runner(Path::new(Keepers::THIS_BINARY), socket))
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "rig".to_owned() } else { name }
}
