//! `[log]`: what is written and how.

use crate::{problem::Book, section::Section, tree::Table};

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// None: text on a terminal, else JSON.
    pub format: Option<LogFormat>,
    /// The least severe level that is written.
    pub level: Level,
    /// Whether each request is a line.
    pub access: bool,
}

/// `[log] format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// For machines.
    Json,
}

/// `[log] level`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `error`
    Error,
    /// `warn`
    Warn,
    /// `info`
    Info,
    /// `debug`
    Debug,
    /// `trace`
    Trace,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["format", "level", "access"];

/// Reads the table.
pub(crate) fn read(root: &Table, book: &mut Book<'_>) -> Log {
    let table = Section::open(root, "log", KEYS, book);
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];
    Log {
        format: table.field("format").and_then(|field| field.one_of(&formats, book)),
        level: table.field("level").and_then(|field| field.one_of(&levels, book)).unwrap_or(Level::Info),
        access: table.field("access").and_then(|field| field.boolean(book)).unwrap_or(true),
    }
}
