//! For how long a server is waited for, and whom it tells against that nothing came.
//!
//! A login's own time may be nearly up when its turn comes: others queued before it, or
//! there was much to look up. That a server did not answer within what was left of it says
//! nothing of the server. What may not come in: sockets, and what is asked.

use super::{Directory, Server};
use crate::wire::Trouble;
use std::{pin::pin, time::Duration};
use tokio::time::{Instant, timeout};

/// Nothing is begun that has less time than this.
pub(super) const SHORTEST: Duration = Duration::from_millis(50);

/// Shares of `timeout`. The first is what a server must have had before its silence
/// counts as its own.
const FAIR: u32 = 5;
/// A new connection, while another server could be asked.
const CONNECT: u32 = 10;
/// An answer is waited for without a second thought.
const QUIET: u32 = 50;
/// A server must show within it that somebody is there.
const KNOCK: u32 = 16;

/// Until when one step may take.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) at: Instant,
    /// It is long enough to judge the server by.
    fair: bool,
}

/// Why a server did not do what was asked, and whether that tells against it.
pub(super) enum Missed {
    /// It fails.
    ByServer(Trouble),
    /// There was too little time, or the connection had been forgotten on the way.
    ByChance,
}

impl Limit {
    /// What it tells that a step within this limit ended in trouble.
    pub(super) fn missed(self, trouble: Trouble) -> Missed {
        match trouble {
            Trouble::Silent if !self.fair => Missed::ByChance,
            trouble => Missed::ByServer(trouble),
        }
    }
}

impl Directory {
    fn limit(&self, until: Instant, share: Duration) -> Limit {
        let now = Instant::now();
        let at = until.min(now + share);
        Limit { at, fair: at.duration_since(now) >= share.min(self.settings.timeout / FAIR) }
    }

    /// For a connection to stand: while another server could be asked, no one gets all the
    /// time there is.
    pub(super) fn connecting(&self, until: Instant, others: bool) -> Limit {
        let whole = self.settings.timeout;
        self.limit(until, if others { whole / CONNECT } else { whole })
    }

    /// For an operation on a connection that rested, and may have been forgotten on the way.
    pub(super) fn on_rested(&self, until: Instant) -> Limit {
        self.limit(until, self.settings.timeout * 2 / 5)
    }

    /// For an operation on a new connection.
    pub(super) fn on_new(&self, until: Instant, others: bool) -> Limit {
        let whole = self.settings.timeout;
        self.limit(until, if others { whole * 3 / 5 } else { whole })
    }

    /// Waits for work of a server, and makes sure now and then that it still is there: one
    /// without power does not answer, and one with much to do answers late. Only while
    /// another could be asked; nobody else would know better.
    pub(super) async fn unless_gone<T>(
        &self,
        server: &Server,
        others: bool,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        if !others {
            return work.await;
        }
        let (mut work, mut quiet) = (pin!(work), self.settings.timeout / QUIET);
        loop {
            if let Ok(done) = timeout(quiet, &mut work).await {
                return done;
            }
            tokio::select! {
                biased;
                done = &mut work => return done,
                there = server.is_there(self, self.settings.timeout / KNOCK) => {
                    if !there {
                        return Err(Trouble::Gone);
                    }
                }
            }
            quiet *= 2;
        }
    }
}

/// The server's own limit for a search (row N-87): a moment before ours, so that a question
/// that takes long is told from a server that does not answer.
pub(crate) fn seconds(until: Instant) -> u32 {
    let left = until.saturating_duration_since(Instant::now());
    let whole = left.saturating_sub(Duration::from_millis(200)).as_secs();
    u32::try_from(whole).unwrap_or(u32::MAX).max(1)
}
