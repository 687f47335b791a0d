//! The single steps of a supervisor: look, adopt, start, stop, settle.

use std::{sync::Arc, time::Duration};

use adit_plugin_api::Phase;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::miners::{
    Error,
    collector::{Collector, Origin},
    device::{DeviceRun, Found},
    hold::Hold,
    launch,
    live::Live,
    probe,
    profiles::apply::Applied,
    record::Record,
    secrets::Secrets,
    supervisor::{Connected, REPLAY_BYTES, State, Supervisor, Waiting},
    words::{self, Ending},
};
use adit_keeper_client::{log::Cursor, look::Observed};
use adit_model::{miner::Desired, plan, reconcile::Action, restart::Next, run::ExitRecord};

impl Supervisor {
    pub(super) async fn look(&mut self) {
        if let Some(state) = self.look_at_device().await {
            self.state = state;
            return;
        }
        if self.is_verified && self.parts.keepers.is_quiet(&self.row.name).await {
            self.state = State::Idle;
            return;
        }
        self.load_known().await;
        let observed = self.parts.keepers.look(&self.row.name, &self.known).await;
        self.state = match observed {
            Ok(Observed::Absent) => State::Idle,
            Ok(Observed::Running(run)) => match run.status().await {
                Ok(status) => State::Stray(Hold::Program(run, Box::new(status))),
                Err(_) => State::Silent(None),
            },
            Ok(Observed::Ended(exit)) => self.unsettled(Ending::Exited(exit)).await,
            Ok(Observed::Lost { run }) => self.unsettled(Ending::Lost(run)).await,
            Ok(Observed::Silent { keeper }) => State::Silent(keeper),
            Ok(Observed::Orphaned { pids, .. }) => {
                tracing::warn!(miner = %self.row.name, ?pids, "the keeper is gone, its run is not");
                State::Orphaned
            }
            Err(error) => {
                tracing::error!(miner = %self.row.name, %error, "cannot look at the miner");
                State::Silent(None)
            }
        };
        if matches!(self.state, State::Idle) {
            self.state = self.lost().await;
        }
        match self.state {
            State::Silent(_) => {
                self.silent_since.get_or_insert_with(Instant::now);
                if self.is_silent() {
                    self.resume_keeper().await;
                }
            }
            _ => self.silent_since = None,
        }
        if matches!(self.state, State::Idle) {
            self.forget_processes();
            self.restart_asked = false;
        }
    }

    /// Nothing lives. The end of the last known run is still to be settled if the files do not know
    /// that run: somebody deleted or replaced them.
    async fn lost(&self) -> State {
        match self.known.runs.last().filter(|_| !self.known.keepers.is_empty()) {
            Some(run) => self.unsettled(Ending::Lost(run.clone())).await,
            None => State::Idle,
        }
    }

    /// `None`: no device is or was watched, or its end was dealt with.
    async fn look_at_device(&self) -> Option<State> {
        let folder = self.parts.folder(&self.row.name);
        match DeviceRun::find(&self.row.name, &folder) {
            Ok(None) => None,
            Ok(Some(Found::Running(device))) => Some(State::Stray(Hold::Device(device))),
            Ok(Some(Found::Ended(release))) => {
                let state = self.unsettled(Ending::Released(release)).await;
                (!matches!(state, State::Idle)).then_some(state)
            }
            // A program is found by its processes. A device that is watched again costs nothing.
            Err(error) => {
                tracing::error!(miner = %self.row.name, %error, "cannot read which device it is");
                None
            }
        }
    }

    /// An end counts once: when its run is still open in the history.
    async fn unsettled(&self, end: Ending) -> State {
        match self.parts.store.is_run_open(end.run()).await {
            Ok(true) => State::Ended(end),
            Ok(false) => State::Idle,
            Err(error) => {
                tracing::error!(miner = %self.row.name, %error, "cannot read the history");
                State::Idle
            }
        }
    }

