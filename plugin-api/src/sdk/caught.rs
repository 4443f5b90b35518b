//! A future whose panics are values: of a poll, of its drop, and of what they threw.

use super::panics;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// The future, until it is over.
pub(super) struct Caught<T>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Caught<T> {
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }

    /// Drops what is left, whose destructors may panic too; they are in the log then.
    fn release(&mut self) {
        if let Some(work) = self.0.take() {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(work))).map_err(panics::describe);
        }
    }
}

impl<T> Future for Caught<T> {
    /// The error says what the panic said, and where.
    type Output = Result<T, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = self.0.as_mut() else { return Poll::Pending };
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        let over = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => Ok(answer),
            Err(payload) => Err(panics::describe(payload)),
        };
        self.release();
        Poll::Ready(over)
    }
}

impl<T> Drop for Caught<T> {
    fn drop(&mut self) {
        self.release();
    }
}
