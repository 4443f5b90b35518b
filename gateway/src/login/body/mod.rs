//! The body of an endpoint request, whichever of the three ways it is written, as one
//! flat list of fields (contract section 5, Bodies). Total on any bytes.
//!
//! `json.rs` strict JSON · `form.rs` strict form encoding · `json_api.rs` the envelope.
//!
//! What may not come in: the query. Credentials are read from the body only.

mod form;
mod json;
mod json_api;

use crate::{
    metrics::Limit,
    problem::{Code, Problem},
};
use http::{HeaderMap, header::CONTENT_TYPE};
use portcullis_plugin_api::Object;
use serde_json::Value;

/// The most bytes that one text field may have.
const MAX_TEXT: usize = 16 * 1024;

/// Behind the name of a field whose text is longer.
const TOO_LONG: &str = ": too large";

/// Names that are commands to some languages that may read a body after us.
const RESERVED: &[&str] = &["__proto__", "constructor", "prototype"];

/// How a body was written; the answer follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Flat members.
    Json,
    /// `{"data":{"type","attributes"}}`
    JsonApi,
    /// `application/x-www-form-urlencoded`
    Form,
}

/// What a body may hold (contract, `[limits]`).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `json_depth`
    pub depth: usize,
    /// `json_fields`
    pub fields: usize,
}

/// The fields of a body.
#[derive(Clone)]
pub struct Body {
    /// How it was written.
    pub shape: Shape,
    /// By name; a form's are all text.
    pub fields: Object,
}

/// A 400 that names the field at fault.
pub fn malformed(detail: impl Into<String>) -> Problem {
    Problem::from(Code::Malformed).detail(detail.into())
}

/// The parameters of a provider's answer, in a query or in a form: each once.
pub(crate) fn parameters(bytes: &[u8]) -> Result<std::collections::BTreeMap<String, String>, Problem> {
    const MOST: usize = 64;
    let fields = form::fields(bytes, MOST).map_err(malformed)?;
    Ok(fields.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect())
}

/// Reads a body by its `Content-Type`.
pub fn read(headers: &HeaderMap, bytes: &[u8], limits: Limits) -> Result<Body, Problem> {
    let kind = media_type(headers)?;
    if bytes.is_empty() {
        return Err(malformed("the body is empty"));
    }
    let (shape, fields) = match kind {
        Kind::Form => (Shape::Form, form::fields(bytes, limits.fields).map_err(malformed)?),
        Kind::Json | Kind::JsonApi => {
            let object = json::object(bytes, limits).map_err(malformed)?;
            if kind == Kind::JsonApi || object.contains_key("data") {
                (Shape::JsonApi, json_api::open(object).map_err(malformed)?)
            } else {
                (Shape::Json, object)
            }
        }
    };
    check_names_and_sizes(&fields)?;
    Ok(Body { shape, fields })
}

/// Which limit a refused body met, if any.
pub fn limit(problem: &Problem) -> Option<Limit> {
    let detail = problem.detail.as_deref()?;
    if detail.starts_with(json::TOO_DEEP) {
        Some(Limit::JsonDepth)
    } else {
        let long = || detail.ends_with(TOO_LONG).then_some(Limit::BodyText);
        detail.starts_with(json::TOO_MANY).then_some(Limit::JsonFields).or_else(long)
    }
}

fn check_names_and_sizes(fields: &Object) -> Result<(), Problem> {
    for (name, value) in fields {
        if value.as_str().is_some_and(|text| text.len() > MAX_TEXT) {
            return Err(malformed(format!("{}{TOO_LONG}", shown(name))));
        }
    }
    Ok(())
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The names alone: the values may be secret.
        f.debug_struct("Body").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Body {
    /// A text field; one of another type is refused.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(malformed(format!("{}: must be text", shown(name)))),
        }
    }

    /// A whole number above zero: a JSON number, or digits in a form.
    pub fn positive(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(value) = self.fields.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if self.shape == Shape::Form && is_digits(text) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if number > 0 => Ok(Some(number)),
            _ => Err(malformed(format!("{}: must be a whole number above zero", shown(name)))),
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A client's field name as a message may repeat it.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    JsonApi,
    Form,
}

