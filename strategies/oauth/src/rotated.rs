//! Tokens that came for a refresh token which is used up by that, until what follows has
//! succeeded and the gateway keeps the new ones: if the provider falls silent between the
//! two, the next look goes on with them, and does not show the old one twice.

use crate::{exchange::Tokens, secret::Secret};
use aws_lc_rs::digest;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How long they wait, in milliseconds: longer than until the next look.
const WAITING: u64 = 10 * 60 * 1000;

/// How many people's.
const MOST: usize = 1024;

/// By the hash of the refresh token that was used up.
#[derive(Default)]
pub(crate) struct Rotated(Mutex<HashMap<[u8; 32], (Tokens, u64)>>);

impl Rotated {
    /// What came for this token, if that was not kept since.
    pub(crate) fn of(&self, used: &Secret, now: u64) -> Option<Tokens> {
        self.all().get(&key(used)).filter(|(_, until)| now < *until).map(|(tokens, _)| tokens.clone())
    }

    pub(crate) fn keep(&self, used: &Secret, tokens: &Tokens, now: u64) {
        // The same one again: nothing is used up.
        if tokens.refresh.as_ref().is_none_or(|new| new.reveal() == used.reveal()) {
            return;
        }
        let mut all = self.all();
        if all.len() >= MOST {
            all.retain(|_, (_, until)| now < *until);
        }
        if all.len() < MOST {
            all.insert(key(used), (tokens.clone(), now.saturating_add(WAITING)));
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], (Tokens, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(token: &Secret) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest::digest(&digest::SHA256, token.reveal().as_bytes()).as_ref());
    key
}
