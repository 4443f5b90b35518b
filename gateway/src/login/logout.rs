//! `{logout}`: ends this session, or all of the account's. Done twice it is done once.

use super::{decide::call, external::STATE, refresh, return_to, who::store_failed};
use crate::{
    control::{Ask, Reply, of_expired, presented_apart, reply},
    problem::Problem,
    registry::Instance,
    sessions::{ExternalRecord, Found, LiveSession, hash_cookie},
    store::KnownLogin,
    telemetry::Audit,
};
use http::{Method, header::COOKIE};
use portcullis_plugin_api::{Logout, Subject};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// How long somebody who leaves waits to be told where else to sign out …
const PATIENCE: Duration = Duration::from_secs(3);
/// … and how many of their other logins are told of it.
const MOST_OTHERS: usize = 100;

/// An image on a foreign page must sign nobody out: a `GET` from elsewhere gets a page
/// that asks.
pub(crate) async fn end(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let global = ask.query("global").as_deref() == Some("true");
    if ask.method() == Method::GET && !ask.is_own() {
        let html = ask.control.pages.sign_out(global, asked_path(ask).as_deref());
        return Ok(super::page::leading_out(ask, reply::page(&ask.control.pages, 200, html)));
    }
    // An old credential keeps nobody from signing out.
    let presented = presented_apart(ask).await?;
    let mut provider = None;
    for session in presented.sessions() {
        let known = external(ask, session).await?;
        let others = if global { others(ask, session).await? } else { Vec::new() };
        end_one(ask, session, global).await?;
        provider = provider.or(at_provider(ask, session, known).await);
        for (strategy, request) in others {
            let call = call(ask, &strategy);
            // Their browsers are elsewhere, so that nobody is sent on and nobody waits.
            tokio::spawn(async move { strategy.logout(call, request).await.map(drop) });
        }
    }
    end_of_old(ask, global).await?;
    let answer = if let (Some(url), true) = (&provider, ask.is_navigation()) {
        reply::see_other(url)
    } else if ask.is_navigation() {
        let endpoints = &ask.control.config.endpoints;
        match asked_path(ask) {
            Some(path) => reply::see_other(return_to::landing(Some(&path), &ask.control.config)),
            None => reply::see_other(&endpoints.login),
        }
    } else {
        let mut answer = json!({ "success": true });
        if let Some(url) = provider {
            answer["redirect"] = url.into();
        }
        reply::json(&answer)
    };
    let same_site = ask.control.config.session.same_site;
    let answer = reply::with_cookie(answer, &ask.cookies.clear_session(same_site));
    Ok(reply::with_cookie(answer, &ask.cookies.clear_refresh()))
}

/// What the session's login left, while it can still be asked for.
async fn external(ask: &Ask<'_>, session: &LiveSession) -> Result<Option<ExternalRecord>, Problem> {
    let strategy = ask.control.registry.get(session.strategy());
    if !strategy.is_some_and(|strategy| strategy.operations().logout) {
        return Ok(None);
    }
    ask.control.store.external_of(session.sid()).await.map_err(|e| store_failed(&e))
}

/// Where the browser has to go to be signed out at the provider too. The session here has
/// ended already: a provider that does not answer keeps nobody signed in.
async fn at_provider(ask: &Ask<'_>, session: &LiveSession, known: Option<ExternalRecord>) -> Option<String> {
    let (known, control) = (known?, ask.control);
    let strategy = control.registry.get(session.strategy())?;
    let request = goodbye(ask, known)?;
    let answer = strategy.logout(call(ask, &strategy), request);
    let answer = tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()?;
    let leads_out = |url: &String| {
        (url.starts_with("https://") || url.starts_with("http://"))
            && url.bytes().all(|b| b.is_ascii_graphic())
    };
    answer.redirect.filter(leads_out)
}

fn goodbye(ask: &Ask<'_>, known: ExternalRecord) -> Option<Logout> {
    let control = ask.control;
    let state = control.store.sealer().ok()?.open(STATE, &known.state).ok()?;
    Some(Logout {
        subject: Subject::new(known.subject)?,
        state: state.to_vec(),
        // One address, as it is registered there: providers refuse every other.
        return_url: format!("{}{}", control.config.server.public_url.origin, control.config.endpoints.login),
    })
}

