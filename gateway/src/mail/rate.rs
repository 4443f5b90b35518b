//! How often something happened for somebody, counted in memory: a restart forgets it,
//! and no store is written for it.

use crate::clock::UnixMillis;
use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// For how many at a time. When there are more, those whose time is over are forgotten,
/// then all: whoever floods it gets no further than the limits of their own address.
const MOST: usize = 100_000;

/// At most so many times in so long, for each.
pub(super) struct Rate {
    most: usize,
    window: Duration,
    hasher: RandomState,
    /// Under a keyed hash: two who share one are counted together, and nobody can aim at it.
    times: Mutex<HashMap<u64, Vec<UnixMillis>>>,
}

impl Rate {
    pub(super) fn new(most: usize, window: Duration) -> Self {
        Self { most, window, hasher: RandomState::new(), times: Mutex::default() }
    }

    /// Counts it, if it may happen once more; else says in how many seconds it may.
    pub(super) fn count(&self, who: &[u8], now: UnixMillis) -> Result<(), u32> {
        let mut all = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, times| times.last().is_some_and(|at| now.since(*at) < self.window));
            if all.len() >= MOST {
                all.clear();
            }
        }
        let times = all.entry(self.hasher.hash_one(who)).or_default();
        times.retain(|at| now.since(*at) < self.window);
        if let Some(first) = times.first().filter(|_| times.len() >= self.most) {
            let left = first.plus(self.window).since(now).as_millis().div_ceil(1000);
            return Err(u32::try_from(left).unwrap_or(u32::MAX).max(1));
        }
        times.push(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_so_long_and_each_for_themselves() {
        let rate = Rate::new(3, Duration::from_secs(3600));
        let at = |seconds: u64| UnixMillis(seconds * 1000);
        for second in [0, 10, 20] {
            assert_eq!(rate.count(b"ann", at(second)), Ok(()));
        }
        assert_eq!(rate.count(b"ann", at(30)), Err(3570));
        assert_eq!(rate.count(b"bob", at(30)), Ok(()));
        // What was refused does not count.
        assert_eq!(rate.count(b"ann", at(3600)), Ok(()));
        assert_eq!(rate.count(b"ann", at(3601)), Err(9));
    }

    #[test]
    fn a_flood_is_bounded() {
        let rate = Rate::new(1, Duration::from_secs(60));
        for who in 0..(MOST as u64 + 10) {
            assert_eq!(rate.count(&who.to_le_bytes(), UnixMillis(0)), Ok(()));
        }
        assert!(rate.times.lock().unwrap().len() <= MOST);
    }
}
