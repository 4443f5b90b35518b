//! Strategies: kinds by name, configured instances by id, and the guard around every
//! call to one.
//!
//! `builtin.rs` what is linked in · `libraries.rs` what `[plugins]` brings, over `file.rs`
//! (whose file, what hash), `elf.rs` and `info.rs` (what it says it is), `library.rs` (the
//! dynamic linker; unsafe), `apart.rs` (the same in a process of its own; `code.rs` either)
//! and `refusal.rs` (why not) · `foreign.rs` a strategy in a library,
//! over `tickets.rs` (who waits) and `lent.rs` (what it was lent) · `instance.rs` a configured
//! strategy, whatever its origin, over `runner.rs` (slots, deadline, panics), `rules.rs` (what
//! none may answer), `health.rs` (set aside) and `counts.rs`.
//!
//! What may not come in: knowledge of any one kind (only `builtin.rs` names them), forms,
//! accounts, the store.

mod apart;
pub mod builtin;
mod code;
mod counts;
mod elf;
mod file;
mod foreign;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod health;
mod info;
pub mod inspect;
mod instance;
mod lent;
mod libraries;
mod library;
mod refusal;
mod rules;
mod runner;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;
mod tickets;

pub use counts::{Counts, OUTCOMES, process};
pub use info::{Info, KindInfo};
pub use instance::{Instance, Origin};
pub use libraries::Library;
pub use refusal::Refusal;
pub use runner::CallError;

use crate::made_of::MadeOf;
use builtin::{Kind, Starting};
use file::Copies;
use libraries::{Brought, Replaces};
use portcullis_config::{Config, Problem, Strategy};
use portcullis_plugin_api::{Host, Object, Operations, SettingsProblem, StartError};
use rules::Rules;
use serde_json::json;
use std::sync::Arc;

/// The configured strategies, in the order of the file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    instances: Arc<[Instance]>,
    libraries: Arc<[Library]>,
    /// What those are made of that may go on after a reload, in the same order.
    made_of: Arc<[Option<MadeOf>]>,
}

impl Registry {
    /// Starts every configured strategy. Wrong settings are problems of the file, all of
    /// them reported. A strategy that cannot start for another reason stays in the list
    /// and answers [`CallError::Unavailable`], unless it is `required`.
    /// It is for commands: of a library, nothing is left behind.
    pub async fn start(config: &Config, host: Host) -> Result<Self, Vec<Problem>> {
        Self::start_with(config, host, Copies::passing("command")).await
    }

    /// The same for a gateway, which keeps its private copies of libraries.
    pub async fn serve(config: &Config, host: Host) -> Result<Self, Vec<Problem>> {
        Self::start_with(config, host, Copies::beside(&config.store.path)).await
    }

    async fn start_with(config: &Config, host: Host, copies: Copies) -> Result<Self, Vec<Problem>> {
        let place = |strategy: &Strategy, problem| config.strategy_problem(&strategy.id, &problem);
        let plugins = config.plugins.clone();
        // Hashing and the dynamic linker block.
        let load = move || libraries::load(&plugins, &copies);
        let loaded = tokio::task::spawn_blocking(load).await.unwrap_or_default();
        let mut started =
            Self::start_kinds(builtin::KINDS, &loaded, &config.strategies, host, &place).await?;
        started.libraries = loaded.into();
        Ok(started)
    }

    /// With strategies that a test tells what to answer, beside `local`.
    #[cfg(test)]
    pub(crate) async fn start_scripted(config: &Config, host: Host) -> Result<Self, Vec<Problem>> {
        let place = |strategy: &Strategy, problem| config.strategy_problem(&strategy.id, &problem);
        let real = builtin::KINDS.iter().filter(|kind| scripted::KINDS.iter().all(|s| s.name != kind.name));
        let kinds: Vec<Kind> = real.chain(scripted::KINDS).copied().collect();
        Self::start_kinds(&kinds, &[], &config.strategies, host, &place).await
    }

