//! One task per miner: compares what is wanted with what is seen and acts, until both agree.

mod act;
mod end;
mod relieve;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use adit_plugin_api::Phase;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

pub(crate) use relieve::Relief;

use crate::miners::{
    Error, Parts,
    hold::Hold,
    launch::Planned,
    live::{Live, Status, Wait},
    supervisor::end::EndTask,
    tick::Watched,
    words::Ending,
};
use adit_keeper_client::members::Known;
use adit_model::{
    miner::Desired,
    reconcile::{self, Action, Pause, Seen},
    restart::Ends,
    run::RunId,
};
use adit_store::MinerRow;

/// Time between two looks at a miner that is in nobody's hands.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long a keeper may leave the host without an answer before something is done about it: a start
/// and an end take a moment.
const SILENT_FOR: Duration = Duration::from_secs(5);
/// Time between two looks at a keeper that does not answer, while its run is wanted.
const LOOK_AT_SILENT: Duration = Duration::from_secs(2);
/// Time after which a miner is looked at although nothing happened.
const LOOK_ANYWAY: Duration = Duration::from_secs(5);
/// Looks at a miner whose keeper does not answer, before the host counts as ready without it.
const FIRST_LOOKS: u32 = 25;
/// Output of a run that is read again when it is adopted, in bytes.
const REPLAY_BYTES: u64 = 64 << 10;

/// Where an order is answered.
pub(crate) type Reply = oneshot::Sender<Result<(), Error>>;

/// What a miner's supervisor is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Run; answered after the first attempt.
    Start,
    /// Do not run; answered when nothing runs any more.
    Stop,
    /// End the run and begin a new one; answered after the first attempt.
    Restart,
    /// Stop, then forget the miner and its folder; the supervisor ends.
    Remove,
    /// End a run that is sick; answered after the first attempt of the next one.
    Relieve(Relief),
}

/// The first start of a new miner.
pub(crate) struct First {
    /// What the driver said when the miner was created.
    pub(crate) planned: Box<Planned>,
    /// Answered after the first attempt.
    pub(crate) reply: Reply,
}

enum State {
    /// Nobody looked yet.
    Unknown,
    /// No process lives and the last end was dealt with.
    Idle,
    /// A run was found that nobody is connected to.
    Stray(Hold),
    /// A run is in this supervisor's hands.
    Live(Box<Connected>),
    /// A run ended.
    Ended(Ending),
    /// A keeper lives and does not answer; its pid, once it is one. It starts, ends or is sick.
    Silent(Option<i32>),
    /// Processes live without their keeper.
    Orphaned,
    /// The host ends a run without its keeper's help.
    Ending(EndTask),
}

struct Connected {
    live: Live,
    ended: JoinHandle<Option<Ending>>,
    /// `None` when nobody wrote down how the run was launched.
    _watched: Option<Watched>,
    stopping: bool,
    /// When a stop under way has taken too long.
    overdue_at: Option<Instant>,
}

impl Connected {
    fn is_overdue(&self) -> bool {
        self.stopping && self.overdue_at.is_some_and(|at| at <= Instant::now())
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.ended.abort();
    }
}

/// Why a start has to wait.
struct Waiting {
    phase: Phase,
    reason: String,
    /// `None`: until the operator acts.
    until: Option<(Instant, i64)>,
    /// Whether there was no driver; the wait ends as soon as there is one.
    is_for_driver: bool,
}

pub(crate) struct Supervisor {
    parts: Arc<Parts>,
    row: MinerRow,
    state: State,
    waiting: Option<Waiting>,
    ends: Ends,
    restarts: u32,
    restart_asked: bool,
    /// Why nothing runs after this run, and after what time something may.
    halted: Option<(String, Option<Duration>)>,
    history_is_tidy: bool,
    /// The last run whose end was acted on, whether or not it could be written down.
    settled: Option<RunId>,
    /// Looks until it is known what runs; `None` when it is.
    first_looks: Option<u32>,
    /// What the next start runs, when the driver was asked already.
    planned: Option<Box<Planned>>,
    /// What may be alive of the miner, from memory and database: its files may be gone.
    known: Known,
    known_is_loaded: bool,
    /// Whether a look at all processes has found nothing alive since the last start.
    is_verified: bool,
    /// Since when a keeper has not answered.
    silent_since: Option<Instant>,
    /// The run that was ended without its keeper's help.
    killed: Option<RunId>,
    /// Why the run cannot be ended.
    trouble: Option<String>,
    /// Why the database does not know yet that the miner shall not run.
    unsaved: Option<String>,
    starting: Vec<Reply>,
    stopping: Vec<(Reply, Order)>,
    status: watch::Sender<Status>,
}

