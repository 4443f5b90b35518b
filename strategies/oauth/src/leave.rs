//! Signing out: here and so there (RP-Initiated Logout 1.0, RFC 7009), there and so here
//! (Back-Channel and Front-Channel Logout 1.0).

use crate::{
    OAuth,
    kept::{self, State},
    trouble,
};
use portcullis_openid::{Issuer, Jws, LogoutTokenRules, NotVerified, Refused, within};
use portcullis_plugin_api::{Answer, Call, Logout, LogoutReply, Notice, NoticeReply, StrategyError, Subject};
use std::time::Duration;

/// How long the name of a logout token is remembered: longer than one is good.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// How long somebody who signs out waits for a provider's metadata.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest ID token that goes into an address.
const LONGEST_HINT: usize = 4096;

impl OAuth {
    pub(crate) async fn sign_out(&self, call: &Call, request: Logout) -> Answer<LogoutReply> {
        let Some(state) = kept::read::<State>(&request.state) else { return Ok(LogoutReply::default()) };
        // Nobody is kept waiting by a provider that they want to leave.
        let endpoints = within(PATIENCE, self.endpoints()).await.flatten().map_err(trouble::error)?;
        if let Some(url) = &endpoints.revocation {
            self.give_back(call, url, &state);
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

    /// The provider says that somebody signed out.
    pub(crate) async fn told(&self, notice: Notice) -> Answer<NoticeReply> {
        let provider = self.provider.as_ref().ok_or(StrategyError::Unsupported)?;
        if notice.front_channel {
            // Front-Channel Logout §2: both, or nobody is meant.
            let given = |name: &str| notice.params.get(name).filter(|value| !value.is_empty());
            let session =
                given("sid").filter(|sid| sid.len() <= 255).ok_or_else(|| bad("sid", "is missing"))?;
            let named = given("iss").filter(|iss| Issuer::of(provider.issuer()).names(iss));
            return Ok(NoticeReply {
                realm: named.ok_or_else(|| bad("iss", "is not the issuer"))?.clone(),
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
