//! What is counted, and how it is told (OpenMetrics text). Labels are ids of the
//! configuration and words of ours, never a person, a path or an address: a metric's size
//! is bounded by the configuration.
//!
//! `cells.rs` what one worker counts · `limits.rs` refusals by limit · `text.rs` the form · `report.rs` everything at once.
//!
//! What may not come in: a number that many threads add to on the way of a request. Each
//! worker has cells of its own, and whoever asks adds them up.

mod cells;
mod limits;
mod report;
mod text;

pub use cells::{Meter, RouteMeter};
pub use limits::{Limit, Refused};
pub use report::Sources;
pub use text::MEDIA_TYPE;

use cells::WorkerCells;
use limits::{Http2Refusals, Refusals};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Everything that is counted in this process.
#[derive(Default)]
pub struct Metrics {
    workers: Mutex<Vec<Arc<WorkerCells>>>,
    /// By strategy and result. Logins are rare beside requests.
    logins: Mutex<BTreeMap<(String, &'static str), u64>>,
    limits: Arc<Refusals>,
    http2: Arc<Http2Refusals>,
    /// What people did with their accounts, by operation and result.
    accounts: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
}

impl Metrics {
    /// The cells of one more worker; they stay on its thread.
    pub fn meter(&self) -> Meter {
        let cells = Arc::new(WorkerCells::default());
        lock(&self.workers).push(cells.clone());
        Meter::new(cells, self.limits.clone(), self.http2.clone())
    }

    /// A client was refused because it met this limit.
    pub fn limit(&self, limit: Limit) {
        self.limits.count(limit);
    }

    /// Requests of this class of status, on whatever route.
    #[cfg(test)]
    pub(crate) fn answered(&self, class: usize) -> u64 {
        self.seen().iter().filter(|((_, of), _)| *of == class - 1).map(|(_, seen)| seen.count()).sum()
    }

    /// How often it was met.
    #[cfg(test)]
    pub(crate) fn refused(&self, limit: Limit) -> u64 {
        self.limits.of(limit)
    }

    /// A login at this strategy came to this: `success`, `next`, or a code of a refusal.
    pub fn login(&self, strategy: &str, result: &'static str) {
        *lock(&self.logins).entry((strategy.to_owned(), result)).or_default() += 1;
    }

    /// Somebody registered, changed a password, …: `success`, or a code of a refusal.
    pub fn account(&self, operation: &'static str, result: &'static str) {
        *lock(&self.accounts).entry((operation, result)).or_default() += 1;
    }

    /// The configuration was read again: taken, or refused and the old one kept.
    pub fn reload(&self, taken: bool) {
        if taken { &self.reloads } else { &self.failed_reloads }.fetch_add(1, Relaxed);
    }
}

/// What is held across no panic is as good after one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
