//! Sessions, as long as they live: one that ends is deleted, and a later replay of its
//! cookie or token finds nothing.

use super::{
    Store, Stored,
    accounts::{self, WIDTH, account},
    column_millis, column_uuid,
    events::{self, Change, tell},
    external,
    families::{self, NewFamily},
    millis, unreadable,
};
use crate::{
    clock::UnixMillis,
    sessions::{Account, SessionRecord, Transport, Used},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

const COLUMNS: &str = "s.sid, s.cookie_hash, s.account, s.strategy, s.transport, s.created, s.last_used, \
                       s.expires, s.address, s.user_agent, s.cookie_number, s.cookie_expires, s.cookie_used, \
                       s.former_hash, s.former_until, s.family";

impl Store {
    /// Inserts a session if its account is still active and, where the login looked at a
    /// secret, that secret is still the stored one; false otherwise.
    pub async fn insert_session(&self, session: SessionRecord, secret: Option<String>) -> Stored<bool> {
        self.open_session(session, None, secret).await
    }

    /// The same with a refresh family.
    pub async fn open_session(
        &self,
        session: SessionRecord,
        family: Option<NewFamily>,
        secret: Option<String>,
    ) -> Stored<bool> {
        self.write(move |db| {
            let account = session.account.to_string();
            let admitted: bool = db
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM accounts WHERE uuid = ?1 AND active) AND (?3 IS NULL OR \
                     EXISTS (SELECT 1 FROM credentials WHERE account = ?1 AND strategy = ?2 AND secret = ?3))",
                )?
                .query_row(params![account, session.strategy, secret], |row| row.get(0))?;
            let admitted = admitted
                && match &session.external {
                    Some(external) => external::has(db, session.account, &session.strategy, external)?,
                    None => true,
                };
            if admitted {
                insert(db, &session)?;
                super::lockout::signed_in(db, session.account, session.address, session.created)?;
                if let Some(family) = &family {
                    families::insert(db, &session.sid, family)?;
                }
                if let Some(known) = &session.external {
                    external::insert(db, &session.sid, session.account, &session.strategy, known)?;
                } else {
                    super::credentials::used(db, session.account, &session.strategy, session.created)?;
                }
            }
            Ok(admitted)
        })
        .await
    }

    /// The session of this cookie with its account, and the newest event as of the same
    /// moment: whoever remembers it applies the events after that number.
    pub async fn session_by_cookie(&self, hash: [u8; 32]) -> Stored<Option<(SessionRecord, Account, u64)>> {
        self.read(move |db| found(db, "s.cookie_hash = ?1 OR s.former_hash = ?1", hash)).await
    }

    /// The same by `sid`.
    pub async fn session_by_sid(&self, sid: &str) -> Stored<Option<(SessionRecord, Account, u64)>> {
        let sid = sid.to_owned();
        self.read(move |db| found(db, "s.sid = ?1", sid)).await
    }

    /// All of an account, the newest first.
    pub async fn sessions_of(&self, account: Uuid) -> Stored<Vec<SessionRecord>> {
        self.read(move |db| {
            db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM sessions AS s WHERE s.account = ?1 ORDER BY s.created DESC, s.sid"
            ))?
            .query_map([account.to_string()], |row| record(row, 0))?
            .collect()
        })
        .await
    }

    /// All there are, the newest first, each with its account's name.
    pub async fn all_sessions(&self) -> Stored<Vec<(SessionRecord, String)>> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT a.name, {COLUMNS} FROM sessions AS s JOIN accounts AS a ON a.uuid = s.account \
                 ORDER BY s.created DESC, s.sid"
            ))?
            .query_map([], |row| Ok((record(row, 1)?, row.get(0)?)))?
            .collect()
        })
        .await
    }

    /// How many are not past their end.
    pub async fn count_sessions(&self) -> Stored<u64> {
        let now = self.now();
        self.read(move |db| {
            db.prepare_cached("SELECT count(*) FROM sessions WHERE expires > ?1")?
                .query_row([millis(now)], |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
        })
        .await
    }

    /// Notes when sessions were used last. One that is gone stays gone, and no time moves
    /// backwards.
    pub async fn touch_sessions(&self, uses: Vec<Used>) -> Stored<()> {
        self.write(move |db| {
            let mut touch = db.prepare_cached(
                "UPDATE sessions SET last_used = ?2, cookie_used = max(cookie_used, ?3) \
                 WHERE sid = ?1 AND last_used < ?2",
            )?;
            for used in &uses {
                touch.execute(params![used.sid, millis(used.at), millis(used.by_cookie)])?;
            }
            Ok(())
        })
        .await
    }

    /// Ends one; false when there was none.
    pub async fn end_session(&self, sid: &str) -> Stored<bool> {
        let (sid, now) = (sid.to_owned(), self.now());
        self.write(move |db| end(db, &sid, now)).await
    }

    /// Ends all of an account, and says how many.
    pub async fn end_sessions_of(&self, account: Uuid) -> Stored<usize> {
        let now = self.now();
        self.write(move |db| end_all(db, account, now)).await
    }

    /// Removes what is over by its own time: sessions past their end (everybody knows
    /// that without an event), old events, forgotten failures. Says how many sessions.
    pub async fn prune_sessions(&self, now: UnixMillis) -> Stored<usize> {
        self.write(move |db| {
            let gone =
                db.prepare_cached("DELETE FROM sessions WHERE expires <= ?1")?.execute([millis(now)])?;
            events::prune(db, now)?;
            super::lockout::prune(db, now)?;
            super::mailed::prune(db, now)?;
            Ok(gone)
        })
        .await
    }
}

