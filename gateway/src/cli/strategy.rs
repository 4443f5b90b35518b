//! `portcullis strategy list`: the configured ways to sign in, and whether each starts.
//! `portcullis strategy test`: what a login by one of them needs, step by step.

use super::{
    args::{Strategy, StrategyVerb},
    block_on, configuration,
    output::{Done, Failure, result, safe, table},
    progress,
};
use crate::{
    clock::Clock,
    login::{preview, who},
    random::Random,
    registry::{CallError, Instance, Registry},
    telemetry,
};
use portcullis_config::Config;
use portcullis_plugin_api::{Call, Diagnose, Host, Step};
use serde_json::json;
use std::{net::Ipv4Addr, process::ExitCode};

pub(super) fn run(arguments: &Strategy) -> Done {
    let _log = telemetry::start_for_command(Clock::system());
    let config = configuration::load(&arguments.file)?;
    let registry = block_on(start(&config))??;
    let json = match &arguments.verb {
        StrategyVerb::List { json } => *json,
        StrategyVerb::Test { id, user, json } => {
            let found = block_on(diagnosis(&config, &registry, id, user.clone()))??;
            return Ok(found.tell(*json));
        }
    };
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

/// What a strategy found of itself.
struct Diagnosis {
    id: String,
    kind: String,
    steps: Vec<Step>,
}

/// Asks a strategy what works. One that did not start says so; one that cannot be asked has
/// started, and that is all that can be said.
async fn diagnosis(
    config: &Config,
    registry: &Registry,
    id: &str,
    user: Option<String>,
) -> Result<Diagnosis, Failure> {
    let Some(strategy) = registry.get(id) else {
        let known: Vec<_> = registry.list().iter().map(Instance::id).collect();
        let shown = safe(id);
        return Err(Failure::new(format!(
            "there is no strategy `{shown}`; configured are: {}",
            known.join(", ")
        )));
    };
    let start = Step {
        name: "start".into(),
        ok: Some(strategy.failure().is_none()),
        detail: strategy.failure().unwrap_or("the settings are accepted").to_owned(),
        advice: strategy.failure().map(|_| "correct what is named, then run this again".to_owned()),
        ..Step::default()
    };
    let call = Call::new("strategy-test", id, Ipv4Addr::LOCALHOST.into());
    let mut steps = vec![start];
    if strategy.failure().is_none() {
        let named = user.is_some();
        // As a login by this strategy takes it: the account's own name too.
        let user = user.map(|user| match strategy.operations().credentials {
            true => user,
            false => who::without_ending(id, &user).to_owned(),
        });
        let asking = strategy.diagnose(call, Diagnose { user });
        match progress::during("trying out the strategy", asking).await {
            Ok(found) => {
                steps.extend(found);
                steps.extend(outcome(config, id, &steps, named));
            }
            Err(CallError::Unsupported) => {}
            Err(error) => {
                let why = match error {
                    CallError::BadRequest { field, message } => format!("{field}: {message}"),
                    _ => "the strategy did not answer within ten seconds, or failed".to_owned(),
                };
                return Err(Failure::new(safe(&why)));
            }
        }
    }
    Ok(Diagnosis { id: id.to_owned(), kind: strategy.kind().to_owned(), steps })
}

/// What the gateway would make of the login: shown where the strategy found somebody, or
/// failed on the way to them.
fn outcome(config: &Config, id: &str, steps: &[Step], named: bool) -> Vec<Step> {
    let claims = steps.iter().rev().find_map(|step| step.claims.as_ref());
    let failed = named && steps.iter().any(|step| step.ok == Some(false));
    if claims.is_some() || failed { preview::steps(config, id, claims) } else { Vec::new() }
}

impl Diagnosis {
    fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.ok != Some(false))
    }

    /// Prints it; exit code 1 when something does not work.
    fn tell(&self, json: bool) -> ExitCode {
        if json {
            result(&self.as_json().to_string());
        } else {
            self.lines().iter().for_each(|line| result(line));
        }
        ExitCode::from(u8::from(!self.is_good()))
    }

    fn as_json(&self) -> serde_json::Value {
        let step = |step: &Step| json!({ "name": step.name, "ok": step.ok, "detail": step.detail, "advice": step.advice });
        let steps: Vec<_> = self.steps.iter().map(step).collect();
        json!({ "id": self.id, "kind": self.kind, "ok": self.is_good(), "steps": steps })
    }

    /// A mark for each step, what was found, and below it what to do.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &self.steps {
            let mark = match step.ok {
                Some(true) => "✓",
                Some(false) => "✗",
                None => "–",
            };
            lines.push(format!("{mark} {}: {}", safe(&step.name), safe(&step.detail)));
            lines.extend(step.advice.iter().map(|advice| format!("    → {}", safe(advice))));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn scripted() -> (Config, Registry) {
        let text = "[strategies.corp]\nkind = \"ldap\"\n[strategies.local]\nkind = \"local\"\n";
        let config = portcullis_config::parse(text, std::path::Path::new("p"), &[]).unwrap();
        let host = Host { random: Random::system().shared(), now: Clock::system().shared(), cores: 1 };
        let registry = Registry::start_scripted(&config, host).await.unwrap();
        (config, registry)
    }

    #[tokio::test]
    async fn each_step_has_a_mark_and_what_fails_has_advice() {
        let (config, registry) = scripted().await;
        let found = diagnosis(&config, &registry, "corp", Some("ann".into())).await.unwrap();
        let lines = found.lines();
        assert_eq!(
            lines,
            [
                "✓ start: the settings are accepted",
                "✓ connect: about ann",
                "✗ bind: about ann",
                "    → look at bind_password",
                "– roles: not tried, because an earlier step failed",
                "– admit: not tried, because an earlier step failed",
            ]
        );
        assert!(!found.is_good());
        assert_eq!(found.as_json()["steps"][2]["ok"], false);
        let local = diagnosis(&config, &registry, "local", None).await.unwrap();
        assert!(local.is_good() && local.steps.len() == 1);
        assert!(diagnosis(&config, &registry, "crop", None).await.is_err());
    }
}
