//! The JSON Schema (draft-07) of the file, for editors. Which keys there are is what the
//! readers' own lists say; type, default and description of a key come from its line in
//! `examples/everything.toml`, which tests compare with the readers; what a line cannot
//! show (several types, a few words) stands in [`SHAPES`]. Nothing here decides what is
//! accepted: that is the readers' business, and a test asks them about every key.

use crate::{
    aliases, identity_headers,
    load::{OPEN_TABLES, TABLES},
    plugins, policy, routes, rule, strategies,
    tree::{self, Value},
    upstreams,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

const EXAMPLE: &str = include_str!("../examples/everything.toml");

/// One integer and a unit.
const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";

/// An id of a strategy or an upstream.
const ID: &str = "^[a-z][a-z0-9-]{0,31}$";

/// What a value may be, where its line in the example does not show it.
#[derive(Clone, Copy)]
enum Shape {
    TextOrTexts,
    Secret,
    Words(&'static [&'static str]),
    Policy,
    Admit,
    Mappings,
    HeadersOrFalse,
    Table(&'static str),
}

const LINK: &[&str] = &["never", "verified-email"];

const SHAPES: &[(&str, &str, Shape)] = &[
    ("", "include", Shape::TextOrTexts),
    ("server", "listen", Shape::TextOrTexts),
    ("store", "key", Shape::Secret),
    ("token", "secret", Shape::Secret),
    ("accounts", "registration", Shape::Words(&["closed", "open"])),
    ("mail", "url", Shape::Secret),
    ("session", "same_site", Shape::Words(&["lax", "strict"])),
    ("accounts", "link", Shape::Words(LINK)),
    ("strategies", "admit", Shape::Admit),
    ("strategies", "roles", Shape::Mappings),
    ("strategies", "link", Shape::Words(LINK)),
    ("plugins", "isolation", Shape::Words(&["in-process", "process"])),
    ("aliases", "fields", Shape::Table("string")),
    ("aliases", "status", Shape::Table("integer")),
    ("aliases", "view", Shape::Words(&["flat", "json-api"])),
    ("routes", "policy", Shape::Policy),
    ("routes", "identity_headers", Shape::HeadersOrFalse),
    ("routes", "assertion", Shape::Words(&["header", "authorization", "off"])),
    ("routes", "encoded_slash", Shape::Words(&["refuse", "keep"])),
    ("log", "format", Shape::Words(&["text", "json"])),
    ("log", "level", Shape::Words(&["error", "warn", "info", "debug", "trace"])),
];

/// Keys without which a table is refused, and which therefore have no default.
const REQUIRED: &[(&str, &[&str])] = &[
    ("mail", &["url", "from"]),
    ("strategies", &["kind"]),
    ("plugins", &["path"]),
    ("upstreams", &["urls"]),
    ("routes", &["path", "upstream"]),
    ("aliases", &["from", "to"]),
];

/// What the example says of a key.
struct Line {
    value: Option<Json>,
    is_default: bool,
    comment: Option<String>,
}

/// The schema of the configuration that this version accepts.
pub fn schema() -> Json {
    let lines = lines();
    let mut tables = Map::new();
    tables.insert("include".to_owned(), shape("", "include", None));
    for (name, keys) in TABLES {
        tables.insert((*name).to_owned(), table(name, keys, false, &lines));
    }
    for name in OPEN_TABLES {
        tables.insert((*name).to_owned(), open_table(name, &lines));
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The configuration of Portcullis",
        "type": "object",
        "properties": tables,
        "additionalProperties": false,
    })
}

