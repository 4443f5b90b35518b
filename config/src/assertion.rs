//! `[assertion]`: the signed statement for the upstream.

use crate::{
    algorithm::{self, Algorithm},
    names::header_fault,
    problem::Book,
    section::{Field, Section},
    token::A_SECOND,
    tree::Table,
};
use std::time::Duration;

/// `[assertion]`
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The header's name.
    pub header: String,
    /// How it is signed; never HS256.
    pub algorithm: Algorithm,
    /// How long one is valid.
    pub lifetime: Duration,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["header", "algorithm", "lifetime"];

/// Reads the table.
pub(crate) fn read(root: &Table, book: &mut Book<'_>) -> Assertion {
    let table = Section::open(root, "assertion", KEYS, book);
    Assertion {
        header: table
            .field("header")
            .and_then(|field| header(field, book))
            .unwrap_or_else(|| "X-Portcullis-Assertion".to_owned()),
        algorithm: table
            .field("algorithm")
            .and_then(|field| algorithm::of_pairs(field, book))
            .unwrap_or(Algorithm::Es256),
        lifetime: table
            .field("lifetime")
            .and_then(|field| field.duration(A_SECOND, book))
            .unwrap_or(Duration::from_secs(60)),
    }
}

fn header(field: Field<'_>, book: &mut Book<'_>) -> Option<String> {
    let name = field.text(book)?;
    match header_fault(&name) {
        None => Some(name),
        Some(fault) => {
            book.refuse(field.at(), format!("{}: \"{}\" {fault}", field.label(), name.escape_debug()));
            None
        }
    }
}
