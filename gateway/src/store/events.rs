//! How one process tells another what changed: a row in the same transaction as the
//! change. The number of a row is its place in the order of commits.

use super::{Store, Stored, column_uuid, millis};
use crate::clock::UnixMillis;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

/// Events are kept for a day at least …
const KEEP_MILLIS: u64 = 24 * 60 * 60 * 1000;
/// … and so many at least.
const KEEP_ROWS: i64 = 10_000;

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An account is new or not as it was.
    AccountChanged(Uuid),
    /// It is gone, and its sessions with it.
    AccountDeleted(Uuid),
    /// One session has a new cookie.
    SessionChanged(String),
    /// One session is over.
    SessionEnded(String),
    /// All sessions that the account had are over.
    SessionsEnded(Uuid),
    /// A signing key came or went.
    KeysChanged,
    /// An operator did this to an account on the command line: for the audit trail of the
    /// gateway that runs. What it changed is an event of its own.
    Command(Uuid, String),
}

/// What the kind of a command's event begins with.
const COMMAND: &str = "command_";

/// A change and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// One more than that of the event before.
    pub id: u64,
    /// What changed.
    pub change: Change,
}

impl Store {
    /// The events after `id`, oldest first. Numbers have no gaps: when the first is not
    /// `id + 1`, those between were pruned, and what is remembered of the store is stale.
    pub async fn events_since(&self, id: u64, limit: usize) -> Stored<Vec<Event>> {
        self.read(move |db| {
            db.prepare_cached("SELECT id, kind, account, sid FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")?
                .query_map(
                    params![i64::try_from(id).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX)],
                    event,
                )?
                .collect()
        })
        .await
    }

    /// Says what a command has done to an account.
    pub async fn tell_of_command(&self, account: Uuid, what: &'static str) -> Stored<()> {
        let now = self.now();
        self.write(move |db| tell(db, &Change::Command(account, what.to_owned()), now)).await
    }

    /// The number of the newest event; 0 when there never was one.
    pub async fn newest_event(&self) -> Stored<u64> {
        self.read(newest).await
    }

    /// A number that is another one after any commit, whoever made it: cheap to ask, and
    /// only when it moved is there anything new. Two answers compare within one process.
    pub async fn data_version(&self) -> Stored<u64> {
        let version =
            |db: &Connection| db.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0));
        Ok(self.lanes()?.watch.run(version).await?.unsigned_abs())
    }
}

/// Writes a change's event; called in the change's own transaction.
pub(super) fn tell(db: &Connection, change: &Change, now: UnixMillis) -> rusqlite::Result<()> {
    let command;
    let (kind, account, sid) = match change {
        Change::Command(uuid, what) => {
            command = format!("{COMMAND}{what}");
            (command.as_str(), Some(uuid), None)
        }
        Change::AccountChanged(uuid) => ("account_changed", Some(uuid), None),
        Change::AccountDeleted(uuid) => ("account_deleted", Some(uuid), None),
        Change::SessionChanged(sid) => ("session_changed", None, Some(sid)),
        Change::SessionEnded(sid) => ("session_ended", None, Some(sid)),
        Change::SessionsEnded(uuid) => ("sessions_ended", Some(uuid), None),
        Change::KeysChanged => ("keys_changed", None, None),
    };
    db.prepare_cached("INSERT INTO events (kind, account, sid, at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![kind, account.map(Uuid::to_string), sid, millis(now)])?;
    Ok(())
}

/// The newest event as of the transaction that `db` is in. The sequence knows it even
/// when its row was pruned.
pub(super) fn newest(db: &Connection) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

/// Removes what nobody can still be waiting for.
pub(super) fn prune(db: &Connection, now: UnixMillis) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM events WHERE at < ?1 AND id <= (SELECT max(id) FROM events) - ?2")?
        .execute(params![millis(UnixMillis(now.0.saturating_sub(KEEP_MILLIS))), KEEP_ROWS])?;
    Ok(())
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let change = match row.get_ref(1)?.as_str()? {
        "account_changed" => Change::AccountChanged(column_uuid(row, 2)?),
        "account_deleted" => Change::AccountDeleted(column_uuid(row, 2)?),
        "session_changed" => Change::SessionChanged(row.get(3)?),
        "session_ended" => Change::SessionEnded(row.get(3)?),
        "sessions_ended" => Change::SessionsEnded(column_uuid(row, 2)?),
        "keys_changed" => Change::KeysChanged,
        kind if kind.starts_with(COMMAND) => {
            Change::Command(column_uuid(row, 2)?, kind[COMMAND.len()..].to_owned())
        }
        _ => return Err(super::unreadable(1)),
    };
    Ok(Event { id: row.get::<_, i64>(0)?.unsigned_abs(), change })
}
