//! What the library's own copies of `tracing` and `log` are told goes into the gateway's
//! log, under the instance whose thread said it. Spans are not kept.

use super::{host::Gateway, panics};
use crate::{Object, abi::level};
use std::{fmt, sync::Once};
use tracing::{
    Event, Level, Metadata,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// From now on. A library that has set its own before keeps it.
pub(super) fn bridge(gateway: Gateway) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let bridge = Bridge(gateway);
        if tracing::subscriber::set_global_default(bridge).is_ok()
            && log::set_boxed_logger(Box::new(bridge)).is_ok()
        {
            log::set_max_level(log::LevelFilter::Debug);
        }
    });
}

#[derive(Clone, Copy)]
struct Bridge(Gateway);

impl tracing::Subscriber for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What is finer than that would cost every call a crossing for each line.
        *metadata.level() <= Level::DEBUG && metadata.is_event()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = match *event.metadata().level() {
            Level::ERROR => level::ERROR,
            Level::WARN => level::WARN,
            Level::INFO => level::INFO,
            _ => level::DEBUG,
        };
        let mut line = Line::default();
        event.record(&mut line);
        let fields = serde_json::Value::Object(line.fields).to_string();
        self.0.log(panics::instance(), level, event.metadata().target(), &line.message, &fields);
    }
}

impl log::Log for Bridge {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Debug
    }

    fn log(&self, record: &log::Record<'_>) {
        if !log::Log::enabled(self, record.metadata()) {
            return;
        }
        let level = match record.level() {
            log::Level::Error => level::ERROR,
            log::Level::Warn => level::WARN,
            log::Level::Info => level::INFO,
            _ => level::DEBUG,
        };
        self.0.log(panics::instance(), level, record.target(), &record.args().to_string(), "{}");
    }

    fn flush(&self) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: Object,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.insert(field.name().to_owned(), format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.fields.insert(field.name().to_owned(), value.into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}
