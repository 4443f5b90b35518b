//! Opening a store: `serve` creates, locks and upgrades it, a command finds it as it is
//! or stops (contract, section 2).

use super::{
    Inner, Store, key,
    lock::Lock,
    migrations::{self, Form},
    thread::{Readers, Writer},
};
use crate::{clock::Clock, random::Random};
use portcullis_config::StoreKey;
use rusqlite::{Connection, OpenFlags};
use std::{
    ffi::OsString,
    fmt, fs,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

/// How a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// `serve` and `demo`: made if it is not there, upgraded if it is older, locked for life.
    Serve,
    /// Every other verb: it must be there, ours, and of the present form.
    Command,
}

/// What is needed to open a store.
#[derive(Clone)]
pub struct StoreOptions {
    /// The SQLite file.
    pub path: PathBuf,
    /// Where the key that seals is.
    pub key: StoreKey,
    /// Who opens.
    pub mode: OpenMode,
    /// Dates what has no date of its own.
    pub clock: Clock,
    /// Makes keys and nonces.
    pub random: Random,
}

/// Why a store was not opened, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenError(pub String);

impl OpenError {
    pub(super) fn because(path: &Path, what: &str, error: &dyn fmt::Display) -> Self {
        Self(format!("the store {} {what}: {error}", path.display()))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OpenError {}

/// The path with something added to the file's name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// A new name in a folder is on disk only when the folder is.
pub(super) fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

impl Store {
    /// Opens the store. Blocks; called once, at the start.
    pub fn open(options: StoreOptions) -> Result<Self, OpenError> {
        Self::open_with(options, migrations::STEPS)
    }

    pub(super) fn open_with(options: StoreOptions, steps: &[&str]) -> Result<Self, OpenError> {
        // Two names of one file, by a symlink, must meet at one lock.
        let path = fs::canonicalize(&options.path).unwrap_or_else(|_| options.path.clone());
        let lock = match options.mode {
            OpenMode::Serve => Some(create_and_lock(&path)?),
            OpenMode::Command => found(&path)?,
        };
        let db = connect(&path)?;
        match (migrations::form(&db, &path, steps)?, &options.mode) {
            (Form::Present, _) => {}
            (form, OpenMode::Serve) => bring_up(&db, &path, &form, steps, &options.random)?,
            (Form::Older(_) | Form::Empty, OpenMode::Command) => {
                return Err(OpenError(format!(
                    "the store {} was written by an older Portcullis: start `portcullis serve` of this version \
                     first, which upgrades it",
                    path.display()
                )));
            }
        }
        let sealer = OnceLock::new();
        if options.mode == OpenMode::Serve {
            let _ = sealer.set(key::sealer(&db, &path, &options.key, &options.random, true)?);
        }
        let lockout_key = super::lockout::key(&db, &path)?;
        start(options, path, db, lock, sealer, lockout_key)
    }
}

/// The threads, and what they share.
fn start(
    options: StoreOptions,
    path: PathBuf,
    db: Connection,
    lock: Option<Lock>,
    sealer: OnceLock<crate::seal::Sealer>,
    lockout_key: super::lockout::Key,
) -> Result<Store, OpenError> {
    let failed = |error: std::io::Error| OpenError(format!("the store's threads did not start: {error}"));
    let serving = options.mode == OpenMode::Serve;
    let count = if serving { 2 } else { 1 };
    let readers = (0..count).map(|_| reader(&path)).collect::<Result<Vec<_>, _>>()?;
    let watcher = if serving { Some(reader(&path)?) } else { None };
    let (write, writer) = Writer::start(db).map_err(failed)?;
    let (read, mut threads) = Readers::start(readers).map_err(failed)?;
    // `data_version` means something on one connection only. A command has just one.
    let watch = match watcher {
        Some(db) => {
            let (watch, more) = Readers::start(vec![db]).map_err(failed)?;
            threads.extend(more);
            watch
        }
        None => read.clone(),
    };
    threads.push(writer);
    Ok(Store {
        inner: Arc::new(Inner {
            lanes: Some(super::Lanes { write, read, watch }),
            threads: Mutex::new(threads),
            clock: options.clock,
            random: options.random,
            key: options.key,
            path,
            sealer,
            lockout_key,
            underway: Default::default(),
            asked: Default::default(),
            errors: Default::default(),
            _lock: lock,
            #[cfg(test)]
            folder: None,
        }),
    })
}

/// Makes the file, empty and readable by its owner alone (SQLite gives the files beside
/// it the same mode), and takes the lock.
fn create_and_lock(path: &Path) -> Result<Lock, OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(OpenError(format!(
            "the folder {} for the store is not there: make it, or name another in [store] url",
            folder.display()
        )));
    }
    let lock = Lock::take(path)?;
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => sync_folder(path).map_err(|error| OpenError::because(path, "could not be made", &error))?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(OpenError::because(path, "could not be made", &error)),
    }
    Ok(lock)
}

