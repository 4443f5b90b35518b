//! What a signature has already proven, so that a token seen again costs no curve
//! arithmetic. One per worker; keyed by the SHA-256 of the whole token, so that no other bytes
//! hit and a long token takes no more room than a short one.
//! Whether the session lives is not in here: that is asked anew on each request.

use super::Verified;
use crate::clock::UnixMillis;
use aws_lc_rs::digest;
use std::collections::HashMap;

/// How many tokens one worker remembers.
const CAPACITY: usize = 4096;

/// The whole token, signature and all, in little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Print([u8; 32]);

impl Print {
    /// Of this token.
    pub fn of(token: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, token);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Tokens whose signature was good.
pub struct VerifiedCache {
    known: HashMap<Print, Verified>,
    /// Of the key ring that verified them.
    generation: u64,
    capacity: usize,
}

impl Default for VerifiedCache {
    fn default() -> Self {
        Self::new()
    }
}

impl VerifiedCache {
    /// An empty one.
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self { known: HashMap::new(), generation: 0, capacity }
    }

    /// What this token proves, if it was verified by these keys and has not expired.
    pub fn get(&mut self, token: Print, now: UnixMillis, generation: u64) -> Option<&Verified> {
        self.follow(generation);
        self.known.get(&token).filter(|verified| now.seconds() < verified.exp)
    }

    /// Remembers what [`Tokens::verify`](super::Tokens::verify) said of this token.
    /// `generation` was read before it was asked.
    pub fn insert(&mut self, token: Print, verified: Verified, now: UnixMillis, generation: u64) {
        self.follow(generation);
        if self.known.len() >= self.capacity {
            self.known.retain(|_, known| now.seconds() < known.exp);
        }
        if self.known.len() >= self.capacity {
            // All still valid: every second one goes. The order of the map is random to
            // anybody outside, so nobody can choose whose.
            let mut keep = false;
            self.known.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        self.known.insert(token, verified);
    }

    fn follow(&mut self, generation: u64) {
        if self.generation != generation {
            self.known.clear();
            self.generation = generation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(exp: u64) -> Verified {
        Verified { kid: "k".into(), sid: "s".into(), sub: "u".into(), iat: 0, exp }
    }

    #[test]
    fn a_token_is_known_until_the_second_it_expires() {
        let mut cache = VerifiedCache::new();
        cache.insert(Print::of(b"t"), verified(10), UnixMillis(0), 1);
        assert_eq!(cache.get(Print::of(b"t"), UnixMillis(9_999), 1), Some(&verified(10)));
        assert_eq!(cache.get(Print::of(b"t"), UnixMillis(10_000), 1), None);
        assert_eq!(cache.get(Print::of(b"T"), UnixMillis(0), 1), None);
        assert_eq!(cache.get(Print::of(b"t "), UnixMillis(0), 1), None);
    }

    #[test]
    fn other_keys_prove_nothing() {
        let mut cache = VerifiedCache::new();
        cache.insert(Print::of(b"t"), verified(10), UnixMillis(0), 1);
        assert_eq!(cache.get(Print::of(b"t"), UnixMillis(0), 2), None);
        assert_eq!(cache.get(Print::of(b"t"), UnixMillis(0), 1), None, "it is gone, not hidden");
    }

    #[test]
    fn the_cache_is_bounded_and_the_expired_go_first() {
        let mut cache = VerifiedCache::with_capacity(8);
        for n in 0..7u8 {
            cache.insert(Print::of(&[n]), verified(10), UnixMillis(0), 1);
        }
        cache.insert(Print::of(&[100]), verified(100), UnixMillis(0), 1);
        cache.insert(Print::of(&[101]), verified(100), UnixMillis(20_000), 1);
        assert_eq!(cache.known.len(), 2);
        for n in 0..200u8 {
            cache.insert(Print::of(&[n]), verified(100), UnixMillis(20_000), 1);
            assert!(cache.known.len() <= 8);
            assert!(cache.get(Print::of(&[n]), UnixMillis(20_000), 1).is_some());
        }
    }
}
