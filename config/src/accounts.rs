//! `[accounts]`: names and fields of accounts.

use crate::{
    problem::Book,
    section::{Field, Section},
    strategies,
    tree::Table,
};

/// `[accounts]`
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Names of the field that says who signs in.
    pub identifiers: Vec<String>,
    /// The strategy whose accounts have bare names; default: the default strategy.
    pub bare_names: Option<String>,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["bare_names", "identifiers"];

/// Fields of a login that mean something else.
const RESERVED: &[&str] =
    &["password", "transport", "expires_in", "return_to", "state", "link", "data", "type", "attributes"];

/// Reads the table. `default` is the default strategy.
pub(crate) fn read(
    root: &Table,
    strategies: &[strategies::Strategy],
    default: Option<&str>,
    book: &mut Book<'_>,
) -> Accounts {
    let table = Section::open(root, "accounts", KEYS, book);
    let usual = || ["username", "email", "login"].map(str::to_owned).to_vec();
    Accounts {
        identifiers: table
            .field("identifiers")
            .and_then(|field| identifiers(field, book))
            .unwrap_or_else(usual),
        bare_names: match table.field("bare_names") {
            Some(field) => strategies::named(field, strategies, book),
            None => default.map(str::to_owned),
        },
    }
}

fn identifiers(field: Field<'_>, book: &mut Book<'_>) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let given = field.texts(book)?;
    if given.is_empty() {
        book.refuse_with(
            field.at(),
            format!("{} must not be empty: nobody could say who signs in", field.label()),
            "write [\"username\"]",
        );
    }
    for entry in given {
        let shown = entry.text.escape_debug();
        if entry.text.is_empty() || entry.text.contains(char::is_control) || entry.text.len() > 64 {
            book.refuse(&entry.at, format!("{} is not the name of a field: \"{shown}\"", field.label()));
        } else if RESERVED.contains(&entry.text.as_str()) {
            book.refuse(&entry.at, format!("{}: \"{shown}\" has another meaning in a login", field.label()));
        } else if names.contains(&entry.text) {
            book.refuse(&entry.at, format!("{} names \"{shown}\" twice", field.label()));
        } else {
            names.push(entry.text);
        }
    }
    Some(names)
}
