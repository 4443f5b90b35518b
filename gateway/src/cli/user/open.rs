//! What every `user` verb works with: the configuration, the store, time, randomness.

use super::super::output::{Failure, safe};
use crate::{
    accounts::name,
    clock::Clock,
    random::Random,
    sessions::Account,
    store::{Store, StoreError},
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
    pub(super) async fn open(config: Config) -> Result<Self, Failure> {
        let (clock, random) = (Clock::system(), Random::system());
        let store = open(&config).map_err(stuck)?;
        Ok(Self { config, store, clock, random })
    }

    /// The account of this name, however it is spelled.
    pub(super) async fn account(&self, name: &str) -> Result<Account, Failure> {
        let found = self.store.account_by_name(&name::fold(name)).await.map_err(stuck)?;
        found.ok_or_else(|| {
            let name = safe(name);
            Failure::new(format!("there is no account `{name}`; `portcullis user list` shows all"))
        })
    }
}

/// The store's own words: they name its path and what to do.
pub(in crate::cli) fn stuck(error: StoreError) -> Failure {
    Failure::new(error.0)
}

/// Until the store can be opened.
fn open(_config: &Config) -> Result<Store, StoreError> {
    Err(StoreError("the store is not built yet".into()))
}