    /// A host may have died between noting a run and launching it. Once it is known what lives,
    /// every other run of the history is over.
    pub(super) async fn tidy_history(&mut self) {
        let alive = match &self.state {
            _ if self.history_is_tidy => return,
            State::Idle => None,
            State::Stray(hold) => Some(hold.id()),
            _ => return,
        };
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let cause = words::NEVER_BEGAN.to_owned();
        match self.parts.store.close_runs(&self.row.name, alive, now_ms, cause).await {
            Ok(()) => self.history_is_tidy = true,
            Err(error) => {
                tracing::error!(miner = %self.row.name, %error, "cannot tidy the history");
            }
        }
    }

    pub(super) async fn act(&mut self, action: Action) {
        match action {
            Action::Rest | Action::LookAgain => {}
            Action::Adopt => self.adopt().await,
            Action::Start => self.start().await,
            Action::Stop => self.stop_run().await,
            Action::End => self.end_run().await,
            Action::Settle => self.settle().await,
            Action::KillOrphans => self.kill_orphans().await,
        }
    }

    async fn adopt(&mut self) {
        let State::Stray(hold) = std::mem::replace(&mut self.state, State::Unknown) else {
            return;
        };
        let folder = self.parts.folder(&self.row.name);
        let record = Record::read(&folder).ok().flatten();
        let record = record.filter(|record| record.launch.run == hold.id().to_string());
        self.note(&hold, record.as_ref()).await;
        self.remember(&hold).await;
        let pid = hold.pids().map(|(program, _)| program);
        tracing::info!(miner = %self.row.name, pid, "adopted the running miner");
        self.tell("miner.adopted", hold.told());
        let end = self.parts.keepers.log(&self.row.name).end().unwrap_or_default();
        let begin = Cursor { offset: end.offset.saturating_sub(REPLAY_BYTES), ..end };
        // What earlier runs printed is not this one's.
        let start = pid.map(|pid| self.parts.keepers.log(&self.row.name).start_of_run(begin, pid));
        let begin = start.and_then(Result::ok).unwrap_or(begin);
        self.connect(hold, record, (begin, Origin::Adopted)).await;
    }

    /// The history has an adopted run already, unless the database was lost.
    async fn note(&self, hold: &Hold, record: Option<&Record>) {
        let program = record.and_then(|record| record.launch.program.as_ref());
        let program = program.map(|it| it.program.display().to_string());
        let program = program.unwrap_or_else(|| hold.addresses().join(", "));
        let (store, row) = (&self.parts.store, &self.row);
        let at_ms = hold.started_at_ms();
        let noted = store.run_started(&row.name, &row.driver, hold.id(), program, at_ms).await;
        if let Err(error) = noted {
            tracing::error!(miner = %row.name, %error, "cannot note the adopted run");
        }
    }

    /// `begin`: where the output that is to be read begins, and how the run came here.
    async fn connect(&mut self, hold: Hold, record: Option<Record>, begin: (Cursor, Origin)) {
        let lifetime = self.parts.options.stats_interval + probe::LONGEST;
        let figures = self.parts.figures.begin(&self.row.name, &self.row.driver, lifetime);
        let limit = self.parts.keepers.stop_limit(&self.row.name).await;
        let (stopping, reach) = (hold.is_stopping(), hold.reach());
        let waiter = hold.clone();
        let ended = tokio::spawn(async move { waiter.wait().await });
        let planned = record.as_ref().map_or(&[][..], |record| record.secrets.as_slice());
        let secrets = Secrets::of(&self.parts.folder(&self.row.name), planned);
        self.parts.drivers.known_secrets().add(secrets.get().iter().cloned());
        let mut live = Live::new(hold, record, figures.clone(), secrets.clone(), begin.1);
        let watched = live.launch.clone().map(|launch| {
            let (parts, row) = (Arc::clone(&self.parts), &self.row);
            let who = (row.name.clone(), row.driver.clone());
            let collector = Collector::new(parts, who, launch, reach, begin, figures, secrets);
            let collector = Arc::new(collector);
            live.collector = Arc::downgrade(&collector);
            if begin.1 == Origin::Adopted {
                tokio::spawn(Arc::clone(&collector).look_now());
            }
            self.parts.ticker.watch(collector)
        });
        self.waiting = None;
        self.planned = None;
        let overdue_at = stopping.then(|| Instant::now() + limit);
        let connected = Connected { live, ended, _watched: watched, stopping, overdue_at };
        self.state = State::Live(Box::new(connected));
    }

