//! Our own signatures for a provider: who we are (RFC 7523), what we ask (RFC 9101), that
//! a token is ours (RFC 9449).

use crate::Algorithm;
use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Map, Value, json};
use std::fmt;
use zeroize::Zeroizing;

/// A private key that signs.
pub struct Signer {
    kid: Option<String>,
    material: Material,
}

enum Material {
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    /// With PKCS #1 padding, or with PSS.
    Rsa(Box<RsaKeyPair>, bool),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.algorithm().name())
    }
}

impl Signer {
    /// From a PEM file: P-256, P-384, Ed25519 or RSA of at least 2048 bits. `kid` is the
    /// name under which the provider knows the public half.
    pub fn from_pem(pem: &[u8], kid: Option<String>) -> Result<Self, &'static str> {
        let der = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|_| "there is no private key in it (PEM: `BEGIN PRIVATE KEY`)")?;
        Ok(Self { kid, material: material(der.secret_der())? })
    }

    /// From what [`Signer::generate`] answered beside the signer.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, &'static str> {
        Ok(Self { kid: None, material: material(bytes)? })
    }

    /// A new key of P-256, and its private half to keep.
    pub fn generate() -> (Self, Zeroizing<Vec<u8>>) {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .expect("the system's random source does not fail");
        let bytes = Zeroizing::new(pkcs8.as_ref().to_vec());
        (Self::from_pkcs8(&bytes).expect("it was just made"), bytes)
    }

    /// With PSS instead of PKCS #1, where the key is RSA.
    #[must_use]
    pub fn with_pss(mut self) -> Self {
        if let Material::Rsa(_, pss) = &mut self.material {
            *pss = true;
        }
        self
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match &self.material {
            Material::Es256(_) => Algorithm::Es256,
            Material::Es384(_) => Algorithm::Es384,
            Material::EdDsa(_) => Algorithm::EdDsa,
            Material::Rsa(_, true) => Algorithm::Ps256,
            Material::Rsa(_, false) => Algorithm::Rs256,
        }
    }

    /// The public half (RFC 7517), where it is of a curve.
    pub fn jwk(&self) -> Option<Value> {
        let coordinates = |pair: &EcdsaKeyPair, curve: &str| {
            // The first byte says how the point is written.
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({ "crv": curve, "kty": "EC", "x": encode(x), "y": encode(y) })
        };
        match &self.material {
            Material::Es256(pair) => Some(coordinates(pair, "P-256")),
            Material::Es384(pair) => Some(coordinates(pair, "P-384")),
            Material::EdDsa(pair) => {
                Some(json!({ "crv": "Ed25519", "kty": "OKP", "x": encode(pair.public_key().as_ref()) }))
            }
            Material::Rsa(..) => None,
        }
    }

    /// A signed token of these claims.
    pub fn sign(&self, typ: &str, claims: &Value) -> String {
        self.sign_with(Map::from_iter([("typ".to_owned(), typ.into())]), claims)
    }

    /// The proof that a request to `url` comes from whoever has this key (RFC 9449 §4).
    pub fn proof(&self, method: &str, url: &url::Url, about: Proof<'_>) -> String {
        let header = Map::from_iter([
            ("typ".to_owned(), "dpop+jwt".into()),
            ("jwk".to_owned(), self.jwk().unwrap_or_default()),
        ]);
        let mut plain = url.clone();
        plain.set_query(None);
        let mut claims =
            json!({ "jti": about.jti, "htm": method, "htu": plain.as_str(), "iat": about.now / 1000 });
        if let Some(token) = about.access_token {
            claims["ath"] = encode(digest::digest(&digest::SHA256, token.as_bytes()).as_ref()).into();
        }
        if let Some(nonce) = about.nonce {
            claims["nonce"] = nonce.into();
        }
        self.sign_with(header, &claims)
    }

    fn sign_with(&self, mut header: Map<String, Value>, claims: &Value) -> String {
        header.insert("alg".to_owned(), self.algorithm().name().into());
        if let Some(kid) = &self.kid {
            header.insert("kid".to_owned(), kid.as_str().into());
        }
        let header = encode(Value::Object(header).to_string().as_bytes());
        let message = format!("{header}.{}", encode(claims.to_string().as_bytes()));
        let signature = encode(&self.signature(message.as_bytes()));
        format!("{message}.{signature}")
    }

    pub(crate) fn signature(&self, message: &[u8]) -> Vec<u8> {
        const FAILED: &str = "the key was checked when it was read";
        let random = SystemRandom::new();
        match &self.material {
            Material::Es256(pair) | Material::Es384(pair) => {
                pair.sign(&random, message).expect(FAILED).as_ref().to_vec()
            }
            Material::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Material::Rsa(pair, pss) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if *pss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).expect(FAILED);
                signature
            }
        }
    }
}

/// What a proof of possession says beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// Its own name, good for once.
    pub jti: &'a str,
    /// Milliseconds since 1970.
    pub now: u64,
    /// The token that it is for, where one is shown.
    pub access_token: Option<&'a str>,
    /// What the server wants to see again.
    pub nonce: Option<&'a str>,
}

fn material(der: &[u8]) -> Result<Material, &'static str> {
    if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
        return Ok(Material::Es256(pair));
    }
    if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_FIXED_SIGNING, der) {
        return Ok(Material::Es384(pair));
    }
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        return Ok(Material::EdDsa(pair));
    }
    let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
    let pair = pair.map_err(|_| "the key is none of P-256, P-384, Ed25519 and RSA")?;
    if pair.public_modulus_len() < KeySize::Rsa2048.len() {
        return Err("the key is too short: RSA needs 2048 bits");
    }
    Ok(Material::Rsa(Box::new(pair), false))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
