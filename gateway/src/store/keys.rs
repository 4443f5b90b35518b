//! Signing keys. The private half comes and goes sealed; this room never sees it open.

use super::{
    Store, Stored, column_millis,
    events::{Change, tell},
    key, millis,
    open::OpenError,
    unreadable,
};
use crate::{clock::UnixMillis, seal::Sealer};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use std::time::Duration;

/// What a key does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published and signs nothing yet; of each purpose one at most is.
    Coming,
    /// It signs; of each purpose one does.
    Signing,
    /// It signs no more, and what it signed is still believed.
    Verifying,
}

/// A signing key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name in the key set.
    pub kid: String,
    /// `access` or `assertion`.
    pub purpose: String,
    /// `ES256`, …
    pub algorithm: String,
    /// When it was made, or when its turn to sign came.
    pub created: UnixMillis,
    /// PKCS#8, sealed by [`Store::sealer`].
    pub private: Vec<u8>,
    /// The public half, in the form that its maker reads.
    pub public: Vec<u8>,
    /// What it does now.
    pub state: KeyState,
    /// The longest that anything it signs may live.
    pub lifetime: Duration,
    /// From when on nothing can need it; none while it signs.
    pub until: Option<UnixMillis>,
}

/// A gateway that runs learns a moment after the store that its key signs no more, and
/// another machine's clock may differ from this one's.
const SLACK: Duration = Duration::from_secs(60);

impl KeyState {
    /// As the store names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coming => "coming",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
        }
    }
}

impl Store {
    /// All keys, the oldest first.
    pub async fn keys(&self) -> Stored<Vec<StoredKey>> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT kid, purpose, algorithm, created, private, public, state, lifetime, until \
                 FROM keys ORDER BY created, kid",
            )?
            .query_map([], stored)?
            .collect()
        })
        .await
    }

    /// Keeps a new key unless one of its purpose signs already (or is to come, for one that
    /// is to come), and says whether it did. After a false, [`keys`](Self::keys) has the
    /// one that was first.
    pub async fn insert_key(&self, key: StoredKey) -> Stored<bool> {
        let now = self.now();
        self.write(move |db| {
            let kept = insert(db, &key)?;
            if kept {
                tell(db, &Change::KeysChanged, now)?;
            }
            Ok(kept)
        })
        .await
    }

    /// `next` signs from now on, and `old` verifies as long as anything it signed may live.
    /// `next` may be here already, as the one to come. False, and nothing has changed: `old`
    /// is not the key that signs.
    pub async fn turn_key(&self, old: String, next: StoredKey) -> Stored<bool> {
        let now = self.now();
        self.write(move |db| {
            let turned = db
                .prepare_cached(
                    "UPDATE keys SET state = 'verifying', until = ?3 + lifetime \
                     WHERE kid = ?1 AND purpose = ?2 AND state = 'signing'",
                )?
                .execute(params![old, next.purpose, millis(now.plus(SLACK))])?;
            if turned == 0 {
                return Ok(false);
            }
            db.prepare_cached("DELETE FROM keys WHERE kid = ?1")?.execute([&next.kid])?;
            insert(db, &next)?;
            tell(db, &Change::KeysChanged, now)?;
            Ok(true)
        })
        .await
    }

    /// Takes a key away; `next` signs in its place. False, and nothing has changed: there is
    /// no such key, or it signs and there is no `next`.
    pub async fn revoke_key(&self, kid: String, next: Option<StoredKey>) -> Stored<bool> {
        let now = self.now();
        self.write(move |db| {
            let state: Option<String> = db
                .prepare_cached("SELECT state FROM keys WHERE kid = ?1")?
                .query_row([&kid], |row| row.get(0))
                .optional()?;
            let signs = match state.as_deref() {
                None => return Ok(false),
                Some(state) => state == KeyState::Signing.name(),
            };
            if signs && next.is_none() {
                return Ok(false);
            }
            db.prepare_cached("DELETE FROM keys WHERE kid = ?1")?.execute([&kid])?;
            if let Some(next) = next.filter(|_| signs) {
                insert(db, &next)?;
            }
            tell(db, &Change::KeysChanged, now)?;
            Ok(true)
        })
        .await
    }

    /// What the signing key of a purpose signs may live so long: it verifies at least that
    /// long after its last signature.
    pub async fn lengthen_keys(&self, purpose: &'static str, lifetime: Duration) -> Stored<()> {
        self.write(move |db| {
            db.prepare_cached(
                "UPDATE keys SET lifetime = ?2 WHERE purpose = ?1 AND state <> 'verifying' AND lifetime < ?2",
            )?
            .execute(params![purpose, span(lifetime)])
            .map(drop)
        })
        .await
    }

    /// Removes the keys that nothing can need any more, and says how many.
    pub async fn drop_keys(&self) -> Stored<usize> {
        let now = self.now();
        self.write(move |db| {
            let dropped = db
                .prepare_cached("DELETE FROM keys WHERE state = 'verifying' AND until <= ?1")?
                .execute([millis(now)])?;
            if dropped > 0 {
                tell(db, &Change::KeysChanged, now)?;
            }
            Ok(dropped)
        })
        .await
    }

    /// What seals under `[store] key`. `serve` has it from the start; a command reads the
    /// key only when it comes to this, and may block for it.
    pub fn sealer(&self) -> Result<Sealer, OpenError> {
        if let Some(sealer) = self.inner.sealer.get() {
            return Ok(sealer.clone());
        }
        let path = &self.inner.path;
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(|error| OpenError::because(path, "cannot be opened", &error))?;
        let sealer = key::sealer(&db, path, &self.inner.key, &self.inner.random, false)?;
        Ok(self.inner.sealer.get_or_init(|| sealer).clone())
    }
}

fn insert(db: &Connection, key: &StoredKey) -> rusqlite::Result<bool> {
    let kept = db
        .prepare_cached(
            "INSERT INTO keys (kid, purpose, algorithm, created, private, public, state, lifetime, until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            key.kid,
            key.purpose,
            key.algorithm,
            millis(key.created),
            key.private,
            key.public,
            key.state.name(),
            span(key.lifetime),
            key.until.map(millis),
        ])?;
    Ok(kept == 1)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredKey> {
    let until = row.get_ref(8)?.as_i64_or_null()?;
    Ok(StoredKey {
        kid: row.get(0)?,
        purpose: row.get(1)?,
        algorithm: row.get(2)?,
        created: column_millis(row, 3)?,
        private: row.get(4)?,
        public: row.get(5)?,
        state: match row.get_ref(6)?.as_str()? {
            "coming" => KeyState::Coming,
            "signing" => KeyState::Signing,
            "verifying" => KeyState::Verifying,
            _ => return Err(unreadable(6)),
        },
        lifetime: Duration::from_millis(column_millis(row, 7)?.0),
        until: until.map(|at| UnixMillis(at.unsigned_abs())),
    })
}

fn span(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
