//! Keys between the store and the ring: kept under the seal, read again when one comes or
//! goes. When that is, `keeper.rs` decides.

use super::{
    Keeper, RefreshKeys, Tokens,
    keys::{Key, Purpose},
};
use crate::{
    clock::Clock,
    random::Random,
    seal::Sealer,
    store::{KeyState, Store, StoreError, StoredKey},
};
use portcullis_config::{Algorithm, Assertion, Token};
use zeroize::Zeroizing;

/// Why the keys are not at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The store did not answer; it may the next time.
    Store(StoreError),
    /// A key in it is of no use, and will not get better by itself.
    Key(String),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the signing keys could not be read: {error}"),
            Self::Key(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Tokens {
    /// With the keys of the store, once they are what the configuration wants.
    pub async fn load(
        store: &Store,
        sealer: &Sealer,
        token: &Token,
        assertion: &Assertion,
        random: Random,
        clock: &Clock,
    ) -> Result<Self, LoadError> {
        let (store, sealer) = (store.clone(), sealer.clone());
        let keeper =
            Keeper::new(store.clone(), sealer.clone(), token, assertion, random.clone(), clock.clone());
        keeper.settle().await?;
        let keys = opened(&store.keys().await?, &sealer)?;
        Ok(Self::with_keys(keys, token, assertion, RefreshKeys::new(&sealer), random))
    }

    /// Takes over what keys the store has now; on an error the old ones stay.
    pub async fn reload(&self, store: &Store, sealer: &Sealer) -> Result<(), LoadError> {
        self.replace(opened(&store.keys().await?, sealer)?);
        Ok(())
    }
}

/// What a key is sealed for: it opens as no key of another purpose. A secret's name is not
/// made from it, so the seal covers that as well.
pub(super) fn sealed_for(purpose: Purpose, algorithm: Algorithm, kid: &str) -> String {
    match algorithm {
        Algorithm::Hs256 => format!("signing secret: {}: {kid}", purpose.name()),
        _ => format!("signing key: {}", purpose.name()),
    }
}

fn opened(stored: &[StoredKey], sealer: &Sealer) -> Result<Vec<Key>, LoadError> {
    let keys = stored.iter().map(|key| open(key, sealer)).collect::<Result<Vec<_>, _>>()?;
    match Purpose::ALL.into_iter().find(|p| !keys.iter().any(|key| key.signs_for(*p))) {
        Some(purpose) => {
            let name = purpose.name();
            Err(LoadError::Key(format!("the store has no signing key for {name}: restart, and one is made")))
        }
        None => Ok(keys),
    }
}

/// The private half of a stored key, and what the row says of it.
pub(super) fn unsealed(
    stored: &StoredKey,
    sealer: &Sealer,
) -> Result<(Purpose, Algorithm, Zeroizing<Vec<u8>>), LoadError> {
    let purpose = Purpose::of_name(&stored.purpose)
        .ok_or_else(|| broken(stored, "is for a purpose that this version does not know"))?;
    let algorithm = Algorithm::of_name(&stored.algorithm)
        .ok_or_else(|| broken(stored, "is for an algorithm that this version does not know"))?;
    let private = sealer
        .open(&sealed_for(purpose, algorithm, &stored.kid), &stored.private)
        .map_err(|_| broken(stored, "does not open under [store] key, or was changed"))?;
    Ok((purpose, algorithm, private))
}

pub(super) fn open(stored: &StoredKey, sealer: &Sealer) -> Result<Key, LoadError> {
    let (purpose, algorithm, private) = unsealed(stored, sealer)?;
    let signs = stored.state == KeyState::Signing;
    let key = Key::from_private(purpose, signs, algorithm, &private, &stored.kid)
        .map_err(|_| broken(stored, &format!("is no {} key", algorithm.name())))?;
    // The seal does not cover the row's other columns: they must agree with the key.
    if key.kid() != stored.kid {
        return Err(broken(stored, "is stored under a name that is not its own"));
    }
    Ok(key)
}

fn broken(stored: &StoredKey, what: &str) -> LoadError {
    LoadError::Key(format!("signing key {} {what}", stored.kid))
}
