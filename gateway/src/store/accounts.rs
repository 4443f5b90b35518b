//! Accounts, and the one rule over names and addresses: a text is the name or the
//! address of one account (contract, section 1). Texts come folded.

use super::{
    CreateRefused, NewAccount, NewCredential, Store, Stored, column_json, column_millis, column_uuid,
    credentials,
    events::{Change, tell},
    json, millis, sessions,
};
use crate::{clock::UnixMillis, sessions::Account};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

/// The columns that [`account`] reads, of `accounts AS a`.
pub(super) const COLUMNS: &str = "a.uuid, a.name, a.email, a.email_verified, a.display_name, a.roles, \
                                  a.metadata, a.app, a.active, a.created, a.updated, a.version, \
                                  a.name_proved";
/// How many they are.
pub(super) const WIDTH: usize = 13;

impl Store {
    /// By name or verified or unverified address, whichever it is.
    pub async fn account_by_identifier(&self, text: &str) -> Stored<Option<Account>> {
        self.one_account("JOIN identifiers AS i ON i.account = a.uuid WHERE i.text = ?1", text.to_owned())
            .await
    }

    /// By name.
    pub async fn account_by_name(&self, name: &str) -> Stored<Option<Account>> {
        self.one_account("WHERE a.name = ?1", name.to_owned()).await
    }

    /// By uuid.
    pub async fn account(&self, uuid: Uuid) -> Stored<Option<Account>> {
        self.one_account("WHERE a.uuid = ?1", uuid.to_string()).await
    }

    async fn one_account(&self, which: &'static str, value: String) -> Stored<Option<Account>> {
        self.read(move |db| {
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts AS a {which}"))?
                .query_row([value], |row| account(row, 0))
                .optional()
        })
        .await
    }

    /// All, by name.
    pub async fn accounts(&self) -> Stored<Vec<Account>> {
        self.read(|db| {
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts AS a ORDER BY a.name"))?
                .query_map([], |row| account(row, 0))?
                .collect()
        })
        .await
    }

    /// An account and its credentials, or neither.
    pub async fn create_account(
        &self,
        account: NewAccount,
        credentials: Vec<NewCredential>,
        now: UnixMillis,
    ) -> Stored<Result<Account, CreateRefused>> {
        self.write(move |db| {
            // Changes come one at a time, so what is free here stays free until the commit;
            // the table's primary key says it again.
            if taken(db, &account.name)? {
                return refused(db, CreateRefused::NameTaken, now);
            }
            if account.email.as_deref().map(|email| taken(db, email)).transpose()? == Some(true) {
                return refused(db, CreateRefused::EmailTaken, now);
            }
            let made = made(account, now);
            insert(db, &made)?;
            for credential in &credentials {
                credentials::insert(db, made.uuid, credential, now)?;
            }
            tell(db, &Change::AccountChanged(made.uuid), now)?;
            Ok(Ok(made))
        })
        .await
    }

    /// Disabling ends all its sessions.
    pub async fn set_active(&self, uuid: Uuid, active: bool, now: UnixMillis) -> Stored<bool> {
        self.write(move |db| {
            let changed = db
                .prepare_cached(
                    "UPDATE accounts SET active = ?2, updated = ?3, version = version + 1 WHERE uuid = ?1",
                )?
                .execute(params![uuid.to_string(), active, millis(now)])?;
            if changed == 0 {
                return Ok(false);
            }
            tell(db, &Change::AccountChanged(uuid), now)?;
            if !active {
                sessions::end_all(db, uuid, now)?;
            }
            Ok(true)
        })
        .await
    }

    /// Replaces the operator's roles.
    pub async fn set_roles(&self, uuid: Uuid, roles: Vec<String>, now: UnixMillis) -> Stored<bool> {
        self.write(move |db| {
            let changed = db
                .prepare_cached(
                    "UPDATE accounts SET roles = ?2, updated = ?3, version = version + 1 WHERE uuid = ?1",
                )?
                .execute(params![uuid.to_string(), json(&roles), millis(now)])?;
            if changed == 1 {
                tell(db, &Change::AccountChanged(uuid), now)?;
            }
            Ok(changed == 1)
        })
        .await
    }

    /// With its credentials, sessions and locks.
    pub async fn delete_account(&self, uuid: Uuid) -> Stored<bool> {
        let now = self.now();
        self.write(move |db| {
            let gone =
                db.prepare_cached("DELETE FROM accounts WHERE uuid = ?1")?.execute([uuid.to_string()])?;
            if gone == 1 {
                tell(db, &Change::AccountDeleted(uuid), now)?;
            }
            Ok(gone == 1)
        })
        .await
    }
}

/// A refusal waits for the disk as an account does that is made: nobody is to tell one from
/// the other by the time they take (`[accounts] reveal_taken`).
fn refused<T>(
    db: &Connection,
    why: CreateRefused,
    now: UnixMillis,
) -> rusqlite::Result<Result<T, CreateRefused>> {
    let nobody = super::mails::NewMail { sealed: vec![0; 1024], expires: UnixMillis(0) };
    super::mails::insert(db, &nobody, now)?;
    db.prepare_cached("DELETE FROM mails WHERE id = ?1")?.execute([db.last_insert_rowid()])?;
    Ok(Err(why))
}

