//! Who is asking: the live session of the cookie, and that of the token. Decided here for
//! endpoints as the data plane decides it for proxied requests (contract, section 6).

use super::Ask;
use crate::{
    problem::{Code, Problem},
    sessions::{Found, LiveSession, Lookup, Unavailable},
    tokens::{Unreachable, Verified},
};
use http::header::{AUTHORIZATION, COOKIE};
use std::sync::Arc;
use tokio::runtime::Handle;

/// The live sessions that a request names.
#[derive(Default)]
pub struct Presented {
    /// By the session cookie.
    pub cookie: Option<Arc<LiveSession>>,
    /// By `Authorization`; an error when it is ours and no good.
    pub token: Option<Result<Arc<LiveSession>, BadToken>>,
    /// `Authorization` is good, and of a foreign issuer: that opens upstreams, and nothing
    /// of ours.
    pub foreign: bool,
}

/// `Authorization` holds a value of one of our schemes that opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadToken;

impl Presented {
    /// The one session that this request is made in. The token decides; a cookie of
    /// another account beside it is a conflict.
    pub fn signed_in(self) -> Result<Option<Arc<LiveSession>>, Problem> {
        if self.foreign {
            return Err(
                Problem::from(Code::Forbidden).detail("a token of a foreign issuer opens no endpoint")
            );
        }
        match (self.token, self.cookie) {
            (Some(Err(BadToken)), _) => Err(Code::InvalidToken.into()),
            (Some(Ok(token)), Some(cookie)) if token.account().uuid != cookie.account().uuid => {
                Err(Code::ConflictingCredentials.into())
            }
            (Some(Ok(token)), _) => Ok(Some(token)),
            (None, cookie) => Ok(cookie),
        }
    }

    /// All of them, good ones only.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<LiveSession>> {
        self.cookie.iter().chain(self.token.iter().flatten())
    }
}

/// Looks up what the request presents, and notes that it was used.
pub async fn presented(ask: &Ask<'_>) -> Result<Presented, Problem> {
    let unavailable = |_: Unavailable| Problem::from(Code::StoreUnavailable);
    let cookie = presented_cookie(ask).await.map_err(unavailable)?;
    let now = ask.control.clock.now();
    if let Some(session) = &cookie {
        session.touch_by_cookie(now);
    }
    let token = match authorization(ask)? {
        Some(token) => Some(by_token(ask, token).await.map_err(unavailable)?.ok_or(BadToken)),
        None => None,
    };
    if let Some(Ok(session)) = &token {
        session.touch(now);
    }
    let foreign = matches!(token, Some(Err(BadToken))) && is_foreign(ask).await?;
    Ok(Presented { cookie, token, foreign })
}

/// The live sessions that a request names, cookie and token each by itself: for what is
/// never refused because of an old credential, and ends what an expired token was made for.
/// No foreign issuer is asked.
pub async fn presented_apart(ask: &Ask<'_>) -> Result<Presented, Problem> {
    let unavailable = |_: Unavailable| Problem::from(Code::StoreUnavailable);
    let cookie = presented_cookie(ask).await.map_err(unavailable)?;
    // Of two tokens nobody can tell which one is meant: then there is none.
    let token = match of_expired(ask) {
        Some(proven) => of_session(ask, &proven).await.map_err(unavailable)?.map(Ok),
        None => None,
    };
    Ok(Presented { cookie, token, foreign: false })
}

/// Whether the token is good at a foreign issuer.
async fn is_foreign(ask: &Ask<'_>) -> Result<bool, Problem> {
    let Some(token) = authorization(ask)? else { return Ok(false) };
    let tokens = &ask.control.tokens;
    if tokens.looks_like_ours(token) {
        return Ok(false);
    }
    let foreign = tokens.foreign();
    let found = foreign.bearer(token, ask.request.client, ask.control.clock.now(), &Handle::current()).await;
    found.map(|bearer| bearer.is_some()).map_err(|Unreachable| Code::StrategyUnavailable.into())
}

/// The live session of the cookie alone.
async fn presented_cookie(ask: &Ask<'_>) -> Result<Option<Arc<LiveSession>>, Unavailable> {
    let fields = ask.request.headers.get_all(COOKIE).iter().map(|field| field.as_bytes());
    // Of several, nobody can tell which one is ours: none counts.
    let Found::One(value) = ask.cookies.session_value(fields) else { return Ok(None) };
    let (sessions, now) = (&ask.control.sessions, ask.control.clock.now());
    match sessions.by_cookie(value, now) {
        Lookup::Live(session) => Ok(Some(session)),
        Lookup::None => Ok(None),
        Lookup::Unknown => sessions.ask_cookie(value, now).await,
    }
}

/// The token, if the scheme is one of ours. Any other scheme is no credential of ours.
fn authorization<'a>(ask: &Ask<'a>) -> Result<Option<&'a str>, Problem> {
    let mut fields = ask.request.headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(Code::ConflictingCredentials.into());
    }
    let is_ours =
        |scheme: &str| ask.control.config.token.schemes.iter().any(|ours| ours.eq_ignore_ascii_case(scheme));
    match field.to_str().map(|text| text.split_once(' ').unwrap_or((text, ""))) {
        Ok((scheme, token)) if is_ours(scheme) => Ok(Some(token.trim_matches(' '))),
        Ok(_) => Ok(None),
        // Bytes that are no text: the scheme alone says whose it is.
        Err(_) => {
            let scheme = field.as_bytes().split(|b| *b == b' ').next().unwrap_or_default();
            Ok(std::str::from_utf8(scheme).is_ok_and(is_ours).then_some(""))
        }
    }
}

/// The session that a token of ours was made for, although it may have expired.
pub fn of_expired(ask: &Ask<'_>) -> Option<Verified> {
    let token = authorization(ask).ok().flatten()?;
    ask.control.tokens.verify_expired(token, ask.control.clock.now()).ok()
}

async fn by_token(ask: &Ask<'_>, token: &str) -> Result<Option<Arc<LiveSession>>, Unavailable> {
    match ask.control.tokens.verify(token, ask.control.clock.now()) {
        Ok(proven) => of_session(ask, &proven).await,
        Err(_) => Ok(None),
    }
}

async fn of_session(ask: &Ask<'_>, proven: &Verified) -> Result<Option<Arc<LiveSession>>, Unavailable> {
    let (sessions, now) = (&ask.control.sessions, ask.control.clock.now());
    let found = match sessions.by_sid(&proven.sid, now) {
        Lookup::Live(session) => Some(session),
        Lookup::None => None,
        Lookup::Unknown => sessions.ask_sid(&proven.sid, now).await?,
    };
    Ok(found.filter(|session| session.account().uuid.to_string() == proven.sub))
}
