-- Who keeps and who executes a run: finds its processes when the files of the run are gone.
ALTER TABLE run ADD COLUMN processes TEXT;   -- JSON: keeper and program, each with pid, start time, boot id
