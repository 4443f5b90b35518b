//! A request that panics is a defect, and ends alone: its connection is told so and closes,
//! all others go on (row D-05). The panic itself is a line of the log (`telemetry/panics.rs`).
//!
//! What may not come in: panics as a way to decide anything.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// It panicked, and may not be polled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// One step of `work`, which may be its last in either way. What it held is given back while it
/// unwinds: borrows end, and what was half done (a buffer, an upstream's connection) is dropped.
pub fn poll<T>(
    work: Pin<&mut impl Future<Output = T>>,
    context: &mut Context<'_>,
) -> Poll<Result<T, Panicked>> {
    match catch_unwind(AssertUnwindSafe(|| work.poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => {
            // What was thrown may throw again when it is dropped.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                std::mem::forget(again);
            }
            Poll::Ready(Err(Panicked))
        }
    }
}
