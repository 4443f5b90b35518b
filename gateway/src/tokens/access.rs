//! Access tokens: what is in one (contract, section 6), and what makes one valid.

use super::{
    Refused, Verified,
    members::{Members, Plain},
};
use crate::{
    clock::UnixMillis,
    sessions::{Account, LiveSession},
};
use portcullis_plugin_api::Object;
use serde::Serialize;

/// The claims. The account's are for the token's readers; they decide nothing here.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    iat: u64,
    exp: u64,
    jti: String,
    sid: &'a str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    email_verified: bool,
    roles: &'a [String],
    strategy: &'a str,
    metadata: &'a Object,
    app: &'a Object,
}

/// Who makes tokens, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Parties {
    /// `iss`
    pub(super) issuer: String,
    /// `aud`
    pub(super) audience: String,
}

/// What a token of this session says.
pub(super) fn claims<'a>(
    parties: &'a Parties,
    session: &'a LiveSession,
    account: &'a Account,
    now: UnixMillis,
    expires: UnixMillis,
    jti: String,
) -> Claims<'a> {
    Claims {
        iss: &parties.issuer,
        aud: &parties.audience,
        sub: account.uuid.to_string(),
        iat: now.seconds(),
        // No token outlives its session (contract, section 5).
        exp: expires.min(session.expires()).seconds(),
        jti,
        sid: session.sid(),
        name: account.public_name(),
        email: account.verified_email(),
        email_verified: account.verified_email().is_some(),
        roles: &account.roles,
        strategy: session.strategy(),
        metadata: &account.metadata,
        app: &account.app,
    }
}

/// Whether a payload under a good signature makes a valid token now.
pub(super) fn check(
    kid: &str,
    payload: &[u8],
    parties: &Parties,
    now: UnixMillis,
) -> Result<Verified, Refused> {
    match read(kid, payload, parties, now)? {
        (_, expires) if now.0 >= expires => Err(Refused("expired")),
        (verified, _) => Ok(verified),
    }
}

/// What it says, and when it ends or ended, in milliseconds. A claim of the wrong type is
/// refused like a missing one.
pub(super) fn read(
    kid: &str,
    payload: &[u8],
    parties: &Parties,
    now: UnixMillis,
) -> Result<(Verified, u64), Refused> {
    let claims = Members::read(payload, ["iss", "aud", "sub", "sid", "iat", "exp", "nbf"]);
    let Members([iss, aud, sub, sid, iat, exp, nbf]) = claims.ok_or(Refused("payload is no JSON object"))?;
    let is = |claim: &Option<Plain<'_>>, text: &str| claim.as_ref().and_then(Plain::text) == Some(text);
    if !is(&iss, &parties.issuer) {
        return Err(Refused("iss"));
    }
    if !is(&aud, &parties.audience) {
        return Err(Refused("aud"));
    }
    let (Some(Plain::Text(sub)), Some(Plain::Text(sid))) = (sub, sid) else {
        return Err(Refused("sub or sid"));
    };
    let iat = iat.and_then(|claim| claim.date()).ok_or(Refused("iat"))?;
    let exp = exp.and_then(|claim| claim.date()).ok_or(Refused("exp"))?;
    if let Some(nbf) = nbf {
        let nbf = nbf.date().ok_or(Refused("nbf"))?;
        if now.0 < nbf {
            return Err(Refused("not yet valid"));
        }
    }
    let verified = Verified {
        kid: kid.to_owned(),
        sid: sid.into_owned(),
        sub: sub.into_owned(),
        iat: iat / 1000,
        exp: exp / 1000,
    };
    Ok((verified, exp))
}
