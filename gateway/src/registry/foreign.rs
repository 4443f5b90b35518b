//! A strategy in a library, as the gateway holds every strategy: each operation becomes a
//! message and a ticket, and the answer a value or an error.
//!
//! What may not come in: pointers (`library.rs`), deadlines and health (`runner.rs`).

use super::{
    builtin::Starting,
    code::{Code, Made},
    lent,
    tickets::{Reply, TICKETS},
};
use portcullis_plugin_api::{
    Answer, Begin, Call, ChangeSecret, CredentialOp, CredentialReply, Diagnose, DynStrategy, Health, Host,
    Logout, LogoutReply, Notice, NoticeReply, Object, Operations, Outcome, Refresh, Resume, StartError, Step,
    StrategyError, abi,
    abi::op,
    wire::{self, Asked, Fault, Start},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};
use zeroize::Zeroizing;

/// A `call` that only queues is over in microseconds; one that is not deserves a line.
const QUEUEING: Duration = Duration::from_millis(50);
/// How long an instance may take to end before somebody is told.
const ENDING: Duration = Duration::from_secs(5);

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a library's strategy is made of.
pub(super) struct Making {
    pub(super) code: Code,
    pub(super) plugin: String,
    pub(super) kind: String,
    pub(super) operations: Operations,
    pub(super) strategy: String,
    pub(super) slots: usize,
}

/// An instance, until its last user has let go of it.
struct Instance {
    /// None from its end on.
    made: OnceLock<Option<Made>>,
    number: u64,
    code: Code,
    slots: Arc<Semaphore>,
    /// Blocking calls and the end of the instance need it, wherever they begin.
    runtime: Handle,
    name: String,
}

struct Foreign {
    kind: String,
    operations: Operations,
    instance: Arc<Instance>,
}

/// Starts one.
pub(super) fn start(of: Making, settings: Object, host: Host) -> Starting {
    Box::pin(async move {
        let failed = |why: String| {
            StartError::Failed(format!("create of kind \"{}\" failed: {why} (PLG-14)", of.kind))
        };
        let message = Start { strategy: of.strategy.clone(), settings, cores: host.cores };
        let message =
            Zeroizing::new(wire::encode(&message).map_err(|why| failed(format!("its settings: {why}")))?);
        let number = lent::lend(host, &of.plugin, &of.strategy);
        let instance = Arc::new(Instance {
            made: OnceLock::new(),
            number,
            code: of.code.clone(),
            slots: Arc::new(Semaphore::new(of.slots)),
            runtime: Handle::current(),
            name: of.strategy.clone(),
        });
        let waiting = Waiting::new(&instance, None);
        let (theirs, ticket, kind) = (instance.clone(), waiting.ticket, of.kind.clone());
        let create = move || {
            let (code, made) = theirs.code.create(theirs.number, ticket, &kind, &message)?;
            // Set even after an error: what was made must be ended.
            let _ = theirs.made.set(made);
            Ok::<_, String>(code)
        };
        // One that blocks, does so where it harms nobody; one that does not is soon back.
        let created =
            tokio::task::spawn_blocking(create).await.map_err(|_| failed("it was cut off".into()))?;
        let begun = created.and_then(|code| match code {
            0 => Ok(()),
            code => Err(format!("it answered {code} without starting")),
        });
        if let Err(why) = begun {
            TICKETS.take_back(ticket);
            return Err(failed(why));
        }
        let reply = waiting.answer().await;
        match reply.status {
            abi::STATUS_OK if matches!(instance.made.get(), Some(Some(_))) => {
                let operations = reply.body.and_then(|body| offered(&body, of.operations));
                let operations =
                    operations.map_err(|why| failed(format!("sent an unreadable answer: {why}")))?;
                Ok(Arc::new(Foreign { kind: of.kind, operations, instance }) as Arc<dyn DynStrategy>)
            }
            abi::STATUS_OK => Err(failed("it made nothing".into())),
            _ => Err(match fault(reply) {
                Ok(fault) if fault.code == "settings" => fault.into(),
                Ok(fault) => match StartError::from(fault) {
                    StartError::Failed(why) => failed(lent::one_line(&why)),
                    settings => settings,
                },
                Err(why) => failed(why),
            }),
        }
    })
}

