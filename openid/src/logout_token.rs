//! The rules of a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4 and §2.6).

use crate::{
    Claims, Jws, LEEWAY, Refused,
    claims::{audiences, subject, text, times},
};
use serde_json::Value;

/// A logout token older than this is somebody's copy, in milliseconds.
const OLDEST: u64 = 5 * 60 * 1000;

/// The event that it is about.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What a logout token must be.
#[derive(Clone, Copy, Debug)]
pub struct LogoutTokenRules<'a> {
    /// Who made it, exactly.
    pub issuer: &'a str,
    /// Who it is for: us.
    pub client_id: &'a str,
    /// Milliseconds since 1970.
    pub now: u64,
}

/// Whose sessions it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// Those of this person.
    pub subject: Option<String>,
    /// Those of this login at the provider.
    pub session: Option<String>,
    /// Its own name, good for once.
    pub jti: String,
}

impl LogoutTokenRules<'_> {
    /// Judges claims under a good signature.
    pub fn judge(&self, token: &Jws<'_>, claims: &Claims) -> Result<LogoutToken, Refused> {
        // Recommended only; the event and the missing nonce tell it from every other kind.
        if !matches!(token.typ.as_deref(), None | Some("jwt" | "logout+jwt")) {
            return Err(Refused("typ"));
        }
        if text(claims, "iss", "iss")? != Some(self.issuer) {
            return Err(Refused("iss"));
        }
        if !audiences(claims)?.contains(&self.client_id) {
            return Err(Refused("aud"));
        }
        let iat = times(claims, self.now, LEEWAY)?.iat.ok_or(Refused("iat"))?;
        if iat + OLDEST + LEEWAY * 1000 < self.now {
            return Err(Refused("too old"));
        }
        let about_logout = claims
            .get("events")
            .and_then(Value::as_object)
            .is_some_and(|e| e.get(EVENT).is_some_and(Value::is_object));
        if !about_logout {
            return Err(Refused("events"));
        }
        if claims.contains_key("nonce") {
            return Err(Refused("nonce"));
        }
        let named = |name, why| {
            let text = text(claims, name, why)?;
            if text.is_some_and(|t| t.is_empty() || t.len() > 255) { Err(Refused(why)) } else { Ok(text) }
        };
        let jti = named("jti", "jti")?.ok_or(Refused("jti"))?.to_owned();
        let session = named("sid", "sid")?.map(str::to_owned);
        let subject = subject(claims)?.map(str::to_owned);
        if subject.is_none() && session.is_none() {
            return Err(Refused("neither sub nor sid"));
        }
        Ok(LogoutToken { subject, session, jti })
    }
}
