//! The claims that all kinds of tokens share, read strictly: a claim of the wrong type is
//! refused, never taken for an absent one (RFC 7519 §2, RFC 8725 §3).

use crate::Refused;
use serde_json::{Map, Value};

/// How far a provider's clock may be from ours, in seconds.
pub const LEEWAY: u64 = 60;

/// The claims of a token whose signature is good.
pub type Claims = Map<String, Value>;

/// Text, absent, or refused.
pub(crate) fn text<'a>(
    claims: &'a Claims,
    name: &str,
    why: &'static str,
) -> Result<Option<&'a str>, Refused> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refused(why)),
    }
}

/// A NumericDate in milliseconds since 1970, absent, or refused. Fractions are legal.
pub(crate) fn date(claims: &Claims, name: &str, why: &'static str) -> Result<Option<u64>, Refused> {
    const YEAR_10000: u64 = 253_402_300_800;
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(seconds) = value.as_u64() {
        return if seconds < YEAR_10000 { Ok(Some(seconds * 1000)) } else { Err(Refused(why)) };
    }
    let seconds = value.as_number().and_then(serde_json::Number::as_f64).ok_or(Refused(why))?;
    if (0.0..YEAR_10000 as f64).contains(&seconds) {
        Ok(Some((seconds * 1000.0) as u64))
    } else {
        Err(Refused(why))
    }
}

/// Whose token it is: between 1 and 255 bytes, no control characters (OpenID Connect Core §2).
pub(crate) fn subject(claims: &Claims) -> Result<Option<&str>, Refused> {
    let sub = text(claims, "sub", "sub")?;
    let fits = |sub: &str| !sub.is_empty() && sub.len() <= 255 && !sub.chars().any(char::is_control);
    if sub.is_none_or(fits) { Ok(sub) } else { Err(Refused("sub")) }
}

/// Who it is for: text, or a list of texts.
pub(crate) fn audiences(claims: &Claims) -> Result<Vec<&str>, Refused> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(all)) if !all.is_empty() => {
            all.iter().map(|one| one.as_str().ok_or(Refused("aud"))).collect()
        }
        _ => Err(Refused("aud")),
    }
}

/// `exp`, `iat` and `nbf` against the clock. `leeway` is in seconds and for `exp` only;
/// a clock that is ahead of ours may be so by a minute.
pub(crate) fn times(claims: &Claims, now: u64, leeway: u64) -> Result<Times, Refused> {
    let exp = date(claims, "exp", "exp")?;
    let iat = date(claims, "iat", "iat")?;
    let nbf = date(claims, "nbf", "nbf")?;
    if exp.is_some_and(|exp| now >= exp + leeway * 1000) {
        return Err(Refused("expired"));
    }
    if iat.is_some_and(|iat| iat > now + LEEWAY * 1000) {
        return Err(Refused("issued in the future"));
    }
    if nbf.is_some_and(|nbf| nbf > now + LEEWAY * 1000) {
        return Err(Refused("not yet valid"));
    }
    Ok(Times { exp, iat })
}

/// In milliseconds since 1970.
pub(crate) struct Times {
    pub(crate) exp: Option<u64>,
    pub(crate) iat: Option<u64>,
}