    async fn start(&mut self) {
        self.state = State::Unknown;
        self.is_verified = false;
        match self.launch().await {
            Ok(()) => {
                // Who is answered sees the run at once.
                self.publish();
                for waiter in self.starting.drain(..) {
                    drop(waiter.send(Ok(())));
                }
            }
            // The last run's keeper has told the end and is about to leave, or somebody else began
            // a run: no failure, and those who asked wait on.
            Err(Error::Keeper(adit_keeper_client::error::Error::Busy(_))) => {
                tracing::info!(miner = %self.row.name, "something of a run is alive; looking again");
                self.state = State::Silent(None);
            }
            Err(error) => {
                // A device may repeat what it was sent.
                let reason = self.parts.drivers.known_secrets().mask(&error.to_string());
                tracing::error!(miner = %self.row.name, reason, "cannot start the miner");
                self.tell("miner.error", json!({ "error": reason }));
                self.wait(Phase::Failed, reason, self.row.restart.retry_failed());
                if let (Some(waiting), Error::NoDriver { .. }) = (&mut self.waiting, &error) {
                    waiting.is_for_driver = true;
                }
                self.publish();
                let mut error = Some(error);
                for waiter in self.starting.drain(..) {
                    let again = Error::Start {
                        name: self.row.name.clone(),
                        reason: self
                            .waiting
                            .as_ref()
                            .map_or_else(String::new, |it| it.reason.clone()),
                    };
                    drop(waiter.send(Err(error.take().unwrap_or(again))));
                }
            }
        }
    }

    async fn launch(&mut self) -> Result<(), Error> {
        self.tell("miner.starting", json!({}));
        let planned = match self.planned.take() {
            Some(planned) => *planned,
            None => launch::plan(&self.parts, &self.row).await?,
        };
        self.take_on(&planned.draft.applied).await;
        // Before the program prints: its first lines tell what nothing tells again.
        let begin = self.parts.keepers.log(&self.row.name).end().unwrap_or_default();
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let hold = match launch::carry_out(&self.parts, &self.row, &planned, now_ms).await {
            Ok(hold) => hold,
            Err(error) => {
                let store = &self.parts.store;
                drop(store.run_lost(planned.run(), now_ms, error.to_string()).await);
                return Err(error);
            }
        };
        // A program may have ended already: looking tells how, and that is no failure to start it.
        let Some(hold) = hold else { return Ok(()) };
        let pid = hold.pids().map(|(program, _)| program);
        tracing::info!(miner = %self.row.name, pid, "started the miner");
        self.tell("miner.started", hold.told());
        let record = Record::new(&self.row, &planned);
        self.remember(&hold).await;
        self.connect(hold, Some(record), (begin, Origin::Started)).await;
        Ok(())
    }

    /// Keeps what the miner's profile says now: what it is started with if the profile goes.
    async fn take_on(&mut self, applied: &Applied) {
        self.parts.watchdog.follow(&self.row.name, &applied.watchdog);
        if self.row.config == applied.config && self.row.restart == applied.restart {
            return;
        }
        self.row.config = applied.config.clone();
        self.row.restart = applied.restart.clone();
        if let Err(error) = self.parts.store.put_miner(self.row.clone()).await {
            // The folder of the miner has it too, and the profile is still there.
            tracing::error!(miner = %self.row.name, %error, "cannot keep what the profile says");
        }
    }

    async fn stop_run(&mut self) {
        let limit = self.parts.keepers.stop_limit(&self.row.name).await;
        let State::Live(connected) = &mut self.state else { return };
        match connected.live.hold.stop(&self.parts.prober).await {
            Ok(()) => {
                connected.stopping = true;
                let has_keeper = connected.live.hold.pids().is_some();
                connected.overdue_at = has_keeper.then(|| Instant::now() + limit);
                self.tell("miner.stopping", json!({}));
            }
            // What became of it shows when looking.
            Err(Error::Keeper(adit_keeper_client::error::Error::Over(_))) => {
                self.state = State::Unknown
            }
            Err(error) => {
                tracing::warn!(miner = %self.row.name, %error, "the keeper did not take the stop");
                self.end_run().await;
            }
        }
    }

