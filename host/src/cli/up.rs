//! `adit up`: the host.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    net::SocketAddr,
    num::NonZero,
    path::PathBuf,
    thread,
    time::Duration,
};

use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    app::{App, demo},
    cli::{Common, Error},
    settings::{self, Settings},
};
use adit_drivers::registry::State;
use adit_store::Salvage;

/// How long calls of drivers that do not return may hold the end of the process up.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// Threads that a host has besides one for each processor: that of the database, and a few that
/// block. Each driver in a process of its own and each long wait take more.
const THREADS: usize = 6;

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
    let filter = log_filter(std::env::var_os("ADIT_LOG"))?;
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
    check_threads()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Error::message(format!("cannot begin to work: {error}")))?;
    let done = runtime.block_on(serve(&settings, up));
    // A call that never returns would hold the process forever.
    runtime.shutdown_timeout(LAST_WAIT);
    done
}

/// Whether the system lets this process start the threads that a host always has. The runtime
/// panics without them.
fn check_threads() -> Result<(), Error> {
    let count = thread::available_parallelism().map_or(1, NonZero::get) + THREADS;
    let start = |_| thread::Builder::new().spawn(thread::park);
    let started: Vec<_> = (0..count).map(start).collect();
    let mut problem = Ok(());
    for thread in started {
        match thread {
            Ok(thread) => {
                thread.thread().unpark();
                drop(thread.join());
            }
            Err(error) => problem = Err(error),
        }
    }
    problem.map_err(|error| {
        Error::message(format!(
            "cannot start the {count} threads that a host needs at least: {error}: raise the limits \
             on threads and memory"
        ))
    })
}

/// What is logged: what `ADIT_LOG` says, or everything from `info` on.
fn log_filter(set: Option<OsString>) -> Result<EnvFilter, Error> {
    const WRITE: &str = "write a level such as info or debug, or adit::node=debug,info";
    let Some(set) = set.filter(|it| !it.is_empty()) else { return Ok(EnvFilter::new("info")) };
    let text = set
        .to_str()
        .ok_or_else(|| Error::message(format!("ADIT_LOG {set:?}: it is not UTF-8; {WRITE}")))?;
    EnvFilter::try_new(text)
        .map_err(|error| Error::message(format!("ADIT_LOG {text:?}: {error}; {WRITE}")))
}

/// Waits for `stop`, or for the end of what serves the API: a host that nobody can talk to is none.
async fn until(
    stop: impl Future<Output = ()>,
    serving: &mut JoinHandle<io::Result<()>>,
) -> Result<(), Error> {
    let ended = tokio::select! {
        () = stop => return Ok(()),
        ended = serving => ended,
    };
    let why = match ended {
        Ok(Ok(())) => "it ended".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::error!(why, "the API is not served any more");
    Err(Error::message(format!(
        "the API is not served any more: {why}; miners run on, start the host again"
    )))
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
    let mut serving = tokio::spawn(app.serve(ending.clone()));
    if up.demo {
        if let Err(error) = demo::start(&miners, &drivers).await {
            ending.cancel();
            drop(serving.await);
            return Err(error.into());
        }
        println!("two simulated miners are hashing; see them with: adit miner list");
    }
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    if let Err(error) = until(stop, &mut serving).await {
        home.withdraw();
        return Err(error);
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

/// What was done about a damaged database, if there was one.
pub(super) fn report_salvage(salvage: Option<&Salvage>) {
    if let Some(salvage) = salvage {
        eprintln!(
            "adit: the database was damaged ({}); the damaged file is kept as {}; {}",
            salvage.reason,
            salvage.kept.display(),
            salvage.summary()
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
    report_salvage(app.salvage.as_ref());
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

#[cfg(test)]
mod tests {
    use std::{future::pending, os::unix::ffi::OsStringExt};

    use super::*;

    #[tokio::test]
    async fn a_host_whose_api_died_does_not_live_on() {
        let mut panicked = tokio::spawn(async { panic!("on demand") });
        let mut failed = tokio::spawn(async { Err(io::Error::other("no listener")) });
        for (serving, why) in [(&mut panicked, "panicked"), (&mut failed, "no listener")] {
            let error = until(pending(), serving).await.unwrap_err().to_string();
            assert!(error.contains("not served any more") && error.contains(why), "{error}");
        }
        let mut serving = tokio::spawn(pending());
        assert!(until(std::future::ready(()), &mut serving).await.is_ok());
        serving.abort();
    }

    #[test]
    fn a_log_setting_that_cannot_be_read_is_an_error() {
        for good in [None, Some(""), Some("debug"), Some("adit::node=debug,info")] {
            assert!(log_filter(good.map(OsString::from)).is_ok(), "{good:?}");
        }
        for bad in [OsString::from("adit=loud"), OsString::from_vec(vec![b'i', 0xe9])] {
            let error = log_filter(Some(bad)).unwrap_err().to_string();
            assert!(error.starts_with("ADIT_LOG") && error.contains("info or debug"), "{error}");
        }
    }
}
