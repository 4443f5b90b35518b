//! A secret: a string, or `{ file = "…" }`, or `{ env = "…" }` (contract section 3). What
//! may not come in: a message or a `Debug` that shows one.

use crate::{
    load::Surroundings,
    problem::{At, Book},
    section::{Field, Section},
    tree::{Node, Value},
};
use std::{os::unix::fs::MetadataExt, path::Path};

/// A secret value; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Not for logs.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// A key, a password or a token is shorter than this; a larger file is the wrong one.
const MOST_BYTES: u64 = 64 * 1024;

/// Reads the secret that a field names. None, and a problem: there is none.
pub(crate) fn read(field: Field<'_>, around: &Surroundings<'_>, book: &mut Book<'_>) -> Option<Secret> {
    // `PORTCULLIS_…='{ file = "…" }'` names a place; nobody means that text for a secret.
    let settled = field.node().settled().filter(is_elsewhere);
    let node = settled.as_ref().unwrap_or(field.node());
    if !matches!(node.value, Value::Table(_)) {
        let text = field.text(book)?;
        if let Some(file) = around.open_file_at(field.at()) {
            let message =
                format!("{} stands in a file that everybody on this machine can read", field.label());
            book.warn(
                field.at(),
                message,
                format!("run: chmod o-r '{}'; or write {{ file = \"…\" }}", file.display()),
            );
        }
        return Some(Secret(text));
    }
    let before = book.count();
    let table = Section::of(node, field.label(), "secret", &["file", "env"], book)?;
    let text = match (table.field("file"), table.field("env")) {
        (Some(file), None) => {
            let path = around.folder_at(file.at()).join(file.text(book)?);
            of_file(&path, file.at(), book)?
        }
        (None, Some(env)) => {
            let name = env.text(book)?;
            let found = around.env.iter().find(|(known, _)| *known == name);
            let Some((_, text)) = found else {
                book.refuse(env.at(), format!("the environment variable {} is not set", name.escape_debug()));
                return None;
            };
            text.clone()
        }
        // An unknown key says already what to write.
        _ if book.count() > before => return None,
        _ => {
            let message = format!("{} must name either `file` or `env`", field.label());
            book.refuse_with(field.at(), message, "write { file = \"…\" } or { env = \"…\" }");
            return None;
        }
    };
    if text.is_empty() {
        book.refuse(field.at(), format!("{} is empty", field.label()));
        return None;
    }
    Some(Secret(text))
}

/// `{ file = "…" }` or `{ env = "…" }`.
pub(crate) fn is_elsewhere(node: &Node) -> bool {
    let Value::Table(table) = &node.value else { return false };
    matches!(table.entries.as_slice(), [one] if one.key == "file" || one.key == "env")
}

/// The text of a file that only its owner can have written, without one trailing newline.
fn of_file(path: &Path, at: &At, book: &mut Book<'_>) -> Option<String> {
    let shown = path.display();
    // What a symbolic link leads to counts, as orchestrators mount secrets through them.
    let found = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => found,
        Ok(_) => {
            book.refuse(at, format!("{shown} is not a regular file"));
            return None;
        }
        Err(error) => {
            book.refuse(at, format!("{shown} cannot be read: {error}"));
            return None;
        }
    };
    if found.mode() & 0o022 != 0 {
        let message = format!("{shown} can be written by its group or by everybody");
        book.refuse_with(at, message, format!("run: chmod go-w '{shown}'"));
        return None;
    }
    if found.len() > MOST_BYTES {
        book.refuse(at, format!("{shown} is larger than any secret ({} bytes)", found.len()));
        return None;
    }
    if found.mode() & 0o004 != 0 {
        let message = format!("{shown} can be read by everybody on this machine");
        book.warn(at, message, format!("run: chmod o-r '{shown}'"));
    }
    match std::fs::read_to_string(path) {
        Ok(mut text) => {
            if text.ends_with('\n') {
                text.pop();
                if text.ends_with('\r') {
                    text.pop();
                }
            }
            Some(text)
        }
        Err(error) => {
            book.refuse(at, format!("{shown} cannot be read: {error}"));
            None
        }
    }
}
