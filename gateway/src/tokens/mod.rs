//! Signed tokens: access tokens that people carry, assertions that upstreams get, and
//! the keys behind both.
//!
//! `material.rs` what a key can do · `keys.rs` the key ring · `load.rs` keys from the store ·
//! `keeper.rs` when keys come and go · `jwt.rs` the compact form, read strictly, `members.rs` each of its parts · `access.rs` access
//! tokens · `refresh.rs` what renews them · `assertion.rs` assertions · `foreign.rs` bearers of foreign issuers (`memory.rs` what is remembered of them) · `jwks.rs` what is published · `looks.rs` what is
//! ours by its looks · `verified_cache.rs` what a signature has already proven.

mod access;
mod assertion;
mod foreign;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod jwks;
mod jwt;
mod keeper;
mod keys;
mod load;
pub(crate) mod looks;
mod material;
mod members;
mod memory;
mod refresh;
mod verified_cache;

#[cfg(test)]
mod forged;
#[cfg(test)]
mod tests;

pub use foreign::{Foreign, Unreachable};
pub use jwt::LONGEST as LONGEST_TOKEN;
pub use keeper::{Keeper, Revoked, Rotated};
pub use load::LoadError;
pub use refresh::{Nonce, RefreshKeys, RefreshValue};
#[cfg(test)]
pub(crate) use tests::stored_key_for_tests;
pub use verified_cache::{Print, VerifiedCache};

use crate::{
    clock::UnixMillis,
    random::Random,
    sessions::{Account, LiveSession},
};
use access::Parties;
use arc_swap::ArcSwap;
use keys::{Key, Purpose, Ring};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// What a valid signature proves of an access token, and nothing more: whether the
/// session lives is asked anew on each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which key.
    pub kid: String,
    /// Which session.
    pub sid: String,
    /// Which account.
    pub sub: String,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// From when on it is worth nothing, in seconds since 1970.
    pub exp: u64,
}

/// The token is not one of ours that is valid now. Why is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

/// Signs and verifies. Cheap to clone as an `Arc`.
pub struct Tokens {
    ring: ArcSwap<Ring>,
    parties: Parties,
    foreign: ArcSwap<Foreign>,
    assertion_lifetime: Duration,
    refresh: RefreshKeys,
    random: Random,
}

impl Tokens {
    /// What refresh tokens are made with.
    pub fn refresh(&self) -> &RefreshKeys {
        &self.refresh
    }

    /// Rises whenever a key comes or goes; caches of verified tokens are dropped then.
    pub fn generation(&self) -> u64 {
        self.ring.load().generation()
    }

    /// Checks signature, `typ`, `iss`, `aud`, `exp` (no leeway), `nbf`, `crit`.
    pub fn verify(&self, token: &str, now: UnixMillis) -> Result<Verified, Refused> {
        let ring = self.ring.load();
        let signed = jwt::open(token, Purpose::Access, &ring)?;
        access::check(signed.kid, &signed.payload, &self.parties, now)
    }

    /// The same of a token that may have expired: it opens nothing any more, and still says
    /// which session it was made for, to whoever wants to end that.
    pub fn verify_expired(&self, token: &str, now: UnixMillis) -> Result<Verified, Refused> {
        let ring = self.ring.load();
        let signed = jwt::open(token, Purpose::Access, &ring)?;
        access::read(signed.kid, &signed.payload, &self.parties, now).map(|(verified, _)| verified)
    }

    /// Whether a bearer value is one of ours by its looks (a JWT with our `iss`, or
    /// `pcr_…`), valid or not: such a value reaches no upstream.
    pub fn looks_like_ours(&self, value: &str) -> bool {
        looks::like_ours(value, &self.parties.issuer)
    }

    /// Whether such a value is anywhere in an `Authorization` field.
    pub fn holds_ours(&self, value: &str) -> bool {
        looks::hold_ours(value, &self.parties.issuer)
    }

    /// An access token of this session, `expires` at the latest.
    pub fn access(
        &self,
        session: &LiveSession,
        account: &Account,
        now: UnixMillis,
        expires: UnixMillis,
    ) -> String {
        let claims = access::claims(&self.parties, session, account, now, expires, self.jti());
        self.sign(Purpose::Access, &claims)
    }

    /// An assertion for one upstream, valid from `now` for the configured lifetime.
    pub fn assertion(
        &self,
        upstream: &str,
        session: &LiveSession,
        account: &Account,
        now: UnixMillis,
    ) -> String {
        let (issuer, lifetime) = (&self.parties.issuer, self.assertion_lifetime);
        let claims = assertion::claims(issuer, upstream, session, account, now, lifetime, self.jti());
        self.sign(Purpose::Assertion, &claims)
    }

    /// The foreign issuers whose bearers are believed.
    pub fn foreign(&self) -> Arc<Foreign> {
        self.foreign.load_full()
    }

    /// Believes these from now on.
    pub fn trust(&self, foreign: Arc<Foreign>) {
        self.foreign.store(foreign);
    }

    /// The JSON Web Key Set (RFC 7517 §5).
    pub fn jwks(&self) -> String {
        self.ring.load().jwks().to_owned()
    }

    fn with_keys(
        keys: Vec<Key>,
        token: &portcullis_config::Token,
        assertion: &portcullis_config::Assertion,
        refresh: RefreshKeys,
        random: Random,
    ) -> Self {
        Self {
            ring: ArcSwap::from_pointee(Ring::new(keys, 1)),
            parties: Parties { issuer: token.issuer.clone(), audience: token.audience.clone() },
            foreign: ArcSwap::from_pointee(Foreign::default()),
            assertion_lifetime: assertion.lifetime,
            refresh,
            random,
        }
    }

    /// Takes over what keys there are now.
    fn replace(&self, keys: Vec<Key>) {
        let ring = self.ring.load();
        if !ring.is(&keys) {
            self.ring.store(Arc::new(Ring::new(keys, ring.generation() + 1)));
        }
    }

    fn jti(&self) -> String {
        self.random.uuid().to_string()
    }

    fn sign(&self, purpose: Purpose, claims: &impl Serialize) -> String {
        let ring = self.ring.load();
        let key = ring.signer(purpose).expect("no ring is made without a key for each purpose");
        jwt::sign(key, claims)
    }
}
