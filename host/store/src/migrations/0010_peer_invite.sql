-- Which invite a peer joined with: what is left of it goes when the peer is removed.
ALTER TABLE peer ADD COLUMN invite BLOB;     -- 8 bytes; NULL: it was dialled, or is older than this
