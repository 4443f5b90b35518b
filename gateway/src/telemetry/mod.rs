//! Logs: what the program says of itself, and the audit trail. Nothing secret may come
//! in: no password, cookie, token, or query.
//!
//! `line.rs` one line, escaped and bounded · `sink.rs` the thread that writes · `layer.rs`
//! what `tracing` says becomes lines · `audit.rs` the audit trail · `panics.rs` defects.
//!
//! Text on a terminal, JSON otherwise. Writing never waits: when the reader of the log is
//! stuck, lines are dropped and counted, and the count is the first line after it.

mod audit;
mod layer;
mod line;
mod panics;
mod sink;

pub use audit::{Audit, audit};
pub use line::{Line, rfc3339};
pub use panics::panics;
pub use sink::{Sink, Target};

use crate::clock::Clock;
use layer::Lines;
use portcullis_config::{Level, Log, LogFormat};
use std::{io::IsTerminal, sync::OnceLock, time::Duration};
use tracing_subscriber::{Registry, layer::SubscriberExt};

/// How long the end of the program waits for lines that are still to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where lines go and what they look like. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logger {
    /// The way out.
    pub sink: Sink,
    /// Text or JSON.
    pub format: LogFormat,
    /// The time at the head of each line.
    pub clock: Clock,
}

/// The audit trail's way out; none before a gateway runs.
static AUDIT: OnceLock<Logger> = OnceLock::new();

/// Writes what is left when it is dropped: keep it in `main`'s reach until the end.
#[must_use = "dropping it ends the log"]
#[derive(Debug)]
pub struct Guard(Sink);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.flush(LAST_LINES);
    }
}

/// Starts the log of a gateway: application lines from `tracing` and the audit trail.
pub fn start(log: &Log, target: Target, clock: Clock) -> (Logger, Guard) {
    let (logger, guard) = application(log, target, clock);
    let _ = AUDIT.set(logger.clone());
    panics::hook();
    (logger, guard)
}

/// Starts the log of a command: warnings as text on stderr, and no audit trail, which
/// belongs to the gateway that runs.
pub fn start_for_command(clock: Clock) -> Guard {
    let log = Log { format: Some(LogFormat::Text), level: Level::Warn, access: false };
    application(&log, Target::Stderr, clock).1
}

fn application(log: &Log, target: Target, clock: Clock) -> (Logger, Guard) {
    let format =
        log.format.unwrap_or_else(|| if target.is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let logger = Logger { sink: Sink::start(target, format, clock.clone()), format, clock };
    let lines = Registry::default().with(Lines::new(logger.clone(), log.level));
    // Only a test can come second; the first one's log goes on.
    let _ = tracing::subscriber::set_global_default(lines);
    let guard = Guard(logger.sink.clone());
    (logger, guard)
}

impl Target {
    fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => std::io::stdout().is_terminal(),
            Self::Stderr => std::io::stderr().is_terminal(),
            Self::Writer(_) => false,
        }
    }
}
