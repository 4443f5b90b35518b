//! Keys between the store and the ring: made at the first start, kept under the seal,
//! read again when one comes or goes.

use super::{
    Tokens,
    keys::{self, Key, Purpose},
};
use crate::{
    clock::{Clock, UnixMillis},
    random::Random,
    seal::Sealer,
    store::{KeyState, Store, StoreError, StoredKey},
};
use portcullis_config::{Assertion, Token};

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
    /// With the keys of the store; those that are missing are made.
    pub async fn load(
        store: &Store,
        sealer: &Sealer,
        token: &Token,
        assertion: &Assertion,
        random: Random,
        clock: &Clock,
    ) -> Result<Self, LoadError> {
        let mut stored = store.keys().await?;
        for purpose in Purpose::ALL {
            if !stored.iter().any(|key| key.purpose == purpose.name() && key.state == KeyState::Signing) {
                store.insert_key(make(purpose, sealer, clock.now())?).await?;
                // Another process may have been first: its key is the one.
                stored = store.keys().await?;
            }
        }
        Ok(Self::with_keys(opened(&stored, sealer)?, token, assertion, random))
    }

    /// Takes over what keys the store has now; on an error the old ones stay.
    pub async fn reload(&self, store: &Store, sealer: &Sealer) -> Result<(), LoadError> {
        self.replace(opened(&store.keys().await?, sealer)?);
        Ok(())
    }
}

/// What a key is sealed for: it opens as no key of another purpose.
fn sealed_for(purpose: Purpose) -> String {
    format!("signing key: {}", purpose.name())
}

fn make(purpose: Purpose, sealer: &Sealer, now: UnixMillis) -> Result<StoredKey, LoadError> {
    let pkcs8 = keys::generate();
    let key = Key::from_pkcs8(purpose, true, &pkcs8)
        .map_err(|_| LoadError::Key("a new signing key cannot be read back".into()))?;
    Ok(StoredKey {
        kid: key.kid().to_owned(),
        purpose: purpose.name().to_owned(),
        algorithm: key.algorithm_name().to_owned(),
        created: now,
        private: sealer.seal(&sealed_for(purpose), &pkcs8),
        public: key.public().to_vec(),
        state: KeyState::Signing,
    })
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

fn open(stored: &StoredKey, sealer: &Sealer) -> Result<Key, LoadError> {
    let kid = &stored.kid;
    let broken = |what: &str| LoadError::Key(format!("signing key {kid} {what}"));
    let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.name() == stored.purpose);
    let purpose = purpose.ok_or_else(|| broken("is for a purpose that this version does not know"))?;
    let pkcs8 = sealer
        .open(&sealed_for(purpose), &stored.private)
        .map_err(|_| broken("does not open under [store] key, or was changed"))?;
    let key = Key::from_pkcs8(purpose, stored.state == KeyState::Signing, &pkcs8)
        .map_err(|_| broken("is no ES256 key"))?;
    // The seal does not cover the row's other columns: they must agree with the key.
    if key.kid() != kid || key.algorithm_name() != stored.algorithm {
        return Err(broken("is stored under a name or algorithm that is not its own"));
    }
    Ok(key)
}

/// A further key that verifies only, as a rotation by another process leaves one.
#[cfg(test)]
pub(crate) fn stored_key_for_tests(store: &Store, now: UnixMillis) -> StoredKey {
    let sealer = store.sealer().expect("the store has its key");
    let key = make(Purpose::Access, &sealer, now).expect("a new key is good");
    StoredKey { state: KeyState::Verifying, ..key }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::{Account, live_for_tests};
    use std::time::Duration;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    async fn load(store: &Store, sealer: &Sealer) -> Result<Tokens, LoadError> {
        let token = Token {
            issuer: "https://gw.test".into(),
            audience: "https://gw.test".into(),
            lifetime: Duration::from_secs(900),
            max_lifetime: Duration::from_secs(900),
            schemes: vec![],
        };
        let assertion = Assertion { header: "X-A".into(), lifetime: Duration::from_secs(60) };
        Tokens::load(store, sealer, &token, &assertion, Random::system(), &Clock::manual(NOW)).await
    }

    fn store() -> Store {
        Store::open_temporary(Random::system(), Clock::manual(NOW))
    }

    fn token_of(tokens: &Tokens) -> String {
        let account = Account::for_tests("ann");
        let session = live_for_tests("sid-1", account.clone(), NOW, NOW.plus(Duration::from_secs(900)));
        tokens.access(&session, &account, NOW, session.expires())
    }

    #[tokio::test]
    async fn keys_are_made_once_and_survive_a_restart() {
        let store = store();
        let sealer = store.sealer().unwrap();
        let first = load(&store, &sealer).await.unwrap();
        let token = token_of(&first);
        let again = load(&store, &sealer).await.unwrap();
        assert_eq!(again.jwks(), first.jwks());
        assert!(again.verify(&token, NOW).is_ok());
        assert_eq!(store.keys().await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn no_private_key_lies_open_in_the_store() {
        let store = store();
        load(&store, &store.sealer().unwrap()).await.unwrap();
        for key in store.keys().await.unwrap() {
            // The OID of P-256 is in every PKCS #8 document of such a key.
            let oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
            assert!(!key.private.windows(oid.len()).any(|window| window == oid));
        }
    }

    #[tokio::test]
    async fn a_key_that_does_not_open_stops_the_start_and_not_a_reload() {
        let store = store();
        let tokens = load(&store, &store.sealer().unwrap()).await.unwrap();
        let wrong = Sealer::from_text("another", Random::system());
        assert!(matches!(load(&store, &wrong).await, Err(LoadError::Key(_))));
        assert!(tokens.reload(&store, &wrong).await.is_err());
        assert!(tokens.verify(&token_of(&tokens), NOW).is_ok(), "the old keys stay");
        assert_eq!(tokens.generation(), 1);
    }

    #[tokio::test]
    async fn a_key_opens_for_its_own_purpose_only() {
        let sealer = store().sealer().unwrap();
        let mut key = make(Purpose::Assertion, &sealer, NOW).unwrap();
        assert!(open(&key, &sealer).is_ok());
        key.purpose = "access".into();
        assert!(open(&key, &sealer).is_err());
    }
}
