//! `{certificate, key}`: two PEM files that belong together. What may not come in: what
//! is in them; that is read where TLS is spoken, at each start and reload.

use crate::{
    load::Surroundings,
    problem::{At, Book},
    section::{Field, Section},
    tree::{Node, Value},
};
use std::path::PathBuf;

/// A certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The chain, the own certificate first.
    pub certificate: PathBuf,
    /// The private key of the first.
    pub key: PathBuf,
    /// Where the configuration names it, for messages.
    pub place: String,
}

const KEYS: &[&str] = &["certificate", "key"];

/// `[server] tls`: one table, or a list of them.
pub(crate) fn list(field: Field<'_>, around: &Surroundings<'_>, book: &mut Book<'_>) -> Vec<Certificate> {
    let settled = field.node().settled();
    let node = settled.as_ref().unwrap_or(field.node());
    let one = |node: &Node, book: &mut Book<'_>| certificate(node, field.label(), around, book);
    match &node.value {
        Value::List(items) if items.is_empty() => {
            let help = "write { certificate = \"server.pem\", key = \"server.key\" }";
            book.refuse_with(field.at(), format!("{} names no certificate", field.label()), help);
            Vec::new()
        }
        Value::List(items) => items.iter().filter_map(|item| one(item, book)).collect(),
        _ => one(node, book).into_iter().collect(),
    }
}

fn certificate(
    node: &Node,
    label: String,
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Option<Certificate> {
    let table = Section::of(node, label, "certificate", KEYS, book)?;
    pair(&table, &node.at, "server", around, book)
}

/// `certificate` and `key` of a table that may have other keys too; `whose` names them in
/// the example of a message.
pub(crate) fn pair(
    table: &Section<'_>,
    at: &At,
    whose: &str,
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Option<Certificate> {
    let mut path = |key| match table.field(key) {
        Some(field) => Some(around.folder_at(field.at()).join(field.text(book)?)),
        None => {
            let help = format!("write {{ certificate = \"{whose}.pem\", key = \"{whose}.key\" }}");
            book.refuse_with(at, format!("{} has no {key}", table.name), help);
            None
        }
    };
    let (certificate, key) = (path("certificate"), path("key"));
    Some(Certificate { certificate: certificate?, key: key?, place: book.place(at) })
}
