//! From whatever form a store has to the present one. The form's number is SQLite's
//! `user_version`; file N of `migrations/` leads to form N and is never changed once
//! it was released.

use super::open::OpenError;
use rusqlite::Connection;
use std::{fs, os::unix::fs::OpenOptionsExt, path::Path};

/// What leads from nothing to the present form.
pub(super) const STEPS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_keys.sql"),
    include_str!("migrations/0003_refresh.sql"),
    include_str!("migrations/0004_networks.sql"),
    include_str!("migrations/0005_external.sql"),
    include_str!("migrations/0006_accounts.sql"),
    include_str!("migrations/0007_proved_names.sql"),
];

/// Marks the file as ours (`PRAGMA application_id`): "PCLS".
const APPLICATION: i32 = 0x5043_4c53;

/// What was found in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing yet.
    Empty,
    /// Older than this program: this number.
    Older(usize),
    /// The present one.
    Present,
}

/// What form the store has; a newer one, and a file that is no store, are refused.
pub(super) fn form(db: &Connection, path: &Path, steps: &[&str]) -> Result<Form, OpenError> {
    let number = |name: &str| {
        db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(|error| OpenError::because(path, "cannot be read", &error))
    };
    let (version, application) = (number("user_version")?, number("application_id")?);
    if version == 0 && application == 0 && is_empty(db, path)? {
        return Ok(Form::Empty);
    }
    if application != i64::from(APPLICATION) {
        return Err(OpenError(format!(
            "{} is a database, but not one of Portcullis: name another file in [store] url",
            path.display()
        )));
    }
    match usize::try_from(version).unwrap_or(0) {
        found if found == steps.len() => Ok(Form::Present),
        found if found < steps.len() => Ok(Form::Older(found)),
        found => Err(OpenError(format!(
            "{} was written by a newer Portcullis (form {found}; this one knows {}): run that version, or go \
             back to the copy it made beside the store before it upgraded",
            path.display(),
            steps.len()
        ))),
    }
}

fn is_empty(db: &Connection, path: &Path) -> Result<bool, OpenError> {
    db.query_row("SELECT count(*) = 0 FROM sqlite_master", [], |row| row.get(0))
        .map_err(|error| OpenError::because(path, "cannot be read", &error))
}

/// Brings the store to the present form in one transaction: all of it or nothing.
pub(super) fn upgrade(db: &Connection, from: usize, steps: &[&str]) -> rusqlite::Result<()> {
    let step = db.unchecked_transaction()?;
    for sql in &steps[from..] {
        step.execute_batch(sql)?;
    }
    step.pragma_update(None, "application_id", APPLICATION)?;
    step.pragma_update(None, "user_version", i64::try_from(steps.len()).unwrap_or(i64::MAX))?;
    step.commit()
}

/// Writes a copy of an older store beside it, readable by its owner alone. It takes its
/// name only when it is whole and on disk.
pub(super) fn copy_beside(db: &Connection, path: &Path, form: usize) -> Result<(), OpenError> {
    let copy = super::open::beside(path, &format!(".v{form}.bak"));
    let unfinished = super::open::beside(path, &format!(".v{form}.bak.new"));
    let failed = |error: &dyn std::fmt::Display| {
        OpenError(format!(
            "the copy {} that must be made before the store is upgraded could not be written: {error}",
            copy.display()
        ))
    };
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&error)),
        _ => {}
    }
    // VACUUM INTO accepts an empty file and leaves its mode alone.
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(|error| failed(&error))?;
    let target = unfinished.to_str().ok_or_else(|| failed(&"its path is not UTF-8"))?;
    db.execute("VACUUM INTO ?1", [target]).map_err(|error| failed(&error))?;
    file.sync_all().map_err(|error| failed(&error))?;
    fs::rename(&unfinished, &copy).map_err(|error| failed(&error))?;
    super::open::sync_folder(path).map_err(|error| failed(&error))
}
