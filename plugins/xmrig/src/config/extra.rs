//! The `xmrig` object: keys of XMRig's own file that this driver has no field for.
//!
//! It is merged into the generated file last. What would take XMRig out of supervision, what has a
//! field of its own, and what makes XMRig load a library is refused by name.

use adit_plugin_api::{Result, Value};

use crate::config::text::{self, refuse};

/// Fields of ours that thread profiles in `xmrig.cpu` would overrule.
pub(crate) enum Taken {
    /// No field says anything of threads.
    None,
    /// The field decides for all algorithms.
    All(&'static str),
    /// The field decides for the algorithms without a profile.
    Star(&'static str),
}

/// Keys that are refused, and why.
const REFUSED: &[(&str, &str)] = &[
    ("http", "the host reaches XMRig through this"),
    ("api", "the host names the miner"),
    ("tls", "it is for XMRig's API, which is on loopback only"),
    ("autosave", "XMRig must not change the configuration that the host wrote"),
    ("watch", "XMRig must not follow files: use the command set-pools, or restart the miner"),
    ("background", "XMRig would leave its keeper"),
    ("colors", "the driver reads the output without colours"),
    ("title", "there is no window"),
    ("log-file", "the host keeps the log"),
    ("syslog", "the host keeps the log"),
    ("dry-run", "XMRig would exit without mining"),
    ("dmi", "XMRig would read the mainboard's tables at each start"),
    ("benchmark", "XMRig would ignore the pools"),
    ("cuda.loader", "put the plugin of XMRig beside the program, where XMRig finds it"),
    ("opencl.loader", "XMRig finds the system's OpenCL library by itself"),
];

/// Keys that have a field here.
const OWN: &[(&str, &str)] = &[
    ("pools", "pools"),
    ("donate-level", "donateLevel"),
    ("retries", "retries"),
    ("retry-pause", "retryPause"),
    ("print-time", "printTime"),
    ("pause-on-battery", "pauseOnBattery"),
    ("pause-on-active", "pauseOnActive"),
    ("cpu.enabled", "cpu"),
    ("cpu.huge-pages-jit", "hugePagesJit"),
    ("cpu.priority", "cpuPriority"),
    ("cpu.max-threads-hint", "maxThreadsHint"),
    ("randomx.init", "randomxInitThreads"),
    ("randomx.mode", "randomxMode"),
    ("randomx.1gb-pages", "oneGbPages"),
    ("opencl.enabled", "opencl"),
    ("opencl.platform", "openclPlatform"),
    ("opencl.devices-hint", "openclDevices"),
    ("cuda.enabled", "cuda"),
    ("cuda.devices-hint", "cudaDevices"),
];

/// Keys of `cpu` that are no thread profile.
const CPU_SETTINGS: &[&str] =
    &["huge-pages", "hw-aes", "memory-pool", "yield", "asm", "argon2-impl"];

/// Parts of the file that are objects; anything else would replace what the driver wrote there.
const OBJECTS: &[&str] = &["cpu", "randomx", "opencl", "cuda", "dns"];

/// Checks the object.
///
/// # Errors
/// With the first key that is refused, and why.
pub(crate) fn check(extra: &Value, taken: &Taken) -> Result<()> {
    let fields = match extra {
        Value::Null => return Ok(()),
        Value::Object(fields) => fields,
        _ => return refuse("xmrig", "write an object with keys of XMRig's config.json"),
    };
    check_texts("xmrig", extra)?;
    for (key, value) in fields {
        check_key(key)?;
        if OBJECTS.contains(&key.as_str()) && !value.is_object() {
            return refuse(
                &format!("xmrig.{key}"),
                "write an object: the driver fills in the rest",
            );
        }
        for inner in value.as_object().into_iter().flat_map(|inner| inner.keys()) {
            check_key(&format!("{key}.{inner}"))?;
        }
    }
    if extra["cuda"]["nvml"].is_string() {
        return refuse("xmrig.cuda.nvml", "write true or false: XMRig finds NVML by itself");
    }
    let pages = &extra["cpu"]["huge-pages"];
    if !pages.is_null() && !pages.is_u64() {
        return refuse("xmrig.cpu.huge-pages", "write a size in kB, or use the field hugePages");
    }
    for (name, profile) in extra["cpu"].as_object().into_iter().flatten() {
        if !CPU_SETTINGS.contains(&name.as_str()) {
            check_profile(name, profile, taken)?;
        }
    }
    Ok(())
}

fn check_key(key: &str) -> Result<()> {
    let find = |list: &[(&str, &'static str)]| {
        list.iter().find(|(name, _)| *name == key).map(|(_, text)| *text)
    };
    if let Some(reason) = find(REFUSED) {
        return refuse(&format!("xmrig.{key}"), format!("is not yours to set: {reason}"));
    }
    match find(OWN) {
        Some(field) => refuse(&format!("xmrig.{key}"), format!("use the field {field}")),
        None => Ok(()),
    }
}

/// XMRig puts environment variables into some texts.
fn check_texts(at: &str, value: &Value) -> Result<()> {
    match value {
        Value::String(text) if !text.is_empty() => text::check(at, text, 4096),
        Value::Array(items) => items.iter().try_for_each(|item| check_texts(at, item)),
        Value::Object(fields) => {
            let mut inner = fields.iter();
            inner.try_for_each(|(key, value)| check_texts(&format!("{at}.{key}"), value))
        }
        _ => Ok(()),
    }
}

/// Threads for an algorithm. XMRig does not check them, and what is no whole number in them makes
/// it do anything.
fn check_profile(name: &str, profile: &Value, taken: &Taken) -> Result<()> {
    let field = format!("xmrig.cpu.{name}");
    match taken {
        Taken::All(ours) => {
            return refuse(&field, format!("{ours} says the threads: leave one of them out"));
        }
        Taken::Star(ours) if name == "*" => {
            return refuse(&field, format!("{ours} says the threads: leave one of them out"));
        }
        _ => {}
    }
    let is_core = |value: &Value| value.as_i64().is_some_and(|core| (-1..=4095).contains(&core));
    let is_intensity =
        |value: &Value| value.as_u64().is_some_and(|number| (1..=8).contains(&number));
    let is_thread = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([intensity, core]) => is_intensity(intensity) && is_core(core),
        Some(_) => false,
        None => is_core(value),
    };
    let is_good = match profile {
        Value::Array(threads) => {
            (1..=1024).contains(&threads.len()) && threads.iter().all(is_thread)
        }
        Value::Object(fields) => {
            let known = |key: &String| ["intensity", "threads", "affinity"].contains(&key.as_str());
            let is_count =
                |value: &Value| value.as_u64().is_some_and(|count| (1..=1024).contains(&count));
            let intensity = fields.get("intensity");
            let affinity = fields.get("affinity");
            fields.keys().all(known)
                && fields.get("threads").is_some_and(is_count)
                && intensity.is_none_or(|value| {
                    value.as_u64().is_some_and(|number| (1..=5).contains(&number))
                })
                && affinity.is_none_or(|value| value.is_i64() || value.is_string())
        }
        Value::Bool(on) => !on,
        Value::String(_) => true,
        _ => false,
    };
    if is_good {
        return Ok(());
    }
    refuse(
        &field,
        "write threads as [core, …], [[intensity, core], …], {\"threads\": 4}, another profile's \
         name, or false",
    )
}

/// Puts `extra` into `file`, key by key; objects are joined, anything else replaces.
pub(crate) fn merge(file: &mut Value, extra: &Value) {
    match (file, extra) {
        (_, Value::Null) => {}
        (Value::Object(file), Value::Object(extra)) => {
            for (key, value) in extra {
                merge(file.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (file, extra) => *file = extra.clone(),
    }
}

/// Adds what may be a secret: XMRig may learn keys that nobody here knows.
pub(crate) fn secrets(extra: &Value, secrets: &mut Vec<String>) {
    const SECRET: &[&str] = &["pass", "token", "secret", "wallet", "key", "seed"];
    for (key, value) in extra.as_object().into_iter().flatten() {
        let key = key.to_ascii_lowercase();
        let is_user = key == "user";
        match value {
            Value::String(text) if is_user || SECRET.iter().any(|word| key.contains(word)) => {
                secrets.push(text.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| self::secrets(item, secrets)),
            _ => self::secrets(value, secrets),
        }
    }
}

#[cfg(test)]
mod tests;
