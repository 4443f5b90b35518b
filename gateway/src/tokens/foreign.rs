//! Bearers of foreign issuers, `[[token.trusted]]`: what their tokens prove, remembered
//! for a while. The data plane reads the memory; what is not in it is asked on the control
//! plane, for a provider may be slow: so many questions at once and no more.
//!
//! What may not come in: sessions and accounts of ours.

use crate::{
    clock::{Clock, UnixMillis},
    sessions::{Guest, LiveSession, hash_cookie},
};
use portcullis_config::{Config, Problem, Trusted};
use portcullis_openid::{
    AccessTokenRules, Algorithm, Claims, Client, ClientSettings, Introspection, Jws, NotUsable, NotVerified,
    Provider, ProviderSettings, Trouble,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, sync::Semaphore};
use url::Url;

/// How many good tokens are remembered, and how many that are none.
const CAPACITY: usize = 4096;

/// How many questions may be under way at once: about signed tokens, and about opaque
/// ones, of which anybody can make up as many as they like.
const UNDER_WAY: usize = 128;

/// The longest token that is looked at.
const LONGEST: usize = 16 * 1024;

/// How long a signature is believed without another look at the issuer's keys, what an
/// issuer said of an opaque token, and a no.
const SIGNED: Duration = Duration::from_secs(300);
const TOLD: Duration = Duration::from_secs(60);
const REFUSED: Duration = Duration::from_secs(10);

/// For one whole call to an issuer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The issuer cannot be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable;

/// The issuers that are trusted, and what is remembered of their tokens.
#[derive(Default)]
pub struct Foreign {
    issuers: Vec<Issuer>,
    good: Memory,
    /// Apart, so that made-up tokens push no good one out.
    refused: Memory,
    under_way: Option<[Arc<Semaphore>; 2]>,
}

/// By the SHA-256 of the token: a long one takes no more room than a short one.
type Memory = Mutex<HashMap<[u8; 32], Known>>;

struct Issuer {
    config: Trusted,
    provider: Provider,
    client: Client,
    introspection: Option<Introspection>,
}

/// What is remembered of a token: whose it is, or that it is no good.
#[derive(Clone)]
struct Known {
    bearer: Option<Arc<LiveSession>>,
    until: UnixMillis,
}

impl Foreign {
    /// Prepares what is configured; nobody is asked yet.
    pub fn load(config: &Config, clock: &Clock) -> Result<Self, Vec<Problem>> {
        let (mut issuers, mut problems) = (Vec::new(), Vec::new());
        for trusted in &config.token.trusted {
            match Issuer::load(trusted, clock) {
                Ok(issuer) => issuers.push(issuer),
                Err((place, message)) => {
                    problems.push(Problem { place, message, help: None, excerpt: None });
                }
            }
        }
        let under_way = Some([(); 2].map(|()| Arc::new(Semaphore::new(UNDER_WAY))));
        if problems.is_empty() {
            Ok(Self { issuers, good: Mutex::default(), refused: Mutex::default(), under_way })
        } else {
            Err(problems)
        }
    }

    /// Whose token this is. None: no issuer of ours made it, or it is no good now.
    pub async fn bearer(
        self: &Arc<Self>,
        token: &str,
        now: UnixMillis,
        control: &Handle,
    ) -> Result<Option<Arc<LiveSession>>, Unreachable> {
        if self.issuers.is_empty() || token.is_empty() || token.len() > LONGEST {
            return Ok(None);
        }
        let signed = is_signed(token);
        // What is nobody's costs no question and no room.
        let somebodys = if signed {
            Jws::parse(token).is_ok_and(|jws| self.issuer_of(&jws).is_some())
        } else {
            self.issuers.iter().any(|issuer| issuer.introspection.is_some())
        };
        if !somebodys {
            return Ok(None);
        }
        let key = hash_cookie(token.as_bytes());
        for memory in [&self.good, &self.refused] {
            if let Some(known) = lock(memory).get(&key).filter(|known| now < known.until) {
                return Ok(known.bearer.clone());
            }
        }
        let slots = self.under_way.as_ref().ok_or(Unreachable)?[usize::from(signed)].clone();
        let slot = slots.try_acquire_owned().map_err(|_| Unreachable)?;
        let (this, text) = (self.clone(), token.to_owned());
        let asked = control.spawn(async move {
            let _slot = slot;
            this.ask(&text, now).await
        });
        let known = asked.await.map_err(|_| Unreachable)??;
        remember(if known.bearer.is_some() { &self.good } else { &self.refused }, key, known.clone(), now);
        Ok(known.bearer)
    }

