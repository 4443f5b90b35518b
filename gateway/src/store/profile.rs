//! What a person changes of an account: their profile, their secret, their credentials.

use super::{
    Store, Stored, accounts, column_millis, credentials,
    events::{Change, tell},
    json,
    mailed::{self, Purpose},
    sessions,
};
use crate::{clock::UnixMillis, sessions::Account};
use portcullis_plugin_api::Object;
use rusqlite::params;
use uuid::Uuid;

/// What is to be changed of a profile.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// The display name, or that there is none.
    pub display_name: Option<Option<String>>,
    /// All of the person's own claims.
    pub metadata: Option<Object>,
}

/// A credential as its owner is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCredential {
    /// The strategy instance.
    pub strategy: String,
    /// When it was made.
    pub created: UnixMillis,
    /// When somebody signed in with it last.
    pub last_used: Option<UnixMillis>,
}

/// What removing credentials came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// They are gone, and these sessions, which they opened, are over.
    Done(Vec<String>),
    /// They are the last.
    Last,
    /// There are none of this strategy.
    None,
}

impl Store {
    /// Whether a name or an address is somebody else's.
    pub async fn is_taken(&self, text: &str, but_of: Uuid) -> Stored<bool> {
        let text = text.to_owned();
        self.read(move |db| accounts::taken_by_another(db, &text, but_of)).await
    }

    /// Changes a profile; none when there is no such account any more.
    pub async fn change_profile(
        &self,
        uuid: Uuid,
        change: ProfileChange,
        now: UnixMillis,
    ) -> Stored<Option<Account>> {
        self.write(move |db| {
            let id = uuid.to_string();
            if let Some(name) = &change.display_name {
                db.prepare_cached("UPDATE accounts SET display_name = ?2 WHERE uuid = ?1")?
                    .execute(params![id, name])?;
            }
            if let Some(metadata) = &change.metadata {
                db.prepare_cached("UPDATE accounts SET metadata = ?2 WHERE uuid = ?1")?
                    .execute(params![id, json(metadata)])?;
            }
            accounts::changed(db, uuid, "active = active", now)?;
            let account = accounts::one(db, uuid)?;
            if account.is_some() {
                tell(db, &Change::AccountChanged(uuid), now)?;
            }
            Ok(account)
        })
        .await
    }

    /// A person has changed their secret: swaps it where the gateway keeps one, and ends
    /// all sessions. False: it was changed meanwhile, and nothing is done.
    pub async fn change_secret(
        &self,
        uuid: Uuid,
        strategy: &str,
        swap: Option<(String, String)>,
        now: UnixMillis,
    ) -> Stored<bool> {
        let strategy = strategy.to_owned();
        self.write(move |db| {
            if let Some((old, new)) = &swap {
                let swapped = db
                    .prepare_cached(
                        "UPDATE credentials SET secret = ?4 WHERE account = ?1 AND strategy = ?2 AND \
                         secret = ?3",
                    )?
                    .execute(params![uuid.to_string(), strategy, old, new])?;
                if swapped == 0 {
                    return Ok(false);
                }
            }
            mailed::forget_with_secret(db, uuid)?;
            accounts::changed(db, uuid, "active = active", now)?;
            tell(db, &Change::AccountChanged(uuid), now)?;
            sessions::end_all(db, uuid, now)?;
            Ok(true)
        })
        .await
    }

    /// The credentials of an account, by strategy.
    pub async fn own_credentials(&self, account: Uuid) -> Stored<Vec<OwnCredential>> {
        self.read(move |db| {
            db.prepare_cached(
                "SELECT strategy, min(created), max(last_used) FROM credentials WHERE account = ?1 GROUP BY \
                 strategy ORDER BY strategy",
            )?
            .query_map([account.to_string()], |row| {
                let last_used: Option<i64> = row.get(2)?;
                Ok(OwnCredential {
                    strategy: row.get(0)?,
                    created: column_millis(row, 1)?,
                    last_used: last_used.map(|at| UnixMillis(at.unsigned_abs())),
                })
            })?
            .collect()
        })
        .await
    }

    /// Removes an account's credentials of one strategy, unless there would be none left of
    /// the strategies that there are, and ends the sessions that they opened.
    pub async fn remove_credentials(
        &self,
        account: Uuid,
        strategy: &str,
        there_are: Vec<String>,
        now: UnixMillis,
    ) -> Stored<Removal> {
        let strategy = strategy.to_owned();
        self.write(move |db| {
            let id = account.to_string();
            match credentials::beside(db, account, &strategy, &there_are)? {
                (0, _) => return Ok(Removal::None),
                (_, 0) => return Ok(Removal::Last),
                _ => {}
            }
            db.prepare_cached("DELETE FROM credentials WHERE account = ?1 AND strategy = ?2")?
                .execute(params![id, strategy])?;
            mailed::forget(db, account, Purpose::Reset)?;
            accounts::changed(db, account, "active = active", now)?;
            tell(db, &Change::AccountChanged(account), now)?;
            sessions::end_by_strategy(db, account, &strategy, now).map(Removal::Done)
        })
        .await
    }

    /// One more way in, for tests of its removal.
    #[cfg(test)]
    pub async fn add_credential_for_tests(&self, account: Uuid, strategy: &str) {
        let new = super::NewCredential {
            strategy: strategy.to_owned(),
            realm: "local".to_owned(),
            subject: account.to_string(),
            secret: None,
        };
        let now = self.now();
        let added = self.write(move |db| super::credentials::insert(db, account, &new, now)).await;
        added.expect("there is none of it yet");
    }
}
