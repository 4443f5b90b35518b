//! Logins by strategies that vouch from outside: the account of (strategy, realm,
//! subject), found, joined or made in one transaction, so that of many first logins at
//! once one makes it; and what their sessions keep.

use super::{
    NewCredential, Store, Stored,
    accounts::{self, account},
    column_json, column_millis, credentials,
    events::{Change, tell},
    json, millis,
};
use crate::{
    clock::UnixMillis,
    sessions::{Account, ExternalRecord},
};
use portcullis_plugin_api::Object;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

/// A login that was admitted, and what it may come to.
#[derive(Clone, Debug)]
pub struct ExternalLogin {
    /// The strategy instance.
    pub strategy: String,
    /// Within what the subject is unique.
    pub realm: String,
    /// Who, to the strategy.
    pub subject: String,
    /// What the groups bring: replaces what they brought before.
    pub roles: Vec<String>,
    /// A verified address, folded.
    pub email: Option<String>,
    /// What to show.
    pub display_name: Option<String>,
    /// Names for a new account, the best first; the first that is free is taken.
    pub names: Vec<String>,
    /// Join the account of the same address, if that was vouched for too.
    pub link: bool,
    /// Make an account.
    pub provision: bool,
    /// The roles of a new account.
    pub default_roles: Vec<String>,
    /// The uuid of a new account.
    pub uuid: Uuid,
}

/// What an admitted login comes to.
#[derive(Clone, Debug)]
pub enum ExternalOutcome {
    /// This account.
    Account(Account),
    /// None, and none may be made.
    NotProvisioned,
    /// An account that is disabled.
    Inactive,
}

pub(super) const COLUMNS: &str = "e.realm, e.subject, e.claims, e.state, e.provider_session, e.refresh_at, \
                       coalesce(c.roles, '[]')";
pub(super) const JOINED: &str = "external_sessions AS e LEFT JOIN credentials AS c ON c.strategy = e.strategy AND \
                      c.realm = e.realm AND c.subject = e.subject";

/// A session that began by a strategy that vouches from outside.
#[derive(Clone, Debug)]
pub struct KnownLogin {
    /// The session.
    pub sid: String,
    /// The strategy instance.
    pub strategy: String,
    /// What the login left.
    pub external: ExternalRecord,
}

impl Store {
    /// Finds the account of a login, joins one, or makes one.
    pub async fn external_login(&self, login: ExternalLogin, now: UnixMillis) -> Stored<ExternalOutcome> {
        self.write(move |db| {
            if let Some(found) = by_credential(db, &login.strategy, &login.realm, &login.subject)? {
                if !found.active {
                    return Ok(ExternalOutcome::Inactive);
                }
                return known(db, &login, found, now).map(ExternalOutcome::Account);
            }
            if let Some(found) = login.link.then(|| vouched(db, &login)).transpose()?.flatten() {
                if !found.active {
                    return Ok(ExternalOutcome::Inactive);
                }
                credential(db, &login, found.uuid, now)?;
                return changed(db, found.uuid, now).map(ExternalOutcome::Account);
            }
            if !login.provision {
                return Ok(ExternalOutcome::NotProvisioned);
            }
            make(db, &login, now)
                .map(|made| made.map_or(ExternalOutcome::NotProvisioned, ExternalOutcome::Account))
        })
        .await
    }

    /// The account of a credential.
    pub async fn account_by_subject(
        &self,
        strategy: &str,
        realm: &str,
        subject: &str,
    ) -> Stored<Option<Account>> {
        let values = [strategy.to_owned(), realm.to_owned(), subject.to_owned()];
        self.read(move |db| by_credential(db, &values[0], &values[1], &values[2])).await
    }

    /// What the live sessions of an account know of the logins behind them.
    pub async fn externals_of(&self, account: Uuid) -> Stored<Vec<(String, ExternalRecord)>> {
        self.read(move |db| {
            db.prepare_cached(&format!(
                "SELECT {COLUMNS}, e.sid FROM {JOINED} JOIN sessions AS s ON s.sid = e.sid WHERE s.account = ?1"
            ))?
            .query_map([account.to_string()], |row| Ok((row.get(7)?, record(row)?)))?
            .collect()
        })
        .await
    }

    /// The same with the strategy of each.
    pub async fn logins_of(&self, account: Uuid) -> Stored<Vec<KnownLogin>> {
        self.read(move |db| {
            db.prepare_cached(&format!(
                "SELECT {COLUMNS}, e.sid, e.strategy FROM {JOINED} JOIN sessions AS s ON s.sid = e.sid \
                 WHERE s.account = ?1"
            ))?
            .query_map([account.to_string()], |row| {
                Ok(KnownLogin { sid: row.get(7)?, strategy: row.get(8)?, external: record(row)? })
            })?
            .collect()
        })
        .await
    }

