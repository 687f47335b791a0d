-- Where income goes.
CREATE TABLE wallet (
    name          TEXT PRIMARY KEY,
    coin          TEXT,
    address       TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,          -- Unix milliseconds
    updated_at_ms INTEGER NOT NULL           -- Unix milliseconds, later with every change
) STRICT;

-- Pools that profiles refer to.
CREATE TABLE pool (
    name            TEXT PRIMARY KEY,
    coin            TEXT,
    url             TEXT NOT NULL,           -- host:port
    tls             INTEGER NOT NULL CHECK (tls IN (0, 1)),
    tls_fingerprint TEXT,                    -- SHA-256 of the certificate, hex
    user            TEXT,                    -- with placeholders
    wallet          TEXT REFERENCES wallet (name),
    password        TEXT,                    -- a secret, with placeholders
    created_at_ms   INTEGER NOT NULL,        -- Unix milliseconds
    updated_at_ms   INTEGER NOT NULL         -- Unix milliseconds, later with every change
) STRICT;

-- Saved configurations from which miners are started.
CREATE TABLE profile (
    id            TEXT PRIMARY KEY,          -- UUID
    name          TEXT NOT NULL UNIQUE,
    driver        TEXT NOT NULL,
    config        TEXT NOT NULL,             -- JSON object with placeholders, holds secrets
    pools         TEXT NOT NULL,             -- JSON list, in order of priority
    tags          TEXT NOT NULL,             -- JSON list of words
    autostart     INTEGER NOT NULL CHECK (autostart IN (0, 1)),
    restart       TEXT NOT NULL,             -- JSON, the restart policy
    secrets       TEXT NOT NULL,             -- JSON list of the paths of secrets in the configuration
    created_at_ms INTEGER NOT NULL,          -- Unix milliseconds
    updated_at_ms INTEGER NOT NULL           -- Unix milliseconds, later with every change
) STRICT;

-- The profile that a miner was made from; it may be gone.
ALTER TABLE miner ADD COLUMN profile TEXT;   -- UUID
