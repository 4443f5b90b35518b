//! Conditions instead of sleeps.

use std::time::{Duration, Instant};

/// The longest that anything in these tests may take, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer; panics with `what` after [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask)
}

/// The same with a time of its own.
#[track_caller]
pub fn within<T>(time: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < time, "waited {time:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
