//! The three ways to write a body of an endpoint, each beside another reader: where ours
//! takes a body, the other reads the same fields in it.

use super::targets::Target;
use crate::login::body::{self, Body, Limits, Shape};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::Value;
use std::collections::BTreeMap;

const LIMITS: Limits = Limits { depth: 8, fields: 16 };
const JSON: &str = "application/json";
const JSON_API: &str = "application/vnd.api+json";
const FORM: &str = "application/x-www-form-urlencoded";

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "body as a form",
        corpus: &[
            b"username=ann&password=p+w%20x&return_to=%2Fapp", b"a=%F0%9F%98%80&b=&c", b"&&a=1&&", b"a=%zz", b"a=1&a=2",
            b"__proto__=1",
        ],
        check: form,
    },
    Target {
        name: "body as JSON",
        corpus: &[
            br#"{"username":"ann","password":"\u00e9\ud83d\ude00","expires_in":60}"#, br#"{"a":{"b":[1,[2,{"c":null}]]},"d":1.5e3}"#,
            br#"{"a":1,"\u0061":2}"#, br#"{"x":{"__proto__":1}}"#, b"{\"a\":\"\\ud800\"}", b" {} ",
        ],
        check: json,
    },
    Target {
        name: "body as JSON:API",
        corpus: &[
            br#"{"data":{"type":"users","attributes":{"email":"a@b.c","password":"x"}}}"#,
            br#"{"data":{"type":"users","id":"1","attributes":{"a":{"b":[]}}},"meta":{},"jsonapi":{"version":"1.1"}}"#,
            br#"{"data":{"type":"users","attributes":{}},"password":"x"}"#, br#"{"data":[]}"#,
        ],
        check: json_api,
    },
];

fn read(kind: &'static str, input: &[u8]) -> Option<Body> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
    let read = body::read(&headers, input, LIMITS).ok()?;
    assert!(read.fields.len() <= LIMITS.fields);
    assert!(read.fields.values().all(|value| value.as_str().is_none_or(|text| text.len() <= 16 * 1024)));
    let _ = (read.text("username"), read.positive("expires_in"));
    Some(read)
}

fn form(input: &[u8]) {
    let Some(read) = read(FORM, input) else { return };
    assert_eq!(read.shape, Shape::Form);
    let ours: BTreeMap<&str, &str> =
        read.fields.iter().map(|(name, value)| (name.as_str(), value.as_str().expect("text"))).collect();
    let theirs: Vec<_> = form_urlencoded::parse(input).collect();
    assert_eq!(theirs.len(), ours.len(), "each name comes once");
    for (name, value) in &theirs {
        assert_eq!(ours.get(&**name), Some(&&**value));
    }
    let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(&ours).finish();
    if !written.is_empty() {
        let again = self::read(FORM, written.as_bytes()).expect("what was written can be read");
        assert_eq!(again.fields, read.fields);
    }
    let parameters = body::parameters(input).expect("a provider's parameters are read alike");
    assert!(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(ours));
}

fn json(input: &[u8]) {
    let Some(read) = read(JSON, input) else { return };
    let theirs = within_limits(input);
    match read.shape {
        Shape::Json => assert_eq!(Value::Object(read.fields), theirs),
        Shape::JsonApi => envelope(&read, &theirs),
        Shape::Form => panic!("JSON is no form"),
    }
}

fn json_api(input: &[u8]) {
    let Some(read) = read(JSON_API, input) else { return };
    assert_eq!(read.shape, Shape::JsonApi);
    envelope(&read, &within_limits(input));
    let same = self::read(JSON, input).expect("an envelope is known by its looks too");
    assert_eq!((same.shape, same.fields), (read.shape, read.fields));
}

fn envelope(read: &Body, theirs: &Value) {
    assert_eq!(theirs.pointer("/data/type"), Some(&Value::from("users")));
    assert_eq!(theirs.pointer("/data/attributes"), Some(&Value::Object(read.fields.clone())));
}

/// What another reader finds in it: no deeper, no more members than allowed, no reserved name.
fn within_limits(input: &[u8]) -> Value {
    let value: Value = serde_json::from_slice(input).expect("another reader takes it too");
    let (mut members, mut level) = (0, vec![&value]);
    for _ in 0..LIMITS.depth {
        let mut below = Vec::new();
        for one in level {
            match one {
                Value::Array(items) => below.extend(items),
                Value::Object(named) => {
                    let reserved = ["__proto__", "constructor", "prototype"];
                    assert!(!named.keys().any(|name| reserved.contains(&name.as_str())));
                    below.extend(named.values());
                }
                _ => {}
            }
        }
        members += below.len();
        level = below;
    }
    assert!(!level.iter().any(|one| one.is_array() || one.is_object()), "nested too deep");
    assert!(members <= LIMITS.fields, "too many fields");
    value
}