/// A table whose keys are fixed; `more`: others are somebody else's to check.
fn table(name: &str, keys: &[&str], more: bool, lines: &BTreeMap<(String, String), Line>) -> Json {
    let required = REQUIRED.iter().find(|(table, _)| *table == name).map_or(&[][..], |(_, keys)| keys);
    let mut properties = Map::new();
    for key in keys {
        let line = lines.get(&(name.to_owned(), (*key).to_owned()));
        let mut schema = shape(name, key, line.and_then(|line| line.value.as_ref()));
        if let Some(line) = line {
            if let Some(comment) = &line.comment {
                schema["description"] = Json::from(comment.clone());
            }
            // The name of a strategy is in its heading.
            let has_default = line.is_default && !required.contains(key) && name != "strategies";
            if let (true, Some(value)) = (has_default, &line.value) {
                schema["default"] = value.clone();
            }
        }
        properties.insert((*key).to_owned(), schema);
    }
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": more });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A table whose next keys are the operator's.
fn open_table(name: &str, lines: &BTreeMap<(String, String), Line>) -> Json {
    let by_id = |of: Json| json!({ "type": "object", "propertyNames": { "pattern": ID }, "additionalProperties": of });
    match name {
        "strategies" => by_id(table(name, strategies::KEYS, true, lines)),
        "plugins" => by_id(table(name, plugins::KEYS, false, lines)),
        "upstreams" => by_id(table(name, upstreams::KEYS, false, lines)),
        "routes" => json!({ "type": "array", "items": table(name, routes::KEYS, false, lines) }),
        "aliases" => json!({ "type": "array", "items": table(name, aliases::KEYS, false, lines) }),
        _ => {
            let strip = table(name, &[identity_headers::STRIP], false, lines);
            json!({
                "type": "object",
                "properties": strip["properties"],
                "additionalProperties": { "type": "string", "minLength": 1 },
            })
        }
    }
}

fn shape(name: &str, key: &str, example: Option<&Json>) -> Json {
    let text = || json!({ "type": "string", "minLength": 1 });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    if let Some((_, _, shape)) = SHAPES.iter().find(|(t, k, _)| *t == name && *k == key) {
        return match shape {
            Shape::TextOrTexts => json!({ "anyOf": [text(), texts()] }),
            Shape::Secret => secret(),
            Shape::Words(words) => json!({ "enum": words }),
            Shape::Policy => json!({ "anyOf": [{ "enum": ["signed-in", "public"] }, policy_table()] }),
            Shape::Admit => json!({ "anyOf": [{ "enum": ["anyone"] }, policy_table()] }),
            Shape::Mappings => json!({
                "type": "object",
                "additionalProperties": { "anyOf": [text(), texts()] },
            }),
            Shape::Table(of) => json!({ "type": "object", "additionalProperties": { "type": of } }),
            Shape::HeadersOrFalse => json!({ "anyOf": [
                { "enum": [false] },
                { "type": "object", "additionalProperties": text() },
            ] }),
        };
    }
    match example {
        Some(Json::String(text)) if is_duration(text) => json!({ "type": "string", "pattern": DURATION }),
        Some(Json::String(_)) => text(),
        Some(Json::Bool(_)) => json!({ "type": "boolean" }),
        Some(Json::Number(_)) => json!({ "type": "integer", "minimum": 1 }),
        Some(Json::Array(items)) if items.iter().all(Json::is_string) => texts(),
        Some(Json::Array(_)) => json!({ "type": "array" }),
        Some(Json::Object(_)) => json!({ "type": "object" }),
        Some(Json::Null) | None => json!({}),
    }
}

fn secret() -> Json {
    let one = |key: &str| {
        json!({
            "type": "object",
            "properties": { key: { "type": "string", "minLength": 1 } },
            "required": [key],
            "additionalProperties": false,
        })
    };
    json!({ "anyOf": [{ "type": "string", "minLength": 1 }, one("file"), one("env")] })
}

/// Rules of a policy are lists, but for the words and flags that later versions add.
fn policy_table() -> Json {
    let rules = policy::KEYS.iter().map(|key| {
        let rule = match *key {
            "anonymous" => json!({ "type": "boolean" }),
            "roles" => json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
            _ => json!({ "type": "array", "minItems": 1, "items": policy_rule() }),
        };
        ((*key).to_owned(), rule)
    });
    let rules: Map<String, Json> = rules.collect();
    json!({ "type": "object", "properties": rules, "additionalProperties": false })
}

fn policy_rule() -> Json {
    let keys = rule::KEYS.iter().map(|key| {
        let value = match *key {
            "is" => json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }, { "type": "boolean" }] }),
            _ => json!({ "type": "string", "minLength": 1 }),
        };
        ((*key).to_owned(), value)
    });
    let keys: Map<String, Json> = keys.collect();
    json!({ "type": "object", "properties": keys, "additionalProperties": false })
}

fn is_duration(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && matches!(unit, "ms" | "s" | "m" | "h" | "d")
}

/// The lines of the example by table and key.
fn lines() -> BTreeMap<(String, String), Line> {
    let mut lines = BTreeMap::new();
    let mut table = String::new();
    for text in EXAMPLE.lines() {
        if let Some(heading) = text.strip_prefix('[') {
            let heading = heading.trim_start_matches('[');
            table = heading.split([']', '.']).next().unwrap_or_default().to_owned();
            continue;
        }
        let written = text.trim_start_matches("# ");
        let Some((key, rest)) = written.split_once(" = ") else { continue };
        let value = tree::read(&format!("x = {rest}")).ok().and_then(|read| {
            let node = &read.get("x")?.node;
            (!matches!(node.value, Value::Date(_))).then(|| tree::json(node, &[], &mut BTreeMap::new()))
        });
        let comment = rest.rsplit_once("  # ").map(|(_, comment)| comment.trim().to_owned());
        let line = Line { value, is_default: written.len() == text.len(), comment };
        lines.entry((table.clone(), key.to_owned())).or_insert(line);
    }
    lines
}

#[cfg(test)]
mod tests;