/// Ends one; false when there was none.
pub(super) fn end(db: &Connection, sid: &str, now: UnixMillis) -> rusqlite::Result<bool> {
    let ended = db.prepare_cached("DELETE FROM sessions WHERE sid = ?1")?.execute([sid])?;
    if ended == 1 {
        tell(db, &Change::SessionEnded(sid.to_owned()), now)?;
    }
    Ok(ended == 1)
}

/// A session that is not past its end and whose account is active.
pub(super) fn of_active(
    db: &Connection,
    sid: &str,
    now: UnixMillis,
) -> rusqlite::Result<Option<SessionRecord>> {
    let found = found(db, "s.sid = ?1", sid)?;
    Ok(found.and_then(|(session, account, _)| (account.active && now < session.expires).then_some(session)))
}

/// Writes the cookies of a session, and that it was used.
pub(super) fn update_cookie(db: &Connection, session: &SessionRecord) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE sessions SET cookie_hash = ?2, cookie_number = ?3, cookie_expires = ?4, cookie_used = ?5, \
         former_hash = ?6, former_until = ?7, last_used = ?8 WHERE sid = ?1",
    )?
    .execute(params![
        session.sid,
        session.cookie_hash,
        i64::try_from(session.cookie_number).unwrap_or(i64::MAX),
        millis(session.cookie_expires),
        millis(session.cookie_used),
        session.former_cookie.map(|(hash, _)| hash),
        session.former_cookie.map(|(_, until)| millis(until)),
        millis(session.last_used),
    ])?;
    Ok(())
}

/// Ends all sessions of an account; the event is written even when none was stored,
/// because a gateway may still know one.
pub(super) fn end_all(db: &Connection, account: Uuid, now: UnixMillis) -> rusqlite::Result<usize> {
    let ended =
        db.prepare_cached("DELETE FROM sessions WHERE account = ?1")?.execute([account.to_string()])?;
    tell(db, &Change::SessionsEnded(account), now)?;
    Ok(ended)
}

/// Ends the sessions of an account that this strategy instance opened.
pub(super) fn end_by_strategy(
    db: &Connection,
    account: Uuid,
    strategy: &str,
    now: UnixMillis,
) -> rusqlite::Result<Vec<String>> {
    let ended: Vec<String> = db
        .prepare_cached("DELETE FROM sessions WHERE account = ?1 AND strategy = ?2 RETURNING sid")?
        .query_map([&account.to_string(), strategy], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    ended.iter().try_for_each(|sid| tell(db, &Change::SessionEnded(sid.clone()), now))?;
    Ok(ended)
}

fn insert(db: &Connection, session: &SessionRecord) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO sessions (sid, cookie_hash, account, strategy, transport, created, last_used, expires, \
         address, user_agent, cookie_number, cookie_expires, cookie_used, family) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        session.sid,
        session.cookie_hash,
        session.account.to_string(),
        session.strategy,
        match session.transport {
            Transport::Both => "both",
            Transport::Cookie => "cookie",
            Transport::Token => "token",
        },
        millis(session.created),
        millis(session.last_used),
        millis(session.expires),
        session.address.to_string(),
        session.user_agent,
        i64::try_from(session.cookie_number).unwrap_or(i64::MAX),
        millis(session.cookie_expires),
        millis(session.cookie_used),
        session.family,
    ])?;
    Ok(())
}

fn found(
    db: &Connection,
    which: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<Option<(SessionRecord, Account, u64)>> {
    let both = db
        .prepare_cached(&format!(
            "SELECT {}, {COLUMNS} FROM sessions AS s JOIN accounts AS a ON a.uuid = s.account WHERE {which}",
            accounts::COLUMNS
        ))?
        .query_row([value], |row| Ok((record(row, WIDTH)?, account(row, 0)?)))
        .optional()?;
    let newest = events::newest(db)?;
    let Some((mut session, account)) = both else { return Ok(None) };
    session.external = external::of(db, &session.sid)?;
    Ok(Some((session, account, newest)))
}

/// Reads [`COLUMNS`], which begin at column `at`.
fn record(row: &Row<'_>, at: usize) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        sid: row.get(at)?,
        cookie_hash: row.get(at + 1)?,
        account: column_uuid(row, at + 2)?,
        strategy: row.get(at + 3)?,
        transport: match row.get_ref(at + 4)?.as_str()? {
            "both" => Transport::Both,
            "cookie" => Transport::Cookie,
            "token" => Transport::Token,
            _ => return Err(unreadable(at + 4)),
        },
        created: column_millis(row, at + 5)?,
        last_used: column_millis(row, at + 6)?,
        expires: column_millis(row, at + 7)?,
        address: row.get_ref(at + 8)?.as_str()?.parse().map_err(|_| unreadable(at + 8))?,
        user_agent: row.get(at + 9)?,
        cookie_number: row.get::<_, i64>(at + 10)?.unsigned_abs(),
        cookie_expires: column_millis(row, at + 11)?,
        cookie_used: column_millis(row, at + 12)?,
        former_cookie: match row.get::<_, Option<[u8; 32]>>(at + 13)? {
            None => None,
            Some(hash) => Some((hash, column_millis(row, at + 14)?)),
        },
        family: row.get(at + 15)?,
        external: None,
    })
}
