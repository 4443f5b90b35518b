//! A person comes back from the provider: who answers, what it answers, and whether every
//! rule of an ID token holds, before anything is believed.

use crate::{
    Endpoints, OAuth,
    claims::{self, at, plain},
    exchange::Tokens,
    kept::{self, Flow, State},
    possession::Possession,
    presets::Quirk,
    source::Source,
    trouble::{self, Stop, code},
};
use portcullis_openid::{Claims, IdTokenRules, Issuer, Jws, Refused, Trouble};
use portcullis_plugin_api::{Answer, Authenticated, Call, Outcome, Resume, StrategyError, Subject, Via};
use serde_json::Value;
use std::time::Duration;

/// The longest code that is sent on.
const LONGEST_CODE: usize = 4096;

/// The least time between two looks at somebody.
const LEAST_WAIT: u64 = 60;

/// What tokens prove: whose, and what else.
pub(crate) struct Proven {
    pub(crate) issuer: String,
    pub(crate) claims: Claims,
    /// The provider's name for this login.
    pub(crate) session: Option<String>,
}

impl OAuth {
    pub(crate) async fn come_back(&self, call: &Call, request: Resume) -> Answer<Outcome> {
        if request.via != Via::Redirect {
            let (field, message) = ("code".to_owned(), "this login goes on at the provider".to_owned());
            return Err(StrategyError::BadRequest { field, message });
        }
        let flow: Flow = kept::read(&request.flow)
            .ok_or_else(|| StrategyError::Failed("a flow of another version".into()))?;
        let endpoints = self.endpoints().await.map_err(trouble::error)?;
        match self.signed_in(&endpoints, &request, &flow).await {
            Ok(authenticated) => Ok(Outcome::Authenticated(Box::new(authenticated))),
            Err(stop) => stop.answer(call),
        }
    }

