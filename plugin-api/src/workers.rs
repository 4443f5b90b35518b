//! Bounded threads of the lowest scheduling priority for work that takes tens of
//! milliseconds of a core, such as hashing a password.
//!
//! An async runtime may not come in: [`Workers::run`] is an ordinary future that any
//! executor can poll.

use std::{
    any::Any,
    collections::VecDeque,
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    thread,
};

/// Threads at the lowest priority, and a queue of fixed length before them. They end
/// when this is dropped.
pub struct Workers {
    shared: Arc<Shared>,
}

/// Why a job has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// All threads and the whole queue are taken; the job was not begun.
    Busy,
    /// The job panicked. Its thread goes on.
    Panicked,
}

type Job = Box<dyn FnOnce(&Shared) + Send>;

struct Shared {
    state: Mutex<State>,
    ready: Condvar,
    /// How many jobs may run or wait.
    room: usize,
    executed: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(u64, Job)>,
    running: usize,
    last: u64,
    closed: bool,
}

impl Workers {
    /// `slots` threads, and at most `queue` jobs that wait for one. Fails when the system
    /// gives no thread.
    pub fn new(name: &str, slots: usize, queue: usize) -> io::Result<Self> {
        let slots = slots.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            ready: Condvar::new(),
            room: slots.saturating_add(queue),
            executed: AtomicU64::new(0),
        });
        // Made before the threads, so that those already there end when a later one fails.
        let workers = Self { shared };
        for _ in 0..slots {
            let shared = workers.shared.clone();
            thread::Builder::new().name(name.to_owned()).spawn(move || shared.work())?;
        }
        Ok(workers)
    }

    /// Runs `job` on one of the threads; refuses at once when the queue is full. Dropping
    /// the future before the job has begun takes it out of the queue.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let answer = Arc::new(Answer::default());
        let theirs = answer.clone();
        let ticket = self
            .shared
            .put(Box::new(move |shared| {
                let result = catch_unwind(AssertUnwindSafe(job));
                // Before the caller hears of it: it may come back at once with the next.
                shared.lock().running -= 1;
                theirs.give(result);
            }))
            .ok_or(NotDone::Busy)?;
        let _place = Place { shared: &self.shared, ticket };
        poll_fn(|context| answer.take(context.waker())).await.map_err(|_| NotDone::Panicked)
    }

    /// How many jobs have been begun since the start. Two logins that must cost the same
    /// are compared by it, not by the clock.
    pub fn executed(&self) -> u64 {
        self.shared.executed.load(Ordering::SeqCst)
    }

    /// How many jobs wait for a thread now.
    pub fn queued(&self) -> usize {
        self.shared.lock().queue.len()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.ready.notify_all();
    }
}

impl Shared {
    /// Takes a place in the queue; none when all are taken.
    fn put(&self, job: Job) -> Option<u64> {
        let mut state = self.lock();
        if state.running + state.queue.len() >= self.room {
            return None;
        }
        state.last += 1;
        let ticket = state.last;
        state.queue.push_back((ticket, job));
        drop(state);
        self.ready.notify_one();
        Some(ticket)
    }

    /// The life of one thread.
    fn work(&self) {
        lower_priority();
        while let Some(job) = self.next() {
            self.executed.fetch_add(1, Ordering::SeqCst);
            // The job's own panic is caught inside it; this is for what it drops or wakes.
            let _ = catch_unwind(AssertUnwindSafe(|| job(self)));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some((_, job)) = state.queue.pop_front() {
                state.running += 1;
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    // No code of a job runs under the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job's place in the queue for as long as somebody waits for it.
struct Place<'a> {
    shared: &'a Shared,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let at = state.queue.iter().position(|(ticket, _)| *ticket == self.ticket);
        let job = at.and_then(|at| state.queue.remove(at));
        drop(state);
        drop(job); // outside the lock: what it holds may run code of its own
    }
}

/// Where a job leaves its result.
struct Answer<T>(Mutex<Slot<T>>);

struct Slot<T> {
    result: Option<Result<T, Panic>>,
    /// Who is to be told.
    waker: Option<Waker>,
}

type Panic = Box<dyn Any + Send>;

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self(Mutex::new(Slot { result: None, waker: None }))
    }
}