/// What an instance does of what its kind does: all of it, unless it says less.
fn offered(said: &[u8], kind: Operations) -> Result<Operations, String> {
    if said.is_empty() {
        return Ok(kind);
    }
    let said = wire::decode::<wire::Begun>(said)?.operations;
    Ok(said.map_or(kind, |names| kind.and(Operations::named(&names))))
}

impl Foreign {
    /// One question, to its answer. Dropped before: the library is told.
    async fn ask<Q: Serialize, A: DeserializeOwned>(&self, op: u32, call: &Call, request: Q) -> Answer<A> {
        let permit = self.instance.slots.clone().try_acquire_owned().map_err(|_| StrategyError::Busy)?;
        let message = wire::encode(&Asked { call: call.clone(), request });
        let message =
            message.map_err(|why| StrategyError::Failed(format!("the question cannot be sent: {why}")))?;
        let message = Zeroizing::new(message);
        let waiting = Waiting::new(&self.instance, Some(permit));
        let ticket = waiting.ticket;
        if !self.instance.code.blocks() {
            let begun = Instant::now();
            self.instance.with(|made| made.call(ticket, op, &message));
            if begun.elapsed() > QUEUEING {
                let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(strategy = %self.instance.name, ms, "the library blocked where it may only queue");
            }
        } else {
            let instance = self.instance.clone();
            self.instance
                .runtime
                .spawn_blocking(move || instance.with(|made| made.call(ticket, op, &message)));
        }
        let reply = waiting.answer().await;
        match reply.status {
            abi::STATUS_OK => {
                let read = reply.body.and_then(|body| wire::decode(&body));
                read.map_err(|why| unreadable(&why))
            }
            abi::STATUS_UNSUPPORTED => Err(StrategyError::Unsupported),
            _ => Err(fault(reply).map_or_else(StrategyError::Failed, StrategyError::from)),
        }
    }
}

fn unreadable(why: &str) -> StrategyError {
    StrategyError::Failed(format!("sent an unreadable answer: {why}"))
}

/// The error in an answer that is none; or what is wrong with that.
pub(super) fn fault(reply: Reply) -> Result<Fault, String> {
    match reply.status {
        abi::STATUS_ERROR | abi::STATUS_PANIC => {
            let read = reply.body.and_then(|body| wire::decode::<Fault>(&body));
            let mut fault = read.map_err(|why| format!("sent an unreadable answer: {why}"))?;
            fault.message = lent::one_line(&fault.message);
            if reply.status == abi::STATUS_PANIC {
                "panic".clone_into(&mut fault.code);
            }
            Ok(fault)
        }
        abi::STATUS_UNSUPPORTED => Ok(Fault::of("unsupported", "")),
        abi::STATUS_CANCELLED => Err("cancelled what nobody had cancelled".to_owned()),
        other => Err(format!("sent an unreadable answer: its status is {other}")),
    }
}

/// Somebody who waits for a ticket.
struct Waiting {
    instance: Arc<Instance>,
    ticket: u64,
    answer: Option<oneshot::Receiver<Reply>>,
}

impl Waiting {
    fn new(instance: &Arc<Instance>, permit: Option<OwnedSemaphorePermit>) -> Self {
        let (ticket, answer) = TICKETS.issue(instance.number, permit);
        Self { instance: instance.clone(), ticket, answer: Some(answer) }
    }

