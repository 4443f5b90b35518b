//! What the gateway lends to libraries: functions that they call from any thread. Each
//! copies what it is given, and no panic leaves one.

use crate::registry::{
    apart::child,
    lent,
    tickets::{Reply, TICKETS},
};
use portcullis_plugin_api::{
    abi::{self, Bytes, Done, HostTable},
    wire,
};
use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub(super) static TABLE: HostTable = HostTable {
    struct_size: size_of::<HostTable>(),
    abi_major: abi::MAJOR,
    abi_minor: abi::MINOR,
    reserved: 0,
    complete: Some(complete),
    log: Some(log),
    now_unix_ms: Some(now),
    random: Some(random),
    service: Some(service),
};

fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    // The panic hook has said it already.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(otherwise)
}

unsafe extern "C" fn complete(instance: u64, ticket: u64, status: u32, body: Bytes) {
    guarded((), || {
        let body = if body.len > wire::MOST_BYTES {
            Err(format!("{} bytes, more than {}", body.len, wire::MOST_BYTES))
        } else {
            // SAFETY: the header lends these bytes until this call returns.
            unsafe { body.as_slice() }.map(<[u8]>::to_vec).ok_or_else(|| "NULL with a length".to_owned())
        };
        match child::relay() {
            Some(relay) => relay.completed(instance, ticket, status, body),
            None => {
                TICKETS.complete(instance, ticket, status == abi::STATUS_CANCELLED, Reply { status, body })
            }
        }
    });
}

unsafe extern "C" fn log(instance: u64, level: u32, target: Bytes, message: Bytes, fields: Bytes) {
    guarded((), || {
        // An instance that is none, such as a thread of the library's own, has no say.
        let Some(lent) = lent::of(instance) else { return };
        // SAFETY: the header lends these bytes until this call returns.
        let [target, message, fields] = [target, message, fields].map(|text| unsafe { text.as_slice() });
        let text = |bytes: Option<&[u8]>| {
            let bytes = bytes.unwrap_or_default();
            String::from_utf8_lossy(&bytes[..bytes.len().min(16 * 1024)]).into_owned()
        };
        let (target, message, fields) = (text(target), text(message), text(fields));
        match child::relay() {
            Some(relay) => relay.log(instance, level, [&target, &message, &fields]),
            None => lent.log(level, &target, &message, &fields),
        }
    });
}

unsafe extern "C" fn now(instance: u64) -> u64 {
    guarded(0, || lent::of(instance).map_or(0, |lent| (lent.host.now)()))
}

unsafe extern "C" fn random(instance: u64, out: *mut u8, len: usize) -> i32 {
    guarded(1, || {
        let Some(lent) = lent::of(instance).filter(|_| !out.is_null() && len <= wire::MOST_BYTES) else {
            return 1;
        };
        let mut bytes = vec![0; len];
        (lent.host.random)(&mut bytes);
        // SAFETY: the header says that `len` bytes at `out` are the library's to be
        // written; it may not have initialised them, so they are not made a slice.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out, len) };
        0
    })
}

unsafe extern "C" fn service(
    _instance: u64,
    _op: Bytes,
    _request: Bytes,
    ticket: u64,
    done: Option<Done>,
    user: *mut c_void,
) {
    if let Some(done) = done {
        // SAFETY: the library's own function, with what it gave for it.
        unsafe { done(user, ticket, abi::STATUS_UNSUPPORTED, Bytes::of(&[])) };
    }
}