    /// The same of one session.
    pub async fn external_of(&self, sid: &str) -> Stored<Option<ExternalRecord>> {
        let sid = sid.to_owned();
        self.read(move |db| of(db, &sid)).await
    }
}

/// What a session's login left with it.
pub(super) fn of(db: &Connection, sid: &str) -> rusqlite::Result<Option<ExternalRecord>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM {JOINED} WHERE e.sid = ?1"))?
        .query_row([sid], record)
        .optional()
}

/// Whether the credential is still there, and if so keeps what the login left.
pub(super) fn insert(
    db: &Connection,
    sid: &str,
    account: Uuid,
    strategy: &str,
    external: &ExternalRecord,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO external_sessions (sid, strategy, realm, subject, claims, state, provider_session, \
         refresh_at) SELECT ?1, strategy, realm, subject, ?6, ?7, ?8, ?9 FROM credentials \
         WHERE account = ?2 AND strategy = ?3 AND realm = ?4 AND subject = ?5",
    )?
    .execute(params![
        sid,
        account.to_string(),
        strategy,
        external.realm,
        external.subject,
        json(&external.claims),
        external.state,
        external.provider_session,
        external.refresh_at.map(millis),
    ])?;
    Ok(())
}

/// Whether an account has this credential.
pub(super) fn has(
    db: &Connection,
    account: Uuid,
    strategy: &str,
    external: &ExternalRecord,
) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM credentials WHERE account = ?1 AND strategy = ?2 AND realm = ?3 AND \
         subject = ?4)",
    )?
    .query_row(params![account.to_string(), strategy, external.realm, external.subject], |row| row.get(0))
}

/// Reads [`COLUMNS`].
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<ExternalRecord> {
    Ok(ExternalRecord {
        realm: row.get(0)?,
        subject: row.get(1)?,
        claims: column_json::<Object>(row, 2)?,
        state: row.get(3)?,
        provider_session: row.get(4)?,
        refresh_at: match row.get::<_, Option<i64>>(5)? {
            Some(_) => Some(column_millis(row, 5)?),
            None => None,
        },
        roles: column_json(row, 6)?,
    })
}

pub(super) fn by_credential(
    db: &Connection,
    strategy: &str,
    realm: &str,
    subject: &str,
) -> rusqlite::Result<Option<Account>> {
    db.prepare_cached(&format!(
        "SELECT {} FROM accounts AS a JOIN credentials AS c ON c.account = a.uuid WHERE c.strategy = ?1 AND \
         c.realm = ?2 AND c.subject = ?3",
        accounts::COLUMNS
    ))?
    .query_row([strategy, realm, subject], |row| account(row, 0))
    .optional()
}

pub(super) fn by_uuid(db: &Connection, uuid: Uuid) -> rusqlite::Result<Account> {
    db.prepare_cached(&format!("SELECT {} FROM accounts AS a WHERE a.uuid = ?1", accounts::COLUMNS))?
        .query_row([uuid.to_string()], |row| account(row, 0))
}

/// The account of the same address, where both sides were vouched for (contract, `[accounts]
/// link`): a mailed link alone is not enough.
fn vouched(db: &Connection, login: &ExternalLogin) -> rusqlite::Result<Option<Account>> {
    let Some(email) = &login.email else { return Ok(None) };
    db.prepare_cached(&format!(
        "SELECT {} FROM accounts AS a WHERE a.email = ?1 AND a.email_verified AND a.vouched_email = a.email",
        accounts::COLUMNS
    ))?
    .query_row([email], |row| account(row, 0))
    .optional()
}

