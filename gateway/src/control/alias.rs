//! A request by an old client's name becomes the operation's own request, and goes on as
//! any other: every check is the operation's (contract, `[[aliases]]`). Afterwards a refusal
//! gets the status that the old client knows.

use super::{Control, reply::Reply};
use crate::{
    login::body::{self, Body, Limits, Shape, malformed},
    problem::Problem,
    proxy::endpoint::EndpointRequest,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use portcullis_config::{Alias, View};
use portcullis_plugin_api::Object;
use serde_json::{Value, json};

/// The alias that a request is made by, and the path that it leads to.
pub(super) fn find<'a>(control: &'a Control, request: &EndpointRequest) -> Option<(&'a Alias, String)> {
    let found =
        |alias: &'a Alias| alias.leads(request.method.as_str(), &request.path).map(|path| (alias, path));
    control.config.aliases.iter().find_map(found)
}

/// The same request by the operation's own names.
pub(super) fn rewritten(
    control: &Control,
    request: &EndpointRequest,
    alias: &Alias,
    path: String,
) -> Result<EndpointRequest, Problem> {
    let (mut headers, mut bytes) = (request.headers.clone(), request.body.clone());
    let limits = &control.config.limits;
    let limits = Limits { depth: limits.json_depth, fields: limits.json_fields };
    if !bytes.is_empty() && (alias.view.is_some() || !alias.fields.is_empty()) {
        let body = body::read(&headers, &bytes, limits)?;
        bytes = write(&mut headers, renamed(body, alias)?, alias.view);
    } else if bytes.is_empty() && alias.view == Some(View::JsonApi) {
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.api+json"));
    }
    let method = Method::from_bytes(alias.to_method.as_bytes()).unwrap_or(Method::GET);
    Ok(EndpointRequest {
        method: if request.method == Method::HEAD { Method::HEAD } else { method },
        path,
        query: request.query.clone(),
        host: request.host.clone(),
        headers,
        body: bytes,
        client: request.client,
        request_id: request.request_id.clone(),
        departure: request.departure.clone(),
    })
}

/// All at once, so that two names may change places; two fields for one name are refused.
fn renamed(body: Body, alias: &Alias) -> Result<Body, Problem> {
    let Body { shape, mut fields } = body;
    let mut named: Vec<(&String, Value)> = Vec::new();
    for (old, new) in &alias.fields {
        if let Some(value) = fields.remove(old) {
            named.push((new, value));
        }
    }
    for (new, value) in named {
        if fields.contains_key(new) {
            return Err(malformed(format!("{new}: given twice, by its old name too")));
        }
        fields.insert(new.clone(), value);
    }
    Ok(Body { shape, fields })
}

fn write(headers: &mut HeaderMap, body: Body, view: Option<View>) -> Bytes {
    let shape = match (view, body.shape) {
        (Some(View::JsonApi), _) => Shape::JsonApi,
        (Some(View::Flat), Shape::JsonApi) => Shape::Json,
        (_, shape) => shape,
    };
    if shape == Shape::Form {
        return form(&body.fields);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let fields = Value::Object(body.fields);
    let whole = match shape {
        Shape::JsonApi => json!({ "data": { "type": "users", "attributes": fields } }),
        _ => fields,
    };
    whole.to_string().into()
}

fn form(fields: &Object) -> Bytes {
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        out.append_pair(name, value.as_str().unwrap_or_default());
    }
    out.finish().into()
}

/// The status that the old client knows; the code stays.
pub(super) fn answered(mut reply: Reply, alias: &Alias) -> Reply {
    let Some(status) = alias.status.get(&reply.status().as_u16()) else { return reply };
    let Ok(new) = StatusCode::from_u16(*status) else { return reply };
    *reply.status_mut() = new;
    if new != StatusCode::UNAUTHORIZED {
        reply.headers_mut().remove(WWW_AUTHENTICATE);
    }
    if let Ok(Value::Object(mut problem)) = serde_json::from_slice::<Value>(reply.body()) {
        problem.insert("status".to_owned(), (*status).into());
        *reply.body_mut() = Value::Object(problem).to_string().into();
    }
    reply
}
