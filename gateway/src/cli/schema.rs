//! `portcullis schema`: the JSON Schema of the configuration, or with `--openapi` the
//! OpenAPI document of the gateway's own endpoints.

use super::{
    args::{File, Schema},
    configuration,
    output::{Done, Failure, result},
};
use crate::sessions::CookieNames;
use portcullis_config::Endpoints;
use serde_json::Value;
use std::process::ExitCode;

pub(super) fn run(arguments: &Schema) -> Done {
    let schema = if arguments.openapi { openapi(arguments)? } else { portcullis_config::schema() };
    result(&serde_json::to_string_pretty(&schema).expect("a JSON value has a JSON form"));
    Ok(ExitCode::SUCCESS)
}

/// With the paths of the configuration that is named; without a name nothing is looked for.
fn openapi(arguments: &Schema) -> Result<Value, Failure> {
    if arguments.config.is_none() {
        return Ok(crate::control::openapi(&Endpoints::default(), None, "portcullis"));
    }
    let config = configuration::load(&File { config: arguments.config.clone() })?;
    let public = &config.server.public_url;
    let cookies = CookieNames::new(&config.session.cookie, public.https);
    Ok(crate::control::openapi(&config.endpoints, Some(&public.origin), &cookies.session))
}
