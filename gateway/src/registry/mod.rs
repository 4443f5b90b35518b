//! Strategies: kinds by name, configured instances by id, and the guard around every
//! call to one.
//!
//! What may not come in: knowledge of any one kind (only `builtin.rs` names them), forms,
//! accounts, the store.

pub mod builtin;
mod health;
mod instance;
mod runner;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;

pub use instance::{Instance, Origin};
pub use runner::CallError;

use builtin::Kind;
use portcullis_config::{Config, Problem, Strategy};
use portcullis_plugin_api::{Host, SettingsProblem, StartError};
use std::sync::Arc;

/// The configured strategies, in the order of the file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry(Arc<[Instance]>);

impl Registry {
    /// Starts every configured strategy. Wrong settings are problems of the file, all of
    /// them reported. A strategy that cannot start for another reason stays in the list
    /// and answers [`CallError::Unavailable`], unless it is `required`.
    pub async fn start(config: &Config, host: Host) -> Result<Self, Vec<Problem>> {
        let place = |strategy: &Strategy, problem| config.strategy_problem(&strategy.id, &problem);
        Self::start_kinds(builtin::KINDS, &config.strategies, host, &place).await
    }

    /// With strategies that a test tells what to answer, beside `local`.
    #[cfg(test)]
    pub(crate) async fn start_scripted(config: &Config, host: Host) -> Result<Self, Vec<Problem>> {
        let place = |strategy: &Strategy, problem| config.strategy_problem(&strategy.id, &problem);
        let real = builtin::KINDS.iter().filter(|kind| scripted::KINDS.iter().all(|s| s.name != kind.name));
        let kinds: Vec<Kind> = real.chain(scripted::KINDS).copied().collect();
        Self::start_kinds(&kinds, &config.strategies, host, &place).await
    }

    async fn start_kinds(
        kinds: &[Kind],
        strategies: &[Strategy],
        host: Host,
        place: &(dyn Fn(&Strategy, SettingsProblem) -> Problem + Sync),
    ) -> Result<Self, Vec<Problem>> {
        let mut instances = Vec::with_capacity(strategies.len());
        let mut problems = Vec::new();
        for strategy in strategies {
            match start_one(kinds, strategy, host.clone()).await {
                Ok(instance) => instances.push(instance),
                Err(found) => problems.extend(found.into_iter().map(|problem| place(strategy, problem))),
            }
        }
        if problems.is_empty() { Ok(Self(instances.into())) } else { Err(problems) }
    }

    /// The strategy of this id, whether or not it started.
    pub fn get(&self, id: &str) -> Option<Instance> {
        self.0.iter().find(|instance| instance.id() == id).cloned()
    }

    /// All of them, in the order of the file.
    pub fn list(&self) -> &[Instance] {
        &self.0
    }
}

async fn start_one(kinds: &[Kind], of: &Strategy, host: Host) -> Result<Instance, Vec<SettingsProblem>> {
    let Some(kind) = kinds.iter().find(|kind| kind.name == of.kind) else {
        return Err(vec![unknown_kind(kinds, &of.kind)]);
    };
    match runner::start((kind.start)(of.settings.clone(), host)).await {
        Ok(strategy) => Ok(Instance::started(of, strategy)),
        Err(StartError::Settings(problems)) if !problems.is_empty() => Err(problems),
        Err(StartError::Settings(_)) => Err(vec![of_the_table("refused its settings without saying why")]),
        Err(StartError::Failed(reason)) if of.required => {
            Err(vec![of_the_table(&format!("is required and did not start: {reason}"))])
        }
        Err(StartError::Failed(reason)) => {
            tracing::warn!(strategy = %of.id, kind = %of.kind, error = %reason, "the strategy did not start");
            Ok(Instance::failed(of, kind.operations, reason))
        }
    }
}

fn of_the_table(what: &str) -> SettingsProblem {
    SettingsProblem { path: Vec::new(), message: format!("the strategy {what}"), expected: None }
}

fn unknown_kind(kinds: &[Kind], wanted: &str) -> SettingsProblem {
    let names: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.name)).collect();
    SettingsProblem::at("kind", format!("there is no strategy kind `{wanted}`"))
        .expected(format!("one of {}", names.join(", ")))
}
