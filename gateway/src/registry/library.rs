//! A library in this process: the dynamic linker, its table, and calls through it. With
//! `library/host.rs` the only unsafe code of the gateway.
//!
//! It is trusted as the gateway itself. What is checked here keeps a *mistaken* library
//! from being called wrongly; nothing can keep a hostile one from anything. It is never
//! unloaded: threads and thread-local values of it may live on.
//!
//! What may not come in: files (`file.rs`), what messages mean (`foreign.rs`).

#![allow(unsafe_code)] // the boundary; the proofs are beside each use

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod host;

use super::{info::Info, refusal::Refusal};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use portcullis_plugin_api::abi::{self, Bytes, CallEntry, Create, PluginTable, Queued, TicketEntry};
use std::{ffi::c_void, mem::offset_of, path::Path, ptr};

/// A loaded library.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) info: Info,
    pub(super) sha256: String,
    flags: u32,
    create: Create,
    call: CallEntry,
    cancel: Option<TicketEntry>,
    destroy: TicketEntry,
    queued: Option<Queued>,
}

/// No table will ever be so large; a number above is garbage.
const MOST_TABLE: usize = 4096;

impl Module {
    /// Loads the private `copy` of the library at `path`, whose section said `info`.
    pub(super) fn load(path: &Path, copy: &Path, info: Info, sha256: String) -> Result<Self, Refusal> {
        // SAFETY: its constructors run now. Whoever pinned these bytes has said that they
        // may (contract section 3: in process a library is trusted as the gateway itself).
        // RTLD_NOW: what it lacks is refused here, and not in the middle of a login.
        let library = unsafe { Library::open(Some(copy), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| Refusal::linker(path, &said(&error)))?;
        // Never unloaded, whatever comes next: its code has run.
        let library = std::mem::ManuallyDrop::new(library);
        // SAFETY: the header says that this name has this type.
        let entry = unsafe { library.get::<abi::Entry>(abi::SYMBOL.as_bytes()) };
        let entry = *entry.map_err(|error| Refusal::linker(path, &said(&error)))?;
        // SAFETY: the table is static; the header says what it may do here.
        let table = unsafe { entry(&raw const host::TABLE) };
        let table = Self::table(path, table, &info)?;
        let missing =
            |what: &str| Refusal::of("PLG-12", path, format_args!("descriptor function {what} is NULL"));
        Ok(Self {
            flags: table.flags,
            create: table.create.ok_or_else(|| missing("create"))?,
            call: table.call.ok_or_else(|| missing("call"))?,
            cancel: table.cancel,
            destroy: table.destroy.ok_or_else(|| missing("destroy"))?,
            queued: table.queued,
            info,
            sha256,
        })
    }

    /// The table as far as it goes, with nothing where it ends.
    fn table(path: &Path, table: *const PluginTable, info: &Info) -> Result<PluginTable, Refusal> {
        let refused = |why: String| Refusal::of("PLG-12", path, why);
        if table.is_null() {
            return Err(refused("portcullis_plugin_v1 answered NULL".to_owned()));
        }
        if !table.is_aligned() {
            return Err(refused("its descriptor is not aligned".to_owned()));
        }
        // SAFETY: not null, aligned, and the header says that a table begins with its size.
        let size = unsafe { (*table).struct_size };
        let least = abi::LEAST_PLUGIN_TABLE;
        if !(least..=MOST_TABLE).contains(&size) {
            let major = abi::MAJOR;
            return Err(refused(format!(
                "descriptor size {size} is impossible for ABI {major}.x (at least {least})"
            )));
        }
        let mut known = PluginTable {
            struct_size: size,
            abi_major: 0,
            abi_minor: 0,
            min_host_minor: 0,
            reserved: 0,
            flags: 0,
            reserved2: 0,
            info: Bytes::of(&[]),
            create: None,
            call: None,
            cancel: None,
            destroy: None,
            queued: None,
        };
        // Only what its size covers is read: a library of 1.0 may end before `queued`.
        // SAFETY: `size` bytes are there by its own word, and no more than ours are
        // written; every field is plain data of which any bits are a value, or a nullable
        // function pointer, whose type the header fixes.
        unsafe {
            let bytes = size.min(size_of::<PluginTable>());
            let whole =
                if bytes < size_of::<PluginTable>() { offset_of!(PluginTable, queued) } else { bytes };
            ptr::copy_nonoverlapping(table.cast::<u8>(), (&raw mut known).cast::<u8>(), whole);
        }
        if (known.abi_major, known.abi_minor) != info.abi {
            let (major, minor) = info.abi;
            let (theirs, their) = (known.abi_major, known.abi_minor);
            return Err(refused(format!(
                "descriptor says ABI {theirs}.{their}, the .portcullis section says {major}.{minor}"
            )));
        }
        Ok(known)
    }

    /// The flags of its table.
    pub(super) fn flags(&self) -> u32 {
        self.flags
    }

    /// Whether `call` only queues.
    pub(super) fn is_async(&self) -> bool {
        self.flags & abi::FLAG_ASYNC != 0
    }

    /// Begins to make an instance. The code, and the instance if there is one.
    pub(super) fn create(
        &'static self,
        number: u64,
        ticket: u64,
        kind: &str,
        settings: &[u8],
    ) -> (i32, Option<Made>) {
        let mut out: *mut c_void = ptr::null_mut();
        let (kind, settings) = (Bytes::of(kind.as_bytes()), Bytes::of(settings));
        // SAFETY: the table is static, the bytes live until it returns, `out` is ours.
        let code =
            unsafe { (self.create)(&raw const host::TABLE, number, ticket, kind, settings, &raw mut out) };
        let made = (!out.is_null()).then_some(Made { module: self, pointer: Pointer(out) });
        (code, made)
    }
}

/// The pointer of an instance, meaningful to its library alone.
#[derive(Debug)]
struct Pointer(*mut c_void);

// SAFETY: the header says that every function may be called from any thread, several at a
// time; the gateway itself never looks behind the pointer.
unsafe impl Send for Pointer {}
unsafe impl Sync for Pointer {}

/// An instance that a library has made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) module: &'static Module,
    pointer: Pointer,
}

impl Made {
    pub(super) fn call(&self, ticket: u64, op: u32, request: &[u8]) {
        // SAFETY: made by `create` and not destroyed, for `destroy` takes the value; the
        // bytes live until it returns.
        unsafe { (self.module.call)(self.pointer.0, ticket, op, Bytes::of(request)) };
    }

    pub(super) fn can_cancel(&self) -> bool {
        self.module.cancel.is_some()
    }

    pub(super) fn cancel(&self, ticket: u64) {
        if let Some(cancel) = self.module.cancel {
            // SAFETY: as in `call`.
            unsafe { cancel(self.pointer.0, ticket) };
        }
    }

    pub(super) fn queued(&self) -> u64 {
        // SAFETY: as in `call`.
        self.module.queued.map_or(0, |queued| unsafe { queued(self.pointer.0) })
    }

    /// The last use of it.
    pub(super) fn destroy(self, ticket: u64) {
        // SAFETY: as in `call`, and the value is gone after it.
        unsafe { (self.module.destroy)(self.pointer.0, ticket) };
    }
}

fn said(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}
