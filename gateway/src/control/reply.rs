//! Answers of endpoints. `Cache-Control: no-store` comes at the end, for all that say
//! nothing else.

use super::Ask;
use crate::pages::Pages;
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE},
};
use serde_json::Value;

/// A whole answer.
pub type Reply = Response<Bytes>;

const JSON: &str = "application/json";
const JSON_API: &str = "application/vnd.api+json";

/// 200 with a JSON document.
pub(crate) fn json(value: &Value) -> Reply {
    typed(StatusCode::OK, JSON, value.to_string())
}

/// 200 with a JSON:API document.
pub(crate) fn json_api(value: &Value) -> Reply {
    typed(StatusCode::OK, JSON_API, value.to_string())
}

/// 200 with a list: flat members, or for whoever takes JSON:API resources whose `id` is the
/// member `key`.
pub(crate) fn list(ask: &Ask<'_>, kind: &str, key: &str, data: Vec<Value>) -> Reply {
    if !ask.takes_json_api() {
        return json(&serde_json::json!({ "data": data }));
    }
    let resource = |one: Value| serde_json::json!({ "type": kind, "id": one[key], "attributes": one });
    let data: Vec<Value> = data.into_iter().map(resource).collect();
    json_api(&serde_json::json!({ "data": data }))
}

/// A page, with the header fields that every page has.
pub(crate) fn page(pages: &Pages, status: u16, html: String) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = typed(status, "text/html; charset=utf-8", html);
    for (name, value) in pages.fields() {
        // The policy is made of what a field may have.
        if let Ok(value) = HeaderValue::from_str(value) {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}

/// 204
pub(crate) fn no_content() -> Reply {
    let mut reply = Response::new(Bytes::new());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// 303: to be fetched by `GET` from there.
pub(crate) fn see_other(path: &str) -> Reply {
    let mut reply = Response::new(Bytes::new());
    *reply.status_mut() = StatusCode::SEE_OTHER;
    // A path of ours has no byte that a field may not have.
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    reply.headers_mut().insert(LOCATION, location);
    reply
}

/// The public keys, which anybody may keep for five minutes.
pub(super) fn jwks(document: String) -> Reply {
    let mut reply = typed(StatusCode::OK, JSON, document);
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    reply
}

/// Adds a `Set-Cookie`.
pub(crate) fn with_cookie(mut reply: Reply, cookie: &str) -> Reply {
    let value = HeaderValue::from_str(cookie).expect("our cookies are ASCII without control characters");
    reply.headers_mut().append(SET_COOKIE, value);
    reply
}

fn typed(status: StatusCode, kind: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Bytes::from(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
