//! What a key can do: sign and verify, prepared once when it is loaded. All arithmetic is
//! aws-lc-rs's. What may not come in: names, purposes and claims.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaPublicKeyComponents, VerificationAlgorithm,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_config::Algorithm;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// The shortest RSA modulus, in bytes (RFC 7518 §3.3).
const SHORTEST_MODULUS: usize = 256;

/// The shortest secret, in bytes (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;

/// The bytes are no private key of the algorithm, or too weak a one.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotAKey;

/// The private half, ready to sign, and the public one, ready to verify.
pub(super) enum Material {
    Es256(EcdsaKeyPair, ParsedPublicKey),
    EdDsa(Ed25519KeyPair, ParsedPublicKey),
    Rs256(RsaKeyPair, ParsedPublicKey),
    /// It has no halves.
    Hs256(Box<hmac::Key>),
}

/// A new private key: PKCS #8, or for HS256 random bytes. RSA takes a second or more:
/// not for a thread that anybody waits for.
pub(super) fn generate(algorithm: Algorithm) -> Zeroizing<Vec<u8>> {
    let random = SystemRandom::new();
    const FAILED: &str = "the system's random source failed";
    let bytes = match algorithm {
        Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .expect(FAILED)
            .as_ref()
            .to_vec(),
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random).expect(FAILED).as_ref().to_vec(),
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect(FAILED);
            let der: Pkcs8V1Der<'_> = pair.as_der().expect("a new key can be written down");
            der.as_ref().to_vec()
        }
        Algorithm::Hs256 => {
            let mut secret = vec![0; SHORTEST_SECRET];
            aws_lc_rs::rand::fill(&mut secret).expect(FAILED);
            secret
        }
    };
    Zeroizing::new(bytes)
}

impl Material {
    /// From what [`generate`] made, or from the secret of HS256.
    pub(super) fn from_private(algorithm: Algorithm, private: &[u8]) -> Result<Self, NotAKey> {
        match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private);
                let pair = pair.map_err(|_| NotAKey)?;
                let public = parsed(&ECDSA_P256_SHA256_FIXED, pair.public_key())?;
                Ok(Self::Es256(pair, public))
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(private).map_err(|_| NotAKey)?;
                let public = parsed(&ED25519, pair.public_key())?;
                Ok(Self::EdDsa(pair, public))
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(private).map_err(|_| NotAKey)?;
                if pair.public_modulus_len() < SHORTEST_MODULUS {
                    return Err(NotAKey);
                }
                let public = parsed(&RSA_PKCS1_2048_8192_SHA256, pair.public_key())?;
                Ok(Self::Rs256(pair, public))
            }
            Algorithm::Hs256 if private.len() < SHORTEST_SECRET => Err(NotAKey),
            Algorithm::Hs256 => Ok(Self::Hs256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, private)))),
        }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(..) => Algorithm::Es256,
            Self::EdDsa(..) => Algorithm::EdDsa,
            Self::Rs256(..) => Algorithm::Rs256,
            Self::Hs256(_) => Algorithm::Hs256,
        }
    }

    /// The signature, in the form that RFC 7518 §3 and RFC 8037 §3.1 give it.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        const FAILED: &str = "the key was checked when it was loaded";
        match self {
            Self::Es256(pair, _) => pair.sign(&SystemRandom::new(), message).expect(FAILED).as_ref().to_vec(),
            Self::EdDsa(pair, _) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(pair, _) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect(FAILED);
                signature
            }
            Self::Hs256(key) => hmac::sign(key, message).as_ref().to_vec(),
        }
    }

    /// Whether this key made the signature. The algorithm is the key's own; nothing that
    /// comes with a token has a say.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Es256(_, public) | Self::EdDsa(_, public) | Self::Rs256(_, public) => {
                public.verify_sig(message, signature).is_ok()
            }
            // Compares whole tags and in constant time.
            Self::Hs256(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }

    /// The public half as it is kept: a point (SEC 1 §2.3.3), 32 bytes (RFC 8032 §5.1.5),
    /// a DER structure (RFC 8017 §A.1.1), nothing.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::Es256(pair, _) => pair.public_key().as_ref().to_vec(),
            Self::EdDsa(pair, _) => pair.public_key().as_ref().to_vec(),
            Self::Rs256(pair, _) => pair.public_key().as_ref().to_vec(),
            Self::Hs256(_) => Vec::new(),
        }
    }

    /// The required members of its JWK (RFC 7638 §3.2, RFC 8037 §2), in the order that a
    /// thumbprint needs. None for a secret: nothing of it is told.
    pub(super) fn jwk(&self) -> Option<Map<String, Value>> {
        let members = match self {
            Self::Es256(pair, _) => {
                // The point begins with a byte that says how it is written.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "crv": "P-256", "kty": "EC", "x": encoded(x), "y": encoded(y) })
            }
            Self::EdDsa(pair, _) => {
                json!({ "crv": "Ed25519", "kty": "OKP", "x": encoded(pair.public_key().as_ref()) })
            }
            Self::Rs256(pair, _) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "e": encoded(&public.e), "kty": "RSA", "n": encoded(&public.n) })
            }
            Self::Hs256(_) => return None,
        };
        match members {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }
}

fn parsed(
    algorithm: &'static dyn VerificationAlgorithm,
    public: &impl AsRef<[u8]>,
) -> Result<ParsedPublicKey, NotAKey> {
    ParsedPublicKey::new(algorithm, public).map_err(|_| NotAKey)
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
