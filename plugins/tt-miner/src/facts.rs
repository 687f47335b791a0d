//! What the first lines of a run tell and nothing tells again: the devices in use, the algorithm.
//!
//! They are kept in the host's storage, so that a host that begins in the middle of a run, with
//! only the last lines of the output, still knows them.

use adit_plugin_api::{Host, Launch, Value, json};

use crate::output::{Device, Printed, Reader};

/// Devices of one run.
const DEVICES_MAX: usize = 128;

/// What is known of the run `launch`: from its output, or from what was kept of it.
pub(crate) fn of_run(host: &Host, launch: &Launch, reader: &mut Reader) -> Printed {
    let key = format!("run/{}", launch.miner);
    let kept = host.get(&key).ok().flatten();
    let kept = kept.and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<Value>().ok());
    let kept = kept.filter(|kept| kept["run"] == launch.run.as_str());
    if reader.printed().devices.is_empty() {
        if let Some(kept) = &kept {
            reader.recall(devices(&kept["devices"]), kept["algorithm"].as_str());
        }
    } else {
        let printed = reader.printed();
        let written = json!({
            "run": launch.run,
            "algorithm": printed.algorithm,
            "devices": printed.devices.iter().map(write).collect::<Vec<_>>(),
        });
        if kept.as_ref() != Some(&written)
            && let Err(error) = host.put(&key, written.to_string().as_bytes())
        {
            // The figures of a host that begins later will name devices by their number.
            host.log(adit_plugin_api::LogLevel::Warn, &format!("cannot keep the devices: {error}"));
        }
    }
    reader.printed().clone()
}

fn write(device: &Device) -> Value {
    json!({ "index": device.index, "pci": device.pci, "name": device.name })
}

fn devices(kept: &Value) -> Vec<Device> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kept = kept.as_array().map_or(&[][..], Vec::as_slice);
    let read = |device: &Value| {
        let index = u32::try_from(device["index"].as_u64()?).ok()?;
        Some(Device { index, pci: text(&device["pci"]), name: text(&device["name"]) })
    };
    kept.iter().take(DEVICES_MAX).filter_map(read).collect()
}
