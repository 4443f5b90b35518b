//! Keys that come and go, by a clock that the test turns: rows.

use super::{
    Keeper, LoadError, Revoked, Rotated, Tokens, keeper::sealed, keys::Purpose, load::open, material,
};
use crate::{
    clock::{Clock, UnixMillis},
    random::Random,
    seal::Sealer,
    sessions::{Account, live_for_tests},
    store::{KeyState, Store, StoredKey},
};
use portcullis_config::{Algorithm, Assertion, Secret, Token};
use serde_json::Value;
use std::time::Duration;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const SECRETS: [&str; 2] = ["0123456789abcdef0123456789abcdef", "another secret of thirty-two bytes"];

/// A store, and a gateway that may start again and again with another configuration.
struct House {
    store: Store,
    clock: Clock,
    token: Token,
    assertion: Assertion,
}

impl House {
    fn new(algorithm: Algorithm) -> Self {
        let clock = Clock::manual(NOW);
        let token = Token {
            algorithm,
            secret: None,
            issuer: "https://gw.test".into(),
            audience: "https://gw.test".into(),
            lifetime: 15 * MINUTE,
            max_lifetime: DAY,
            refresh_lifetime: 30 * DAY,
            refresh_idle: 14 * DAY,
            refresh_grace: MINUTE,
            rotate: 90 * DAY,
            schemes: vec![],
            trusted: Vec::new(),
        };
        let assertion = Assertion { header: "X-A".into(), algorithm: Algorithm::EdDsa, lifetime: MINUTE };
        Self { store: Store::open_temporary(Random::system(), clock.clone()), clock, token, assertion }
    }

    fn with_secret(secret: &str) -> Self {
        let mut house = Self::new(Algorithm::Hs256);
        house.token.secret = Some(Secret::new(secret.into()));
        house
    }

    async fn load(&self, sealer: &Sealer) -> Result<Tokens, LoadError> {
        let random = Random::system();
        Tokens::load(&self.store, sealer, &self.token, &self.assertion, random, &self.clock).await
    }

    async fn start(&self) -> Tokens {
        self.load(&self.sealer()).await.unwrap()
    }

    fn sealer(&self) -> Sealer {
        self.store.sealer().unwrap()
    }

    fn keeper(&self) -> Keeper {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Keeper::new(store, self.sealer(), &self.token, &self.assertion, Random::system(), clock)
    }

    /// What the feed does when the store tells of keys.
    async fn reload(&self, tokens: &Tokens) {
        tokens.reload(&self.store, &self.sealer()).await.unwrap();
    }

    /// An access token of the longest life.
    fn sign(&self, tokens: &Tokens) -> String {
        let (account, now) = (Account::for_tests("ann"), self.clock.now());
        let session = live_for_tests("sid-1", account.clone(), now, now.plus(30 * DAY));
        tokens.access(&session, &account, now, now.plus(self.token.max_lifetime))
    }

    fn assertion_kid(&self, tokens: &Tokens) -> String {
        let (account, now) = (Account::for_tests("ann"), self.clock.now());
        let session = live_for_tests("sid-1", account.clone(), now, now.plus(HOUR));
        kid(&tokens.assertion("api", &session, &account, now))
    }

    fn is_good(&self, tokens: &Tokens, token: &str) -> bool {
        tokens.verify(token, self.clock.now()).is_ok()
    }

    async fn keys(&self, purpose: Purpose) -> Vec<StoredKey> {
        let mut keys = self.store.keys().await.unwrap();
        keys.retain(|key| key.purpose == purpose.name());
        keys
    }

    async fn states(&self, purpose: Purpose) -> Vec<&'static str> {
        let mut states: Vec<_> = self.keys(purpose).await.iter().map(|key| key.state.name()).collect();
        states.sort_unstable();
        states
    }
}

fn header(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let head = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap()
}

fn kid(token: &str) -> String {
    header(token)["kid"].as_str().unwrap().to_owned()
}

fn stored(purpose: Purpose, algorithm: Algorithm, state: KeyState, sealer: &Sealer) -> StoredKey {
    let private = material::generate(algorithm);
    sealed(purpose, algorithm, &private, state, HOUR, NOW, &Random::system(), sealer).unwrap()
}

/// A further key that verifies only, as a rotation by another process leaves one.
pub(crate) fn stored_key_for_tests(store: &Store) -> StoredKey {
    let sealer = store.sealer().expect("the store has its key");
    stored(Purpose::Access, Algorithm::Es256, KeyState::Verifying, &sealer)
}

