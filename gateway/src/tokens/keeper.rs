//! When signing keys come and go: made at the first start, replaced when the configuration
//! wants another algorithm and when they are old, dropped when nothing can need them, and
//! revoked by hand. Every step is one transaction of the store; gateways that share it and
//! commands meet there, and running gateways hear of it by its events.

use super::{
    LoadError,
    keys::{Key, Purpose},
    load::{sealed_for, unsealed},
    material,
};
use crate::{
    clock::{Clock, UnixMillis},
    random::Random,
    seal::Sealer,
    store::{KeyState, Store, StoredKey},
};
use arc_swap::ArcSwap;
use portcullis_config::{Algorithm, Assertion, Secret, Token};
use std::{sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// How long before its turn the next key is published, when its turn comes by itself: two
/// times as long as a verifier may keep the key set (`max-age=300`).
const PUBLISHED_BEFORE: Duration = Duration::from_secs(600);

/// How often it is looked at least: a command may have changed what is due.
const LOOK: Duration = Duration::from_secs(60);

/// And how often at most.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps the store's signing keys as the configuration wants them.
pub struct Keeper {
    store: Store,
    sealer: Sealer,
    random: Random,
    clock: Clock,
    wanted: ArcSwap<Wanted>,
}

/// What the configuration says of keys.
struct Wanted {
    access: Source,
    assertion: Source,
    access_lifetime: Duration,
    assertion_lifetime: Duration,
    rotate: Duration,
}

/// Where a new key comes from.
#[derive(Clone)]
enum Source {
    /// The gateway makes it.
    Made(Algorithm),
    /// `[token] secret`
    Given(Secret),
}

/// A signing key that was followed by another, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// It verifies from now on, and the new one signs.
    Now {
        /// `access` or `assertion`.
        purpose: &'static str,
        /// The key that signed.
        old: String,
        /// The key that signs.
        new: String,
    },
    /// It is the configuration's secret: changing it is the operator's.
    NotOurs,
    /// Another process was faster: its key is the new one.
    Already(&'static str),
}

/// What became of a key that was to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It is gone; this one signs in its place, if it signed.
    Done(Option<String>),
    /// There is none of this name.
    Unknown,
    /// It is the secret that the configuration still wants to sign with.
    Wanted,
    /// It changed meanwhile.
    Changed,
}

impl Wanted {
    fn new(token: &Token, assertion: &Assertion) -> Self {
        let access = match &token.secret {
            Some(secret) => Source::Given(secret.clone()),
            None => Source::Made(token.algorithm),
        };
        Self {
            access,
            assertion: Source::Made(assertion.algorithm),
            access_lifetime: token.max_lifetime,
            assertion_lifetime: assertion.lifetime,
            rotate: token.rotate,
        }
    }

    fn source(&self, purpose: Purpose) -> &Source {
        match purpose {
            Purpose::Access => &self.access,
            Purpose::Assertion => &self.assertion,
        }
    }

    fn lifetime(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Access => self.access_lifetime,
            Purpose::Assertion => self.assertion_lifetime,
        }
    }

    /// How long before its end a key's successor is published.
    fn lead(&self) -> Duration {
        PUBLISHED_BEFORE.min(self.rotate / 2)
    }
}

impl Keeper {
    /// Over these keys, after this configuration.
    pub fn new(
        store: Store,
        sealer: Sealer,
        token: &Token,
        assertion: &Assertion,
        random: Random,
        clock: Clock,
    ) -> Self {
        let wanted = ArcSwap::from_pointee(Wanted::new(token, assertion));
        Self { store, sealer, random, clock, wanted }
    }

    /// Follows another configuration from now on.
    pub async fn follow(&self, token: &Token, assertion: &Assertion) -> Result<(), LoadError> {
        self.wanted.store(Arc::new(Wanted::new(token, assertion)));
        self.settle().await
    }

