//! An account as its owner, and as an operator, is told of it.

use crate::{clock::UnixMillis, login::body::Body, sessions::Account, telemetry::rfc3339};
use serde_json::{Value, json};
use uuid::Uuid;

/// The `authenticated` member of the superset answer.
pub(crate) fn of(account: &Account) -> Value {
    json!({
        "uuid": account.uuid.to_string(),
        "name": account.name,
        "email": account.email,
        "roles": account.roles,
    })
}

/// All of an account, as operators see it at the command line and in the admin API.
/// There is no secret in an account.
pub(crate) fn whole(account: &Account) -> Value {
    json!({
        "uuid": account.uuid.to_string(),
        "name": account.name,
        "email": account.email,
        "email_verified": account.email_verified,
        "display_name": account.display_name,
        "roles": account.roles,
        "metadata": account.metadata,
        "app": account.app,
        "active": account.active,
        "created": rfc3339(account.created),
        "updated": rfc3339(account.updated),
    })
}

/// A JSON:API resource; its `name` is the display name (contract section 5, Bodies).
pub(crate) fn resource(account: &Account, token: Option<(&str, UnixMillis)>) -> Value {
    let mut attributes = json!({
        "name": account.display_name,
        "email": account.email,
        "created": rfc3339(account.created),
        "updated": rfc3339(account.updated),
    });
    if let Some((token, expires)) = token {
        attributes["access_token"] = token.into();
        attributes["access_token_expiry"] = expires.seconds().into();
    }
    json!({ "data": { "type": "users", "id": account.uuid.to_string(), "attributes": attributes } })
}

/// It is done, to somebody who is not signed in: whose account, and nothing of it.
pub(super) fn done(account: Uuid) -> Value {
    json!({ "data": { "type": "users", "id": account.to_string(), "attributes": {} } })
}

/// The members of the superset that tell of a token.
pub(crate) fn add_token(answer: &mut Value, token: &str, expires: UnixMillis, now: UnixMillis) {
    answer["token"] = token.into();
    answer["token_type"] = "Bearer".into();
    answer["expires_in"] = expires.seconds().saturating_sub(now.seconds()).into();
    answer["expires_at"] = expires.seconds().into();
}

/// What was typed into a field, to be shown again.
pub(super) fn typed<'b>(body: &'b Body, name: &str) -> Option<&'b str> {
    body.fields.get(name).and_then(Value::as_str)
}

/// A time for people.
pub(super) fn minute(time: UnixMillis) -> String {
    format!("{} UTC", rfc3339(time)[..16].replace('T', " "))
}
