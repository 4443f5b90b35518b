//! What something was made of, in little: two that have the same print were made of the same
//! settings, secrets and files. So a reload knows what it need not forget.
//!
//! What may not come in: what is kept, and what the settings mean.

use aws_lc_rs::digest;
use serde_json::{Value, json};
use std::path::Path;

/// The print of settings and of what stands in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MadeOf([u8; 32]);

impl MadeOf {
    /// Of these settings, with all that counts in them, and of these contents.
    pub(crate) fn of(settings: &Value, contents: &[Vec<u8>]) -> Self {
        let contents: Vec<[u8; 32]> = contents.iter().map(|bytes| print(bytes)).collect();
        Self(print(json!([settings, contents]).to_string().as_bytes()))
    }

    /// Of these settings and the files that they name. None: one cannot be read, so nobody
    /// knows what it is made of.
    pub(crate) fn of_files<'p>(settings: &Value, files: impl Iterator<Item = &'p Path>) -> Option<Self> {
        let mut contents = vec![portcullis_openid::system_authorities()];
        for file in files {
            contents.push(std::fs::read(file).ok()?);
        }
        Some(Self::of(settings, &contents))
    }
}

fn print(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
