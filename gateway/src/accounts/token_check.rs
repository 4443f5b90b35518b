//! `{auth}/token/check`: whether an access token opens anything now. It asks for no login,
//! tells nothing of a token that is not good, and is no use of the session.

use crate::{
    control::{Ask, Reply, reply},
    login::body::{self, Shape, malformed},
    problem::{Code, Problem},
    sessions::Lookup,
};
use serde_json::{Value, json};

/// `POST {auth}/token/check`
pub(crate) async fn check(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let body = body::read(&ask.request.headers, &ask.request.body, ask.body_limits())?;
    let token = body.text("token")?.ok_or_else(|| malformed("token: missing"))?;
    let told = match good(ask, token).await? {
        Some((uuid, expires)) => json!({ "valid": true, "uuid": uuid, "expires_at": expires }),
        None => json!({ "valid": false }),
    };
    Ok(match body.shape {
        Shape::JsonApi => reply::json_api(&resource(told)),
        Shape::Json | Shape::Form => reply::json(&told),
    })
}

fn resource(told: Value) -> Value {
    let id = told["uuid"].as_str().unwrap_or("none").to_owned();
    json!({ "data": { "type": "token-checks", "id": id, "attributes": told } })
}

/// Whose it is and until when. Only an access token is one: no refresh token, no assertion,
/// no mailed value verifies as such.
async fn good(ask: &Ask<'_>, token: &str) -> Result<Option<(String, u64)>, Problem> {
    let (sessions, now) = (&ask.control.sessions, ask.control.clock.now());
    let Ok(proven) = ask.control.tokens.verify(token, now) else { return Ok(None) };
    let session = match sessions.by_sid(&proven.sid, now) {
        Lookup::Live(session) => Some(session),
        Lookup::None => None,
        Lookup::Unknown => {
            sessions.ask_sid(&proven.sid, now).await.map_err(|_| Problem::from(Code::StoreUnavailable))?
        }
    };
    let uuid = session.map(|session| session.account().uuid.to_string());
    Ok(uuid.filter(|uuid| *uuid == proven.sub).map(|uuid| (uuid, proven.exp)))
}
