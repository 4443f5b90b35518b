//! Refresh families: which value of a session's refresh token is good, which one it
//! replaced, and what becomes of a session whose old values come again. Hashes alone.

use super::{
    Store, Stored, column_millis,
    events::{Change, tell},
    millis, sessions,
};
use crate::{clock::UnixMillis, sessions::SessionRecord};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// A family to be made with its session.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// By what it is known.
    pub name: [u8; 32],
    /// The hash of its first value.
    pub current: [u8; 32],
}

/// A value that a client sends, as the store knows it.
#[derive(Clone, Copy, Debug)]
pub struct Presented {
    /// The family's name.
    pub family: [u8; 32],
    /// The hash of the value.
    pub value: [u8; 32],
}

/// What replaces a value, as the store keeps it.
#[derive(Clone, Debug)]
pub struct Successor {
    /// The hash of the value.
    pub value: [u8; 32],
    /// The hash of the session cookie that goes with it.
    pub cookie: [u8; 32],
}

/// How a rotation is done.
#[derive(Clone, Debug)]
pub struct Terms {
    /// When.
    pub now: UnixMillis,
    /// `refresh_grace`
    pub grace: Duration,
    /// From when on the new session cookie opens nothing.
    pub cookie_expires: UnixMillis,
    /// Whether the session cookie so far still works: what idled away stays so.
    pub keep_cookie: bool,
    /// A fresh one, for the case that it is needed.
    pub nonce: [u8; 16],
}

/// What became of a value that was sent.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// There is no such family, or its session is past its end or its account inactive.
    Unknown,
    /// It was replaced by the successor that the nonce makes; now, or a moment ago by
    /// another request. The session as it is now.
    Replaced(Box<SessionRecord>, [u8; 16]),
    /// It was replaced before: somebody uses it a second time. The session is over.
    Replayed(Box<SessionRecord>),
}

/// A family as it is kept.
struct Family {
    sid: String,
    current: [u8; 32],
    former: Option<([u8; 32], [u8; 16], UnixMillis)>,
}

impl Store {
    /// The session of a family.
    pub async fn family_sid(&self, name: [u8; 32]) -> Stored<Option<String>> {
        self.read(move |db| Ok(find(db, name)?.map(|family| family.sid))).await
    }

    /// Replaces a value by its successor, in one transaction: of many that come at once
    /// one rotates, and the others get what it got. `successor` says what a nonce makes of
    /// the value.
    pub async fn rotate(
        &self,
        presented: Presented,
        terms: Terms,
        successor: impl FnOnce(&[u8; 16]) -> Successor + Send + 'static,
    ) -> Stored<Rotation> {
        self.write(move |db| {
            let Some(family) = find(db, presented.family)? else { return Ok(Rotation::Unknown) };
            let Some(session) = sessions::of_active(db, &family.sid, terms.now)? else {
                return Ok(Rotation::Unknown);
            };
            if presented.value == family.current {
                let next = successor(&terms.nonce);
                let session = replace(db, &family, session, &next, &terms)?;
                return Ok(Rotation::Replaced(Box::new(session), terms.nonce));
            }
            match family.former {
                Some((former, nonce, at))
                    if presented.value == former && terms.now.since(at) < terms.grace =>
                {
                    Ok(Rotation::Replaced(Box::new(session), nonce))
                }
                _ => {
                    sessions::end(db, &family.sid, terms.now)?;
                    Ok(Rotation::Replayed(Box::new(session)))
                }
            }
        })
        .await
    }
}

pub(super) fn insert(db: &Connection, sid: &str, family: &NewFamily) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO families (name, sid, current) VALUES (?1, ?2, ?3)")?.execute(params![
        family.name,
        sid,
        family.current
    ])?;
    Ok(())
}

fn find(db: &Connection, name: [u8; 32]) -> rusqlite::Result<Option<Family>> {
    db.prepare_cached("SELECT sid, current, former, nonce, rotated FROM families WHERE name = ?1")?
        .query_row([name], |row| {
            let former = match row.get::<_, Option<[u8; 32]>>(2)? {
                None => None,
                Some(hash) => Some((hash, row.get(3)?, column_millis(row, 4)?)),
            };
            Ok(Family { sid: row.get(0)?, current: row.get(1)?, former })
        })
        .optional()
}

fn replace(
    db: &Connection,
    family: &Family,
    session: SessionRecord,
    next: &Successor,
    terms: &Terms,
) -> rusqlite::Result<SessionRecord> {
    db.prepare_cached(
        "UPDATE families SET current = ?2, former = ?3, nonce = ?4, rotated = ?5 WHERE sid = ?1",
    )?
    .execute(params![family.sid, next.value, family.current, terms.nonce, millis(terms.now)])?;
    let until = terms.now.plus(terms.grace);
    let session = SessionRecord {
        cookie_hash: next.cookie,
        cookie_number: session.cookie_number + 1,
        cookie_expires: terms.cookie_expires,
        cookie_used: terms.now,
        former_cookie: terms.keep_cookie.then_some((session.cookie_hash, until)),
        last_used: session.last_used.max(terms.now),
        ..session
    };
    sessions::update_cookie(db, &session)?;
    tell(db, &Change::SessionChanged(session.sid.clone()), terms.now)?;
    Ok(session)
}
