//! What a client is told of its login: the superset, JSON:API, or where to go.

use super::{
    asked::Asked,
    body::Shape,
    callback,
    kept::{Step, keep},
    link,
    open::Opened,
    page, refresh,
};
use crate::{
    accounts::view,
    clock::UnixMillis,
    control::{Ask, Reply, reply},
    problem::{Code, Problem},
    registry::Instance,
    sessions::{Account, Transport},
};
use http::{Method, StatusCode};
use portcullis_plugin_api::{Form, Redirect};
use serde_json::{Value, json};
use std::time::Duration;

/// The answer to a good login.
pub(super) fn to(ask: &Ask<'_>, asked: &Asked, opened: &Opened) -> Reply {
    if asked.browser {
        return with_cookies(ask, reply::see_other(&asked.return_to), opened);
    }
    superset(ask, asked.shape, asked.lifetime, opened)
}

/// The superset answer, or the JSON:API resource, with the cookies of the session's
/// transport: to a login, a registration, a change of password, a refresh.
pub(crate) fn superset(ask: &Ask<'_>, shape: Shape, lifetime: Duration, opened: &Opened) -> Reply {
    let token = token(ask, lifetime, opened);
    let token = token.as_ref().map(|(text, expires)| (text.as_str(), *expires));
    let refresh = opened.refresh.as_deref().filter(|_| opened.live.transport() == Transport::Token);
    let answer = match shape {
        Shape::JsonApi => {
            let mut answer = view::resource(&opened.account, token);
            if let Some(refresh) = refresh {
                answer["data"]["attributes"]["refresh_token"] = refresh.into();
            }
            reply::json_api(&answer)
        }
        Shape::Json | Shape::Form => {
            let mut answer = flat(ask, &opened.account, token);
            if let Some(refresh) = refresh {
                answer["refresh_token"] = refresh.into();
            }
            reply::json(&answer)
        }
    };
    with_cookies(ask, answer, opened)
}

/// The cookies of a session, as its transport has them.
pub(crate) fn with_cookies(ask: &Ask<'_>, answer: Reply, opened: &Opened) -> Reply {
    if opened.live.transport() == Transport::Token {
        return answer;
    }
    let now = opened.at;
    let (same_site, end) = (ask.control.config.session.same_site, opened.live.expires());
    let lives = opened.cookie_expires.min(end).since(now);
    let answer = reply::with_cookie(answer, &ask.cookies.set_session(&opened.cookie, same_site, lives));
    match &opened.refresh {
        Some(value) => reply::with_cookie(answer, &ask.cookies.set_refresh(value, end.since(now))),
        // That of a login before is over with its session. On the way back from a provider it
        // is not shown (`SameSite=Strict`), so it is taken back unseen.
        None if refresh::cookie(ask).is_some() || callback::is_way_back(ask) => {
            reply::with_cookie(answer, &ask.cookies.clear_refresh())
        }
        None => answer,
    }
}

/// No token outlives its session.
fn token(ask: &Ask<'_>, lifetime: Duration, opened: &Opened) -> Option<(String, UnixMillis)> {
    if opened.live.transport() == Transport::Cookie {
        return None;
    }
    let now = ask.control.clock.now();
    let expires = now.plus(lifetime).min(opened.live.expires());
    Some((ask.control.tokens.access(&opened.live, &opened.account, now, expires), expires))
}

fn flat(ask: &Ask<'_>, account: &Account, token: Option<(&str, UnixMillis)>) -> Value {
    let mut answer = json!({ "success": true, "authenticated": view::of(account) });
    if let Some((token, expires)) = token {
        let left = expires.seconds().saturating_sub(ask.control.clock.now().seconds());
        answer["token"] = token.into();
        answer["token_type"] = "Bearer".into();
        answer["expires_in"] = left.into();
        answer["expires_at"] = expires.seconds().into();
    }
    answer
}

/// A step that asks for more: kept under a one-time state, if the strategy wants anything
/// kept; else it is a first step again.
pub(super) async fn next_step(
    ask: &Ask<'_>,
    strategy: &Instance,
    asked: &Asked,
    state: &str,
    form: &Form,
) -> Result<Reply, Problem> {
    if form.flow.is_empty() {
        let form = &page::asking(ask, form.clone());
        return Ok(match asked.browser {
            true if asked.link.is_some() => link::shown(ask, strategy, Some(form), &asked.return_to, None),
            true => page::first_page(ask, strategy, form, asked),
            false => next(form, None),
        });
    }
    let (id, flow) = (strategy.id(), &form.flow);
    let step = Step { strategy: id, state, flow, asked, form: Some(form) };
    let cookie = keep(ask, step).await?;
    let answer = match asked.browser {
        true => page::step(ask, strategy, form, state, None),
        false => next(form, Some(state)),
    };
    Ok(cookie.iter().fold(answer, |answer, cookie| reply::with_cookie(answer, cookie)))
}

/// A login was added to the account that is signed in; nobody is signed in by it.
pub(super) fn linked(asked: &Asked, account: &Account) -> Reply {
    match (asked.browser, asked.shape) {
        (true, _) => reply::see_other(&asked.return_to),
        (false, Shape::JsonApi) => reply::json_api(&view::resource(account, None)),
        (false, _) => reply::json(&json!({ "success": true, "authenticated": view::of(account) })),
    }
}

/// Sends the browser to a provider, or tells the client where that is.
pub(super) async fn to_provider(
    ask: &Ask<'_>,
    strategy: &Instance,
    asked: &Asked,
    state: &str,
    redirect: &Redirect,
) -> Result<Reply, Problem> {
    // Cookies belong to one host, and the provider sends people back to that of `public_url`.
    if !page::is_at_home(ask) {
        let origin = &ask.control.config.server.public_url.origin;
        return Err(
            Problem::from(Code::UnknownStrategy).detail(format!("This way to sign in begins at {origin}."))
        );
    }
    let plain = |b: u8| b.is_ascii_graphic();
    let leads_out = redirect.url.starts_with("https://") || redirect.url.starts_with("http://");
    if !leads_out || !redirect.url.bytes().all(plain) {
        tracing::warn!(strategy = strategy.id(), "the strategy sends people to what is no address");
        return Err(Code::StrategyUnavailable.into());
    }
    let flow = &redirect.flow;
    let cookie = keep(ask, Step { strategy: strategy.id(), state, flow, asked, form: None }).await?;
    let mut answer = match asked.browser {
        true => reply::see_other(&redirect.url),
        false => reply::json(&json!({ "success": false, "redirect": redirect.url })),
    };
    if asked.browser && ask.method() == Method::GET {
        *answer.status_mut() = StatusCode::FOUND;
    }
    Ok(cookie.iter().fold(answer, |answer, cookie| reply::with_cookie(answer, cookie)))
}

/// A step that asks for (more) fields.
pub(super) fn next(form: &Form, state: Option<&str>) -> Reply {
    let field = |field: &portcullis_plugin_api::Field| {
        json!({
            "name": field.name,
            "kind": field.kind.as_str(),
            "label": field.label,
            "required": field.required,
        })
    };
    let fields: Vec<Value> = form.fields.iter().map(field).collect();
    let next = json!({ "fields": fields, "message": form.message, "state": state });
    reply::json(&json!({ "success": false, "next": next }))
}
