//! The key ring: which keys there are, what each is for, and nothing about claims. A
//! private key is in the store under the seal, and here in memory; it has no `Debug`.

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use zeroize::Zeroizing;

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

    /// The `typ` of what it signs.
    pub(super) const fn typ(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Assertion => "portcullis-assertion+jwt",
        }
    }
}

/// One ES256 key.
pub(super) struct Key {
    kid: String,
    purpose: Purpose,
    /// Whether it still signs, or only verifies what it signed.
    signs: bool,
    public: Vec<u8>,
    x: String,
    y: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// The bytes are no private key on P-256.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotAKey;

/// A new private key, as PKCS #8.
pub(super) fn generate() -> Zeroizing<Vec<u8>> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .expect("the system's random source failed");
    Zeroizing::new(document.as_ref().to_vec())
}

impl Key {
    pub(super) fn from_pkcs8(purpose: Purpose, signs: bool, pkcs8: &[u8]) -> Result<Self, NotAKey> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| NotAKey)?;
        // SEC 1 §2.3.3: 4, x, y.
        let point = pair.public_key().as_ref();
        let [4, coordinates @ ..] = point else { return Err(NotAKey) };
        let (x, y) = coordinates.split_at_checked(32).ok_or(NotAKey)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        Ok(Self {
            kid: thumbprint(&x, &y),
            purpose,
            signs,
            public: point.to_vec(),
            signing: EncodingKey::from_ec_der(pkcs8),
            verifying: DecodingKey::from_ec_der(point),
            x,
            y,
        })
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The `alg` of what it signs.
    pub(super) fn algorithm_name(&self) -> &'static str {
        "ES256"
    }

    pub(super) fn signs_for(&self, purpose: Purpose) -> bool {
        self.signs && self.purpose == purpose
    }

    /// The point, as SEC 1 §2.3.3 has it.
    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    pub(super) fn signing(&self) -> &EncodingKey {
        &self.signing
    }

    pub(super) fn verifying(&self) -> &DecodingKey {
        &self.verifying
    }

    /// Its public half (RFC 7517 §4, RFC 7518 §6.2.1).
    pub(super) fn jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "EC", "crv": "P-256", "x": self.x, "y": self.y,
            "kid": self.kid, "alg": self.algorithm_name(), "use": "sig",
        })
    }
}

/// RFC 7638 §3: the required members in order, hashed.
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
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
    use super::*;

    #[test]
    fn a_kid_is_the_thumbprint_of_the_public_key() {
        // The P-256 key of RFC 7517 appendix A.1; computed with `openssl dgst -sha256`.
        let x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
        let y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
        assert_eq!(thumbprint(x, y), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        assert!(Key::from_pkcs8(Purpose::Access, true, b"").is_err());
        assert!(Key::from_pkcs8(Purpose::Access, true, &[0x30; 138]).is_err());
        let good = generate();
        assert!(Key::from_pkcs8(Purpose::Access, true, &good[..good.len() - 1]).is_err());
        assert!(Key::from_pkcs8(Purpose::Access, true, &good).is_ok());
    }
}
