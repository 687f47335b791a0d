//! The JSON Schema of the configuration, its defaults and an example.

use adit_plugin_api::{Value, json};

use crate::config::pool::ADDRESS;

/// The schema.
pub(crate) fn schema() -> Value {
    let mut fields = json!({});
    for part in [coin(), single_pool(), devices(), dag(), cuda(), behaviour()] {
        if let (Value::Object(fields), Value::Object(part)) = (&mut fields, part) {
            fields.extend(part);
        }
    }
    fields["pools"] = pools();
    fields["alternate"] = json!({
        "description": "Further coins that are mined in turn, such as ZIL for its two minutes an \
                        hour. TT-Miner decides when.",
        "type": "array",
        "maxItems": 7,
        "items": alternate(),
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "TT-Miner",
        "type": "object",
        "additionalProperties": false,
        "properties": fields,
        "examples": [example()],
    })
}

/// A configuration that works as soon as the wallet is the operator's own.
pub(crate) fn example() -> Value {
    json!({
        "coin": "RVN",
        "pools": [
            { "url": "ssl://pool.example:3443", "wallet": "YOUR-WALLET" },
            { "url": "backup.example:3333", "wallet": "YOUR-WALLET" },
        ],
        "devices": ["0000:01:00.0"],
        "overclock": { "coreOffset": 100, "powerLimitW": 120 },
    })
}

/// Values for the fields that may be left out.
pub(crate) fn defaults() -> Value {
    json!({ "reportInterval": 30 })
}

fn coin() -> Value {
    json!({
        "coin": word("Coin, as TT-Miner writes it: RVN, EPIC, ETC. It knows the algorithm of it.", 32),
        "algo": word("Algorithm instead of, or beside, a coin: KawPow, Blake3.", 32),
        "selector": selector(),
        "overclock": overclock(),
    })
}

fn alternate() -> Value {
    let mut properties = coin();
    properties["pools"] = pools();
    json!({
        "type": "object",
        "description": "One further coin.",
        "additionalProperties": false,
        "required": ["pools"],
        "properties": properties,
    })
}

fn selector() -> Value {
    json!({
        "description": "Ties the options of one coin together on TT-Miner's command line. Made from \
                        the coin's name when there are several coins and it is left out.",
        "type": "string",
        "pattern": "^[A-Z][A-Za-z0-9]{1,15}$",
    })
}

fn overclock() -> Value {
    json!({
        "description": "How the GPUs are set while this coin is mined. Needs root.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "core": whole("Locks the core clock, in MHz.", 100, 5000),
            "coreOffset": whole("Shifts the core clock, in MHz.", -3000, 3000),
            "memory": whole("Locks the memory clock, in MHz.", 100, 20_000),
            "memoryOffset": whole("Shifts the memory clock, in MHz.", -8000, 8000),
            "powerLimitW": whole("Limits the power, in watts.", 10, 2000),
            "powerLimitPercent": whole("Limits the power, in percent of the GPU's own.", 10, 200),
            "fan": whole("Fan speed, in percent.", 0, 100),
        },
    })
}

fn pools() -> Value {
    let mut pools = json!({
        "description": "Pools in order of priority: TT-Miner goes on to the next when one is lost.",
        "type": "array",
        "minItems": 1,
        "maxItems": 32,
        "items": {
            "type": "object",
            "description": "One pool.",
            "additionalProperties": false,
            "required": ["url", "wallet"],
            "properties": {
                "url": url("host:port of the pool, with a scheme before it for TLS or another protocol."),
                "wallet": secret("Wallet or user name at the pool. Other users of the machine can \
                                  see it: TT-Miner takes it on its command line only."),
                "password": secret("Password at the pool, seen as the wallet is."),
                "worker": text("Name of this rig at this pool; empty: none.", 0, 64),
            },
        },
    });
    // Where the host puts the pools of a profile.
    pools["x-adit-pool"] = "list".into();
    for (field, part) in [("url", "rawUri"), ("wallet", "user"), ("password", "password")] {
        pools["items"]["properties"][field]["x-adit-pool"] = part.into();
    }
    pools
}

