-- Nodes that this node knows, by their keys.
CREATE TABLE peer (
    key             BLOB PRIMARY KEY,        -- X25519 public key, 32 bytes
    name            TEXT NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('controller', 'worker', 'dual')),
    rights          TEXT NOT NULL,           -- JSON array: what it may do here
    tags            TEXT NOT NULL,           -- JSON array
    address         TEXT,                    -- host:port to dial; NULL: it dials
    dial            INTEGER NOT NULL,        -- 1: keep a connection to its address
    added_at_ms     INTEGER NOT NULL,        -- Unix milliseconds
    last_seen_at_ms INTEGER,                 -- Unix milliseconds
    next_key        BLOB,                    -- announced key that will take over
    version         TEXT                     -- of its program
) STRICT, WITHOUT ROWID;

-- Invites that were given out and not used up.
CREATE TABLE invite (
    id            BLOB PRIMARY KEY,          -- 8 bytes
    psk           BLOB NOT NULL,             -- 32 bytes, derived from the secret
    uses          INTEGER NOT NULL,          -- how many more nodes may join
    expires_at_ms INTEGER NOT NULL,          -- Unix milliseconds
    tags          TEXT NOT NULL              -- JSON array: tags of whoever joins
) STRICT, WITHOUT ROWID;

-- Commands of peers that were carried out, so that a repeated one is not.
CREATE TABLE answer (
    n      INTEGER PRIMARY KEY,
    peer   BLOB NOT NULL,                    -- public key
    id     TEXT NOT NULL,                    -- UUID of the command
    answer TEXT,                             -- JSON; NULL: it was begun
    UNIQUE (peer, id)
) STRICT;