    async fn ask(&self, token: &str, now: UnixMillis) -> Result<Known, Unreachable> {
        if is_signed(token) {
            return self.signed(token, now).await;
        }
        let mut unreachable = false;
        for issuer in &self.issuers {
            match issuer.told(token, now).await {
                Ok(Some(known)) => return Ok(known),
                Ok(None) => {}
                Err(Unreachable) => unreachable = true,
            }
        }
        if unreachable { Err(Unreachable) } else { Ok(Known::refused(now)) }
    }

    async fn signed(&self, token: &str, now: UnixMillis) -> Result<Known, Unreachable> {
        let Ok(jws) = Jws::parse(token) else { return Ok(Known::refused(now)) };
        let Some(issuer) = self.issuer_of(&jws) else { return Ok(Known::refused(now)) };
        let claims = match issuer.provider.open(&jws).await {
            Ok(claims) => claims,
            Err(why) => return issuer.no(&why, now),
        };
        let config = &issuer.config;
        let rules = AccessTokenRules { issuer: &config.issuer, audience: &config.audience, now: now.0 };
        match rules.judge(&jws, &claims) {
            Ok((subject, exp)) => Ok(issuer.yes(subject, claims, UnixMillis(exp), SIGNED, now)),
            Err(why) => issuer.no(&why.into(), now),
        }
    }

    /// Whose it says it is; nothing is proven yet.
    fn issuer_of(&self, token: &Jws<'_>) -> Option<&Issuer> {
        let claimed = token.unproven()?;
        let iss = claimed.get("iss").and_then(Value::as_str)?;
        self.issuers.iter().find(|issuer| issuer.config.issuer == iss)
    }
}

/// Three parts; everything else is opaque.
fn is_signed(token: &str) -> bool {
    token.split('.').count() == 3
}

fn remember(memory: &Memory, key: [u8; 32], known: Known, now: UnixMillis) {
    let mut all = lock(memory);
    if all.len() >= CAPACITY {
        all.retain(|_, known| now < known.until);
    }
    if all.len() >= CAPACITY {
        // As the memory of our own tokens does it: nobody outside can choose whose go.
        let mut keep = false;
        all.retain(|_, _| {
            keep = !keep;
            keep
        });
    }
    all.insert(key, known);
}

fn lock(memory: &Memory) -> MutexGuard<'_, HashMap<[u8; 32], Known>> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn refused(now: UnixMillis) -> Self {
        Self { bearer: None, until: now.plus(REFUSED) }
    }
}