impl Supervisor {
    pub(crate) fn new(
        parts: Arc<Parts>,
        row: MinerRow,
        first: Option<First>,
        status: watch::Sender<Status>,
    ) -> Self {
        let first_looks = first.is_none().then_some(FIRST_LOOKS);
        let (planned, starting) = match first {
            Some(First { planned, reply }) => (Some(planned), vec![reply]),
            None => (None, Vec::new()),
        };
        Self {
            parts,
            row,
            state: State::Unknown,
            waiting: None,
            ends: Ends::default(),
            restarts: 0,
            restart_asked: false,
            halted: None,
            history_is_tidy: false,
            settled: None,
            first_looks,
            planned,
            known: Known::default(),
            known_is_loaded: false,
            is_verified: false,
            silent_since: None,
            killed: None,
            trouble: None,
            unsaved: None,
            starting,
            stopping: Vec::new(),
            status,
        }
    }

    /// Serves the miner until the host ends or the miner is removed. Its program runs on.
    pub(crate) async fn serve(
        mut self,
        mut orders: mpsc::Receiver<(Order, Reply)>,
        ending: CancellationToken,
    ) {
        loop {
            if matches!(self.state, State::Unknown) {
                self.look().await;
            }
            self.tidy_history().await;
            let action = reconcile::next(self.wanted(), self.seen(), self.pause());
            // A start can take long, and until then it is true that nothing runs.
            if action != Action::Adopt {
                self.note_look();
            }
            self.act(action).await;
            self.publish();
            self.note_look();
            if self.answer().await {
                return;
            }
            if !matches!(action, Action::Rest | Action::LookAgain) {
                continue;
            }
            let next_look = self.next_look(action);
            tokio::select! {
                biased;
                () = ending.cancelled() => return,
                order = orders.recv() => match order {
                    Some((order, reply)) => self.obey(order, reply).await,
                    None => return,
                },
                change = change_of(&mut self.state) => self.take_change(change),
                () = sleep_until(next_look) => self.wake().await,
            }
        }
    }

    /// Counts the miner as looked at when it is known, and shown, what runs.
    fn note_look(&mut self) {
        let Some(left) = self.first_looks else { return };
        let is_known = match self.state {
            State::Unknown | State::Stray(_) => false,
            State::Silent(_) => self.is_silent(),
            _ => true,
        };
        if !is_known && left > 0 {
            self.first_looks = Some(left - 1);
            return;
        }
        self.first_looks = None;
        self.publish();
        self.parts.adopting.fetch_sub(1, Ordering::AcqRel);
    }

    /// A run that shall give way to a new one is not wanted, although the miner is.
    fn wanted(&self) -> Desired {
        let ends = self.restart_asked || self.halted.is_some();
        let gives_way = ends && matches!(self.state, State::Live(_) | State::Silent(_));
        if gives_way { Desired::Stopped } else { self.row.desired }
    }

    fn seen(&self) -> Seen {
        match &self.state {
            State::Silent(_) if self.is_silent() => Seen::Silent,
            State::Unknown | State::Silent(_) => Seen::Starting,
            State::Idle => Seen::Nothing,
            State::Stray(_) => Seen::Stray,
            State::Live(connected) if connected.is_overdue() => Seen::Overdue,
            State::Live(connected) if connected.stopping => Seen::Stopping,
            State::Ending(_) => Seen::Stopping,
            State::Live(_) => Seen::Running,
            State::Ended(_) => Seen::Ended,
            State::Orphaned => Seen::Orphaned,
        }
    }

    /// Whether a keeper has not answered for longer than a start or an end takes.
    fn is_silent(&self) -> bool {
        matches!(self.state, State::Silent(_))
            && self.silent_since.is_some_and(|since| since.elapsed() >= SILENT_FOR)
    }

    fn pause(&self) -> Pause {
        let over = self.waiting.as_ref().is_none_or(|waiting| {
            waiting.until.is_some_and(|(instant, _)| instant <= Instant::now())
                || waiting.is_for_driver && self.parts.drivers.get(&self.row.driver).is_some()
        });
        if over { Pause::Over } else { Pause::Lasts }
    }

    fn next_look(&self, action: Action) -> Instant {
        let now = Instant::now();
        if action == Action::LookAgain {
            return now + if self.is_silent() { LOOK_AT_SILENT } else { LOOK_AGAIN };
        }
        let pause = self.waiting.as_ref().and_then(|waiting| waiting.until).map(|until| until.0);
        let overdue = match &self.state {
            State::Live(connected) if connected.stopping => connected.overdue_at,
            _ => None,
        };
        let due = pause.into_iter().chain(overdue).min();
        due.map_or(now + LOOK_ANYWAY, |due| due.min(now + LOOK_ANYWAY))
    }

    /// After a wait: what nobody is connected to is looked at afresh.
    async fn wake(&mut self) {
        self.save_stop().await;
        match self.state {
            State::Idle | State::Silent(_) | State::Orphaned => self.state = State::Unknown,
            State::Live(_) => self.resume_keeper().await,
            _ => {}
        }
    }

    fn take_change(&mut self, change: Change) {
        self.state = match change {
            Change::Ended(Some(ending)) => State::Ended(ending),
            Change::Ended(None) => State::Unknown,
            Change::Killed(result) => {
                self.trouble = result.err().map(|error| error.to_string());
                State::Unknown
            }
        };
    }

