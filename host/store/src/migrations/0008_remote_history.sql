-- Series of miners of other nodes besides one's own.
CREATE TABLE series_next (
    id      INTEGER PRIMARY KEY,             -- below 2^31
    kind    TEXT NOT NULL CHECK (kind IN ('miner', 'algorithm', 'fleet', 'pool', 'remote')),
    name    TEXT NOT NULL,                   -- of the miner, algorithm, pool; remote: node id/miner
    step_ms INTEGER NOT NULL,                -- milliseconds between two ticks
    UNIQUE (kind, name, step_ms)
) STRICT;
INSERT INTO series_next (id, kind, name, step_ms) SELECT id, kind, name, step_ms FROM series;
DROP TABLE series;
ALTER TABLE series_next RENAME TO series;
