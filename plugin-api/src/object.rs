//! The host's side: an object of a driver with std types again.

use abi_stable::std_types::{RStr, RString, Tuple2};

use crate::{
    Command, CommandPlan, Config, Context, Description, Error, HttpRequest, HttpResponse,
    InstallPlan, Installed, Launch, Observation, PeerId, PerformanceMetrics, Probe, Reply, Result,
    StartPlan, StopPlan, Target,
    abi::{AbiError, AbiResult, DriverModule_Ref, MinerObject},
    guard::guard,
    limits::cut,
    question::{self, Entry, Parts, Question},
    remote::host_object,
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
        let head = question::context(context)?;
        let host = host_object(context.host.services().clone());
        ask("create", || module.create()(host, head.as_str().into())).map(Self)
    }

    /// What the driver offers.
    ///
    /// # Errors
    /// As said at the type.
    pub fn describe(&self) -> Result<Description> {
        self.answer(&question::describe())
    }

    /// Where the driver's program comes from and what proves it.
    ///
    /// # Errors
    /// As said at the type.
    pub fn install(&self, target: &Target) -> Result<InstallPlan> {
        self.answer(&question::install(target)?)
    }

    /// Cleans up beyond the files that the host removes.
    ///
    /// # Errors
    /// As said at the type.
    pub fn uninstall(&self, installed: &Installed) -> Result<()> {
        self.answer(&question::uninstall(installed)?)
    }

    /// Reads the program's version from its own text.
    ///
    /// # Errors
    /// As said at the type.
    pub fn version(&self, output: &str) -> Result<String> {
        self.answer(&question::version(output))
    }

    /// Plans a run.
    ///
    /// # Errors
    /// As said at the type.
    pub fn start(&self, config: &Config, launch: &Launch) -> Result<StartPlan> {
        self.answer(&question::start(config, launch)?)
    }

    /// How to end a run.
    ///
    /// # Errors
    /// As said at the type.
    pub fn stop(&self, launch: &Launch) -> Result<StopPlan> {
        self.answer(&question::stop(launch)?)
    }

    /// How to ask a running miner for its figures.
    ///
    /// # Errors
    /// As said at the type.
    pub fn probes(&self, launch: &Launch) -> Result<Vec<Probe>> {
        self.answer(&question::probes(launch)?)
    }

    /// Makes figures from replies.
    ///
    /// # Errors
    /// As said at the type.
    pub fn stats(&self, launch: &Launch, replies: &[Reply]) -> Result<PerformanceMetrics> {
        self.answer(&question::stats(launch, replies)?)
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
        self.answer(&question::output(lines))
    }

    /// How to carry out a command.
    ///
    /// # Errors
    /// As said at the type.
    pub fn command(&self, command: &Command, launch: &Launch) -> Result<CommandPlan> {
        self.answer(&question::command(command, launch)?)
    }

    /// Answers a REST request.
    ///
    /// # Errors
    /// As said at the type.
    pub fn request(&self, request: &HttpRequest) -> Result<HttpResponse> {
        self.answer(&question::request(request)?)
    }

    /// Answers a message from a peer.
    ///
    /// # Errors
    /// As said at the type.
    pub fn message(&self, from: &PeerId, payload: &[u8]) -> Result<Vec<u8>> {
        self.answer(&question::message(from, payload))
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
        self.answer(&question::call(method, params))
    }

    /// Puts a question and reads the answer.
    ///
    /// # Errors
    /// As said at the type.
    #[doc(hidden)]
    pub fn answer<T>(&self, question: &Question<T>) -> Result<T> {
        question.reader()(self.put(question.entry, &question.parts)?)
    }

    /// Puts a question that is texts and bytes already, and returns the answer as such.
    ///
    /// # Errors
    /// The driver's own reason, a panic, or a part that is missing or no text.
    #[doc(hidden)]
    pub fn put(&self, entry: Entry, parts: &[Vec<u8>]) -> Result<Parts> {
        let [one, two, three] = [0, 1, 2].map(|at| parts.get(at).map_or(&[][..], Vec::as_slice));
        let text = |part| {
            let text = str::from_utf8(part);
            text.map(RStr::from).map_err(|_| Error::failed("a part of the question is no UTF-8"))
        };
        let name = entry.name();
        let text_of = |reply: RString| vec![String::from(reply).into_bytes()];
        let one_text = |call: &dyn Fn(RStr<'_>) -> AbiResult<RString>| {
            let one = text(one)?;
            ask(name, || call(one)).map(text_of)
        };
        let object = &self.0;
        match entry {
            Entry::Describe => ask(name, || object.describe()).map(text_of),
            Entry::Install => one_text(&|target| object.install(target)),
            Entry::Version => one_text(&|output| object.version(output)),
            Entry::Stop => one_text(&|launch| object.stop(launch)),
            Entry::Probes => one_text(&|launch| object.probes(launch)),
            Entry::Output => one_text(&|lines| object.output(lines)),
            Entry::Start => one_text(&|config| match text(two) {
                Ok(launch) => object.start(config, launch),
                Err(error) => AbiResult::RErr(error.into()),
            }),
            Entry::Command => one_text(&|command| match text(two) {
                Ok(launch) => object.command(command, launch),
                Err(error) => AbiResult::RErr(error.into()),
            }),
            Entry::Call => one_text(&|method| match text(two) {
                Ok(params) => object.call(method, params),
                Err(error) => AbiResult::RErr(error.into()),
            }),
            Entry::Stats => one_text(&|launch| match text(two) {
                Ok(heads) => object.stats(launch, heads, three.into()),
                Err(error) => AbiResult::RErr(error.into()),
            }),
            Entry::Uninstall => {
                let installed = text(one)?;
                ask(name, || object.uninstall(installed)).map(|()| Vec::new())
            }
            Entry::Request => {
                let head = text(one)?;
                let Tuple2(head, body) = ask(name, || object.request(head, two.into()))?;
                Ok(vec![String::from(head).into_bytes(), body.into()])
            }
            Entry::Message => {
                let from = text(one)?;
                ask(name, || object.message(from, two.into())).map(|answer| vec![answer.into()])
            }
            Entry::IsHealthy => {
                ask(name, || object.is_healthy()).map(|healthy| vec![vec![u8::from(healthy)]])
            }
        }
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

#[cfg(test)]
mod tests;
