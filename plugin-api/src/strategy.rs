//! The trait that an author implements, and its object-safe twin that the gateway holds.

use crate::{Begin, Call, CredentialOp, CredentialReply, Object, Outcome, StartError, StrategyError};
use std::{future::Future, pin::Pin, sync::Arc};

/// What a strategy answers to a call.
pub type Answer<T> = Result<T, StrategyError>;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a strategy can do beyond `begin`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// The gateway keeps a credential for it, looks it up before `begin` by who wants to
    /// sign in, and counts failed attempts on it.
    pub credentials: bool,
}

/// Fills a slice with unpredictable bytes.
pub type RandomSource = dyn Fn(&mut [u8]) + Send + Sync;

/// What the gateway lends to a strategy.
#[derive(Clone)]
pub struct Host {
    /// Fills the slice with unpredictable bytes.
    pub random: Arc<RandomSource>,
    /// How many cores the gateway may use.
    pub cores: usize,
}

/// A way to sign in. Written with plain `async fn`.
pub trait Strategy: Send + Sync + Sized + 'static {
    /// What `kind` in the configuration says: `[a-z][a-z0-9-]{0,31}`.
    const KIND: &'static str;
    /// What beyond `begin` it does.
    const OPERATIONS: Operations;

    /// Makes an instance of its settings: its own table of the configuration without
    /// the keys that are the gateway's (`kind`, `title`, `required`).
    fn start(settings: Object, host: Host) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// The first step of a login. The gateway gives it ten seconds, runs at most 256 of
    /// them at a time, and drops the future when the client leaves.
    fn begin(&self, call: &Call, request: Begin) -> impl Future<Output = Answer<Outcome>> + Send;

    /// Makes or takes over a credential.
    fn credentials(
        &self,
        _call: &Call,
        _op: CredentialOp,
    ) -> impl Future<Output = Answer<CredentialReply>> + Send {
        async { Err(StrategyError::Unsupported) }
    }

    /// How much of its work waits for a thread of its own, for the metrics.
    fn queued(&self) -> usize {
        0
    }
}

/// [`Strategy`] as the gateway holds it, whatever its origin.
pub trait DynStrategy: Send + Sync {
    /// See [`Strategy::KIND`].
    fn kind(&self) -> &'static str;
    /// See [`Strategy::OPERATIONS`].
    fn operations(&self) -> Operations;
    /// See [`Strategy::begin`].
    fn begin<'a>(&'a self, call: &'a Call, request: Begin) -> Boxed<'a, Answer<Outcome>>;
    /// See [`Strategy::credentials`].
    fn credentials<'a>(&'a self, call: &'a Call, op: CredentialOp) -> Boxed<'a, Answer<CredentialReply>>;
    /// See [`Strategy::queued`].
    fn queued(&self) -> usize;
}

impl<S: Strategy> DynStrategy for S {
    fn kind(&self) -> &'static str {
        S::KIND
    }

    fn operations(&self) -> Operations {
        S::OPERATIONS
    }

    fn begin<'a>(&'a self, call: &'a Call, request: Begin) -> Boxed<'a, Answer<Outcome>> {
        Box::pin(Strategy::begin(self, call, request))
    }

    fn credentials<'a>(&'a self, call: &'a Call, op: CredentialOp) -> Boxed<'a, Answer<CredentialReply>> {
        Box::pin(Strategy::credentials(self, call, op))
    }

    fn queued(&self) -> usize {
        Strategy::queued(self)
    }
}

/// What making an instance answers.
pub type Started = Result<Arc<dyn DynStrategy>, StartError>;

/// Starts a strategy and hides its type: the constructor that a registry keeps by kind.
pub fn start<S: Strategy>(settings: Object, host: Host) -> Boxed<'static, Started> {
    Box::pin(async move { S::start(settings, host).await.map(|s| Arc::new(s) as Arc<dyn DynStrategy>) })
}
