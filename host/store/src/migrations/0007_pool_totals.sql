-- Totals by pool are series too.
CREATE TABLE series_new (
    id      INTEGER PRIMARY KEY,             -- below 2^31
    kind    TEXT NOT NULL CHECK (kind IN ('miner', 'algorithm', 'fleet', 'pool')),
    name    TEXT NOT NULL,                   -- of the miner or the algorithm; the pool's address
    step_ms INTEGER NOT NULL,                -- milliseconds between two ticks
    UNIQUE (kind, name, step_ms)
) STRICT;
INSERT INTO series_new SELECT id, kind, name, step_ms FROM series;
DROP TABLE series;
ALTER TABLE series_new RENAME TO series;
