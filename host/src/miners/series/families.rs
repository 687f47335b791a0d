//! The names of all series, in the words of the field; see the README for the labels.

use crate::miners::{RemoteWriteStatus, WebhookStatus, series::float};
use adit_model::series::Family;

/// One family a name, in the order in which they are shown.
pub(super) struct Families {
    pub(super) build_info: Family,
    pub(super) start_time: Family,
    pub(super) driver_calls: Family,
    pub(super) driver_took: Family,
    pub(super) driver_stuck: Family,
    pub(super) driver_quarantined: Family,
    pub(super) up: Family,
    pub(super) info: Family,
    pub(super) phase: Family,
    pub(super) health: Family,
    pub(super) hashrate: Family,
    pub(super) device_hashrate: Family,
    pub(super) shares: Family,
    pub(super) hashes: Family,
    pub(super) difficulty: Family,
    pub(super) last_share: Family,
    pub(super) pool_connected: Family,
    pub(super) pool_latency: Family,
    pub(super) pool_switches: Family,
    pub(super) temperature: Family,
    pub(super) power: Family,
    pub(super) fan: Family,
    pub(super) huge_pages: Family,
    pub(super) huge_pages_wanted: Family,
    pub(super) restarts: Family,
    pub(super) actions: Family,
    pub(super) rw_samples: Family,
    pub(super) rw_failures: Family,
    pub(super) rw_pending: Family,
    pub(super) rw_last: Family,
    pub(super) hook_events: Family,
    pub(super) hook_failures: Family,
    pub(super) hook_queued: Family,
}

impl Families {
    #[expect(clippy::too_many_lines, reason = "a table")]
    pub(super) fn new() -> Self {
        let (gauge, counter) = (Family::gauge, Family::counter);
        Self {
            build_info: gauge("host_build_info", "The version of the host."),
            start_time: gauge(
                "process_start_time_seconds",
                "When the host began, in seconds since 1970.",
            ),
            driver_calls: counter(
                "driver_calls_total",
                "Calls of a driver by entry point and outcome.",
            ),
            driver_took: Family::histogram(
                "driver_call_duration_seconds",
                "How long calls of a driver took.",
            ),
            driver_quarantined: gauge(
                "driver_quarantined",
                "Whether a driver failed so often that it is not asked any more.",
            ),
            driver_stuck: gauge(
                "driver_stuck_calls",
                "Calls of a driver that missed their deadline and have not returned.",
            ),
            up: gauge("miner_up", "Whether the miner's program runs."),
            info: gauge("miner_info", "What the miner is made of."),
            phase: gauge("miner_phase", "What the miner does: 1 for the phase that it is in."),
            health: gauge(
                "miner_watchdog_state",
                "What the watchdog thinks of the miner: 1 for its judgement.",
            ),
            hashrate: gauge("miner_hashrate_hashes_per_second", "Hashrate by averaging window."),
            device_hashrate: gauge(
                "miner_device_hashrate_hashes_per_second",
                "Hashrate of a device.",
            ),
            shares: counter("miner_shares_total", "Shares since the run began, by their fate."),
            hashes: counter("miner_hashes_total", "Hashes since the run began."),
            difficulty: gauge("miner_share_difficulty", "Difficulty of the current job."),
            last_share: gauge(
                "miner_last_share_timestamp_seconds",
                "When the last share was accepted, in seconds since 1970.",
            ),
            pool_connected: gauge(
                "miner_pool_connected",
                "Whether the session with the pool is up.",
            ),
            pool_latency: gauge(
                "miner_pool_latency_seconds",
                "Time between a share and the pool's answer.",
            ),
            pool_switches: counter(
                "miner_pool_switches_total",
                "Times that the pool changed, since the host began.",
            ),
            temperature: gauge("miner_device_temperature_celsius", "Temperature of a device."),
            power: gauge("miner_device_power_watts", "Power draw of a device."),
            fan: gauge(
                "miner_device_fan_ratio",
                "Fan speed of a device as a share of its maximum.",
            ),
            huge_pages: gauge("miner_hugepages_allocated", "Huge pages that the miner got."),
            huge_pages_wanted: gauge(
                "miner_hugepages_requested",
                "Huge pages that the miner wants.",
            ),
            restarts: counter(
                "miner_restarts_total",
                "Starts after the first, by their cause, since the host began.",
            ),
            actions: counter(
                "miner_watchdog_actions_total",
                "What the watchdog did, by action and cause, since the host began.",
            ),
            rw_samples: counter(
                "remote_write_samples_total",
                "Samples sent to the remote store, by their fate.",
            ),
            rw_failures: counter(
                "remote_write_failures_total",
                "Requests to the remote store that failed and are tried again.",
            ),
            rw_pending: gauge(
                "remote_write_pending_samples",
                "Samples that wait to be sent to the remote store.",
            ),
            rw_last: gauge(
                "remote_write_last_success_timestamp_seconds",
                "When the remote store last took samples, in seconds since 1970.",
            ),
            hook_events: counter("webhook_events_total", "Events for a webhook, by their fate."),
            hook_failures: counter(
                "webhook_failures_total",
                "Attempts to reach a webhook that failed and are repeated.",
            ),
            hook_queued: gauge("webhook_queued_events", "Events that wait for a webhook."),
        }
    }

    /// All of them.
    pub(super) fn all(self) -> Vec<Family> {
        vec![
            self.build_info,
            self.start_time,
            self.driver_calls,
            self.driver_took,
            self.driver_stuck,
            self.driver_quarantined,
            self.up,
            self.info,
            self.phase,
            self.health,
            self.hashrate,
            self.device_hashrate,
            self.shares,
            self.hashes,
            self.difficulty,
            self.last_share,
            self.pool_connected,
            self.pool_latency,
            self.pool_switches,
            self.temperature,
            self.power,
            self.fan,
            self.huge_pages,
            self.huge_pages_wanted,
            self.restarts,
            self.actions,
            self.rw_samples,
            self.rw_failures,
            self.rw_pending,
            self.rw_last,
            self.hook_events,
            self.hook_failures,
            self.hook_queued,
        ]
    }

    pub(super) fn add_remote_write(&mut self, status: &RemoteWriteStatus) {
        if !status.enabled {
            return;
        }
        for (result, count) in [
            ("sent", status.sent_samples),
            ("refused", status.refused_samples),
            ("dropped", status.dropped_samples),
        ] {
            self.rw_samples.add(&[("result", result)], float(count));
        }
        self.rw_failures.add(&[], float(status.failures));
        self.rw_pending.add(&[], float(status.pending_samples));
        if let Some(at_ms) = status.last_success_ms {
            self.rw_last.add(&[], float(u64::try_from(at_ms / 1000).unwrap_or(0)));
        }
    }

    pub(super) fn add_webhook(&mut self, status: &WebhookStatus) {
        let webhook = ("webhook", status.name.as_str());
        for (result, count) in [
            ("delivered", status.delivered),
            ("refused", status.refused),
            ("dropped", status.dropped),
        ] {
            self.hook_events.add(&[webhook, ("result", result)], float(count));
        }
        self.hook_failures.add(&[webhook], float(status.failures));
        self.hook_queued.add(&[webhook], float(status.queued));
    }
}
