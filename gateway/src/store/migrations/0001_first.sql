-- The first form of the store. Times are milliseconds since 1970, uuids are text,
-- roles are a JSON array of strings, metadata and app are JSON objects.

-- What the store knows of itself: key_check, lockout_key.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    uuid           TEXT PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    email          TEXT UNIQUE,
    email_verified INTEGER NOT NULL,
    display_name   TEXT,
    roles          TEXT NOT NULL,
    metadata       TEXT NOT NULL,
    app            TEXT NOT NULL,
    active         INTEGER NOT NULL,
    created        INTEGER NOT NULL,
    updated        INTEGER NOT NULL,
    version        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every name and every address, once: nobody's name is somebody else's address.
-- An account whose name is its own address has one row.
CREATE TABLE identifiers (
    text    TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (uuid) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX identifiers_account ON identifiers (account);

CREATE TABLE credentials (
    strategy TEXT NOT NULL,
    realm    TEXT NOT NULL,
    subject  TEXT NOT NULL,
    account  TEXT NOT NULL REFERENCES accounts (uuid) ON DELETE CASCADE,
    secret   TEXT,
    created  INTEGER NOT NULL,
    PRIMARY KEY (strategy, realm, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX credentials_account ON credentials (account, strategy);

-- Live sessions only: one that ended is deleted.
CREATE TABLE sessions (
    sid         TEXT PRIMARY KEY,
    cookie_hash BLOB NOT NULL UNIQUE,
    account     TEXT NOT NULL REFERENCES accounts (uuid) ON DELETE CASCADE,
    strategy    TEXT NOT NULL,
    transport   TEXT NOT NULL,
    created     INTEGER NOT NULL,
    last_used   INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    address     TEXT NOT NULL,
    user_agent  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_account ON sessions (account);
CREATE INDEX sessions_expires ON sessions (expires);

-- Signing keys. private is sealed under [store] key.
CREATE TABLE keys (
    kid       TEXT PRIMARY KEY,
    purpose   TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    created   INTEGER NOT NULL,
    private   BLOB NOT NULL,
    public    BLOB NOT NULL,
    state     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- One key of a purpose signs; two processes that both make the first one agree on one.
CREATE UNIQUE INDEX keys_signing ON keys (purpose) WHERE state = 'signing';

-- What changed, in the order of commits and without gaps but for what was pruned.
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT NOT NULL,
    account TEXT,
    sid     TEXT,
    at      INTEGER NOT NULL
) STRICT;

-- Failures of an account from a network, exactly. times: milliseconds, 8 bytes each,
-- little endian; forget: from when on the row says nothing any more.
CREATE TABLE lockout_pairs (
    account      TEXT NOT NULL REFERENCES accounts (uuid) ON DELETE CASCADE,
    network      BLOB NOT NULL,
    times        BLOB NOT NULL,
    locked_until INTEGER NOT NULL,
    forget       INTEGER NOT NULL,
    PRIMARY KEY (account, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX lockout_pairs_forget ON lockout_pairs (forget);

-- The same for names that no account has (slots 0 to 65535) and for addresses (65536 to
-- 131071), by a keyed hash. Two that share a slot are counted together: too much, never
-- too little, and never more rows than slots.
CREATE TABLE lockout_slots (
    slot         INTEGER PRIMARY KEY,
    times        BLOB NOT NULL,
    locked_until INTEGER NOT NULL,
    forget       INTEGER NOT NULL
) STRICT;
CREATE INDEX lockout_slots_forget ON lockout_slots (forget);
