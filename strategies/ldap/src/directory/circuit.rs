//! When a server is left alone. After a failure it is set aside, each time for longer;
//! then one call at a time finds out whether it is back. What may not come in: sockets.

use std::time::Duration;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// What is remembered of a server.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// Until when it is left alone, and for what.
    aside: Option<(Instant, String)>,
    failures: u32,
    probing: bool,
}

impl Circuit {
    /// Whether a call may go there now. One that may after a pause is a probe.
    pub(super) fn admit(&mut self, now: Instant, only_one: bool) -> bool {
        match &self.aside {
            None => true,
            Some((until, _)) if now < *until => false,
            // Nobody else can answer: then everybody may find out.
            Some(_) if only_one => true,
            Some(_) if self.probing => false,
            Some(_) => {
                self.probing = true;
                true
            }
        }
    }

    pub(super) fn is_aside(&self) -> bool {
        self.aside.is_some()
    }

    pub(super) fn may_be_probed(&self, now: Instant) -> bool {
        self.aside.as_ref().is_none_or(|(until, _)| now >= *until)
    }

    pub(super) fn why(&self) -> Option<&str> {
        self.aside.as_ref().map(|(_, why)| why.as_str())
    }

    /// It answered; true: for the first time since it failed.
    pub(super) fn good(&mut self) -> bool {
        let back = self.aside.is_some();
        *self = Self::default();
        back
    }

    /// It failed; true: for the first time since it answered.
    pub(super) fn bad(&mut self, now: Instant, why: &str) -> bool {
        let first = self.aside.is_none();
        // Calls that began together fail together, and count as one.
        if self.may_be_probed(now) {
            let pause = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
            self.failures += 1;
            self.aside = Some((now + pause, why.to_owned()));
        }
        self.probing = false;
        first
    }

    /// The call that was to find out ended without a verdict.
    pub(super) fn given_up(&mut self) {
        self.probing = false;
    }
}
