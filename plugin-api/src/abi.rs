//! The boundary to a library, byte for byte: `include/portcullis_plugin.h` in Rust. The
//! version rule is in `docs/plugin-abi.md`: structs only grow at their end, and the
//! assertions below freeze every offset of 1.0.
//!
//! What may not come in: a type of Rust that has no layout of its own, and ownership.
//! Bytes are borrowed until the call returns; nothing allocated on one side is freed on
//! the other.

#![allow(unsafe_code)] // see the proofs at each use

use std::{
    ffi::c_void,
    mem::{offset_of, size_of},
};

/// The version of this file. A new major is a new symbol.
pub const MAJOR: u16 = 1;
/// Grows when something is added at an end.
pub const MINOR: u16 = 0;

/// The one symbol that a library exports.
pub const SYMBOL: &str = "portcullis_plugin_v1";
/// The ELF section that tells what a library is, read before any of its code runs.
pub const SECTION: &str = ".portcullis";
/// How the information begins that is in it.
pub const MAGIC: &str = "portcullis plugin";

/// `call` only queues and never blocks.
pub const FLAG_ASYNC: u32 = 1;

/// The answer.
pub const STATUS_OK: u32 = 0;
/// An error, as [`Fault`](crate::wire::Fault).
pub const STATUS_ERROR: u32 = 1;
/// It panicked; the body is a fault as well.
pub const STATUS_PANIC: u32 = 2;
/// It does not have this operation.
pub const STATUS_UNSUPPORTED: u32 = 3;
/// It was told to stop, and did.
pub const STATUS_CANCELLED: u32 = 4;

/// The operations of `call`.
pub mod op {
    /// See [`Strategy::begin`](crate::Strategy::begin).
    pub const BEGIN: u32 = 1;
    /// See [`Strategy::resume`](crate::Strategy::resume).
    pub const RESUME: u32 = 2;
    /// See [`Strategy::credentials`](crate::Strategy::credentials).
    pub const CREDENTIALS: u32 = 3;
    /// See [`Strategy::refresh`](crate::Strategy::refresh).
    pub const REFRESH: u32 = 4;
    /// See [`Strategy::logout`](crate::Strategy::logout).
    pub const LOGOUT: u32 = 5;
    /// See [`Strategy::notice`](crate::Strategy::notice).
    pub const NOTICE: u32 = 6;
    /// See [`Strategy::change_secret`](crate::Strategy::change_secret).
    pub const CHANGE_SECRET: u32 = 7;
    /// See [`Strategy::diagnose`](crate::Strategy::diagnose).
    pub const DIAGNOSE: u32 = 8;
    /// See [`Strategy::health`](crate::Strategy::health).
    pub const HEALTH: u32 = 9;
}

/// The levels of `log`.
pub mod level {
    /// Something is broken.
    pub const ERROR: u32 = 1;
    /// Something deserves a look.
    pub const WARN: u32 = 2;
    /// Something happened.
    pub const INFO: u32 = 3;
    /// For whoever looks for a mistake.
    pub const DEBUG: u32 = 4;
}

/// Borrowed bytes, good until the call that carries them returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// Where they begin; may be null when there are none.
    pub ptr: *const u8,
    /// How many.
    pub len: usize,
}

impl Bytes {
    /// These bytes, for one call.
    pub const fn of(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }

    /// The bytes. None: null with a length, or longer than anything can be.
    ///
    /// # Safety
    /// `ptr` must be null or point to `len` readable bytes that nobody writes during `'a`.
    pub unsafe fn as_slice<'a>(self) -> Option<&'a [u8]> {
        if self.len == 0 {
            return Some(&[]);
        }
        if self.ptr.is_null() || self.len > isize::MAX as usize {
            return None;
        }
        // SAFETY: not null, not too long, and the caller vouches for the rest.
        Some(unsafe { std::slice::from_raw_parts(self.ptr, self.len) })
    }
}

/// How a service answers.
pub type Done = unsafe extern "C" fn(user: *mut c_void, ticket: u64, status: u32, body: Bytes);

/// `complete`
pub type Complete = unsafe extern "C" fn(instance: u64, ticket: u64, status: u32, body: Bytes);
/// `log`
pub type Log = unsafe extern "C" fn(instance: u64, level: u32, target: Bytes, message: Bytes, fields: Bytes);
/// `now_unix_ms`
pub type Now = unsafe extern "C" fn(instance: u64) -> u64;
/// `random`
pub type Random = unsafe extern "C" fn(instance: u64, out: *mut u8, len: usize) -> i32;
/// `service`
pub type Service = unsafe extern "C" fn(
    instance: u64,
    op: Bytes,
    request: Bytes,
    ticket: u64,
    done: Option<Done>,
    user: *mut c_void,
);