/// A store that a command may use: there, and ours. Another user's command would leave
/// files beside it that its owner cannot open.
fn found(path: &Path) -> Result<Option<Lock>, OpenError> {
    let file = match fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(OpenError(format!(
                "there is no store at {}: start `portcullis serve` first, which makes it",
                path.display()
            )));
        }
        Err(error) => return Err(OpenError::because(path, "cannot be read", &error)),
    };
    let us = rustix::process::geteuid().as_raw();
    if file.uid() == us {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    Err(OpenError(format!(
        "the store {} belongs to {}, and this command runs as {}: run it as the store's owner",
        path.display(),
        user(&passwd, file.uid()),
        user(&passwd, us)
    )))
}

/// `name (uid 1000)`, or the number alone where the machine has no name for it.
fn user(passwd: &str, uid: u32) -> String {
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    });
    named.map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

/// From an empty file or an older form to the present one.
fn bring_up(
    db: &Connection,
    path: &Path,
    form: &Form,
    steps: &[&str],
    random: &Random,
) -> Result<(), OpenError> {
    let from = match form {
        Form::Older(from) => {
            migrations::copy_beside(db, path, *from)?;
            *from
        }
        Form::Empty | Form::Present => 0,
    };
    migrations::upgrade(db, from, steps)
        .and_then(|()| super::lockout::make_key(db, random))
        .map_err(|error| OpenError::because(path, "could not be brought to the present form", &error))
}

/// A connection as every one of ours is set up.
fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .and_then(|db| {
            // Whoever waits for a store that somebody else has locked is told so within 2 s.
            db.busy_timeout(Duration::from_millis(1800))?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            db.pragma_update(None, "synchronous", "FULL")?;
            db.pragma_update(None, "foreign_keys", true)?;
            db.pragma_update(None, "trusted_schema", false)?;
            // After a burst the log shrinks again.
            db.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
            db.set_prepared_statement_cache_capacity(64);
            Ok(db)
        })
        .map_err(|error| OpenError::because(path, "cannot be opened", &error))
}

fn reader(path: &Path) -> Result<Connection, OpenError> {
    let db = connect(path)?;
    db.pragma_update(None, "query_only", true)
        .map_err(|error| OpenError::because(path, "cannot be opened", &error))?;
    Ok(db)
}

#[cfg(test)]
mod tests {
    use super::{connect, user};

    // contract section 6 and the two seconds of the fault table. The figures under load are
    // `tests/it/faults.rs`'s, in `tests/run --long`.
    #[test]
    fn who_finds_the_store_locked_waits_less_than_two_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        std::fs::write(&path, "").unwrap();
        let wait: i64 =
            connect(&path).unwrap().pragma_query_value(None, "busy_timeout", |row| row.get(0)).unwrap();
        assert!((1..2000).contains(&wait), "{wait} ms");
    }

    #[test]
    fn a_user_is_named_where_the_machine_knows_a_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(user(passwd, 1000), "ada (uid 1000)");
        assert_eq!(user(passwd, 0), "root (uid 0)");
        assert_eq!(user(passwd, 10), "uid 10");
    }
}