/// The account as it is in this transaction.
pub(super) fn one(db: &Connection, uuid: Uuid) -> rusqlite::Result<Option<Account>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts AS a WHERE a.uuid = ?1"))?
        .query_row([uuid.to_string()], |row| account(row, 0))
        .optional()
}

/// Whether a name or an address is that of another account.
pub(super) fn taken_by_another(db: &Connection, text: &str, but_of: Uuid) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM identifiers WHERE text = ?1 AND account <> ?2)")?
        .query_row([text, &but_of.to_string()], |row| row.get(0))
}

/// Puts another address in the place of the account's. What is its name stays its name.
pub(super) fn replace_address(db: &Connection, account: &Account, address: &str) -> rusqlite::Result<()> {
    let uuid = account.uuid.to_string();
    if let Some(old) = account.email.as_deref().filter(|old| *old != account.name) {
        db.prepare_cached("DELETE FROM identifiers WHERE text = ?1 AND account = ?2")?
            .execute([old, &uuid])?;
    }
    db.prepare_cached("INSERT INTO identifiers (text, account) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute([address, &uuid])?;
    db.prepare_cached("UPDATE accounts SET email = ?2 WHERE uuid = ?1")?.execute([&uuid, address])?;
    Ok(())
}

/// The account's address is proved: so is a name that is this address, as it is or with a
/// strategy's ending.
pub(super) const PROVED: &str = "email_verified = 1, name_proved = name_proved OR name = email OR \
                                 substr(name, 1, length(email) + 1) = email || '@'";
/// The same, for somebody who may not be whoever made the account.
pub(super) const PROVED_ANEW: &str = "metadata = '{}', email_verified = 1, name_proved = name_proved OR \
                                      name = email OR substr(name, 1, length(email) + 1) = email || '@'";

/// Sets columns of an account and raises its version. `what` is a constant of ours.
pub(super) fn changed(
    db: &Connection,
    uuid: Uuid,
    what: &'static str,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    db.prepare_cached(&format!(
        "UPDATE accounts SET {what}, updated = ?2, version = version + 1 WHERE uuid = ?1"
    ))?
    .execute(params![uuid.to_string(), millis(now)])?;
    Ok(())
}

pub(super) fn taken(db: &Connection, text: &str) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM identifiers WHERE text = ?1)")?
        .query_row([text], |row| row.get(0))
}

pub(super) fn made(account: NewAccount, now: UnixMillis) -> Account {
    let NewAccount {
        uuid,
        name,
        name_proved,
        email,
        email_verified,
        display_name,
        roles,
        metadata,
        app,
        active,
    } = account;
    Account {
        uuid,
        name,
        name_proved,
        email,
        email_verified,
        display_name,
        roles,
        metadata,
        app,
        active,
        created: now,
        updated: now,
        version: 1,
    }
}

pub(super) fn insert(db: &Connection, account: &Account) -> rusqlite::Result<()> {
    let uuid = account.uuid.to_string();
    db.prepare_cached(
        "INSERT INTO accounts (uuid, name, email, email_verified, display_name, roles, metadata, app, active, \
         created, updated, version, name_proved, vouched_email) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
         ?11, ?12, ?13, iif(?4, ?3, NULL))",
    )?
    .execute(params![
        uuid,
        account.name,
        account.email,
        account.email_verified,
        account.display_name,
        json(&account.roles),
        json(&account.metadata),
        json(&account.app),
        account.active,
        millis(account.created),
        millis(account.updated),
        i64::try_from(account.version).unwrap_or(i64::MAX),
        account.name_proved,
    ])?;
    let mut identifier = db.prepare_cached("INSERT INTO identifiers (text, account) VALUES (?1, ?2)")?;
    identifier.execute([&account.name, &uuid])?;
    match &account.email {
        Some(email) if *email != account.name => identifier.execute([email, &uuid]).map(|_| ()),
        _ => Ok(()),
    }
}

/// Reads [`COLUMNS`], which begin at column `at`.
pub(super) fn account(row: &Row<'_>, at: usize) -> rusqlite::Result<Account> {
    Ok(Account {
        uuid: column_uuid(row, at)?,
        name: row.get(at + 1)?,
        email: row.get(at + 2)?,
        email_verified: row.get(at + 3)?,
        display_name: row.get(at + 4)?,
        roles: column_json(row, at + 5)?,
        metadata: column_json(row, at + 6)?,
        app: column_json(row, at + 7)?,
        active: row.get(at + 8)?,
        created: column_millis(row, at + 9)?,
        updated: column_millis(row, at + 10)?,
        version: row.get::<_, i64>(at + 11)?.unsigned_abs(),
        name_proved: row.get(at + 12)?,
    })
}
