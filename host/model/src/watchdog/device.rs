//! One device that makes no hashes while the others do.

use adit_plugin_api::Phase;

use crate::watchdog::{Case, Cause, Verdict, history::Device, judge, signals::Say};

/// Shares that each other device must have found before a device without any is suspicious.
const SIBLING_SHARES: u64 = 5;

impl Case<'_> {
    /// A device that hashed, now or in earlier runs, and does not any more while others do.
    pub(super) fn device(&self) -> Option<Verdict> {
        if self.phase != Phase::Mining || !self.says.hashes.is_alive() {
            return None;
        }
        let marks = &self.history.marks;
        let expected = self.history.since(Some(marks.expected));
        if expected <= self.limits.device || self.history.devices.len() < 2 {
            return None;
        }
        self.history.devices.iter().find_map(|(id, device)| self.one_device(id, device))
    }

    fn one_device(&self, id: &str, device: &Device) -> Option<Verdict> {
        let last = self.history.last()?;
        let usual = self.history.baselines.get(last.metrics.algorithm.as_deref(), id);
        if device.hashed.is_none() && usual.is_none() {
            return None;
        }
        let idle = self.history.since(device.hashed.max(Some(self.history.marks.expected)));
        if idle <= self.limits.device {
            return None;
        }
        let hashes = Say::Dead(if device.listed {
            format!("it has made no hashes for {} s", idle.as_secs())
        } else {
            format!("it is missing from the figures, {} s after its last hashes", idle.as_secs())
        });
        let others =
            last.metrics.shares.zip(device.all_then).map(|(now, then)| now.saturating_sub(then));
        let own =
            device.accepted.zip(device.accepted_then).map(|(now, then)| now.saturating_sub(then));
        let siblings = self.history.devices.len().saturating_sub(1).max(1) as u64;
        let shares = match (own, others) {
            (Some(0), Some(others)) if others / siblings >= SIBLING_SHARES => {
                Say::Dead(format!("it found none of the last {others} shares"))
            }
            (Some(own), _) if own > 0 => Say::Alive,
            _ => Say::Nothing,
        };
        let power = match (device.power, usual.and_then(|it| it.power)) {
            (Some(now), Some(usual)) if now < usual / 2.0 => {
                Say::Dead(format!("it draws {now:.0} W, {usual:.0} W are usual"))
            }
            _ => Say::Nothing,
        };
        let missing =
            if device.listed { Say::Nothing } else { Say::Dead("the program lost it".to_owned()) };
        judge(Cause::DeadDevice, Some(id), &[&hashes, &shares, &power, &missing])
    }
}