    async fn answer(mut self) -> Reply {
        let lost = || Reply { status: abi::STATUS_CANCELLED, body: Ok(Vec::new()) };
        let Some(answer) = self.answer.as_mut() else { return lost() };
        let reply = answer.await;
        self.answer = None;
        reply.unwrap_or_else(|_| lost())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.answer.is_none() || !TICKETS.abandon(self.ticket) {
            return;
        }
        let (ticket, instance) = (self.ticket, self.instance.clone());
        let tell = move || {
            instance.with(|made| made.cancel(ticket));
        };
        if !self.instance.code.blocks() {
            tell();
        } else if matches!(self.instance.made.get(), Some(Some(made)) if made.can_cancel()) {
            self.instance.runtime.spawn_blocking(tell);
        }
    }
}

impl Instance {
    fn with<T>(&self, work: impl FnOnce(&Made) -> T) -> Option<T> {
        self.made.get()?.as_ref().map(work)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let number = self.number;
        let Some(made) = self.made.take().flatten() else { return lent::take_back(number) };
        let (ticket, ended) = TICKETS.issue(number, None);
        let (blocks, name) = (self.code.blocks(), self.name.clone());
        self.runtime.spawn(async move {
            if blocks {
                let _ = tokio::task::spawn_blocking(move || made.destroy(ticket)).await;
            } else {
                made.destroy(ticket);
            }
            if tokio::time::timeout(ENDING, ended).await.is_err() {
                tracing::warn!(strategy = %name, "the instance does not end: its thread is leaked");
            }
            // Whatever it still owes an answer to will never get one.
            TICKETS.forget(number);
            lent::take_back(number);
        });
    }
}

impl DynStrategy for Foreign {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn operations(&self) -> Operations {
        self.operations
    }

    fn begin<'a>(&'a self, call: &'a Call, request: Begin) -> Boxed<'a, Answer<Outcome>> {
        Box::pin(self.ask(op::BEGIN, call, request))
    }

    fn credentials<'a>(&'a self, call: &'a Call, op: CredentialOp) -> Boxed<'a, Answer<CredentialReply>> {
        Box::pin(self.ask(op::CREDENTIALS, call, op))
    }

    fn resume<'a>(&'a self, call: &'a Call, request: Resume) -> Boxed<'a, Answer<Outcome>> {
        Box::pin(self.ask(op::RESUME, call, request))
    }

    fn refresh<'a>(&'a self, call: &'a Call, request: Refresh) -> Boxed<'a, Answer<Outcome>> {
        Box::pin(self.ask(op::REFRESH, call, request))
    }

    fn logout<'a>(&'a self, call: &'a Call, request: Logout) -> Boxed<'a, Answer<LogoutReply>> {
        Box::pin(self.ask(op::LOGOUT, call, request))
    }

    fn notice<'a>(&'a self, call: &'a Call, request: Notice) -> Boxed<'a, Answer<NoticeReply>> {
        Box::pin(self.ask(op::NOTICE, call, request))
    }

    fn change_secret<'a>(&'a self, call: &'a Call, request: ChangeSecret) -> Boxed<'a, Answer<Outcome>> {
        Box::pin(self.ask(op::CHANGE_SECRET, call, request))
    }

    fn diagnose<'a>(&'a self, call: &'a Call, request: Diagnose) -> Boxed<'a, Answer<Vec<Step>>> {
        Box::pin(self.ask(op::DIAGNOSE, call, request))
    }

    fn health<'a>(&'a self, call: &'a Call) -> Boxed<'a, Answer<Health>> {
        Box::pin(async move {
            match self.ask(op::HEALTH, call, Object::new()).await {
                // A library need not have an opinion.
                Err(StrategyError::Unsupported) => Ok(Health::Healthy),
                other => other,
            }
        })
    }

    fn queued(&self) -> usize {
        // One that blocks might do so here too, and whoever asks must not wait.
        let asked = (!self.instance.code.blocks()).then(|| self.instance.with(Made::queued)).flatten();
        let queued = asked.unwrap_or(0);
        usize::try_from(queued).unwrap_or(usize::MAX)
    }
}
