//! Work that goes on beside an answer: the runtime's part of it, for those who may not know
//! one.

use std::{future::Future, time::Duration};

/// Goes on by itself.
pub fn in_the_background(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

/// Waits.
pub fn pause(wait: Duration) -> impl Future<Output = ()> + Send {
    tokio::time::sleep(wait)
}
