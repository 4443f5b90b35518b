//! What the calls of an instance came to, and what libraries did that nobody asked for.

use super::{apart, libraries, tickets::TICKETS};
use portcullis_plugin_api::StrategyError;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered, with a yes, a no or a question.
    Answered,
    /// Its request was of no use.
    Refused,
    Busy,
    Error,
    Panic,
    Timeout,
    /// The client left before.
    Left,
    /// Not asked: the strategy is set aside.
    SetAside,
}

/// The words for them, in the order of the numbers of [`Counts::calls`].
pub const OUTCOMES: [&str; 8] =
    ["answered", "refused", "busy", "error", "panic", "timeout", "left", "set_aside"];

impl Outcome {
    pub(super) fn of(error: Option<&StrategyError>) -> Self {
        match error {
            None => Self::Answered,
            Some(StrategyError::Busy) => Self::Busy,
            Some(
                StrategyError::BadRequest { .. } | StrategyError::WeakSecret(_) | StrategyError::Unsupported,
            ) => Self::Refused,
            // A library says so in words: the panic was on its side.
            Some(StrategyError::Failed(why)) if why.starts_with("panicked: ") => Self::Panic,
            Some(_) => Self::Error,
        }
    }
}

/// One instance's numbers.
#[derive(Debug, Default)]
pub struct Counts {
    calls: [AtomicU64; OUTCOMES.len()],
    micros: AtomicU64,
    /// When "busy" was last said: once a minute is enough.
    said: Mutex<Option<Instant>>,
}

const SAY_AGAIN: Duration = Duration::from_secs(60);

impl Counts {
    /// How many calls came to each of [`OUTCOMES`].
    pub fn calls(&self) -> [u64; OUTCOMES.len()] {
        self.calls.each_ref().map(|count| count.load(Relaxed))
    }

    /// How long all calls took together, in microseconds.
    pub fn micros(&self) -> u64 {
        self.micros.load(Relaxed)
    }

    /// A call begins; dropped without a word, its client has left.
    pub(super) fn begin(&self) -> Counted<'_> {
        Counted { counts: self, begun: Instant::now(), outcome: Outcome::Left }
    }

    /// A call that never began.
    pub(super) fn refused(&self, outcome: Outcome) {
        self.calls[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Says that too many calls are in flight, once a minute.
    pub(super) fn say_busy(&self, strategy: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
            *said = Some(Instant::now());
            tracing::warn!(%strategy, "too many calls are in flight: further ones are answered 503 busy");
        }
    }
}

/// One call.
pub(super) struct Counted<'c> {
    counts: &'c Counts,
    begun: Instant,
    outcome: Outcome,
}

impl Counted<'_> {
    pub(super) fn came_to(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.counts.refused(self.outcome);
        let micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counts.micros.fetch_add(micros, Relaxed);
    }
}

/// What all libraries of this process did, by name.
pub fn process() -> [(&'static str, u64); 6] {
    [
        ("loaded", libraries::LOADED.load(Relaxed)),
        ("refused", libraries::REFUSED.load(Relaxed)),
        ("call_abandoned", TICKETS.abandoned.load(Relaxed)),
        ("late_completion", TICKETS.late.load(Relaxed)),
        ("stray_completion", TICKETS.stray.load(Relaxed)),
        ("process_ended", apart::ENDED.load(Relaxed)),
    ]
}
