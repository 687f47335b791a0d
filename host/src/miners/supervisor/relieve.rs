//! What the watchdog has a supervisor do. What the operator wants stays as it is.

use std::time::Duration;

use crate::miners::{
    Error,
    supervisor::{Reply, State, Supervisor},
};
use adit_model::{miner::Desired, run::RunId};

/// A run that shall end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relief {
    /// The run that was judged: no other one is touched.
    pub(crate) run: RunId,
    /// Why no new one begins, and after what time one may; `None`: one begins at once.
    pub(crate) halt: Option<(String, Option<Duration>)>,
}

impl Supervisor {
    /// Ends the run that was judged, unless it ended by itself or the operator came first.
    pub(super) fn relieve(&mut self, relief: Relief, reply: Reply) {
        let is_judged = match &self.state {
            State::Live(connected) => {
                *connected.live.hold.id() == relief.run && !connected.stopping
            }
            _ => false,
        };
        if !is_judged || self.row.desired == Desired::Stopped || self.restart_asked {
            drop(reply.send(Err(Error::Overtaken(self.row.name.clone()))));
            return;
        }
        match relief.halt {
            None => {
                self.restarts = self.restarts.saturating_add(1);
                self.parts.watchdog.count_restart(&self.row.name, "watchdog");
                self.restart_asked = true;
                self.starting.push(reply);
            }
            Some(halt) => {
                self.halted = Some(halt);
                drop(reply.send(Ok(())));
            }
        }
    }
}
