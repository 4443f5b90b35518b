//! Mail that waits to be sent: sealed, because it holds tokens, and kept until it was
//! sent or is of no use any more. A crash between sending and forgetting sends it twice;
//! nothing loses it.

use super::{Store, Stored, column_millis, millis};
use crate::clock::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

/// A mail to be kept.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// Sealed under the purpose of mail.
    pub sealed: Vec<u8>,
    /// From when on it is not worth sending.
    pub expires: UnixMillis,
}

/// A mail that is due.
#[derive(Clone, Debug)]
pub struct QueuedMail {
    /// Its number.
    pub id: i64,
    /// As it was kept.
    pub sealed: Vec<u8>,
    /// How often sending it has failed.
    pub tries: u32,
    /// From when on it is not worth sending.
    pub expires: UnixMillis,
}

impl Store {
    /// Forgets what is not worth sending, and answers with what is due, oldest first.
    pub async fn due_mails(&self, limit: u32, now: UnixMillis) -> Stored<Vec<QueuedMail>> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM mails WHERE expires <= ?1")?.execute([millis(now)])?;
            db.prepare_cached(
                "SELECT id, sealed, tries, expires FROM mails WHERE due <= ?1 ORDER BY due, id LIMIT ?2",
            )?
            .query_map(params![millis(now), limit], |row| {
                Ok(QueuedMail {
                    id: row.get(0)?,
                    sealed: row.get(1)?,
                    tries: row.get(2)?,
                    expires: column_millis(row, 3)?,
                })
            })?
            .collect()
        })
        .await
    }

    /// When the next is due; none: nothing waits.
    pub async fn next_mail(&self) -> Stored<Option<UnixMillis>> {
        self.read(|db| {
            db.prepare_cached("SELECT due FROM mails ORDER BY due LIMIT 1")?
                .query_row([], |row| column_millis(row, 0))
                .optional()
        })
        .await
    }

    /// How many wait.
    pub async fn count_mails(&self) -> Stored<u64> {
        self.read(|db| {
            db.prepare_cached("SELECT count(*) FROM mails")?
                .query_row([], |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
        })
        .await
    }

    /// It was sent, or will never be.
    pub async fn forget_mail(&self, id: i64) -> Stored<()> {
        self.write(move |db| {
            db.prepare_cached("DELETE FROM mails WHERE id = ?1")?.execute([id])?;
            Ok(())
        })
        .await
    }

    /// Sending it failed; it is due again then.
    pub async fn put_off_mail(&self, id: i64, due: UnixMillis) -> Stored<()> {
        self.write(move |db| {
            db.prepare_cached("UPDATE mails SET due = ?2, tries = tries + 1 WHERE id = ?1")?
                .execute(params![id, millis(due)])?;
            Ok(())
        })
        .await
    }
}

pub(super) fn insert(db: &Connection, mail: &NewMail, now: UnixMillis) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO mails (sealed, due, tries, expires) VALUES (?1, ?2, 0, ?3)")?
        .execute(params![mail.sealed, millis(now), millis(mail.expires)])?;
    Ok(())
}
