//! `portcullis schema`: the JSON Schema of the configuration.

use super::output::{Done, result};
use std::process::ExitCode;

pub(super) fn run() -> Done {
    let schema = portcullis_config::schema();
    result(&serde_json::to_string_pretty(&schema).expect("a JSON value has a JSON form"));
    Ok(ExitCode::SUCCESS)
}
