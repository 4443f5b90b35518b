//! Accounts as operators see and change them: pages of a list, one change of many parts,
//! credentials by account.

use super::{
    CreateRefused, NewCredential, Store, Stored, accounts, column_millis, credentials,
    events::{Change, tell},
    json, millis, sessions,
};
use crate::{clock::UnixMillis, sessions::Account};
use portcullis_plugin_api::Object;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// A part of the list of accounts.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Only those whose name, address or display name has this in it.
    pub search: String,
    /// How many are left out before it.
    pub skip: u64,
    /// How many it has at most.
    pub size: u64,
}

/// What an operator changes; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// Another address, verified by the operator; or none at all.
    pub email: Option<Option<String>>,
    /// What to show.
    pub display_name: Option<Option<String>>,
    /// All roles.
    pub roles: Option<Vec<String>>,
    /// All of the person's own claims.
    pub metadata: Option<Object>,
    /// All of the operator's claims.
    pub app: Option<Object>,
    /// Whether it may sign in; if not, all its sessions end.
    pub active: Option<bool>,
    /// A new secret in the place of the strategy's old one; all sessions end.
    pub secret: Option<NewCredential>,
}

/// A credential as an operator is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCredential {
    /// The strategy instance.
    pub strategy: String,
    /// Within which the subject is one person.
    pub realm: String,
    /// Who, there.
    pub subject: String,
    /// When it was made.
    pub created: UnixMillis,
}

/// What became of a credential that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Done,
    /// There was none.
    None,
    /// It is the last one.
    Last,
}