    /// What the operator wants is on disk before it is acted on and before the answer, except for a
    /// stop that cannot be written there: it is executed, and written as soon as that works.
    async fn obey(&mut self, order: Order, reply: Reply) {
        let desired = match order {
            Order::Start | Order::Restart => Desired::Running,
            Order::Stop | Order::Remove => Desired::Stopped,
            Order::Relieve(relief) => return self.relieve(relief, reply),
        };
        let saved = self.parts.store.set_desired(&self.row.name, desired).await;
        match saved {
            Ok(()) => self.unsaved = None,
            // Not even a full disk keeps a miner from being stopped.
            Err(error) if desired == Desired::Stopped => {
                tracing::error!(miner = %self.row.name, %error, "cannot write down that it shall stop");
                self.unsaved = Some(error.to_string());
            }
            Err(error) => {
                drop(reply.send(Err(error.into())));
                return;
            }
        }
        self.row.desired = desired;
        self.waiting = None;
        self.restart_asked = false;
        self.halted = None;
        // Whatever it was made with, the operator may have changed something since.
        self.planned = None;
        self.parts.watchdog.begin_anew(&self.row.name);
        if desired == Desired::Stopped {
            for overtaken in self.starting.drain(..) {
                drop(overtaken.send(Err(Error::Overtaken(self.row.name.clone()))));
            }
            self.stopping.push((reply, order));
            return;
        }
        self.ends = Ends::default();
        self.restarts = 0;
        for (overtaken, _) in self.stopping.drain(..) {
            drop(overtaken.send(Err(Error::Overtaken(self.row.name.clone()))));
        }
        self.starting.push(reply);
        let is_alive = matches!(self.state, State::Live(_) | State::Silent(_) | State::Ending(_));
        self.restart_asked = order == Order::Restart && is_alive;
        if self.restart_asked {
            self.parts.watchdog.count_restart(&self.row.name, "operator");
        }
    }

    /// Answers the orders that are carried out. `true`: the miner is no more.
    async fn answer(&mut self) -> bool {
        let live = matches!(&self.state, State::Live(connected) if !connected.stopping);
        if live && !self.restart_asked {
            answer_all(&mut self.starting);
        }
        if self.is_silent() && self.wanted() == Desired::Running {
            let reason = self.silence();
            for waiter in self.starting.drain(..) {
                let (name, reason) = (self.row.name.clone(), reason.clone());
                drop(waiter.send(Err(Error::Start { name, reason })));
            }
        }
        if !matches!(self.state, State::Idle) || self.row.desired == Desired::Running {
            return false;
        }
        let removed = self.stopping.iter().any(|(_, order)| *order == Order::Remove);
        let result = if removed { self.forget().await } else { Ok(()) };
        let gone = removed && result.is_ok();
        let mut result = Some(result);
        for (reply, order) in self.stopping.drain(..) {
            let answer = match order {
                Order::Remove => result.take().unwrap_or(Ok(())),
                _ => Ok(()),
            };
            drop(reply.send(answer));
        }
        gone
    }

    async fn forget(&self) -> Result<(), Error> {
        self.parts.keepers.remove(&self.row.name).await?;
        self.parts.store.remove_miner(&self.row.name).await?;
        self.parts.store.remove_watchdog(&self.row.name).await?;
        self.parts.watchdog.forget(&self.row.name);
        if let Some(driver) = self.parts.drivers.get(&self.row.driver) {
            driver.forget(&self.row.name);
        }
        Ok(())
    }

    fn publish(&self) {
        let live = match &self.state {
            State::Live(connected) => Some((connected.live.clone(), connected.stopping)),
            State::Ending(task) => task.live().map(|live| (live, true)),
            _ => None,
        };
        let unreachable =
            self.is_silent() || matches!(self.state, State::Ending(_) | State::Orphaned);
        let waiting = self.waiting.as_ref().map(|waiting| Wait {
            phase: waiting.phase,
            reason: waiting.reason.clone(),
            until_ms: waiting.until.map(|(_, at_ms)| at_ms),
        });
        self.status.send_replace(Status {
            desired: self.row.desired,
            is_inspected: true,
            unsettled: !matches!(self.state, State::Idle | State::Live(_)),
            unreachable,
            live,
            waiting,
            trouble: self.trouble(),
            unsaved: self.unsaved.clone().filter(|_| self.row.desired == Desired::Stopped),
            restarts: self.restarts,
            restart: self.row.restart.clone(),
        });
        self.parts.changed();
    }
}

fn answer_all(replies: &mut Vec<Reply>) {
    for reply in replies.drain(..) {
        drop(reply.send(Ok(())));
    }
}

/// What can happen to a state by itself.
enum Change {
    /// The run ended; `None`: it was lost from sight.
    Ended(Option<Ending>),
    /// The host has ended it, or could not.
    Killed(Result<(), adit_keeper_client::error::Error>),
}

/// The next change of `state`; never, when nothing of it changes by itself.
async fn change_of(state: &mut State) -> Change {
    match state {
        State::Live(connected) => Change::Ended((&mut connected.ended).await.unwrap_or(None)),
        State::Ending(task) => Change::Killed(task.done().await),
        _ => std::future::pending().await,
    }
}
