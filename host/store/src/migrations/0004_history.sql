-- Numbers that belong together over time: those of a miner, an algorithm, the fleet.
CREATE TABLE series (
    id      INTEGER PRIMARY KEY,             -- below 2^31
    kind    TEXT NOT NULL CHECK (kind IN ('miner', 'algorithm', 'fleet')),
    name    TEXT NOT NULL,                   -- of the miner or the algorithm
    step_ms INTEGER NOT NULL,                -- milliseconds between two ticks
    UNIQUE (kind, name, step_ms)
) STRICT;

-- All series at one tick, for the ticks that are not all in chunks yet.
CREATE TABLE tail (
    at_ms INTEGER PRIMARY KEY,               -- Unix milliseconds
    data  BLOB NOT NULL                      -- version byte, then as in model/history/tail.rs
) STRICT;

-- One metric of one series over 720 ticks.
CREATE TABLE chunk (
    key  INTEGER PRIMARY KEY,                -- series << 32 | metric << 24 | number of the chunk
    data BLOB NOT NULL                       -- version byte, then as in model/history/chunk.rs
) STRICT;

-- What happened and is worth keeping.
CREATE TABLE event (
    id    INTEGER PRIMARY KEY,               -- as on the bus
    at_ms INTEGER NOT NULL,                  -- Unix milliseconds
    kind  TEXT NOT NULL,                     -- area.verb
    miner TEXT,                              -- the miner's name, if it is about one
    data  TEXT NOT NULL                      -- JSON object
) STRICT;
CREATE INDEX event_by_time ON event (at_ms);
CREATE INDEX event_by_miner ON event (miner, at_ms) WHERE miner IS NOT NULL;
