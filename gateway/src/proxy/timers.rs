//! Time limits on waiting, without a timer of the runtime for each: a connection writes
//! down when it has waited too long, and one task per worker looks through all of them
//! ten times a second. A request that does not wait pays for nothing.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// How late a limit may fire.
const TICK: Duration = Duration::from_millis(100);

/// The time was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// All watches of one worker.
pub struct Timers {
    started: Instant,
    /// Milliseconds since the worker started, as of the last tick or the last new watch:
    /// exact enough for limits that fire a tick late anyway, and free to read.
    coarse: Cell<u64>,
    watches: RefCell<Vec<Option<Rc<Slot>>>>,
    free: RefCell<Vec<usize>>,
    first: Notify,
    /// Set once there is an end to all idling: how long anyone idles from then on.
    ending: Cell<Option<Duration>>,
}

#[derive(Default)]
struct Slot {
    /// Milliseconds since the worker started; zero: none.
    deadline: Cell<u64>,
    /// Nothing is lost if this one is told to stop.
    idle: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    fn fire(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// One place where something may wait too long.
pub struct Watch {
    timers: Rc<Timers>,
    slot: Rc<Slot>,
    index: usize,
}

impl Timers {
    /// Without any watch yet.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            started: Instant::now(),
            coarse: Cell::new(1),
            watches: RefCell::default(),
            free: RefCell::default(),
            first: Notify::new(),
            ending: Cell::new(None),
        })
    }

    /// One more.
    pub fn watch(self: &Rc<Self>) -> Watch {
        let slot = Rc::new(Slot::default());
        self.look_at_clock();
        let mut watches = self.watches.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or(watches.len());
        if index == watches.len() {
            watches.push(None);
        }
        watches[index] = Some(slot.clone());
        self.first.notify_one();
        Watch { timers: self.clone(), slot, index }
    }

    /// Wakes whoever has waited too long, for ever. To be spawned once.
    pub async fn run(self: Rc<Self>) {
        loop {
            if self.free.borrow().len() == self.watches.borrow().len() {
                self.first.notified().await;
            }
            tokio::time::sleep(TICK).await;
            self.look_at_clock();
            let now = self.now();
            for slot in self.watches.borrow().iter().flatten() {
                let deadline = slot.deadline.get();
                if deadline != 0 && deadline <= now {
                    slot.fire();
                }
            }
        }
    }

    /// Ends the waiting of everyone who waits for a next request; whoever begins to wait
    /// later waits so long at most.
    pub fn end_idle(&self, later: Duration) {
        self.ending.set(Some(later));
        for slot in self.watches.borrow().iter().flatten() {
            if slot.idle.get() {
                slot.deadline.set(1);
                slot.fire();
            }
        }
    }

    /// From 1 on, so that a deadline of 1 has always passed.
    fn look_at_clock(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.coarse.set(elapsed + 1);
    }

    fn now(&self) -> u64 {
        self.coarse.get()
    }
}

impl Watch {
    /// From now on, [`guard`](Self::guard) lasts so long at most.
    pub fn arm(&self, limit: Duration) {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.slot.deadline.set(self.timers.now().saturating_add(limit));
    }

    /// Without a limit again.
    pub fn disarm(&self) {
        self.slot.deadline.set(0);
    }

    /// Waits for `work`, at most until the time that was armed, now or meanwhile.
    pub async fn guard<T>(&self, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(value) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            let deadline = self.slot.deadline.get();
            if deadline != 0 && deadline <= self.timers.now() {
                return Poll::Ready(Err(Elapsed));
            }
            let mut waker = self.slot.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|w| w.will_wake(context.waker())) {
                *waker = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for `work`, at most so long.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        self.arm(limit);
        let result = self.guard(work).await;
        self.disarm();
        result
    }

    /// Waits for a next request: [`Timers::end_idle`] ends it.
    pub async fn idle<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        self.slot.idle.set(true);
        let limit = self.timers.ending.get().map_or(limit, |ending| ending.min(limit));
        let result = self.within(limit, work).await;
        self.slot.idle.set(false);
        result
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.timers.watches.borrow_mut()[self.index] = None;
        self.timers.free.borrow_mut().push(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn what_is_done_in_time_is_not_disturbed_and_what_is_not_ends() {
        run(async {
            let timers = Timers::new();
            tokio::task::spawn_local(timers.clone().run());
            let watch = timers.watch();
            assert_eq!(watch.within(Duration::from_secs(60), ready(1)).await, Ok(1));
            assert_eq!(watch.within(Duration::from_millis(1), pending::<()>()).await, Err(Elapsed));
            assert_eq!(watch.guard(tokio::time::sleep(Duration::from_millis(150))).await, Ok(()));
        });
    }

    #[test]
    fn only_those_who_wait_for_a_next_request_are_told_to_stop() {
        run(async {
            let timers = Timers::new();
            let (idle, busy) = (timers.watch(), timers.watch());
            let waiting = idle.idle(Duration::from_secs(60), pending::<()>());
            let working = busy.within(Duration::from_secs(60), async { tokio::task::yield_now().await });
            let stop = async { timers.end_idle(Duration::from_millis(1)) };
            let (waited, worked, ()) = tokio::join!(waiting, working, stop);
            assert_eq!((waited, worked), (Err(Elapsed), Ok(())));
            tokio::task::spawn_local(timers.clone().run());
            let later = idle.idle(Duration::from_secs(60), pending::<()>()).await;
            assert_eq!(later, Err(Elapsed));
        });
    }

    #[test]
    fn a_place_is_used_again() {
        let timers = Timers::new();
        drop(timers.watch());
        let _one = timers.watch();
        assert_eq!(timers.watches.borrow().len(), 1);
    }
}
