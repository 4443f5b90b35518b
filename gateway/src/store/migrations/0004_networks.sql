-- From which networks an account signed in, and when last: they may go on when too many
-- wrong passwords came from everywhere. Failures from everywhere are a row of lockout_pairs
-- whose network is empty; slots 131072 to 196607 hold the same for names that nobody has.
CREATE TABLE known_networks (
    account TEXT NOT NULL REFERENCES accounts (uuid) ON DELETE CASCADE,
    network BLOB NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (account, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_networks_at ON known_networks (at);
