//! Fields that are out of their range, or would not act beside others.

use adit_plugin_api::{Result, Value};

use crate::config::{
    XmrigConfig,
    text::{self, refuse},
};

/// More threads than XMRig takes.
const THREADS_MAX: usize = 1024;

impl XmrigConfig {
    pub(crate) fn check_numbers(&self) -> Result<()> {
        if self.donate_level == 0 {
            return refuse(
                "donateLevel",
                "XMRig's minimum is 1 and it takes 0 for 1: write 1 to 99",
            );
        }
        let donate = u32::try_from(self.donate_level).unwrap_or_default();
        for (field, value, min, max) in [
            ("donateLevel", Some(donate), 1, 99),
            ("retries", Some(self.retries), 1, 1000),
            ("retryPause", Some(self.retry_pause), 1, 3600),
            ("maxThreadsHint", self.max_threads_hint, 1, 100),
            ("cpuPriority", self.cpu_priority, 0, 5),
            ("randomxInitThreads", self.randomx_init_threads, 1, 1024),
        ] {
            if value.is_some_and(|value| !(min..=max).contains(&value)) {
                return refuse(field, format!("write a number from {min} to {max}"));
            }
        }
        if !(1..=3600).contains(&self.print_time) {
            return refuse(
                "printTime",
                "write 1 to 3600 seconds: the printed speed is the second sign of life",
            );
        }
        if !["auto", "fast", "light"].contains(&self.randomx_mode.as_str()) {
            return refuse("randomxMode", "write auto, fast or light");
        }
        Ok(())
    }

    pub(crate) fn check_cpu(&self, os: &str) -> Result<()> {
        if !self.cpu && !self.opencl && !self.cuda {
            return refuse("cpu", "nothing would mine: switch on cpu, opencl or cuda");
        }
        for (field, is_set) in [
            ("threads", self.threads.is_some()),
            ("maxThreadsHint", self.max_threads_hint.is_some()),
            ("affinity", self.affinity.is_some()),
            ("cpuPriority", self.cpu_priority.is_some()),
        ] {
            if is_set && !self.cpu {
                return refuse(field, "does nothing with cpu false");
            }
        }
        let many = 1..=THREADS_MAX;
        if self.threads.is_some_and(|threads| !many.contains(&threads)) {
            return refuse("threads", format!("write a number from 1 to {THREADS_MAX}"));
        }
        if let Some(cores) = &self.affinity {
            if !many.contains(&cores.len()) || cores.iter().any(|core| *core > 4095) {
                return refuse("affinity", "write the numbers of 1 to 1024 processors from 0");
            }
            if self.threads.is_some_and(|threads| threads != cores.len()) {
                return refuse(
                    "affinity",
                    "pins one thread to each processor: write as many as threads, or leave \
                     threads out",
                );
            }
        }
        if self.max_threads_hint.is_some() && (self.threads.is_some() || self.affinity.is_some()) {
            return refuse("maxThreadsHint", "does nothing beside threads or affinity");
        }
        if self.one_gb_pages && os != "linux" {
            return refuse("oneGbPages", "XMRig has 1 GB pages on Linux only: leave it out");
        }
        if self.one_gb_pages && !self.huge_pages {
            return refuse("oneGbPages", "does nothing with hugePages false");
        }
        if self.one_gb_pages && self.randomx_mode == "light" {
            return refuse("oneGbPages", "are for the dataset, which randomxMode light has not");
        }
        Ok(())
    }

    pub(crate) fn check_gpu(&self) -> Result<()> {
        for (field, devices, switch, on) in [
            ("openclDevices", &self.opencl_devices, "opencl", self.opencl),
            ("cudaDevices", &self.cuda_devices, "cuda", self.cuda),
        ] {
            let Some(devices) = devices else { continue };
            if !on {
                return refuse(field, format!("does nothing with {switch} false"));
            }
            if devices.is_empty() || devices.len() > 64 || devices.iter().any(|it| *it > 255) {
                return refuse(field, "write the numbers of 1 to 64 devices from 0");
            }
        }
        let Some(platform) = &self.opencl_platform else { return Ok(()) };
        if !self.opencl {
            return refuse("openclPlatform", "does nothing with opencl false");
        }
        let is_number = platform.as_u64().is_some_and(|number| number < 256);
        let name = platform.as_str();
        if let Some(name) = name {
            text::check("openclPlatform", name, 128)?;
        }
        if !is_number && name.is_none() {
            return refuse(
                "openclPlatform",
                "write AMD, NVIDIA, INTEL, another vendor or a number",
            );
        }
        Ok(())
    }

    pub(crate) fn check_pausing(&self, os: &str) -> Result<()> {
        let value = &self.pause_on_active;
        let is_seconds = value.as_u64().is_some_and(|seconds| (1..=86_400).contains(&seconds));
        if !value.is_boolean() && !is_seconds {
            return refuse("pauseOnActive", "write true, false or seconds from 1 to 86400");
        }
        if os == "linux" && *value != Value::Bool(false) {
            return refuse(
                "pauseOnActive",
                "XMRig does not see on Linux whether somebody is active and would never pause: \
                 leave it out",
            );
        }
        Ok(())
    }
}
