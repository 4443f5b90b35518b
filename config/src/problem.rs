//! What is wrong with a configuration, where, and the book in which every reader of a
//! table writes it down. What may not come in: any rule about a key.

use crate::{excerpt::Excerpt, include::Part};
use std::fmt;

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `portcullis.toml:12:3`, or the name of the environment variable or flag.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The line that it is about, where there is one.
    pub excerpt: Option<Excerpt>,
}

impl fmt::Display for Problem {
    /// As `portcullis check` prints it: one line, and an indented line of help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n    help: {help}"),
            None => Ok(()),
        }
    }
}

/// Where something was written. The order is that of a report: the file from its top,
/// then variables by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    /// A byte offset in the text of the file and of those that it includes.
    File(usize),
    /// The name of an environment variable.
    Variable(String),
}

/// Collects problems and warnings, and knows how a place is named.
pub(crate) struct Book<'t> {
    file: String,
    text: &'t str,
    /// Files that were included: their text follows that of the file.
    parts: &'t [Part],
    problems: Vec<(At, Problem)>,
    warnings: Vec<(At, Problem)>,
}

impl<'t> Book<'t> {
    /// `file` is the path as the user gave it.
    pub(crate) fn new(file: String, text: &'t str) -> Self {
        Self { file, text, parts: &[], problems: Vec::new(), warnings: Vec::new() }
    }

    /// The same with the files that it includes.
    pub(crate) fn with_parts(file: String, text: &'t str, parts: &'t [Part]) -> Self {
        Self { parts, ..Self::new(file, text) }
    }

    /// `file:line:column`, both counted from 1 and the column in characters.
    pub(crate) fn place(&self, at: &At) -> String {
        match at {
            At::File(offset) => {
                let part = self.parts.iter().rev().find(|part| part.start <= *offset);
                let (file, begin) = part.map_or((&self.file, 0), |part| (&part.name, part.start));
                let before = self.text.get(begin..*offset).unwrap_or(self.text);
                let line = before.matches('\n').count() + 1;
                let start = before.rfind('\n').map_or(0, |i| i + 1);
                // A byte order mark is no column of its own.
                let column = before[start..].trim_start_matches('\u{feff}').chars().count() + 1;
                format!("{file}:{line}:{column}")
            }
            At::Variable(name) => name.clone(),
        }
    }

    /// The line of a place. What is missing altogether has none.
    pub(crate) fn excerpt(&self, at: &At) -> Option<Excerpt> {
        match at {
            At::File(0) => None,
            At::File(offset) => {
                let part = self.parts.iter().rev().find(|part| part.start <= *offset);
                let begin = part.map_or(0, |part| part.start);
                Excerpt::of(self.text.get(begin..)?, offset - begin)
            }
            At::Variable(_) => None,
        }
    }

    /// Writes down what is wrong.
    pub(crate) fn refuse(&mut self, at: &At, message: impl Into<String>) {
        self.write(at, message.into(), None);
    }

    /// Writes down what is wrong and what to write instead.
    pub(crate) fn refuse_with(&mut self, at: &At, message: impl Into<String>, help: impl Into<String>) {
        self.write(at, message.into(), Some(help.into()));
    }

    /// Writes down what works but deserves a look.
    pub(crate) fn warn(&mut self, at: &At, message: impl Into<String>, help: impl Into<String>) {
        let problem = Problem {
            place: self.place(at),
            message: message.into(),
            help: Some(help.into()),
            excerpt: self.excerpt(at),
        };
        self.warnings.push((at.clone(), problem));
    }

    /// How much is wrong so far.
    pub(crate) fn count(&self) -> usize {
        self.problems.len()
    }

    /// The problems, else the warnings, in the order of their places.
    pub(crate) fn close(self) -> Result<Vec<Problem>, Vec<Problem>> {
        if self.problems.is_empty() { Ok(in_order(self.warnings)) } else { Err(in_order(self.problems)) }
    }

    fn write(&mut self, at: &At, message: String, help: Option<String>) {
        let problem = Problem { place: self.place(at), message, help, excerpt: self.excerpt(at) };
        self.problems.push((at.clone(), problem));
    }
}

fn in_order(mut found: Vec<(At, Problem)>) -> Vec<Problem> {
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.into_iter().map(|(_, problem)| problem).collect()
}
