//! `adit up`: the host.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    app::{App, demo},
    cli::{Common, Error},
    drivers::registry::State,
    settings::{self, Settings},
    store::SetAside,
};

/// How long calls of drivers that do not return may hold the end of the process up.
const LAST_WAIT: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(super) struct Up {
    /// Start two simulated miners, apart from everything real
    #[arg(long)]
    demo: bool,
    /// Leave the demonstration's miners running at the end
    #[arg(long, requires = "demo")]
    keep: bool,
    /// Settings file [default: $XDG_CONFIG_HOME/adit/adit.toml]
    #[arg(long, value_name = "FILE", env = "ADIT_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port of the API [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS", env = "ADIT_LISTEN")]
    listen: Option<SocketAddr>,
}

pub(super) fn run(common: &Common, up: &Up) -> Result<(), Error> {
    let filter = EnvFilter::try_from_env("ADIT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .init();
    let mut settings = Settings::read(up.config.as_deref())?;
    if up.demo {
        settings.state_dir = settings::demo_state_dir();
    }
    if let Some(path) = &common.state_dir {
        settings.state_dir = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    }
    if up.demo {
        // A newcomer wants to see figures move.
        settings.miners.stats_interval_ms = 2_000;
    }
    settings.api.listen = up.listen.unwrap_or(settings.api.listen);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Error::message(format!("cannot begin to work: {error}")))?;
    let done = runtime.block_on(serve(&settings, up));
    // A call that never returns would hold the process forever.
    runtime.shutdown_timeout(LAST_WAIT);
    done
}

async fn serve(settings: &Settings, up: &Up) -> Result<(), Error> {
    // Before anything is started, so that no signal is missed.
    let signals = SignalKind::interrupt();
    let (mut interrupt, mut terminate) = match (signal(signals), signal(SignalKind::terminate())) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(error), _) | (_, Err(error)) => {
            return Err(Error::message(format!("cannot wait for signals: {error}")));
        }
    };
    let app = App::begin(settings, up.demo).await?;
    greet(&app, settings);
    let (miners, home) = (app.miners.clone(), app.home.clone());
    let drivers = app.drivers.clone();
    let ending = CancellationToken::new();
    let serving = tokio::spawn(app.serve(ending.clone()));
    if up.demo {
        if let Err(error) = demo::start(&miners, &drivers).await {
            ending.cancel();
            drop(serving.await);
            return Err(error.into());
        }
        println!("two simulated miners are hashing; see them with: adit miner list");
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    if up.demo && !up.keep {
        println!("ending the demonstration and its miners; --keep leaves them running");
        if let Err(error) = miners.stop_all().await {
            eprintln!("adit: not every miner could be stopped: {error}");
        }
    }
    let running = miners.list().iter().filter(|miner| miner.running).count();
    ending.cancel();
    drop(serving.await);
    if running > 0 {
        println!("{}", still_running(running, home.path()));
    }
    Ok(())
}

/// What nobody may be surprised by.
pub(super) fn still_running(count: usize, home: &std::path::Path) -> String {
    let (miners, run, them) =
        if count == 1 { ("miner", "runs", "it") } else { ("miners", "run", "them") };
    format!(
        "{count} {miners} {run} on without a host. Stop {them} with: adit --state-dir {} down \
         --stop-miners",
        home.display()
    )
}

/// Where a damaged database went, if there was one.
pub(super) fn tell_set_aside(aside: Option<&SetAside>) {
    if let Some(aside) = aside {
        eprintln!(
            "adit: the database was damaged ({}) and is now {}; miners that run were found by \
             their folders",
            aside.reason,
            aside.path.display()
        );
    }
}

/// What makes a link to the dashboard let its reader in. For a person at a terminal only: what a
/// service prints is kept in logs. The part after `#` never leaves the browser.
fn key(app: &App) -> String {
    if !std::io::stdout().is_terminal() {
        return String::new();
    }
    app.home.token().map(|token| format!("#token={token}")).unwrap_or_default()
}

fn greet(app: &App, settings: &Settings) {
    tell_set_aside(app.set_aside.as_ref());
    let listed = app.drivers.list();
    let loaded = listed.iter().filter(|it| it.state == State::Loaded).count();
    let refused = listed.len() - loaded;
    let miners = app.miners.list().len();
    let scheme = if settings.api.tls().is_some() { "https" } else { "http" };
    println!("adit {} is up", env!("CARGO_PKG_VERSION"));
    println!("  api      {scheme}://{}{}", app.address, settings.api.base_path);
    println!("  token    {}", app.home.token_file().display());
    println!("  pages    {scheme}://{}/{}", app.address, key(app));
    println!("  drivers  {loaded} loaded, {refused} refused (adit driver list)");
    println!("  miners   {miners} (adit miner list)");
}
