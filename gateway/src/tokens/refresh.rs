//! Refresh tokens: `pcr_` and 80 letters of base64url, which hold the name of a family (96
//! bits), the secret (256 bits) and a tag (128 bits). The tag says that the value is one of
//! ours, whatever became of it: so a value that was replaced long ago is known for what it
//! is without a list of all of them, and one that somebody has altered harms nobody.
//!
//! What may not come in: which value of a family is good now. The store decides that, and
//! knows hashes alone.

use crate::{random::Random, seal::Sealer};
use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// What every refresh token begins with.
pub(super) const PREFIX: &str = "pcr_";

const HANDLE: usize = 12;
const SECRET: usize = 32;
const TAG: usize = 16;

/// The nonce that is kept with a rotation.
pub type Nonce = [u8; 16];

/// The keys of refresh tokens, all of them made of `[store] key`. Cheap to clone.
#[derive(Clone)]
pub struct RefreshKeys {
    tag: hmac::Key,
    successor: hmac::Key,
    cookie: hmac::Key,
}

impl RefreshKeys {
    /// The keys of this store.
    pub fn new(sealer: &Sealer) -> Self {
        Self {
            tag: sealer.mac("refresh token, tag"),
            successor: sealer.mac("refresh token, successor"),
            cookie: sealer.mac("refresh token, session cookie"),
        }
    }

    /// The first value of a new family.
    pub fn first(&self, random: &Random) -> RefreshValue {
        RefreshValue { handle: random.bytes(), secret: random.bytes() }
    }

    /// A value as a client sends it; none when it is none of ours.
    pub fn read(&self, text: &str) -> Option<RefreshValue> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (handle, rest) = bytes.split_first_chunk::<HANDLE>()?;
        let (secret, tag) = rest.split_first_chunk::<SECRET>()?;
        let value = RefreshValue { handle: *handle, secret: *secret };
        let wanted = self.tag(&value);
        aws_lc_rs::constant_time::verify_slices_are_equal(&wanted, tag).ok().map(|()| value)
    }

    /// A value as a client gets it.
    pub fn write(&self, value: &RefreshValue) -> String {
        let mut bytes = Vec::with_capacity(HANDLE + SECRET + TAG);
        bytes.extend_from_slice(&value.handle);
        bytes.extend_from_slice(&value.secret);
        bytes.extend_from_slice(&self.tag(value));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What replaces `value`: the same for the same nonce, so that it can be given again
    /// without being kept.
    pub fn successor(&self, value: &RefreshValue, nonce: &Nonce) -> RefreshValue {
        let secret = sign(&self.successor, &[&value.handle, &value.secret, nonce]);
        RefreshValue { handle: value.handle, secret }
    }

    /// The session cookie that goes with a value.
    pub fn cookie(&self, value: &RefreshValue) -> String {
        URL_SAFE_NO_PAD.encode(sign(&self.cookie, &[&value.handle, &value.secret]))
    }

    fn tag(&self, value: &RefreshValue) -> [u8; TAG] {
        let whole = sign(&self.tag, &[&value.handle, &value.secret]);
        *whole.first_chunk().expect("32 bytes begin with 16")
    }
}

/// One value of a family. No `Debug`: it opens a session.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshValue {
    handle: [u8; HANDLE],
    secret: [u8; SECRET],
}

impl RefreshValue {
    /// By what the store knows the family: a hash, so that nobody who reads the store can
    /// name one.
    pub fn family(&self) -> [u8; 32] {
        sha256(&[b"family", &self.handle])
    }

    /// All that is kept of the value itself.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[b"value", &self.handle, &self.secret])
    }
}

fn sign(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    *context.sign().as_ref().first_chunk().expect("HMAC-SHA256 gives 32 bytes")
}

/// Every part has a fixed length but the first, which none of the others is: nothing reads
/// as something else.
fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    *context.finish().as_ref().first_chunk().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(text: &str) -> RefreshKeys {
        RefreshKeys::new(&Sealer::from_text(text, Random::system()))
    }

    #[test]
    fn a_value_is_read_as_it_was_written_and_under_another_key_not_at_all() {
        let value = keys("key").first(&Random::system());
        let text = keys("key").write(&value);
        assert_eq!((text.len(), text.starts_with("pcr_")), (84, true));
        assert!(keys("key").read(&text) == Some(value));
        assert!(keys("kez").read(&text).is_none());
    }

    #[test]
    fn a_value_with_any_letter_changed_is_none_of_ours() {
        let keys = keys("key");
        let text = keys.write(&keys.first(&Random::system()));
        for at in 0..text.len() {
            for other in ['A', 'b', '=', '.'] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, &other.to_string());
                assert!(changed == text || keys.read(&changed).is_none(), "letter {at}");
            }
            assert!(keys.read(&text[..at]).is_none(), "cut at {at}");
        }
        assert!(keys.read(&format!("{text}A")).is_none() && keys.read(&format!(" {text}")).is_none());
    }

    #[test]
    fn a_successor_is_the_same_for_the_same_nonce_alone_and_stays_in_the_family() {
        let keys = keys("key");
        let value = keys.first(&Random::system());
        let next = keys.successor(&value, &[1; 16]);
        assert!(next == keys.successor(&value, &[1; 16]));
        assert!(next != keys.successor(&value, &[2; 16]) && next != value);
        assert_eq!(next.family(), value.family());
        assert_ne!(next.hash(), value.hash());
        assert_ne!(value.hash(), value.family());
        assert_eq!(keys.cookie(&next), keys.cookie(&keys.successor(&value, &[1; 16])));
        assert_ne!(keys.cookie(&next), keys.cookie(&value));
        assert_eq!(keys.cookie(&next).len(), 43);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*", letters in "pcr_[A-Za-z0-9_-]{0,100}") {
            prop_assert!(keys("key").read(&text).is_none());
            prop_assert!(keys("key").read(&letters).is_none());
        }
    }
}