fn single_pool() -> Value {
    json!({
        "pool": url("The only pool: short for pools with one entry, together with wallet."),
        "wallet": secret("Wallet or user name at the only pool. Other users of the machine can see \
                          it: TT-Miner takes it on its command line only."),
        "password": secret("Password at the only pool, seen as the wallet is."),
        "worker": text(
            "Name of this rig at the pools. Without it, the name that the host gives, or none where \
             the wallet names a worker as in WALLET.rig7; empty: none.",
            0, 64,
        ),
    })
}

fn devices() -> Value {
    json!({
        "devices": {
            "description": "GPUs to use, as PCI addresses such as 0000:01:00.0, or as TT-Miner's \
                            own numbers. All of them without it.",
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": {
                "description": "A PCI address or a number.",
                "type": ["string", "integer"],
                "pattern": r"^(pci:)?([0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}(\.[0-7])?$",
                "minimum": 0,
                "maximum": 255,
            },
        },
        "cudaOrder": flag("Numbers GPUs in the order of CUDA instead of TT-Miner's own."),
        "cpu": whole("Mines on this many cores of the processor too.", 1, 1024),
        "threads": whole("Threads of algorithms for processors.", 1, 1024),
        "igpu": flag("Mines on the GPU inside an Intel processor too. Some algorithms only."),
        "stopTemperature": whole("Suspends a GPU that is hotter, in °C.", 1, 120),
        "startTemperature": whole("Goes on when it is cooler again, in °C.", 1, 119),
    })
}

fn dag() -> Value {
    json!({
        "dagToMemory": flag("Keeps a copy of the DAG in the machine's memory."),
        "dagToDisk": flag("Keeps a copy of the DAG on disk, in the miner's own folder."),
        "dagSwap": flag("Replaces DAGs on GPUs that have not enough memory for all."),
        "dagInfo": flag("Prints what DAG is in use."),
    })
}

fn cuda() -> Value {
    json!({
        "cudaCompute": {
            "description": "Compute version for each GPU in order, such as 86 for 8.6; 0: its own.",
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": whole("Compute version of one GPU.", 0, 199),
        },
        "cudaVersion": {
            "description": "Uses this version of CUDA, such as 11.4, instead of the best one.",
            "type": "string",
            "pattern": r"^[0-9]{1,2}\.[0-9]{1,2}$",
        },
        "cudaGrid": whole("Grids of a kernel.", 1, 1 << 24),
        "cudaBlock": {
            "description": "Threads of a block: a multiple of 32.",
            "type": "integer",
            "minimum": 32,
            "maximum": 1024,
            "multipleOf": 32,
        },
    })
}

fn behaviour() -> Value {
    json!({
        "reportInterval": whole("Time between two printed speeds, in seconds; 0: none.", 0, 3600),
        "reportShares": whole("Prints the speeds after this many shares too.", 1, 100_000),
        "activeOnly": flag("Prints the speeds of the coin that is being mined only."),
        "luck": flag("Prints how many shares were found and how many were to be expected."),
        "benchmark": flag("Measures and sends no shares; needs no pool."),
        "crashDump": flag("Writes a crash dump into the run's folder when it crashes."),
    })
}

fn url(description: &str) -> Value {
    json!({
        "description": description,
        "type": "string",
        "maxLength": 300,
        "pattern": format!(
            r"^(({}|{})://)?([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):[0-9]{{1,5}}/?$",
            any_case("((stratum1?|epic|zmp)\\+)?(tcp|ssl|tls)"),
            any_case("stratum1?|epic|zmp|http"),
        ),
        "x-adit-error": format!(
            "{ADDRESS}, with no scheme before it or with ssl://, stratum+ssl://, stratum1+ssl://, \
             epic://, epic+ssl://, zmp://, zmp+ssl:// or http://"
        ),
    })
}

/// `pattern` for both cases of each letter: not every reader of a schema knows a flag for it.
fn any_case(pattern: &str) -> String {
    let both = |letter: char| format!("[{}{letter}]", letter.to_ascii_uppercase());
    let one = |char: char| if char.is_ascii_lowercase() { both(char) } else { char.to_string() };
    pattern.chars().map(one).collect()
}

fn word(description: &str, length_max: u64) -> Value {
    let mut word = text(description, 2, length_max);
    word["pattern"] = "^[A-Za-z0-9][A-Za-z0-9_-]*$".into();
    word
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

fn whole(description: &str, minimum: i64, maximum: i64) -> Value {
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