    async fn start_kinds(
        built_in: &[Kind],
        libraries: &[Library],
        strategies: &[Strategy],
        host: Host,
        place: &(dyn Fn(&Strategy, SettingsProblem) -> Problem + Sync),
    ) -> Result<Self, Vec<Problem>> {
        let kinds = Kinds::new(built_in, libraries);
        let mut instances = Vec::with_capacity(strategies.len());
        let mut problems = Vec::new();
        // Before they read their files: what changes in between is another print next time.
        let made_of = strategies.iter().map(|one| kinds.source(one).ok()?.made_of(one, &host)).collect();
        // Side by side: a directory that is slow to start holds nobody else up.
        let starting: Vec<_> = strategies
            .iter()
            .map(|strategy| kinds.source(strategy).map(|source| source.start(strategy, host.clone())))
            .collect();
        for (strategy, starting) in strategies.iter().zip(starting) {
            let started = match starting {
                Ok(starting) => starting.finish(strategy).await,
                Err(none) => none.finish(strategy),
            };
            match started {
                Ok(instance) => instances.push(instance),
                Err(found) => problems.extend(found.into_iter().map(|problem| place(strategy, problem))),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { instances: instances.into(), libraries: Arc::default(), made_of })
    }

    /// The strategy of this id, whether or not it started.
    pub fn get(&self, id: &str) -> Option<Instance> {
        self.instances.iter().find(|instance| instance.id() == id).cloned()
    }

    /// Their ids.
    pub fn ids(&self) -> Vec<String> {
        self.instances.iter().map(|instance| instance.id().to_owned()).collect()
    }

    /// All of them, in the order of the file.
    pub fn list(&self) -> &[Instance] {
        &self.instances
    }

    /// Libraries that were fine in the registry before and are refused now: a reload is not
    /// worth a way to sign in that works.
    pub fn lost_since(&self, before: &Self) -> Vec<Problem> {
        let was_fine = |name: &str| {
            before.libraries.iter().any(|library| library.name == name && library.refusal().is_none())
        };
        let lost = self.libraries.iter().filter(|library| was_fine(&library.name));
        lost.filter_map(|library| {
            let message = format!("[plugins.{}] is not loaded: {}", library.name, library.refusal()?);
            Some(Problem { place: library.place.clone(), message, help: None, excerpt: None })
        })
        .collect()
    }

    /// With the instances of the registry before in the place of those that were made of the
    /// same: what they know of their providers need not be asked again, and may not be to be had.
    pub fn keeping(mut self, before: &Self) -> Self {
        let keep = |(new, made_of): (&Instance, &Option<MadeOf>)| {
            let place = before.instances.iter().position(|old| old.id() == new.id());
            let old = place.filter(|place| made_of.is_some() && before.made_of[*place] == *made_of);
            let old = old.map(|place| &before.instances[place]).filter(|old| old.failure().is_none());
            old.filter(|_| new.failure().is_none()).unwrap_or(new).clone()
        };
        self.instances = self.instances.iter().zip(self.made_of.iter()).map(keep).collect();
        self
    }

    /// What became of each `[plugins.NAME]`, in the order of the file.
    pub fn libraries(&self) -> &[Library] {
        &self.libraries
    }
}

/// The libraries of a configuration, loaded for a command.
pub fn load_libraries(config: &Config) -> Vec<Library> {
    libraries::load(&config.plugins, &Copies::passing("command"))
}

/// The kinds that there are.
struct Kinds<'k> {
    built_in: &'k [Kind],
    brought: Vec<Brought>,
    /// Why there may be some that are not, and which of the built-in ones they were to replace.
    refused: Vec<(String, Replaces)>,
}

/// Where the code of an instance comes from.
struct Source {
    operations: Operations,
    origin: Origin,
    rules: Rules,
    start: Box<dyn FnOnce(Object, Host) -> Starting + Send>,
}

/// There is no such kind.
enum NoKind {
    /// Nobody has ever heard of it.
    Unknown(SettingsProblem),
    /// A library that could not be loaded has it, or may have it; and what it may offer.
    Refused(String, Operations),
}

/// An instance that is being started.
struct Begun {
    operations: Operations,
    origin: Origin,
    rules: Rules,
    started: runner::Task<portcullis_plugin_api::Started>,
}

impl<'k> Kinds<'k> {
    fn new(built_in: &'k [Kind], libraries: &[Library]) -> Self {
        let why = |one: &Library| one.refusal().map(|why| (why.to_string(), one.replaces.clone()));
        let refused = libraries.iter().filter_map(why).collect();
        Self { built_in, brought: libraries::brought(libraries), refused }
    }

