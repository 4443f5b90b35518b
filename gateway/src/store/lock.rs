//! The lock file beside the store, held by `serve` for life: one process serves a store.
//! The kernel lets go of it when the process ends, however it ends, so the file itself
//! is never removed.

use super::open::OpenError;
use rustix::fs::{FlockOperation, OFlags, flock};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Held while it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of this store, or says who has it.
    pub(super) fn take(store: &Path) -> Result<Self, OpenError> {
        let path = super::open::beside(store, ".lock");
        let failed =
            |error: std::io::Error| OpenError(format!("{} could not be made: {error}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // What it points to would be emptied.
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(held(store, &mut file)),
            Err(error) => return Err(failed(error.into())),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn held(store: &Path, file: &mut File) -> OpenError {
    let mut text = String::new();
    // The holder may not have written it yet; then there is no number to tell.
    let _ = file.take(32).read_to_string(&mut text);
    let pid = text.trim().parse::<u32>();
    let who = pid.map_or_else(|_| "another process".to_owned(), |pid| format!("process {pid}"));
    OpenError(format!(
        "{} is already served by {who}: stop it first, or give this one a store of its own in [store] url",
        store.display()
    ))
}
