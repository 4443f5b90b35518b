//! What a client is told of its login: the superset, JSON:API, or where to go.

use super::{asked::Asked, body::Shape, open::Opened};
use crate::{
    accounts::view,
    clock::UnixMillis,
    control::{Ask, Reply, reply},
    sessions::Transport,
};
use portcullis_plugin_api::Form;
use serde_json::{Value, json};

/// The answer to a good login.
pub(super) fn to(ask: &Ask<'_>, asked: &Asked, opened: &Opened) -> Reply {
    let answer = if asked.browser {
        reply::see_other(&asked.return_to)
    } else {
        let token = token(ask, asked, opened);
        let token = token.as_ref().map(|(text, expires)| (text.as_str(), *expires));
        match asked.shape {
            Shape::JsonApi => reply::json_api(&view::resource(&opened.account, token)),
            Shape::Json | Shape::Form => reply::json(&superset(ask, opened, token)),
        }
    };
    if asked.transport == Transport::Token {
        return answer;
    }
    let session = &ask.control.config.session;
    let cookie = ask.cookies.set_session(&opened.cookie, session.same_site, session.lifetime);
    reply::with_cookie(answer, &cookie)
}

/// No token outlives its session.
fn token(ask: &Ask<'_>, asked: &Asked, opened: &Opened) -> Option<(String, UnixMillis)> {
    if asked.transport == Transport::Cookie {
        return None;
    }
    let now = ask.control.clock.now();
    let expires = now.plus(asked.lifetime).min(opened.live.expires());
    Some((ask.control.tokens.access(&opened.live, &opened.account, now, expires), expires))
}

fn superset(ask: &Ask<'_>, opened: &Opened, token: Option<(&str, UnixMillis)>) -> Value {
    let mut answer = json!({ "success": true, "authenticated": view::of(&opened.account) });
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
