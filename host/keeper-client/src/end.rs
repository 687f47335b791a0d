//! Ends a run whose keeper does not answer: its socket is missing or belongs to somebody else, a
//! signal has stopped it, or it hangs.
//!
//! 1. The keeper gets SIGCONT and SIGTERM, which it handles like a stop: the program ends by its
//!    own stop plan, and the end is written down. Keepers of every version do that.
//! 2. What has not ended after the plan's time is killed: the keeper, and everything that descends
//!    from it. The kernel kills the program when its keeper dies.
//! 3. What left the family is found by lock and environment, and killed too.
//!
//! Each signal goes to a process whose identity was checked after a pidfd had pinned it.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::{
    Keepers,
    error::Error,
    look::{KILL_DEADLINE, Records},
    members::{self, Known, Part, Search},
    off_thread,
};
use adit_keeper::{files, ladder::LONGEST_GRACE, proc};
use adit_model::{
    name::MinerName,
    run::{ProcessId, RunSpec},
};

/// Added to the time of a stop plan: for killing, for the last output and for a busy machine.
const MARGIN: Duration = Duration::from_secs(15);

/// Time of a stop plan that cannot be read any more. The bundled drivers' longest.
const UNKNOWN_PLAN: Duration = Duration::from_secs(60);

/// Pause between two checks whether a keeper is gone.
const PAUSE: Duration = Duration::from_millis(50);

impl Keepers {
    /// How long the newest run of the miner may take to end, by its own stop plan.
    pub async fn stop_limit(&self, miner: &MinerName) -> Duration {
        let spec = self.folder(miner).join(files::SPEC);
        let spec = off_thread(move || Ok(files::read_json::<RunSpec>(&spec))).await;
        let plan = spec.ok().flatten().map(|spec| spec.stop);
        let time = plan.map_or(UNKNOWN_PLAN, |plan| {
            plan.steps.iter().map(|step| step.grace.min(LONGEST_GRACE)).sum()
        });
        time + MARGIN
    }

    /// Ends everything of the miner's run without asking over the socket, and returns when nothing
    /// of it lives. Its keeper has `patience` to do it in good order.
    ///
    /// # Errors
    /// [`Error::Survivors`] when something is still alive 10 s after it was killed.
    ///
    /// # Cancellation
    /// Safe to drop; a keeper that has started to stop continues.
    pub async fn end(
        &self,
        miner: &MinerName,
        known: &Known,
        patience: Duration,
    ) -> Result<(), Error> {
        let keepers = self.living_keepers(miner, known).await?;
        for keeper in &keepers {
            send(keeper, Signal::CONT);
            send(keeper, Signal::TERM);
        }
        let until = Instant::now() + patience;
        while keepers.iter().any(proc::is_alive) && Instant::now() < until {
            sleep(PAUSE).await;
            // Its own program may stop it again.
            for keeper in keepers.iter().filter(|keeper| proc::is_stopped(keeper.pid)) {
                send(keeper, Signal::CONT);
            }
        }
        self.kill(miner, known).await
    }

    /// Resumes a keeper that a signal has stopped: without it the program blocks once its output is
    /// not read. Returns whether there was one.
    ///
    /// # Errors
    /// [`Error::Io`] when the machine has no thread for it.
    pub async fn resume(&self, miner: &MinerName, known: &Known) -> Result<bool, Error> {
        // One that is known is checked often, and costs no look at all processes.
        let keepers = match known.keepers.as_slice() {
            [] => self.living_keepers(miner, known).await?,
            keepers => keepers.to_vec(),
        };
        let stopped = keepers.iter().filter(|keeper| proc::is_stopped(keeper.pid));
        let resumed = stopped.map(|keeper| send(keeper, Signal::CONT)).count();
        Ok(resumed > 0)
    }

    /// Kills everything of the miner's run, its keeper first.
    async fn kill(&self, miner: &MinerName, known: &Known) -> Result<(), Error> {
        for keeper in self.living_keepers(miner, known).await? {
            tracing::warn!(%miner, pid = keeper.pid, "killing a keeper that does not end");
            // Before their parent is gone and with it the proof of whose they are.
            let family = proc::descendants(keeper.pid);
            send(&keeper, Signal::KILL);
            family.iter().for_each(|process| send(process, Signal::KILL));
        }
        let until = Instant::now() + KILL_DEADLINE;
        loop {
            let keepers = self.living_keepers(miner, known).await?;
            if keepers.is_empty() {
                return self.kill_orphans(miner, known).await;
            }
            if Instant::now() > until {
                let pids = keepers.iter().map(|keeper| keeper.pid).collect();
                return Err(Error::Survivors { miner: miner.clone(), pids });
            }
            sleep(PAUSE).await;
        }
    }

    async fn living_keepers(
        &self,
        miner: &MinerName,
        known: &Known,
    ) -> Result<Vec<ProcessId>, Error> {
        let (folder, known) = (self.folder(miner), known.clone());
        let failed = Error::io("examine", &folder);
        let find = move || {
            let records = Records::read(&folder, &known);
            let search = Search::new(&folder, false, &records.runs, &known);
            let found = proc::all().filter(|pid| search.part(*pid) == Some(Part::Keeper));
            // Identified, and then looked at again: the pid may have passed on in between.
            let identified = found.filter_map(proc::identify);
            Ok(identified.filter(|it| search.part(it.pid) == Some(Part::Keeper)).collect())
        };
        off_thread(find).await.map_err(failed)
    }
}

fn send(process: &ProcessId, signal: Signal) {
    members::signal(process.pid, signal, || proc::is_alive(process));
}
