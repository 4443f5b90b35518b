//! The one guard around every call to a strategy, whatever its origin: slots, deadline,
//! cancellation when the client leaves, panics, and answers that it may not give.

use super::{
    builtin::Starting,
    health::{Change, Health, Sign},
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

/// How many calls of one instance may be in flight.
const SLOTS: usize = 256;
/// How long one may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no answer of the strategy. Details are in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// Too many calls at once; the client may try again.
    Busy,
    /// It could not decide.
    Unavailable,
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
}

impl Telling for Outcome {
    fn sign(&self) -> Sign {
        match self {
            Self::Authenticated(_) | Self::Denied(_) => Sign::Good,
            _ => Sign::None,
        }
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
good!(CredentialReply, LogoutReply, NoticeReply);

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
    health: Health,
}

impl Runner {
    pub(super) fn new(id: String, strategy: Arc<dyn DynStrategy>) -> Self {
        Self { id, strategy, slots: Arc::new(Semaphore::new(SLOTS)), health: Health::default() }
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
            return Err(CallError::Busy);
        };
        let pass = self.health.admit().ok_or(CallError::Unavailable)?;
        let request_id = call.request_id.clone();
        let calling = make(self.strategy.clone(), call);
        // A task, so that a strategy that blocks its thread misses the deadline all the
        // same; the slot goes with it, for it is taken until the call has really ended.
        let answer = task(async move {
            let _slot = slot;
            calling.await
        })
        .await
        .unwrap_or_else(|failure| Err(StrategyError::Failed(failure)))
        .and_then(|answer| match check(&answer) {
            Ok(()) => Ok(answer),
            Err(why) => Err(StrategyError::Failed(why.to_owned())),
        });
        let sign = match &answer {
            Ok(answer) => answer.sign(),
            Err(error) => sign_of(error),
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
pub(super) async fn start(starting: Starting) -> Started {
    task(starting).await.unwrap_or_else(|failure| Err(StartError::Failed(failure)))
}

/// Runs a future as a task that ends with its caller; the error says how it failed.
async fn task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    let mut running = Running(tokio::spawn(work));
    match tokio::time::timeout(DEADLINE, &mut running.0).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failure)) => Err(describe(failure)),
        Err(_) => Err(format!("did not answer within {} seconds", DEADLINE.as_secs())),
    }
}

struct Running<T>(JoinHandle<T>);

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn describe(failure: JoinError) -> String {
    let Ok(panic) = failure.try_into_panic() else { return "was cancelled".to_owned() };
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no text)"))
}
