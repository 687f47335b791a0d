//! The command line. It talks to a running host over its REST API; only `adit up` is a host.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod audit;
mod client;
mod doctor;
mod down;
mod driver;
mod events;
mod history;
mod input;
mod miner;
mod node;
mod pages;
mod peer;
mod pool;
mod pools;
mod profile;
mod program;
mod raw;
mod remote;
mod remote_write;
mod show;
mod tls;
mod token;
mod top;
mod up;
mod wallet;
mod watchdog;
mod webhook;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::settings;

/// Stands below the help.
const EXIT_CODES: &str = "Exit codes:
  0  done
  1  it failed; standard error says why
  2  wrong usage
  3  no host runs
  4  the doctor found a problem

Colours are for terminals only, and never with NO_COLOR set.

In a browser, at the address that `adit up` prints:
  /            the dashboard
  /docs        all routes of the API, to read and to try
  /metrics     for Prometheus, below the base path

In the settings, $XDG_CONFIG_HOME/adit/adit.toml (`adit up --help` has the options):
  [api]            address, TLS, names, pages of other origins
  [drivers]        folders, trust, isolation, network
  [programs]       programs that you put in place yourself
  [releases]       mirrors of release pages
  [miners]         how often figures are read
  [events]         how many may listen
  [history]        days that are kept
  [watchdog]       how patient it is
  [node]           where other nodes connect
  [compat]         ports that speak as XMRig, mmpOS and Claymore
  [remote_write]   a store that figures are pushed to
  [[webhooks]]     who is told of events";

/// Exit code when something went wrong.
const FAILED: u8 = 1;
/// Exit code when no host runs.
const NO_HOST: u8 = 3;
/// Exit code when the doctor found a problem.
const UNWELL: u8 = 4;

