-- What the watchdog found and what it did about it.
CREATE TABLE incident (
    id       INTEGER PRIMARY KEY,
    miner    TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,               -- Unix milliseconds
    run      TEXT NOT NULL,                  -- UUID of the run that was judged
    cause    TEXT NOT NULL,                  -- such as 'frozen'
    action   TEXT,                           -- 'restart', 'next-pool' or 'stop'; NULL: a warning
    summary  TEXT NOT NULL,                  -- one sentence for people
    evidence TEXT NOT NULL                   -- JSON: last lines, last looks; secrets masked
) STRICT;
CREATE INDEX incident_by_miner ON incident (miner, id);

-- What the operator told the watchdog about single miners.
CREATE TABLE watchdog (
    miner                TEXT PRIMARY KEY,
    options              TEXT NOT NULL,      -- JSON object
    maintenance_until_ms INTEGER             -- Unix milliseconds
) STRICT;

-- What is usual for a miner, by algorithm and device.
CREATE TABLE baseline (
    miner     TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    device    TEXT NOT NULL,                 -- empty: the whole miner
    hashrate  REAL NOT NULL,                 -- H/s, median
    power     REAL,                          -- W, median
    samples   INTEGER NOT NULL,
    PRIMARY KEY (miner, algorithm, device)
) STRICT, WITHOUT ROWID;