    async fn kill_orphans(&mut self) {
        self.state = State::Silent(None);
        match self.parts.keepers.kill_orphans(&self.row.name, &self.known).await {
            Ok(()) => self.state = State::Unknown,
            Err(error) => {
                tracing::error!(miner = %self.row.name, %error, "cannot end what is left of a run");
                self.trouble = Some(error.to_string());
            }
        }
    }

    async fn settle(&mut self) {
        let State::Ended(end) = std::mem::replace(&mut self.state, State::Idle) else { return };
        self.forget_processes();
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let killed = self.killed.take().is_some_and(|run| run == *end.run());
        let killed = killed && end.record().is_none();
        let cause = if killed { words::KILLED.to_owned() } else { words::end(&end) };
        let store = &self.parts.store;
        let written = match end.record() {
            Some(exit) => store.run_ended(exit.clone(), cause.clone()).await,
            None => store.run_lost(end.run(), now_ms, cause.clone()).await,
        };
        if let Err(error) = written {
            tracing::error!(miner = %self.row.name, %error, "cannot write down how the run ended");
            // Looked at again, and written when that works.
            self.is_verified = false;
        }
        // Found once more, because the history does not have it yet.
        if self.settled.as_ref() == Some(end.run()) {
            return;
        }
        self.settled = Some(end.run().clone());
        let by_stop = killed || end.record().is_some_and(|exit| exit.by_stop);
        tracing::info!(miner = %self.row.name, cause, "the run ended");
        let run = end.run();
        self.tell("miner.stopped", json!({ "reason": cause, "asked": by_stop, "run": run }));
        if by_stop || self.row.desired == Desired::Stopped || self.restart_asked {
            self.waiting = None;
        } else {
            self.back_off(&end, cause, now_ms);
        }
        self.restart_asked = false;
        if let Some((reason, retry)) = self.halted.take() {
            self.wait(Phase::Failed, reason, retry);
        }
    }

    fn back_off(&mut self, end: &Ending, cause: String, now_ms: i64) {
        self.restarts = self.restarts.saturating_add(1);
        self.parts.watchdog.count_restart(&self.row.name, "exit");
        let lasted = end.record().map_or(Duration::ZERO, lasted);
        // Any even spread will do; a new id's last byte is one.
        let spread = f64::from(uuid::Uuid::new_v4().as_bytes()[15]) / f64::from(u8::MAX);
        match self.row.restart.after_end(&mut self.ends, lasted, now_ms, spread) {
            Next::Restart(pause) => self.wait(Phase::Backoff, cause, Some(pause)),
            Next::Failed(retry) => {
                let last_words = self.parts.keepers.log(&self.row.name).tail(3).unwrap_or_default();
                let reason = words::crash_loop(&self.row.restart, &cause, &last_words);
                let secrets = Secrets::left(&self.parts.folder(&self.row.name));
                let reason = plan::mask(&reason, &secrets.get());
                tracing::error!(miner = %self.row.name, reason, "the miner failed");
                self.tell("miner.error", json!({ "error": reason }));
                self.wait(Phase::Failed, reason, retry);
            }
        }
    }

    /// Publishes what happened to this miner.
    fn tell(&self, kind: &str, mut data: Value) {
        data["name"] = json!(self.row.name);
        data["minerType"] = json!(self.row.driver);
        self.parts.events.publish(kind, data);
    }

    fn wait(&mut self, phase: Phase, reason: String, pause: Option<Duration>) {
        let until = pause.map(|pause| {
            let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            let at_ms = jiff::Timestamp::now().as_millisecond().saturating_add(pause_ms);
            (Instant::now() + pause, at_ms)
        });
        self.waiting = Some(Waiting { phase, reason, until, is_for_driver: false });
    }
}

fn lasted(exit: &ExitRecord) -> Duration {
    let ms = exit.ended_at_ms.saturating_sub(exit.started_at_ms);
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
