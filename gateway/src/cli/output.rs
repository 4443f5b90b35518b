//! Words out: results to stdout, why there is none to stderr. Text for a terminal is
//! escaped, for names and settings come from elsewhere.

use crate::accounts::manage::Refused;
use std::{io::Write, process::ExitCode};

/// Why a verb did not do what it was asked (exit code 1).
#[derive(Debug)]
pub(super) struct Failure(String);

/// What a verb comes to.
pub(super) type Done = Result<ExitCode, Failure>;

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The problems were told already, line by line.
    pub(super) fn told() -> Self {
        Self(String::new())
    }

    pub(super) fn report(self) -> ExitCode {
        if !self.0.is_empty() {
            note(&format!("portcullis: {}", self.0));
        }
        ExitCode::from(1)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self(safe(&refused.to_string()))
    }
}

/// A line of the result. A reader that has gone away is no failure.
pub(super) fn result(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A line of anything else.
pub(super) fn note(line: &str) {
    // One write: standard error has no buffer, and the log may go to the same place.
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// A value that somebody else has chosen, safe for a terminal.
pub(super) fn safe(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// Rows under headings, in columns.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    let mut widths = headings.map(str::len);
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| safe(cell))).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        result(padded.join("  ").trim_end());
    };
    line(headings);
    for row in &rows {
        line(row.each_ref().map(String::as_str));
    }
}
