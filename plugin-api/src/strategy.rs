//! The trait that an author implements, and its object-safe twin that the gateway holds.

use crate::{
    Begin, Call, ChangeSecret, CredentialOp, CredentialReply, Diagnose, Health, Logout, LogoutReply, Notice,
    NoticeReply, Object, Outcome, Refresh, Resume, StartError, Step, StrategyError,
};
use std::{future::Future, pin::Pin, sync::Arc};

/// What a strategy answers to a call.
pub type Answer<T> = Result<T, StrategyError>;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a strategy can do beyond `begin`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// A login may have further steps.
    pub resume: bool,
    /// The gateway keeps a credential for it, looks it up before `begin` by who wants to
    /// sign in, and counts failed attempts on it.
    pub credentials: bool,
    /// It can look again at somebody who signed in.
    pub refresh: bool,
    /// It wants to hear of a logout.
    pub logout: bool,
    /// A provider may tell it of logouts there.
    pub notice: bool,
    /// People can change their secret through it.
    pub change_secret: bool,
    /// It can say what works and what does not.
    pub diagnose: bool,
}

impl Operations {
    /// `begin` and nothing else.
    pub const NONE: Self = Self {
        resume: false,
        credentials: false,
        refresh: false,
        logout: false,
        notice: false,
        change_secret: false,
        diagnose: false,
    };

    /// Their names, as a library's information and a message say them.
    pub fn names(self) -> Vec<String> {
        let all = [
            ("resume", self.resume),
            ("credentials", self.credentials),
            ("refresh", self.refresh),
            ("logout", self.logout),
            ("notice", self.notice),
            ("change_secret", self.change_secret),
            ("diagnose", self.diagnose),
        ];
        all.into_iter().filter(|(_, does)| *does).map(|(name, _)| name.to_owned()).collect()
    }

    /// Those that are named; an unknown name is of a later minor version.
    pub fn named(names: &[String]) -> Self {
        let has = |name: &str| names.iter().any(|one| one == name);
        Self {
            resume: has("resume"),
            credentials: has("credentials"),
            refresh: has("refresh"),
            logout: has("logout"),
            notice: has("notice"),
            change_secret: has("change_secret"),
            diagnose: has("diagnose"),
        }
    }

    /// What both do.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            resume: self.resume && other.resume,
            credentials: self.credentials && other.credentials,
            refresh: self.refresh && other.refresh,
            logout: self.logout && other.logout,
            notice: self.notice && other.notice,
            change_secret: self.change_secret && other.change_secret,
            diagnose: self.diagnose && other.diagnose,
        }
    }
}

/// Fills a slice with unpredictable bytes.
pub type RandomSource = dyn Fn(&mut [u8]) + Send + Sync;

/// What the gateway lends to a strategy.
#[derive(Clone)]
pub struct Host {
    /// Fills the slice with unpredictable bytes.
    pub random: Arc<RandomSource>,
    /// Milliseconds since 1970.
    pub now: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// How many cores the gateway may use.
    pub cores: usize,
}

/// A way to sign in. Written with plain `async fn`.
pub trait Strategy: Send + Sync + Sized + 'static {
    /// What `kind` in the configuration says: `[a-z][a-z0-9-]{0,31}`.
    const KIND: &'static str;
    /// What beyond `begin` it does.
    const OPERATIONS: Operations;

    /// What this instance does of it: less, where its settings leave something out.
    fn offered(&self) -> Operations {
        Self::OPERATIONS
    }

    /// Makes an instance of its settings: its own table of the configuration without
    /// the keys that are the gateway's (`kind`, `title`, `required`, `admit`, …).
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

    /// A further step of a login.
    fn resume(&self, _call: &Call, _request: Resume) -> impl Future<Output = Answer<Outcome>> + Send {
        async { Err(StrategyError::Unsupported) }
    }

    /// Looks again at somebody who signed in.
    fn refresh(&self, _call: &Call, _request: Refresh) -> impl Future<Output = Answer<Outcome>> + Send {
        async { Err(StrategyError::Unsupported) }
    }

    /// Somebody signs out.
    fn logout(&self, _call: &Call, _request: Logout) -> impl Future<Output = Answer<LogoutReply>> + Send {
        async { Err(StrategyError::Unsupported) }
    }

    /// Verifies what a provider says of a logout there.
    fn notice(&self, _call: &Call, _request: Notice) -> impl Future<Output = Answer<NoticeReply>> + Send {
        async { Err(StrategyError::Unsupported) }
    }

    /// Changes a secret.
    fn change_secret(
        &self,
        _call: &Call,
        _request: ChangeSecret,
    ) -> impl Future<Output = Answer<Outcome>> + Send {
        async { Err(StrategyError::Unsupported) }
    }

    /// Tries out, step by step, what a login needs.
    fn diagnose(&self, _call: &Call, _request: Diagnose) -> impl Future<Output = Answer<Vec<Step>>> + Send {
        async { Err(StrategyError::Unsupported) }
    }

    /// How it does. Asked by `/readyz` and before a probe; it must answer from what it knows.
    fn health(&self, _call: &Call) -> impl Future<Output = Answer<Health>> + Send {
        async { Ok(Health::Healthy) }
    }

    /// How much of its work waits for a thread of its own, for the metrics.
    fn queued(&self) -> usize {
        0
    }
}

