//! How a run is begun, asked and ended.

use std::{collections::BTreeSet, time::Duration};

use adit_plugin_api::{
    Ask, Config, DevicePlan, ErrorKind, HttpAsk, Launch, Probe, ProcessPlan, StartPlan, StopAction,
    StopPlan,
};

use crate::{
    check::{
        Suite,
        asked::Asked,
        config::{self, Planted},
        rules,
    },
    handle::Instance,
};
use adit_model::plan;

/// Longest time a probe may take.
const LONGEST_PROBE: Duration = Duration::from_secs(10);
/// Longest stop ladder.
const LONGEST_STOP: Duration = Duration::from_mins(10);
/// Most steps of a stop ladder.
const MOST_STEPS: usize = 10;
/// Most probes at a time.
const MOST_PROBES: usize = 16;
/// The signals that a host sends.
const SIGNALS: [&str; 7] = ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL"];

impl Suite {
    /// Plans a run, and one without a program.
    pub(super) async fn plans(&mut self, instance: &Instance) {
        let Some(config) = self.config.clone() else {
            self.findings.skip(&rules::PLAN, "there is no configuration to plan with");
            return;
        };
        let launch = self.launch.clone();
        match self.asked(instance.start(config.clone(), launch.clone()).await) {
            Asked::Given(StartPlan::Process(process)) => {
                let notes = plan::check(&process, &launch).err().map(|it| it.to_string());
                self.findings.judge(&rules::PLAN, notes.into_iter().collect());
            }
            Asked::Given(StartPlan::Device(DevicePlan { addresses, .. })) => {
                let bad = addresses.iter().filter(|it| address(it).is_none());
                let mut notes: Vec<_> =
                    bad.map(|it| format!("{it:?} is no host:port of a device")).collect();
                if addresses.is_empty() {
                    notes.push("the device plan has no address".to_owned());
                }
                self.findings.judge(&rules::PLAN, notes);
            }
            Asked::Given(_) => self.findings.fail(&rules::PLAN, "the plan is of an unknown kind"),
            Asked::Refused(ErrorKind::Invalid, message) => {
                config::refused(&mut self.findings, &message);
                self.config = None;
            }
            Asked::Refused(_, message) => {
                self.findings.fail(&rules::PLAN, format!("start refuses: {message}"));
            }
            Asked::Broken => {}
        }
        let nothing = Launch { program: None, ..launch };
        // Whatever it answers, it must not break.
        drop(self.asked(instance.start(config, nothing).await));
    }

    /// Plants a secret in each secret field and looks for it in what people are shown.
    pub(super) async fn hides_secrets(&mut self, instance: &Instance) {
        let Some(config) = self.config.clone() else {
            self.findings.skip(&rules::SECRETS_MASKED, "there is no configuration to plan with");
            return;
        };
        let (planted, mut left) = config::plant(&self.driver, &config);
        let (mut notes, mut tried) = (Vec::new(), 0);
        for Planted { path, secret, config } in planted {
            let launch = self.launch.clone();
            match self.asked(instance.start(config, launch.clone()).await) {
                Asked::Given(StartPlan::Process(process)) => {
                    tried += 1;
                    if shows(&process, &launch, &secret) {
                        notes.push(format!("{path}: its value is shown in the plan"));
                    }
                }
                Asked::Given(_) => tried += 1,
                Asked::Refused(..) => left.push(path),
                Asked::Broken => {}
            }
        }
        if tried == 0 && notes.is_empty() {
            let why = match left.as_slice() {
                [] => "the schema marks no field as secret".to_owned(),
                left => format!("these take no text made for the check: {}", left.join(", ")),
            };
            self.findings.skip(&rules::SECRETS_MASKED, why);
        } else {
            self.findings.judge(&rules::SECRETS_MASKED, notes);
        }
    }

    pub(super) async fn stops(&mut self, instance: &Instance) {
        let Some(plan) = self.asked(instance.stop(self.launch.clone()).await).given() else {
            return;
        };
        self.findings.judge(&rules::STOP, stop_notes(&plan));
    }

    pub(super) async fn probes(&mut self, instance: &Instance) {
        let Some(probes) = self.asked(instance.probes(self.launch.clone()).await).given() else {
            return;
        };
        let config = self.config.clone().unwrap_or_default();
        let devices = self.device_addresses(instance, config).await;
        self.findings.judge(&rules::PROBES, probe_notes(&probes, self.launch.api_port, &devices));
    }

