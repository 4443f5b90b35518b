//! What a client is told of its login: the superset, JSON:API, or where to go.

use super::{asked::Asked, body::Shape, open::Opened, refresh};
use crate::{
    accounts::view,
    clock::UnixMillis,
    control::{Ask, Reply, reply},
    sessions::{Account, Transport},
};
use portcullis_plugin_api::Form;
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
        // That of a login before is over with its session.
        None if refresh::cookie(ask).is_some() => reply::with_cookie(answer, &ask.cookies.clear_refresh()),
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

/// A step that asks for (more) fields.
pub(super) fn next(form: &Form) -> Reply {
    let field = |field: &portcullis_plugin_api::Field| {
        json!({
            "name": field.name,
            "kind": field.kind.as_str(),
            "label": field.label,
            "required": field.required,
        })
    };
    let fields: Vec<Value> = form.fields.iter().map(field).collect();
    let next = json!({ "fields": fields, "message": form.message, "state": null });
    reply::json(&json!({ "success": false, "next": next }))
}
