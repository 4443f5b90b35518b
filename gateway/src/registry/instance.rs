//! A configured strategy: what the configuration calls it, and the calls it takes.

use super::{
    counts::Counts,
    rules::Rules,
    runner::{CallError, Runner},
};
use portcullis_plugin_api::{
    Begin, Call, ChangeSecret, CredentialOp, CredentialReply, Diagnose, DynStrategy, Logout, LogoutReply,
    Notice, NoticeReply, Operations, Outcome, Refresh, Resume, Step, StoredCredential,
};
use std::sync::Arc;

/// Where a strategy's code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Linked into the program.
    BuiltIn,
    /// Out of the library of this `[plugins.NAME]`.
    Library(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::Library(name) => write!(f, "library {name}"),
        }
    }
}

/// One `[strategies.ID]`. Cheap to clone.
#[derive(Clone)]
pub struct Instance(Arc<Inner>);

struct Inner {
    id: String,
    kind: String,
    title: String,
    operations: Operations,
    origin: Origin,
    code: Result<Runner, String>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("id", &self.0.id).field("kind", &self.0.kind).finish_non_exhaustive()
    }
}

impl Instance {
    pub(super) fn started(
        of: &portcullis_config::Strategy,
        strategy: Arc<dyn DynStrategy>,
        origin: Origin,
        rules: Rules,
    ) -> Self {
        let operations = strategy.operations();
        Self::new(of, operations, origin, Ok(Runner::new(of.id.clone(), strategy, rules)))
    }

    pub(super) fn failed(
        of: &portcullis_config::Strategy,
        operations: Operations,
        origin: Origin,
        reason: String,
    ) -> Self {
        Self::new(of, operations, origin, Err(reason))
    }

    fn new(
        of: &portcullis_config::Strategy,
        operations: Operations,
        origin: Origin,
        code: Result<Runner, String>,
    ) -> Self {
        let (id, kind, title) = (of.id.clone(), of.kind.clone(), of.title.clone());
        Self(Arc::new(Inner { id, kind, title, operations, origin, code }))
    }

    /// The `:strategy` of the URL.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Which module implements it.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// What its button says.
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// What beyond `begin` it does.
    pub fn operations(&self) -> Operations {
        self.0.operations
    }

    /// Whether a provider vouches, to whom people are sent, rather than a form of ours.
    pub fn has_provider(&self) -> bool {
        let operations = self.0.operations;
        operations.resume && (operations.notice || operations.logout)
    }

    /// Where its code comes from.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// What its calls came to; none: it did not start.
    pub fn counts(&self) -> Option<&Counts> {
        self.0.code.as_ref().ok().map(Runner::counts)
    }

    /// How many calls it has in flight.
    pub fn in_flight(&self) -> usize {
        self.0.code.as_ref().map_or(0, Runner::in_flight)
    }

    /// Why it did not start, if it did not: it then answers every call with
    /// [`CallError::Unavailable`].
    pub fn failure(&self) -> Option<&str> {
        self.0.code.as_ref().err().map(String::as_str)
    }

    /// Whether it did not start, or is set aside because it keeps failing.
    pub fn is_degraded(&self) -> bool {
        self.0.code.as_ref().map_or(true, Runner::is_set_aside)
    }

    /// How much of its work waits for a thread.
    pub fn queued(&self) -> usize {
        self.0.code.as_ref().map_or(0, Runner::queued)
    }

    fn runner(&self) -> Result<&Runner, CallError> {
        self.0.code.as_ref().map_err(|_| CallError::Unavailable)
    }

    /// The first step of a login. Dropping the future cancels the call.
    pub async fn begin(&self, call: Call, request: Begin) -> Result<Outcome, CallError> {
        let credential = request.credential.clone();
        let keeps = self.0.operations.credentials;
        let check = move |outcome: &Outcome| check_outcome(outcome, credential.as_ref(), keeps);
        self.runner()?
            .run(call, check, move |strategy, call| {
                Box::pin(async move { strategy.begin(&call, request).await })
            })
            .await
    }

