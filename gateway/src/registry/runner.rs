//! The one guard around every call to a strategy, whatever its origin: slots, deadline,
//! cancellation when the client leaves, panics, and answers that it may not give.

use super::{
    builtin::Starting,
    counts::{Counts, Outcome as Came},
    health::{Change, Health, Sign},
    rules::Rules,
};
use portcullis_plugin_api::{
    Answer, Call, CredentialReply, DynStrategy, LogoutReply, NoticeReply, Outcome, StartError, Started, Step,
    StrategyError,
};
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinHandle},
};

/// Why there is no answer of the strategy. Details are in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// Too many calls at once; the client may try again.
    Busy,
    /// It could not decide.
    Unavailable,
    /// What is known of this one person cannot be used.
    Unusable,
    /// A provider answered it what it may not answer.
    ProviderInvalid,
    /// The request's fields are of no use to it.
    BadRequest {
        /// The field at fault.
        field: String,
        /// What is wrong with it, for the client.
        message: String,
    },
    /// The new secret is too weak; the text says what to change.
    Weak(String),
    /// It does not offer this operation.
    Unsupported,
}

/// The future of a call, free of borrows so that it can be a task.
pub(super) type Calling<T> = Pin<Box<dyn Future<Output = Answer<T>> + Send>>;

/// What an answer tells of the instance's health.
pub(super) trait Telling: Send + 'static {
    fn sign(&self) -> Sign;

    /// Refuses what no strategy may answer.
    fn keep_to(&mut self, _rules: &Rules) -> Result<(), &'static str> {
        Ok(())
    }
}

impl Telling for Outcome {
    fn sign(&self) -> Sign {
        match self {
            Self::Authenticated(_) | Self::Denied(_) => Sign::Good,
            _ => Sign::None,
        }
    }

    fn keep_to(&mut self, rules: &Rules) -> Result<(), &'static str> {
        rules.outcome(self)
    }
}

impl Telling for LogoutReply {
    fn sign(&self) -> Sign {
        Sign::Good
    }

    fn keep_to(&mut self, rules: &Rules) -> Result<(), &'static str> {
        rules.logout(self)
    }
}

/// An answer of any of these kinds shows that the strategy works.
macro_rules! good {
    ($($answer:ty),*) => {$(
        impl Telling for $answer {
            fn sign(&self) -> Sign {
                Sign::Good
            }
        }
    )*};
}
good!(CredentialReply, NoticeReply);

/// A diagnosis may be asked of a broken strategy, and says so itself.
impl Telling for Vec<Step> {
    fn sign(&self) -> Sign {
        Sign::None
    }
}

/// An instance, and what the guard remembers of it.
pub(super) struct Runner {
    id: String,
    strategy: Arc<dyn DynStrategy>,
    slots: Arc<Semaphore>,
    rules: Rules,
    health: Health,
    counts: Counts,
}

impl Runner {
    pub(super) fn new(id: String, strategy: Arc<dyn DynStrategy>, rules: Rules) -> Self {
        let slots = Arc::new(Semaphore::new(rules.slots));
        Self { id, strategy, slots, rules, health: Health::default(), counts: Counts::default() }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn in_flight(&self) -> usize {
        self.rules.slots.saturating_sub(self.slots.available_permits())
    }

    /// Whether it is set aside because it keeps failing.
    pub(super) fn is_set_aside(&self) -> bool {
        self.health.is_set_aside()
    }

    /// How much of its work waits for a thread.
    pub(super) fn queued(&self) -> usize {
        self.strategy.queued()
    }

    /// Makes one call and judges its answer with `check`.
    pub(super) async fn run<T: Telling>(
        &self,
        call: Call,
        check: impl FnOnce(&T) -> Result<(), &'static str>,
        make: impl FnOnce(Arc<dyn DynStrategy>, Call) -> Calling<T>,
    ) -> Result<T, CallError> {
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            self.counts.refused(Came::Busy);
            self.counts.say_busy(&self.id);
            return Err(CallError::Busy);
        };
        let Some(pass) = self.health.admit() else {
            self.counts.refused(Came::SetAside);
            return Err(CallError::Unavailable);
        };
        let left = self.counts.begin();
        let request_id = call.request_id.clone();
        let calling = make(self.strategy.clone(), call);
        // A task, so that a strategy that blocks its thread misses the deadline all the
        // same; the slot goes with it, for it is taken until the call has really ended.
        let called = task(async move {
            let _slot = slot;
            calling.await
        });
        let called = ended(called, self.rules.timeout).await;
        left.came_to(called.as_ref().map_or_else(Failure::came, |answer| Came::of(answer.as_ref().err())));
        let answer = called.unwrap_or_else(|failure| Err(StrategyError::Failed(failure.to_string())));
        let sign = match &answer {
            Ok(answer) => answer.sign(),
            Err(error) => sign_of(error),
        };
        let (answer, sign) = match answer {
            Ok(mut answer) => match answer.keep_to(&self.rules).and_then(|()| check(&answer)) {
                Ok(()) => (Ok(answer), sign),
                // It did answer, and what one person may not have said of them closes the way in
                // for nobody else: somebody in very many groups could otherwise do that.
                Err(why) => (Err(StrategyError::Failed(why.to_owned())), Sign::None),
            },
            Err(error) => (Err(error), sign),
        };
        self.log_change(pass.tell(sign));
        answer.map_err(|error| self.log(error, &request_id))
    }

