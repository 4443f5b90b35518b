//! The rules of a foreign issuer's access token that is a JWT (RFC 9068, and the many that
//! were there before it).

use crate::{
    Claims, Jws, Refused,
    claims::{audiences, subject, text, times},
};

/// What an access token must be.
#[derive(Clone, Copy, Debug)]
pub struct AccessTokenRules<'a> {
    /// Who made it, exactly.
    pub issuer: &'a str,
    /// Who it is for, exactly: the API behind us.
    pub audience: &'a str,
    /// Milliseconds since 1970.
    pub now: u64,
}

impl AccessTokenRules<'_> {
    /// Judges claims under a good signature. Answers who, and until when in milliseconds
    /// since 1970: to the moment, without leeway.
    pub fn judge(&self, token: &Jws<'_>, claims: &Claims) -> Result<(String, u64), Refused> {
        if !matches!(token.typ.as_deref(), None | Some("jwt" | "at+jwt")) {
            return Err(Refused("typ"));
        }
        // What only an ID token or a logout token has (RFC 8725 §3.11 for those without typ).
        const FOREIGN: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
        if token.typ.as_deref() != Some("at+jwt") && FOREIGN.iter().any(|name| claims.contains_key(*name)) {
            return Err(Refused("a token of another kind"));
        }
        if text(claims, "iss", "iss")? != Some(self.issuer) {
            return Err(Refused("iss"));
        }
        if !audiences(claims)?.contains(&self.audience) {
            return Err(Refused("aud"));
        }
        // Good only together with a proof of a key (RFC 7800, RFC 9449) that is not asked here.
        if claims.contains_key("cnf") {
            return Err(Refused("bound to a key"));
        }
        let exp = times(claims, self.now, 0)?.exp.ok_or(Refused("exp"))?;
        let sub = subject(claims)?.ok_or(Refused("sub"))?;
        Ok((sub.to_owned(), exp))
    }
}
