//! The key ring: which keys there are, what each is for, and nothing about claims. A
//! private key is in the store under the seal, and here in memory; it has no `Debug`.

use super::material::{Material, NotAKey};
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_config::Algorithm;
use serde_json::{Map, Value};

/// What a key signs. A token is verified for one purpose with keys of that purpose only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Access tokens.
    Access,
    /// Assertions.
    Assertion,
}

impl Purpose {
    pub(super) const ALL: [Self; 2] = [Self::Access, Self::Assertion];

    /// As the store names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Assertion => "assertion",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// The `typ` of what it signs.
    pub(super) const fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Assertion => "portcullis-assertion+jwt",
        }
    }
}

/// One key.
pub(super) struct Key {
    kid: String,
    purpose: Purpose,
    /// Whether it still signs, or only verifies what it signed.
    signs: bool,
    material: Material,
    /// What every token of this key begins with.
    header: String,
}

impl Key {
    /// `name` is that of a secret. It is chosen at random: a hash of the secret would let
    /// anybody who sees a token test guesses. All others are named by their public half.
    pub(super) fn from_private(
        purpose: Purpose,
        signs: bool,
        algorithm: Algorithm,
        private: &[u8],
        name: &str,
    ) -> Result<Self, NotAKey> {
        let material = Material::from_private(algorithm, private)?;
        let kid = material.jwk().map_or_else(|| name.to_owned(), |jwk| thumbprint(&jwk));
        let header = super::jwt::header(&kid, algorithm.name(), purpose);
        Ok(Self { kid, purpose, signs, material, header })
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The `alg` of what it signs.
    pub(super) fn algorithm_name(&self) -> &'static str {
        self.material.algorithm().name()
    }

    pub(super) fn signs_for(&self, purpose: Purpose) -> bool {
        self.signs && self.purpose == purpose
    }

    pub(super) fn material(&self) -> &Material {
        &self.material
    }

    /// The first part of the tokens that it signs.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// Its public half (RFC 7517 §4), if it has one.
    pub(super) fn jwk(&self) -> Option<Value> {
        let mut jwk = self.material.jwk()?;
        for (name, value) in [("kid", self.kid.as_str()), ("alg", self.algorithm_name()), ("use", "sig")] {
            jwk.insert(name.to_owned(), value.into());
        }
        Some(Value::Object(jwk))
    }
}

/// RFC 7638 §3: the required members in the order of their names, hashed.
fn thumbprint(members: &Map<String, Value>) -> String {
    // Names and values are base64url and fixed words: nothing in them is escaped.
    let mut members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    members.sort_unstable();
    let text = format!("{{{}}}", members.join(","));
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// All keys, the oldest first; for each purpose one signs.
pub(super) struct Ring {
    keys: Vec<Key>,
    generation: u64,
    jwks: String,
}

impl Ring {
    pub(super) fn new(keys: Vec<Key>, generation: u64) -> Self {
        let jwks = super::jwks::document(&keys);
        Self { keys, generation, jwks }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn jwks(&self) -> &str {
        &self.jwks
    }

    /// By its exact name; a name is never a path, a query or a pattern.
    pub(super) fn by_kid(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// By the header of a token, if it is letter for letter one that we write.
    pub(super) fn by_header(&self, header: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.header == header)
    }

    /// The newest key that signs for this purpose.
    pub(super) fn signer(&self, purpose: Purpose) -> Option<&Key> {
        self.keys.iter().rev().find(|key| key.signs_for(purpose))
    }

    /// Whether `keys` are the very keys that are here.
    pub(super) fn is(&self, keys: &[Key]) -> bool {
        self.keys.iter().map(|key| (&key.kid, key.signs)).eq(keys.iter().map(|key| (&key.kid, key.signs)))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::material::generate, *};

    fn members(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_kid_is_the_thumbprint_of_the_public_key() {
        // The P-256 key of RFC 7517 appendix A.1; computed with `openssl dgst -sha256`.
        let ec = serde_json::json!({
            "kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        assert_eq!(thumbprint(&members(ec)), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
        // RFC 8037 appendix A.3.
        let ed = serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        });
        assert_eq!(thumbprint(&members(ed)), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // RFC 7638 §3.1.
        let rsa = serde_json::json!({
            "kty": "RSA", "e": "AQAB",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        });
        assert_eq!(thumbprint(&members(rsa)), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn what_is_no_private_key_of_the_algorithm_is_refused() {
        let keys = Algorithm::ALL.map(|algorithm| (algorithm, generate(algorithm)));
        for (algorithm, good) in &keys {
            let read = |bytes: &[u8]| Key::from_private(Purpose::Access, true, *algorithm, bytes, "name");
            assert!(read(good).is_ok(), "{algorithm:?}");
            assert!(read(b"").is_err(), "{algorithm:?}");
            assert!(read(&good[..good.len() - 1]).is_err(), "{algorithm:?}");
            if *algorithm != Algorithm::Hs256 {
                assert!(read(&[0x30; 138]).is_err(), "{algorithm:?}");
                for (other, key) in &keys {
                    assert!(other == algorithm || read(key).is_err(), "{other:?} as {algorithm:?}");
                }
            }
        }
    }

    #[test]
    fn a_secret_is_named_by_chance_and_never_published() {
        let secret = b"0123456789abcdef0123456789abcdef";
        let key = Key::from_private(Purpose::Access, true, Algorithm::Hs256, secret, "a name").unwrap();
        assert_eq!(key.kid(), "a name");
        assert!(key.jwk().is_none() && key.material().public().is_empty());
        assert_eq!(Ring::new(vec![key], 1).jwks(), r#"{"keys":[]}"#);
    }
}
