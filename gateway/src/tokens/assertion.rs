//! Assertions: who makes the request, signed for one upstream (contract, section 7). A
//! key of their own and a `typ` of their own: no endpoint of ours accepts one.

use crate::{
    clock::UnixMillis,
    sessions::{Account, LiveSession},
};
use serde::Serialize;
use std::time::Duration;

/// The claims.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    roles: &'a [String],
    strategy: &'a str,
    /// The bearer of a foreign token has none.
    #[serde(skip_serializing_if = "str::is_empty")]
    sid: &'a str,
}

/// What the upstream is told of this request's account.
pub(super) fn claims<'a>(
    issuer: &'a str,
    upstream: &'a str,
    session: &'a LiveSession,
    account: &'a Account,
    now: UnixMillis,
    lifetime: Duration,
    jti: String,
) -> Claims<'a> {
    Claims {
        iss: issuer,
        sub: if account.is_guest() { account.public_name() } else { account.uuid.to_string() },
        aud: upstream,
        iat: now.seconds(),
        exp: now.plus(lifetime).min(session.expires()).seconds(),
        jti,
        name: account.public_name(),
        email: account.verified_email(),
        roles: &account.roles,
        strategy: session.strategy(),
        sid: session.sid(),
    }
}
