//! What every verb about accounts and sessions works with: the configuration, the store, time, randomness.

use super::super::output::{Failure, safe};
use crate::{
    accounts::{manage::House, name},
    clock::Clock,
    random::Random,
    registry::Registry,
    sessions::Account,
    store::{OpenMode, Store, StoreError, StoreOptions},
};
use portcullis_config::Config;

/// Made once for a verb.
pub(in crate::cli) struct Room {
    pub(in crate::cli) config: Config,
    pub(in crate::cli) store: Store,
    pub(in crate::cli) clock: Clock,
    pub(in crate::cli) random: Random,
}

impl Room {
    /// Opens the store, which only `serve` and `demo` make.
    pub(in crate::cli) fn open(config: Config) -> Result<Self, Failure> {
        let (clock, random) = (Clock::system(), Random::system());
        let store = Store::open(StoreOptions {
            path: config.store.path.clone(),
            key: config.store.key.clone(),
            mode: OpenMode::Command,
            clock: clock.clone(),
            random: random.clone(),
        })
        .map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self { config, store, clock, random })
    }

    /// What managing accounts works with.
    pub(in crate::cli) fn house<'a>(&'a self, registry: &'a Registry) -> House<'a> {
        let Self { config, store, clock, random } = self;
        House { config, store, registry, clock, random }
    }

    /// The account of this name, however it is spelled.
    pub(in crate::cli) async fn account(&self, name: &str) -> Result<Account, Failure> {
        let found = self.store.account_by_name(&name::fold(name)).await.map_err(stuck)?;
        found.ok_or_else(|| {
            let name = safe(name);
            Failure::new(format!("there is no account `{name}`; `portcullis user list` shows all"))
        })
    }
}

/// A store that is open but does not answer.
pub(in crate::cli) fn stuck(error: StoreError) -> Failure {
    Failure::new(format!("the store did not answer: {error}"))
}
