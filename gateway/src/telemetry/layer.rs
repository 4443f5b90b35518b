//! What the program says through `tracing`, as lines. Other people's crates are heard from
//! warnings up only, whatever the level: what they trace was not written with our secrets
//! in mind.

use super::{Line, Logger};
use portcullis_config::{Level, LogFormat};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::layer::{Context, Layer};

/// Turns events into lines.
pub(super) struct Lines {
    logger: Logger,
    ours: LevelFilter,
}

impl Lines {
    pub(super) fn new(logger: Logger, level: Level) -> Self {
        let ours = match level {
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        };
        Self { logger, ours }
    }

    fn hears(&self, metadata: &Metadata<'_>) -> bool {
        let limit = if metadata.target().starts_with("portcullis") {
            self.ours
        } else {
            self.ours.min(LevelFilter::WARN)
        };
        *metadata.level() <= limit
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.hears(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.ours)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Line::new(self.logger.format, self.logger.clock.now(), Some(level));
        if self.logger.format == LogFormat::Json {
            line.field("target", metadata.target());
        }
        line.message("message", &fields.message);
        for (name, value) in &fields.others {
            match value {
                Value::Text(text) => line.field(name, text),
                Value::Plain(text) => line.plain(name, text),
            };
        }
        self.logger.sink.write(line.finish());
    }
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

enum Value {
    Text(String),
    Plain(String),
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text) | Value::Plain(text)) => self.message = text,
            // The line's own members stay what they say they are.
            ("ts" | "level" | "target" | "audit", _) => {}
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Plain(value.to_string()));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Plain(value.to_string()));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Plain(value.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, UnixMillis},
        telemetry::{Sink, Target},
    };
    use std::{
        io::Write,
        sync::{Arc, Mutex},
        time::Duration,
    };
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn said(format: LogFormat, level: Level, say: impl FnOnce()) -> String {
        let (kept, clock) = (Kept::default(), Clock::manual(UnixMillis(0)));
        let sink = Sink::start(Target::Writer(Box::new(kept.clone())), format, clock.clone());
        let logger = Logger { sink: sink.clone(), format, clock };
        tracing::subscriber::with_default(Registry::default().with(Lines::new(logger, level)), say);
        sink.flush(Duration::from_secs(20));
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_is_one_json_line_with_its_fields() {
        let line = said(LogFormat::Json, Level::Info, || {
            tracing::warn!(target: "portcullis::x", count = 3, who = "a\nb", level = "x", "it broke");
        });
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"ts": "1970-01-01T00:00:00.000Z", "level": "warn",
                "target": "portcullis::x", "message": "it broke", "count": 3, "who": "a\nb"})
        );
    }

    #[test]
    fn the_level_is_kept_and_others_crates_are_heard_from_warnings_up_only() {
        let text = said(LogFormat::Text, Level::Trace, || {
            tracing::trace!(target: "portcullis::x", "ours");
            tracing::info!(target: "somebody", "theirs");
            tracing::error!(target: "somebody", "trouble");
        });
        assert_eq!(text, "1970-01-01T00:00:00.000Z TRACE ours\n1970-01-01T00:00:00.000Z ERROR trouble\n");
        let text = said(LogFormat::Text, Level::Warn, || tracing::info!(target: "portcullis", "x"));
        assert_eq!(text, "");
    }
}
