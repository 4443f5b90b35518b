//! An instance: one named thread with a runtime of its own, which starts the strategy,
//! makes each call a task, and ends with `destroy`. The gateway's thread only queues.

use super::{
    Starting,
    caught::Caught,
    host::{Gateway, Owing},
    panics,
    signal_stack::SignalStack,
};
use crate::{
    Answer, Call, DynStrategy, Health, StrategyError,
    abi::op,
    wire::{self, Asked, Fault, Start},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    task::Poll,
    thread,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::AbortHandle,
};
use zeroize::Zeroizing;

/// What the gateway told an instance.
pub(super) enum Told {
    /// A question; none: its bytes were not there.
    Call { ticket: u64, op: u32, request: Option<Zeroizing<Vec<u8>>> },
    /// Nobody waits for this one any more.
    Cancel(u64),
    /// The end.
    End(Owing),
}

/// The gateway's end of an instance.
pub(super) struct Instance {
    gateway: Gateway,
    id: u64,
    told: UnboundedSender<Told>,
    strategy: Arc<OnceLock<Weak<dyn DynStrategy>>>,
}

impl Instance {
    /// None: the settings are no message, or the system gives no thread.
    pub(super) fn spawn(
        gateway: Gateway,
        id: u64,
        ticket: u64,
        start: fn(crate::Object, crate::Host) -> Starting,
        settings: &[u8],
    ) -> Option<Self> {
        let of: Start = wire::decode(settings).ok()?;
        let (told, hears) = unbounded_channel();
        let strategy = Arc::new(OnceLock::new());
        let theirs = strategy.clone();
        thread::Builder::new()
            .name(format!("pc:{}", of.strategy))
            .spawn(move || {
                panics::INSTANCE.set(id);
                let _stack = SignalStack::new();
                let host = gateway.host(id, of.cores);
                let born = Born { gateway, id, strategy: theirs };
                // Made inside, so that also a panic before the first `await` is caught.
                let starting = Caught::new(async move { start(of.settings, host).await });
                born.live(starting, gateway.owing(id, ticket), hears);
            })
            .ok()?;
        Some(Self { gateway, id, told, strategy })
    }

    pub(super) fn tell(&self, what: Told) {
        if let Err(unheard) = self.told.send(what) {
            let Told::Call { ticket, .. } = unheard.0 else { return };
            self.gateway.owing(self.id, ticket).fault(&Fault::of("failed", "the instance has ended"));
        }
    }

    pub(super) fn end(self, ticket: u64) {
        let owing = self.gateway.owing(self.id, ticket);
        // Unheard, because the thread is gone already: then this is the answer.
        if let Err(unheard) = self.told.send(Told::End(owing))
            && let Told::End(owing) = unheard.0
        {
            owing.done();
        }
    }

    pub(super) fn queued(&self) -> u64 {
        let strategy = self.strategy.get().and_then(Weak::upgrade);
        strategy.map_or(0, |strategy| u64::try_from(strategy.queued()).unwrap_or(u64::MAX))
    }
}

type Tasks = Arc<Mutex<HashMap<u64, AbortHandle>>>;

/// The thread's end of it.
struct Born {
    gateway: Gateway,
    id: u64,
    strategy: Arc<OnceLock<Weak<dyn DynStrategy>>>,
}

impl Born {
    /// The life of the thread.
    fn live(self, starting: Caught<crate::Started>, made: Owing, mut hears: UnboundedReceiver<Told>) {
        let runtime = match Builder::new_current_thread().enable_io().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => return made.fault(&Fault::of("failed", format!("no runtime: {error}"))),
        };
        let (mut end, mut strategy) = (None, None);
        runtime.block_on(async {
            match begun(starting, made, &mut hears).await {
                Begun::Made(made) => strategy = Some(made),
                Begun::Failed => {}
                Begun::Ended(owing) => {
                    end = owing;
                    return;
                }
            }
            if let Some(strategy) = &strategy {
                let _ = self.strategy.set(Arc::downgrade(strategy));
            }
            end = self.serve(strategy.as_ref(), &mut hears).await;
        });
        close(runtime, strategy);
        // What came after the end is answered by being dropped: *cancelled*.
        drop(hears);
        if let Some(end) = end {
            end.done();
        }
    }

    /// Until the end; none: the gateway has let go of the instance without one.
    async fn serve(
        &self,
        strategy: Option<&Arc<dyn DynStrategy>>,
        hears: &mut UnboundedReceiver<Told>,
    ) -> Option<Owing> {
        let tasks = Tasks::default();
        loop {
            match hears.recv().await? {
                Told::End(owing) => {
                    lock(&tasks).values().for_each(AbortHandle::abort);
                    // Each answers *cancelled* and lets go of the strategy before it ends.
                    while !lock(&tasks).is_empty() {
                        tokio::task::yield_now().await;
                    }
                    return Some(owing);
                }
                Told::Cancel(ticket) => {
                    let task = lock(&tasks).remove(&ticket);
                    if let Some(task) = task {
                        task.abort();
                    }
                }
                Told::Call { ticket, op, request } => {
                    let owing = self.gateway.owing(self.id, ticket);
                    let (Some(strategy), Some(request)) = (strategy, request) else {
                        owing.fault(&Fault::of("failed", "there is nobody to ask, or nothing asked"));
                        continue;
                    };
                    let work = answer(strategy.clone(), op, request, owing);
                    let place = Place { tasks: tasks.clone(), ticket };
                    let task = tokio::spawn(async move {
                        let _place = place;
                        work.await;
                    });
                    // It has not run yet: it runs on this thread.
                    lock(&tasks).insert(ticket, task.abort_handle());
                }
            }
        }
    }
}

