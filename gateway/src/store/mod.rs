//! What survives a restart and `kill -9`: accounts, credentials, sessions, lockout
//! counters, signing keys, and the `events` by which one process tells another what
//! changed. SQLite with WAL and `synchronous=FULL`: what a client was told is on disk.
//!
//! `open.rs` opening · `key.rs` the key that seals · `lock.rs` one `serve` at a time ·
//! `migrations.rs` forms of the store · `thread.rs` the writer and the readers · then one
//! file per aggregate. Every change and its event are one transaction.
//!
//! What may not come in: what a name may look like, who may sign in, when a session is
//! idle. The store keeps what it is given and answers what it is asked.

mod accounts;
mod credentials;
mod events;
mod external;
mod families;
mod flows;
mod key;
mod keys;
mod lock;
mod lockout;
mod mailed;
mod mails;
mod managed;
mod migrations;
mod open;
mod profile;
mod refreshes;
mod sessions;
mod shown;
mod thread;
mod underway;

pub use events::{Change, Event};
pub use external::{ExternalLogin, ExternalOutcome, KnownLogin, Linked};
pub use families::{NewFamily, Presented, Rotation, Successor, Terms};
pub use flows::{AT_ONCE, IN_ALL, NewFlow, PER_NETWORK, TakenFlow};
pub use keys::{KeyState, StoredKey};
pub use mailed::{MailedToken, NewToken, Proof, Purpose, hash_token};
pub use mails::{NewMail, QueuedMail};
pub use managed::{AccountChange, KnownCredential, Page, Removed};
pub use open::{OpenError, OpenMode, StoreOptions};
pub use profile::{OwnCredential, ProfileChange, Removal};
pub use refreshes::DueRefresh;

use crate::{
    clock::{Clock, UnixMillis},
    random::Random,
    seal::Sealer,
};
use portcullis_config::StoreKey;
use portcullis_plugin_api::Object;
use rusqlite::{Connection, Row, types::Type};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};
use uuid::Uuid;

/// Why the store did not answer. The text is for the log and holds no value of anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(pub String);

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    /// SQLite names tables, columns and constraints; all other errors of the library may
    /// quote a value and are only named.
    fn from(error: rusqlite::Error) -> Self {
        Self(match error {
            rusqlite::Error::SqliteFailure(code, text) => {
                format!("sqlite {}: {}", code.extended_code, text.unwrap_or_else(|| code.to_string()))
            }
            rusqlite::Error::FromSqlConversionFailure(column, ..)
            | rusqlite::Error::InvalidColumnType(column, ..)
            | rusqlite::Error::IntegralValueOutOfRange(column, ..) => {
                format!("column {column} of an answer cannot be read")
            }
            _ => "a question to the store was put wrongly".into(),
        })
    }
}

/// What a query answers.
pub type Stored<T> = Result<T, StoreError>;

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its uuid.
    pub uuid: Uuid,
    /// Checked and folded by `accounts::name`.
    pub name: String,
    /// No: it is an address that nobody has proved.
    pub name_proved: bool,
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
    /// Whether it may sign in yet.
    pub active: bool,
}

/// A credential to be made: (strategy id, realm, subject) of one account.
#[derive(Clone)]
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
#[derive(Clone)]
pub struct Credential {
    /// Whose.
    pub account: Uuid,
    /// Within the realm.
    pub subject: String,
    /// The stored secret.
    pub secret: Option<String>,
}

/// What lockout says before a password is looked at.
#[derive(Debug)]
pub enum Attempt {
    /// Go on; the failure is already counted and can be given back or cleared.
    Counted(Reservation),
    /// This pair of account and network is locked until then.
    Locked(UnixMillis),
    /// The account has failed too often, and it did not sign in from this network lately.
    Closed,
    /// This address failed too often in this minute; again after so many seconds.
    TooMany(u32),
}

/// A failure that was counted before the password was looked at. Dropped, it is decided:
/// given back and cleared come first.
#[derive(Debug)]
pub struct Reservation {
    /// The account from this network.
    pair: lockout::Counter,
    /// The account from anywhere.
    account: lockout::Counter,
    /// The address, whatever the account; none: it was counted by another one.
    address: Option<lockout::Counter>,
    /// When it was counted.
    at: UnixMillis,
    _underway: underway::Attempting,
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
    /// `account_failures`
    pub account_failures: u32,
    /// `per_address`
    pub per_address: u32,
}

/// A handle on the store; clones share one writer.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What the clones share. When the last is gone the threads finish what they have, and
/// the lock falls after them.
struct Inner {
    lanes: Option<Lanes>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    clock: Clock,
    random: Random,
    key: StoreKey,
    path: PathBuf,
    sealer: OnceLock<Sealer>,
    lockout_key: lockout::Key,
    underway: underway::Underway,
    /// Questions that were put: what equal work is proven by.
    asked: AtomicU64,
    /// Questions that were not answered.
    errors: AtomicU64,
    _lock: Option<lock::Lock>,
    #[cfg(test)]
    folder: Option<tempfile::TempDir>,
}

struct Lanes {
    write: thread::Writer,
    read: thread::Readers,
    watch: thread::Readers,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.lanes = None;
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

impl Store {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    fn lanes(&self) -> Stored<&Lanes> {
        self.inner.lanes.as_ref().ok_or_else(|| StoreError("the store is closed".into()))
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Stored<T> {
        self.counted(self.lanes()?.read.run(work).await)
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Stored<T> {
        self.counted(self.lanes()?.write.run(work).await)
    }

    fn counted<T>(&self, answer: Stored<T>) -> Stored<T> {
        self.inner.asked.fetch_add(1, Ordering::Relaxed);
        if answer.is_err() {
            self.inner.errors.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// How many questions were not answered since the start.
    pub fn errors(&self) -> u64 {
        self.inner.errors.load(Ordering::Relaxed)
    }

    /// How many questions were put since the start.
    pub fn asked(&self) -> u64 {
        self.inner.asked.load(Ordering::Relaxed)
    }

    fn now(&self) -> UnixMillis {
        self.inner.clock.now()
    }

    /// A store in a folder of its own that goes with the last handle: for unit tests.
    #[cfg(test)]
    pub fn open_temporary(random: Random, clock: Clock) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut store = Self::open(StoreOptions {
            path: folder.path().join("portcullis.db"),
            key: StoreKey::File(folder.path().join("portcullis.key")),
            mode: OpenMode::Serve,
            clock,
            random,
        })
        .expect("a fresh store opens");
        Arc::get_mut(&mut store.inner).expect("nobody else has it yet").folder = Some(folder);
        store
    }
}

/// SQLite's integers are signed; our times are not so far ahead.
fn millis(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("strings and JSON values have a JSON form")
}

/// A column that is not as it was written: without the value, which may be anybody's.
fn unreadable(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, String::new(), Type::Text)
}

fn column_millis(row: &Row<'_>, column: usize) -> rusqlite::Result<UnixMillis> {
    row.get::<_, i64>(column).map(|at| UnixMillis(u64::try_from(at).unwrap_or(0)))
}

fn column_uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Uuid::parse_str(row.get_ref(column)?.as_str()?).map_err(|_| unreadable(column))
}

fn column_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|_| unreadable(column))
}

#[cfg(test)]
mod tests;
