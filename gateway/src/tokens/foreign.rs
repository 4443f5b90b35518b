//! Bearers of foreign issuers, `[[token.trusted]]`: what their tokens prove, remembered
//! for a while. The data plane reads the memory; what is not in it is asked on the control
//! plane, for a provider may be slow: so many questions at once and no more.
//!
//! What may not come in: sessions and accounts of ours.

use super::{
    LONGEST_TOKEN, Print,
    memory::{Known, Memory, Turns},
};
use crate::{
    clock::{Clock, UnixMillis},
    made_of::MadeOf,
    sessions::{Guest, LiveSession},
};
use portcullis_config::{Config, Problem, Trusted, TrustedIntrospection};
use portcullis_openid::{
    AccessTokenRules, Algorithm, Claims, Client, ClientSettings, Introspection, Jws, NotUsable, NotVerified,
    Provider, ProviderSettings, Trouble,
};
use serde_json::{Value, json};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{runtime::Handle, task::JoinSet};
use url::Url;

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
    issuers: Vec<Arc<Issuer>>,
    memory: Memory,
    turns: Turns,
}

/// Who judges a token.
enum About {
    /// Its signature is this issuer's, if it is anybody's.
    Signed(Arc<Issuer>),
    /// Only its maker can say.
    Opaque(Vec<Arc<Issuer>>),
}

/// What an issuer said of an opaque token. None: nothing good.
type Told = Result<Option<Known>, Unreachable>;

struct Issuer {
    config: Trusted,
    provider: Provider,
    client: Client,
    introspection: Option<Introspection>,
    made_of: MadeOf,
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
        if problems.is_empty() {
            let issuers = issuers.into_iter().map(Arc::new).collect();
            Ok(Self { issuers, memory: Memory::default(), turns: Turns::default() })
        } else {
            Err(problems)
        }
    }

    /// After a reload: issuers that are what they were keep their keys, and if all of them
    /// are, what is remembered of tokens stays too.
    pub fn keeping(mut self, before: &Arc<Self>) -> Arc<Self> {
        let prints = |of: &Self| of.issuers.iter().map(|issuer| issuer.made_of).collect::<Vec<_>>();
        if prints(&self) == prints(before) {
            return before.clone();
        }
        for issuer in &mut self.issuers {
            if let Some(old) = before.issuers.iter().find(|old| old.made_of == issuer.made_of) {
                *issuer = old.clone();
            }
        }
        Arc::new(self)
    }

    /// Whose token this is. None: no issuer of ours made it, or it is no good now.
    pub async fn bearer(
        self: &Arc<Self>,
        token: &str,
        client: IpAddr,
        now: UnixMillis,
        control: &Handle,
    ) -> Result<Option<Arc<LiveSession>>, Unreachable> {
        if self.issuers.is_empty() || token.is_empty() || token.len() > LONGEST_TOKEN {
            return Ok(None);
        }
        let name = Print::of(token.as_bytes());
        if let Some(known) = self.memory.get(&name, now) {
            return Ok(known.bearer);
        }
        // What is nobody's by its looks costs no memory and no turn.
        let Some(asked) = self.about(token) else { return Ok(None) };
        let turn = self.turns.take(client).await.ok_or(Unreachable)?;
        let text = token.to_owned();
        let asked = control.spawn(async move {
            let _turn = turn;
            match asked {
                About::Signed(issuer) => issuer.signed(&text, now).await,
                About::Opaque(issuers) => first_yes(opaque(issuers, &text, now), now).await,
            }
        });
        let known = asked.await.map_err(|_| Unreachable)??;
        self.memory.put(name, known.clone(), now);
        Ok(known.bearer)
    }

    /// Who can judge a token. None: nobody that we trust.
    fn about(&self, token: &str) -> Option<About> {
        if token.split('.').count() != 3 {
            let issuers: Vec<_> =
                self.issuers.iter().filter(|issuer| issuer.introspection.is_some()).cloned().collect();
            return (!issuers.is_empty()).then_some(About::Opaque(issuers));
        }
        let claimed = Jws::parse(token).ok()?.unproven().unwrap_or_default();
        let iss = claimed.get("iss").and_then(Value::as_str);
        let issuer = self.issuers.iter().find(|issuer| Some(issuer.config.issuer.as_str()) == iss)?;
        Some(About::Signed(issuer.clone()))
    }
}

/// Asks all at once: one that is away must not cost the tokens of the others.
fn opaque(issuers: Vec<Arc<Issuer>>, token: &str, now: UnixMillis) -> JoinSet<Told> {
    let mut asked = JoinSet::new();
    for issuer in issuers {
        let token = token.to_owned();
        asked.spawn(async move { issuer.told(&token, now).await });
    }
    asked
}

/// The first yes; a no only if everybody said so.
async fn first_yes(mut asked: JoinSet<Told>, now: UnixMillis) -> Result<Known, Unreachable> {
    let mut unreachable = false;
    while let Some(told) = asked.join_next().await {
        match told.unwrap_or(Err(Unreachable)) {
            Ok(Some(known)) => return Ok(known),
            Ok(None) => {}
            Err(Unreachable) => unreachable = true,
        }
    }
    if unreachable { Err(Unreachable) } else { Ok(Known::refused(now)) }
}

