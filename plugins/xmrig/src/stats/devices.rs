//! Devices in the reply to `GET /2/backends`: the processor, and GPUs whose threads are put
//! together.

use adit_plugin_api::{DeviceMetrics, Value, json};

use crate::stats::{figure, sum, text};

/// More GPUs than XMRig takes.
const DEVICES_MAX: usize = 256;

/// The devices that work now. XMRig tells nothing of a GPU that does not.
pub(crate) fn read(backends: &Value, summary: &Value) -> Vec<DeviceMetrics> {
    let mut devices = Vec::new();
    let processor = cpu(backends);
    if processor["threads"].is_array() {
        devices.push(DeviceMetrics {
            id: "cpu:0".to_owned(),
            index: Some(0),
            name: text(&summary["cpu"]["brand"]),
            hashrate: figure(&processor["hashrate"][0]),
            ..DeviceMetrics::default()
        });
    }
    devices.extend(gpus(backends).iter().map(|gpu| gpu.metrics()));
    devices
}

/// The backend of the processor; null when there is none.
pub(crate) fn cpu(backends: &Value) -> &Value {
    let cpu = list(backends).iter().find(|backend| backend["type"] == "cpu");
    cpu.unwrap_or(&Value::Null)
}

/// The backends that XMRig was built with.
pub(crate) fn kinds(backends: &Value) -> Option<Value> {
    let kinds: Vec<String> =
        list(backends).iter().take(8).filter_map(|it| text(&it["type"])).collect();
    (!kinds.is_empty()).then(|| kinds.into())
}

/// What GPUs report beyond [`DeviceMetrics`], by the device's id.
pub(crate) fn health(backends: &Value) -> Option<Value> {
    let mut all = json!({});
    for gpu in gpus(backends) {
        let health = &gpu.threads[0]["health"];
        let mut one = json!({});
        for (name, key) in
            [("fanRpm", "rpm"), ("clockMhz", "clock"), ("memoryClockMhz", "mem_clock")]
        {
            if let Some(value) = known(&health[key]) {
                one[name] = value.into();
            }
        }
        if one.as_object().is_some_and(|one| !one.is_empty()) {
            all[gpu.id.as_str()] = one;
        }
    }
    Some(all).filter(|all| all.as_object().is_some_and(|all| !all.is_empty()))
}

/// A GPU and its threads, at least one.
struct Gpu<'a> {
    id: String,
    pci: Option<String>,
    threads: Vec<&'a Value>,
}

fn gpus(backends: &Value) -> Vec<Gpu<'_>> {
    let mut gpus: Vec<Gpu<'_>> = Vec::new();
    for name in ["opencl", "cuda"] {
        let backend = list(backends).iter().find(|backend| backend["type"] == name);
        for thread in backend.map_or(&[][..], |backend| list(&backend["threads"])) {
            let pci = pci(&thread["bus_id"]);
            let id = match &pci {
                Some(pci) => format!("pci:{pci}"),
                None => format!("{name}:{}", thread["index"].as_u64().unwrap_or_default()),
            };
            // A device has several threads, and may work in both backends.
            if let Some(gpu) = gpus.iter_mut().find(|gpu| gpu.id == id) {
                gpu.threads.push(thread);
            } else if gpus.len() < DEVICES_MAX {
                gpus.push(Gpu { id, pci, threads: vec![thread] });
            }
        }
    }
    gpus
}

impl Gpu<'_> {
    fn metrics(&self) -> DeviceMetrics {
        let first = self.threads[0];
        let health = &first["health"];
        let fans = list(&health["fan_speed"]).iter().filter_map(known);
        let fan =
            fans.fold(None, |most: Option<f64>, fan| Some(most.map_or(fan, |it| it.max(fan))));
        DeviceMetrics {
            id: self.id.clone(),
            pci: self.pci.clone(),
            index: first["index"].as_u64().and_then(|index| u32::try_from(index).ok()),
            name: text(&first["board"]).or_else(|| text(&first["name"])),
            hashrate: sum(self.threads.iter().map(|thread| figure(&thread["hashrate"][0]))),
            temperature: known(&health["temperature"]),
            power: known(&health["power"]),
            // In percent.
            fan: fan.map(|percent| percent / 100.0).filter(|fan| *fan <= 1.0),
            ..DeviceMetrics::default()
        }
    }
}

/// `0000:0a:00.0`, made of XMRig's `0a:00.0`; it leaves out the domain.
fn pci(bus_id: &Value) -> Option<String> {
    let text = bus_id.as_str()?;
    let form = b"00:00.0";
    let is_like = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_hexdigit(),
        _ => byte == *form,
    };
    let is_address = text.len() == form.len() && text.bytes().zip(form).all(is_like);
    is_address.then(|| format!("0000:{}", text.to_ascii_lowercase()))
}

/// 0 means that XMRig does not know.
fn known(value: &Value) -> Option<f64> {
    figure(value).filter(|figure| *figure > 0.0)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[][..], Vec::as_slice)
}
