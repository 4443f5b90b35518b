//! A short memory of "no": what the store did not have a moment ago is not asked again
//! at once, so that one stale cookie in a loop does not reach the store each time.

use crate::clock::UnixMillis;
use std::{
    collections::VecDeque,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long a "no" is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// Keys that the store did not have.
pub(super) struct Absent<K> {
    /// Until when. Read without waiting.
    until: papaya::HashMap<K, UnixMillis>,
    /// The same keys, the oldest first; only writers come here.
    order: Mutex<VecDeque<(UnixMillis, K)>>,
    capacity: usize,
}

impl<K: Hash + Eq + Clone> Absent<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { until: papaya::HashMap::new(), order: Mutex::default(), capacity }
    }

    /// Whether the store said no a moment ago.
    pub(super) fn knows<Q: Hash + papaya::Equivalent<K> + ?Sized>(&self, key: &Q, now: UnixMillis) -> bool {
        self.until.pin().get(key).is_some_and(|until| now < *until)
    }

    /// The store said no.
    pub(super) fn note(&self, key: K, now: UnixMillis) {
        let until = now.plus(BELIEVED);
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let map = self.until.pin();
        while order.front().is_some_and(|(until, _)| *until <= now || order.len() >= self.capacity) {
            if let Some((until, key)) = order.pop_front() {
                // A key noted again since then has a later end, and a later place in line.
                let _ = map.remove_if(&key, |_, newer| *newer <= until);
            }
        }
        map.insert(key.clone(), until);
        order.push_back((until, key));
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.until.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_is_believed_for_five_seconds_to_the_millisecond() {
        let absent = Absent::new(8);
        absent.note("a", UnixMillis(1_000));
        assert!(absent.knows("a", UnixMillis(5_999)));
        assert!(!absent.knows("a", UnixMillis(6_000)));
        assert!(!absent.knows("b", UnixMillis(1_000)));
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let absent = Absent::new(4);
        for n in 0..100u32 {
            absent.note(n, UnixMillis(1_000));
        }
        assert_eq!(absent.len(), 4);
        assert!(absent.knows(&99, UnixMillis(1_001)) && !absent.knows(&95, UnixMillis(1_001)));
    }

    #[test]
    fn a_no_said_again_outlives_the_first_one() {
        let absent = Absent::new(8);
        absent.note("a", UnixMillis(0));
        absent.note("a", UnixMillis(4_000));
        absent.note("b", UnixMillis(6_000));
        assert!(absent.knows("a", UnixMillis(8_999)));
    }
}