/// What the account's other sessions have to give back to their providers.
async fn others(ask: &Ask<'_>, session: &LiveSession) -> Result<Vec<(Instance, Logout)>, Problem> {
    let known = ask.control.store.logins_of(session.account().uuid).await.map_err(|e| store_failed(&e))?;
    let others = known.into_iter().filter(|login| login.sid != session.sid()).take(MOST_OTHERS);
    let goodbye = |login: KnownLogin| {
        let strategy = ask.control.registry.get(&login.strategy)?;
        let knows = strategy.operations().logout;
        knows.then(|| goodbye(ask, login.external)).flatten().map(|request| (strategy, request))
    };
    Ok(others.filter_map(goodbye).collect())
}

/// Ends what the request names although it may open nothing any more: a session cookie that
/// was unused for too long, or a token of such a session, belongs to one that its refresh token
/// could still renew. With `global`, all sessions of the account.
async fn end_of_old(ask: &Ask<'_>, global: bool) -> Result<(), Problem> {
    if let Some(proven) = of_expired(ask) {
        end_stored(ask, &proven.sid, global).await?;
    }
    if let Some(text) = refresh::of_body(ask) {
        refresh::end_family(ask, &text, global).await?;
    }
    end_of_cookies(ask, global).await
}

/// The same of the cookies alone.
pub(super) async fn end_of_cookies(ask: &Ask<'_>, global: bool) -> Result<(), Problem> {
    end_of_session_cookie(ask, global).await?;
    match refresh::cookie(ask) {
        Some(text) => refresh::end_family(ask, text, global).await,
        None => Ok(()),
    }
}

async fn end_of_session_cookie(ask: &Ask<'_>, global: bool) -> Result<(), Problem> {
    let fields = ask.request.headers.get_all(COOKIE).iter().map(|field| field.as_bytes());
    let Found::One(value) = ask.cookies.session_value(fields) else { return Ok(()) };
    let found = ask.control.store.session_by_cookie(hash_cookie(value)).await;
    match found.map_err(|e| store_failed(&e))? {
        Some((session, ..)) => end_stored(ask, &session.sid, global).await,
        None => Ok(()),
    }
}

/// Ends a session as the store has it, whether it may still be used or not.
pub(super) async fn end_stored(ask: &Ask<'_>, sid: &str, global: bool) -> Result<(), Problem> {
    let (store, sessions) = (&ask.control.store, &ask.control.sessions);
    let found = store.session_by_sid(sid).await.map_err(|e| store_failed(&e))?;
    let Some((session, account, _)) = found else { return Ok(()) };
    if global {
        store.end_sessions_of(session.account).await.map_err(|e| store_failed(&e))?;
        sessions.end_all(session.account);
    } else {
        store.end_session(sid).await.map_err(|e| store_failed(&e))?;
        sessions.end(sid);
    }
    ended(ask, &account.name, &session.strategy, sid, global);
    Ok(())
}

fn ended(ask: &Ask<'_>, account: &str, strategy: &str, sid: &str, global: bool) {
    ask.audit(Audit {
        event: "logout",
        account: Some(account),
        strategy: Some(strategy),
        sid: Some(sid),
        reason: global.then_some("global"),
        ..Audit::default()
    });
}

/// Where a browser wants to go afterwards, as it says it: in the query or the form.
fn asked_path(ask: &Ask<'_>) -> Option<String> {
    let form = || form_urlencoded::parse(&ask.request.body).find(|(name, _)| name == "return_to");
    ask.query("return_to").or_else(|| form().map(|(_, path)| path.into_owned()))
}

async fn end_one(ask: &Ask<'_>, session: &Arc<LiveSession>, global: bool) -> Result<(), Problem> {
    let (control, account) = (ask.control, session.account());
    if global {
        control.store.end_sessions_of(account.uuid).await.map_err(|e| store_failed(&e))?;
        control.sessions.end_all(account.uuid);
    } else {
        control.store.end_session(session.sid()).await.map_err(|e| store_failed(&e))?;
        control.sessions.end(session.sid());
    }
    ended(ask, &account.name, session.strategy(), session.sid(), global);
    Ok(())
}
