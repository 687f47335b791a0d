//! The file that a configuration becomes.

use adit_plugin_api::{Launch, Result, Value, json};

use crate::config::{XmrigConfig, extra};

impl XmrigConfig {
    /// The content of XMRig's configuration file.
    ///
    /// # Errors
    /// When a pool cannot be used.
    pub(crate) fn file(&self, launch: &Launch) -> Result<String> {
        let mut file = json!({
            "api": { "id": null, "worker-id": launch.miner },
            "http": {
                "enabled": true,
                "host": "127.0.0.1",
                "port": launch.api_port,
                "access-token": launch.api_token,
                // Pausing and changing pools need it.
                "restricted": false,
            },
            // XMRig must not write into its own configuration, watch it, or leave its keeper.
            "autosave": false,
            "watch": false,
            "background": false,
            "colors": false,
            "title": false,
            "syslog": false,
            "log-file": null,
            "dmi": false,
            "donate-level": self.donate_level,
            "retries": self.retries,
            "retry-pause": self.retry_pause,
            "print-time": self.print_time,
            "pause-on-battery": self.pause_on_battery,
            "pause-on-active": self.pause_on_active,
            "pools": self.pools(launch)?,
            "randomx": self.randomx(),
            "cpu": self.cpu(),
            "opencl": self.opencl(),
            "cuda": { "enabled": self.cuda, "devices-hint": self.cuda_devices.as_deref().map(list) },
        });
        extra::merge(&mut file, &self.xmrig);
        Ok(format!("{:#}\n", without_null(file)))
    }

    fn randomx(&self) -> Value {
        json!({
            "init": self.randomx_init_threads.map_or(-1, i64::from),
            "mode": self.randomx_mode,
            "1gb-pages": self.one_gb_pages,
            "rdmsr": self.msr,
            "wrmsr": self.msr,
            "numa": self.numa,
        })
    }

    fn cpu(&self) -> Value {
        let pinned = |cores: &Vec<u32>| cores.iter().map(|core| i64::from(*core)).collect();
        let free = || self.threads.map(|threads| vec![-1_i64; threads]);
        let mut cpu = json!({
            "enabled": self.cpu,
            "huge-pages": self.huge_pages,
            "huge-pages-jit": self.huge_pages_jit,
            "priority": self.cpu_priority,
            "max-threads-hint": self.max_threads_hint,
        });
        // One entry a thread: XMRig then makes no profiles of its own.
        if let Some(threads) = self.affinity.as_ref().map(pinned).or_else(free) {
            cpu["*"] = json!(threads);
        }
        cpu
    }

    fn opencl(&self) -> Value {
        json!({
            "enabled": self.opencl,
            "platform": self.opencl_platform,
            "devices-hint": self.opencl_devices.as_deref().map(list),
        })
    }
}

/// `0,2`, as XMRig lists devices.
fn list(devices: &[u32]) -> String {
    devices.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// An absent key is XMRig's default; a null need not be.
fn without_null(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null());
        for field in fields.values_mut() {
            *field = without_null(field.take());
        }
    }
    value
}
