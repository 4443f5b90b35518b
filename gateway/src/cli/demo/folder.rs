//! Where the demo's store is: a folder that goes away with it, or one that stays.

use super::super::output::Failure;
use crate::random::Random;
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Removed when it is dropped, unless it is the user's.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    pub(super) fn new(given: Option<&Path>, random: &Random) -> Result<Self, Failure> {
        let (path, keep) = match given {
            Some(path) => (path.to_owned(), true),
            None => (std::env::temp_dir().join(format!("portcullis-demo-{}", random.uuid())), false),
        };
        let failed = |error| Failure::new(format!("cannot make the folder {}: {error}", path.display()));
        // A temporary one must be new: what somebody else has put there is not ours to use.
        fs::DirBuilder::new().mode(0o700).recursive(keep).create(&path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        Ok(Self { path, keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stays(&self) -> bool {
        self.keep
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_goes_and_a_given_one_stays() {
        let random = Random::system();
        let temporary = Folder::new(None, &random).unwrap();
        let path = temporary.path().to_owned();
        fs::write(path.join("x"), "x").unwrap();
        drop(temporary);
        assert!(!path.exists());
        let around = tempfile::tempdir().unwrap();
        let given = around.path().join("a/b");
        drop(Folder::new(Some(&given), &random).unwrap());
        assert!(given.is_dir());
    }
}
