-- Logins by strategies for which no secret is kept here.

-- roles: what the groups of its last login or refresh bring, a JSON array of strings.
ALTER TABLE credentials ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';
ALTER TABLE credentials ADD COLUMN last_used INTEGER;

-- The address that an operator or a strategy vouched for; whoever changes the address
-- need not know of it: it counts only while it is the account's.
ALTER TABLE accounts ADD COLUMN vouched_email TEXT;
UPDATE accounts SET vouched_email = email WHERE email_verified;

-- What a session knows of the login behind it. claims: a JSON object; state: sealed, the
-- strategy's own; refresh_at: when to look again; failing_since: since when that fails.
CREATE TABLE external_sessions (
    sid              TEXT PRIMARY KEY REFERENCES sessions (sid) ON DELETE CASCADE,
    strategy         TEXT NOT NULL,
    realm            TEXT NOT NULL,
    subject          TEXT NOT NULL,
    claims           TEXT NOT NULL,
    state            BLOB NOT NULL,
    provider_session TEXT,
    refresh_at       INTEGER,
    failing_since    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX external_sessions_subject ON external_sessions (strategy, realm, subject);
CREATE INDEX external_sessions_provider ON external_sessions (strategy, provider_session);
CREATE INDEX external_sessions_refresh ON external_sessions (refresh_at);

-- Logins under way, by the hash of their one-time state. browser: the hash of the flow
-- cookie that may go on with it, null for a client that keeps no cookies. flow and parked
-- are sealed.
CREATE TABLE flows (
    state        BLOB PRIMARY KEY,
    strategy     TEXT NOT NULL,
    via          TEXT NOT NULL,
    browser      BLOB,
    network      BLOB NOT NULL,
    created      INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    flow         BLOB NOT NULL,
    parked       BLOB,
    parked_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX flows_network ON flows (network, created);
CREATE INDEX flows_created ON flows (created);
CREATE INDEX flows_expires ON flows (expires);

-- Notices of providers that are good for once, by their hash.
CREATE TABLE notices (
    once  BLOB PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notices_until ON notices (until);
