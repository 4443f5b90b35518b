//! Finding and reading the configuration, for every verb that has `-c`.

use super::{
    args::File,
    output::{Failure, note, safe},
    style::{Role, paint},
};
use portcullis_config::{Config, Excerpt, Problem};
use std::{fmt::Write, path::PathBuf};

/// The environment, as far as it is text.
pub(super) fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Where the configuration is.
pub(super) fn find(file: &File) -> Result<PathBuf, Failure> {
    portcullis_config::find(file.config.clone(), &environment()).map_err(Failure::new)
}

/// The configuration; what is wrong with it is told on stderr.
pub(super) fn load(file: &File) -> Result<Config, Failure> {
    let path = find(file)?;
    portcullis_config::load(&path, &environment()).map_err(|problems| tell(&problems))
}

/// Tells what works and deserves a look.
pub(super) fn warn(warnings: &[Problem]) {
    for warning in warnings {
        note(&framed(warning, Role::Warning, "warning: "));
    }
}

/// Place and message, the line with a mark under the part that is meant, and what to write.
fn framed(problem: &Problem, role: Role, label: &str) -> String {
    let message = paint(role, &safe(&problem.message));
    let mut text = format!("{}{}: {message}", paint(role, label), problem.place);
    if let Some(Excerpt { number, line, before, length }) = &problem.excerpt {
        let number = number.to_string();
        let bar = paint(Role::Frame, "|");
        let margin = " ".repeat(number.len());
        let mark = paint(role, &"^".repeat(*length));
        let _ = write!(
            text,
            "\n {} {bar} {}\n {margin} {bar} {}{mark}",
            paint(Role::Frame, &number),
            line.trim_end(),
            " ".repeat(*before)
        );
    }
    if let Some(help) = &problem.help {
        let _ = write!(text, "\n    {} {}", paint(Role::Help, "help:"), safe(help));
    }
    text
}

/// Tells every problem, and how many there are.
pub(super) fn tell(problems: &[Problem]) -> Failure {
    for problem in problems {
        note(&framed(problem, Role::Error, ""));
    }
    match problems.len() {
        1 => note("1 problem"),
        several => note(&format!("{several} problems")),
    }
    Failure::told()
}
