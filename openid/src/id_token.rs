//! The rules of an ID token (OpenID Connect Core §3.1.3.7 and §3.1.3.6, Errata 2), all of
//! them, none optional.

use crate::{
    Algorithm, Claims, Jws, LEEWAY, Refused,
    claims::{audiences, date, subject, text, times},
};
use aws_lc_rs::{constant_time, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Whose tokens are believed.
#[derive(Clone, Copy, Debug)]
pub enum Issuer<'a> {
    /// Exactly this one's.
    Exact(&'a str),
    /// Microsoft's: the text has `{tenantid}` in it, and the token's own `tid` takes its place.
    Tenant(&'a str),
}

impl<'a> Issuer<'a> {
    /// As a provider is called: a pattern, or one name.
    pub fn of(name: &'a str) -> Self {
        if name.contains(PLACE) { Self::Tenant(name) } else { Self::Exact(name) }
    }

    /// Whether this is its name, or of a pattern the name of one tenant. Which one, only a
    /// token can say.
    pub fn names(&self, iss: &str) -> bool {
        match self {
            Self::Exact(exact) => iss == *exact,
            Self::Tenant(pattern) => {
                let (before, after) = pattern.split_once(PLACE).unwrap_or((pattern, ""));
                let tenant = iss.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                tenant.is_some_and(is_tenant)
            }
        }
    }
}

/// Where the tenant stands in a pattern.
const PLACE: &str = "{tenantid}";

/// What the ID token of one login must be.
#[derive(Clone, Copy, Debug)]
pub struct IdTokenRules<'a> {
    /// Who made it.
    pub issuer: Issuer<'a>,
    /// Who it is for: us.
    pub client_id: &'a str,
    /// What we sent with the person. None at a refresh, where a token need not have one.
    pub nonce: Option<&'a str>,
    /// The access token that came with it.
    pub access_token: Option<&'a str>,
    /// The longest time, in seconds, since the person last proved who they are.
    pub max_age: Option<u64>,
    /// Milliseconds since 1970.
    pub now: u64,
}

impl IdTokenRules<'_> {
    /// Judges claims under a good signature. Answers who the issuer is.
    pub fn judge(&self, token: &Jws<'_>, claims: &Claims) -> Result<String, Refused> {
        self.kind(token, claims)?;
        let issuer = self.issuer(claims)?;
        self.audience(claims)?;
        subject(claims)?.ok_or(Refused("sub"))?;
        let found = times(claims, self.now, LEEWAY)?;
        found.exp.ok_or(Refused("exp"))?;
        found.iat.ok_or(Refused("iat"))?;
        let nonce = text(claims, "nonce", "nonce")?;
        let same = |nonce: &str, sent: &str| {
            constant_time::verify_slices_are_equal(nonce.as_bytes(), sent.as_bytes()).is_ok()
        };
        match (self.nonce, nonce) {
            (Some(sent), Some(nonce)) if same(nonce, sent) => {}
            (Some(_), _) => return Err(Refused("nonce")),
            (None, _) => {}
        }
        self.access_token(token.algorithm, claims)?;
        self.age(claims)?;
        Ok(issuer)
    }

    /// Other kinds of tokens say so (RFC 8725 §3.11).
    fn kind(&self, token: &Jws<'_>, claims: &Claims) -> Result<(), Refused> {
        if !matches!(token.typ.as_deref(), None | Some("jwt")) {
            return Err(Refused("typ"));
        }
        if claims.contains_key("events") { Err(Refused("a token of an event")) } else { Ok(()) }
    }

    fn issuer(&self, claims: &Claims) -> Result<String, Refused> {
        let issuer = text(claims, "iss", "iss")?.ok_or(Refused("iss"))?;
        let expected = match self.issuer {
            Issuer::Exact(exact) => exact.to_owned(),
            Issuer::Tenant(pattern) => {
                let tenant =
                    text(claims, "tid", "tid")?.filter(|tid| is_tenant(tid)).ok_or(Refused("tid"))?;
                pattern.replace(PLACE, tenant)
            }
        };
        if issuer == expected { Ok(expected) } else { Err(Refused("iss")) }
    }

    fn audience(&self, claims: &Claims) -> Result<(), Refused> {
        let audiences = audiences(claims)?;
        if !audiences.contains(&self.client_id) {
            return Err(Refused("aud"));
        }
        match text(claims, "azp", "azp")? {
            Some(azp) if azp == self.client_id => Ok(()),
            Some(_) => Err(Refused("azp")),
            // With several readers the token says which one it was made for.
            None if audiences.len() > 1 => Err(Refused("azp")),
            None => Ok(()),
        }
    }

    fn access_token(&self, algorithm: Algorithm, claims: &Claims) -> Result<(), Refused> {
        let (Some(hash), Some(token)) = (text(claims, "at_hash", "at_hash")?, self.access_token) else {
            return Ok(());
        };
        let digest = digest::digest(algorithm.hash(), token.as_bytes());
        let half = &digest.as_ref()[..digest.as_ref().len() / 2];
        if URL_SAFE_NO_PAD.encode(half) == hash { Ok(()) } else { Err(Refused("at_hash")) }
    }

    fn age(&self, claims: &Claims) -> Result<(), Refused> {
        let at = date(claims, "auth_time", "auth_time")?;
        let Some(max_age) = self.max_age else { return Ok(()) };
        let at = at.ok_or(Refused("auth_time"))?;
        let latest = at.saturating_add(max_age.saturating_add(LEEWAY).saturating_mul(1000));
        if self.now <= latest { Ok(()) } else { Err(Refused("auth_time")) }
    }
}

/// A GUID, as Microsoft's tenants are named.
fn is_tenant(text: &str) -> bool {
    let dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| if dash(at) { b == b'-' } else { b.is_ascii_hexdigit() })
}
