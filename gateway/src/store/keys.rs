//! Signing keys. The private half comes and goes sealed; this room never sees it open.

use super::{
    Store, Stored, column_millis,
    events::{Change, tell},
    key, millis,
    open::OpenError,
    unreadable,
};
use crate::{clock::UnixMillis, seal::Sealer};
use rusqlite::{Connection, OpenFlags, params};

/// What a key does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
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
    /// When it was made.
    pub created: UnixMillis,
    /// PKCS#8, sealed by [`Store::sealer`].
    pub private: Vec<u8>,
    /// The public half, in the form that its maker reads.
    pub public: Vec<u8>,
    /// What it does now.
    pub state: KeyState,
}

impl Store {
    /// All keys, the oldest first.
    pub async fn keys(&self) -> Stored<Vec<StoredKey>> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT kid, purpose, algorithm, created, private, public, state FROM keys ORDER BY created, kid",
            )?
            .query_map([], |row| {
                Ok(StoredKey {
                    kid: row.get(0)?,
                    purpose: row.get(1)?,
                    algorithm: row.get(2)?,
                    created: column_millis(row, 3)?,
                    private: row.get(4)?,
                    public: row.get(5)?,
                    state: match row.get_ref(6)?.as_str()? {
                        "signing" => KeyState::Signing,
                        "verifying" => KeyState::Verifying,
                        _ => return Err(unreadable(6)),
                    },
                })
            })?
            .collect()
        })
        .await
    }

    /// Keeps a new signing key unless one of its purpose signs already, and says whether
    /// it did. After a false, [`keys`](Self::keys) has the one that was first.
    pub async fn insert_key(&self, key: StoredKey) -> Stored<bool> {
        let now = self.now();
        self.write(move |db| {
            let state = match key.state {
                KeyState::Signing => "signing",
                KeyState::Verifying => "verifying",
            };
            let kept = db
                .prepare_cached(
                    "INSERT INTO keys (kid, purpose, algorithm, created, private, public, state) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (purpose) WHERE state = 'signing' DO NOTHING",
                )?
                .execute(params![
                    key.kid,
                    key.purpose,
                    key.algorithm,
                    millis(key.created),
                    key.private,
                    key.public,
                    state
                ])?;
            if kept == 1 {
                tell(db, &Change::KeysChanged, now)?;
            }
            Ok(kept == 1)
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
