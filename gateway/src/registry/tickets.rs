//! Who waits for which answer of a library. A ticket is a number that is looked up here,
//! never a pointer: an answer that comes late, twice, for another instance or for nothing
//! that was asked is counted, and nothing else happens.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u32,
    /// Its bytes, or why they cannot be looked at.
    pub(super) body: Result<Vec<u8>, String>,
}

/// One ticket.
struct Slot {
    instance: u64,
    /// None: nobody waits any more.
    waits: Option<oneshot::Sender<Reply>>,
    /// Held until the library has answered, and not only until nobody waits: one that
    /// never answers runs out of these, and of nothing else.
    _permit: Option<OwnedSemaphorePermit>,
}

/// All tickets that are out.
#[derive(Default)]
pub(super) struct Tickets {
    slots: Mutex<Option<HashMap<u64, Slot>>>,
    last: AtomicU64,
    /// Calls that nobody waited for to their end.
    pub(super) abandoned: AtomicU64,
    /// Answers to these.
    pub(super) late: AtomicU64,
    /// Answers to nothing that was asked.
    pub(super) stray: AtomicU64,
}

/// Of this process: a library has one table of ours, whoever uses it.
pub(super) static TICKETS: Tickets = Tickets {
    slots: Mutex::new(None),
    last: AtomicU64::new(0),
    abandoned: AtomicU64::new(0),
    late: AtomicU64::new(0),
    stray: AtomicU64::new(0),
};

impl Tickets {
    /// A new ticket of this instance.
    pub(super) fn issue(
        &self,
        instance: u64,
        permit: Option<OwnedSemaphorePermit>,
    ) -> (u64, oneshot::Receiver<Reply>) {
        let ticket = self.last.fetch_add(1, Relaxed) + 1;
        let (waits, answer) = oneshot::channel();
        let slot = Slot { instance, waits: Some(waits), _permit: permit };
        self.lock().get_or_insert_default().insert(ticket, slot);
        (ticket, answer)
    }

    /// The library has answered.
    pub(super) fn complete(&self, instance: u64, ticket: u64, cancelled: bool, reply: Reply) {
        let slot = {
            let mut all = self.lock();
            let slots = all.get_or_insert_default();
            match slots.get(&ticket).is_some_and(|slot| slot.instance == instance) {
                true => slots.remove(&ticket),
                false => None,
            }
        };
        let Some(slot) = slot else {
            self.stray.fetch_add(1, Relaxed);
            tracing::warn!(ticket, "a strategy library answered what nobody asked: ignored");
            return;
        };
        // First the permit: whoever wakes up must not find it taken.
        drop(slot._permit);
        match slot.waits {
            Some(waits) => drop(waits.send(reply)),
            None if cancelled => {}
            None => {
                self.late.fetch_add(1, Relaxed);
            }
        }
    }

    /// Nobody waits for it any more. False: it has been answered.
    pub(super) fn abandon(&self, ticket: u64) -> bool {
        let mut all = self.lock();
        let Some(slot) = all.as_mut().and_then(|slots| slots.get_mut(&ticket)) else { return false };
        slot.waits = None;
        self.abandoned.fetch_add(1, Relaxed);
        true
    }

    /// It will never be answered: the library was not asked, or is gone.
    pub(super) fn take_back(&self, ticket: u64) {
        let slot = self.lock().as_mut().and_then(|slots| slots.remove(&ticket));
        drop(slot);
    }

    /// The instance is gone, and with it every ticket that it has not answered.
    pub(super) fn forget(&self, instance: u64) {
        let mut all = self.lock();
        let Some(slots) = all.as_mut() else { return };
        let gone: Vec<Slot> =
            slots.extract_if(|_, slot| slot.instance == instance).map(|(_, slot)| slot).collect();
        // What wakes up by this finds the lock free.
        drop(all);
        drop(gone);
    }

    /// How many are out.
    #[cfg(test)]
    pub(super) fn out(&self, instance: u64) -> usize {
        self.lock().as_ref().map_or(0, |slots| slots.values().filter(|s| s.instance == instance).count())
    }

    // Nothing runs under it that could panic half-way.
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    fn reply(status: u32) -> Reply {
        Reply { status, body: Ok(Vec::new()) }
    }

    #[test]
    fn an_answer_is_taken_once_and_from_its_own_instance() {
        let tickets = Tickets::default();
        let (ticket, mut answer) = tickets.issue(7, None);
        tickets.complete(8, ticket, false, reply(1));
        tickets.complete(7, ticket + 1, false, reply(2));
        assert!(answer.try_recv().is_err());
        tickets.complete(7, ticket, false, reply(3));
        assert_eq!(answer.try_recv().unwrap().status, 3);
        tickets.complete(7, ticket, false, reply(4));
        assert_eq!((tickets.stray.load(Relaxed), tickets.out(7)), (3, 0));
    }

    #[test]
    fn a_permit_is_held_until_the_answer_and_not_until_nobody_waits() {
        let (tickets, room) = (Tickets::default(), Arc::new(Semaphore::new(1)));
        for (cancelled, late) in [(false, 1), (true, 1)] {
            let (ticket, answer) = tickets.issue(7, room.clone().try_acquire_owned().ok());
            drop(answer);
            assert!(tickets.abandon(ticket));
            assert_eq!(room.available_permits(), 0);
            tickets.complete(7, ticket, cancelled, reply(0));
            assert_eq!((room.available_permits(), tickets.late.load(Relaxed)), (1, late));
            assert!(!tickets.abandon(ticket));
        }
    }
}
