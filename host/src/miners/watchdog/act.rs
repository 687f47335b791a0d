//! What is done for a run that is sick, and what is kept of why.

use std::time::Duration;

use adit_plugin_api::Command;
use serde_json::{Value, json};

use crate::miners::{
    Error, Member, Miners,
    hold::Hold,
    launch,
    live::Live,
    supervisor::{Order, Relief},
    watchdog::now_ms,
};
use adit_model::{
    name::MinerName,
    plan,
    watchdog::{
        Cause, Finding,
        incident::{Evidence, Incident, LINE_CHARS, LINES},
        ladder::{Remedy, Step},
    },
};

/// The command of a driver that changes the pools of a running program.
pub(in crate::miners) const SET_POOLS: &str = "set-pools";

impl Miners {
    /// Tells of something that is only odd.
    pub(super) async fn warn(&self, name: MinerName, live: Live, finding: Finding) {
        self.alert(&name, &live, &finding, None).await;
    }

    /// Does what the ladder says, if the run is still sick then.
    pub(super) async fn help(&self, name: MinerName, live: Live, finding: Finding) {
        let watchdog = &self.0.parts.watchdog;
        if self.is_heard(&live, &finding).await {
            let reason = "its output flows, but cannot be written to the log";
            self.alert_once(&name, &live, &finding, reason).await;
            self.with_ward(&name, |ward| ward.rest());
            return;
        }
        let Ok(member) = self.member(name.as_str()) else { return };
        let limits = self.limits(&member);
        let has_next_pool = launch::has_several_pools(&self.0.parts, &member.row).await;
        let run = live.hold.id();
        let step = {
            let mut wards = watchdog.wards();
            let Some(ward) = wards.get_mut(&name) else { return };
            if !ward.is_still(run, &finding) {
                ward.wait();
                return;
            }
            ward.decide(finding.cause, has_next_pool, now_ms(), &limits)
        };
        let remedy = match step {
            Step::Do(remedy) => remedy,
            Step::Alert(reason) => {
                self.alert_once(&name, &live, &finding, reason).await;
                self.with_ward(&name, |ward| ward.wait());
                return;
            }
        };
        let summary = format!("{}: {finding}", words(remedy));
        let id = self.note(&name, &live, &finding, Some(remedy), &summary).await;
        tracing::warn!(miner = %name, cause = finding.cause.as_str(), summary, "the watchdog acts");
        self.tell("watchdog.action", &name, &live, &finding, Some(remedy), &summary, id);
        self.with_ward(&name, |ward| ward.acted(finding.cause, remedy, now_ms()));
        // The next host continues with this pool.
        self.save_pool_turns().await;
        match self.apply(&name, &live, remedy, &summary, limits.retry).await {
            Ok(()) => watchdog.count(&name, remedy, finding.cause),
            // The run ended, or the operator came first.
            Err(Error::Overtaken(_) | Error::ShuttingDown) => {}
            Err(error) => {
                tracing::error!(miner = %name, %error, "the watchdog could not act");
            }
        }
        self.with_ward(&name, |ward| ward.rest());
    }

    pub(super) fn with_ward(&self, name: &MinerName, change: impl FnOnce(&mut super::Ward)) {
        if let Some(ward) = self.0.parts.watchdog.wards().get_mut(name) {
            change(ward);
        }
    }

    /// Whether the keeper hears the program although nothing of it reaches the log, as on a full
    /// disk. Asked only when silence is the charge.
    async fn is_heard(&self, live: &Live, finding: &Finding) -> bool {
        if !matches!(finding.cause, Cause::Frozen | Cause::NoStart | Cause::StuckPreparing) {
            return false;
        }
        let Hold::Program(run, _) = &live.hold else { return false };
        let Ok(status) = run.status().await else { return false };
        status.log_error.is_some()
            && status
                .silent_ms
                .is_some_and(|ms| Duration::from_millis(ms) < Duration::from_secs(60))
    }

    async fn apply(
        &self,
        name: &MinerName,
        live: &Live,
        remedy: Remedy,
        summary: &str,
        retry: Option<Duration>,
    ) -> Result<(), Error> {
        if remedy == Remedy::NextPool && self.change_pool(name).await {
            return Ok(());
        }
        let stop = remedy == Remedy::Stop;
        let relief = Relief {
            run: live.hold.id().clone(),
            halt: stop.then(|| (format!("stopped by the watchdog: {summary}"), retry)),
        };
        self.order(name, Order::Relieve(relief)).await
    }

