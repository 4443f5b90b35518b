//! `portcullis strategy list`: the configured ways to sign in, and whether each starts.

use super::{
    args::{Strategy, StrategyVerb},
    block_on, configuration,
    output::{Done, Failure, result, table},
    progress,
};
use crate::{
    clock::Clock,
    random::Random,
    registry::{Instance, Registry},
    telemetry,
};
use portcullis_config::Config;
use portcullis_plugin_api::Host;
use serde_json::json;
use std::process::ExitCode;

pub(super) fn run(arguments: &Strategy) -> Done {
    let _log = telemetry::start_for_command(Clock::system());
    let config = configuration::load(&arguments.file)?;
    let registry = block_on(start(&config))??;
    let StrategyVerb::List { json } = arguments.verb;
    if json {
        let all: Vec<_> = registry.list().iter().map(|one| as_json(one, &config)).collect();
        result(&serde_json::Value::from(all).to_string());
    } else {
        let rows: Vec<_> = registry.list().iter().map(|one| row(one, &config)).collect();
        table(["ID", "KIND", "ORIGIN", "STATE", "TITLE"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts every strategy of the configuration, as `serve` would.
pub(super) async fn start(config: &Config) -> Result<Registry, Failure> {
    let host = Host {
        random: Random::system().shared(),
        now: Clock::system().shared(),
        cores: config.server.threads,
    };
    let starting = Registry::start(config, host);
    progress::during("starting the strategies", starting)
        .await
        .map_err(|problems| configuration::tell(&problems))
}

fn as_json(one: &Instance, config: &Config) -> serde_json::Value {
    json!({
        "id": one.id(),
        "kind": one.kind(),
        "title": one.title(),
        "origin": one.origin().to_string(),
        "default": config.login.default.as_deref() == Some(one.id()),
        "ok": one.failure().is_none(),
        "error": one.failure(),
    })
}

fn row(one: &Instance, config: &Config) -> [String; 5] {
    let state = match one.failure() {
        Some(why) => format!("does not start: {why}"),
        None if config.login.default.as_deref() == Some(one.id()) => "starts (default)".into(),
        None => "starts".into(),
    };
    [one.id().into(), one.kind().into(), one.origin().to_string(), state, one.title().into()]
}
