//! What survives a restart and `kill -9`: accounts, credentials, sessions, lockout
//! counters, signing keys, and the `events` by which one process tells another what
//! changed. SQLite with WAL and `synchronous=FULL`: what a client was told is on disk.
//!
//! One file per aggregate. Every change and its event are one transaction.

use crate::{
    clock::UnixMillis,
    sessions::{Account, SessionRecord},
};
use portcullis_plugin_api::Object;
use std::net::IpAddr;
use uuid::Uuid;

/// Why the store did not answer.
#[derive(Clone, Debug)]
pub struct StoreError(pub String);

/// What a query answers.
pub type Stored<T> = Result<T, StoreError>;

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its uuid.
    pub uuid: Uuid,
    /// Checked and folded by `accounts::name`.
    pub name: String,
    /// The address.
    pub email: Option<String>,
    /// Set by an operator: true.
    pub email_verified: bool,
    /// What to show.
    pub display_name: Option<String>,
    /// By an operator.
    pub roles: Vec<String>,
    /// The person's own claims.
    pub metadata: Object,
    /// The operator's claims.
    pub app: Object,
}

/// A credential to be made: (strategy id, realm, subject) of one account.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// The strategy instance.
    pub strategy: String,
    /// `local` for strategies that keep a stored credential.
    pub realm: String,
    /// Within the realm.
    pub subject: String,
    /// What the strategy said to store.
    pub secret: Option<String>,
}

/// Why an account was not made.
#[derive(Clone, Debug)]
pub enum CreateRefused {
    /// Somebody has that name, or it is somebody's address.
    NameTaken,
    /// Somebody has that address, or it is somebody's name.
    EmailTaken,
}

/// A credential as it is kept.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Whose.
    pub account: Uuid,
    /// Within the realm.
    pub subject: String,
    /// The stored secret.
    pub secret: Option<String>,
}

/// What lockout says before a password is looked at.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// Go on; the failure is already counted and can be given back or cleared.
    Counted(Reservation),
    /// This pair of account and network is locked until then.
    Locked(UnixMillis),
    /// This address failed too often in this minute; again after so many seconds.
    TooMany(u32),
}

/// A failure that was counted before the password was looked at.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// Keys of the counters it was counted on; the store's own business.
    pub(crate) keys: Vec<[u8; 32]>,
}

/// The limits of `[lockout]`.
#[derive(Clone, Copy, Debug)]
pub struct LockoutLimits {
    /// `failures`
    pub failures: u32,
    /// `window`
    pub window: std::time::Duration,
    /// `duration`
    pub duration: std::time::Duration,
    /// `per_address`
    pub per_address: u32,
}

/// A handle on the store; clones share one writer.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// By name or verified or unverified address, whichever it is.
    pub async fn account_by_identifier(&self, _text: &str) -> Stored<Option<Account>> {
        unimplemented!()
    }
    /// By name.
    pub async fn account_by_name(&self, _name: &str) -> Stored<Option<Account>> {
        unimplemented!()
    }
    /// By uuid.
    pub async fn account(&self, _uuid: Uuid) -> Stored<Option<Account>> {
        unimplemented!()
    }
    /// All, by name.
    pub async fn accounts(&self) -> Stored<Vec<Account>> {
        unimplemented!()
    }
    /// An account and its credentials, or neither.
    pub async fn create_account(
        &self,
        _account: NewAccount,
        _credentials: Vec<NewCredential>,
        _now: UnixMillis,
    ) -> Stored<Result<Account, CreateRefused>> {
        unimplemented!()
    }
    /// Disabling ends all its sessions.
    pub async fn set_active(&self, _uuid: Uuid, _active: bool, _now: UnixMillis) -> Stored<bool> {
        unimplemented!()
    }
    /// Replaces the operator's roles.
    pub async fn set_roles(&self, _uuid: Uuid, _roles: Vec<String>, _now: UnixMillis) -> Stored<bool> {
        unimplemented!()
    }
    /// With its credentials and sessions.
    pub async fn delete_account(&self, _uuid: Uuid) -> Stored<bool> {
        unimplemented!()
    }
    /// The credential of this account for this strategy instance.
    pub async fn credential(&self, _strategy: &str, _account: Uuid) -> Stored<Option<Credential>> {
        unimplemented!()
    }
    /// All strategy ids for which the account has a credential.
    pub async fn credential_strategies(&self, _account: Uuid) -> Stored<Vec<String>> {
        unimplemented!()
    }
    /// Sets a new secret (makes the credential if there is none) and ends all sessions of
    /// the account.
    pub async fn replace_secret(
        &self,
        _account: Uuid,
        _credential: NewCredential,
        _now: UnixMillis,
    ) -> Stored<bool> {
        unimplemented!()
    }
    /// Swaps `old` for `new`, the same secret with other parameters; false when `old` is no
    /// longer what is stored. Ends nothing.
    pub async fn renew_secret(
        &self,
        _strategy: &str,
        _account: Uuid,
        _old: &str,
        _new: &str,
    ) -> Stored<bool> {
        unimplemented!()
    }
    /// Inserts a session if its account is still active and, where the login looked at a
    /// secret, that secret is still the stored one; false otherwise.
    pub async fn insert_session(&self, _session: SessionRecord, _secret: Option<String>) -> Stored<bool> {
        unimplemented!()
    }
    /// Ends one; false when there was none.
    pub async fn end_session(&self, _sid: &str) -> Stored<bool> {
        unimplemented!()
    }
    /// Ends all of an account, and says how many.
    pub async fn end_sessions_of(&self, _account: Uuid) -> Stored<usize> {
        unimplemented!()
    }
    /// Counts a failure before the password is looked at, atomically with the question
    /// whether one more is allowed. `account` is who was named, known or not.
    pub async fn attempt(
        &self,
        _account: &str,
        _client: IpAddr,
        _limits: LockoutLimits,
        _now: UnixMillis,
    ) -> Stored<Attempt> {
        unimplemented!()
    }
    /// The attempt ended in an error: it was no failure.
    pub async fn give_back(&self, _reservation: Reservation) -> Stored<()> {
        unimplemented!()
    }
    /// The attempt succeeded: the pair starts again at zero, and the address gets this one back.
    pub async fn clear(&self, _reservation: Reservation) -> Stored<()> {
        unimplemented!()
    }
    /// Removes every lock of an account.
    pub async fn unlock(&self, _account: &str) -> Stored<()> {
        unimplemented!()
    }
}