/// Takes a task off the list when it is over.
struct Place {
    tasks: Tasks,
    ticket: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.tasks).remove(&self.ticket);
    }
}

fn lock(tasks: &Tasks) -> std::sync::MutexGuard<'_, HashMap<u64, AbortHandle>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the strategy, on the thread that it has lived on and with its runtime around it.
fn close(runtime: Runtime, strategy: Option<Arc<dyn DynStrategy>>) {
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let _inside = runtime.enter();
        drop(strategy);
    }));
    let _ = ended.map_err(panics::describe);
    // Threads that block inside of the strategy are not waited for.
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.shutdown_background()));
    let _ = ended.map_err(panics::describe);
}

/// What became of the start.
enum Begun {
    Made(Arc<dyn DynStrategy>),
    /// It was answered so, or nobody waits any more; the end is still to come.
    Failed,
    /// The end came first.
    Ended(Option<Owing>),
}

/// Starts the strategy, and hears meanwhile whether it is still wanted.
async fn begun(
    mut starting: Caught<crate::Started>,
    made: Owing,
    hears: &mut UnboundedReceiver<Told>,
) -> Begun {
    let ticket = made.ticket();
    let first = poll_fn(|context| {
        while let Poll::Ready(told) = hears.poll_recv(context) {
            match told {
                Some(Told::End(owing)) => return Poll::Ready(Err(Begun::Ended(Some(owing)))),
                Some(Told::Cancel(of)) if of == ticket => return Poll::Ready(Err(Begun::Failed)),
                Some(_) => {}
                None => return Poll::Ready(Err(Begun::Ended(None))),
            }
        }
        Pin::new(&mut starting).poll(context).map(Ok)
    });
    match first.await {
        Err(otherwise) => otherwise,
        Ok(Ok(Ok(strategy))) => {
            made.ok(&wire::Begun { operations: Some(strategy.operations().names()) });
            Begun::Made(strategy)
        }
        Ok(Ok(Err(error))) => {
            made.fault(&error.into());
            Begun::Failed
        }
        Ok(Err(panic)) => {
            made.fault(&Fault::of("panic", panic));
            Begun::Failed
        }
    }
}

/// One call, to its answer.
async fn answer(strategy: Arc<dyn DynStrategy>, op: u32, request: Zeroizing<Vec<u8>>, owing: Owing) {
    // One line for each operation: what it reads, whom it asks.
    macro_rules! ask {
        ($method:ident) => {
            asked(owing, request, move |call, request| async move { strategy.$method(&call, request).await })
        };
    }
    match op {
        op::BEGIN => ask!(begin).await,
        op::RESUME => ask!(resume).await,
        op::CREDENTIALS => ask!(credentials).await,
        op::REFRESH => ask!(refresh).await,
        op::LOGOUT => ask!(logout).await,
        op::NOTICE => ask!(notice).await,
        op::CHANGE_SECRET => ask!(change_secret).await,
        op::DIAGNOSE => ask!(diagnose).await,
        op::HEALTH => {
            let ask = move |call: Call, _: crate::Object| async move { strategy.health(&call).await };
            asked::<crate::Object, Health, _, _>(owing, request, ask).await;
        }
        _ => owing.unsupported(),
    }
}

/// Reads the question, asks, and answers.
async fn asked<Q, A, F, W>(owing: Owing, request: Zeroizing<Vec<u8>>, ask: F)
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + 'static,
    F: FnOnce(Call, Q) -> W + Send + 'static,
    W: Future<Output = Answer<A>> + Send + 'static,
{
    let question: Asked<Q> = match wire::decode(&request) {
        Ok(question) => question,
        Err(why) => {
            return owing.fault(&Fault::of("failed", format!("it could not read the question: {why}")));
        }
    };
    drop(request);
    let work = Caught::new(async move { ask(question.call, question.request).await });
    match pin!(work).await {
        Ok(Ok(answer)) => owing.ok(&answer),
        Ok(Err(StrategyError::Unsupported)) => owing.unsupported(),
        Ok(Err(error)) => owing.fault(&error.into()),
        Err(panic) => owing.fault(&Fault::of("panic", panic)),
    }
}
