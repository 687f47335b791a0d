-- Refused calls are kept apart from those that changed something, and a flood of them in one row.
ALTER TABLE audit ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;  -- 1: nothing was changed
ALTER TABLE audit ADD COLUMN suppressed INTEGER;  -- refusals that this row stands for; NULL: it is one call
UPDATE audit SET refused = 1 WHERE outcome GLOB '4[0-9][0-9]*' OR outcome GLOB '[A-Z_]*: *';
CREATE INDEX audit_by_caller ON audit (who, refused, id);
