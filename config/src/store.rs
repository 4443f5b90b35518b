//! `[store]`: where accounts and sessions are kept, and the key that seals.

use crate::{
    load::Surroundings,
    problem::Book,
    secret::{self, Secret},
    section::{Field, Section},
    tree::Table,
    unbuilt,
};
use std::path::{Path, PathBuf};

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The SQLite file.
    pub path: PathBuf,
    /// Where the key that seals is.
    pub key: StoreKey,
}

/// `[store] key`
#[derive(Clone, PartialEq, Eq)]
pub enum StoreKey {
    /// The default: a file beside the store, made with it.
    File(PathBuf),
    /// Given in the configuration. Base64 or hex is not interpreted: the text is stretched as it is.
    Given(Secret),
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given(_) => f.write_str("Given(…)"),
        }
    }
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["url", "key"];

/// Fewer bytes than this can be guessed.
const SHORTEST_KEY: usize = 16;

/// Reads the table.
pub(crate) fn read(root: &Table, around: &Surroundings<'_>, book: &mut Book<'_>) -> Store {
    let table = Section::open(root, "store", KEYS, book);
    let named = table.field("url").and_then(|field| sqlite_path(field, book));
    let path = store_folder(around).join(named.as_deref().unwrap_or("portcullis.db"));
    let key = match table.field("key") {
        None => StoreKey::File(path.with_file_name("portcullis.key")),
        Some(field) => StoreKey::Given(given_key(field, around, book)),
    };
    Store { path, key }
}

/// The folder that a relative path of a store belongs to (contract section 3).
fn store_folder(around: &Surroundings<'_>) -> PathBuf {
    match around.folder.starts_with("/etc/portcullis") {
        true => Path::new("/var/lib/portcullis").to_path_buf(),
        false => around.folder.clone(),
    }
}

fn sqlite_path(field: Field<'_>, book: &mut Book<'_>) -> Option<String> {
    let text = field.text(book)?;
    let label = field.label();
    // The address of a database server may hold a password: never repeat it.
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        book.refuse(field.at(), unbuilt::line(&format!("{label} = \"postgres://…\"")));
        return None;
    }
    let Some(path) = text.strip_prefix("sqlite:") else {
        book.refuse_with(
            field.at(),
            format!("{label} must begin with sqlite:"),
            "write \"sqlite:portcullis.db\"",
        );
        return None;
    };
    let fault = if path.is_empty() || path.ends_with('/') {
        "names no file"
    } else if path.starts_with(':') {
        "must be a file: accounts and sessions outlive the process"
    } else if path.contains(['?', '#', '\0']) {
        "takes no parameters"
    } else if path.starts_with("//") && !path.starts_with("///") {
        "has `//` before a relative path"
    } else {
        return Some(path.to_owned());
    };
    book.refuse_with(
        field.at(),
        format!("{label} {fault}"),
        "write \"sqlite:portcullis.db\" or \"sqlite:/path/to/portcullis.db\"",
    );
    None
}

fn given_key(field: Field<'_>, around: &Surroundings<'_>, book: &mut Book<'_>) -> Secret {
    let Some(secret) = secret::read(field, around, book) else {
        return Secret::new(String::new());
    };
    if secret.reveal().len() < SHORTEST_KEY {
        book.refuse_with(
            field.at(),
            format!("{} is shorter than {SHORTEST_KEY} bytes", field.label()),
            "make one: openssl rand -hex 32",
        );
    }
    secret
}