/// What the gateway lends to a library. Static, valid for ever.
#[repr(C)]
pub struct HostTable {
    /// `sizeof` on the gateway's side.
    pub struct_size: usize,
    /// The gateway's version of the boundary.
    pub abi_major: u16,
    /// Its minor.
    pub abi_minor: u16,
    /// Zero.
    pub reserved: u32,
    /// Answers a ticket, once, from any thread.
    pub complete: Option<Complete>,
    /// Writes a line to the gateway's log.
    pub log: Option<Log>,
    /// What time it is.
    pub now_unix_ms: Option<Now>,
    /// Fills with unpredictable bytes; 0 when done.
    pub random: Option<Random>,
    /// For later: answers *unsupported*.
    pub service: Option<Service>,
}

/// `create`
pub type Create = unsafe extern "C" fn(
    host: *const HostTable,
    instance: u64,
    ticket: u64,
    kind: Bytes,
    settings: Bytes,
    out: *mut *mut c_void,
) -> i32;
/// `call`
pub type CallEntry = unsafe extern "C" fn(instance: *mut c_void, ticket: u64, op: u32, request: Bytes);
/// `cancel` and `destroy`
pub type TicketEntry = unsafe extern "C" fn(instance: *mut c_void, ticket: u64);
/// `queued`
pub type Queued = unsafe extern "C" fn(instance: *mut c_void) -> u64;
/// The exported symbol.
pub type Entry = unsafe extern "C" fn(host: *const HostTable) -> *const PluginTable;

/// What a library is. Static, valid for ever.
#[repr(C)]
pub struct PluginTable {
    /// `sizeof` on the library's side.
    pub struct_size: usize,
    /// The library's version of the boundary.
    pub abi_major: u16,
    /// Its minor.
    pub abi_minor: u16,
    /// The oldest minor of a gateway that it can live with.
    pub min_host_minor: u16,
    /// Zero.
    pub reserved: u16,
    /// [`FLAG_ASYNC`] or nothing.
    pub flags: u32,
    /// Zero.
    pub reserved2: u32,
    /// What the section says as well.
    pub info: Bytes,
    /// Makes an instance.
    pub create: Option<Create>,
    /// Asks it something.
    pub call: Option<CallEntry>,
    /// Nobody waits for a ticket any more. May be null.
    pub cancel: Option<TicketEntry>,
    /// Ends an instance: its last use.
    pub destroy: Option<TicketEntry>,
    /// How much of its work waits for a thread. May be null.
    pub queued: Option<Queued>,
}

// SAFETY: both are read only, and what they point to is static.
unsafe impl Sync for PluginTable {}
unsafe impl Sync for HostTable {}

/// A library's table without `queued` is still one of 1.0.
pub const LEAST_PLUGIN_TABLE: usize = offset_of!(PluginTable, queued);

// Frozen for ever: a change here is a new major (docs/plugin-abi.md).
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Bytes>() == 16 && offset_of!(Bytes, ptr) == 0 && offset_of!(Bytes, len) == 8);

    assert!(offset_of!(HostTable, struct_size) == 0);
    assert!(offset_of!(HostTable, abi_major) == 8 && offset_of!(HostTable, abi_minor) == 10);
    assert!(offset_of!(HostTable, reserved) == 12);
    assert!(offset_of!(HostTable, complete) == 16 && offset_of!(HostTable, log) == 24);
    assert!(offset_of!(HostTable, now_unix_ms) == 32 && offset_of!(HostTable, random) == 40);
    assert!(offset_of!(HostTable, service) == 48 && size_of::<HostTable>() == 56);

    assert!(offset_of!(PluginTable, struct_size) == 0);
    assert!(offset_of!(PluginTable, abi_major) == 8 && offset_of!(PluginTable, abi_minor) == 10);
    assert!(offset_of!(PluginTable, min_host_minor) == 12 && offset_of!(PluginTable, reserved) == 14);
    assert!(offset_of!(PluginTable, flags) == 16 && offset_of!(PluginTable, reserved2) == 20);
    assert!(offset_of!(PluginTable, info) == 24);
    assert!(offset_of!(PluginTable, create) == 40 && offset_of!(PluginTable, call) == 48);
    assert!(offset_of!(PluginTable, cancel) == 56 && offset_of!(PluginTable, destroy) == 64);
    assert!(offset_of!(PluginTable, queued) == 72 && size_of::<PluginTable>() == 80);
};
