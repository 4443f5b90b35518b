//! Whose request it is: a token or the session cookie becomes an [`Identity`], or there
//! is none, or the request is refused (contract section 6).
//!
//! What a token says decides nothing here but which session is meant: whether that
//! lives, and who it is, is asked of the live table on each request.

use super::{
    http1::head::{Head, Known},
    worker::Worker,
};
use crate::{
    clock::UnixMillis,
    metrics::Limit,
    problem::{Code, Problem},
    sessions::{Account, Found, LiveSession, Lookup, Unavailable},
    snapshot::{Route, Snapshot},
    tokens::{LONGEST_TOKEN, Print, Unreachable, Verified},
};
use std::{fmt, net::IpAddr, sync::Arc};

/// Who a request comes from, as the live session and account have it now.
#[derive(Clone)]
pub struct Identity {
    /// The session.
    pub session: Arc<LiveSession>,
    /// The account as it was when the request came.
    pub account: Arc<Account>,
    /// Whether a cookie says so: only such requests can be another site's doing.
    pub by_cookie: bool,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("account", &self.account.uuid).finish_non_exhaustive()
    }
}

/// What a request's credentials come to.
#[derive(Debug, Default)]
pub struct Credentials {
    /// Who, if anybody.
    pub identity: Option<Identity>,
    /// It carries a session cookie that opens nothing.
    pub stale_cookie: bool,
}

/// Reads the credentials of a request for `route`.
pub async fn identify(
    worker: &Worker,
    snapshot: &Snapshot,
    route: &Route,
    head: &Head,
    bytes: &[u8],
    client: IpAddr,
    now: UnixMillis,
) -> Result<Credentials, Problem> {
    let token = bearer(snapshot, head, bytes)?;
    let cookie = snapshot.cookies.session_value(head.values(Known::Cookie, bytes));
    let by_token = match token {
        None => None,
        Some(text) => {
            // An upstream that takes its own bearers on a public route gets what is not ours.
            let passes = route.forward_authorization && !route.policy.asks_who();
            if passes && !worker.tokens.looks_like_ours(text) {
                None
            } else {
                Some(by_token(worker, text, client, now).await?)
            }
        }
    };
    let Found::One(value) = cookie else {
        let stale_cookie = matches!(cookie, Found::Several);
        return Ok(Credentials { identity: by_token, stale_cookie });
    };
    let by_cookie = match by_cookie(worker, value, now).await {
        Ok(found) => found,
        // Whoever needs no login needs no store either.
        Err(Unavailable) if !route.policy.asks_who() => None,
        Err(Unavailable) => return Err(Code::StoreUnavailable.into()),
    };
    let stale_cookie = by_cookie.is_none();
    match (by_token, by_cookie) {
        (Some(token), Some(cookie)) if token.account.uuid != cookie.account.uuid => {
            Err(Code::ConflictingCredentials.into())
        }
        (Some(token), _) => Ok(Credentials { identity: Some(token), stale_cookie }),
        (None, identity) => Ok(Credentials { identity, stale_cookie }),
    }
}

/// The token of an `Authorization` field whose scheme is one of ours.
fn bearer<'a>(snapshot: &Snapshot, head: &'a Head, bytes: &'a [u8]) -> Result<Option<&'a str>, Problem> {
    let mut values = head.values(Known::Authorization, bytes);
    let (Some(value), more) = (values.next(), values.next()) else { return Ok(None) };
    if more.is_some() {
        return Err(Problem::from(Code::ConflictingCredentials).detail("there are two Authorization fields"));
    }
    let end = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, token) = value.split_at(end);
    if !snapshot.schemes.iter().any(|s| scheme.eq_ignore_ascii_case(s.as_bytes())) {
        return Ok(None);
    }
    std::str::from_utf8(token.trim_ascii()).map(Some).map_err(|_| Code::InvalidToken.into())
}

