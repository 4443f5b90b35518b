//! A reload: the whole next configuration is built beside the one in force and put in
//! its place, or nothing changes and the log says why. Requests under way end by the
//! configuration that they began with. What is made of the same as before goes on with what it
//! remembers of those who vouch for people: they may be away just now.
//!
//! What may not come in: reading the file (the command line knows which one it is).

use super::{
    keep::{keep, keep_parties},
    url,
};
use crate::{
    control::Control,
    pages::Pages,
    proxy::worker::Plane,
    registry::Registry,
    snapshot::Snapshot,
    tls::Tls,
    tokens::{Foreign, Keeper},
};
use arc_swap::ArcSwap;
use portcullis_config::{Config, Problem};
use portcullis_plugin_api::Host;
use std::{net::SocketAddr, sync::Arc};

/// Reads the configuration again.
pub type Loader = Box<dyn Fn() -> Result<Config, Vec<Problem>> + Send>;

/// What is in force, and where those who use it look for it.
pub(super) struct InForce {
    /// The configuration.
    pub(super) config: Arc<Config>,
    /// Where the file asked to listen, before the system chose ports.
    pub(super) asked: Vec<SocketAddr>,
    /// Which configuration this is, counted from 1.
    pub(super) generation: u64,
    /// What the data plane reads.
    pub(super) plane: Plane,
    /// What sees to the signing keys.
    pub(super) keeper: Arc<Keeper>,
    /// What endpoints use.
    pub(super) control: Arc<ArcSwap<Control>>,
}

/// Everything that is made of a configuration.
struct Next {
    config: Arc<Config>,
    snapshot: Snapshot,
    pages: Arc<Pages>,
    registry: Registry,
    foreign: Arc<Foreign>,
}

impl InForce {
    /// Puts the next configuration in the place of this one, or keeps this one;
    /// says which.
    pub(super) async fn reload(&mut self, load: &Loader) -> bool {
        let next = match load() {
            Ok(config) => self.build(config).await,
            Err(problems) => Err(problems),
        };
        let taken = next.is_ok();
        match next {
            Ok((next, kept)) => {
                self.put(next);
                let (token, assertion) = (&self.config.token, &self.config.assertion);
                if let Err(error) = self.keeper.follow(token, assertion).await {
                    tracing::error!(%error, "the signing keys stay as they were: reload again");
                }
                for what in kept {
                    tracing::warn!("{what} has changed in the file and needs a restart: the old value stays");
                }
                tracing::info!(generation = self.generation, "configuration reloaded");
            }
            Err(problems) => {
                for problem in problems {
                    tracing::error!(place = %problem.place, help = problem.help.as_deref(), "{}", problem.message);
                }
                tracing::error!(
                    generation = self.generation,
                    "configuration not reloaded: the one before stays in force"
                );
            }
        }
        taken
    }

    async fn build(&self, mut config: Config) -> Result<(Next, Vec<&'static str>), Vec<Problem>> {
        let mut kept = keep(&mut config, &self.config, &self.asked);
        url::settle(&mut config, &self.config.server.listen);
        keep_parties(&mut config, &self.config, &mut kept);
        let tls = Tls::load(&config, &self.plane.clock)?;
        for warning in config.warnings.iter().chain(&tls.warnings) {
            tracing::warn!(place = %warning.place, help = warning.help.as_deref(), "{}", warning.message);
        }
        let pages = Arc::new(Pages::new(&config)?);
        let host = Host {
            random: self.plane.random.shared(),
            now: self.plane.clock.shared(),
            cores: config.server.threads,
        };
        let registry = Registry::serve(&config, host).await?;
        let before = self.control.load_full();
        let lost = registry.lost_since(&before.registry);
        if !lost.is_empty() {
            return Err(lost);
        }
        let registry = registry.keeping(&before.registry);
        let foreign = Foreign::load(&config, &self.plane.clock)?.keeping(&self.plane.tokens.foreign());
        let mut snapshot = Snapshot::new(&config, &tls);
        snapshot.adopt(&self.plane.snapshot.load());
        Ok((Next { config: Arc::new(config), snapshot, pages, registry, foreign }, kept))
    }

    /// Nothing here can fail or wait: either all of it is the next one or nothing is.
    fn put(&mut self, next: Next) {
        let Next { config, snapshot, pages, registry, foreign } = next;
        self.plane.tokens.trust(foreign);
        let control = Control::clone(&self.control.load());
        let control = Control { config: config.clone(), registry, pages: pages.clone(), ..control };
        self.control.store(Arc::new(control));
        self.plane.pages.store(pages);
        self.plane.snapshot.store(Arc::new(snapshot));
        self.config = config;
        self.generation += 1;
    }
}
