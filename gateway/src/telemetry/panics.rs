//! What is said of a panic: one line with its place, and its text only where that text was
//! written with the program. A text made at run time may hold what nobody may read.

use super::{AUDIT, Line, Logger};
use portcullis_config::Level;
use std::{
    any::Any,
    panic,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Panics of this process so far, each a defect.
pub fn panics() -> u64 {
    COUNT.load(Relaxed)
}

/// From now on panics are lines of the log.
pub(super) fn hook() {
    panic::set_hook(Box::new(|info| {
        COUNT.fetch_add(1, Relaxed);
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        if let Some(logger) = AUDIT.get() {
            logger.sink.write(line(logger, &place, info.payload()));
        }
    }));
}

fn line(logger: &Logger, place: &str, payload: &dyn Any) -> Vec<u8> {
    let mut line = Line::new(logger.format, logger.clock.now(), Some(Level::Error));
    line.message("message", "a defect: something panicked, and what it worked on ended");
    line.field("place", place).field("thread", thread::current().name().unwrap_or("?"));
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        line.field("text", text);
    }
    line.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, UnixMillis},
        telemetry::{Sink, Target},
    };
    use portcullis_config::LogFormat;

    #[test]
    fn a_text_that_was_made_at_run_time_is_left_out() {
        let (format, clock) = (LogFormat::Json, Clock::manual(UnixMillis(0)));
        let sink = Sink::start(Target::Writer(Box::new(std::io::sink())), format, clock.clone());
        let logger = Logger { sink, format, clock };
        let said = |payload: &dyn Any| String::from_utf8(line(&logger, "a.rs:1:2", payload)).unwrap();
        assert!(said(&"it cannot fail").contains("\"text\":\"it cannot fail\""));
        let made = said(&format!("no place for {}", "hunter2"));
        assert!(made.contains("a.rs:1:2") && !made.contains("hunter2"), "{made}");
    }
}