    /// Sees to it that of each purpose the key signs that the configuration wants.
    pub async fn settle(&self) -> Result<(), LoadError> {
        let wanted = self.wanted.load_full();
        for purpose in Purpose::ALL {
            let keys = self.keys_for(purpose).await?;
            for key in keys.iter().filter(|key| key.state == KeyState::Coming) {
                if !self.fits(key, wanted.source(purpose))? {
                    self.store.revoke_key(key.kid.clone(), None).await?;
                }
            }
            // Another process may be first with either: then its key is the one.
            match keys.iter().find(|key| key.state == KeyState::Signing) {
                None => {
                    let first = self.make(&wanted, purpose, KeyState::Signing).await?;
                    self.store.insert_key(first).await?;
                }
                Some(key) if !self.fits(key, wanted.source(purpose))? => {
                    let next = self.make(&wanted, purpose, KeyState::Signing).await?;
                    tracing::info!(
                        purpose = purpose.name(), old = %key.kid, new = %next.kid, algorithm = %next.algorithm,
                        "the configuration wants another signing key: it signs, and the old one verifies"
                    );
                    self.store.turn_key(key.kid.clone(), next).await?;
                }
                Some(_) => {}
            }
            self.store.lengthen_keys(purpose.name(), wanted.lifetime(purpose)).await?;
        }
        self.store.drop_keys().await?;
        Ok(())
    }

