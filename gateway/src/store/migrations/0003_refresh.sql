-- Refresh families, and session cookies that are replaced while the session lives on.
-- cookie_number: 0 at the login, one more at each refresh. former_hash and former_until: the
-- cookie before it, and until when it opens the session. family: whether there is one.
ALTER TABLE sessions ADD COLUMN cookie_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN cookie_expires INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN cookie_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN former_hash BLOB;
ALTER TABLE sessions ADD COLUMN former_until INTEGER;
ALTER TABLE sessions ADD COLUMN family INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET cookie_expires = expires, cookie_used = last_used;
CREATE UNIQUE INDEX sessions_former ON sessions (former_hash) WHERE former_hash IS NOT NULL;

-- The refresh family of a session; it ends with the session. All values are SHA-256 of
-- what the client has. name: the family's own. current: the value that is good. former:
-- the one that it replaced, at rotated, with nonce, which makes the successor again.
CREATE TABLE families (
    name    BLOB PRIMARY KEY,
    sid     TEXT NOT NULL UNIQUE REFERENCES sessions (sid) ON DELETE CASCADE,
    current BLOB NOT NULL,
    former  BLOB,
    nonce   BLOB,
    rotated INTEGER
) STRICT, WITHOUT ROWID;
