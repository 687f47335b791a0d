//! The JSON Schema of the configuration, its defaults and an example.

use adit_plugin_api::{Value, json};

use crate::{
    config::pool::ADDRESS,
    names::{ALGORITHMS, COINS},
};

/// The schema.
pub(crate) fn schema() -> Value {
    let mut fields = json!({});
    for part in [single_pool(), every_pool(), cpu(), randomx(), gpu(), behaviour()] {
        if let (Value::Object(fields), Value::Object(part)) = (&mut fields, part) {
            fields.extend(part);
        }
    }
    fields["pools"] = json!({
        "description": "Pools in order of priority: XMRig works for the first that answers and \
                        goes back to an earlier one as soon as it can.",
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "items": pool(),
        "x-adit-pool": "list",
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "XMRig",
        "type": "object",
        "additionalProperties": false,
        "properties": fields,
        "examples": [example()],
    })
}

/// A configuration that works as soon as the wallet is the operator's own.
pub(crate) fn example() -> Value {
    json!({
        "pools": [
            {
                "url": "pool.example:443",
                "wallet": "YOUR-WALLET",
                "tls": true,
                "keepalive": true,
            },
            { "url": "backup.example:3333", "wallet": "YOUR-WALLET" },
        ],
        "algo": "rx/0",
        "maxThreadsHint": 75,
    })
}

/// Values for the fields that may be left out.
pub(crate) fn defaults() -> Value {
    json!({
        "cpu": true,
        "hugePages": true,
        "hugePagesJit": false,
        "oneGbPages": false,
        "msr": false,
        "randomxMode": "auto",
        "numa": true,
        "opencl": false,
        "cuda": false,
        "donateLevel": 1,
        "retries": 5,
        "retryPause": 5,
        "printTime": 60,
        "pauseOnBattery": false,
        "pauseOnActive": false,
    })
}

fn pool() -> Value {
    let mut properties = every_pool();
    let own = json!({
        "url": url(),
        "wallet": secret("Wallet or user name at the pool; some pools take options behind it."),
        "user": secret("Another name for wallet."),
        "pass": secret("Password at the pool; x without it."),
        "tls": tls(),
        "tlsFingerprint": fingerprint(),
        "sni": sni(),
        "nicehash": nicehash(),
        "socks5": text("SOCKS5 proxy for this pool, host:port; empty: none.", 0, 300),
        "enabled": flag("Whether the pool is used."),
    });
    if let (Value::Object(properties), Value::Object(own)) = (&mut properties, own) {
        properties.remove("proxy");
        properties.extend(own);
    }
    // Where the host puts the pools of a profile.
    for (field, part) in [
        ("url", "url"),
        ("wallet", "user"),
        ("pass", "password"),
        ("tls", "tls"),
        ("tlsFingerprint", "tlsFingerprint"),
    ] {
        properties[field]["x-adit-pool"] = part.into();
    }
    json!({
        "type": "object",
        "description": "One pool.",
        "additionalProperties": false,
        "required": ["url"],
        "properties": properties,
    })
}

fn single_pool() -> Value {
    let mut pool = url();
    pool["description"] =
        "The only pool, host:port: short for pools with one entry, together with wallet.".into();
    json!({
        "pool": pool,
        "wallet": secret("Wallet or user name at the only pool."),
        "password": secret("Password at the only pool; x without it."),
        "tls": tls(),
        "tlsFingerprint": fingerprint(),
        "sni": sni(),
        "nicehash": nicehash(),
    })
}

/// Fields of a pool that can be said once for all pools.
fn every_pool() -> Value {
    let mut algo =
        text("Algorithm, as XMRig writes it. Without it and without a coin the pool says.", 1, 64);
    algo["examples"] = json!(ALGORITHMS);
    let mut coin = text("Coin instead of an algorithm.", 1, 32);
    coin["examples"] = json!(COINS);
    json!({
        "algo": algo,
        "coin": coin,
        "rigId": text(
            "Name of this rig in the pool's statistics. Without it, the name that the host gives, \
             or none where the wallet names a worker as in WALLET.rig7; empty: none.", 0, 64,
        ),
        "keepalive": {
            "description": "Keeps a silent connection alive: true (60 s) or a number of seconds.",
            "type": ["boolean", "integer"],
            "minimum": 1,
            "maximum": 3600,
        },
        "proxy": text("SOCKS5 proxy for all pools, host:port.", 0, 300),
    })
}

fn url() -> Value {
    let mut url =
        text("host:port of the pool, with stratum+ssl:// before it for TLS if you like.", 3, 300);
    url["pattern"] = format!(
        r"^({}://)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{{1,5}}/?$",
        any_case("(stratum|(stratum\\+)?(tcp|ssl|tls))"),
    )
    .into();
    url["x-adit-error"] =
        format!("{ADDRESS}, with no scheme before it or with stratum+tcp:// or stratum+ssl://")
            .into();
    url
}

/// `pattern` for both cases of each letter: not every reader of a schema knows a flag for it.
fn any_case(pattern: &str) -> String {
    let both = |letter: char| format!("[{}{letter}]", letter.to_ascii_uppercase());
    let one = |char: char| if char.is_ascii_lowercase() { both(char) } else { char.to_string() };
    pattern.chars().map(one).collect()
}

