-- Signing keys that come and go. state may be coming, too: published, and signs later.
-- lifetime: the longest that anything it signs may live, in milliseconds. until: from
-- when on a key that signs no more is of no use; null while it signs.
ALTER TABLE keys ADD COLUMN lifetime INTEGER NOT NULL DEFAULT 86400000;
ALTER TABLE keys ADD COLUMN until INTEGER;
-- One key of a purpose is the next.
CREATE UNIQUE INDEX keys_coming ON keys (purpose) WHERE state = 'coming';
