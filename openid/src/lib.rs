//! What a relying party of OpenID Connect needs and nobody should write twice: the login
//! strategy `oauth` and the gateway's `[[token.trusted]]` both stand on it.
//!
//! `client.rs` the one HTTP client for calls to providers · `address.rs` where it may
//! connect to · `json.rs` JSON without duplicate members · `algorithm.rs` signature
//! algorithms by name · `jws.rs` the compact form, read strictly · `jwk.rs` keys of a
//! provider · `metadata.rs` what discovery finds · `cached.rs` one fetch for many askers ·
//! `roca.rs` keys that can be factored · `provider.rs` metadata and keys of one issuer, kept · `claims.rs` the claims that all
//! tokens share · `id_token.rs`, `logout_token.rs`, `access_token.rs` the rules of each
//! kind · `introspection.rs` opaque tokens · `signer.rs` our own signatures.
//!
//! What may not come in: accounts, sessions, settings, and a text that quotes what a
//! provider answered.

mod access_token;
mod address;
mod algorithm;
mod background;
mod cached;
mod claims;
mod client;
mod id_token;
mod introspection;
mod json;
mod jwk;
mod jws;
mod logout_token;
mod metadata;
mod provider;
mod roca;
mod signer;
#[cfg(test)]
mod tests;

pub use access_token::AccessTokenRules;
pub use algorithm::Algorithm;
pub use background::{in_the_background, pause};
pub use claims::{Claims, LEEWAY};
pub use client::{Client, ClientSettings, Identity, NotUsable, Reply, Request, system_authorities, within};
pub use id_token::{IdTokenRules, Issuer};
pub use introspection::{Introspection, basic};
pub use json::object;
pub use jwk::{Key, KeySet};
pub use jws::Jws;
pub use logout_token::{LogoutToken, LogoutTokenRules};
pub use metadata::Metadata;
pub use provider::{Provider, ProviderSettings};
pub use signer::{Proof, Signer};

use std::{fmt, sync::Arc};

/// Milliseconds since 1970, from whoever keeps the clock.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A token is not acceptable. Why is for the log; nothing of the token is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the token is refused: {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// What can go wrong on the way to a provider. Neither text quotes an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be asked now; later may be better.
    Unreachable(String),
    /// It answered what it may not answer, or names an address that is not asked.
    Invalid(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the provider cannot be reached: {why}"),
            Self::Invalid(why) => write!(f, "the provider's answer is not acceptable: {why}"),
        }
    }
}

impl std::error::Error for Trouble {}

/// Why a token was not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotVerified {
    /// It is no good.
    Refused(Refused),
    /// Its issuer's keys could not be had.
    Trouble(Trouble),
}

impl From<Refused> for NotVerified {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
}

impl From<Trouble> for NotVerified {
    fn from(why: Trouble) -> Self {
        Self::Trouble(why)
    }
}

impl fmt::Display for NotVerified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => why.fmt(f),
            Self::Trouble(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for NotVerified {}
