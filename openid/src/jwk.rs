//! Keys that a provider publishes (RFC 7517, RFC 7518 §6, RFC 8037). A key is for one
//! family of algorithms, and for one algorithm if it says so; weak keys are not keys.

use crate::{Algorithm, Jws, Refused, json, roca};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// The most keys of one set; more is no key set.
const MOST: usize = 100;

/// A public key.
pub struct Key {
    kid: Option<String>,
    /// For whose tokens it is, if it says so; `{tenantid}` stands for any tenant.
    issuer: Option<String>,
    /// The one algorithm that it says it is for.
    only: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// Of one curve, and so of one algorithm.
    Curve(Algorithm, ParsedPublicKey),
}

impl Key {
    /// Reads a JWK. The error says why it is none that verifies signatures.
    pub fn read(jwk: &Map<String, Value>) -> Result<Self, Refused> {
        let text = |name: &str| match jwk.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Refused("a member of the key has the wrong type")),
        };
        if text("use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(Refused("the key is for something else"));
        }
        if jwk
            .get("key_ops")
            .is_some_and(|ops| !ops.as_array().is_some_and(|ops| ops.contains(&"verify".into())))
        {
            return Err(Refused("the key is for something else"));
        }
        if jwk.contains_key("d") || jwk.contains_key("k") {
            return Err(Refused("the key is not public"));
        }
        let part = |name| text(name)?.and_then(decoded).ok_or(Refused("a part of the key is missing"));
        let material = match (text("kty")?, text("crv")?) {
            (Some("RSA"), _) => Material::Rsa(rsa(part("n")?, part("e")?)?),
            (Some("EC"), Some("P-256")) => point(Algorithm::Es256, &part("x")?, &part("y")?)?,
            (Some("EC"), Some("P-384")) => point(Algorithm::Es384, &part("x")?, &part("y")?)?,
            (Some("EC"), Some("P-521")) => point(Algorithm::Es512, &part("x")?, &part("y")?)?,
            (Some("OKP"), Some("Ed25519")) => curve(Algorithm::EdDsa, &part("x")?)?,
            _ => return Err(Refused("the key is of no known type")),
        };
        let kid = text("kid")?.map(str::to_owned);
        let only = match text("alg")? {
            None => None,
            Some(name) => Some(Algorithm::named(name).ok_or(Refused("the key is for something else"))?),
        };
        let issuer = jwk.get("issuer").and_then(Value::as_str).map(str::to_owned);
        let key = Self { kid, issuer, only, material };
        let fits = only.is_none_or(|only| key.can(only));
        if fits { Ok(key) } else { Err(Refused("the key cannot do what it says")) }
    }

    /// Whether this key may make signatures of this algorithm.
    fn can(&self, algorithm: Algorithm) -> bool {
        let of_family = match &self.material {
            Material::Rsa(_) => rsa_parameters(algorithm).is_some(),
            Material::Curve(own, _) => *own == algorithm,
        };
        of_family && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether it is for tokens of the issuer that these claims name.
    pub(crate) fn signs_for(&self, claims: &Map<String, Value>) -> bool {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        self.issuer.as_ref().is_none_or(|own| own.replace("{tenantid}", text("tid")) == text("iss"))
    }

    /// Whether this key made the signature.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.can(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa(components) => rsa_parameters(algorithm)
                .is_some_and(|parameters| components.verify(parameters, message, signature).is_ok()),
            Material::Curve(_, key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// RFC 7518 §3.3: at least 2048 bits. An exponent is odd, greater than one and small, or
/// checking a signature becomes somebody's way to keep us busy.
fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<RsaPublicKeyComponents<Vec<u8>>, Refused> {
    let weak = Refused("the key is weak");
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if n.first() == Some(&0) || !(2048..=8192).contains(&bits) || n.last().is_none_or(|last| last % 2 == 0) {
        return Err(weak);
    }
    let plain = e.first().is_some_and(|first| *first != 0) && e.len() <= 4;
    if !plain || e == [1] || e.last().is_none_or(|last| last % 2 == 0) {
        return Err(weak);
    }
    if roca::is_weak(&n) {
        return Err(weak);
    }
    Ok(RsaPublicKeyComponents { n, e })
}

/// A point of the curve, not compressed (SEC 1 §2.3.3). Coordinates have their full
/// length (RFC 7518 §6.2.1.2).
fn point(algorithm: Algorithm, x: &[u8], y: &[u8]) -> Result<Material, Refused> {
    let length = match algorithm {
        Algorithm::Es256 => 32,
        Algorithm::Es384 => 48,
        _ => 66,
    };
    if x.len() != length || y.len() != length {
        return Err(Refused("the key is no point of its curve"));
    }
    curve(algorithm, &[&[4], x, y].concat())
}

fn curve(algorithm: Algorithm, bytes: &[u8]) -> Result<Material, Refused> {
    let verification: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::Es512 => &ECDSA_P521_SHA512_FIXED,
        _ => &ED25519,
    };
    // Nobody's secret gives a point of small order: any signature fits such a key.
    if algorithm == Algorithm::EdDsa && is_small_order(bytes) {
        return Err(Refused("the key is weak"));
    }
    let key =
        ParsedPublicKey::new(verification, bytes).map_err(|_| Refused("the key is no point of its curve"))?;
    Ok(Material::Curve(algorithm, key))
}

/// The `y` of the points of orders 1, 2, 4 and 8, little-endian and without the sign; the
/// last two are 0 and 1 once more, as no encoder should write them.
const SMALL_ORDER: [[u8; 32]; 7] = [
    edge(0x00, 0x00, 0x00),
    edge(0x01, 0x00, 0x00),
    edge(0xec, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    edge(0xed, 0xff, 0x7f),
    edge(0xee, 0xff, 0x7f),
];

/// A number whose bytes are all the same but for the first and the last.
const fn edge(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Whether an Ed25519 key is a point that eight times itself is nothing.
fn is_small_order(bytes: &[u8]) -> bool {
    let mut plain = bytes.to_vec();
    if let Some(last) = plain.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER.iter().any(|point| plain == point)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The keys of one issuer.
pub struct KeySet(Vec<Key>);

impl KeySet {
    /// Reads a JWK set. Keys that are of no use here are left out; a set without any is
    /// still a set.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let set = json::object(bytes).ok_or(Refused("the key set is no JSON object"))?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(Refused("the key set has no keys"))?;
        if keys.len() > MOST {
            return Err(Refused("the key set has too many keys"));
        }
        Ok(Self(keys.iter().filter_map(Value::as_object).filter_map(|jwk| Key::read(jwk).ok()).collect()))
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none can be used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one key that this token can have been signed with. Two that could have are
    /// none: nobody says which (OpenID Connect Core §10.1).
    pub fn of(&self, token: &Jws<'_>) -> Result<&Key, Refused> {
        let named = |key: &&Key| match &token.kid {
            Some(kid) => key.kid.as_deref() == Some(kid.as_str()),
            None => true,
        };
        let mut fitting = self.0.iter().filter(named).filter(|key| key.can(token.algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(UNKNOWN_KEY),
            (Some(_), Some(_)) => Err(Refused("two keys of that name")),
        }
    }
}

/// The one refusal that newer keys may mend.
pub(crate) const UNKNOWN_KEY: Refused = Refused("unknown key");

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(jwk: Value) -> Result<Key, Refused> {
        Key::read(jwk.as_object().unwrap())
    }

    #[test]
    fn a_point_of_small_order_is_no_key_with_either_sign() {
        for point in SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut bytes = point;
                bytes[31] |= sign;
                let x = URL_SAFE_NO_PAD.encode(bytes);
                let key = read(json!({ "kty": "OKP", "crv": "Ed25519", "x": x }));
                assert_eq!(key.err(), Some(Refused("the key is weak")), "{bytes:x?}");
            }
        }
    }

    /// A key for one tenant's tokens, in a set that many share, signs for no other.
    #[test]
    fn a_key_that_names_an_issuer_signs_for_no_other() {
        // RFC 8037, appendix A.2.
        let key = |issuer: Value| {
            let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
            read(json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "issuer": issuer })).unwrap()
        };
        let claims = json!({ "iss": "https://idp.test/t1/v2.0", "tid": "t1" });
        let claims = claims.as_object().unwrap();
        for (issuer, fits) in [
            (Value::Null, true),
            (json!("https://idp.test/{tenantid}/v2.0"), true),
            (json!("https://idp.test/t1/v2.0"), true),
            (json!("https://idp.test/t2/v2.0"), false),
            (json!("https://other.test/{tenantid}/v2.0"), false),
        ] {
            assert_eq!(key(issuer.clone()).signs_for(claims), fits, "{issuer}");
        }
    }
}
