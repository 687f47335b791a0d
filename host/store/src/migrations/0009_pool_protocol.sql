-- What the scheme of a pool's address demands, such as stratum of stratum+ssl://.
ALTER TABLE pool ADD COLUMN protocol TEXT;
-- Every pool with TLS was given to miners as stratum+ssl:// until now; what works stays as it is.
UPDATE pool SET protocol = 'stratum' WHERE tls = 1;