    /// A library first: it was let in only where it may replace what is built in.
    fn source(&self, of: &Strategy) -> Result<Source, NoKind> {
        if let Some(brought) = self.brought.iter().find(|one| one.name == of.kind).cloned() {
            let Brought { name, operations, plugin, code, rules } = brought;
            let (strategy, slots, origin) = (of.id.clone(), rules.slots, Origin::Library(plugin.clone()));
            let making = foreign::Making { code, plugin, kind: name, operations, strategy, slots };
            let start = Box::new(move |settings, host| foreign::start(making, settings, host));
            return Ok(Source { operations, origin, rules, start });
        }
        if let Some(kind) = self.built_in.iter().find(|kind| kind.name == of.kind) {
            // The operator has put another in its place, which may ask for more than this one does.
            if let Some((why, _)) = self.refused.iter().find(|(_, replaces)| replaces.includes(kind.name)) {
                let why = format!("kind \"{}\" was to come out of a library instead: {why}", of.kind);
                return Err(NoKind::Refused(why, kind.operations));
            }
            let (operations, origin, rules) = (kind.operations, Origin::BuiltIn, Rules::default());
            return Ok(Source { operations, origin, rules, start: Box::new(kind.start) });
        }
        if self.refused.is_empty() {
            let brought = self.brought.iter().map(|one| one.name.as_str());
            let known = self.built_in.iter().map(|kind| kind.name).chain(brought);
            return Err(NoKind::Unknown(unknown_kind(known, &of.kind)));
        }
        let why: Vec<&str> = self.refused.iter().map(|(why, _)| why.as_str()).collect();
        let why = format!("kind \"{}\" is in no library that could be loaded: {}", of.kind, why.join("; "));
        Err(NoKind::Refused(why, ANY_OPERATION))
    }
}

impl Source {
    /// What an instance is made of, if it is one that may go on: linked in, and with a
    /// provider of whom it remembers something.
    fn made_of(&self, of: &Strategy, host: &Host) -> Option<MadeOf> {
        let Operations { resume, notice, logout, .. } = self.operations;
        if self.origin != Origin::BuiltIn || !(resume && (notice || logout)) {
            return None;
        }
        let Strategy { id, kind, title, required, settings, admission: _ } = of;
        let files = portcullis_config::files_of(settings);
        MadeOf::of_files(&json!([id, kind, title, required, settings, host.cores]), files)
    }

    fn start(self, of: &Strategy, host: Host) -> Begun {
        let Self { operations, origin, rules, start } = self;
        let started = runner::start(start(of.settings.clone(), host));
        Begun { operations, origin, rules, started }
    }
}

impl Begun {
    async fn finish(self, of: &Strategy) -> Result<Instance, Vec<SettingsProblem>> {
        let Self { operations, origin, rules, started } = self;
        match runner::started(started, rules.timeout).await {
            Ok(strategy) => Ok(Instance::started(of, strategy, origin, rules)),
            Err(StartError::Settings(problems)) if !problems.is_empty() => Err(problems),
            Err(StartError::Settings(_)) => {
                Err(vec![of_the_table("refused its settings without saying why")])
            }
            Err(StartError::Failed(reason)) => failed(of, operations, origin, reason),
        }
    }
}

impl NoKind {
    fn finish(self, of: &Strategy) -> Result<Instance, Vec<SettingsProblem>> {
        match self {
            Self::Unknown(problem) => Err(vec![problem]),
            Self::Refused(why, operations) => failed(of, operations, Origin::Library("none".to_owned()), why),
        }
    }
}

/// Of a kind that nobody knows: whatever is asked of it is answered *unavailable*, for to
/// deny that it has such an end would be an answer that a provider believes.
const ANY_OPERATION: Operations = Operations {
    resume: true,
    credentials: false,
    refresh: true,
    logout: true,
    notice: true,
    change_secret: true,
    diagnose: true,
};

/// In its place, but for nobody's use.
fn failed(
    of: &Strategy,
    operations: Operations,
    origin: Origin,
    reason: String,
) -> Result<Instance, Vec<SettingsProblem>> {
    if of.required {
        return Err(vec![of_the_table(&format!("is required and did not start: {reason}"))]);
    }
    tracing::warn!(strategy = %of.id, kind = %of.kind, error = %reason, "the strategy did not start");
    Ok(Instance::failed(of, operations, origin, reason))
}

fn of_the_table(what: &str) -> SettingsProblem {
    SettingsProblem { path: Vec::new(), message: format!("the strategy {what}"), expected: None }
}

fn unknown_kind<'n>(kinds: impl Iterator<Item = &'n str>, wanted: &str) -> SettingsProblem {
    let names: Vec<_> = kinds.map(|name| format!("`{name}`")).collect();
    SettingsProblem::at("kind", format!("there is no strategy kind `{wanted}`"))
        .expected(format!("one of {}", names.join(", ")))
}