async fn by_token(worker: &Worker, text: &str, client: IpAddr, now: UnixMillis) -> Result<Identity, Problem> {
    if text.len() > LONGEST_TOKEN {
        worker.meter.limit(Limit::TokenBytes);
    }
    let proven = match known(worker, text, now) {
        Ok(proven) => proven,
        Err(code) => return foreign(worker, text, client, now).await?.ok_or_else(|| code.into()),
    };
    let (session, same) = match proven {
        Proven::Answered(session, sub) => (session, sub),
        Proven::Asked { sid, sub } => {
            // Rare: boxed, so that every connection does not carry its state.
            let asked = Box::pin(worker.sessions.ask_sid(&sid, now)).await;
            let session = asked.map_err(|Unavailable| Problem::from(Code::StoreUnavailable))?;
            let same = session.as_ref().is_some_and(|session| is_of(session, &sub));
            (session, same)
        }
    };
    let identity = session.filter(|_| same).and_then(|s| live(s, false, now));
    identity.ok_or_else(|| Code::InvalidToken.into())
}

/// The bearer of a token that a foreign issuer made. What looks like ours is not asked
/// about elsewhere.
async fn foreign(
    worker: &Worker,
    text: &str,
    client: IpAddr,
    now: UnixMillis,
) -> Result<Option<Identity>, Problem> {
    if worker.tokens.looks_like_ours(text) {
        return Ok(None);
    }
    let foreign = worker.tokens.foreign();
    let asked = Box::pin(foreign.bearer(text, client, now, &worker.control)).await;
    let found = asked.map_err(|Unreachable| Problem::from(Code::StrategyUnavailable))?;
    Ok(found.and_then(|session| live(session, false, now)))
}

/// What a token with a good signature leads to.
enum Proven {
    /// The session, and whether it is that of the token's `sub`.
    Answered(Option<Arc<LiveSession>>, bool),
    /// The table does not know: the store has to be asked.
    Asked { sid: String, sub: String },
}

/// The session of a token whose signature holds, from this worker's memory or by verifying it.
fn known(worker: &Worker, text: &str, now: UnixMillis) -> Result<Proven, Code> {
    let generation = worker.tokens.generation();
    let print = Print::of(text.as_bytes());
    let mut cache = worker.verified.borrow_mut();
    if let Some(known) = cache.get(print, now, generation) {
        return Ok(look(worker, known, now));
    }
    let fresh = worker.tokens.verify(text, now).map_err(|_| Code::InvalidToken)?;
    let proven = look(worker, &fresh, now);
    cache.insert(print, fresh, now, generation);
    Ok(proven)
}

fn look(worker: &Worker, token: &Verified, now: UnixMillis) -> Proven {
    match worker.sessions.by_sid(&token.sid, now) {
        Lookup::Live(session) => {
            let same = is_of(&session, &token.sub);
            Proven::Answered(Some(session), same)
        }
        Lookup::None => Proven::Answered(None, false),
        Lookup::Unknown => Proven::Asked { sid: token.sid.clone(), sub: token.sub.clone() },
    }
}

fn is_of(session: &LiveSession, sub: &str) -> bool {
    *session.account_id().hyphenated().encode_lower(&mut [0; 36]) == *sub
}

async fn by_cookie(worker: &Worker, value: &[u8], now: UnixMillis) -> Result<Option<Identity>, Unavailable> {
    let session = match worker.sessions.by_cookie(value, now) {
        Lookup::Live(session) => Some(session),
        Lookup::None => None,
        Lookup::Unknown => Box::pin(worker.sessions.ask_cookie(value, now)).await?,
    };
    Ok(session.and_then(|s| live(s, true, now)))
}

fn live(session: Arc<LiveSession>, by_cookie: bool, now: UnixMillis) -> Option<Identity> {
    if !session.is_live(now) {
        return None;
    }
    if by_cookie {
        session.touch_by_cookie(now)
    } else {
        session.touch(now)
    }
    let account = session.account();
    Some(Identity { session, account, by_cookie })
}
