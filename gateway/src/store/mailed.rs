//! Tokens that are mailed: the newest of each purpose for an account, as a hash, and what
//! using one changes. Using one and its change are one transaction, so that of two who
//! use the same one only one does.

use super::{
    Store, Stored, accounts,
    accounts::taken_by_another,
    credentials,
    events::{Change, tell},
    mails, millis, sessions,
};
use crate::{clock::UnixMillis, sessions::Account};
use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

/// What a mailed token is good for; one of another purpose opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A new password.
    Reset,
    /// Proof of an address.
    Verify,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Verify => "verify",
        }
    }
}

/// A token to be mailed. It replaces the one before it.
#[derive(Clone)]
pub struct NewToken {
    /// Whose.
    pub account: Uuid,
    /// What for.
    pub purpose: Purpose,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// Whom it is mailed to.
    pub address: String,
    /// Of a reset: the strategy that keeps the password.
    pub strategy: Option<String>,
    /// Of a reset: the stored secret that it replaces.
    pub secret: Option<String>,
    /// From when on it is good for nothing.
    pub expires: UnixMillis,
}

/// A token that is still good.
#[derive(Clone, Debug)]
pub struct MailedToken {
    /// Whose.
    pub account: Account,
    /// The strategy that keeps the password.
    pub strategy: Option<String>,
}

/// What using a token that proves an address came to.
#[derive(Clone, Debug)]
pub enum Proof {
    /// It is proved.
    Done {
        /// The account as it is now.
        account: Box<Account>,
        /// The verified address whose place this one has taken.
        before: Option<String>,
    },
    /// Somebody else has the address by now.
    Taken,
    /// No such token, or no more.
    Invalid,
}

/// All that is kept of a mailed token, and of a secret that one is bound to.
pub fn hash_token(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

impl Store {
    /// Keeps a token and the mails that go with it, or neither. Without a token the work
    /// is the same.
    pub async fn post(
        &self,
        token: Option<NewToken>,
        mails: Vec<mails::NewMail>,
        now: UnixMillis,
    ) -> Stored<()> {
        self.write(move |db| {
            match token {
                Some(token) => keep(db, &token)?,
                None => forget(db, Uuid::nil(), Purpose::Reset)?,
            }
            mails.iter().try_for_each(|mail| mails::insert(db, mail, now))
        })
        .await
    }

    /// The token of this hash, if it is still good. It stays good.
    pub async fn mailed_token(
        &self,
        purpose: Purpose,
        hash: [u8; 32],
        now: UnixMillis,
    ) -> Stored<Option<MailedToken>> {
        self.read(move |db| {
            let Some(row) = good(db, purpose, hash, now)? else { return Ok(None) };
            let account = accounts::one(db, row.account)?;
            Ok(account.map(|account| MailedToken { account, strategy: row.strategy }))
        })
        .await
    }

    /// The address that waits for its proof, if one does.
    pub async fn pending_address(&self, account: Uuid, now: UnixMillis) -> Stored<Option<String>> {
        self.read(move |db| {
            db.prepare_cached(
                "SELECT t.address FROM mailed_tokens AS t JOIN accounts AS a ON a.uuid = t.account WHERE \
                 t.account = ?1 AND t.purpose = 'verify' AND t.expires > ?2 AND t.address IS NOT a.email",
            )?
            .query_row(params![account.to_string(), millis(now)], |row| row.get(0))
            .optional()
        })
        .await
    }

    /// Uses a token that proves an address: the account's own, or the one to come, which
    /// takes its place.
    pub async fn prove_address(&self, hash: [u8; 32], now: UnixMillis) -> Stored<Proof> {
        self.write(move |db| {
            let Some(row) = good(db, Purpose::Verify, hash, now)? else { return Ok(Proof::Invalid) };
            let Some(account) = accounts::one(db, row.account)? else { return Ok(Proof::Invalid) };
            forget(db, account.uuid, Purpose::Verify)?;
            let before = account.verified_email().filter(|old| *old != row.address).map(str::to_owned);
            if account.email.as_deref() != Some(row.address.as_str()) {
                if taken_by_another(db, &row.address, account.uuid)? {
                    return Ok(Proof::Taken);
                }
                accounts::replace_address(db, &account, &row.address)?;
                // It was mailed to the old address.
                forget(db, account.uuid, Purpose::Reset)?;
            }
            accounts::changed(db, account.uuid, accounts::PROVED, now)?;
            tell(db, &Change::AccountChanged(account.uuid), now)?;
            let now = accounts::one(db, account.uuid)?;
            Ok(now.map_or(Proof::Invalid, |account| Proof::Done { account: Box::new(account), before }))
        })
        .await
    }

    /// Uses a token for a new secret. Ends all sessions and locks of the account; where it
    /// is the first proof of the address, all other credentials and the metadata go, for
    /// they may be those of somebody who only knew the address.
    pub async fn reset_secret(
        &self,
        hash: [u8; 32],
        secret: String,
        now: UnixMillis,
    ) -> Stored<Option<Account>> {
        self.write(move |db| {
            let Some(row) = good(db, Purpose::Reset, hash, now)? else { return Ok(None) };
            let Some(account) = accounts::one(db, row.account)? else { return Ok(None) };
            let uuid = account.uuid.to_string();
            if account.email.as_deref() != Some(row.address.as_str()) {
                return Ok(None);
            }
            forget_with_secret(db, account.uuid)?;
            db.prepare_cached("UPDATE credentials SET secret = ?3 WHERE account = ?1 AND strategy = ?2")?
                .execute(params![uuid, row.strategy, secret])?;
            if account.email_verified {
                accounts::changed(db, account.uuid, "active = active", now)?;
            } else {
                db.prepare_cached("DELETE FROM credentials WHERE account = ?1 AND strategy IS NOT ?2")?
                    .execute(params![uuid, row.strategy])?;
                forget(db, account.uuid, Purpose::Verify)?;
                accounts::changed(db, account.uuid, accounts::PROVED_ANEW, now)?;
            }
            db.prepare_cached("DELETE FROM lockout_pairs WHERE account = ?1")?.execute([&uuid])?;
            tell(db, &Change::AccountChanged(account.uuid), now)?;
            sessions::end_all(db, account.uuid, now)?;
            accounts::one(db, account.uuid)
        })
        .await
    }
}

/// Removes what is good for nothing any more.
pub(super) fn prune(db: &Connection, now: UnixMillis) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM mailed_tokens WHERE expires <= ?1")?.execute([millis(now)])?;
    Ok(())
}

