//! The control plane's endpoints: which path is which operation (contract, section 5).

use crate::{
    clock::Clock, pages::Pages, random::Random, registry::Registry, sessions::Sessions, store::Store,
    tokens::Tokens,
};
use portcullis_config::Config;
use std::sync::Arc;

/// What an endpoint may use.
pub struct Control {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// What survives.
    pub store: Store,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Signs and verifies.
    pub tokens: Arc<Tokens>,
    /// Strategies by id.
    pub registry: Registry,
    /// What a browser is shown.
    pub pages: Arc<Pages>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
}
