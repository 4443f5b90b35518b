//! What was received, as JSON; and the assertion's claims, taken out of their token.

use super::message::Received;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

/// The assertion's header by default, and the demo changes no default.
const ASSERTION: &str = "x-portcullis-assertion";

pub(super) fn json(received: &Received) -> String {
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in &received.headers {
        match headers.get_mut(name) {
            None => drop(headers.insert(name.clone(), value.as_str().into())),
            Some(Value::Array(values)) => values.push(value.as_str().into()),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    let mut answer = json!({
        "method": received.method,
        "path": received.path,
        "headers": headers,
        "body_length": received.body_length,
    });
    if let Some(claims) = claims(received) {
        answer["assertion"] = claims;
    }
    format!("{answer:#}\n")
}

/// The claims of the assertion, read and not verified: an upstream that believes them
/// checks the signature first, with the key of `/.well-known/jwks.json`.
pub(super) fn claims(received: &Received) -> Option<Value> {
    let payload = received.text(ASSERTION)?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.is_object().then_some(claims)
}

/// Whether the gateway says with this field who is asking.
pub(super) fn is_identity(name: &str) -> bool {
    name.starts_with("remote-") || name == ASSERTION
}
