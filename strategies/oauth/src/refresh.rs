//! Looking again at somebody who signed in: the provider's no ends the session, its
//! silence does not, for a while.

use crate::{
    Endpoints, OAuth,
    exchange::Tokens,
    kept::{self, State},
    possession::Possession,
    resume::Proven,
    trouble::{self, Stop},
};
use portcullis_openid::{Claims, Jws, Trouble, within};
use portcullis_plugin_api::{Answer, Authenticated, Call, Outcome, Refresh, StrategyError};
use serde_json::Value;
use std::time::Duration;

/// How long looking at somebody may take.
const LONGEST: Duration = Duration::from_secs(9);

/// Codes that are about the person: signed out there, disabled, a token used twice, or
/// wanted back in front of the provider's own pages. The last of them is GitHub's word.
const ENDS: &[&str] = &[
    "invalid_grant",
    "invalid_token",
    "login_required",
    "interaction_required",
    "consent_required",
    "account_selection_required",
    "bad_refresh_token",
];

impl OAuth {
    pub(crate) async fn look_again(&self, call: &Call, request: Refresh) -> Answer<Outcome> {
        let state: State = kept::read(&request.state)
            .ok_or_else(|| StrategyError::Failed("a state of another version".into()))?;
        let looked = async {
            let endpoints = self.endpoints().await?;
            self.fresh(&endpoints, &request, state.clone()).await
        };
        // Before the gateway gives up: it would not know that the provider is silent.
        let looked = within(LONGEST, looked).await;
        match looked.unwrap_or_else(|late| Err(late.into())) {
            Ok(authenticated) if authenticated.subject == request.subject => {
                Ok(Outcome::Authenticated(Box::new(authenticated)))
            }
            Ok(_) => Err(StrategyError::ProviderInvalid("a refresh is answered with another person".into())),
            // The token is no good any more: signed out there, disabled, used twice.
            Err(Stop::Denied(code)) if ENDS.contains(&code.as_str()) => Ok(trouble::refused(code)),
            // Anything else is about us, not about the person.
            Err(Stop::Denied(code)) => {
                self.patience(call, &state, Trouble::Unreachable(format!("a refresh is answered {code}")))
            }
            Err(Stop::Trouble(trouble)) => self.patience(call, &state, trouble),
        }
    }

    /// An error, which keeps the session, until the provider has been silent for too long.
    fn patience(&self, call: &Call, state: &State, trouble: Trouble) -> Answer<Outcome> {
        let grace = u64::try_from(self.settings.refresh_grace.as_millis()).unwrap_or(u64::MAX);
        // From when it did not answer, not from when it last did.
        if self.now() > state.due.unwrap_or(state.seen).saturating_add(grace) {
            tracing::warn!(strategy = %call.strategy, %trouble, "the provider has been silent for longer than refresh_grace");
            return Ok(trouble::refused("temporarily_unavailable".into()));
        }
        Err(trouble::error(trouble))
    }

    async fn fresh(
        &self,
        endpoints: &Endpoints,
        request: &Refresh,
        state: State,
    ) -> Result<Authenticated, Stop> {
        let possession = state.key.as_ref().and_then(Possession::of);
        let tokens = match (&state.refresh, &state.access) {
            (Some(refresh), _) => match self.rotated.of(refresh, self.now()) {
                Some(tokens) => tokens,
                None => {
                    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.reveal())];
                    let tokens = self.tokens(&endpoints.token, &form, possession.as_ref()).await?;
                    self.rotated.keep(refresh, &tokens, self.now());
                    tokens
                }
            },
            (None, Some(access)) => {
                let left = state.access_ends.map(|ends| ends.saturating_sub(self.now()) / 1000);
                if left == Some(0) {
                    // Shown too late; a no to it would say nothing of the person.
                    return Err(Trouble::Unreachable("the token to ask with has ended".into()).into());
                }
                Tokens { access: access.clone(), id: None, refresh: None, lifetime: left, bound: false }
            }
            (None, None) => return Err(Stop::Denied("invalid_grant".into())),
        };
        let proven = self.still(&tokens, &state).await?;
        if self.provider.is_some()
            && proven.claims.get("sub").and_then(Value::as_str) != Some(request.subject.as_str())
        {
            return Err(Trouble::Invalid("a refresh is answered with another person".into()).into());
        }
        self.authenticated_as(endpoints, tokens, possession, proven, Some(state)).await
    }

    /// What is proven now: by a new ID token, or else by the old one, of which the times
    /// have passed (OpenID Connect Core §12.2).
    async fn still(&self, tokens: &Tokens, state: &State) -> Result<Proven, Stop> {
        if self.provider.is_none() {
            return Ok(Proven { issuer: self.realm(), claims: Claims::new(), session: None });
        }
        let old = state.id_token.as_ref().and_then(|token| Jws::parse(token.reveal()).ok()?.unproven());
        let text = |claims: &Claims, name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(old) = old else {
            return match tokens.id {
                Some(_) => self.by_id_token(tokens, None).await,
                None => Err(Trouble::Invalid("it gave no `id_token`".into()).into()),
            };
        };
        // It was verified before it was kept, and was sealed meanwhile.
        let session = text(&old, "sid");
        let issuer = text(&old, "iss").unwrap_or_else(|| self.realm());
        if tokens.id.is_none() {
            return Ok(Proven { issuer, session, claims: old });
        }
        let mut new = self.by_id_token(tokens, None).await?;
        if new.issuer != issuer || text(&new.claims, "sub") != text(&old, "sub") {
            return Err(Trouble::Invalid("a refreshed ID token is about somebody else".into()).into());
        }
        new.session = new.session.or(session);
        Ok(new)
    }
}
