//! What is handed to the gateway to be given back: a flow while the person is away, and
//! the provider's tokens with a session. The gateway seals both.

use crate::secret::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The most that the gateway keeps with a session.
const LARGEST_STATE: usize = 16 * 1024;

/// While the person is away.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    /// The PKCE verifier (RFC 7636 §4.1).
    pub(crate) verifier: Secret,
    /// What the ID token must repeat.
    pub(crate) nonce: Secret,
}

/// With a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// When the provider last said yes, in milliseconds since 1970.
    pub(crate) seen: u64,
    /// When it is to be asked again, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<u64>,
    /// To look again with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<Secret>,
    /// Plain OAuth 2 without refresh tokens: to look again with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<Secret>,
    /// When that one ends, in milliseconds since 1970, if the provider said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_ends: Option<u64>,
    /// Says at the provider whose session ends; and what the person's claims were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_token: Option<Secret>,
    /// The private key that the tokens are bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Secret>,
}

impl State {
    /// As bytes that fit. What a login can do without goes first.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        let bytes = bytes(&self);
        if bytes.len() <= LARGEST_STATE {
            return bytes;
        }
        self.id_token = None;
        let bytes = self::bytes(&self);
        if bytes.len() <= LARGEST_STATE {
            return bytes;
        }
        (self.refresh, self.access) = (None, None);
        self::bytes(&self)
    }
}

pub(crate) fn bytes(of: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(of).expect("text and numbers are plain JSON")
}

/// What [`bytes`] made. None: it is from another version, or from nobody.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// A private key as text, and back.
pub(crate) fn key_text(bytes: &[u8]) -> Secret {
    Secret::new(STANDARD.encode(bytes))
}

pub(crate) fn key_bytes(text: &Secret) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    STANDARD.decode(text.reveal()).ok().map(zeroize::Zeroizing::new)
}