/// A login by a credential that is known: its roles are replaced, and what the account does
/// not have yet is filled in.
fn known(
    db: &Connection,
    login: &ExternalLogin,
    found: Account,
    now: UnixMillis,
) -> rusqlite::Result<Account> {
    let roles = json(&login.roles);
    let before: String = db
        .prepare_cached("SELECT roles FROM credentials WHERE strategy = ?1 AND realm = ?2 AND subject = ?3")?
        .query_row([&login.strategy, &login.realm, &login.subject], |row| row.get(0))?;
    db.prepare_cached(
        "UPDATE credentials SET roles = ?4, last_used = ?5 WHERE strategy = ?1 AND realm = ?2 AND subject = ?3",
    )?
    .execute(params![login.strategy, login.realm, login.subject, roles, millis(now)])?;
    let email = login.email.as_deref();
    let new_email = match email {
        Some(email) if found.email.is_none() => !accounts::taken(db, email)? || found.name == email,
        _ => false,
    };
    if new_email {
        db.prepare_cached(
            "UPDATE accounts SET email = ?2, email_verified = 1, vouched_email = ?2, name_proved = name_proved OR name = ?2 WHERE uuid = ?1",
        )?
        .execute(params![found.uuid.to_string(), email])?;
        db.prepare_cached("INSERT OR IGNORE INTO identifiers (text, account) VALUES (?1, ?2)")?
            .execute(params![email, found.uuid.to_string()])?;
    } else if email.is_some() && found.verified_email() == email {
        db.prepare_cached("UPDATE accounts SET vouched_email = email WHERE uuid = ?1")?
            .execute([found.uuid.to_string()])?;
    }
    if before == roles && !new_email {
        return Ok(found);
    }
    changed(db, found.uuid, now)
}

/// A new state of an account, told to everybody.
pub(super) fn changed(db: &Connection, uuid: Uuid, now: UnixMillis) -> rusqlite::Result<Account> {
    db.prepare_cached("UPDATE accounts SET version = version + 1 WHERE uuid = ?1")?
        .execute([uuid.to_string()])?;
    tell(db, &Change::AccountChanged(uuid), now)?;
    by_uuid(db, uuid)
}

fn credential(
    db: &Connection,
    login: &ExternalLogin,
    account: Uuid,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    let new = NewCredential {
        strategy: login.strategy.clone(),
        realm: login.realm.clone(),
        subject: login.subject.clone(),
        secret: None,
    };
    credentials::insert(db, account, &new, now)?;
    db.prepare_cached(
        "UPDATE credentials SET roles = ?4, last_used = ?5 WHERE strategy = ?1 AND realm = ?2 AND subject = ?3",
    )?
    .execute(params![login.strategy, login.realm, login.subject, json(&login.roles), millis(now)])?;
    Ok(())
}

/// None: every name that the login could give is somebody's.
fn make(db: &Connection, login: &ExternalLogin, now: UnixMillis) -> rusqlite::Result<Option<Account>> {
    let mut name = None;
    for proposed in &login.names {
        if !accounts::taken(db, proposed)? {
            name = Some(proposed.clone());
            break;
        }
    }
    let Some(name) = name else { return Ok(None) };
    // An address that is somebody else's, as name or as address, is not this account's.
    let email = match &login.email {
        Some(email) if !accounts::taken(db, email)? => Some(email.clone()),
        _ => None,
    };
    let account = accounts::made(
        super::NewAccount {
            active: true,
            uuid: login.uuid,
            name,
            // It has an `@` of its own only where it is the login's verified address.
            name_proved: true,
            email_verified: email.is_some(),
            email,
            display_name: login.display_name.clone(),
            roles: login.default_roles.clone(),
            metadata: Object::new(),
            app: Object::new(),
        },
        now,
    );
    accounts::insert(db, &account)?;
    credential(db, login, account.uuid, now)?;
    tell(db, &Change::AccountChanged(account.uuid), now)?;
    Ok(Some(account))
}

/// How linking a login to an account that is signed in came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// It is the account's from now on.
    Done,
    /// It was the account's before.
    Already,
    /// It is another account's.
    SubjectTaken,
    /// The account is gone or disabled, or its session is over.
    Gone,
}

impl Store {
    /// Adds the login's credential to the account, as long as that session lives.
    pub async fn link_external(
        &self,
        login: ExternalLogin,
        account: Uuid,
        sid: &str,
        now: UnixMillis,
    ) -> Stored<Linked> {
        let sid = sid.to_owned();
        self.write(move |db| {
            let lives: bool = db
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM sessions AS s JOIN accounts AS a ON a.uuid = s.account \
                     WHERE s.sid = ?1 AND a.uuid = ?2 AND a.active AND s.expires > ?3)",
                )?
                .query_row(params![sid, account.to_string(), millis(now)], |row| row.get(0))?;
            if !lives {
                return Ok(Linked::Gone);
            }
            match by_credential(db, &login.strategy, &login.realm, &login.subject)? {
                Some(found) if found.uuid == account => return Ok(Linked::Already),
                Some(_) => return Ok(Linked::SubjectTaken),
                None => {}
            }
            credential(db, &login, account, now)?;
            changed(db, account, now)?;
            Ok(Linked::Done)
        })
        .await
    }
}
