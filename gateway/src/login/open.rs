//! A session out of an admitted login: in the store first, then in the live table.

use super::{admit::Admitted, asked::Asked, logout, unverified, who::store_failed};
use crate::{
    clock::UnixMillis,
    control::Ask,
    problem::Problem,
    sessions::{Account, ExternalRecord, LiveSession, SessionRecord, Transport, hash_cookie},
    store::NewFamily,
    telemetry::Audit,
};
use http::header::USER_AGENT;
use std::{sync::Arc, time::Duration};

/// The most bytes of a browser's name for itself that are kept.
const MAX_USER_AGENT: usize = 256;

/// A session whose client has yet to be told of it.
pub(crate) struct Opened {
    /// As it is in the table.
    pub(crate) live: Arc<LiveSession>,
    /// Whose.
    pub(crate) account: Account,
    /// The value of the cookie, which is kept nowhere.
    pub(crate) cookie: String,
    /// From when on that cookie opens nothing.
    pub(crate) cookie_expires: UnixMillis,
    /// When all this was given: what lives for an hour says so, and not 59 minutes.
    pub(crate) at: UnixMillis,
    /// The refresh token, which is kept nowhere either.
    pub(crate) refresh: Option<String>,
}

/// A session to be opened.
pub(crate) struct Wanted<'a> {
    /// Whose.
    pub(crate) account: &'a Account,
    /// Which strategy instance admitted it.
    pub(crate) strategy: &'a str,
    /// How the client will carry it.
    pub(crate) transport: Transport,
    /// Whether it can be refreshed: not through a page or a provider (contract section 5).
    pub(crate) family: bool,
    /// The stored secret that was looked at: it must still be the stored one.
    pub(crate) secret: Option<String>,
    /// What a login from outside leaves with it.
    pub(crate) external: Option<ExternalRecord>,
    /// The longest that it may live, if shorter than usual.
    pub(crate) session_max: Option<Duration>,
}

/// None: the account or its secret changed while the login was under way.
pub(super) async fn session(
    ask: &Ask<'_>,
    admitted: &Admitted,
    asked: &Asked,
) -> Result<Option<Opened>, Problem> {
    unverified::check(ask, admitted.account(), admitted.strategy()).await?;
    let secret = current_secret(ask, admitted).await?;
    let wanted = Wanted {
        account: admitted.account(),
        strategy: admitted.strategy(),
        transport: asked.transport,
        family: !asked.browser,
        secret,
        external: admitted.record().cloned(),
        session_max: admitted.session_max(),
    };
    let Some(opened) = open(ask, wanted).await? else { return Ok(None) };
    ask.audit(Audit {
        event: "login",
        account: Some(&opened.account.name),
        strategy: Some(admitted.strategy()),
        sid: Some(opened.live.sid()),
        ..Audit::default()
    });
    Ok(Some(opened))
}

/// A new session in the store and the table. The one that this browser has so far ends. None:
/// the account is not active any more, or its secret is another one.
pub(crate) async fn open(ask: &Ask<'_>, wanted: Wanted<'_>) -> Result<Option<Opened>, Problem> {
    let control = ask.control;
    if wanted.transport != Transport::Token {
        // Whoever put the cookies there that this browser has so far (session fixation).
        logout::end_of_cookies(ask, false).await?;
    }
    let cookie = control.random.opaque();
    let record = record(ask, &wanted, &cookie);
    let keys = control.tokens.refresh();
    let value = wanted.family.then(|| keys.first(&control.random));
    let family = value.as_ref().map(|value| NewFamily { name: value.family(), current: value.hash() });
    let inserted = control.store.open_session(record.clone(), family, wanted.secret).await;
    if !inserted.map_err(|e| store_failed(&e))? {
        return Ok(None);
    }
    let live = control.sessions.insert(&record, wanted.account.clone());
    // With the roles that its groups bring.
    let account = Account::clone(&live.account());
    let refresh = value.map(|value| keys.write(&value));
    let (cookie_expires, at) = (record.cookie_expires, record.created);
    Ok(Some(Opened { live, account, cookie, cookie_expires, at, refresh }))
}

/// Stores a renewed secret, and says which one is the stored one now as far as we know.
async fn current_secret(ask: &Ask<'_>, admitted: &Admitted) -> Result<Option<String>, Problem> {
    let Some(old) = admitted.secret() else { return Ok(None) };
    let Some(new) = admitted.renewed() else { return Ok(Some(old.to_owned())) };
    let (strategy, uuid) = (admitted.strategy(), admitted.account().uuid);
    let renewed = ask.control.store.renew_secret(strategy, uuid, old, new).await;
    let is_new = renewed.map_err(|e| store_failed(&e))?;
    Ok(Some(if is_new { new } else { old }.to_owned()))
}

fn record(ask: &Ask<'_>, wanted: &Wanted<'_>, cookie: &str) -> SessionRecord {
    let (config, now) = (&ask.control.config, ask.control.clock.now());
    let usual = if wanted.family { config.token.refresh_lifetime } else { config.session.lifetime };
    let lifetime = wanted.session_max.map_or(usual, |most| most.min(usual));
    SessionRecord {
        sid: ask.control.random.uuid().to_string(),
        cookie_hash: hash_cookie(cookie.as_bytes()),
        cookie_number: 0,
        cookie_expires: now.plus(config.session.lifetime.min(lifetime)),
        cookie_used: now,
        former_cookie: None,
        family: wanted.family,
        account: wanted.account.uuid,
        strategy: wanted.strategy.to_owned(),
        transport: wanted.transport,
        created: now,
        last_used: now,
        expires: now.plus(lifetime),
        address: ask.request.client,
        user_agent: user_agent(ask),
        external: wanted.external.clone(),
    }
}

fn user_agent(ask: &Ask<'_>) -> String {
    let text = String::from_utf8_lossy(ask.header(USER_AGENT).unwrap_or_default());
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > MAX_USER_AGENT {
            break;
        }
        kept.push(c);
    }
    kept
}
