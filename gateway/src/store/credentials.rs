//! Credentials: (strategy id, realm, subject) of one account, with the secret that the
//! strategy asked to be kept.

use super::{
    Credential, NewCredential, Store, Stored, accounts,
    accounts::account,
    column_uuid,
    events::{Change, tell},
    mailed, millis, sessions,
};
use crate::{clock::UnixMillis, sessions::Account};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

impl Store {
    /// The credential of this account for this strategy instance.
    pub async fn credential(&self, strategy: &str, account: Uuid) -> Stored<Option<Credential>> {
        let strategy = strategy.to_owned();
        self.read(move |db| {
            db.prepare_cached(
                "SELECT account, subject, secret FROM credentials WHERE account = ?1 AND strategy = ?2 \
                 ORDER BY created LIMIT 1",
            )?
            .query_row([account.to_string(), strategy], |row| {
                Ok(Credential { account: column_uuid(row, 0)?, subject: row.get(1)?, secret: row.get(2)? })
            })
            .optional()
        })
        .await
    }

    /// The account that this subject of a strategy opens, in whatever realm.
    pub async fn account_of_subject(&self, strategy: &str, subject: &str) -> Stored<Option<Account>> {
        let (strategy, subject) = (strategy.to_owned(), subject.to_owned());
        self.read(move |db| {
            // A strategy has few realms, so each is looked into by the index.
            db.prepare_cached(&format!(
                "WITH RECURSIVE realms (realm) AS (SELECT min(realm) FROM credentials WHERE strategy = ?1 UNION ALL \
                 SELECT (SELECT min(c.realm) FROM credentials AS c WHERE c.strategy = ?1 AND c.realm > r.realm) \
                 FROM realms AS r WHERE r.realm IS NOT NULL) \
                 SELECT {} FROM realms AS r JOIN credentials AS c ON c.strategy = ?1 AND c.realm = r.realm AND \
                 c.subject = ?2 JOIN accounts AS a ON a.uuid = c.account ORDER BY c.created LIMIT 1",
                accounts::COLUMNS
            ))?
            .query_row([strategy, subject], |row| account(row, 0))
            .optional()
        })
        .await
    }

    /// All strategy ids for which the account has a credential.
    pub async fn credential_strategies(&self, account: Uuid) -> Stored<Vec<String>> {
        self.read(move |db| {
            db.prepare_cached(
                "SELECT DISTINCT strategy FROM credentials WHERE account = ?1 ORDER BY strategy",
            )?
            .query_map([account.to_string()], |row| row.get(0))?
            .collect()
        })
        .await
    }

    /// Sets a new secret (makes the credential if there is none) and ends all sessions of
    /// the account; false when there is no such account.
    pub async fn replace_secret(
        &self,
        account: Uuid,
        credential: NewCredential,
        now: UnixMillis,
    ) -> Stored<bool> {
        self.write(move |db| {
            let changed = db
                .prepare_cached("UPDATE accounts SET updated = ?2, version = version + 1 WHERE uuid = ?1")?
                .execute(params![account.to_string(), millis(now)])?;
            if changed == 0 {
                return Ok(false);
            }
            // Replaced, not added: the old secret must open nothing, whatever subject it had.
            db.prepare_cached("DELETE FROM credentials WHERE account = ?1 AND strategy = ?2 AND realm = ?3")?
                .execute([&account.to_string(), &credential.strategy, &credential.realm])?;
            insert(db, account, &credential, now)?;
            mailed::forget_with_secret(db, account)?;
            tell(db, &Change::AccountChanged(account), now)?;
            sessions::end_all(db, account, now)?;
            Ok(true)
        })
        .await
    }

    /// Swaps `old` for `new`, the same secret with other parameters; false when `old` is no
    /// longer what is stored. Ends nothing.
    pub async fn renew_secret(&self, strategy: &str, account: Uuid, old: &str, new: &str) -> Stored<bool> {
        let values = [account.to_string(), strategy.to_owned(), old.to_owned(), new.to_owned()];
        self.write(move |db| {
            let swapped = db
                .prepare_cached(
                    "UPDATE credentials SET secret = ?4 WHERE account = ?1 AND strategy = ?2 AND secret = ?3",
                )?
                .execute(values)?;
            Ok(swapped > 0)
        })
        .await
    }
}

/// The secret of this account for this strategy instance.
pub(super) fn secret(db: &Connection, account: Uuid, strategy: &str) -> rusqlite::Result<Option<String>> {
    let found: Option<Option<String>> = db
        .prepare_cached(
            "SELECT secret FROM credentials WHERE account = ?1 AND strategy = ?2 ORDER BY created LIMIT 1",
        )?
        .query_row([&account.to_string(), strategy], |row| row.get(0))
        .optional()?;
    Ok(found.flatten())
}

/// How many credentials an account has of this strategy, and how many of the others that
/// there are: one of a strategy that is configured no more opens nothing.
pub(super) fn beside(
    db: &Connection,
    account: Uuid,
    strategy: &str,
    there_are: &[String],
) -> rusqlite::Result<(i64, i64)> {
    db.prepare_cached(
        "SELECT coalesce(sum(strategy = ?2), 0), coalesce(sum(strategy <> ?2 AND strategy IN (SELECT value \
         FROM json_each(?3))), 0) FROM credentials WHERE account = ?1",
    )?
    .query_row(params![account.to_string(), strategy, super::json(&there_are)], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Somebody has signed in with it.
pub(super) fn used(db: &Connection, account: Uuid, strategy: &str, now: UnixMillis) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE credentials SET last_used = ?3 WHERE account = ?1 AND strategy = ?2")?
        .execute(params![account.to_string(), strategy, millis(now)])?;
    Ok(())
}

pub(super) fn insert(
    db: &Connection,
    account: Uuid,
    credential: &NewCredential,
    now: UnixMillis,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO credentials (strategy, realm, subject, account, secret, created) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        credential.strategy,
        credential.realm,
        credential.subject,
        account.to_string(),
        credential.secret,
        millis(now)
    ])?;
    Ok(())
}