/// Runs miners and never loses them.
#[derive(Parser)]
#[command(name = "adit", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
struct Common {
    /// Folder of the host's state [default: $XDG_DATA_HOME/adit]
    #[arg(long, global = true, value_name = "DIR", env = "ADIT_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Address of a host's API, such as http://127.0.0.1:9090/api/v1/mining, instead of the one
    /// that the state folder tells; its token is taken from ADIT_TOKEN
    #[arg(long, global = true, value_name = "URL", env = "ADIT_URL")]
    url: Option<String>,
    /// File with the certificate of the host at URL, in PEM, when no authority vouches for it
    #[arg(long, global = true, value_name = "FILE", env = "ADIT_CERTIFICATE")]
    certificate: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the host until Ctrl-C; miners run on afterwards
    Up(up::Up),
    /// End the host; miners run on unless told otherwise
    Down(down::Down),
    /// Tell what is wrong with this rig, and how to mend it
    Doctor,
    /// Show what the host says of itself and its machine
    Info,
    /// Show which installed programs have newer releases
    Update,
    /// Start, stop and watch miners
    #[command(subcommand)]
    Miner(miner::Miner),
    /// Watch the miners on the terminal, live, and pause, restart or stop them
    Top,
    /// See what was: charts and events
    #[command(subcommand)]
    History(history::History),
    /// Save configurations, and start miners from them
    #[command(subcommand)]
    Profile(profile::Profile),
    /// Save wallets under names for profiles and pools
    #[command(subcommand)]
    Wallet(wallet::Wallet),
    /// Save pools under names for profiles
    #[command(subcommand)]
    Pool(pool::Pool),
    /// Show what a start of a profile would do, and where each value comes from
    Explain(profile::Explain),
    /// Install the program of a miner type, verified before it runs
    Install(program::Install),
    /// Remove the program of a miner type
    Uninstall(program::Uninstall),
    /// Go back to the version that ran before
    Rollback(program::Type),
    /// List the installed versions of a miner type's program
    Versions(program::Type),
    /// See what drivers there are
    #[command(subcommand)]
    Driver(driver::Driver),
    /// Show what happens
    Events(events::Events),
    /// Show and set up this machine among others
    #[command(subcommand)]
    Node(node::Node),
    /// See and change the nodes that this one knows
    #[command(subcommand)]
    Peer(peer::Peer),
    /// See and command what other nodes mine
    #[command(subcommand)]
    Remote(remote::Remote),
    /// See and make tokens for the API
    #[command(subcommand)]
    Token(token::Token),
    /// See who is told of events, and try it
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// Show how the push of all figures to a remote store goes
    RemoteWrite,
    /// See what the watchdog found and did
    Incidents(watchdog::Incidents),
    /// Tell the watchdog about a miner
    #[command(subcommand)]
    Watchdog(watchdog::Watchdog),
    /// List who changed what
    Audit(audit::Audit),
    /// Call any route of the API and print its answer
    Api(raw::Raw),
    /// Print a script that completes these commands in a shell
    Completions(pages::Completions),
    /// Write manual pages into a folder
    Man(pages::Man),
    /// Own one run of a miner; the host starts this itself
    #[command(hide = true)]
    Keeper {
        /// The miner's state folder
        dir: PathBuf,
    },
    /// Run one driver for a host; the host starts this itself
    #[command(hide = true)]
    DriverRunner,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Message(String),
    #[error("no host runs for the state folder {}: start one with `adit up`", .0.display())]
    NoHost(PathBuf),
    #[error("problems found: {0}; each has its fix below it")]
    Unwell(usize),
    #[error(transparent)]
    App(#[from] crate::app::Error),
    #[error(transparent)]
    Settings(#[from] settings::Error),
}

impl Error {
    fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Up(up) => match adit_keeper::init::split() {
            Ok(None) => up::run(&cli.common, &up),
            Ok(Some(code)) => return code,
            Err(error) => Err(Error::message(format!("cannot be process 1: {error}"))),
        },
        Command::Keeper { dir } => return adit_keeper::keeper::main(&dir),
        Command::DriverRunner => return adit_drivers::runner::child::main(),
        Command::Completions(which) => pages::completions(&which),
        Command::Man(man) => pages::man(&cli.common, &man),
        Command::Api(raw) => block_on(raw::run(&cli.common, raw)),
        Command::Audit(audit) => block_on(audit::run(&cli.common, &audit)),
        Command::Down(down) => block_on(down::run(&cli.common, &down)),
        Command::Doctor => block_on(doctor::doctor(&cli.common)),
        Command::Info => block_on(doctor::info(&cli.common)),
        Command::Update => block_on(doctor::update(&cli.common)),
        Command::Miner(command) => block_on(miner::run(&cli.common, command)),
        Command::Top => block_on(top::run(&cli.common)),
        Command::History(command) => block_on(history::run(&cli.common, command)),
        Command::Profile(command) => block_on(profile::run(&cli.common, command)),
        Command::Wallet(command) => block_on(wallet::run(&cli.common, command)),
        Command::Pool(command) => block_on(pool::run(&cli.common, command)),
        Command::Explain(which) => block_on(profile::explain(&cli.common, which)),
        Command::Install(install) => block_on(program::install(&cli.common, install)),
        Command::Uninstall(uninstall) => block_on(program::uninstall(&cli.common, uninstall)),
        Command::Rollback(which) => block_on(program::rollback(&cli.common, which)),
        Command::Versions(which) => block_on(program::versions(&cli.common, which)),
        Command::Driver(command) => block_on(driver::run(&cli.common, command)),
        Command::Events(events) => block_on(events::run(&cli.common, &events)),
        Command::Node(command) => block_on(node::run(&cli.common, command)),
        Command::Peer(command) => block_on(peer::run(&cli.common, command)),
        Command::Remote(command) => block_on(remote::run(&cli.common, command)),
        Command::RemoteWrite => block_on(remote_write::run(&cli.common)),
        Command::Token(command) => block_on(token::run(&cli.common, command)),
        Command::Webhook(command) => block_on(webhook::run(&cli.common, command)),
        Command::Incidents(which) => block_on(watchdog::incidents(&cli.common, which)),
        Command::Watchdog(command) => block_on(watchdog::run(&cli.common, command)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adit: {}", complaint(&error));
            ExitCode::from(match error {
                Error::NoHost(_) => NO_HOST,
                Error::Unwell(_) => UNWELL,
                _ => FAILED,
            })
        }
    }
}

/// What to say of an error. Words of a host or of a file name may be in it.
fn complaint(error: &Error) -> String {
    let text = error.to_string();
    match error {
        // These show the lines of the operator's own file.
        Error::Settings(_) | Error::App(_) => {
            text.lines().map(show::plain).collect::<Vec<_>>().join("\n")
        }
        Error::Message(_) | Error::Unwell(_) => show::plain(&text),
        Error::NoHost(_) if is_service_closed() => {
            let service = crate::settings::SERVICE_STATE_DIR;
            let hint =
                format!("{text}. The host of {service} is for root and its own user: use sudo");
            show::plain(&hint)
        }
        Error::NoHost(_) => show::plain(&text),
    }
}

/// Whether the system has a host as a service that this user may not command.
fn is_service_closed() -> bool {
    std::fs::read_dir(crate::settings::SERVICE_STATE_DIR)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    // Whoever reads the output may have seen enough: the end of the command, not its failure.
    adit_keeper::end_with_reader();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Error::message(format!("cannot begin to work: {error}")))?;
    let done = runtime.block_on(work);
    // A thread that still reads from the terminal must not hold the command.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
