//! The compact form of a JWS (RFC 7515 §7.1), read strictly. A token never chooses its
//! key or its algorithm: the header names a key of the issuer, and the key says what it
//! may do. `jwk`, `jku`, `x5u` and `x5c` are not looked at.

use crate::{Algorithm, Key, Refused, json};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// The longest token that is looked at.
const LONGEST: usize = 16 * 1024;

/// The longest name of a key that is looked up.
const LONGEST_KID: usize = 255;

/// The key did not make the signature.
pub(crate) const WRONG_SIGNATURE: Refused = Refused("signature");

/// A token in its parts. Nothing of it is proven yet.
pub struct Jws<'a> {
    /// How it says it is signed.
    pub algorithm: Algorithm,
    /// By which key.
    pub kid: Option<String>,
    /// What kind of token it says it is, in small letters and without `application/`.
    pub typ: Option<String>,
    message: &'a [u8],
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub fn parse(token: &'a str) -> Result<Self, Refused> {
        if token.len() > LONGEST {
            return Err(Refused("too long"));
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refused("not three parts"))?;
        let (header, payload) = message.split_once('.').ok_or(Refused("not three parts"))?;
        if payload.contains('.') {
            return Err(Refused("not three parts"));
        }
        let header = decode(header).and_then(|bytes| json::object(&bytes)).ok_or(Refused("header"))?;
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(Refused("crit"));
        }
        let algorithm =
            text(&header, "alg")?.and_then(|name| Algorithm::named(&name)).ok_or(Refused("alg"))?;
        let kid = text(&header, "kid")?;
        if kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > LONGEST_KID) {
            return Err(Refused("kid"));
        }
        let typ = text(&header, "typ")?.map(|typ| bare(&typ));
        let signature = decode(signature).ok_or(Refused("signature is no base64url"))?;
        Ok(Self { algorithm, kid, typ, message: message.as_bytes(), payload, signature })
    }

    /// The claims, if `key` made the signature.
    pub fn open(&self, key: &Key) -> Result<Map<String, Value>, Refused> {
        let payload = decode(self.verified(key)?).ok_or(Refused("payload is no base64url"))?;
        json::object(&payload).ok_or(Refused("payload is no JSON object"))
    }

    /// The payload as it was signed, if `key` made the signature.
    pub fn verified(&self, key: &Key) -> Result<&'a str, Refused> {
        if !key.verifies(self.algorithm, self.message, &self.signature) {
            return Err(WRONG_SIGNATURE);
        }
        Ok(self.payload)
    }

    /// What the token claims, unproven: to find out whose keys to ask.
    pub fn unproven(&self) -> Option<Map<String, Value>> {
        json::object(&decode(self.payload)?)
    }
}

/// A member that is text or absent.
fn text(header: &Map<String, Value>, name: &str) -> Result<Option<String>, Refused> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refused("a member of the header has the wrong type")),
    }
}

/// RFC 7515 §4.1.9: `application/` may be left out, letters have no case.
fn bare(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}
