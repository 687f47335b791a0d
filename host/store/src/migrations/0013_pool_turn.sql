-- How many places a miner's list of pools is turned on, since the watchdog sent it to another pool.
ALTER TABLE watchdog ADD COLUMN pool_turn INTEGER NOT NULL DEFAULT 0;

-- How long an accepted share of a miner takes, in seconds of hashing, and at which difficulty.
ALTER TABLE baseline ADD COLUMN share_gap_s REAL;
ALTER TABLE baseline ADD COLUMN share_difficulty REAL;