    /// Keeps as long as the gateway runs. To stop in the middle leaves nothing half done.
    pub async fn run(self: Arc<Self>) {
        let mut pause = PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = match self.keep().await {
                Ok(next) => next.clamp(PAUSE, LOOK),
                Err(error) => {
                    tracing::warn!(%error, "the signing keys stay as they are for now");
                    LOOK
                }
            };
        }
    }

    /// Does what is due, and says for how long nothing is.
    pub async fn keep(&self) -> Result<Duration, LoadError> {
        let wanted = self.wanted.load_full();
        if self.store.drop_keys().await? > 0 {
            tracing::info!("old signing keys are gone: all that they signed has run out");
        }
        let mut pause = LOOK;
        for purpose in Purpose::ALL {
            if matches!(wanted.source(purpose), Source::Given(_)) {
                continue;
            }
            let keys = self.keys_for(purpose).await?;
            let Some(signing) = keys.iter().find(|key| key.state == KeyState::Signing) else { continue };
            let coming = keys.iter().any(|key| key.state == KeyState::Coming);
            let now = self.clock.now();
            let due = signing.created.plus(wanted.rotate);
            let publish = signing.created.plus(wanted.rotate - wanted.lead());
            if now >= due {
                self.turn(&wanted, purpose, signing, &keys).await?;
                pause = PAUSE;
            } else if now >= publish && !coming {
                let next = self.make(&wanted, purpose, KeyState::Coming).await?;
                tracing::info!(purpose = purpose.name(), kid = %next.kid, "the next signing key is published");
                self.store.insert_key(next).await?;
                pause = pause.min(due.since(now));
            } else {
                pause = pause.min(if coming { due } else { publish }.since(now));
            }
        }
        Ok(pause)
    }

    /// Replaces each signing key at once, for both purposes.
    pub async fn rotate(&self) -> Result<Vec<Rotated>, LoadError> {
        let wanted = self.wanted.load_full();
        let mut all = Vec::new();
        for purpose in Purpose::ALL {
            let keys = self.keys_for(purpose).await?;
            let signing = keys.iter().find(|key| key.state == KeyState::Signing);
            let Some(signing) = signing else {
                return Err(LoadError::Key(format!("there is no signing key for {}", purpose.name())));
            };
            all.push(match self.fits(signing, wanted.source(purpose))? {
                true if matches!(wanted.source(purpose), Source::Given(_)) => Rotated::NotOurs,
                _ => self.turn(&wanted, purpose, signing, &keys).await?,
            });
        }
        Ok(all)
    }

    /// Takes a key away: nothing that it signed is believed any more.
    pub async fn revoke(&self, kid: &str) -> Result<Revoked, LoadError> {
        let wanted = self.wanted.load_full();
        let keys = self.store.keys().await?;
        let Some(key) = keys.iter().find(|key| key.kid == kid) else { return Ok(Revoked::Unknown) };
        let purpose = Purpose::of_name(&key.purpose);
        let next = match purpose.filter(|_| key.state == KeyState::Signing) {
            None => None,
            Some(purpose) => {
                let source = wanted.source(purpose);
                if matches!(source, Source::Given(_)) && self.fits(key, source)? {
                    return Ok(Revoked::Wanted);
                }
                Some(self.make(&wanted, purpose, KeyState::Signing).await?)
            }
        };
        let successor = next.as_ref().map(|next| next.kid.clone());
        match self.store.revoke_key(kid.to_owned(), next).await? {
            true => Ok(Revoked::Done(successor)),
            false => Ok(Revoked::Changed),
        }
    }

    /// The next key signs: the one that is published already, or else a new one.
    async fn turn(
        &self,
        wanted: &Wanted,
        purpose: Purpose,
        signing: &StoredKey,
        keys: &[StoredKey],
    ) -> Result<Rotated, LoadError> {
        let mut coming = None;
        for key in keys.iter().filter(|key| key.state == KeyState::Coming) {
            if self.fits(key, wanted.source(purpose))? {
                coming = Some(key.clone());
            }
        }
        let next = match coming {
            Some(key) => StoredKey { state: KeyState::Signing, created: self.clock.now(), ..key },
            None => self.make(wanted, purpose, KeyState::Signing).await?,
        };
        let (old, new, purpose) = (signing.kid.clone(), next.kid.clone(), purpose.name());
        if !self.store.turn_key(old.clone(), next).await? {
            return Ok(Rotated::Already(purpose));
        }
        tracing::info!(purpose, %old, %new, "a new key signs; the old one verifies what it signed");
        Ok(Rotated::Now { purpose, old, new })
    }

    async fn keys_for(&self, purpose: Purpose) -> Result<Vec<StoredKey>, LoadError> {
        let mut keys = self.store.keys().await?;
        keys.retain(|key| key.purpose == purpose.name());
        Ok(keys)
    }

    /// Whether a key is one that this source gives.
    fn fits(&self, key: &StoredKey, source: &Source) -> Result<bool, LoadError> {
        match source {
            Source::Made(algorithm) => Ok(key.algorithm == algorithm.name()),
            Source::Given(_) if key.algorithm != Algorithm::Hs256.name() => Ok(false),
            Source::Given(secret) => {
                let (_, _, kept) = unsealed(key, &self.sealer)?;
                Ok(kept.as_slice() == secret.reveal().as_bytes())
            }
        }
    }

    async fn make(&self, wanted: &Wanted, purpose: Purpose, state: KeyState) -> Result<StoredKey, LoadError> {
        let (algorithm, private) = match wanted.source(purpose).clone() {
            // The search for two primes would hold up whatever else this thread serves.
            Source::Made(algorithm) => (
                algorithm,
                tokio::task::spawn_blocking(move || material::generate(algorithm))
                    .await
                    .map_err(|_| LoadError::Key("a signing key could not be made".into()))?,
            ),
            Source::Given(secret) => (Algorithm::Hs256, Zeroizing::new(secret.reveal().as_bytes().to_vec())),
        };
        let lifetime = wanted.lifetime(purpose);
        sealed(purpose, algorithm, &private, state, lifetime, self.clock.now(), &self.random, &self.sealer)
    }
}

#[allow(clippy::too_many_arguments)] // one row, column by column
pub(super) fn sealed(
    purpose: Purpose,
    algorithm: Algorithm,
    private: &[u8],
    state: KeyState,
    lifetime: Duration,
    now: UnixMillis,
    random: &Random,
    sealer: &Sealer,
) -> Result<StoredKey, LoadError> {
    let key = Key::from_private(purpose, true, algorithm, private, &random.uuid().to_string())
        .map_err(|_| LoadError::Key("a new signing key cannot be read back".into()))?;
    Ok(StoredKey {
        kid: key.kid().to_owned(),
        purpose: purpose.name().to_owned(),
        algorithm: algorithm.name().to_owned(),
        created: now,
        private: sealer.seal(&sealed_for(purpose, algorithm, key.kid()), private),
        public: key.material().public(),
        state,
        lifetime,
        until: None,
    })
}
