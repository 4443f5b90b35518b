//! OpenAPI 3.1 of the gateway's own endpoints (contract, section 5), for
//! `portcullis schema --openapi`. The data is written by hand in `openapi/`; here it becomes
//! the long form that tools read. What every endpoint has (bodies in three ways, refusals by
//! `problem.rs`) is said here once.
//!
//! In the data an operation `takes` a body of a schema, `gives` answers by status and
//! `refuses` by status; `page` is a page, and a schema that ends in `.api` is JSON:API.

use crate::problem::Code;
use portcullis_config::Endpoints;
use serde_json::{Map, Value, json};

const PATHS: &[&str] = &[
    include_str!("openapi/login.json"),
    include_str!("openapi/accounts.json"),
    include_str!("openapi/admin.json"),
];
const SCHEMAS: &[&str] = &[include_str!("openapi/requests.json"), include_str!("openapi/answers.json")];

/// What any request may be answered with: its head, its credentials, the state of the house.
const ALWAYS: &[u16] = &[400, 414, 417, 421, 431, 500, 503];
/// What a request that changes something may be answered with besides.
const CHANGING: &[u16] = &[403, 413];

/// The document, with the paths where this configuration has them.
/// `cookie` is the session's.
pub fn document(endpoints: &Endpoints, origin: Option<&str>, cookie: &str) -> Value {
    let mut paths = Map::new();
    for (path, item) in merged(PATHS) {
        let place = path
            .replace("{login}", &endpoints.login)
            .replace("{logout}", &endpoints.logout)
            .replace("{auth}", &endpoints.auth);
        paths.insert(place.clone(), path_item(&place, &item));
    }
    let mut schemas = merged(SCHEMAS);
    schemas.insert("Problem".to_owned(), problem(Code::ALL));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The endpoints that the gateway answers itself. Everything else is proxied.",
        },
        "servers": [{ "url": origin.unwrap_or("/") }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": refusals(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "session": { "type": "apiKey", "in": "cookie", "name": cookie },
            },
        },
    })
}

/// The members of all the files.
fn merged(files: &[&str]) -> Map<String, Value> {
    let read = |file: &&str| -> Map<String, Value> {
        serde_json::from_str(file).expect("a test reads every file of openapi/")
    };
    files.iter().flat_map(read).collect()
}

fn path_item(path: &str, item: &Value) -> Value {
    let mut answer = Map::new();
    let named: Vec<Value> = path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema =
                if name == "uuid" { json!({ "type": "string", "format": "uuid" }) } else { schema("Text") };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    if !named.is_empty() {
        answer.insert("parameters".to_owned(), named.into());
    }
    for (method, said) in members(item) {
        answer.insert(method.to_ascii_lowercase(), operation(method, said));
    }
    answer.into()
}

fn operation(method: &str, said: &Value) -> Value {
    let mut answer = json!({ "operationId": said["id"], "summary": said["does"] });
    match said["who"].as_str() {
        Some("admin") => answer["security"] = json!([{ "token": [] }]),
        Some("person") => answer["security"] = json!([{ "token": [] }, { "session": [] }]),
        Some(_) => answer["security"] = json!([{}, { "token": [] }, { "session": [] }]),
        None => {}
    }
    let query = members(&said["query"]).map(|(name, kind)| {
        json!({ "name": name, "in": "query", "schema": schema(kind.as_str().unwrap_or_default()) })
    });
    let query: Vec<Value> = query.collect();
    if !query.is_empty() {
        answer["parameters"] = query.into();
    }
    let takes = said["takes"].as_str();
    if let Some(body) = takes.map(three_ways).or(said["form"].as_str().map(one_way)) {
        let required = said["optional"] != true;
        answer["requestBody"] = json!({ "required": required, "content": body });
    }
    let mut responses = Map::new();
    for (status, kinds) in members(&said["gives"]) {
        responses.insert(status.clone(), given(status, kinds));
    }
    let own = said["refuses"].as_array().into_iter().flatten().filter_map(Value::as_u64);
    let mut refused: Vec<u64> = own.chain(ALWAYS.iter().copied().map(u64::from)).collect();
    if method != "GET" {
        refused.extend(CHANGING.iter().copied().map(u64::from));
    }
    if takes.is_some() {
        refused.push(415);
    }
    for status in refused {
        let place = format!("#/components/responses/{status}");
        responses.insert(status.to_string(), json!({ "$ref": place }));
    }
    answer["responses"] = responses.into();
    answer
}

/// A body as JSON, as a JSON:API envelope and as a form (contract section 5, Bodies).
fn three_ways(name: &str) -> Value {
    let envelope = json!({
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {
                "type": "object",
                "required": ["type", "attributes"],
                "properties": { "type": { "const": "users" }, "attributes": schema(name) },
            },
        },
    });
    json!({
        "application/json": { "schema": schema(name) },
        "application/vnd.api+json": { "schema": envelope },
        "application/x-www-form-urlencoded": { "schema": schema(name) },
    })
}

fn one_way(name: &str) -> Value {
    json!({ "application/x-www-form-urlencoded": { "schema": schema(name) } })
}

fn given(status: &str, kinds: &Value) -> Value {
    let description = match status {
        "201" => "Made",
        "204" => "Done",
        "302" | "303" => "To be fetched from there",
        _ => "Fine",
    };
    let mut content = Map::new();
    for kind in kinds.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let (media, schema) = match kind {
            "page" => ("text/html", json!({ "type": "string" })),
            api if api.ends_with(".api") => ("application/vnd.api+json", schema(api)),
            flat => ("application/json", schema(flat)),
        };
        content.insert(media.to_owned(), json!({ "schema": schema }));
    }
    let mut answer = json!({ "description": description });
    if !content.is_empty() {
        answer["content"] = content.into();
    }
    if status.starts_with('3') {
        answer["headers"] = json!({ "Location": { "required": true, "schema": schema("Text") } });
    }
    answer
}

/// One response for each status that refuses or fails, with its codes.
fn refusals() -> Map<String, Value> {
    let mut all = Map::new();
    for code in Code::ALL {
        let status = code.status();
        let codes: Vec<Code> = Code::ALL.iter().copied().filter(|code| code.status() == status).collect();
        let mut answer = json!({
            "description": codes.iter().map(|code| code.title()).collect::<Vec<_>>().join("; "),
            "content": {
                "application/problem+json": { "schema": problem(&codes) },
                "text/html": { "schema": { "type": "string" } },
            },
        });
        let field = match status {
            405 => Some("Allow"),
            503 => Some("Retry-After"),
            _ => None,
        };
        if let Some(field) = field {
            answer["headers"] = json!({ field: { "required": true, "schema": schema("Text") } });
        }
        all.insert(status.to_string(), answer);
    }
    all
}

/// The RFC 9457 document with one of these codes.
fn problem(codes: &[Code]) -> Value {
    let mut statuses: Vec<u16> = codes.iter().map(|code| code.status()).collect();
    statuses.dedup();
    let mut names: Vec<&str> = Vec::new();
    for code in codes {
        if !names.contains(&code.as_str()) {
            names.push(code.as_str());
        }
    }
    json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "detail", "request_id"],
        "properties": {
            "type": { "const": "about:blank" },
            "title": { "type": "string" },
            "status": { "enum": statuses },
            "code": { "enum": names },
            "detail": { "type": "string" },
            "request_id": { "type": "string" },
            "login_url": { "type": "string" },
        },
    })
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests;
