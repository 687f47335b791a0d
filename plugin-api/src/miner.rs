//! The trait a driver implements.

use std::path::PathBuf;

use crate::{
    Command, CommandPlan, Config, Description, Error, Host, HttpRequest, HttpResponse, InstallPlan,
    Installed, Launch, Observation, PerformanceMetrics, Probe, Reply, Result, StartPlan, StopPlan,
    Target,
};

/// A driver: it answers questions about one family of miners, and the host acts on the answers.
///
/// The host makes one object for the driver itself ([`Context::miner`] is `None`) and one for each
/// miner that it manages. An object may remember things between calls, such as a counter's last
/// value, but must do without: after a restart of the host or an update of the driver a running
/// miner is served by a new object.
///
/// Methods may be called from several threads at once and should answer within milliseconds; the
/// host gives up on a call after its deadline. A panic is contained and reported as an error.
///
/// Required are [`create`](Miner::create), [`describe`](Miner::describe), [`start`](Miner::start)
/// and one of [`stats`](Miner::stats) and [`output`](Miner::output).
pub trait Miner: Sized + Send + Sync + 'static {
    /// Makes an object.
    ///
    /// # Errors
    /// When the driver cannot work on this machine at all; it is then listed with the reason.
    fn create(context: Context) -> Result<Self>;

    /// What the driver offers. Must always be the same for one build of a driver.
    fn describe(&self) -> Description;

    /// Plans a run from a configuration that matches the schema, defaults filled in.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] naming the field when the configuration cannot work.
    fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan>;

    /// Where the driver's program comes from and what proves it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when there is nothing for `target`; say what there is.
    fn install(&self, target: &Target) -> Result<InstallPlan> {
        Err(Error::unsupported(format!(
            "nothing to install for {}-{}: this driver does not install its program",
            target.os, target.arch
        )))
    }

    /// Cleans up beyond the files that the host removes.
    ///
    /// # Errors
    /// When something is left that the operator must know of.
    fn uninstall(&self, installed: &Installed) -> Result<()> {
        let _ = installed;
        Ok(())
    }

    /// Reads the program's version from what it prints for its version option. Without an own
    /// implementation: the first word that looks like `1.2.3`.
    ///
    /// # Errors
    /// When there is no version in `output`.
    fn version(&self, output: &str) -> Result<String> {
        output
            .split(|c: char| c.is_whitespace() || c == ',')
            .map(|word| word.trim_start_matches(['v', 'V']))
            .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
            .ok_or_else(|| Error::failed("the program printed no version"))
    }

    /// How to end a run gracefully.
    fn stop(&self, launch: &Launch) -> StopPlan {
        let _ = launch;
        StopPlan::default()
    }

    /// How to ask a running miner for its figures.
    fn probes(&self, launch: &Launch) -> Vec<Probe> {
        let _ = launch;
        Vec::new()
    }

    /// Makes figures from the replies to [`probes`](Miner::probes), in the probes' order. Replies
    /// that failed are among them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unavailable`] when the replies hold no figures; the host then uses what
    /// [`output`](Miner::output) saw.
    fn stats(&self, launch: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let _ = (launch, replies);
        Err(Error::unsupported("this driver reads its figures from the output"))
    }

    /// What lines of the program's output say. Lines are UTF-8 without their newline and come in
    /// order, each once; after a restart of the host some may be missing.
    fn output(&self, lines: &[&str]) -> Vec<Observation> {
        let _ = lines;
        Vec::new()
    }

    /// How to carry out a command on a running miner.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for a command that the driver does not know.
    fn command(&self, command: &Command, launch: &Launch) -> Result<CommandPlan> {
        let _ = launch;
        Err(Error::unsupported(format!("this driver has no command {:?}", command.name)))
    }

    /// Answers a REST request to `/drivers/{id}/x/…`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] without routes of its own. The host answers with the
    /// status that fits the error's kind.
    fn request(&self, request: &HttpRequest) -> Result<HttpResponse> {
        Err(Error::unsupported(format!("this driver has no route {}", request.path)))
    }

    /// Answers a message from the same driver on the peer `from`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when the driver takes no messages.
    fn message(&self, from: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        let _ = (from, payload);
        Err(Error::unsupported("this driver takes no messages"))
    }

    /// Whether the driver can do its work now. Shown to the operator; `false` stops nothing.
    fn is_healthy(&self) -> bool {
        true
    }
}

/// What a driver's object is made for.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Id of the driver, as its manifest says.
    pub driver: String,
    /// Name of the miner the object is for; `None`: the driver itself.
    pub miner: Option<String>,
    /// A folder that only this driver uses. It exists.
    pub data_dir: PathBuf,
    /// The text of the file that defines this driver, for a library that serves drivers which are
    /// written down; `None` for any other.
    pub definition: Option<String>,
    /// What the host does for drivers.
    pub host: Host,
}

/// The node id of a peer: text, compared as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerId(pub String);
