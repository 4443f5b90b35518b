//! Sealing under `[store] key`: what lies in the store and must not be readable, or
//! changeable, by somebody who only has a copy of it. AES-256-GCM (NIST SP 800-38D)
//! with a random 96-bit nonce; the purpose is authenticated with it, so that what was
//! sealed for one thing opens as no other.
//!
//! What may not come in: where the key lies (`store/key.rs`), and what is sealed.

use crate::random::Random;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
    hmac,
};
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

/// The first byte of everything sealed, so that another form can follow one day.
const FORM: u8 = 1;

/// The sealed bytes were made under another key, for another purpose, or were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOpened;

/// Seals and opens. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    key: Arc<LessSafeKey>,
    stretched: Prk,
    random: Random,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// From the text of the key, stretched as it is by HKDF-SHA256 (RFC 5869). The text
    /// of a key file and of `[store] key` are treated alike, so a key may move from one
    /// to the other.
    pub fn from_text(text: &str, random: Random) -> Self {
        let stretched = Salt::new(HKDF_SHA256, b"portcullis store key").extract(text.as_bytes());
        let key = stretched
            .expand(&[b"seal, AES-256-GCM"], &AES_256_GCM)
            .map(|okm| Arc::new(LessSafeKey::new(UnboundKey::from(okm))))
            .expect("32 bytes are within what HKDF-SHA256 gives");
        Self { key, stretched, random }
    }

    /// A key for HMAC-SHA256, another one for each purpose; the same after a restart.
    pub fn mac(&self, purpose: &str) -> hmac::Key {
        self.stretched
            .expand(&[b"mac, HMAC-SHA256: ", purpose.as_bytes()], hmac::HMAC_SHA256)
            .map(hmac::Key::from)
            .expect("32 bytes are within what HKDF-SHA256 gives")
    }

    /// Seals `plain` for one purpose. The same bytes sealed twice look different.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = self.random.bytes();
        let mut text = plain.to_vec();
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut text,
            )
            .expect("what is sealed here is far below 64 GiB");
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + text.len() + tag.as_ref().len());
        sealed.push(FORM);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// What was sealed for this purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let rest = sealed.strip_prefix(&[FORM]).ok_or(NotOpened)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(NotOpened)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(purpose.as_bytes()),
                text.as_mut_slice(),
            )
            .map_err(|_| NotOpened)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(text: &str) -> Sealer {
        Sealer::from_text(text, Random::system())
    }

    #[test]
    fn what_was_sealed_opens_under_the_same_key_and_purpose() {
        let sealed = sealer("key").seal("signing key", b"secret");
        assert_eq!(sealer("key").open("signing key", &sealed).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn another_purpose_another_key_and_any_changed_byte_open_nothing() {
        let sealed = sealer("key").seal("signing key", b"secret");
        assert_eq!(sealer("key").open("flow", &sealed), Err(NotOpened));
        assert_eq!(sealer("kez").open("signing key", &sealed), Err(NotOpened));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer("key").open("signing key", &changed), Err(NotOpened), "byte {at}");
            assert_eq!(sealer("key").open("signing key", &sealed[..at]), Err(NotOpened), "cut at {at}");
        }
    }

    #[test]
    fn the_same_bytes_never_look_the_same_and_neither_they_nor_the_key_are_seen() {
        let sealer = sealer("the-key-itself");
        let (a, b) = (sealer.seal("x", b"canary"), sealer.seal("x", b"canary"));
        assert_ne!(a, b);
        assert!(!a.windows(6).any(|w| w == b"canary"));
        assert_eq!(format!("{sealer:?}"), "Sealer(…)");
    }
}