impl<T> Answer<T> {
    fn give(&self, result: Result<T, Panic>) {
        let mut slot = self.lock();
        slot.result = Some(result);
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn take(&self, waker: &Waker) -> Poll<Result<T, Panic>> {
        let mut slot = self.lock();
        if let Some(result) = slot.result.take() {
            return Poll::Ready(result);
        }
        slot.waker = Some(waker.clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hashing must not take a core from forwarding requests: measured, a login flood at
/// equal priority makes the proxied p99 several times worse. Linux has it per thread.
#[cfg(target_os = "linux")]
fn lower_priority() {
    // Lowering needs no privilege; if a sandbox forbids it, hashing is still bounded.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19);
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A job that has begun and ends when the sender is dropped.
    fn blocker() -> (mpsc::Sender<()>, mpsc::Receiver<()>, impl FnOnce() + Send + 'static) {
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel::<()>();
        let job = move || {
            let _ = begin.send(());
            let _ = ended.recv();
        };
        (end, begun, job)
    }

    async fn until(condition: impl Fn() -> bool) {
        while !condition() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_job_gives_its_result() {
        let workers = Workers::new("test", 2, 2).unwrap();
        assert_eq!(workers.run(|| 6 * 7).await, Ok(42));
        assert_eq!(workers.executed(), 1);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_takes_jobs_again_later() {
        let workers = Arc::new(Workers::new("test", 1, 1).unwrap());
        let (end, begun, job) = blocker();
        let first = tokio::spawn({
            let workers = workers.clone();
            async move { workers.run(job).await }
        });
        until(|| begun.try_recv().is_ok()).await;
        let second = tokio::spawn({
            let workers = workers.clone();
            async move { workers.run(|| 2).await }
        });
        until(|| workers.queued() == 1).await;
        assert_eq!(workers.run(|| 3).await, Err(NotDone::Busy));
        drop(end);
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(second.await.unwrap(), Ok(2));
        assert_eq!(workers.run(|| 4).await, Ok(4));
        assert_eq!(workers.executed(), 3);
    }

    #[tokio::test]
    async fn a_dropped_future_takes_its_job_out_of_the_queue() {
        let workers = Arc::new(Workers::new("test", 1, 1).unwrap());
        let (end, begun, job) = blocker();
        let first = tokio::spawn({
            let workers = workers.clone();
            async move { workers.run(job).await }
        });
        until(|| begun.try_recv().is_ok()).await;
        let second = tokio::spawn({
            let workers = workers.clone();
            async move { workers.run(|| panic!("must not run")).await }
        });
        until(|| workers.queued() == 1).await;
        second.abort();
        until(|| workers.queued() == 0).await;
        drop(end);
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(workers.run(|| 3).await, Ok(3));
        assert_eq!(workers.executed(), 2);
    }

    #[tokio::test]
    async fn a_panicking_job_is_an_error_and_its_thread_goes_on() {
        let workers = Workers::new("test", 1, 0).unwrap();
        assert_eq!(workers.run(|| panic!("on purpose")).await, Err::<(), _>(NotDone::Panicked));
        assert_eq!(workers.run(|| 1).await, Ok(1));
    }

    #[tokio::test]
    async fn the_threads_end_when_the_workers_are_dropped() {
        let workers = Workers::new("test", 3, 0).unwrap();
        assert_eq!(workers.run(|| 1).await, Ok(1));
        let shared = Arc::downgrade(&workers.shared);
        drop(workers);
        until(|| shared.strong_count() == 0).await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn jobs_run_at_the_lowest_priority_and_the_caller_does_not() {
        let nice =
            || rustix::process::getpriority_process(Some(rustix::thread::gettid())).expect("its own thread");
        let workers = Workers::new("test", 1, 0).unwrap();
        let before = nice();
        assert_eq!(workers.run(nice).await, Ok(19));
        assert_eq!(nice(), before);
    }
}
