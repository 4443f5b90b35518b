//! A session out of an admitted login: in the store first, then in the live table.

use super::{admit::Admitted, asked::Asked, who::store_failed};
use crate::{
    control::{Ask, presented_cookie},
    problem::{Code, Problem},
    sessions::{Account, LiveSession, SessionRecord, Transport, hash_cookie},
    telemetry::Audit,
};
use http::header::USER_AGENT;
use std::sync::Arc;

/// The most bytes of a browser's name for itself that are kept.
const MAX_USER_AGENT: usize = 256;

/// A new session.
pub(super) struct Opened {
    /// As it is in the table.
    pub(super) live: Arc<LiveSession>,
    /// Whose.
    pub(super) account: Account,
    /// The value of the cookie, which is kept nowhere.
    pub(super) cookie: String,
}

/// None: the account or its secret changed while the login was under way.
pub(super) async fn session(
    ask: &Ask<'_>,
    admitted: &Admitted,
    asked: &Asked,
) -> Result<Option<Opened>, Problem> {
    let control = ask.control;
    let secret = current_secret(ask, admitted).await?;
    if asked.transport != Transport::Token {
        end_former(ask).await?;
    }
    let cookie = control.random.opaque();
    let record = record(ask, admitted, asked, &cookie);
    let inserted = control.store.insert_session(record.clone(), Some(secret)).await;
    if !inserted.map_err(|e| store_failed(&e))? {
        return Ok(None);
    }
    let account = admitted.account().clone();
    let live = control.sessions.insert(&record, account.clone());
    ask.audit(Audit {
        event: "login",
        account: Some(&account.name),
        strategy: Some(admitted.strategy()),
        sid: Some(live.sid()),
        ..Audit::default()
    });
    Ok(Some(Opened { live, account, cookie }))
}

/// Stores a renewed secret, and says which one is the stored one now as far as we know.
async fn current_secret(ask: &Ask<'_>, admitted: &Admitted) -> Result<String, Problem> {
    let old = admitted.secret();
    let Some(new) = admitted.renewed() else { return Ok(old.to_owned()) };
    let (strategy, uuid) = (admitted.strategy(), admitted.account().uuid);
    let renewed = ask.control.store.renew_secret(strategy, uuid, old, new).await;
    let is_new = renewed.map_err(|e| store_failed(&e))?;
    Ok(if is_new { new } else { old }.to_owned())
}

/// The session of the cookie that this browser has so far ends with the login, whoever
/// put that cookie there (session fixation).
async fn end_former(ask: &Ask<'_>) -> Result<(), Problem> {
    let former = presented_cookie(ask).await.map_err(|_| Problem::from(Code::StoreUnavailable))?;
    let Some(former) = former else { return Ok(()) };
    ask.control.store.end_session(former.sid()).await.map_err(|e| store_failed(&e))?;
    ask.control.sessions.end(former.sid());
    Ok(())
}

fn record(ask: &Ask<'_>, admitted: &Admitted, asked: &Asked, cookie: &str) -> SessionRecord {
    let now = ask.control.clock.now();
    SessionRecord {
        sid: ask.control.random.uuid().to_string(),
        cookie_hash: hash_cookie(cookie.as_bytes()),
        account: admitted.account().uuid,
        strategy: admitted.strategy().to_owned(),
        transport: asked.transport,
        created: now,
        last_used: now,
        expires: now.plus(ask.control.config.session.lifetime),
        address: ask.request.client,
        user_agent: user_agent(ask),
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