impl Issuer {
    fn load(config: &Trusted, clock: &Clock) -> Result<Self, (String, String)> {
        let here = |message: String| (config.place.clone(), format!("[[token.trusted]] {message}"));
        let url = |text: &str| Url::parse(text).map_err(|_| here(format!("\"{text}\" is no address")));
        let base = url(&config.issuer)?;
        let jwks_uri = config.jwks_uri.as_deref().map(url).transpose()?;
        let introspection = match &config.introspection {
            None => None,
            Some(found) => Some(Introspection {
                url: url(&found.url)?,
                client_id: found.client_id.clone(),
                client_secret: found.client_secret.reveal().to_owned(),
            }),
        };
        let ca = match &config.ca {
            None => None,
            Some(ca) => Some(std::fs::read(&ca.file).map_err(|error| {
                (ca.place.clone(), format!("{} cannot be read: {error}", ca.file.display()))
            })?),
        };
        let written = [Some(base.clone()), jwks_uri.clone(), introspection.as_ref().map(|i| i.url.clone())];
        let written = written.into_iter().flatten().collect();
        let settings = ClientSettings { timeout: TIMEOUT, ca, identity: None, written, plaintext: false };
        let client = Client::new(settings).map_err(|why| match why {
            NotUsable::Ca(why) | NotUsable::Identity(why) | NotUsable::System(why) => {
                here(format!("has no authorities to check the issuer with: {why}"))
            }
        })?;
        let provider = Provider::new(ProviderSettings {
            issuer: config.issuer.clone(),
            base,
            jwks_uri,
            algorithms: config.algorithms.iter().filter_map(|name| Algorithm::named(name)).collect(),
            client: client.clone(),
            clock: clock.shared(),
        });
        Ok(Self { config: config.clone(), provider, client, introspection })
    }

    /// What the issuer says of an opaque token. None: nothing good.
    async fn told(&self, token: &str, now: UnixMillis) -> Result<Option<Known>, Unreachable> {
        let Some(introspection) = &self.introspection else { return Ok(None) };
        let (issuer, audience) = (&self.config.issuer, &self.config.audience);
        match introspection.ask(&self.client, token, issuer, audience, now.0).await {
            Ok(claims) => {
                let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
                let seconds = claims.get("exp").and_then(Value::as_f64);
                let exp = seconds.map_or(now.plus(TOLD), |seconds| UnixMillis((seconds * 1000.0) as u64));
                Ok(Some(self.yes(subject, claims, exp, TOLD, now)))
            }
            Err(why) => self.no(&why, now).map(|_| None),
        }
    }

    fn yes(
        &self,
        subject: String,
        claims: Claims,
        exp: UnixMillis,
        most: Duration,
        now: UnixMillis,
    ) -> Known {
        let groups = ["groups", "roles"].iter().filter_map(|name| claims.get(*name)?.as_array()).flatten();
        let groups: Vec<&str> = groups.filter_map(Value::as_str).collect();
        let mapped = self.config.roles.iter().filter(|(group, _)| groups.contains(&group.as_str()));
        let roles = mapped.map(|(_, role)| role.clone()).collect();
        let guest = Guest { issuer: self.config.id.clone(), subject, roles, claims, expires: exp };
        let bearer = Some(Arc::new(LiveSession::of_guest(guest, now)));
        Known { bearer, until: exp.min(now.plus(most)) }
    }

    fn no(&self, why: &NotVerified, now: UnixMillis) -> Result<Known, Unreachable> {
        match why {
            NotVerified::Refused(why) => {
                tracing::debug!(issuer = %self.config.id, reason = why.0, "a foreign token is refused");
                Ok(Known::refused(now))
            }
            NotVerified::Trouble(Trouble::Unreachable(why) | Trouble::Invalid(why)) => {
                tracing::warn!(issuer = %self.config.id, error = %why, "a foreign token could not be judged");
                Err(Unreachable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows O-17 and O-19: neither the good nor the bad ones are kept without end.
    #[test]
    fn what_is_remembered_of_tokens_is_bounded() {
        let (memory, now) = (Memory::default(), UnixMillis(1_000_000));
        for n in 0..50_000_u32 {
            remember(&memory, hash_cookie(&n.to_be_bytes()), Known::refused(now), now);
        }
        assert!(lock(&memory).len() <= CAPACITY);
        // What is over makes room first.
        let later = now.plus(REFUSED);
        while lock(&memory).len() < CAPACITY {
            let n = lock(&memory).len();
            remember(&memory, hash_cookie(&n.to_le_bytes()), Known::refused(now), now);
        }
        remember(&memory, [7; 32], Known::refused(later), later);
        assert_eq!(lock(&memory).len(), 1);
    }
}