/// Takes the token of an account away, if there is one.
pub(super) fn forget(db: &Connection, account: Uuid, purpose: Purpose) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM mailed_tokens WHERE account = ?1 AND purpose = ?2")?
        .execute(params![account.to_string(), purpose.as_str()])?;
    Ok(())
}

/// A secret is new: what was mailed for the old one, and an address that whoever knew it
/// wanted to put in the place of the account's, are good for nothing any more. The proof of
/// the account's own address stays.
pub(super) fn forget_with_secret(db: &Connection, account: Uuid) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM mailed_tokens WHERE account = ?1 AND (purpose = 'reset' OR address IS NOT (SELECT email \
         FROM accounts WHERE uuid = ?1))",
    )?
    .execute([account.to_string()])?;
    Ok(())
}

fn keep(db: &Connection, token: &NewToken) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO mailed_tokens (account, purpose, hash, address, strategy, bound, expires) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        token.account.to_string(),
        token.purpose.as_str(),
        token.hash,
        token.address,
        token.strategy,
        token.secret.as_deref().map(hash_token),
        millis(token.expires),
    ])?;
    Ok(())
}

struct Kept {
    account: Uuid,
    address: String,
    strategy: Option<String>,
    bound: Option<Vec<u8>>,
}

/// The token of this hash if it is not over, its account is active and, where it is bound
/// to a secret, that secret is still the stored one.
fn good(
    db: &Connection,
    purpose: Purpose,
    hash: [u8; 32],
    now: UnixMillis,
) -> rusqlite::Result<Option<Kept>> {
    let read = |row: &Row<'_>| {
        Ok(Kept {
            account: super::column_uuid(row, 0)?,
            address: row.get(1)?,
            strategy: row.get(2)?,
            bound: row.get(3)?,
        })
    };
    let found = db
        .prepare_cached(
            "SELECT t.account, t.address, t.strategy, t.bound FROM mailed_tokens AS t JOIN accounts AS a ON \
             a.uuid = t.account WHERE t.hash = ?1 AND t.purpose = ?2 AND t.expires > ?3 AND a.active",
        )?
        .query_row(params![hash, purpose.as_str(), millis(now)], read)
        .optional()?;
    let Some(found) = found else { return Ok(None) };
    if purpose == Purpose::Reset {
        let strategy = found.strategy.as_deref().unwrap_or_default();
        let stored = credentials::secret(db, found.account, strategy)?;
        if found.bound.is_none()
            || stored.as_deref().map(hash_token).as_ref().map(|h| &h[..]) != found.bound.as_deref()
        {
            return Ok(None);
        }
    }
    Ok(Some(found))
}