impl Store {
    /// A part of the list by name, and how many there are in all.
    pub async fn accounts_page(&self, page: Page) -> Stored<(Vec<Account>, u64)> {
        // SQLite compares ASCII letters without case in LIKE; names and addresses are folded.
        let escaped = page.search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let like = format!("%{escaped}%");
        self.read(move |db| {
            let which = "WHERE a.name LIKE ?1 ESCAPE '\\' OR a.email LIKE ?1 ESCAPE '\\' OR a.display_name \
                         LIKE ?1 ESCAPE '\\'";
            let total = db
                .prepare_cached(&format!("SELECT count(*) FROM accounts AS a {which}"))?
                .query_row([&like], |row| row.get::<_, i64>(0))?;
            let found = db
                .prepare_cached(&format!(
                    "SELECT {} FROM accounts AS a {which} ORDER BY a.name LIMIT ?2 OFFSET ?3",
                    accounts::COLUMNS
                ))?
                .query_map(params![like, clamp(page.size), clamp(page.skip)], |row| {
                    accounts::account(row, 0)
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok((found, total.unsigned_abs()))
        })
        .await
    }

    /// Changes an account in one transaction; none when there is no such account.
    pub async fn change_account(
        &self,
        uuid: Uuid,
        change: AccountChange,
        now: UnixMillis,
    ) -> Stored<Result<Option<Account>, CreateRefused>> {
        self.write(move |db| {
            let Some(before) = one(db, uuid)? else { return Ok(Ok(None)) };
            if let Some(email) = &change.email
                && !set_email(db, &before, email.as_deref())?
            {
                return Ok(Err(CreateRefused::EmailTaken));
            }
            if change.email.is_some() || change.secret.is_some() {
                // What was mailed was mailed to the old address, or for the old password.
                db.prepare_cached("DELETE FROM mailed_tokens WHERE account = ?1")?
                    .execute([uuid.to_string()])?;
            }
            write(db, &before, &change, now)?;
            tell(db, &Change::AccountChanged(uuid), now)?;
            if let Some(secret) = &change.secret {
                replace(db, uuid, secret, now)?;
            }
            if change.active == Some(false) || change.secret.is_some() {
                sessions::end_all(db, uuid, now)?;
            }
            Ok(Ok(one(db, uuid)?))
        })
        .await
    }

    /// All credentials of an account, without their secrets.
    pub async fn credentials_of(&self, account: Uuid) -> Stored<Vec<KnownCredential>> {
        self.read(move |db| {
            db.prepare_cached(
                "SELECT strategy, realm, subject, created FROM credentials WHERE account = ?1 \
                 ORDER BY strategy, realm, subject",
            )?
            .query_map([account.to_string()], |row| {
                Ok(KnownCredential {
                    strategy: row.get(0)?,
                    realm: row.get(1)?,
                    subject: row.get(2)?,
                    created: column_millis(row, 3)?,
                })
            })?
            .collect()
        })
        .await
    }

    /// One more credential; false when there is no such account.
    pub async fn add_credential(
        &self,
        account: Uuid,
        credential: NewCredential,
        now: UnixMillis,
    ) -> Stored<bool> {
        self.write(move |db| {
            let found = one(db, account)?.is_some();
            if found {
                credentials::insert(db, account, &credential, now)?;
            }
            Ok(found)
        })
        .await
    }

    /// Takes away all of an account's credentials of one strategy, and ends its sessions,
    /// for one of them may have been opened so. The last one stays.
    pub async fn remove_credential_of(
        &self,
        account: Uuid,
        strategy: &str,
        there_are: Vec<String>,
        now: UnixMillis,
    ) -> Stored<Removed> {
        let strategy = strategy.to_owned();
        self.write(move |db| {
            match credentials::beside(db, account, &strategy, &there_are)? {
                (0, _) => return Ok(Removed::None),
                (_, 0) => return Ok(Removed::Last),
                _ => {}
            }
            db.prepare_cached("DELETE FROM credentials WHERE account = ?1 AND strategy = ?2")?
                .execute(params![account.to_string(), strategy])?;
            sessions::end_all(db, account, now)?;
            Ok(Removed::Done)
        })
        .await
    }
}

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn one(db: &Connection, uuid: Uuid) -> rusqlite::Result<Option<Account>> {
    db.prepare_cached(&format!("SELECT {} FROM accounts AS a WHERE a.uuid = ?1", accounts::COLUMNS))?
        .query_row([uuid.to_string()], |row| accounts::account(row, 0))
        .optional()
}

/// Puts another address in the place of the old one; false when it is somebody else's. The
/// operator vouches for it, and for no other any more.
fn set_email(db: &Connection, account: &Account, email: Option<&str>) -> rusqlite::Result<bool> {
    let uuid = account.uuid.to_string();
    if let Some(email) = email {
        let other = db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM identifiers WHERE text = ?1 AND account <> ?2)")?
            .query_row([email, &uuid], |row| row.get::<_, bool>(0))?;
        if other {
            return Ok(false);
        }
    }
    db.prepare_cached("DELETE FROM identifiers WHERE account = ?1 AND text <> ?2")?
        .execute([&uuid, &account.name])?;
    if let Some(email) = email.filter(|email| *email != account.name) {
        db.prepare_cached("INSERT INTO identifiers (text, account) VALUES (?1, ?2)")?
            .execute([email, &uuid])?;
    }
    db.prepare_cached(
        "UPDATE accounts SET email = ?2, email_verified = ?3, vouched_email = ?2, name_proved = name_proved OR \
         name IS ?2 WHERE uuid = ?1",
    )?
    .execute(params![uuid, email, email.is_some()])?;
    Ok(true)
}

fn write(db: &Connection, before: &Account, change: &AccountChange, now: UnixMillis) -> rusqlite::Result<()> {
    let after = |new: &Option<Object>, old: &Object| json(new.as_ref().unwrap_or(old));
    db.prepare_cached(
        "UPDATE accounts SET display_name = ?2, roles = ?3, metadata = ?4, app = ?5, active = ?6, updated = ?7, \
         version = version + 1 WHERE uuid = ?1",
    )?
    .execute(params![
        before.uuid.to_string(),
        change.display_name.as_ref().unwrap_or(&before.display_name),
        json(change.roles.as_ref().unwrap_or(&before.roles)),
        after(&change.metadata, &before.metadata),
        after(&change.app, &before.app),
        change.active.unwrap_or(before.active),
        millis(now),
    ])?;
    Ok(())
}

/// Replaced, not added: the old secret must open nothing, whatever subject it had.
fn replace(db: &Connection, account: Uuid, secret: &NewCredential, now: UnixMillis) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM credentials WHERE account = ?1 AND strategy = ?2 AND realm = ?3")?
        .execute([&account.to_string(), &secret.strategy, &secret.realm])?;
    credentials::insert(db, account, secret, now)
}