impl Issuer {
    async fn signed(&self, token: &str, now: UnixMillis) -> Result<Known, Unreachable> {
        let issuer = self;
        let Ok(jws) = Jws::parse(token) else { return Ok(Known::refused(now)) };
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
}

impl Known {
    fn refused(now: UnixMillis) -> Self {
        Self { bearer: None, until: now.plus(REFUSED) }
    }
}

impl Issuer {
    fn load(config: &Trusted, clock: &Clock) -> Result<Self, (String, String)> {
        let here = |message: String| (config.place.clone(), format!("[[token.trusted]] {message}"));
        let url = |text: &str| {
            let found = Url::parse(text).ok().filter(can_be_asked);
            found.ok_or_else(|| {
                let shown = text.escape_debug();
                here(format!(
                    "cannot ask \"{shown}\": write https://, a host, and no name, password or fragment"
                ))
            })
        };
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
        let made_of = made_of(config, ca.as_deref());
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
        Ok(Self { config: config.clone(), provider, client, introspection, made_of })
    }

    /// What the issuer says of an opaque token.
    async fn told(&self, token: &str, now: UnixMillis) -> Told {
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
        let groups: Vec<&str> = groups.filter_map(Value::as_str).filter(|group| !group.is_empty()).collect();
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

/// Everything of it but its place in the file.
fn made_of(config: &Trusted, ca: Option<&[u8]>) -> MadeOf {
    let Trusted { id, issuer, audience, jwks_uri, algorithms, ca: file, roles, introspection, place: _ } =
        config;
    let introspection = introspection.as_ref().map(|found| {
        let TrustedIntrospection { url, client_id, client_secret } = found;
        json!([url, client_id, client_secret.reveal()])
    });
    let authorities = ca.map_or_else(portcullis_openid::system_authorities, <[u8]>::to_vec);
    let own = file.is_some();
    let settings = json!([id, issuer, audience, jwks_uri, algorithms, own, roles, introspection]);
    MadeOf::of(&settings, &[authorities])
}

/// As the client asks only such addresses, `check` finds any other.
fn can_be_asked(url: &Url) -> bool {
    url.scheme() == "https"
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn loaded(keys: &str) -> Result<Arc<Foreign>, Vec<Problem>> {
        let text = format!(
            "[strategies.local]\nkind = \"local\"\n[[token.trusted]]\nid = \"ci\"\nissuer = \
             \"https://ci.test\"\naudience = \"api\"\n{keys}\n"
        );
        let config = portcullis_config::parse(&text, "/x/p.toml".as_ref(), &[]).unwrap();
        Foreign::load(&config, &Clock::system()).map(Arc::new)
    }

    fn jwt(payload: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.AAAA", part(r#"{"alg":"ES256"}"#), part(payload))
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_of_nobody_whom_we_trust_costs_no_turn_and_no_memory() {
        let foreign = loaded("").unwrap();
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let mut turns = Vec::new();
        while let Some(turn) = foreign.turns.take(client).await {
            turns.push(turn);
        }
        let long = "A".repeat(8000);
        for token in
            [jwt(r#"{"iss":"https://evil.test"}"#), jwt("{}"), format!("a.{long}.b"), "opaque".into()]
        {
            let found = foreign.bearer(&token, client, NOW, &Handle::current()).await;
            assert!(matches!(found, Ok(None)), "{token}");
        }
        assert_eq!(foreign.memory.len(), 0);
        let of_ours = jwt(r#"{"iss":"https://ci.test"}"#);
        let found = foreign.bearer(&of_ours, client, NOW, &Handle::current()).await;
        assert!(matches!(found, Err(Unreachable)), "this one has to wait for its turn");
    }

    #[tokio::test]
    async fn an_issuer_that_is_away_does_not_keep_the_tokens_of_another_waiting() {
        let mut asked = JoinSet::<Told>::new();
        asked.spawn(std::future::pending());
        asked.spawn(async { Ok(None) });
        asked.spawn(async { Ok(Some(Known { bearer: None, until: NOW })) });
        assert!(first_yes(asked, NOW).await.is_ok());
        let mut asked = JoinSet::<Told>::new();
        asked.spawn(async { Ok(None) });
        asked.spawn(async { Err(Unreachable) });
        assert!(first_yes(asked, NOW).await.is_err(), "whoever is away may have made it");
    }

    #[test]
    fn an_address_that_could_never_be_asked_is_found_before_a_token_comes() {
        assert!(loaded("").is_ok());
        for keys in [
            "jwks_uri = \"https://user:pw@ci.test/keys\"",
            "jwks_uri = \"https://ci.test/keys#new\"",
            "jwks_uri = \"https://ci test/keys\"",
            "introspection = { url = \"https://u@ci.test/\", client_id = \"g\", client_secret = \"s\" }",
        ] {
            let problems = loaded(keys).err().unwrap_or_default();
            assert!(problems.iter().any(|problem| problem.message.contains("cannot ask")), "{keys}");
        }
    }
}
