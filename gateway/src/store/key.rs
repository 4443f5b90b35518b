//! Where the key that seals comes from: a file made with the store, or the text of
//! `[store] key`. The store keeps a sealed value by which a wrong key is noticed before
//! anything is done with it.

use super::open::{OpenError, beside, sync_folder};
use crate::{random::Random, seal::Sealer};
use portcullis_config::StoreKey;
use rusqlite::{Connection, OptionalExtension};
use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};
use zeroize::Zeroizing;

const CHECK: &str = "store key check";

/// The sealer of a store that is already open, checked against what the store remembers.
/// With `make`, a store that has no key yet gets one.
pub(super) fn sealer(
    db: &Connection,
    store: &Path,
    key: &StoreKey,
    random: &Random,
    make: bool,
) -> Result<Sealer, OpenError> {
    let check: Option<Vec<u8>> = db
        .query_row("SELECT value FROM meta WHERE name = 'key_check'", [], |row| row.get(0))
        .optional()
        .map_err(|error| OpenError::because(store, "cannot be read", &error))?;
    match check {
        Some(check) => {
            let sealer = Sealer::from_text(&text(key, store)?, random.clone());
            sealer.open(CHECK, &check).map_err(|_| wrong(key, store))?;
            Ok(sealer)
        }
        None if make => first(db, store, key, random),
        None => Err(OpenError(format!(
            "{} has no key yet: start `portcullis serve` first, which makes it",
            store.display()
        ))),
    }
}

fn first(db: &Connection, store: &Path, key: &StoreKey, random: &Random) -> Result<Sealer, OpenError> {
    if let StoreKey::File(path) = key {
        make_file(path, random)?;
    }
    let sealer = Sealer::from_text(&text(key, store)?, random.clone());
    db.execute(
        "INSERT INTO meta (name, value) VALUES ('key_check', ?1)",
        [sealer.seal(CHECK, b"portcullis")],
    )
    .map_err(|error| OpenError::because(store, "cannot be written", &error))?;
    Ok(sealer)
}

/// Makes the file unless there is one: then its key is taken, as after a first start
/// that was cut short, or with a key that an operator put there.
fn make_file(path: &Path, random: &Random) -> Result<(), OpenError> {
    let failed = |error| OpenError(format!("the key file {} could not be made: {error}", path.display()));
    if path.exists() {
        return Ok(());
    }
    let unfinished = beside(path, ".new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished).map_err(failed)?;
    let text = Zeroizing::new(random.opaque() + "\n");
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, path).and_then(|()| sync_folder(path)).map_err(failed)
}

fn text(key: &StoreKey, store: &Path) -> Result<Zeroizing<String>, OpenError> {
    let path = match key {
        StoreKey::Given(secret) => return Ok(Zeroizing::new(secret.reveal().to_owned())),
        StoreKey::File(path) => path,
    };
    let failed = |error| OpenError(format!("the key file {} cannot be read: {error}", path.display()));
    let mut file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing(path, store)),
        Err(error) => return Err(failed(error)),
    };
    // What holds of every file with a secret (contract, section 3).
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & 0o022 != 0 {
        return Err(OpenError(format!(
            "the key file {0} may be written by other users: run `chmod 600 {0}`, and see that it is still yours",
            path.display()
        )));
    }
    if mode & 0o004 != 0 {
        tracing::warn!(
            "the key file {0} may be read by every user: run `chmod 600 {0}`, and if somebody may have read \
             it, treat it as known",
            path.display()
        );
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed)?;
    let text = Zeroizing::new(text.trim_end().to_owned());
    if text.len() < 32 {
        return Err(OpenError(format!(
            "the key file {} is too short to be a key: {}",
            path.display(),
            remedies(store)
        )));
    }
    Ok(text)
}

fn missing(path: &Path, store: &Path) -> OpenError {
    OpenError(format!(
        "the key file {} of the store {} is missing: {}",
        path.display(),
        store.display(),
        remedies(store)
    ))
}

fn wrong(key: &StoreKey, store: &Path) -> OpenError {
    let which = match key {
        StoreKey::File(path) => format!("the key file {}", path.display()),
        StoreKey::Given(_) => "[store] key".to_owned(),
    };
    OpenError(format!("{which} is not the key with which {} was made: {}", store.display(), remedies(store)))
}

/// Accounts and passwords do not hang on the key, so losing it costs signing keys only.
fn remedies(store: &Path) -> String {
    format!(
        "put the right one back; or, if it is lost, give it up with `sqlite3 {} \"DELETE FROM keys; DELETE FROM \
         meta WHERE name = 'key_check'\"`: accounts, passwords and sessions stay, the next start makes a new \
         key, and access tokens signed before are refused",
        store.display()
    )
}
