//! What several endpoints ask of a request: its fields, who is signed in, and whether its
//! client has asked for enough.

use crate::{
    control::{Ask, presented},
    login::body::{self, Body, Limits, malformed},
    problem::{Code, Problem},
    sessions::LiveSession,
    store::StoreError,
};
use portcullis_plugin_api::Object;
use serde_json::Value;
use std::sync::Arc;

/// The most bytes of a person's own claims as JSON: they stand in every token.
const MOST_METADATA: usize = 2048;
/// The most characters of a display name.
const LONGEST_NAME: usize = 128;

/// The fields of the request.
pub(super) fn read(ask: &Ask<'_>) -> Result<Body, Problem> {
    let limits = &ask.control.config.limits;
    let limits = Limits { depth: limits.json_depth, fields: limits.json_fields };
    body::read(&ask.request.headers, &ask.request.body, limits)
}

/// The session that the request is made in.
pub(super) async fn session(ask: &Ask<'_>) -> Result<Arc<LiveSession>, Problem> {
    let session = presented(ask).await?.signed_in()?.ok_or(Code::LoginRequired)?;
    session.touch(ask.control.clock.now());
    Ok(session)
}

/// A text field that must be there and say something.
pub(super) fn required<'b>(body: &'b Body, name: &str) -> Result<&'b str, Problem> {
    match body.text(name)? {
        None => Err(malformed(format!("{name}: missing"))),
        Some("") => Err(malformed(format!("{name}: empty"))),
        Some(text) => Ok(text),
    }
}

/// A field that is typed twice is the same both times; the second may be absent.
pub(super) fn confirmed(body: &Body, name: &str, confirm: &str) -> Result<(), Problem> {
    match body.text(confirm)? {
        Some(again) if Some(again) != body.text(name)? => {
            Err(malformed(format!("{confirm}: differs from {name}")))
        }
        _ => Ok(()),
    }
}

/// The person's own claims.
pub(super) fn metadata(body: &Body) -> Result<Option<Object>, Problem> {
    match body.fields.get("metadata") {
        None => Ok(None),
        Some(Value::Object(metadata)) => {
            if Value::Object(metadata.clone()).to_string().len() > MOST_METADATA {
                return Err(malformed(format!("metadata: more than {MOST_METADATA} bytes")));
            }
            Ok(Some(metadata.clone()))
        }
        Some(_) => Err(malformed("metadata: must be an object")),
    }
}

/// What a person is called; empty or null: nothing.
pub(super) fn display_name(body: &Body, field: &str) -> Result<Option<Option<String>>, Problem> {
    if body.fields.get(field).is_some_and(Value::is_null) {
        return Ok(Some(None));
    }
    let Some(text) = body.text(field)? else { return Ok(None) };
    let text = text.trim();
    if text.chars().count() > LONGEST_NAME || text.contains(char::is_control) {
        return Err(malformed(format!("{field}: at most {LONGEST_NAME} characters, on one line")));
    }
    Ok(Some((!text.is_empty()).then(|| text.to_owned())))
}

/// Counts what may lead to a mail or an account.
pub(super) fn admit_client(ask: &Ask<'_>) -> Result<(), Problem> {
    let admitted = ask.control.outbox.admit_client(ask.request.client, ask.control.clock.now());
    admitted.map_err(too_many)
}

/// There is room again in so many seconds.
pub(super) fn too_many(seconds: u32) -> Problem {
    let mut problem = Problem::from(Code::TooManyRequests);
    problem.retry_after = Some(seconds);
    problem
}

/// A page for a browser that changes pages; for others the path has no GET.
pub(super) fn page_only(ask: &Ask<'_>) -> Result<(), Problem> {
    if ask.is_navigation() {
        return Ok(());
    }
    let mut problem = Problem::from(Code::MethodNotAllowed);
    problem.allow = Some("POST".to_owned());
    Err(problem)
}

pub(super) fn store_failed(error: &StoreError) -> Problem {
    tracing::error!(error = %error.0, "the store did not answer an endpoint");
    Code::StoreUnavailable.into()
}