/// [`Strategy`] as the gateway holds it, whatever its origin.
pub trait DynStrategy: Send + Sync {
    /// See [`Strategy::KIND`].
    fn kind(&self) -> &str;
    /// See [`Strategy::offered`].
    fn operations(&self) -> Operations;
    /// See [`Strategy::begin`].
    fn begin<'a>(&'a self, call: &'a Call, request: Begin) -> Boxed<'a, Answer<Outcome>>;
    /// See [`Strategy::credentials`].
    fn credentials<'a>(&'a self, call: &'a Call, op: CredentialOp) -> Boxed<'a, Answer<CredentialReply>>;
    /// See [`Strategy::resume`].
    fn resume<'a>(&'a self, call: &'a Call, request: Resume) -> Boxed<'a, Answer<Outcome>>;
    /// See [`Strategy::refresh`].
    fn refresh<'a>(&'a self, call: &'a Call, request: Refresh) -> Boxed<'a, Answer<Outcome>>;
    /// See [`Strategy::logout`].
    fn logout<'a>(&'a self, call: &'a Call, request: Logout) -> Boxed<'a, Answer<LogoutReply>>;
    /// See [`Strategy::notice`].
    fn notice<'a>(&'a self, call: &'a Call, request: Notice) -> Boxed<'a, Answer<NoticeReply>>;
    /// See [`Strategy::change_secret`].
    fn change_secret<'a>(&'a self, call: &'a Call, request: ChangeSecret) -> Boxed<'a, Answer<Outcome>>;
    /// See [`Strategy::diagnose`].
    fn diagnose<'a>(&'a self, call: &'a Call, request: Diagnose) -> Boxed<'a, Answer<Vec<Step>>>;
    /// See [`Strategy::health`].
    fn health<'a>(&'a self, call: &'a Call) -> Boxed<'a, Answer<Health>>;
    /// See [`Strategy::queued`].
    fn queued(&self) -> usize;
}

impl<S: Strategy> DynStrategy for S {
    fn kind(&self) -> &str {
        S::KIND
    }

    fn operations(&self) -> Operations {
        self.offered()
    }

    fn begin<'a>(&'a self, call: &'a Call, request: Begin) -> Boxed<'a, Answer<Outcome>> {
        Box::pin(Strategy::begin(self, call, request))
    }

    fn credentials<'a>(&'a self, call: &'a Call, op: CredentialOp) -> Boxed<'a, Answer<CredentialReply>> {
        Box::pin(Strategy::credentials(self, call, op))
    }

    fn resume<'a>(&'a self, call: &'a Call, request: Resume) -> Boxed<'a, Answer<Outcome>> {
        Box::pin(Strategy::resume(self, call, request))
    }

    fn refresh<'a>(&'a self, call: &'a Call, request: Refresh) -> Boxed<'a, Answer<Outcome>> {
        Box::pin(Strategy::refresh(self, call, request))
    }

    fn logout<'a>(&'a self, call: &'a Call, request: Logout) -> Boxed<'a, Answer<LogoutReply>> {
        Box::pin(Strategy::logout(self, call, request))
    }

    fn notice<'a>(&'a self, call: &'a Call, request: Notice) -> Boxed<'a, Answer<NoticeReply>> {
        Box::pin(Strategy::notice(self, call, request))
    }

    fn change_secret<'a>(&'a self, call: &'a Call, request: ChangeSecret) -> Boxed<'a, Answer<Outcome>> {
        Box::pin(Strategy::change_secret(self, call, request))
    }

    fn diagnose<'a>(&'a self, call: &'a Call, request: Diagnose) -> Boxed<'a, Answer<Vec<Step>>> {
        Box::pin(Strategy::diagnose(self, call, request))
    }

    fn health<'a>(&'a self, call: &'a Call) -> Boxed<'a, Answer<Health>> {
        Box::pin(Strategy::health(self, call))
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
