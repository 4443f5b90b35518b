//! `portcullis hash-password`: what `user add --password-hash-stdin` takes.

use super::{
    output::{Done, Failure, result},
    password,
};
use crate::{random::Random, registry::builtin};
use serde_json::json;
use std::{io::IsTerminal, process::ExitCode};

pub(super) fn run(as_json: bool) -> Done {
    let password = if std::io::stdin().is_terminal() { password::ask()? } else { password::from_stdin()? };
    let hash = builtin::hash_password(&password, &Random::system()).map_err(Failure::new)?;
    result(&if as_json { json!({ "hash": hash }).to_string() } else { hash });
    Ok(ExitCode::SUCCESS)
}
