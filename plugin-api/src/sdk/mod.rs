//! The library's side of the boundary: the functions of its table, each with a guard that
//! no panic leaves, over one thread for each instance.
//!
//! `host.rs` what the gateway lends · `instance.rs` an instance's thread and its calls ·
//! `caught.rs` a future whose panics are values · `panics.rs` where a panic was ·
//! `logs.rs` `tracing` and `log` into the gateway's log · `signal_stack.rs` a stack for the
//! handler of a stack overflow.
//!
//! What may not come in: what a strategy does.

#![allow(unsafe_code)] // the boundary; the proofs are beside each use

mod caught;
mod host;
mod instance;
mod logs;
mod panics;
mod signal_stack;
#[cfg(test)]
mod tests;

use crate::{
    Host, Object, Started, Strategy,
    abi::{self, Bytes, HostTable, PluginTable},
};
use host::Gateway;
use instance::{Instance, Told};
use std::{
    ffi::c_void,
    mem::size_of,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    ptr,
};
use zeroize::Zeroizing;

pub(crate) type Starting = Pin<Box<dyn Future<Output = Started> + Send>>;

/// A kind that the library provides.
#[doc(hidden)]
pub struct Kind {
    name: &'static str,
    start: fn(Object, Host) -> Starting,
}

impl Kind {
    /// The kind that `S` implements.
    #[doc(hidden)]
    pub const fn of<S: Strategy>() -> Self {
        Self { name: S::KIND, start: crate::start::<S> }
    }
}

/// The table of a library.
#[doc(hidden)]
pub const fn table(info: Bytes, create: abi::Create) -> PluginTable {
    PluginTable {
        struct_size: size_of::<PluginTable>(),
        abi_major: abi::MAJOR,
        abi_minor: abi::MINOR,
        min_host_minor: 0,
        reserved: 0,
        flags: abi::FLAG_ASYNC,
        reserved2: 0,
        info,
        create: Some(create),
        call: Some(call),
        cancel: Some(cancel),
        destroy: Some(destroy),
        queued: Some(queued),
    }
}

/// The exported function.
///
/// # Safety
/// `host` is null or a table that is valid for ever, as the header says.
#[doc(hidden)]
pub unsafe fn enter(host: *const HostTable, table: &'static PluginTable) -> *const PluginTable {
    // SAFETY: handed on.
    let entered = guarded(|| match unsafe { Gateway::new(host) } {
        Some(gateway) => {
            panics::keep(gateway);
            logs::bridge(gateway);
            ptr::from_ref(table)
        }
        None => ptr::null(),
    });
    entered.unwrap_or(ptr::null())
}

/// Begins to make an instance. Other than 0: it did not begin, and nothing will come.
///
/// # Safety
/// The pointers are as the header says: `host` valid for ever, the bytes for this call,
/// `out` writable.
#[doc(hidden)]
pub unsafe fn create(
    kinds: &'static [Kind],
    host: *const HostTable,
    instance: u64,
    ticket: u64,
    kind: Bytes,
    settings: Bytes,
    out: *mut *mut c_void,
) -> i32 {
    // SAFETY: handed on; the bytes are copied before this call returns.
    let (gateway, kind, settings) = unsafe { (Gateway::new(host), kind.as_slice(), settings.as_slice()) };
    let (Some(gateway), Some(kind), Some(settings)) = (gateway, kind, settings) else { return 1 };
    if out.is_null() {
        return 1;
    }
    let made = guarded(|| {
        let kind = kinds.iter().find(|known| known.name.as_bytes() == kind)?;
        Instance::spawn(gateway, instance, ticket, kind.start, settings)
    });
    match made.flatten() {
        Some(made) => {
            // SAFETY: not null, and the gateway's to be written. The box goes back to
            // being one in `destroy`, the last use of it.
            unsafe { *out = Box::into_raw(Box::new(made)).cast() };
            0
        }
        None => 2,
    }
}

/// Lends the instance behind a pointer.
///
/// # Safety
/// `instance` came from `create` and has not been given to `destroy`.
unsafe fn lent<'a>(instance: *mut c_void) -> Option<&'a Instance> {
    // SAFETY: `create` made it of a box; it is shared and never written until `destroy`.
    unsafe { instance.cast::<Instance>().as_ref() }
}

unsafe extern "C" fn call(instance: *mut c_void, ticket: u64, op: u32, request: Bytes) {
    // SAFETY: the gateway's promise of the header; the bytes are copied here.
    let (instance, request) = unsafe { (lent(instance), request.as_slice()) };
    let Some(instance) = instance else { return };
    let request = request.map(|bytes| Zeroizing::new(bytes.to_vec()));
    guarded(|| instance.tell(Told::Call { ticket, op, request }));
}

unsafe extern "C" fn cancel(instance: *mut c_void, ticket: u64) {
    // SAFETY: the gateway's promise of the header.
    if let Some(instance) = unsafe { lent(instance) } {
        guarded(|| instance.tell(Told::Cancel(ticket)));
    }
}

unsafe extern "C" fn queued(instance: *mut c_void) -> u64 {
    // SAFETY: the gateway's promise of the header.
    let instance = unsafe { lent(instance) };
    instance.and_then(|instance| guarded(|| instance.queued())).unwrap_or(0)
}

unsafe extern "C" fn destroy(instance: *mut c_void, ticket: u64) {
    let instance = instance.cast::<Instance>();
    if !instance.is_null() {
        // SAFETY: it was made of a box in `create`, and this is its last use.
        let instance = unsafe { Box::from_raw(instance) };
        guarded(move || instance.end(ticket));
    }
}

/// Runs something of which no panic may leave.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(panics::describe).ok()
}
