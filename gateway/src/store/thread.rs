//! The threads that own the connections. One writes: what waits together is committed
//! together, each job in a savepoint of its own so that one that fails spoils no other,
//! and nobody is answered before the commit is on disk. A few read.
//!
//! What may not come in: any SQL but that of transactions.

use super::{StoreError, Stored};
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
};
use tokio::sync::oneshot;

/// How many jobs may wait; one more is told so at once.
const QUEUE: usize = 1024;
/// How many are committed together at most.
const BATCH: usize = 128;

/// A change that waits for its commit.
trait Write: Send {
    fn run(&mut self, db: &Connection) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, committed: &Result<(), StoreError>);
}

struct Change<T, F> {
    work: Option<F>,
    result: Option<Stored<T>>,
    reply: oneshot::Sender<Stored<T>>,
}

impl<T: Send, F: FnOnce(&Connection) -> rusqlite::Result<T> + Send> Write for Change<T, F> {
    fn run(&mut self, db: &Connection) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let result = unharmed(|| work(db));
        let verdict = result.as_ref().map(|_| ()).map_err(StoreError::clone);
        self.result = Some(result);
        verdict
    }

    fn answer(self: Box<Self>, committed: &Result<(), StoreError>) {
        let answer = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Err(error), _) => Err(error.clone()),
            (Ok(()), None) => Err(StoreError("a change was left out".into())),
        };
        // Whoever asked may be gone; the change stands all the same.
        let _ = self.reply.send(answer);
    }
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The way to the writer.
#[derive(Clone)]
pub(super) struct Writer(SyncSender<Box<dyn Write>>);

impl Writer {
    /// Starts the thread; it ends when the last handle on it is gone.
    pub(super) fn start(db: Connection) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (send, receive) = sync_channel(QUEUE);
        let thread = Builder::new().name("store-writer".into()).spawn(move || write_all(&db, &receive))?;
        Ok((Self(send), thread))
    }

    /// Runs `work` in a transaction and answers once it is on disk.
    pub(super) async fn run<T, F>(&self, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let change = Change { work: Some(work), result: None, reply };
        self.0.try_send(Box::new(change)).map_err(|refused| not_sent(&refused))?;
        answer.await.map_err(|_| ended())?
    }
}

fn write_all(db: &Connection, queue: &Receiver<Box<dyn Write>>) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(first) = queue.recv() {
        batch.push(first);
        batch.extend(queue.try_iter().take(BATCH - 1));
        let committed = commit(db, &mut batch);
        if committed.is_err() {
            if !db.is_autocommit() {
                let _ = db.execute_batch("ROLLBACK");
            }
            // Who came while a locked or broken store was waited for does not wait again.
            batch.extend(queue.try_iter());
        }
        for job in batch.drain(..) {
            job.answer(&committed);
        }
    }
}

fn commit(db: &Connection, batch: &mut [Box<dyn Write>]) -> Result<(), StoreError> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    for job in batch {
        db.execute_batch("SAVEPOINT job")?;
        if let Err(error) = job.run(db) {
            // A full disk or a failing one ends the whole transaction by itself.
            if db.is_autocommit() {
                return Err(error);
            }
            db.execute_batch("ROLLBACK TO job")?;
        }
        db.execute_batch("RELEASE job")?;
    }
    Ok(db.execute_batch("COMMIT")?)
}

/// The way to the readers.
#[derive(Clone)]
pub(super) struct Readers(SyncSender<Read>);

impl Readers {
    /// Starts a thread for each connection; they end when the last handle is gone.
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (send, receive) = sync_channel::<Read>(QUEUE);
        let receive = Arc::new(Mutex::new(receive));
        let mut threads = Vec::with_capacity(connections.len());
        for db in connections {
            let queue = receive.clone();
            threads.push(Builder::new().name("store-reader".into()).spawn(move || read_all(&db, &queue))?);
        }
        Ok((Self(send), threads))
    }

    /// Runs `work` in one read transaction: everything it reads is of one moment.
    pub(super) async fn run<T, F>(&self, work: F) -> Stored<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = move |db: &Connection| {
            if reply.is_closed() {
                return;
            }
            let read = unharmed(|| {
                let moment = db.unchecked_transaction()?;
                let found = work(&moment)?;
                moment.finish()?;
                Ok(found)
            });
            let _ = reply.send(read);
        };
        self.0.try_send(Box::new(job)).map_err(|refused| not_sent(&refused))?;
        answer.await.map_err(|_| ended())?
    }
}

fn read_all(db: &Connection, queue: &Mutex<Receiver<Read>>) {
    loop {
        // The guard is dropped before the job runs, so that the other threads take theirs.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job(db);
    }
}

/// A job that panics is one that failed: the thread and its connection serve the next. What
/// it wrote goes with its savepoint.
fn unharmed<T>(work: impl FnOnce() -> rusqlite::Result<T>) -> Stored<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(StoreError::from),
        Err(_) => Err(StoreError("a question to the store panicked".into())),
    }
}

fn not_sent<T>(refused: &TrySendError<T>) -> StoreError {
    match refused {
        TrySendError::Full(_) => StoreError("too much waits for the store".into()),
        TrySendError::Disconnected(_) => ended(),
    }
}

fn ended() -> StoreError {
    StoreError("the store is closed".into())
}
