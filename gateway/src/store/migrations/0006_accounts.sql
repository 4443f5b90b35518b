-- What is mailed: one token of each purpose (reset, verify) for an account, the newest.
-- hash: SHA-256 of what was mailed. address: whom it was mailed to; of a verify that is
-- not the account's address it is the one to come. bound: SHA-256 of the secret that a
-- reset replaces.
CREATE TABLE mailed_tokens (
    account  TEXT NOT NULL REFERENCES accounts (uuid) ON DELETE CASCADE,
    purpose  TEXT NOT NULL,
    hash     BLOB NOT NULL UNIQUE,
    address  TEXT NOT NULL,
    strategy TEXT,
    bound    BLOB,
    expires  INTEGER NOT NULL,
    PRIMARY KEY (account, purpose)
) STRICT, WITHOUT ROWID;
CREATE INDEX mailed_tokens_expires ON mailed_tokens (expires);

-- Mail that waits to be sent, sealed under [store] key: it holds tokens.
CREATE TABLE mails (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    sealed  BLOB NOT NULL,
    due     INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX mails_due ON mails (due);
