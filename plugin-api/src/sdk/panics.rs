//! Where a panic was, kept for whoever catches it, and said in the gateway's log instead
//! of on stderr.

use super::host::Gateway;
use crate::abi::level;
use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Once,
};

thread_local! {
    /// The instance whose thread this is; 0: none's.
    pub(super) static INSTANCE: Cell<u64> = const { Cell::new(0) };
    /// What the last panic of this thread said, and where.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The instance of this thread. After the end of the thread's values, none.
pub(super) fn instance() -> u64 {
    INSTANCE.try_with(Cell::get).unwrap_or(0)
}

/// From now on a panic in this library is said in the gateway's log.
pub(super) fn keep(gateway: Gateway) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(move |info| {
            let place =
                info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
            let said = format!("{}{place}", text(info.payload()));
            gateway.log(instance(), level::ERROR, "panic", &format!("panicked: {said}"), "{}");
            let _ = LAST.try_with(|last| last.replace(Some(said)));
        }));
    });
}

/// What a caught panic said. What it threw is dropped here, which may panic again.
pub(super) fn describe(payload: Box<dyn Any + Send>) -> String {
    let last = LAST.try_with(RefCell::take).ok().flatten();
    let said = last.unwrap_or_else(|| text(&*payload).to_owned());
    let thrown = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    if let Err(worse) = thrown.or_else(|next| catch_unwind(AssertUnwindSafe(|| drop(next)))) {
        // It would only go on so.
        std::mem::forget(worse);
    }
    said
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}