    /// Goes to the next pool without a restart, when the driver can.
    pub(super) async fn change_pool(&self, name: &MinerName) -> bool {
        let parts = &self.0.parts;
        let Ok(member) = self.member(name.as_str()) else { return false };
        if !self.changes_pools(&member) {
            return false;
        }
        let pools = launch::pools(parts, &member.row).await;
        let command = Command { name: SET_POOLS.to_owned(), params: json!({ "pools": pools }) };
        match self.run_command(name.as_str(), command).await {
            Ok(_) => true,
            Err(error) => {
                tracing::info!(miner = %name, %error, "cannot change the pool of the run; restarting");
                false
            }
        }
    }

    /// Whether the driver can change the pools of a running program.
    pub(super) fn changes_pools(&self, member: &Member) -> bool {
        let driver = self.0.parts.driver(&member.row.driver);
        driver.is_ok_and(|it| it.description().commands.iter().any(|it| it == SET_POOLS))
    }

    async fn alert_once(&self, name: &MinerName, live: &Live, finding: &Finding, reason: &str) {
        let mut is_news = false;
        self.with_ward(name, |ward| is_news = ward.tell(finding));
        if is_news {
            self.alert(name, live, finding, Some(reason)).await;
        }
    }

    async fn alert(&self, name: &MinerName, live: &Live, finding: &Finding, reason: Option<&str>) {
        let summary = match reason {
            Some(reason) => format!("{finding} (nothing is done: {reason})"),
            None => finding.to_string(),
        };
        let id = self.note(name, live, finding, None, &summary).await;
        tracing::warn!(miner = %name, cause = finding.cause.as_str(), summary, "the watchdog warns");
        self.tell("watchdog.warning", name, live, finding, None, &summary, id);
    }

    #[expect(clippy::too_many_arguments, reason = "each is a field of the event")]
    pub(super) fn tell(
        &self,
        kind: &str,
        name: &MinerName,
        live: &Live,
        finding: &Finding,
        action: Option<Remedy>,
        summary: &str,
        id: Option<i64>,
    ) {
        let driver = self.member(name.as_str()).map(|it| it.row.driver.to_string());
        let mut data = json!({
            "name": name,
            "minerType": driver.unwrap_or_default(),
            "run": live.hold.id(),
            "cause": finding.cause,
            "summary": summary,
        });
        for (key, value) in [
            ("device", finding.device.clone().map(Value::from)),
            ("action", action.map(|it| it.as_str().into())),
            ("incident", id.map(Value::from)),
        ] {
            if let Some(value) = value {
                data[key] = value;
            }
        }
        self.0.parts.events.publish(kind, data);
    }

    /// Writes an incident down with its evidence. Whoever cannot write acts all the same.
    pub(super) async fn note(
        &self,
        name: &MinerName,
        live: &Live,
        finding: &Finding,
        action: Option<Remedy>,
        summary: &str,
    ) -> Option<i64> {
        let evidence = self.evidence(name, live, finding).await;
        let incident = Incident {
            id: 0,
            miner: name.clone(),
            at_ms: now_ms(),
            run: live.hold.id().to_string(),
            cause: finding.cause,
            action,
            summary: plan::mask(summary, &live.secrets.get()),
        };
        let limits = self.0.parts.watchdog.settings.incidents;
        match self.0.parts.store.add_incident(incident, evidence, limits).await {
            Ok(id) => Some(id),
            Err(error) => {
                tracing::error!(miner = %name, %error, "cannot write an incident down");
                None
            }
        }
    }

    async fn evidence(&self, name: &MinerName, live: &Live, finding: &Finding) -> Evidence {
        // In a flood the keeper holds the last lines back.
        live.hold.flush().await;
        let log = self.0.parts.keepers.log(name);
        let read = tokio::task::spawn_blocking(move || log.tail(LINES)).await;
        let (lines, missing) = match read {
            Ok(Ok(lines)) => (lines, None),
            Ok(Err(error)) => (Vec::new(), Some(format!("cannot read the log: {error}"))),
            Err(_) => (Vec::new(), Some("the log was not read: the host ends".to_owned())),
        };
        let shown = |line: &String| {
            let masked = plan::mask(line, &live.secrets.get());
            masked.chars().take(LINE_CHARS).collect()
        };
        let mut looks = Vec::new();
        self.with_ward(name, |ward| looks = ward.looks());
        for look in &mut looks {
            // A driver may put anything there.
            look.metrics.extra_data.clear();
            if let Some(error) = look.metrics.pool.as_mut().and_then(|pool| pool.error.as_mut()) {
                *error = plan::mask(error, &live.secrets.get());
            }
        }
        let signals = finding.signals.clone();
        Evidence { signals, lines: lines.iter().map(shown).collect(), looks, missing }
    }
}

pub(super) fn words(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::Restart => "restarted",
        Remedy::NextPool => "went to the next pool",
        Remedy::FirstPool => "returned to the first pool",
        Remedy::Stop => "stopped",
    }
}
