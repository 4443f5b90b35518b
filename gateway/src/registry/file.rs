//! A library's file, up to the private copy of it that is loaded: who owns it, who may
//! write to it, what its bytes hash to. What was hashed is what is mapped.
//!
//! What may not come in: loading.

use super::refusal::Refusal;
use aws_lc_rs::digest::{SHA256, digest};
use rustix::fs::{Mode, OFlags};
use std::{
    fs::{self, DirBuilder, File, Metadata},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Larger than any library that is stripped.
const MOST_BYTES: u64 = 64 << 20;

/// The bytes of a library, and what they hash to.
pub(super) struct Bytes {
    pub(super) all: Vec<u8>,
    pub(super) sha256: String,
}

/// Whether the operator must own it. An inspection reads anybody's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Checked,
    Anybody,
}

/// Reads a file once, after looking at what was opened and not at its name.
pub(super) fn read(path: &Path, owner: Owner) -> Result<Bytes, Refusal> {
    let io = |error: std::io::Error| Refusal::of("PLG-01", path, error);
    if owner == Owner::Checked {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let found = fs::metadata(parent).map_err(|error| Refusal::of("PLG-01", parent, error))?;
        owned(parent, &found)?;
    }
    // A link is not followed, and a pipe without a writer does not stop the gateway.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(opened) => File::from(opened),
        Err(rustix::io::Errno::LOOP) => return Err(Refusal::of("PLG-02", path, "is a symbolic link")),
        Err(error) => return Err(io(error.into())),
    };
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(Refusal::of("PLG-02", path, "not a regular file"));
    }
    if owner == Owner::Checked {
        owned(path, &found)?;
    }
    let too_large =
        |bytes| Refusal::of("PLG-06", path, format_args!("{bytes} bytes, more than {MOST_BYTES}"));
    if found.len() > MOST_BYTES {
        return Err(too_large(found.len()));
    }
    let mut all = Vec::with_capacity(usize::try_from(found.len()).unwrap_or_default());
    Read::take(&mut file, MOST_BYTES + 1).read_to_end(&mut all).map_err(io)?;
    if u64::try_from(all.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(too_large(MOST_BYTES + 1));
    }
    let sha256 = digest(&SHA256, &all).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Bytes { all, sha256 })
}

/// Nobody but root and the gateway's user may change it.
fn owned(path: &Path, found: &Metadata) -> Result<(), Refusal> {
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != own {
        let text = format!("owned by uid {}, must be owned by root or uid {own}", found.uid());
        return Err(Refusal::of("PLG-03", path, text));
    }
    let mode = found.mode() & 0o7777;
    // In a folder with the sticky bit nobody replaces what is not theirs.
    let sticky = found.is_dir() && mode & 0o1000 != 0;
    if mode & 0o022 != 0 && !sticky {
        let text = format!("mode {mode:04o} is writable by group or others");
        return Err(Refusal::of("PLG-04", path, text));
    }
    Ok(())
}

/// Where private copies are kept.
#[derive(Debug)]
pub(super) enum Copies {
    /// In this folder, for as long as the gateway's user wants.
    Kept(PathBuf),
    /// In a folder that goes with the value: a command must not leave root's files in
    /// the gateway's folder.
    Passing(PathBuf),
}

impl Copies {
    pub(super) fn beside(store: &Path) -> Self {
        Self::Kept(store.with_file_name("plugins"))
    }

    pub(super) fn passing(name: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Relaxed));
        Self::Passing(std::env::temp_dir().join(format!("portcullis-{process}-{next}-{name}")))
    }

    /// The private copy of these bytes.
    pub(super) fn put(&self, bytes: &Bytes) -> Result<PathBuf, Refusal> {
        let (Self::Kept(folder) | Self::Passing(folder)) = self;
        let refused =
            |error| Refusal::of("PLG-01", folder, format_args!("no private copy can be kept: {error}"));
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(refused(error)),
            _ => {}
        }
        let found = fs::symlink_metadata(folder).map_err(refused)?;
        if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o077 != 0
        {
            let text = "must be a folder of the gateway's own with mode 0700";
            return Err(Refusal::of("PLG-04", folder, text));
        }
        let copy = folder.join(format!("{}.so", bytes.sha256));
        // Only the gateway's user can have put it there; its bytes are looked at all the same.
        if read(&copy, Owner::Checked).is_ok_and(|there| there.sha256 == bytes.sha256) {
            return Ok(copy);
        }
        let new = folder.join(format!("{}.{}.new", bytes.sha256, std::process::id()));
        let _ = fs::remove_file(&new);
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o500)
            .open(&new)
            .and_then(|mut file| file.write_all(&bytes.all).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, &copy));
        written.map_err(refused)?;
        Ok(copy)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        if let Self::Passing(folder) = self {
            // What is mapped stays mapped.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn refused(path: &Path) -> String {
        read(path, Owner::Checked).err().map_or_else(String::new, |refusal| refusal.to_string())
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_a_file_that_nobody_else_can_change_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "abc").unwrap();
        mode(&path("a"), 0o600);
        let read_it = read(&path("a"), Owner::Checked).unwrap();
        assert_eq!(read_it.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(refused(&path("none")).ends_with("No such file or directory (os error 2) (PLG-01)"));
        symlink(path("a"), path("link")).unwrap();
        assert!(refused(&path("link")).ends_with("is a symbolic link (PLG-02)"));
        assert!(refused(folder.path()).contains("PLG-02"));
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success() && refused(&path("pipe")).ends_with("not a regular file (PLG-02)"));
        mode(&path("a"), 0o606);
        assert!(refused(&path("a")).ends_with("mode 0606 is writable by group or others (PLG-04)"));
        mode(&path("a"), 0o600);
        mode(folder.path(), 0o777);
        assert!(refused(&path("a")).ends_with("mode 0777 is writable by group or others (PLG-04)"));
        assert!(read(&path("a"), Owner::Anybody).is_ok());
        // Case 20: with the sticky bit nobody else can replace it there.
        mode(folder.path(), 0o1777);
        assert_eq!(refused(&path("a")), "");
        mode(folder.path(), 0o700);
        fs::File::create(path("large")).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert!(refused(&path("large")).contains("67108865 bytes"));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(path("a"), Some(12345), None).unwrap();
            assert!(
                refused(&path("a")).contains("owned by uid 12345, must be owned by root or uid 0 (PLG-03)")
            );
        }
    }

    #[test]
    fn a_copy_is_private_and_a_wrong_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "abc").unwrap();
        mode(&folder.path().join("a"), 0o600);
        let bytes = read(&folder.path().join("a"), Owner::Checked).unwrap();
        let copies = Copies::beside(&folder.path().join("portcullis.db"));
        let copy = copies.put(&bytes).unwrap();
        assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, 0o500);
        assert_eq!(fs::metadata(copy.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        mode(&copy, 0o700);
        fs::write(&copy, "other").unwrap();
        assert_eq!(fs::read(copies.put(&bytes).unwrap()).unwrap(), b"abc");
        mode(copy.parent().unwrap(), 0o770);
        assert_eq!(copies.put(&bytes).unwrap_err().code, "PLG-04");
        let passing = Copies::passing("test");
        let gone = passing.put(&bytes).unwrap();
        drop(passing);
        assert!(!gone.exists());
    }
}
