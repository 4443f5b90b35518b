//! One fetch for many askers, kept while it is good, and a while longer when the source
//! does not answer.

use crate::{Clock, Trouble, within};
use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// For how long a fetch may keep somebody waiting: shorter than anybody's limit for a whole
/// call, so that its failure is noted; and much shorter while there is an old value.
const PATIENCE: Duration = Duration::from_secs(8);
const SHORT_PATIENCE: Duration = Duration::from_secs(2);

/// For how long a value is good, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    /// Until then nobody asks again.
    pub(crate) fresh: u64,
    /// Until then it is used when the source does not answer.
    pub(crate) stale: u64,
    /// After a failure nobody asks for so long.
    pub(crate) pause: u64,
    /// Somebody who misses something in a good value may ask again once in so long.
    pub(crate) forced: u64,
}

/// A value that is fetched.
pub(crate) struct Cached<T> {
    ages: Ages,
    clock: Clock,
    state: Mutex<State<T>>,
    /// Whoever holds it fetches; the others wait for the result.
    flight: tokio::sync::Mutex<()>,
}

struct State<T> {
    value: Option<(Arc<T>, u64)>,
    failed: Option<(Trouble, u64)>,
    forced: Option<u64>,
}

impl<T> Cached<T> {
    pub(crate) fn new(ages: Ages, clock: Clock) -> Self {
        let state = State { value: None, failed: None, forced: None };
        Self { ages, clock, state: Mutex::new(state), flight: tokio::sync::Mutex::new(()) }
    }

