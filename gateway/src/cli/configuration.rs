//! Finding and reading the configuration, for every verb that has `-c`.

use super::{
    args::File,
    output::{Failure, note},
};
use portcullis_config::{Config, Problem};
use std::path::PathBuf;

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

/// Tells every problem, and how many there are.
pub(super) fn tell(problems: &[Problem]) -> Failure {
    for problem in problems {
        note(&problem.to_string());
    }
    match problems.len() {
        1 => note("1 problem"),
        several => note(&format!("{several} problems")),
    }
    Failure::told()
}
