//! The JSON Schema of the configuration, and its defaults.

use adit_plugin_api::{Value, json};

/// Largest reply that can be asked for: far beyond what a host reads of one.
pub(crate) const HUGE_API_MAX: u64 = 64 << 20;

/// The largest whole number that every JSON reader gets right.
const SEED_MAX: u64 = (1 << 53) - 1;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The schema.
pub(crate) fn schema() -> Value {
    let mut wallet = text("Wallet at the pool. It is written to the run's own file only.", 1, 256);
    wallet["writeOnly"] = true.into();
    wallet["x-adit-pool"] = "user".into();
    let mut password =
        text("Password at the pool; d=5000 asks for jobs of difficulty 5000.", 1, 256);
    password["writeOnly"] = true.into();
    password["x-adit-pool"] = "password".into();
    let mut console = text("What the program is connected to: a terminal or pipes.", 3, 5);
    console["enum"] = json!(["pty", "pipes"]);
    let mut algorithm = text("Algorithm to report, as miners write it.", 1, 32);
    algorithm["pattern"] = r"^[!-~]+$".into();
    let mut worker =
        text("Name of this rig at the pool. Without it, the name that the host gives.", 1, 64);
    worker["pattern"] = r"^[!-~]+$".into();
    let mut pool = text("Pool to report, host:port. It is never contacted.", 3, 262);
    pool["pattern"] = r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$".into();
    pool["x-adit-pool"] = "url".into();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Simulated miner",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "hashrate": {
                "description": "Hashes per second of all devices together.",
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 1e18,
            },
            "algorithm": algorithm,
            "pools": {
                "description": "Several pools instead of one; the first is used.",
                "type": "array",
                "minItems": 1,
                "maxItems": 8,
                "items": pool.clone(),
            },
            "pool": pool,
            "wallet": wallet,
            "password": password,
            "worker": worker,
            "devices": whole("Number of simulated devices.", 1, 64),
            "shareIntervalMs": whole("Mean time between two shares, in ms.", 10, HOUR_MS),
            "preparingMs":
                whole("Time spent as if a dataset or a DAG were built, in ms.", 0, 600_000),
            "seed": whole("The same seed gives the same hashrates and shares.", 0, SEED_MAX),
            "console": console,
            "misbehave": misbehave(),
        },
    })
}

fn misbehave() -> Value {
    let after = |what: &str| whole(&format!("{what} this many ms after the start."), 0, DAY_MS);
    json!({
        "description": "How the miner is to come to grief. Empty: not at all.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "startDelayMs": whole("Does nothing at all for this long, in ms.", 0, DAY_MS),
            "crashAfterMs": after("Aborts"),
            "segfaultAfterMs": after("Dies of SIGSEGV"),
            "exitAfterMs": after("Exits"),
            "exitCode": whole("Exit code of exitAfterMs; 0 without it.", 0, 255),
            "hangAfterMs": after("Freezes its output and its API, but lives on,"),
            "ignoreSigterm": flag("Goes on after SIGTERM, SIGINT and SIGHUP."),
            "forkGrandchild": flag("Starts a process that ignores SIGTERM and outlives it."),
            "grandchildSetsid": flag("The same, in a session of its own."),
            "noOutput": flag("Prints nothing at all."),
            "endlessLine": flag("Prints one line that never ends."),
            "floodLinesPerSecond":
                whole("Prints this many lines each second beside the others.", 1, 10_000_000),
            "countLines": flag("Prints numbered lines beside the others."),
            "countIntervalMs":
                whole("Time between two lines of countLines, in ms; 10 without it.", 0, DAY_MS),
            "noApi": flag("Opens no API."),
            "slowApiMs": whole("Waits this long before each API reply, in ms.", 0, DAY_MS),
            "badJson": flag("Answers with half of a JSON text."),
            "hugeApiBytes":
                whole("Pads the statistics to at least this many bytes.", 1, HUGE_API_MAX),
            "apiDiesAfterMs": after("Closes its API"),
            "zeroHashrate": flag("Runs, but hashes nothing."),
            "hashrateZeroAfterMs": after("Stops hashing"),
            "rejectRate": {
                "description": "Share of the shares that the pool rejects; 0.01 without it.",
                "type": "number",
                "minimum": 0,
                "maximum": 1,
            },
            "poolLossAfterMs": after("Loses the pool"),
            "poolBackAfterMs": whole("Finds the pool again this many ms later.", 0, DAY_MS),
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

/// Values for the fields that may be left out.
pub(crate) fn defaults() -> Value {
    json!({
        "hashrate": 12_500,
        "algorithm": "rx/0",
        "pool": "pool.example:3333",
        "devices": 2,
        "shareIntervalMs": 10_000,
        "preparingMs": 1_500,
        "console": "pty",
    })
}
