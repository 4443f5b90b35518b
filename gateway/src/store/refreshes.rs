//! The life of an external login after it: looking again at whoever signed in, and ends that
//! a provider asks for.

use super::{
    Store, Stored, column_millis, column_uuid,
    external::{COLUMNS, JOINED, by_uuid, changed, of, record},
    json, millis, sessions,
};
use crate::{
    clock::UnixMillis,
    sessions::{Account, ExternalRecord},
};
use rusqlite::{Connection, Row, params};
use std::net::IpAddr;
use uuid::Uuid;

/// A session whose strategy is to be asked again.
#[derive(Clone, Debug)]
pub struct DueRefresh {
    /// The session.
    pub sid: String,
    /// Its account.
    pub account: Uuid,
    /// The strategy instance.
    pub strategy: String,
    /// What the strategy last gave, sealed.
    pub external: ExternalRecord,
    /// Where the person signed in.
    pub address: IpAddr,
    /// Since when asking has failed.
    pub failing_since: Option<UnixMillis>,
}

impl Store {
    /// Whether any session is due: cheap to ask.
    pub async fn has_due_refresh(&self, now: UnixMillis) -> Stored<bool> {
        self.read(move |db| {
            db.prepare_cached("SELECT EXISTS (SELECT 1 FROM external_sessions WHERE refresh_at <= ?1)")?
                .query_row([millis(now)], |row| row.get(0))
        })
        .await
    }

    /// Takes sessions whose strategy is due to be asked again, and puts their next time off
    /// by `lease`: of many gateways one asks. Sessions that were not used since `idle_since`
    /// (without and with a refresh family) are over and stay as they are.
    pub async fn take_due_refreshes(
        &self,
        now: UnixMillis,
        lease: UnixMillis,
        idle_since: [UnixMillis; 2],
        most: usize,
    ) -> Stored<Vec<DueRefresh>> {
        self.write(move |db| {
            let due: Vec<DueRefresh> = db
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, e.sid, e.strategy, e.failing_since, s.account, s.address FROM {JOINED} JOIN sessions \
                     AS s ON s.sid = e.sid WHERE e.refresh_at <= ?1 AND s.last_used > iif(s.family, ?4, ?2) AND s.expires > ?1 \
                     ORDER BY e.refresh_at LIMIT ?3"
                ))?
                .query_map(
                    params![
                        millis(now),
                        millis(idle_since[0]),
                        i64::try_from(most).unwrap_or(i64::MAX),
                        millis(idle_since[1])
                    ],
                    due,
                )?
                .collect::<rusqlite::Result<_>>()?;
            let mut put_off = db.prepare_cached("UPDATE external_sessions SET refresh_at = ?2 WHERE sid = ?1")?;
            for one in &due {
                put_off.execute(params![one.sid, millis(lease)])?;
            }
            Ok(due)
        })
        .await
    }

    /// What a refresh brought; the roles are the credential's, for all its sessions.
    pub async fn refreshed(
        &self,
        due: &DueRefresh,
        next: ExternalRecord,
        now: UnixMillis,
    ) -> Stored<Option<Account>> {
        let (sid, strategy, account) = (due.sid.clone(), due.strategy.clone(), due.account);
        self.write(move |db| {
            let before = of(db, &sid)?;
            let Some(before) = before else { return Ok(None) };
            db.prepare_cached(
                "UPDATE external_sessions SET claims = ?2, state = ?3, refresh_at = ?4, failing_since = NULL, \
                 provider_session = coalesce(?5, provider_session) WHERE sid = ?1",
            )?
            .execute(params![
                sid,
                json(&next.claims),
                next.state,
                next.refresh_at.map(millis),
                next.provider_session
            ])?;
            db.prepare_cached(
                "UPDATE credentials SET roles = ?4 WHERE strategy = ?1 AND realm = ?2 AND subject = ?3",
            )?
            .execute(params![strategy, next.realm, next.subject, json(&next.roles)])?;
            if before.roles == next.roles && before.claims == next.claims {
                return by_uuid(db, account).map(Some);
            }
            changed(db, account, now).map(Some)
        })
        .await
    }

    /// A refresh came to nothing; again at `again`.
    pub async fn refresh_failed(&self, sid: &str, again: UnixMillis, now: UnixMillis) -> Stored<()> {
        let sid = sid.to_owned();
        self.write(move |db| {
            db.prepare_cached(
                "UPDATE external_sessions SET refresh_at = ?2, failing_since = coalesce(failing_since, ?3) \
                 WHERE sid = ?1",
            )?
            .execute(params![sid, millis(again), millis(now)])?;
            Ok(())
        })
        .await
    }

    /// Ends every session of a strategy that fits: of this subject, of this login at the
    /// provider, or of both where both are given. Answers with their sids. What is good for
    /// once is remembered until its time in the same step, so that what could not be done
    /// may be asked again; none: it was used before.
    pub async fn end_external_sessions(
        &self,
        strategy: &str,
        subject: Option<(String, String)>,
        provider_session: Option<String>,
        once: Option<([u8; 32], UnixMillis)>,
    ) -> Stored<Option<Vec<String>>> {
        let (strategy, now) = (strategy.to_owned(), self.now());
        let (realm, subject) = subject.unzip();
        self.write(move |db| {
            if let Some((once, until)) = once
                && !first_time(db, once, until, now)?
            {
                return Ok(None);
            }
            let sids: Vec<String> = db
                .prepare_cached(
                    "SELECT sid FROM external_sessions WHERE strategy = ?1 AND (?2 IS NULL OR (realm = ?2 AND \
                     subject = ?3)) AND (?4 IS NULL OR provider_session = ?4) AND (?3 IS NOT NULL OR ?4 IS NOT \
                     NULL)",
                )?
                .query_map(params![strategy, realm, subject, provider_session], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for sid in &sids {
                sessions::end(db, sid, now)?;
            }
            Ok(Some(sids))
        })
        .await
    }
}

/// Remembers a value that is good for once; false: it was there already.
fn first_time(db: &Connection, once: [u8; 32], until: UnixMillis, now: UnixMillis) -> rusqlite::Result<bool> {
    db.prepare_cached("DELETE FROM notices WHERE until <= ?1")?.execute([millis(now)])?;
    let new = db
        .prepare_cached("INSERT OR IGNORE INTO notices (once, until) VALUES (?1, ?2)")?
        .execute(params![once, millis(until)])?;
    Ok(new == 1)
}

fn due(row: &Row<'_>) -> rusqlite::Result<DueRefresh> {
    Ok(DueRefresh {
        external: record(row)?,
        sid: row.get(7)?,
        strategy: row.get(8)?,
        failing_since: match row.get::<_, Option<i64>>(9)? {
            Some(_) => Some(column_millis(row, 9)?),
            None => None,
        },
        account: column_uuid(row, 10)?,
        address: row.get_ref(11)?.as_str()?.parse().map_err(|_| super::unreadable(11))?,
    })
}