    /// Makes or takes over a credential.
    pub async fn credentials(&self, call: Call, op: CredentialOp) -> Result<CredentialReply, CallError> {
        if !self.0.operations.credentials {
            return Err(CallError::Unsupported);
        }
        let check = |reply: &CredentialReply| {
            if reply.secret.is_empty() { Err("it gave an empty secret to store") } else { Ok(()) }
        };
        self.runner()?
            .run(call, check, move |strategy, call| {
                Box::pin(async move { strategy.credentials(&call, op).await })
            })
            .await
    }

    /// A further step of a login. Dropping the future cancels the call.
    pub async fn resume(&self, call: Call, request: Resume) -> Result<Outcome, CallError> {
        self.offers(self.0.operations.resume)?
            .run(call, anything, move |strategy, call| {
                Box::pin(async move { strategy.resume(&call, request).await })
            })
            .await
    }

    /// Looks again at somebody who signed in: the same subject, or nobody.
    pub async fn refresh(&self, call: Call, request: Refresh) -> Result<Outcome, CallError> {
        let subject = request.subject.clone();
        let check = move |outcome: &Outcome| match outcome {
            Outcome::Authenticated(who) if who.subject == subject => Ok(()),
            Outcome::Denied(_) => Ok(()),
            _ => Err("it answered a refresh with another subject, or with a further step"),
        };
        self.offers(self.0.operations.refresh)?
            .run(call, check, move |strategy, call| {
                Box::pin(async move { strategy.refresh(&call, request).await })
            })
            .await
    }

    /// Somebody signs out.
    pub async fn logout(&self, call: Call, request: Logout) -> Result<LogoutReply, CallError> {
        self.offers(self.0.operations.logout)?
            .run(call, anything, move |strategy, call| {
                Box::pin(async move { strategy.logout(&call, request).await })
            })
            .await
    }

    /// Verifies what a provider says of a logout there.
    pub async fn notice(&self, call: Call, request: Notice) -> Result<NoticeReply, CallError> {
        let check = |reply: &NoticeReply| match (&reply.subject, &reply.provider_session) {
            (None, None) => Err("it verified a notice that names nobody"),
            _ => Ok(()),
        };
        self.offers(self.0.operations.notice)?
            .run(call, check, move |strategy, call| {
                Box::pin(async move { strategy.notice(&call, request).await })
            })
            .await
    }

    /// Changes a secret of the same subject.
    pub async fn change_secret(&self, call: Call, request: ChangeSecret) -> Result<Outcome, CallError> {
        let subject = request.subject.clone();
        let check = move |outcome: &Outcome| match outcome {
            Outcome::Authenticated(who) if who.subject == subject => Ok(()),
            Outcome::Denied(_) => Ok(()),
            _ => Err("it answered a change with another subject, or with a further step"),
        };
        self.offers(self.0.operations.change_secret)?
            .run(call, check, move |strategy, call| {
                Box::pin(async move { strategy.change_secret(&call, request).await })
            })
            .await
    }

    /// Tries out, step by step, what a login needs.
    pub async fn diagnose(&self, call: Call, request: Diagnose) -> Result<Vec<Step>, CallError> {
        self.offers(self.0.operations.diagnose)?
            .run(call, anything, move |strategy, call| {
                Box::pin(async move { strategy.diagnose(&call, request).await })
            })
            .await
    }

    fn offers(&self, offered: bool) -> Result<&Runner, CallError> {
        if offered { self.runner() } else { Err(CallError::Unsupported) }
    }
}

fn anything<T>(_: &T) -> Result<(), &'static str> {
    Ok(())
}

/// A strategy for which the gateway keeps credentials may authenticate the subject of the
/// one it was handed, and nobody else; so without one it may authenticate nobody.
fn check_outcome(
    outcome: &Outcome,
    credential: Option<&StoredCredential>,
    keeps: bool,
) -> Result<(), &'static str> {
    let Outcome::Authenticated(who) = outcome else { return Ok(()) };
    match credential {
        Some(credential) if credential.subject != who.subject => {
            Err("it authenticated another subject than that of the credential it was handed")
        }
        None if keeps => Err("it authenticated somebody without having been handed a credential"),
        None if who.renewed_secret.is_some() => Err("it renewed a secret that it was not handed"),
        _ => Ok(()),
    }
}
