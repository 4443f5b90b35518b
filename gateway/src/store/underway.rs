//! Attempts that were counted and are not decided yet. Whoever finds a pair locked only
//! because of such waits for them: people with the right password, many at once, are no
//! failures, and one with a wrong one gets not a single guess more by waiting.
//!
//! What may not come in: how many are allowed (`lockout.rs`).

use super::lockout::Counter;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// How many may wait for one pair; further ones are told that it is locked.
const WAITING: usize = 64;

/// All pairs with attempts under way.
#[derive(Clone, Default)]
pub(super) struct Underway(Arc<Mutex<HashMap<Counter, Pair>>>);

struct Pair {
    out: usize,
    /// Says that one of them is decided.
    tell: watch::Sender<()>,
}

/// One attempt, until it is decided.
pub(super) struct Attempting {
    all: Underway,
    pair: Counter,
}

/// A decision to come.
pub(super) struct Coming(watch::Receiver<()>);

impl Underway {
    /// One more has begun.
    pub(super) fn begin(&self, pair: &Counter) -> Attempting {
        let fresh = || Pair { out: 0, tell: watch::Sender::new(()) };
        self.lock().entry(pair.clone()).or_insert_with(fresh).out += 1;
        Attempting { all: self.clone(), pair: pair.clone() }
    }

    /// What to wait for; none: nothing is under way, or enough wait already.
    pub(super) fn coming(&self, pair: &Counter) -> Option<Coming> {
        let all = self.lock();
        let pair = all.get(pair).filter(|pair| pair.tell.receiver_count() < WAITING)?;
        Some(Coming(pair.tell.subscribe()))
    }

    // Nothing runs under it that could panic half-way.
    fn lock(&self) -> MutexGuard<'_, HashMap<Counter, Pair>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coming {
    /// Until one of those that were under way is decided.
    pub(super) async fn decided(mut self) {
        // An error says that all of them are.
        let _ = self.0.changed().await;
    }
}

impl Drop for Attempting {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        let Some(pair) = all.get_mut(&self.pair) else { return };
        pair.out -= 1;
        pair.tell.send_replace(());
        if pair.out == 0 {
            all.remove(&self.pair);
        }
    }
}

impl std::fmt::Debug for Attempting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempting")
    }
}
