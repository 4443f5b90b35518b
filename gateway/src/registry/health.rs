//! Whether an instance is set aside because it keeps failing. A login against a dead
//! directory is then refused at once instead of after its deadline.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// This many failures …
const FAILURES: usize = 5;
/// … within this time, with no decision between them, set an instance aside.
const WINDOW: Duration = Duration::from_secs(60);
/// One call in this time then finds out whether it is back.
const PROBE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Default)]
struct State {
    failures: Vec<Instant>,
    /// When the next probe may go; none: the instance is not set aside.
    probe_at: Option<Instant>,
}

/// What one call told of the instance.
pub(super) enum Sign {
    /// It decided: somebody is authenticated or denied, or a credential made.
    Good,
    /// It could not decide.
    Bad,
    /// Nothing: a form proves no directory, and neither does a malformed request.
    None,
}

/// Permission for one call. What it told is said with [`Pass::tell`]; dropped without
/// (the client left) it tells nothing.
pub(super) struct Pass<'a> {
    health: &'a Health,
    probe: bool,
}

/// What a sign changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    SetAside,
    Back,
}

impl Health {
    /// None: it is set aside, and the probe is out or not yet due.
    pub(super) fn admit(&self) -> Option<Pass<'_>> {
        let mut state = self.lock();
        let probe = match state.probe_at {
            None => false,
            Some(at) if Instant::now() < at => return None,
            Some(_) => true,
        };
        if probe {
            state.probe_at = Some(Instant::now() + PROBE);
        }
        Some(Pass { health: self, probe })
    }

    /// Whether it is set aside now.
    pub(super) fn is_set_aside(&self) -> bool {
        self.lock().probe_at.is_some()
    }

    // A panic while it is held leaves nothing half done, so a poisoned lock is as good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    pub(super) fn tell(mut self, sign: Sign) -> Change {
        if matches!(sign, Sign::None) {
            return Change::None; // and drop gives the probe back
        }
        self.probe = false;
        let mut state = self.health.lock();
        let now = Instant::now();
        match sign {
            Sign::Good => {
                state.failures.clear();
                if state.probe_at.take().is_some() { Change::Back } else { Change::None }
            }
            Sign::Bad | Sign::None => {
                state.failures.retain(|at| now.duration_since(*at) < WINDOW);
                if state.failures.len() < FAILURES {
                    state.failures.push(now);
                }
                if state.failures.len() == FAILURES && state.probe_at.is_none() {
                    state.probe_at = Some(now + PROBE);
                    return Change::SetAside;
                }
                Change::None
            }
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // A probe that told nothing would otherwise cost everybody ten more seconds: a
        // browser asks for the form before it sends the password.
        if self.probe {
            let mut state = self.health.lock();
            if state.probe_at.is_some() {
                state.probe_at = Some(Instant::now());
            }
        }
    }
}