    async fn device_addresses(&mut self, instance: &Instance, config: Config) -> Vec<String> {
        match self.asked(instance.start(config, self.launch.clone()).await) {
            Asked::Given(StartPlan::Device(device)) => device.addresses,
            _ => Vec::new(),
        }
    }
}

fn shows(process: &ProcessPlan, launch: &Launch, secret: &str) -> bool {
    let view = plan::view(process, launch);
    serde_json::to_string(&view).is_ok_and(|text| text.contains(secret))
}

fn stop_notes(plan: &StopPlan) -> Vec<String> {
    let mut notes = Vec::new();
    if plan.steps.len() > MOST_STEPS {
        notes.push(format!("it has {} steps", plan.steps.len()));
    }
    let total = plan.steps.iter().try_fold(Duration::ZERO, |sum, it| sum.checked_add(it.grace));
    if total.is_none_or(|total| total > LONGEST_STOP) {
        notes.push(format!("its grace times are more than {} s", LONGEST_STOP.as_secs()));
    }
    for step in &plan.steps {
        match &step.action {
            StopAction::Signal { signal } if !SIGNALS.contains(&signal.as_str()) => {
                notes.push(format!("there is no signal {signal:?}"));
            }
            StopAction::Unknown => notes.push("a step is of an unknown kind".to_owned()),
            _ => {}
        }
    }
    notes
}

fn probe_notes(probes: &[Probe], api_port: u16, devices: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    if probes.len() > MOST_PROBES {
        notes.push(format!("it asks {} questions at a time", probes.len()));
    }
    let mut ids = BTreeSet::new();
    for Probe { id, ask, timeout, .. } in probes {
        if id.is_empty() || !ids.insert(id) {
            notes.push(format!("the id {id:?} is empty or there twice"));
        }
        if timeout.is_zero() || *timeout > LONGEST_PROBE {
            notes.push(format!("{id}: a time limit of {timeout:?}"));
        }
        let target = match ask {
            Ask::Http(HttpAsk { url, .. }) => http_address(url),
            Ask::Tcp { address, .. } => Some(address.as_str()),
            _ => None,
        };
        let Some(target) = target else {
            notes.push(format!("{id}: asks in a way that no host knows"));
            continue;
        };
        let own = address(target).is_some_and(|(host, port)| {
            ["127.0.0.1", "localhost", "[::1]"].contains(&host) && port == api_port
        });
        if !own && !devices.iter().any(|device| device == target) {
            notes.push(format!("{id}: asks {target:?}, which is not its miner"));
        }
    }
    notes
}

/// The `host:port` of an `http://` URL.
fn http_address(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://")?;
    Some(rest.split(['/', '?', '#']).next().unwrap_or(rest))
}

fn address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let plain = !host.is_empty() && !host.contains(['/', '@', ' ']);
    plain.then_some(())?;
    Some((host, port.parse().ok().filter(|port| *port > 0)?))
}

#[cfg(test)]
mod tests {
    use adit_plugin_api::StopStep;

    use super::*;

    #[test]
    fn a_probe_leads_to_its_own_miner() {
        let check = |url: &str| probe_notes(&[Probe::http("all", url)], 4000, &[]).len();
        assert_eq!(check("http://127.0.0.1:4000/2/summary?x=1"), 0);
        for bad in [
            "http://127.0.0.1:4001/",
            "http://192.0.2.1:4000/",
            "https://127.0.0.1:4000/",
            "http://127.0.0.1:4000@192.0.2.1:80/",
            "",
        ] {
            assert_eq!(check(bad), 1, "{bad}");
        }
        let device = ["192.0.2.1:4028".to_owned()];
        let tcp = Probe::tcp("a", "192.0.2.1:4028", "x");
        assert_eq!(probe_notes(std::slice::from_ref(&tcp), 1, &device).len(), 0);
        assert_eq!(probe_notes(&[tcp.clone(), tcp], 1, &device).len(), 1);
    }

    #[test]
    fn a_stop_ladder_has_an_end() {
        assert_eq!(stop_notes(&StopPlan::default()), Vec::<String>::new());
        let step = |signal: &str, grace| StopStep {
            action: StopAction::Signal { signal: signal.to_owned() },
            grace,
        };
        let plan =
            StopPlan { steps: vec![step("SIGTERM", Duration::MAX), step("TERM", Duration::MAX)] };
        assert_eq!(stop_notes(&plan).len(), 2);
    }
}