#[tokio::test]
async fn keys_are_made_once_and_survive_a_restart() {
    for algorithm in Algorithm::ALL {
        let mut house = House::new(algorithm);
        house.token.secret = (algorithm == Algorithm::Hs256).then(|| Secret::new(SECRETS[0].into()));
        let first = house.start().await;
        let token = house.sign(&first);
        assert_eq!(header(&token)["alg"], algorithm.name());
        let again = house.start().await;
        assert_eq!(again.jwks(), first.jwks());
        assert!(house.is_good(&again, &token));
        assert_eq!(kid(&house.sign(&again)), kid(&token));
        assert_eq!(house.store.keys().await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn no_private_key_and_no_secret_lies_open_in_the_store() {
    let house = House::new(Algorithm::Es256);
    house.start().await;
    let has = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    // The OID of P-256 is in every PKCS #8 document of such a key.
    let oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    assert!(!has(&house.keys(Purpose::Access).await[0].private, &oid));
    let house = House::with_secret(SECRETS[0]);
    let tokens = house.start().await;
    let key = &house.keys(Purpose::Access).await[0];
    assert!(!has(&key.private, SECRETS[0].as_bytes()) && key.public.is_empty());
    assert!(!tokens.jwks().contains(&key.kid), "nothing of it is published");
    // The same secret in another house has another name: it is no hash.
    let other = House::with_secret(SECRETS[0]);
    other.start().await;
    assert_ne!(other.keys(Purpose::Access).await[0].kid, key.kid);
}

#[tokio::test]
async fn a_key_that_does_not_open_stops_the_start_and_not_a_reload() {
    let house = House::new(Algorithm::Es256);
    let tokens = house.start().await;
    let wrong = Sealer::from_text("another", Random::system());
    assert!(matches!(house.load(&wrong).await, Err(LoadError::Key(_))));
    assert!(tokens.reload(&house.store, &wrong).await.is_err());
    assert!(house.is_good(&tokens, &house.sign(&tokens)), "the old keys stay");
    assert_eq!(tokens.generation(), 1);
}

#[tokio::test]
async fn a_key_opens_for_its_own_purpose_algorithm_and_name_only() {
    let sealer = House::new(Algorithm::Es256).sealer();
    for algorithm in Algorithm::ALL {
        let key = stored(Purpose::Access, algorithm, KeyState::Signing, &sealer);
        assert!(open(&key, &sealer).is_ok());
        let changed = |change: &dyn Fn(&mut StoredKey)| {
            let mut key = key.clone();
            change(&mut key);
            open(&key, &sealer)
        };
        assert!(changed(&|key| key.purpose = "assertion".into()).is_err());
        assert!(changed(&|key| key.kid.push('x')).is_err());
        for other in Algorithm::ALL.iter().filter(|other| **other != algorithm) {
            assert!(changed(&|key| key.algorithm = other.name().into()).is_err(), "{other:?}");
        }
        let later = changed(&|key| key.algorithm = "ES1024".into());
        assert!(later.err().unwrap().to_string().contains("this version does not know"));
    }
}

#[tokio::test]
async fn another_algorithm_signs_from_the_next_start_on_and_the_old_key_ends_with_its_tokens() {
    let mut house = House::new(Algorithm::Es256);
    let mut old = house.sign(&house.start().await);
    for algorithm in [Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256, Algorithm::Es256] {
        house.token.algorithm = algorithm;
        house.token.secret = (algorithm == Algorithm::Hs256).then(|| Secret::new(SECRETS[0].into()));
        let tokens = house.start().await;
        let new = house.sign(&tokens);
        assert_eq!(header(&new)["alg"], algorithm.name());
        assert!(house.is_good(&tokens, &new) && house.is_good(&tokens, &old));
        // The last moment at which the old token can be good.
        house.clock.advance(DAY - Duration::from_millis(1));
        house.keeper().keep().await.unwrap();
        house.reload(&tokens).await;
        assert!(house.is_good(&tokens, &old), "{algorithm:?}");
        house.clock.advance(MINUTE + Duration::from_millis(1));
        house.keeper().keep().await.unwrap();
        house.reload(&tokens).await;
        assert!(!house.is_good(&tokens, &old));
        assert_eq!(house.states(Purpose::Access).await, ["signing"], "the old key is gone");
        old = house.sign(&tokens);
    }
}

#[tokio::test]
async fn a_running_gateway_follows_another_configuration() {
    let mut house = House::new(Algorithm::Es256);
    let (tokens, keeper) = (house.start().await, house.keeper());
    let old = house.sign(&tokens);
    house.token.algorithm = Algorithm::EdDsa;
    keeper.follow(&house.token, &house.assertion).await.unwrap();
    house.reload(&tokens).await;
    assert_eq!(header(&house.sign(&tokens))["alg"], "EdDSA");
    assert!(house.is_good(&tokens, &old));
    assert_eq!(house.states(Purpose::Assertion).await, ["signing"], "its algorithm is as it was");
}

#[tokio::test]
async fn a_changed_secret_signs_and_the_old_one_verifies_until_it_is_revoked() {
    let mut house = House::with_secret(SECRETS[0]);
    let old = house.sign(&house.start().await);
    house.token.secret = Some(Secret::new(SECRETS[1].into()));
    let tokens = house.start().await;
    let new = house.sign(&tokens);
    assert_ne!(kid(&new), kid(&old));
    assert!(house.is_good(&tokens, &old) && house.is_good(&tokens, &new));
    assert_eq!(house.keeper().revoke(&kid(&old)).await.unwrap(), Revoked::Done(None));
    house.reload(&tokens).await;
    assert!(!house.is_good(&tokens, &old) && house.is_good(&tokens, &new));
}

#[tokio::test]
async fn a_secret_is_the_operators_to_replace() {
    let mut house = House::with_secret(SECRETS[0]);
    let tokens = house.start().await;
    let old = house.sign(&tokens);
    assert_eq!(house.keeper().revoke(&kid(&old)).await.unwrap(), Revoked::Wanted);
    let rotated = house.keeper().rotate().await.unwrap();
    assert!(matches!(rotated[..], [Rotated::NotOurs, Rotated::Now { purpose: "assertion", .. }]));
    house.clock.advance(91 * DAY);
    house.keeper().keep().await.unwrap();
    assert_eq!(house.states(Purpose::Access).await, ["signing"]);
    // It is changed in the file; the gateway has not started again.
    house.token.secret = Some(Secret::new(SECRETS[1].into()));
    let Revoked::Done(Some(next)) = house.keeper().revoke(&kid(&old)).await.unwrap() else { panic!() };
    house.reload(&tokens).await;
    assert!(!house.is_good(&tokens, &old));
    assert_eq!(kid(&house.sign(&tokens)), next);
}

#[tokio::test]
async fn a_rotated_key_verifies_as_long_as_anything_it_signed_may_live() {
    let mut house = House::new(Algorithm::EdDsa);
    let tokens = house.start().await;
    let old = house.sign(&tokens);
    // A shorter life of new tokens shortens none that are out.
    house.token.max_lifetime = HOUR;
    let tokens_again = house.start().await;
    let rotated = house.keeper().rotate().await.unwrap();
    let [Rotated::Now { purpose: "access", old: left, new }, Rotated::Now { purpose: "assertion", .. }] =
        &rotated[..]
    else {
        panic!("{rotated:?}")
    };
    assert_eq!(*left, kid(&old));
    assert!(house.is_good(&tokens, &old), "nobody has told the gateway yet");
    for tokens in [&tokens, &tokens_again] {
        house.reload(tokens).await;
        assert_eq!(tokens.generation(), 2, "what was verified is verified anew");
        assert_eq!(kid(&house.sign(tokens)), *new);
        assert!(house.is_good(tokens, &old));
        assert!(tokens.jwks().contains(left) && tokens.jwks().contains(new));
    }
    // Assertions are short-lived, and so is the key that verifies old ones.
    house.clock.advance(3 * MINUTE);
    house.keeper().keep().await.unwrap();
    assert_eq!(house.states(Purpose::Assertion).await, ["signing"]);
    assert_eq!(house.states(Purpose::Access).await, ["signing", "verifying"]);
    house.clock.advance(DAY - 3 * MINUTE - Duration::from_millis(1));
    house.keeper().keep().await.unwrap();
    house.reload(&tokens).await;
    assert!(house.is_good(&tokens, &old));
    house.clock.advance(MINUTE + Duration::from_millis(1));
    house.keeper().keep().await.unwrap();
    house.reload(&tokens).await;
    assert_eq!(house.states(Purpose::Access).await, ["signing"]);
    assert!(!tokens.jwks().contains(left));
}

#[tokio::test]
async fn a_revoked_key_is_believed_no_more_and_another_one_signs() {
    let house = House::new(Algorithm::EdDsa);
    let tokens = house.start().await;
    let first = house.sign(&tokens);
    house.keeper().rotate().await.unwrap();
    house.reload(&tokens).await;
    let second = house.sign(&tokens);
    assert_eq!(house.keeper().revoke("none").await.unwrap(), Revoked::Unknown);
    assert_eq!(house.keeper().revoke(&kid(&first)).await.unwrap(), Revoked::Done(None));
    house.reload(&tokens).await;
    assert!(!house.is_good(&tokens, &first) && house.is_good(&tokens, &second));
    let Revoked::Done(Some(next)) = house.keeper().revoke(&kid(&second)).await.unwrap() else { panic!() };
    house.reload(&tokens).await;
    assert!(!house.is_good(&tokens, &second));
    let third = house.sign(&tokens);
    assert!(kid(&third) == next && house.is_good(&tokens, &third));
    for gone in [&first, &second] {
        assert!(!tokens.jwks().contains(&kid(gone)));
    }
    let assertion = house.assertion_kid(&tokens);
    assert!(matches!(house.keeper().revoke(&assertion).await.unwrap(), Revoked::Done(Some(_))));
    house.reload(&tokens).await;
    assert_ne!(house.assertion_kid(&tokens), assertion);
}

#[tokio::test]
async fn through_thirty_rotations_no_verifier_with_cached_keys_meets_an_unknown_one() {
    let mut house = House::new(Algorithm::EdDsa);
    house.token.rotate = HOUR;
    let (tokens, keeper) = (house.start().await, house.keeper());
    let (mut cached, mut fetched) = (tokens.jwks(), house.clock.now());
    let mut seen = Vec::new();
    while seen.len() < 31 {
        house.clock.advance(MINUTE);
        keeper.keep().await.unwrap();
        house.reload(&tokens).await;
        // As long as the key set may be kept: `max-age=300`.
        if house.clock.now().since(fetched) >= 5 * MINUTE {
            (cached, fetched) = (tokens.jwks(), house.clock.now());
        }
        for kid in [house.assertion_kid(&tokens), kid(&house.sign(&tokens))] {
            assert!(cached.contains(&kid), "after {} keys", seen.len());
        }
        let kid = house.assertion_kid(&tokens);
        if seen.last() != Some(&kid) {
            assert!(!seen.contains(&kid), "a key does not come back");
            seen.push(kid);
        }
    }
    assert!(house.clock.now().since(NOW) >= 30 * HOUR);
    assert!(house.keys(Purpose::Assertion).await.len() <= 3);
    // Those of access tokens stay a day: 24 or 25 of them, the one that signs, one to come.
    assert!(house.keys(Purpose::Access).await.len() <= 27);
}

#[tokio::test]
async fn a_rotation_that_fell_due_while_nobody_ran_is_made_up_for() {
    let house = House::new(Algorithm::EdDsa);
    let old = kid(&house.sign(&house.start().await));
    house.clock.advance(90 * DAY - HOUR);
    let pause = house.keeper().keep().await.unwrap();
    assert_eq!(house.states(Purpose::Access).await, ["signing"], "not before its time");
    assert!(pause <= MINUTE && pause > Duration::ZERO);
    house.clock.advance(2 * HOUR);
    let tokens = house.start().await;
    house.keeper().keep().await.unwrap();
    house.reload(&tokens).await;
    assert_ne!(kid(&house.sign(&tokens)), old);
    assert_eq!(house.states(Purpose::Access).await, ["signing", "verifying"]);
}

#[tokio::test]
async fn of_two_gateways_that_share_a_store_one_makes_the_next_key() {
    let house = House::new(Algorithm::EdDsa);
    house.start().await;
    house.clock.advance(90 * DAY - 5 * MINUTE);
    let (one, other) = (house.keeper(), house.keeper());
    let (a, b) = tokio::join!(one.keep(), other.keep());
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(house.states(Purpose::Access).await, ["coming", "signing"]);
    house.clock.advance(HOUR);
    let (a, b) = tokio::join!(one.keep(), other.keep());
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(house.states(Purpose::Access).await, ["signing", "verifying"]);
}

#[tokio::test]
async fn a_key_to_come_is_taken_by_a_rotation_and_dropped_when_its_algorithm_is_not_wanted() {
    let mut house = House::new(Algorithm::EdDsa);
    let tokens = house.start().await;
    house.clock.advance(90 * DAY - 5 * MINUTE);
    house.keeper().keep().await.unwrap();
    house.reload(&tokens).await;
    let mut keys = house.keys(Purpose::Access).await;
    keys.retain(|key| key.state == KeyState::Coming);
    let coming = keys[0].kid.clone();
    assert!(tokens.jwks().contains(&coming));
    assert_ne!(kid(&house.sign(&tokens)), coming, "it does not sign yet");
    house.keeper().rotate().await.unwrap();
    house.reload(&tokens).await;
    assert_eq!(kid(&house.sign(&tokens)), coming);
    assert_eq!(house.states(Purpose::Access).await, ["signing", "verifying"]);
    house.clock.advance(90 * DAY - 5 * MINUTE);
    house.keeper().keep().await.unwrap();
    house.token.algorithm = Algorithm::Es256;
    house.start().await;
    let algorithms: Vec<_> = house.keys(Purpose::Access).await.into_iter().map(|key| key.algorithm).collect();
    assert_eq!(algorithms, ["EdDSA", "ES256"]);
}
