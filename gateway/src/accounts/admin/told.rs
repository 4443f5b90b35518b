//! How accounts and credentials are shown to operators: everything but secrets.

use crate::{
    accounts::view::{resource, whole},
    control::{Ask, Reply, reply},
    sessions::Account,
    store::KnownCredential,
    telemetry::rfc3339,
};
use http::StatusCode;
use serde_json::{Value, json};

/// An account as a JSON:API resource, whose `name` is the display name.
pub(super) fn json_api(account: &Account) -> Value {
    let mut one = resource(account, None)["data"].take();
    let attributes = &mut one["attributes"];
    attributes["username"] = account.name.as_str().into();
    attributes["email_verified"] = account.email_verified.into();
    attributes["roles"] = json!(account.roles);
    attributes["metadata"] = json!(account.metadata);
    attributes["app"] = json!(account.app);
    attributes["active"] = account.active.into();
    one
}

/// One account, in the view of the request.
pub(super) fn account(ask: &Ask<'_>, status: StatusCode, as_json_api: bool, account: &Account) -> Reply {
    let mut answer = if as_json_api || ask.takes_json_api() {
        reply::json_api(&json!({ "data": json_api(account) }))
    } else {
        reply::json(&whole(account))
    };
    *answer.status_mut() = status;
    answer
}

pub(super) fn credential(one: &KnownCredential) -> Value {
    json!({
        "strategy": one.strategy,
        "realm": one.realm,
        "subject": one.subject,
        "created": rfc3339(one.created),
    })
}
