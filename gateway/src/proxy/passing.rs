//! What a worker holds of answers that their clients have not taken yet, and how much may
//! be read at once because of it: plenty while clients take what comes, little once much
//! waits (docs/decisions/0039). What may not come in: whose bytes they are.

use std::{cell::Cell, rc::Rc};

/// What waits in one worker before pieces are at their smallest.
const BUDGET: usize = 8 * 1024 * 1024;

/// The most, and the least, that is read or kept at one place on the way.
pub const LARGE: usize = 64 * 1024;
const SMALL: usize = 4 * 1024;

/// All that waits in one worker.
#[derive(Default)]
pub struct Passing(Cell<usize>);

/// Bytes that wait; dropping it says that they have gone.
pub struct Waiting {
    passing: Rc<Passing>,
    bytes: usize,
}

impl Passing {
    /// How much may be read at once: all of [`LARGE`] until half of the budget waits.
    pub fn piece(&self) -> usize {
        (BUDGET.saturating_sub(self.0.get()) / (BUDGET / 2 / LARGE)).clamp(SMALL, LARGE)
    }

    /// Nothing waits yet.
    pub fn waiting(self: &Rc<Self>) -> Waiting {
        Waiting { passing: self.clone(), bytes: 0 }
    }
}

impl Waiting {
    /// So many wait now.
    pub fn set(&mut self, bytes: usize) {
        let all = &self.passing.0;
        all.set(all.get() - self.bytes + bytes);
        self.bytes = bytes;
    }

    /// So many more.
    pub fn add(&mut self, bytes: usize) {
        self.set(self.bytes + bytes);
    }

    /// How many wait here.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much may wait here.
    pub fn room(&self) -> usize {
        self.passing.piece()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_large_until_much_waits_and_again_when_it_has_gone() {
        let passing = Rc::<Passing>::default();
        let (mut one, mut other) = (passing.waiting(), passing.waiting());
        assert_eq!(passing.piece(), LARGE);
        one.set(BUDGET / 2);
        assert_eq!(passing.piece(), LARGE);
        other.set(BUDGET / 4);
        assert_eq!(passing.piece(), LARGE / 2);
        other.set(10 * BUDGET);
        assert_eq!(passing.piece(), SMALL);
        other.set(0);
        drop(one);
        assert_eq!((passing.piece(), passing.0.get()), (LARGE, 0));
    }

    #[test]
    fn however_many_take_nothing_little_more_than_the_budget_waits() {
        let passing = Rc::<Passing>::default();
        let mut all = Vec::new();
        for _ in 0..10_000 {
            let mut one = passing.waiting();
            one.set(one.room());
            all.push(one);
        }
        assert!(passing.0.get() < BUDGET + 10_000 * SMALL, "{}", passing.0.get());
    }
}
