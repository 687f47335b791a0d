-- How the miners of a profile are watched.
ALTER TABLE profile ADD COLUMN watchdog TEXT NOT NULL DEFAULT '{}';   -- JSON, as of single miners
