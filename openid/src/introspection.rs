//! Opaque tokens: asked of who made them (RFC 7662).

use crate::{
    Client, NotVerified, Refused, Request, Trouble,
    claims::{audiences, subject, text, times},
    json,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::header;
use serde_json::{Map, Value};
use std::fmt;
use url::Url;

/// Where opaque tokens are asked about, and who asks.
#[derive(Clone)]
pub struct Introspection {
    /// Where.
    pub url: Url,
    /// Us.
    pub client_id: String,
    /// Our secret.
    pub client_secret: String,
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Introspection {
    /// The claims of a token that is good now for this audience.
    pub async fn ask(
        &self,
        client: &Client,
        token: &str,
        issuer: &str,
        audience: &str,
        now: u64,
    ) -> Result<Map<String, Value>, NotVerified> {
        let form = [("token", token), ("token_type_hint", "access_token")];
        let basic = basic(&self.client_id, &self.client_secret);
        let request = Request::post(&self.url, form).with(header::AUTHORIZATION, &basic);
        let reply = client.call(request).await?;
        if !reply.status.is_success() || !reply.is_json() {
            let status = reply.status.as_u16();
            return Err(
                Trouble::Invalid(format!("introspection is answered {status}, or not as JSON")).into()
            );
        }
        let claims = json::object(&reply.body)
            .ok_or_else(|| Trouble::Invalid("introspection is answered with no JSON object".into()))?;
        judge(&claims, issuer, audience, now)?;
        Ok(claims)
    }
}

/// Rows O-12 and O-17 of the attack list: only the boolean `true` is a yes, and a token
/// for somebody else's API is none for ours.
fn judge(claims: &Map<String, Value>, issuer: &str, audience: &str, now: u64) -> Result<(), Refused> {
    if claims.get("active") != Some(&Value::Bool(true)) {
        return Err(Refused("not active"));
    }
    if text(claims, "iss", "iss")?.is_some_and(|iss| iss != issuer) {
        return Err(Refused("iss"));
    }
    let ours = match claims.get("aud") {
        Some(_) => audiences(claims)?.contains(&audience),
        // Some servers name only the client that the token was made for.
        None => text(claims, "client_id", "client_id")? == Some(audience),
    };
    if !ours {
        return Err(Refused("aud"));
    }
    if text(claims, "token_type", "token_type")?.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(Refused("not a bearer token"));
    }
    if claims.contains_key("cnf") {
        return Err(Refused("bound to a key"));
    }
    subject(claims)?.ok_or(Refused("sub"))?;
    times(claims, now, 0).map(|_| ())
}

/// `client_secret_basic`: both halves as in a form first (RFC 6749 §2.3.1).
pub fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(claims: Value) -> Result<(), &'static str> {
        let Value::Object(claims) = claims else { panic!("an object") };
        judge(&claims, "https://idp.test", "api", 1_000_000).map_err(|why| why.0)
    }

    #[test]
    fn only_a_boolean_yes_for_our_audience_is_one() {
        let good =
            json!({"active": true, "sub": "ann", "aud": "api", "iss": "https://idp.test", "exp": 1001});
        assert_eq!(judged(good.clone()), Ok(()));
        for (name, value, why) in [
            ("active", json!("true"), "not active"),
            ("active", json!(1), "not active"),
            ("active", json!(false), "not active"),
            ("active", Value::Null, "not active"),
            ("aud", json!("other"), "aud"),
            ("aud", json!([]), "aud"),
            ("aud", json!(["other"]), "aud"),
            ("iss", json!("https://idp.test/"), "iss"),
            ("exp", json!(1000), "expired"),
            ("exp", json!("1001"), "exp"),
            ("sub", json!(""), "sub"),
            ("sub", json!(7), "sub"),
            ("cnf", json!({"jkt": "x"}), "bound to a key"),
            ("token_type", json!("refresh_token"), "not a bearer token"),
        ] {
            let mut wrong = good.clone();
            wrong[name] = value.clone();
            assert_eq!(judged(wrong), Err(why), "{name}: {value}");
        }
        let mut named = good.clone();
        named.as_object_mut().unwrap().remove("aud");
        assert_eq!(judged(named.clone()), Err("aud"));
        named["client_id"] = json!("api");
        assert_eq!(judged(named), Ok(()));
    }

    #[test]
    fn an_id_or_secret_with_a_colon_is_still_two_halves() {
        let header = basic("a:b", "c d+é");
        let plain = STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(plain).unwrap(), "a%3Ab:c+d%2B%C3%A9");
    }
}
