//! The compact form of a JWS (RFC 7515 §7.1), read strictly: what is not exactly what
//! we write ourselves is refused here, before any claim is believed.

use super::{
    Refused,
    keys::{Key, Purpose, Ring},
    members::{Members, Plain},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

/// The longest token that is looked at.
pub const LONGEST: usize = 16 * 1024;

/// The payload of a token whose signature is good, and the key that made it.
pub(super) struct Signed<'a> {
    pub(super) kid: &'a str,
    /// As it was signed; nobody has looked into it yet.
    pub(super) payload: Vec<u8>,
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
    // A header of our own is known by its letters; any other is read.
    let key = match ring.by_header(header) {
        Some(key) => key,
        None => named(header, ring)?,
    };
    if key.purpose() != purpose {
        return Err(Refused("key of another purpose"));
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused("signature is no base64url"))?;
    if !key.material().verifies(message.as_bytes(), &signature) {
        return Err(Refused("signature"));
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Refused("payload is no base64url"))?;
    Ok(Signed { kid: key.kid(), payload })
}

/// The key that a header names, if all else in it is as that key wants it.
fn named<'a>(header: &str, ring: &'a Ring) -> Result<&'a Key, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(header).map_err(|_| Refused("header is no base64url"))?;
    let members = Members::read(&bytes, ["alg", "crit", "kid", "typ"]);
    let Members([alg, crit, kid, typ]) = members.ok_or(Refused("header is no JSON object"))?;
    if crit.is_some() {
        return Err(Refused("crit"));
    }
    let text = |member: &'_ Option<Plain<'_>>| member.as_ref().and_then(Plain::text).map(str::to_owned);
    let kid = text(&kid).ok_or(Refused("no kid"))?;
    let key = ring.by_kid(&kid).ok_or(Refused("unknown key"))?;
    if text(&alg).as_deref() != Some(key.algorithm_name()) {
        return Err(Refused("alg is not the key's"));
    }
    if !text(&typ).is_some_and(|typ| is_type(&typ, key.purpose().typ())) {
        return Err(Refused("typ"));
    }
    Ok(key)
}

/// What we write before the claims: the same for all tokens of a key.
pub(super) fn header(kid: &str, algorithm: &str, purpose: Purpose) -> String {
    #[derive(Serialize)]
    struct Header<'a> {
        typ: &'a str,
        alg: &'a str,
        kid: &'a str,
    }
    let header = Header { typ: purpose.typ(), alg: algorithm, kid };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).expect("this is plain JSON"))
}

/// Claims under the signature of this key.
pub(super) fn sign(key: &Key, claims: &impl Serialize) -> String {
    let mut token = key.header().to_owned();
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims).expect("this is plain JSON"), &mut token);
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
