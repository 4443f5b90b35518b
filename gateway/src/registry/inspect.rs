//! What a library's file is, for `portcullis plugin`: read, never run.

use super::{
    file::{self, Owner},
    info::Info,
    libraries,
    refusal::Refusal,
};
use std::path::Path;

/// A file and what it says of itself.
pub struct Inspected {
    /// What its bytes hash to.
    pub sha256: String,
    /// How many.
    pub bytes: usize,
    /// What it says it is, or why it cannot be used.
    pub info: Result<Info, Refusal>,
}

/// Reads a file, whoever owns it.
pub fn inspect(path: &Path) -> Result<Inspected, Refusal> {
    let bytes = file::read(path, Owner::Anybody)?;
    let info = libraries::look(path, &bytes.all);
    Ok(Inspected { sha256: bytes.sha256, bytes: bytes.all.len(), info })
}
