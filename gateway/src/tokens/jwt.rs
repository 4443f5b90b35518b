//! The compact form of a JWS (RFC 7515 §7.1), read strictly: what is not exactly what
//! we write ourselves is refused here, before any claim is believed.

use super::{
    Refused,
    keys::{Key, Purpose, Ring},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Serialize,
    de::{Deserialize, Deserializer, Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};

/// The longest token that is looked at.
const LONGEST: usize = 16 * 1024;

/// The claims of a token whose signature is good, and the key that made it.
pub(super) struct Signed<'a> {
    pub(super) kid: &'a str,
    pub(super) claims: Map<String, Value>,
}

/// Checks everything but the claims. The key is found by its exact `kid`; it alone says
/// which algorithm and which `typ` the token must have (RFC 8725 §3.1, §3.11).
pub(super) fn open<'a>(token: &str, purpose: Purpose, ring: &'a Ring) -> Result<Signed<'a>, Refused> {
    if token.len() > LONGEST {
        return Err(Refused("too long"));
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Refused("not three parts"))?;
    let (header, payload) = message.split_once('.').ok_or(Refused("not three parts"))?;
    if payload.contains('.') {
        return Err(Refused("not three parts"));
    }
    let header = members(header).ok_or(Refused("header is no JSON object"))?;
    if header.contains_key("crit") {
        return Err(Refused("crit"));
    }
    let text = |name| header.get(name).and_then(Value::as_str);
    let kid = text("kid").ok_or(Refused("no kid"))?;
    let key = ring.by_kid(kid).ok_or(Refused("unknown key"))?;
    if key.purpose() != purpose {
        return Err(Refused("key of another purpose"));
    }
    if text("alg") != Some(key.algorithm_name()) {
        return Err(Refused("alg is not the key's"));
    }
    if !text("typ").is_some_and(|typ| is_type(typ, purpose.typ())) {
        return Err(Refused("typ"));
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused("signature is no base64url"))?;
    if !key.material().verifies(message.as_bytes(), &signature) {
        return Err(Refused("signature"));
    }
    let claims = members(payload).ok_or(Refused("payload is no JSON object"))?;
    Ok(Signed { kid: key.kid(), claims })
}

/// Claims under the signature of this key.
pub(super) fn sign(key: &Key, claims: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Header<'a> {
        typ: &'a str,
        alg: &'a str,
        kid: &'a str,
    }
    let part = |json: serde_json::Result<Vec<u8>>| URL_SAFE_NO_PAD.encode(json.expect("this is plain JSON"));
    let header = Header { typ: key.purpose().typ(), alg: key.algorithm_name(), kid: key.kid() };
    let mut token = part(serde_json::to_vec(&header));
    token.push('.');
    token.push_str(&part(serde_json::to_vec(claims)));
    let signature = key.material().sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

/// `at+jwt`, in any case and with or without `application/` (RFC 7515 §4.1.9).
fn is_type(found: &str, typ: &str) -> bool {
    const PREFIX: &str = "application/";
    let bare = match found.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &found[PREFIX.len()..],
        _ => found,
    };
    bare.eq_ignore_ascii_case(typ)
}

/// The members of one part: base64url without padding, a JSON object, no name twice.
fn members(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice::<Members>(&bytes).ok().map(|members| members.0)
}

/// An object in which no name comes twice (RFC 7515 §4, RFC 7519 §4).
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name comes twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Once)
    }
}

/// A NumericDate (RFC 7519 §2) in milliseconds since 1970; fractions are legal. None for
/// anything that is not a number of seconds between 1970 and the year 9999.
pub(super) fn date(value: &Value) -> Option<u64> {
    const YEAR_10000: u64 = 253_402_300_800;
    if let Some(seconds) = value.as_u64() {
        return (seconds < YEAR_10000).then_some(seconds * 1000);
    }
    let seconds = value.as_number()?.as_f64()?;
    (0.0..YEAR_10000 as f64).contains(&seconds).then_some((seconds * 1000.0) as u64)
}
