-- Miners under management and what the operator wants of them.
CREATE TABLE miner (
    name          TEXT PRIMARY KEY,
    driver        TEXT NOT NULL,
    config        TEXT NOT NULL,             -- JSON object, holds secrets
    restart       TEXT NOT NULL,             -- JSON, the restart policy
    desired       TEXT NOT NULL CHECK (desired IN ('running', 'stopped')),
    created_at_ms INTEGER NOT NULL           -- Unix milliseconds
) STRICT;

-- Every launch of a program.
CREATE TABLE run (
    id            TEXT PRIMARY KEY,          -- UUID
    miner         TEXT NOT NULL,
    driver        TEXT NOT NULL,
    program       TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL,          -- Unix milliseconds
    ended_at_ms   INTEGER,                   -- Unix milliseconds
    code          INTEGER,                   -- exit code
    signal        INTEGER,                   -- signal number
    by_stop       INTEGER,                   -- 1: a stop was asked for
    cause         TEXT                       -- one sentence for people
) STRICT;
CREATE INDEX run_by_miner ON run (miner, started_at_ms);

-- What drivers store for themselves.
CREATE TABLE driver_storage (
    driver TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (driver, key)
) STRICT, WITHOUT ROWID;

-- Who may use the REST API. The tokens themselves are nowhere.
CREATE TABLE token (
    id            TEXT PRIMARY KEY,          -- UUID
    name          TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL CHECK (role IN ('view', 'operate', 'admin')),
    hash          BLOB NOT NULL,             -- SHA-256 of the token
    created_at_ms INTEGER NOT NULL,          -- Unix milliseconds
    expires_at_ms INTEGER                    -- Unix milliseconds; NULL: never
) STRICT;

-- Every call that changed something or was refused.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,                -- Unix milliseconds
    who     TEXT NOT NULL,                   -- name of the token, or 'nobody'
    address TEXT NOT NULL,                   -- of the client
    action  TEXT NOT NULL,                   -- method and path
    outcome TEXT NOT NULL                    -- status, and the error code if any
) STRICT;
