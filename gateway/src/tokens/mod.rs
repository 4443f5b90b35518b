//! Signed tokens: access tokens that people carry, assertions that upstreams get, and
//! the keys behind both.
//!
//! `keys.rs` the key ring · `access.rs` access tokens · `assertion.rs` assertions ·
//! `jwks.rs` what is published · `verified_cache.rs` what a signature has already proven.

use crate::{
    clock::UnixMillis,
    sessions::{Account, LiveSession},
};

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
pub struct Tokens {}

impl Tokens {
    /// Rises whenever a key comes or goes; caches of verified tokens are dropped then.
    pub fn generation(&self) -> u64 {
        unimplemented!()
    }
    /// Checks signature, `typ`, `iss`, `aud`, `exp` (no leeway), `nbf`, `crit`.
    pub fn verify(&self, _token: &str, _now: UnixMillis) -> Result<Verified, Refused> {
        unimplemented!()
    }
    /// Whether a bearer value is one of ours by its looks (a JWT with our `iss`, or
    /// `pcr_…`), valid or not: such a value reaches no upstream.
    pub fn looks_like_ours(&self, _value: &str) -> bool {
        unimplemented!()
    }
    /// An access token of this session, `expires` at the latest.
    pub fn access(
        &self,
        _session: &LiveSession,
        _account: &Account,
        _now: UnixMillis,
        _expires: UnixMillis,
    ) -> String {
        unimplemented!()
    }
    /// An assertion for one upstream, valid from `now` for the configured lifetime.
    pub fn assertion(
        &self,
        _upstream: &str,
        _session: &LiveSession,
        _account: &Account,
        _now: UnixMillis,
    ) -> String {
        unimplemented!()
    }
    /// The JSON Web Key Set (RFC 7517 §5).
    pub fn jwks(&self) -> String {
        unimplemented!()
    }
}
