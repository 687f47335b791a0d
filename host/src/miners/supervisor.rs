//! One task per miner: compares what is wanted with what is seen and acts, until both agree.

mod act;
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

use crate::{
    miners::{
        Error, Parts,
        hold::Hold,
        launch::Planned,
        live::{Live, Status, Wait},
        tick::Watched,
        words::Ending,
    },
    model::{
        miner::Desired,
        reconcile::{self, Action, Pause, Seen},
        restart::Ends,
        run::RunId,
    },
    store::MinerRow,
};

/// Time between two looks at a miner that is in nobody's hands.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
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
    /// Somebody starts a keeper.
    Starting,
    /// Processes live without their keeper.
    Orphaned,
}

struct Connected {
    live: Live,
    ended: JoinHandle<Option<Ending>>,
    /// `None` when nobody wrote down how the run was launched.
    _watched: Option<Watched>,
    stopping: bool,
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
                end = end_of(&mut self.state) => self.state = match end {
                    Some(ending) => State::Ended(ending),
                    None => State::Unknown,
                },
                () = sleep_until(next_look) => self.wake(),
            }
        }
    }

    /// Counts the miner as looked at when it is known, and shown, what runs.
    fn note_look(&mut self) {
        let Some(left) = self.first_looks else { return };
        let is_known = !matches!(self.state, State::Unknown | State::Starting | State::Stray(_));
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
        let gives_way = ends && matches!(self.state, State::Live(_));
        if gives_way { Desired::Stopped } else { self.row.desired }
    }

    fn seen(&self) -> Seen {
        match &self.state {
            State::Unknown | State::Starting => Seen::Starting,
            State::Idle => Seen::Nothing,
            State::Stray(_) => Seen::Stray,
            State::Live(connected) if connected.stopping => Seen::Stopping,
            State::Live(_) => Seen::Running,
            State::Ended(_) => Seen::Ended,
            State::Orphaned => Seen::Orphaned,
        }
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
            return now + LOOK_AGAIN;
        }
        let until = self.waiting.as_ref().and_then(|waiting| waiting.until);
        until.map_or(now + LOOK_ANYWAY, |(instant, _)| instant.min(now + LOOK_ANYWAY))
    }

    /// After a wait: what nobody is connected to is looked at afresh.
    fn wake(&mut self) {
        if matches!(self.state, State::Idle | State::Starting | State::Orphaned) {
            self.state = State::Unknown;
        }
    }

    /// What the operator wants is on disk before it is acted on and before the answer.
    async fn obey(&mut self, order: Order, reply: Reply) {
        let desired = match order {
            Order::Start | Order::Restart => Desired::Running,
            Order::Stop | Order::Remove => Desired::Stopped,
            Order::Relieve(relief) => return self.relieve(relief, reply),
        };
        if let Err(error) = self.parts.store.set_desired(&self.row.name, desired).await {
            drop(reply.send(Err(error.into())));
            return;
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
        self.restart_asked = order == Order::Restart && matches!(self.state, State::Live(_));
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
            _ => None,
        };
        let waiting = self.waiting.as_ref().map(|waiting| Wait {
            phase: waiting.phase,
            reason: waiting.reason.clone(),
            until_ms: waiting.until.map(|(_, at_ms)| at_ms),
        });
        self.status.send_replace(Status {
            desired: self.row.desired,
            unsettled: !matches!(self.state, State::Idle | State::Live(_)),
            live,
            waiting,
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

/// The end of the run in `state`; never, when there is none.
async fn end_of(state: &mut State) -> Option<Ending> {
    match state {
        State::Live(connected) => (&mut connected.ended).await.unwrap_or(None),
        _ => std::future::pending().await,
    }
}
