//! Commands to running miners, and whether they were carried out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use adit_plugin_api::{Command, CommandPlan, Launch, PerformanceMetrics};
use tokio::time::sleep;

use crate::miners::{Error, Miners, live::Live, watchdog::SET_POOLS};
use adit_drivers::handle::Instance;
use adit_model::command::{Effect, Verdict};

/// Longest wait for a miner to rest or go on.
const REST: Duration = Duration::from_secs(6);
/// Longest wait for a new pool. It has to be found, connected and logged in at.
const CONNECT: Duration = Duration::from_secs(15);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// How a command ended that the program took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The miner's own figures show its effect.
    Verified,
    /// Nothing tells whether it had an effect.
    Sent,
    /// The program took it, and the effect is not there yet; what is seen instead.
    Pending(String),
}

impl Miners {
    /// Has a running miner carry out a command, such as `pause`, and looks at its figures
    /// afterwards: some programs say yes to everything.
    ///
    /// # Errors
    /// [`Error::NoMiner`], [`Error::NotRunning`], when the driver does not know the command, or
    /// when the program does not do it.
    pub async fn command(&self, name: &str, command: Command) -> Result<Outcome, Error> {
        let changes_pools = command.name == SET_POOLS;
        let outcome = self.run_command(name, command).await;
        if changes_pools && outcome.is_ok() {
            // The operator's choice is not the watchdog's to take back.
            self.0.parts.watchdog.begin_anew(&self.member(name)?.row.name);
        }
        outcome
    }

    /// The same for the watchdog, which is no operator.
    pub(super) async fn run_command(&self, name: &str, command: Command) -> Result<Outcome, Error> {
        let (live, driver) = self.live(name)?;
        let name = self.member(name)?.row.name;
        let launch = live.launch.clone().ok_or_else(|| Error::UnknownLaunch(name.clone()))?;
        let instance = self.0.parts.driver(&driver)?.instance(Some(&name)).await?;
        let plan = instance.command(command.clone(), Launch::clone(&launch)).await?;
        if plan.steps.is_empty() {
            return Err(Error::Command(format!("the driver plans nothing for {}", command.name)));
        }
        let folder = self.0.parts.folder(&name);
        let (secrets, run, added) =
            (live.secrets.clone(), live.hold.id().clone(), plan.secrets.clone());
        self.0.parts.drivers.known_secrets().add(added.iter().cloned());
        let written = tokio::task::spawn_blocking(move || secrets.add(&run, &folder, &added)).await;
        written.map_err(std::io::Error::other).flatten().map_err(|source| Error::Io {
            what: "write down what must not be shown".to_owned(),
            source,
        })?;
        let begun = Instant::now();
        self.carry_out(&live, &plan).await.map_err(|error| match error {
            // What the system says of a port means little to an operator.
            Error::Command(why) if why.contains("os error") => Error::Command(format!(
                "its API does not answer ({why}): restart the miner, which then gets another port"
            )),
            other => other,
        })?;
        let effect = Effect::of(&command);
        let patience = match effect {
            Effect::Unseen => return Ok(Outcome::Sent),
            Effect::Rests(_) => REST,
            Effect::Connected(_) => CONNECT,
        };
        let look = Look { miners: self, instance: &instance, launch: &launch, live: &live };
        let verdict = look.until(&effect, begun, patience).await;
        // Who is answered sees what the command changed.
        if let Some(collector) = live.collector.upgrade() {
            collector.ask_now().await;
        }
        match verdict {
            Verdict::Seen => Ok(Outcome::Verified),
            Verdict::Unknown => Ok(Outcome::Sent),
            Verdict::NotYet(instead) if matches!(effect, Effect::Connected(_)) => {
                Ok(Outcome::Pending(instead))
            }
            Verdict::NotYet(instead) => Err(Error::Command(format!(
                "it took {} and {} s later {instead}: restart the miner",
                command.name,
                patience.as_secs()
            ))),
        }
    }

    async fn carry_out(&self, live: &Live, plan: &CommandPlan) -> Result<(), Error> {
        for step in &plan.steps {
            live.hold.tell(&self.0.parts.prober, step).await?;
        }
        Ok(())
    }
}

/// Looks at a miner's figures again and again.
struct Look<'a> {
    miners: &'a Miners,
    instance: &'a Instance,
    launch: &'a Arc<Launch>,
    live: &'a Live,
}

impl Look<'_> {
    async fn until(&self, effect: &Effect, begun: Instant, patience: Duration) -> Verdict {
        let started = Instant::now();
        loop {
            let metrics = self.figures().await;
            let verdict = effect.judge(&metrics, begun.elapsed());
            if verdict == Verdict::Seen || started.elapsed() >= patience {
                return verdict;
            }
            sleep(LOOK).await;
        }
    }

    /// What the program's API says now, or else what its output said last.
    async fn figures(&self) -> PerformanceMetrics {
        match self.asked().await {
            Some(metrics) if metrics.phase.is_some() => metrics,
            _ => self.live.figures.get().metrics.unwrap_or_default(),
        }
    }

    async fn asked(&self) -> Option<PerformanceMetrics> {
        let probes = self.instance.probes(Launch::clone(self.launch)).await.ok()?;
        if probes.is_empty() {
            return None;
        }
        let replies = self.miners.0.parts.prober.ask_all(&probes, &self.live.hold.reach()).await;
        self.instance.stats(Launch::clone(self.launch), replies).await.ok()
    }
}