/// RFC 9110 §8.3.1: type and subtype are compared without case. A charset other than
/// UTF-8 would be read wrongly, so it is refused.
fn media_type(headers: &HeaderMap) -> Result<Kind, Problem> {
    let unsupported = || {
        Problem::from(Code::UnsupportedMediaType)
            .detail("send application/json, application/vnd.api+json or application/x-www-form-urlencoded")
    };
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return Err(unsupported()) };
    let mut parts = value.to_str().map_err(|_| unsupported())?.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset_is_utf8 = parts.all(|parameter| {
        let (name, value) = parameter.trim().split_once('=').unwrap_or_default();
        !name.trim().eq_ignore_ascii_case("charset")
            || matches!(value.trim().trim_matches('"').to_ascii_lowercase().as_str(), "utf-8" | "utf8")
    });
    match essence.as_str() {
        _ if !charset_is_utf8 => Err(unsupported()),
        "application/json" => Ok(Kind::Json),
        "application/vnd.api+json" => Ok(Kind::JsonApi),
        "application/x-www-form-urlencoded" => Ok(Kind::Form),
        _ => Err(unsupported()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { depth: 16, fields: 64 };

    fn read_as(kind: &str, body: &[u8]) -> Result<Body, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        read(&headers, body, LIMITS)
    }

    fn code(kind: &str, body: &str) -> &'static str {
        read_as(kind, body.as_bytes()).map_or_else(|p| p.code.as_str(), |_| "ok")
    }

    #[test]
    fn the_three_ways_give_the_same_fields() {
        let flat = read_as("application/json; charset=utf-8", br#"{"username":"ann","password":"p w"}"#);
        let form = read_as("Application/X-WWW-Form-Urlencoded", b"username=ann&password=p+w");
        let envelope = read_as(
            "application/vnd.api+json",
            br#"{"data":{"type":"users","attributes":{"username":"ann","password":"p w"}}}"#,
        );
        let (flat, form, envelope) = (flat.unwrap(), form.unwrap(), envelope.unwrap());
        assert_eq!(flat.fields, form.fields);
        assert_eq!(flat.fields, envelope.fields);
        assert_eq!([flat.shape, form.shape, envelope.shape], [Shape::Json, Shape::Form, Shape::JsonApi]);
    }

    #[test]
    fn every_other_type_is_unsupported() {
        for kind in ["text/plain", "multipart/form-data; boundary=x", "application/json; charset=utf-16", ""]
        {
            assert_eq!(code(kind, "{}"), "unsupported_media_type", "{kind}");
        }
        assert_eq!(read(&HeaderMap::new(), b"{}", LIMITS).unwrap_err().code, Code::UnsupportedMediaType);
    }

    #[test]
    fn what_is_not_one_object_of_known_shape_is_malformed() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(16), "]".repeat(16));
        let many = format!("{{{}}}", (0..65).map(|i| format!("\"f{i}\":1")).collect::<Vec<_>>().join(","));
        let large = format!(r#"{{"username":"{}"}}"#, "x".repeat(MAX_TEXT + 1));
        for body in [
            "",
            "null",
            "[]",
            "\"x\"",
            "{",
            "{}{}",
            "\u{feff}{}",
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"__proto__":{}}"#,
            r#"{"metadata":{"constructor":1}}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"data":{"type":"users","attributes":{}},"username":"ann"}"#,
            r#"{"data":"x"}"#,
            r#"{"data":{"attributes":{}}}"#,
            r#"{"data":{"type":"users"}}"#,
            r#"{"data":{"type":"posts","attributes":{}}}"#,
            &deep,
            &many,
            &large,
        ] {
            assert_eq!(code("application/json", body), "malformed", "{body}");
        }
        assert_eq!(code("application/vnd.api+json", r#"{"username":"ann"}"#), "malformed");
    }

    #[test]
    fn a_form_is_read_strictly() {
        let many = (0..65).map(|i| format!("f{i}=1")).collect::<Vec<_>>().join("&");
        for body in
            ["", "a=1&a=2", "a=%zz", "a=%4", "a=%ff", "=x", "__proto__=1", "a=%00%", "a\u{e9}=%", &many]
        {
            assert_eq!(code("application/x-www-form-urlencoded", body), "malformed", "{body}");
        }
        let body = read_as("application/x-www-form-urlencoded", b"a=%C3%A9+%2B&b&&c=").unwrap();
        assert_eq!(body.text("a").unwrap(), Some("é +"));
        assert_eq!(body.text("b").unwrap(), Some(""));
        assert_eq!(body.text("c").unwrap(), Some(""));
    }

    #[test]
    fn a_number_is_whole_and_above_zero() {
        let number = |json: &str| {
            let body = read_as("application/json", format!("{{\"expires_in\":{json}}}").as_bytes()).unwrap();
            body.positive("expires_in")
        };
        assert_eq!(number("60").unwrap(), Some(60));
        for bad in ["0", "-1", "1.5", "\"60\"", "true", "null", "1e3"] {
            assert_eq!(number(bad).unwrap_err().code, Code::Malformed, "{bad}");
        }
        let form = read_as("application/x-www-form-urlencoded", b"a=60&b=+60&c=").unwrap();
        assert_eq!(form.positive("a").unwrap(), Some(60));
        assert!(form.positive("b").is_err());
        assert!(form.positive("c").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            kind in prop_oneof![
                Just("application/json"), Just("application/vnd.api+json"),
                Just("application/x-www-form-urlencoded")
            ],
        ) {
            if let Err(problem) = read_as(kind, &bytes) {
                prop_assert_eq!(problem.code, Code::Malformed);
            }
        }

        #[test]
        fn what_json_means_is_what_is_read(
            names in proptest::collection::btree_map("[a-z]{1,8}", ".{0,20}", 1..20)
        ) {
            prop_assume!(!names.contains_key("data") && !RESERVED.iter().any(|r| names.contains_key(*r)));
            let json = serde_json::to_vec(&names).unwrap();
            let body = read_as("application/json", &json).unwrap();
            for (name, text) in &names {
                prop_assert_eq!(body.text(name).unwrap(), Some(text.as_str()));
            }
            let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&names).finish();
            let read = read_as("application/x-www-form-urlencoded", form.as_bytes()).unwrap();
            prop_assert_eq!(read.fields, body.fields);
        }
    }
}