    /// The value; fetched if there is none that is fresh. While one asks, the others go on
    /// with the old one, and so does the one, if the source takes its time.
    pub(crate) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<Arc<T>, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        if let Some(known) = self.known() {
            return known;
        }
        let stale = self.stale();
        let _flight = match (&stale, self.flight.try_lock()) {
            (_, Ok(flight)) => flight,
            (Some(value), Err(_)) => return Ok(value.clone()),
            (None, Err(_)) => self.flight.lock().await,
        };
        // Somebody else may have fetched it meanwhile.
        if let Some(known) = self.known() {
            return known;
        }
        let patience = if stale.is_some() { SHORT_PATIENCE } else { PATIENCE };
        self.fetched(within(patience, fetch()).await.flatten())
    }

    /// A value that is not fresh, and good enough while there is no other.
    fn stale(&self) -> Option<Arc<T>> {
        let (state, now) = (self.state(), (self.clock)());
        let value = state.value.as_ref().filter(|(_, at)| now < at.saturating_add(self.ages.stale));
        value.map(|(value, _)| value.clone())
    }

    /// A newer value than `than`, in which something is missing. None: nobody may ask now.
    pub(crate) async fn newer<F>(&self, than: &Arc<T>, fetch: impl FnOnce() -> F) -> Option<Arc<T>>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let _flight = self.flight.lock().await;
        {
            let mut state = self.state();
            if let Some((value, _)) = state.value.as_ref().filter(|(value, _)| !Arc::ptr_eq(value, than)) {
                return Some(value.clone());
            }
            let now = (self.clock)();
            if state.forced.is_some_and(|at| now < at.saturating_add(self.ages.forced)) {
                return None;
            }
            state.forced = Some(now);
        }
        self.fetched(within(PATIENCE, fetch()).await.flatten()).ok()
    }

    /// Why the last fetch failed, if no value came since.
    pub(crate) fn failure(&self) -> Option<Trouble> {
        self.state().failed.as_ref().map(|(trouble, _)| trouble.clone())
    }

    /// What can be answered without asking.
    fn known(&self) -> Option<Result<Arc<T>, Trouble>> {
        let (state, now) = (self.state(), (self.clock)());
        let paused = state.failed.as_ref().filter(|(_, at)| now < at.saturating_add(self.ages.pause));
        match (&state.value, paused) {
            (Some((value, at)), _) if now < at.saturating_add(self.ages.fresh) => Some(Ok(value.clone())),
            (Some((value, at)), Some(_)) if now < at.saturating_add(self.ages.stale) => {
                Some(Ok(value.clone()))
            }
            (_, Some((trouble, _))) => Some(Err(trouble.clone())),
            _ => None,
        }
    }

    fn fetched(&self, fetched: Result<T, Trouble>) -> Result<Arc<T>, Trouble> {
        let (mut state, now) = (self.state(), (self.clock)());
        match fetched {
            Ok(value) => {
                let value = Arc::new(value);
                state.value = Some((value.clone(), now));
                state.failed = None;
                Ok(value)
            }
            Err(trouble) => {
                state.failed = Some((trouble.clone(), now));
                match &state.value {
                    Some((value, at)) if now < at.saturating_add(self.ages.stale) => Ok(value.clone()),
                    _ => Err(trouble),
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic happens while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    struct Source {
        cached: Cached<u64>,
        now: Arc<AtomicU64>,
        fetches: AtomicU64,
        down: std::sync::atomic::AtomicBool,
    }

    impl Source {
        fn new() -> Self {
            let now = Arc::new(AtomicU64::new(1_000_000));
            let ages = Ages { fresh: 600_000, stale: 86_400_000, pause: 5_000, forced: 60_000 };
            let clock: Clock = {
                let now = now.clone();
                Arc::new(move || now.load(SeqCst))
            };
            Self { cached: Cached::new(ages, clock), now, fetches: 0.into(), down: false.into() }
        }

        async fn fetch(&self) -> Result<u64, Trouble> {
            tokio::task::yield_now().await;
            let n = self.fetches.fetch_add(1, SeqCst) + 1;
            if self.down.load(SeqCst) { Err(Trouble::Unreachable("down".into())) } else { Ok(n) }
        }

        async fn get(&self) -> Result<u64, Trouble> {
            self.cached.get(|| self.fetch()).await.map(|value| *value)
        }

        fn wait(&self, milliseconds: u64) {
            self.now.fetch_add(milliseconds, SeqCst);
        }
    }

    #[tokio::test]
    async fn many_askers_make_one_fetch() {
        let source = Arc::new(Source::new());
        let askers: Vec<_> = (0..50)
            .map(|_| {
                let source = source.clone();
                tokio::spawn(async move { source.get().await })
            })
            .collect();
        for asker in askers {
            assert_eq!(asker.await.unwrap(), Ok(1));
        }
        source.wait(599_999);
        assert_eq!(source.get().await, Ok(1));
        source.wait(1);
        assert_eq!(source.get().await, Ok(2));
    }

    /// Row R-24: what was fetched is used for a day while the source is down.
    #[tokio::test]
    async fn a_source_that_is_down_is_asked_now_and_then_while_the_old_value_serves() {
        let source = Source::new();
        assert_eq!(source.get().await, Ok(1));
        source.down.store(true, SeqCst);
        source.wait(600_000);
        for _ in 0..5 {
            assert_eq!(source.get().await, Ok(1));
        }
        assert_eq!(source.fetches.load(SeqCst), 2, "one more fetch, then a pause");
        assert!(source.cached.failure().is_some());
        source.wait(86_400_000);
        assert!(source.get().await.is_err(), "too old");
        source.down.store(false, SeqCst);
        assert!(source.get().await.is_err(), "still the pause");
        source.wait(5_000);
        assert_eq!(source.get().await, Ok(4));
        assert_eq!(source.cached.failure(), None);
    }

    /// Row R-24: a source that accepts and says nothing holds up nobody who can do without it.
    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_is_waited_for_by_one_and_not_for_long() {
        let source = Arc::new(Source::new());
        let begun = tokio::time::Instant::now();
        let silent = || std::future::pending::<Result<u64, Trouble>>();
        assert!(source.cached.get(silent).await.is_err());
        assert_eq!(begun.elapsed(), PATIENCE);
        assert!(source.get().await.is_err(), "the pause after a failure");
        source.wait(5_000);
        assert_eq!(source.get().await, Ok(1));
        source.wait(600_000);
        let waits = source.clone();
        let waiting = tokio::spawn(async move { waits.cached.get(silent).await.map(|value| *value) });
        tokio::task::yield_now().await;
        let begun = tokio::time::Instant::now();
        for _ in 0..5 {
            assert_eq!(source.get().await, Ok(1));
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "the others do not wait");
        assert_eq!(waiting.await.unwrap(), Ok(1));
        assert_eq!(begun.elapsed(), SHORT_PATIENCE);
        assert!(source.cached.failure().is_some());
    }

    /// Row O-19: a name that nobody knows fetches at most once a minute.
    #[tokio::test]
    async fn what_is_missing_is_asked_for_once_a_minute() {
        let source = Source::new();
        let old = source.cached.get(|| source.fetch()).await.unwrap();
        let new = source.cached.newer(&old, || source.fetch()).await.unwrap();
        assert_eq!((*old, *new), (1, 2));
        for _ in 0..1000 {
            assert!(source.cached.newer(&new, || source.fetch()).await.is_none());
        }
        assert_eq!(*source.cached.newer(&old, || source.fetch()).await.unwrap(), 2, "it has come meanwhile");
        source.wait(60_000);
        assert_eq!(*source.cached.newer(&new, || source.fetch()).await.unwrap(), 3);
        assert_eq!(source.fetches.load(SeqCst), 3);
    }
}
