//! An object of a driver, and the questions to it.

use std::{sync::Arc, thread, time::Duration};

use adit_plugin_api::{
    Command, CommandPlan, Config, Context, Description, DriverObject, Error, HttpRequest,
    HttpResponse, InstallPlan, Installed, Launch, Observation, PeerId, PerformanceMetrics, Probe,
    Reply, StartPlan, StopPlan, Target,
    abi::DriverModule_Ref,
    question::{self, Question},
};

use crate::{
    call::{CallError, Caller},
    runner,
};

/// An object of a driver: for one miner, or for the driver itself.
///
/// The methods are those of [`adit_plugin_api::Miner`], asked off the async threads or in another
/// process, and with a deadline. When a returned future is dropped the call still runs to its end.
#[derive(Clone)]
pub struct Instance(Way);

#[derive(Clone)]
enum Way {
    InProcess { object: Arc<Made>, caller: Caller, limit: Duration },
    Process(Arc<runner::Object>),
}

/// An object in this process. `Some` until dropped.
pub(super) struct Made(Option<DriverObject>);

impl Made {
    /// Makes it. Runs code of the driver.
    pub(super) fn new(module: DriverModule_Ref, context: &Context) -> Result<Self, Error> {
        DriverObject::create(module, context).map(|made| Self(Some(made)))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let Some(object) = self.0.take() else { return };
        // The driver's destructor runs: it may take its time, or not return. A thread of its own
        // holds nobody up, the end of the runtime included. Without a thread the object is lost
        // along with the closure, which drops it here.
        let thread = thread::Builder::new().name("driver-drop".to_owned());
        if let Err(error) = thread.spawn(move || drop(object)) {
            tracing::warn!(%error, "cannot drop a driver's object on a thread of its own");
        }
    }
}

impl Instance {
    pub(super) fn in_process(object: Made, caller: Caller, limit: Duration) -> Self {
        Self(Way::InProcess { object: Arc::new(object), caller, limit })
    }

    pub(super) fn of_process(object: Arc<runner::Object>) -> Self {
        Self(Way::Process(object))
    }

    /// What the driver offers.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn describe(&self) -> Result<Description, CallError> {
        self.ask("describe", || Ok(question::describe())).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        op: &'static str,
        make: impl FnOnce() -> Result<Question<T>, Error> + Send + 'static,
    ) -> Result<T, CallError> {
        match &self.0 {
            Way::InProcess { object, caller, limit } => {
                let object = Arc::clone(object);
                let work = move || match &object.0 {
                    Some(object) => object.answer(&make()?),
                    None => Err(Error::unavailable("the driver's object is gone")),
                };
                caller.call(op, *limit, work).await
            }
            Way::Process(object) => {
                let question = make().map_err(|error| CallError::from_driver(op, error))?;
                object.ask(question).await
            }
        }
    }

    /// Where the driver's program comes from and what proves it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn install(&self, target: Target) -> Result<InstallPlan, CallError> {
        self.ask("install", move || question::install(&target)).await
    }

    /// Cleans up beyond the files that the host removes.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn uninstall(&self, installed: Installed) -> Result<(), CallError> {
        self.ask("uninstall", move || question::uninstall(&installed)).await
    }

    /// The program's version, from what it prints for its version option.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn version(&self, output: String) -> Result<String, CallError> {
        self.ask("version", move || Ok(question::version(&output))).await
    }

    /// Plans a run from a configuration that [`Driver::complete`](super::Driver::complete) made.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn start(&self, config: Config, launch: Launch) -> Result<StartPlan, CallError> {
        self.ask("start", move || question::start(&config, &launch)).await
    }

    /// How to end a run.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn stop(&self, launch: Launch) -> Result<StopPlan, CallError> {
        self.ask("stop", move || question::stop(&launch)).await
    }

    /// How to ask a running miner for its figures.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn probes(&self, launch: Launch) -> Result<Vec<Probe>, CallError> {
        self.ask("probes", move || question::probes(&launch)).await
    }

    /// Makes figures from the replies to [`probes`](Self::probes), in the probes' order.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn stats(
        &self,
        launch: Launch,
        replies: Vec<Reply>,
    ) -> Result<PerformanceMetrics, CallError> {
        self.ask("stats", move || question::stats(&launch, &replies)).await
    }

    /// What lines of the program's output say.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn output(&self, lines: Vec<String>) -> Result<Vec<Observation>, CallError> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        self.ask("output", move || {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            Ok(question::output(&lines))
        })
        .await
    }

    /// How to carry out a command on a running miner.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn command(
        &self,
        command: Command,
        launch: Launch,
    ) -> Result<CommandPlan, CallError> {
        self.ask("command", move || question::command(&command, &launch)).await
    }

    /// Answers a REST request to the driver's own routes.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn request(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        self.ask("request", move || question::request(&request)).await
    }

    /// Answers a message from the same driver on a peer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn message(&self, from: PeerId, payload: Vec<u8>) -> Result<Vec<u8>, CallError> {
        self.ask("message", move || Ok(question::message(&from, &payload))).await
    }

    /// Whether the driver can do its work now.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn is_healthy(&self) -> Result<bool, CallError> {
        self.ask("is_healthy", || Ok(question::is_healthy())).await
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Instance")
    }
}