fn tls() -> Value {
    flag("Encrypts the connection. Without a fingerprint XMRig takes any certificate.")
}

fn fingerprint() -> Value {
    let mut fingerprint = text(
        "SHA-256 of the pool's certificate, 64 hex digits: XMRig then takes no other.",
        64,
        95,
    );
    fingerprint["pattern"] = "^[0-9A-Fa-f:]+$".into();
    fingerprint
}

fn sni() -> Value {
    flag("Names the pool's host in the TLS greeting, which some pools need.")
}

fn nicehash() -> Value {
    flag("The pool is NiceHash or divides nonces as it does.")
}

fn cpu() -> Value {
    json!({
        "cpu": flag("Mines on the processor."),
        "threads": whole(
            "Number of threads, one job each and on any core. Without it XMRig chooses by the \
             processor's caches, for each algorithm.", 1, 1024,
        ),
        "maxThreadsHint": whole(
            "How much of the processor XMRig may take when it chooses the threads, in percent.",
            1, 100,
        ),
        "affinity": {
            "description": "Processors to pin threads to, counted from 0: one thread for each.",
            "type": "array",
            "minItems": 1,
            "maxItems": 1024,
            "items": whole("Number of a processor.", 0, 4095),
        },
        "cpuPriority": whole(
            "Priority of the threads: 0 idle, 2 normal, 5 highest. More than 2 makes a machine \
             slow to use.", 0, 5,
        ),
        "hugePages": flag(
            "Uses huge pages, which make RandomX up to twice as fast. As root XMRig reserves them \
             by itself, and they stay reserved when it ends.",
        ),
        "hugePagesJit": flag("Uses huge pages for RandomX's compiled code too."),
        "oneGbPages": flag("Uses 1 GB pages for RandomX's dataset. Linux only."),
        "msr": flag(
            "Lets XMRig tune registers of the processor for RandomX, up to 15 % faster. Needs \
             root, loads the kernel module msr with writing allowed, and changes the whole \
             machine; a clean stop restores the registers, a killed XMRig does not.",
        ),
    })
}

fn randomx() -> Value {
    let mut mode = text(
        "fast needs 2.3 GB, light needs 256 MB and is many times slower; auto chooses by memory.",
        4,
        5,
    );
    mode["enum"] = json!(["auto", "fast", "light"]);
    json!({
        "randomxMode": mode,
        "randomxInitThreads": whole(
            "Threads that build RandomX's dataset. Without it as many as there are processors.",
            1, 1024,
        ),
        "numa": flag("Keeps a dataset in each memory node of a machine with several."),
    })
}

fn gpu() -> Value {
    let devices = |kind: &str| {
        json!({
            "description":
                format!("Devices to use, as XMRig counts {kind} devices. Without it all of them."),
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": whole("Number of a device.", 0, 255),
        })
    };
    json!({
        "opencl": flag("Mines on GPUs with OpenCL."),
        "openclDevices": devices("OpenCL"),
        "openclPlatform": {
            "description": "AMD, NVIDIA, INTEL, a part of another vendor's name, or the \
                            platform's number. AMD without it.",
            "type": ["string", "integer"],
            "minLength": 1,
            "maxLength": 128,
            "minimum": 0,
            "maximum": 255,
        },
        "cuda": flag(
            "Mines on NVIDIA GPUs with CUDA. Needs XMRig's plugin for it beside the program, \
             which is released apart.",
        ),
        "cudaDevices": devices("CUDA"),
    })
}

fn behaviour() -> Value {
    json!({
        "donateLevel": whole(
            "Minutes of 100 that XMRig mines for its authors. 1 is XMRig's minimum.", 1, 99,
        ),
        "retries": whole("Attempts to reach a pool before the next one is tried.", 1, 1000),
        "retryPause": whole("Time between two attempts, in seconds.", 1, 3600),
        "printTime": whole("Time between two printed speeds, in seconds.", 1, 3600),
        "pauseOnBattery": flag("Pauses while the machine runs on its battery."),
        "pauseOnActive": {
            "description": "Pauses while somebody uses the machine: true (60 s without input end \
                            it) or a number of seconds. Not on Linux, where XMRig cannot see it.",
            "type": ["boolean", "integer"],
            "minimum": 1,
            "maximum": 86_400,
        },
        "xmrig": {
            "description": "Keys of XMRig's own config.json that have no field here, merged into \
                            it last. Keys that XMRig does not know do nothing.",
            "type": "object",
        },
    })
}

fn text(description: &str, length_min: u64, length_max: u64) -> Value {
    json!({
        "description": description,
        "type": "string",
        "minLength": length_min,
        "maxLength": length_max,
    })
}

fn secret(description: &str) -> Value {
    let mut secret = text(description, 1, 512);
    secret["writeOnly"] = true.into();
    secret
}

fn whole(description: &str, minimum: u64, maximum: u64) -> Value {
    json!({
        "description": description,
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
    })
}

fn flag(description: &str) -> Value {
    json!({ "description": description, "type": "boolean" })
}

#[cfg(test)]
mod tests;
