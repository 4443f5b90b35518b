//! One issuer: its metadata and its keys, fetched when they are needed, kept, and fetched
//! again when a token names a key that is new.

use crate::{
    Algorithm, Claims, Client, Clock, Jws, KeySet, Metadata, NotVerified, Refused, Request, Trouble,
    cached::{Ages, Cached},
    jwk::UNKNOWN_KEY,
    jws::WRONG_SIGNATURE,
};
use std::sync::Arc;
use url::Url;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Metadata changes seldom; a provider that is down for a day needs no sign-ins by then.
const OF_METADATA: Ages = Ages { fresh: HOUR, stale: 24 * HOUR, pause: 5 * SECOND, forced: MINUTE };

/// Keys are fetched again every ten minutes, so that one that was withdrawn is not
/// believed for long, and at most once a minute because a token names another.
const OF_KEYS: Ages = Ages { fresh: 10 * MINUTE, stale: 24 * HOUR, pause: 5 * SECOND, forced: MINUTE };

/// Who it is and how it is asked.
pub struct ProviderSettings {
    /// The issuer, as its metadata must have it, letter for letter.
    pub issuer: String,
    /// Below which address its metadata is; the issuer's own, but for those whose issuer
    /// is a pattern.
    pub base: Url,
    /// Where its keys are, if that is not to be found out.
    pub jwks_uri: Option<Url>,
    /// How tokens may be signed; empty: as its metadata says.
    pub algorithms: Vec<Algorithm>,
    /// Makes the calls.
    pub client: Client,
    /// The time.
    pub clock: Clock,
}

/// An issuer.
pub struct Provider {
    settings: ProviderSettings,
    metadata: Cached<Metadata>,
    keys: Cached<KeySet>,
}

impl Provider {
    /// Nothing is asked yet.
    pub fn new(settings: ProviderSettings) -> Self {
        let metadata = Cached::new(OF_METADATA, settings.clock.clone());
        let keys = Cached::new(OF_KEYS, settings.clock.clone());
        Self { settings, metadata, keys }
    }

    /// Who it is.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// What it says of itself.
    pub async fn metadata(&self) -> Result<Arc<Metadata>, Trouble> {
        self.metadata.get(|| self.fetch_metadata()).await
    }

    /// Its keys.
    pub async fn keys(&self) -> Result<Arc<KeySet>, Trouble> {
        self.keys.get(|| self.fetch_keys()).await
    }

    /// Why it could not be asked when it was last asked.
    pub fn failure(&self) -> Option<Trouble> {
        self.metadata.failure().or_else(|| self.keys.failure())
    }

    /// The claims of a token that this issuer signed, with an algorithm that is its own.
    pub async fn open(&self, token: &Jws<'_>) -> Result<Claims, NotVerified> {
        self.allowed(token.algorithm).await?;
        let keys = self.keys().await?;
        let opened = self.opened(&keys, token);
        match opened {
            // Of a token that names no key, nobody can say that its key is unknown.
            Err(why) if why == UNKNOWN_KEY || (why == WRONG_SIGNATURE && token.kid.is_none()) => {
                let newer = self.keys.newer(&keys, || self.fetch_keys()).await.ok_or(why)?;
                Ok(self.opened(&newer, token)?)
            }
            opened => Ok(opened?),
        }
    }

    /// The claims, by one of these keys. Of an issuer that many tenants share, a key may
    /// be for some of them only, and says so.
    fn opened(&self, keys: &KeySet, token: &Jws<'_>) -> Result<Claims, Refused> {
        let key = keys.of(token)?;
        let claims = token.open(key)?;
        let shared = self.issuer().contains("{tenantid}");
        if !shared || key.signs_for(&claims) {
            Ok(claims)
        } else {
            Err(Refused("the key is another tenant's"))
        }
    }

    /// A token does not choose how it is signed (RFC 8725 §3.1).
    async fn allowed(&self, algorithm: Algorithm) -> Result<(), NotVerified> {
        let allowed = match (self.settings.algorithms.as_slice(), &self.settings.jwks_uri) {
            ([], Some(_)) => true,
            ([], None) => self.metadata().await?.algorithms.contains(&algorithm),
            (listed, _) => listed.contains(&algorithm),
        };
        if allowed { Ok(()) } else { Err(Refused("alg is not one of the issuer's").into()) }
    }

    async fn fetch_metadata(&self) -> Result<Metadata, Trouble> {
        let base = self.settings.base.as_str().trim_end_matches('/');
        let url = self.settings.client.address(&format!("{base}/.well-known/openid-configuration"))?;
        let reply = self.settings.client.call(Request::get(&url)).await?;
        let found = reply.status.is_success();
        if !found {
            return Err(Trouble::Invalid(format!(
                "it answers {} where its metadata should be",
                reply.status.as_u16()
            )));
        }
        if !reply.is_json() {
            return Err(Trouble::Invalid("its metadata is not application/json".into()));
        }
        Metadata::read(&reply.body, &self.settings.issuer, &self.settings.client)
    }

    async fn fetch_keys(&self) -> Result<KeySet, Trouble> {
        let url = match &self.settings.jwks_uri {
            Some(url) => url.clone(),
            None => {
                let metadata = self.metadata().await?;
                metadata
                    .jwks
                    .clone()
                    .ok_or_else(|| Trouble::Invalid("its metadata has no jwks_uri".into()))?
            }
        };
        let reply = self.settings.client.call(Request::get(&url)).await?;
        if !reply.status.is_success() {
            return Err(Trouble::Invalid(format!(
                "it answers {} where its keys should be",
                reply.status.as_u16()
            )));
        }
        if !reply.is_json() {
            return Err(Trouble::Invalid("its key set is no JSON".into()));
        }
        KeySet::read(&reply.body).map_err(|why| Trouble::Invalid(why.0.to_owned()))
    }
}