    async fn signed_in(
        &self,
        endpoints: &Endpoints,
        request: &Resume,
        flow: &Flow,
    ) -> Result<Authenticated, Stop> {
        let answered = request.params.get("iss");
        self.answered_by(endpoints, answered.map(String::as_str))?;
        if let Some(error) = request.params.get("error") {
            return Err(Stop::Denied(code(error)));
        }
        let code = request.params.get("code").filter(|code| !code.is_empty() && code.len() <= LONGEST_CODE);
        let code = code.ok_or_else(|| Trouble::Invalid("it sent the person back without a code".into()))?;
        let possession = self.settings.dpop.then(Possession::new);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", request.resume_url.as_str()),
            ("code_verifier", flow.verifier.reveal()),
        ];
        let tokens = self.tokens(&endpoints.token, &form, possession.as_ref()).await?;
        let proven = match &self.provider {
            Some(_) => self.by_id_token(&tokens, Some(flow.nonce.reveal())).await?,
            None => Proven { issuer: self.realm(), claims: Claims::new(), session: None },
        };
        // Of a shared issuer, the tenant that answered is the one that signed.
        if self.provider.is_some() && answered.is_some_and(|iss| *iss != proven.issuer) {
            return Err(Trouble::Invalid("the answer names another issuer (RFC 9207)".into()).into());
        }
        self.authenticated_as(endpoints, tokens, possession, proven, None).await
    }

    /// RFC 9207 §2.4: an answer that names another issuer, or none where the issuer always
    /// does, is somebody's who mixes providers up.
    fn answered_by(&self, endpoints: &Endpoints, iss: Option<&str>) -> Result<(), Stop> {
        let Source::OpenId { issuer, .. } = &self.settings.source else { return Ok(()) };
        match iss {
            Some(iss) if Issuer::of(issuer).names(iss) => Ok(()),
            Some(_) => Err(Trouble::Invalid("the answer names another issuer (RFC 9207)".into()).into()),
            None if endpoints.names_itself => Err(Trouble::Invalid(
                "the answer does not name its issuer, as it always does (RFC 9207)".into(),
            )
            .into()),
            None => Ok(()),
        }
    }

    /// Verifies the ID token. `nonce`: of a login; a refresh has none.
    pub(crate) async fn by_id_token(&self, tokens: &Tokens, nonce: Option<&str>) -> Result<Proven, Stop> {
        let provider =
            self.provider.as_ref().ok_or_else(|| Trouble::Invalid("it has no ID tokens".into()))?;
        let id = tokens.id.as_ref().ok_or_else(|| Trouble::Invalid("it gave no `id_token`".into()))?;
        let refused =
            |why: Refused| Stop::from(Trouble::Invalid(format!("its ID token is refused: {}", why.0)));
        let token = Jws::parse(id.reveal()).map_err(refused)?;
        let claims = match provider.open(&token).await {
            Ok(claims) => claims,
            Err(portcullis_openid::NotVerified::Refused(why)) => return Err(refused(why)),
            Err(portcullis_openid::NotVerified::Trouble(trouble)) => return Err(trouble.into()),
        };
        let expected = Issuer::of(provider.issuer());
        let pattern = matches!(expected, Issuer::Tenant(_));
        let rules = IdTokenRules {
            issuer: expected,
            client_id: &self.settings.client_id,
            nonce,
            access_token: Some(tokens.access.reveal()),
            // A refresh proves nobody anew.
            max_age: self.settings.max_age.filter(|_| nonce.is_some()).map(|age| age.as_secs()),
            now: self.now(),
        };
        let issuer = rules.judge(&token, &claims).map_err(refused)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let tenants = &self.settings.tenants;
        if pattern
            && !tenants.is_empty()
            && !text("tid").is_some_and(|tid| tenants.iter().any(|own| own == tid))
        {
            return Err(Stop::Denied("tenant_not_listed".into()));
        }
        let contexts = &self.settings.acr_values;
        if nonce.is_some()
            && !contexts.is_empty()
            && !text("acr").is_some_and(|acr| contexts.iter().any(|own| own == acr))
        {
            return Err(Stop::Denied("unmet_authentication_requirements".into()));
        }
        let session = text("sid").filter(|sid| !sid.is_empty() && sid.len() <= 255).map(str::to_owned);
        Ok(Proven { issuer, session, claims })
    }

    /// Asks for the rest of the claims and makes the answer. `before`: what was kept, at a
    /// refresh.
    pub(crate) async fn authenticated_as(
        &self,
        endpoints: &Endpoints,
        tokens: Tokens,
        possession: Option<Possession>,
        proven: Proven,
        before: Option<State>,
    ) -> Result<Authenticated, Stop> {
        let openid = self.provider.is_some();
        let mut claims = proven.claims;
        if let Some(url) = endpoints.userinfo.as_ref().filter(|_| self.settings.userinfo || !openid) {
            let mut found = self.userinfo(url, &tokens, possession.as_ref()).await?;
            if openid && found.get("sub").and_then(Value::as_str) != claims.get("sub").and_then(Value::as_str)
            {
                return Err(Trouble::Invalid("its userinfo is about another person (`sub`)".into()).into());
            }
            if self.settings.preset.quirk == Quirk::Github {
                self.ask_github(url, &tokens, &mut found).await?;
            }
            claims = claims::merged(claims, found);
        }
        self.fetch_overage(&tokens, &mut claims).await?;
        let subject = self.subject(&claims)?;
        let methods = claims.get("amr").and_then(Value::as_array);
        let methods =
            methods.into_iter().flatten().filter_map(Value::as_str).take(16).map(str::to_owned).collect();
        let mut state = self.state(&tokens, possession, before);
        let refresh_after = self.wait(&tokens, &state);
        state.due = refresh_after.map(|wait| state.seen.saturating_add(wait.as_secs() * 1000));
        Ok(Authenticated {
            realm: proven.issuer,
            claims: claims::mapped(claims, &self.settings, openid)?,
            methods,
            state: state.bytes(),
            refresh_after,
            provider_session: proven.session,
            ..Authenticated::of(subject)
        })
    }

    fn subject(&self, claims: &Claims) -> Result<Subject, Stop> {
        let path = if self.provider.is_some() { "sub" } else { self.settings.claims.subject.as_str() };
        let found = at(claims, path).and_then(plain).and_then(Subject::new);
        found.ok_or_else(|| Trouble::Invalid(format!("it does not say who signed in (`{path}`)")).into())
    }

    /// Within what a subject is unique: of plain OAuth 2 the origin of the token endpoint.
    pub(crate) fn realm(&self) -> String {
        match &self.settings.source {
            Source::OpenId { issuer, .. } => issuer.clone(),
            Source::Plain { token, .. } => token.origin().ascii_serialization(),
        }
    }

    fn state(&self, tokens: &Tokens, possession: Option<Possession>, before: Option<State>) -> State {
        let (old_refresh, old_id) = before.map(|state| (state.refresh, state.id_token)).unwrap_or_default();
        // A provider that gives no new one means the old one (RFC 6749 §6).
        let refresh = tokens.refresh.clone().or(old_refresh);
        let plain = self.provider.is_none() && refresh.is_none();
        let ends = tokens.lifetime.map(|lifetime| self.now().saturating_add(lifetime.saturating_mul(1000)));
        State {
            seen: self.now(),
            due: None,
            access: plain.then(|| tokens.access.clone()),
            access_ends: ends.filter(|_| plain),
            id_token: tokens.id.clone().or(old_id),
            key: possession.map(|possession| possession.kept),
            refresh,
        }
    }

    /// When to look again: while the access token is good, and as often as configured. None:
    /// there is nothing to look with, or soon nothing any more.
    fn wait(&self, tokens: &Tokens, state: &State) -> Option<Duration> {
        let most = self.settings.refresh?.as_secs();
        if state.refresh.is_none() && state.access.is_none() {
            return None;
        }
        let of_token = match tokens.lifetime {
            // Apple wants to be asked once a day (its "Verifying a user"), however short its tokens.
            Some(_) if self.settings.preset.quirk == Quirk::Apple => most,
            Some(lifetime) => lifetime / 4 * 3,
            None => most,
        };
        if state.access.is_some() && of_token < LEAST_WAIT {
            return None;
        }
        Some(Duration::from_secs(of_token.min(most).max(LEAST_WAIT)))
    }
}
