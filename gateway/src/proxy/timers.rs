//! Time limits on waiting, without a timer of the runtime for each: a connection writes
//! down when it has waited too long, and one task per worker looks through all of them
//! ten times a second. A request that does not wait pays for nothing. The same look tells
//! what goes on in the name of a session that the session is over.

use crate::{
    clock::{Clock, UnixMillis},
    sessions::LiveSession,
};
use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// How late a limit may fire.
const TICK: Duration = Duration::from_millis(100);

/// Looks that what goes on may outlive its session: an ordinary answer that is nearly
/// through is not torn, and within the second that the contract gives (section 7)
/// everything has ended.
const GRACE: u8 = 2;

/// The time was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// The session was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOver;

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
    life: RefCell<Life>,
    waker: RefCell<Option<Waker>>,
}

/// On whose life it depends what goes on.
#[derive(Default)]
enum Life {
    /// Nobody's.
    #[default]
    Free,
    /// A session's, which is looked at once this time has passed: most requests are
    /// shorter than a tick, and none of them pays for more than this number.
    Begun(u64),
    /// This session's; it has been seen dead so many times.
    Bound(Arc<LiveSession>, u8),
    /// It is over.
    Over,
}

impl Slot {
    fn fire(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    fn remember(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|w| w.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Whether somebody must be told of the life that this depends on.
    fn look_at_life(&self, now: UnixMillis) -> bool {
        let mut life = self.life.borrow_mut();
        match &mut *life {
            Life::Free | Life::Over => false,
            Life::Begun(_) => true,
            Life::Bound(session, _) if session.is_live(now) => false,
            Life::Bound(_, seen) if *seen < GRACE => {
                *seen += 1;
                false
            }
            Life::Bound(..) => {
                *life = Life::Over;
                true
            }
        }
    }
}

/// Nothing depends on a session any more when what did has ended, or was dropped.
struct Unbind<'a>(&'a Slot);

impl Drop for Unbind<'_> {
    fn drop(&mut self) {
        *self.0.life.borrow_mut() = Life::Free;
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
    pub async fn run(self: Rc<Self>, clock: Clock) {
        loop {
            if self.free.borrow().len() == self.watches.borrow().len() {
                self.first.notified().await;
            }
            tokio::time::sleep(TICK).await;
            self.look_at_clock();
            let (now, wall) = (self.now(), clock.now());
            for slot in self.watches.borrow().iter().flatten() {
                let deadline = slot.deadline.get();
                let late = deadline != 0 && deadline <= now;
                if slot.look_at_life(wall) || late {
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
            self.slot.remember(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Goes on with `work` while `session` lives, and a moment longer.
    pub async fn while_live<T>(
        &self,
        session: &Arc<LiveSession>,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, SessionOver> {
        *self.slot.life.borrow_mut() = Life::Begun(self.timers.now());
        let _unbind = Unbind(&self.slot);
        poll_fn(|context| {
            if let Poll::Ready(value) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            let mut life = self.slot.life.borrow_mut();
            match *life {
                Life::Over => return Poll::Ready(Err(SessionOver)),
                Life::Begun(at) if at != self.timers.now() => *life = Life::Bound(session.clone(), 0),
                _ => {}
            }
            self.slot.remember(context.waker());
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
    use crate::sessions::{Account, live_for_tests};
    use std::future::{pending, ready};

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn what_is_done_in_time_is_not_disturbed_and_what_is_not_ends() {
        run(async {
            let timers = Timers::new();
            tokio::task::spawn_local(timers.clone().run(Clock::system()));
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
            tokio::task::spawn_local(timers.clone().run(Clock::system()));
            let later = idle.idle(Duration::from_secs(60), pending::<()>()).await;
            assert_eq!(later, Err(Elapsed));
        });
    }

    #[test]
    fn what_goes_on_ends_soon_after_its_session_and_nobody_elses_does() {
        run(async {
            let clock = Clock::manual(UnixMillis(1_000_000));
            let timers = Timers::new();
            tokio::task::spawn_local(timers.clone().run(clock.clone()));
            let session = |sid, seconds| {
                let expires = clock.now().plus(Duration::from_secs(seconds));
                live_for_tests(sid, Account::for_tests(sid), clock.now(), expires)
            };
            let (short, long) = (session("short", 10), session("long", 20));
            let (one, other) = (timers.watch(), timers.watch());
            let mut never = pin!(pending::<()>());
            let ended = one.while_live(&short, never.as_mut());
            let mut until_then = pin!(async {
                clock.advance(Duration::from_secs(15));
                ended.await
            });
            assert_eq!(other.while_live(&long, until_then.as_mut()).await, Ok(Err(SessionOver)));
            let mut at_once = pin!(ready(7));
            assert_eq!(one.while_live(&short, at_once.as_mut()).await, Ok(7), "what is through is through");
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
