//! What the gateway can do now: told by whoever starts, drains and reloads it, asked by the
//! admin listener.

use crate::{
    app::Draining,
    control::Control,
    metrics::{Metrics, Sources},
    registry::Registry,
};
use arc_swap::ArcSwap;
use std::{sync::Arc, time::Duration};

/// How long the store may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shared by the composition root and the admin listener.
pub struct Standing {
    /// Where the numbers are that somebody keeps anyway.
    pub(super) sources: Sources,
    /// What is counted.
    pub(super) metrics: Arc<Metrics>,
    pub(super) control: Arc<ArcSwap<Control>>,
    draining: Draining,
}

/// What is not ready, and what is worse than it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Readiness {
    /// The store answers.
    pub(super) store: bool,
    /// It is about to end, and accepts no more connections.
    pub(super) draining: bool,
    /// Strategies that did not start or are set aside: a flag, not a failure, for everything
    /// else works.
    pub(super) degraded: Vec<String>,
}

impl Standing {
    /// Of a gateway that accepts connections.
    pub fn new(
        sources: Sources,
        metrics: Arc<Metrics>,
        control: Arc<ArcSwap<Control>>,
        draining: Draining,
    ) -> Self {
        Self { sources, metrics, control, draining }
    }

    /// The configuration was read again: taken, or refused and the old one kept.
    pub fn reloaded(&self, taken: bool) {
        self.metrics.reload(taken);
    }

    /// The strategies in use now.
    pub(super) fn registry(&self) -> Registry {
        self.control.load().registry.clone()
    }

    pub(super) async fn readiness(&self) -> Readiness {
        let asked = tokio::time::timeout(PATIENCE, self.sources.store.newest_event()).await;
        let registry = self.registry();
        let degraded = registry.list().iter().filter(|one| one.is_degraded()).map(|one| one.id().to_owned());
        Readiness {
            store: matches!(asked, Ok(Ok(_))),
            draining: self.draining.is_set(),
            degraded: degraded.collect(),
        }
    }
}

impl Readiness {
    /// Whether requests may be sent here.
    pub(super) fn is_ready(&self) -> bool {
        self.store && !self.draining
    }
}
