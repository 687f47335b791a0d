//! The host's side: an object of a driver with std types again.

use abi_stable::std_types::{RString, Tuple2};
use serde::de::DeserializeOwned;

use crate::{
    Command, CommandPlan, Config, Context, Description, Error, HttpRequest, HttpResponse,
    InstallPlan, Installed, Launch, Observation, PeerId, PerformanceMetrics, Probe, Reply, Result,
    StartPlan, StopPlan, Target,
    abi::{AbiError, AbiResult, DriverModule_Ref, MinerObject},
    guard::guard,
    limits::{check_size, cut},
    remote::host_object,
    wire::{self, ContextHead, decode, encode},
};

/// An object of a driver as the host holds it: the questions of [`crate::Miner`], asked across the
/// ABI. Authors meet it in tests, see [`crate::testing::through_abi`].
///
/// Every method is a [`crate::Miner`] method of the same name and fails beyond that method's own
/// reasons with [`crate::ErrorKind::Panicked`] when the driver panicked and with
/// [`crate::ErrorKind::Failed`] when its reply cannot be read or is larger than 4 MiB. A call takes
/// as long as the driver takes: the caller sets the deadline.
pub struct DriverObject(MinerObject);

impl DriverObject {
    /// Makes an object for `context`, whose host handle the driver gets.
    ///
    /// # Errors
    /// The driver's own reason, or a panic.
    pub fn create(module: DriverModule_Ref, context: &Context) -> Result<Self> {
        let Context { driver, miner, data_dir, host } = context.clone();
        let head = encode("the context", &ContextHead { driver, miner, data_dir })?;
        let host = host_object(host.services().clone());
        ask("create", || module.create()(host, head.as_str().into())).map(Self)
    }

    /// What the driver offers.
    ///
    /// # Errors
    /// As said at the type.
    pub fn describe(&self) -> Result<Description> {
        read("description", ask("describe", || self.0.describe()))
    }

    /// Where the driver's program comes from and what proves it.
    ///
    /// # Errors
    /// As said at the type.
    pub fn install(&self, target: &Target) -> Result<InstallPlan> {
        let target = encode("the target", target)?;
        read("install plan", ask("install", || self.0.install(target.as_str().into())))
    }

    /// Cleans up beyond the files that the host removes.
    ///
    /// # Errors
    /// As said at the type.
    pub fn uninstall(&self, installed: &Installed) -> Result<()> {
        let installed = encode("the installed program", installed)?;
        ask("uninstall", || self.0.uninstall(installed.as_str().into()))
    }

    /// Reads the program's version from its own text.
    ///
    /// # Errors
    /// As said at the type.
    pub fn version(&self, output: &str) -> Result<String> {
        let version = ask("version", || self.0.version(output.into()))?;
        check_size("the driver's version", version.len())?;
        Ok(version.into())
    }

    /// Plans a run.
    ///
    /// # Errors
    /// As said at the type.
    pub fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        let config = encode("the configuration", config)?;
        let launch = text(launch)?;
        let plan = ask("start", || self.0.start(config.as_str().into(), launch.as_str().into()));
        read("start plan", plan)
    }

    /// How to end a run.
    ///
    /// # Errors
    /// As said at the type.
    pub fn stop(&self, launch: &Launch) -> Result<StopPlan> {
        let launch = text(launch)?;
        read("stop plan", ask("stop", || self.0.stop(launch.as_str().into())))
    }

    /// How to ask a running miner for its figures.
    ///
    /// # Errors
    /// As said at the type.
    pub fn probes(&self, launch: &Launch) -> Result<Vec<Probe>> {
        let launch = text(launch)?;
        read("list of probes", ask("probes", || self.0.probes(launch.as_str().into())))
    }

    /// Makes figures from replies.
    ///
    /// # Errors
    /// As said at the type.
    pub fn stats(&self, launch: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        let launch = text(launch)?;
        let (heads, bodies) = wire::encode_replies(replies)?;
        let metrics = ask("stats", || {
            self.0.stats(launch.as_str().into(), heads.as_str().into(), bodies.as_slice().into())
        });
        read("metrics", metrics)
    }

    /// What lines of output say. An observation of a newer kind is
    /// [`Observation::Unknown`].
    ///
    /// # Errors
    /// As said at the type.
    pub fn output(&self, lines: &[&str]) -> Result<Vec<Observation>> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let joined = lines.join("\n");
        let seen = ask("output", || self.0.output(joined.as_str().into()))?;
        check_size("the driver's list of observations", seen.len())?;
        wire::decode_observations("the driver's list of observations", &seen)
    }

    /// How to carry out a command.
    ///
    /// # Errors
    /// As said at the type.
    pub fn command(&self, command: &Command, launch: &Launch) -> Result<CommandPlan> {
        let command = encode("the command", command)?;
        let launch = text(launch)?;
        let plan =
            ask("command", || self.0.command(command.as_str().into(), launch.as_str().into()));
        read("command plan", plan)
    }

    /// Answers a REST request.
    ///
    /// # Errors
    /// As said at the type.
    pub fn request(&self, request: &HttpRequest) -> Result<HttpResponse> {
        let head = wire::encode_request(request)?;
        let Tuple2(head, body) = ask("request", || {
            self.0.request(head.as_str().into(), request.body.as_slice().into())
        })?;
        check_size("the driver's response", head.len().saturating_add(body.len()))?;
        wire::decode_response("the driver's response", &head, body.into())
    }

    /// Answers a message from a peer.
    ///
    /// # Errors
    /// As said at the type.
    pub fn message(&self, from: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        let answer = ask("message", || self.0.message(from.0.as_str().into(), payload.into()))?;
        check_size("the driver's answer", answer.len())?;
        Ok(answer.into())
    }

    /// Whether the driver can do its work now.
    ///
    /// # Errors
    /// As said at the type.
    pub fn is_healthy(&self) -> Result<bool> {
        ask("is_healthy", || self.0.is_healthy())
    }

    /// Calls a method that this version has no name for. Text in, text out, as they are.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when the driver does not know it.
    #[doc(hidden)]
    pub fn call(&self, method: &str, params: &str) -> Result<String> {
        let reply = ask("call", || self.0.call(method.into(), params.into()))?;
        check_size("the driver's reply", reply.len())?;
        Ok(reply.into())
    }
}

impl std::fmt::Debug for DriverObject {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("DriverObject")
    }
}

/// Makes one call. The driver's own guard reports its panics; a panic on the way is the host's.
fn ask<T>(entry: &'static str, call: impl FnOnce() -> AbiResult<T>) -> Result<T> {
    guard("the host", entry, || call().into_result().map_err(shorten))
}

/// A driver decides what its messages say, not how much room they take in the host's logs.
fn shorten(error: AbiError) -> Error {
    let error = Error::from(error);
    Error { message: cut(&error.message).to_owned(), ..error }
}

fn text(launch: &Launch) -> Result<String> {
    encode("the launch", launch)
}

fn read<T: DeserializeOwned>(what: &str, reply: Result<RString>) -> Result<T> {
    let reply = reply?;
    let what = format!("the driver's {what}");
    check_size(&what, reply.len())?;
    decode(&what, &reply)
}

#[cfg(test)]
mod tests;
