//! Signing out: here and so there (RP-Initiated Logout 1.0, RFC 7009), there and so here
//! (Back-Channel and Front-Channel Logout 1.0).

use crate::{
    OAuth,
    kept::{self, State},
    trouble,
};
use portcullis_openid::{Jws, LogoutTokenRules, NotVerified, Refused};
use portcullis_plugin_api::{Answer, Call, Logout, LogoutReply, Notice, NoticeReply, StrategyError, Subject};
use std::time::Duration;
use url::Url;

/// How long the name of a logout token is remembered: longer than one is good.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// The longest ID token that goes into an address.
const LONGEST_HINT: usize = 4096;

impl OAuth {
    pub(crate) async fn sign_out(&self, call: &Call, request: Logout) -> Answer<LogoutReply> {
        let Some(state) = kept::read::<State>(&request.state) else { return Ok(LogoutReply::default()) };
        let endpoints = self.endpoints().await.map_err(trouble::error)?;
        if let (Some(url), Some(token)) =
            (&endpoints.revocation, state.refresh.as_ref().or(state.access.as_ref()))
        {
            let kind = if state.refresh.is_some() { "refresh_token" } else { "access_token" };
            self.revoke(call, url, token.reveal(), kind).await;
        }
        let redirect = endpoints.end_session.map(|mut url| {
            let mut query = url.query_pairs_mut();
            query.append_pair("client_id", &self.settings.client_id);
            query.append_pair("post_logout_redirect_uri", &request.return_url);
            // Servers refuse longer lines; `client_id` says as much, and the provider may ask.
            if let Some(token) = state.id_token.as_ref().filter(|token| token.reveal().len() <= LONGEST_HINT)
            {
                query.append_pair("id_token_hint", token.reveal());
            }
            drop(query);
            url.into()
        });
        Ok(LogoutReply { redirect })
    }

    /// Gives a token back. Nobody waits for it to succeed: the session here has ended.
    async fn revoke(&self, call: &Call, url: &Url, token: &str, kind: &str) {
        let form = vec![("token".into(), token.into()), ("token_type_hint".into(), kind.into())];
        let why = match self.client.call(self.authenticated(url, form)).await {
            Ok(reply) if reply.status.is_success() => return,
            Ok(reply) => format!("it answers {}", reply.status.as_u16()),
            Err(trouble) => trouble.to_string(),
        };
        tracing::warn!(strategy = %call.strategy, error = %why, "a token was not given back to the provider at sign-out");
    }

    /// The provider says that somebody signed out.
    pub(crate) async fn told(&self, notice: Notice) -> Answer<NoticeReply> {
        let provider = self.provider.as_ref().ok_or(StrategyError::Unsupported)?;
        if notice.front_channel {
            // Front-Channel Logout §2: both, or nobody is meant.
            let given = |name: &str| notice.params.get(name).filter(|value| !value.is_empty());
            let session =
                given("sid").filter(|sid| sid.len() <= 255).ok_or_else(|| bad("sid", "is missing"))?;
            if given("iss").map(String::as_str) != Some(provider.issuer()) {
                return Err(bad("iss", "is not the issuer"));
            }
            return Ok(NoticeReply {
                realm: provider.issuer().to_owned(),
                provider_session: Some(session.clone()),
                ..NoticeReply::default()
            });
        }
        let text = notice.params.get("logout_token").ok_or_else(|| bad("logout_token", "is missing"))?;
        let refused = |why: Refused| bad("logout_token", why.0);
        let token = Jws::parse(text).map_err(refused)?;
        let claims = match provider.open(&token).await {
            Ok(claims) => claims,
            Err(NotVerified::Refused(why)) => return Err(refused(why)),
            Err(NotVerified::Trouble(trouble)) => return Err(trouble::error(trouble)),
        };
        // A shared issuer of Microsoft's names the tenant in the token.
        let issuer = match claims
            .get("iss")
            .and_then(|iss| iss.as_str())
            .zip(claims.get("tid").and_then(|tid| tid.as_str()))
        {
            Some((_, tenant)) if provider.issuer().contains("{tenantid}") => {
                provider.issuer().replace("{tenantid}", tenant)
            }
            _ => provider.issuer().to_owned(),
        };
        let rules =
            LogoutTokenRules { issuer: &issuer, client_id: &self.settings.client_id, now: self.now() };
        let found = rules.judge(&token, &claims).map_err(refused)?;
        let subject = match found.subject {
            Some(subject) => Some(Subject::new(subject).ok_or_else(|| bad("logout_token", "sub"))?),
            None => None,
        };
        Ok(NoticeReply {
            subject,
            realm: issuer,
            provider_session: found.session,
            once: Some((found.jti, REMEMBERED)),
        })
    }
}

fn bad(field: &str, message: &str) -> StrategyError {
    StrategyError::BadRequest { field: field.to_owned(), message: message.to_owned() }
}