    fn log(&self, error: StrategyError, request_id: &str) -> CallError {
        match error {
            StrategyError::Busy => CallError::Busy,
            StrategyError::Unsupported => CallError::Unsupported,
            StrategyError::BadRequest { field, message } => CallError::BadRequest { field, message },
            StrategyError::WeakSecret(message) => CallError::Weak(message),
            error => {
                tracing::warn!(strategy = %self.id, request_id, error = %error, "the strategy could not decide");
                match error {
                    StrategyError::ProviderInvalid(_) => CallError::ProviderInvalid,
                    StrategyError::UnusableCredential(_) => CallError::Unusable,
                    _ => CallError::Unavailable,
                }
            }
        }
    }

    fn log_change(&self, change: Change) {
        match change {
            Change::None => {}
            Change::SetAside => {
                tracing::warn!(strategy = %self.id, "the strategy keeps failing and is set aside");
            }
            Change::Back => tracing::info!(strategy = %self.id, "the strategy answers again"),
        }
    }
}

fn sign_of(error: &StrategyError) -> Sign {
    match error {
        StrategyError::Failed(_) => Sign::Bad,
        // One account's stored credential says nothing of all the others'.
        _ => Sign::None,
    }
}

/// Starts an instance under the same guard.
pub(super) fn start(starting: Starting) -> Task<Started> {
    task(starting)
}

/// What came of it.
pub(super) async fn started(task: Task<Started>, limit: Duration) -> Started {
    ended(task, limit).await.unwrap_or_else(|failure| Err(StartError::Failed(failure.to_string())))
}

/// Why a future has no output.
enum Failure {
    Late(Duration),
    Panicked(String),
    Cancelled,
}

impl Failure {
    fn came(&self) -> Came {
        match self {
            Self::Late(_) => Came::Timeout,
            Self::Panicked(_) => Came::Panic,
            Self::Cancelled => Came::Error,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Late(limit) if limit.subsec_millis() == 0 => {
                write!(f, "did not answer within {} seconds", limit.as_secs())
            }
            Self::Late(limit) => write!(f, "did not answer within {} ms", limit.as_millis()),
            Self::Panicked(text) => write!(f, "panicked: {text}"),
            Self::Cancelled => f.write_str("was cancelled"),
        }
    }
}

/// A future that runs as a task and ends with whoever waits for it.
pub(super) struct Task<T>(JoinHandle<T>, tokio::time::Instant);

fn task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Task<T> {
    Task(tokio::spawn(work), tokio::time::Instant::now())
}

async fn ended<T>(mut task: Task<T>, limit: Duration) -> Result<T, Failure> {
    let until = task.1 + limit;
    match tokio::time::timeout_at(until, &mut task.0).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failure)) => Err(describe(failure)),
        Err(_) => Err(Failure::Late(limit)),
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn describe(failure: JoinError) -> Failure {
    let Ok(panic) = failure.try_into_panic() else { return Failure::Cancelled };
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("(no text)").to_owned();
    // What it threw may panic again when it is dropped, and that would be our own panic.
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(panic)));
    if let Err(worse) = dropped {
        std::mem::forget(worse);
    }
    Failure::Panicked(text)
}
