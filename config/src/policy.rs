//! A route's `policy`: who may.

use crate::{
    names::is_role,
    problem::Book,
    section::{Field, Section},
    tree::Value,
};

/// Who may use a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anybody.
    Public,
    /// Anybody who has signed in.
    SignedIn,
    /// Signed in, and with one of these roles.
    Roles(Vec<String>),
}

/// The keys of a policy table.
pub(crate) const KEYS: &[&str] = &["roles"];

/// Reads a policy. None, and a problem: it is none.
pub(crate) fn read(field: Field<'_>, book: &mut Book<'_>) -> Option<Policy> {
    if !matches!(field.node().value, Value::Table(_) | Value::Text(_)) {
        let message = format!("{} must be a string or a table, not {}", field.label(), field.node().what());
        book.refuse_with(field.at(), message, "write \"signed-in\", \"public\" or { roles = [\"staff\"] }");
        return None;
    }
    if matches!(field.node().value, Value::Text(_)) {
        let public = field.one_of(&[("public", true), ("signed-in", false)], book)?;
        return Some(if public { Policy::Public } else { Policy::SignedIn });
    }
    let before = book.count();
    let table = Section::of(field.node(), field.label(), "policy", KEYS, book)?;
    let Some(roles) = table.field("roles") else {
        if book.count() == before {
            let message = format!("{} says nothing", field.label());
            book.refuse_with(field.at(), message, "write { roles = [\"staff\"] } or \"signed-in\"");
        }
        return None;
    };
    let given = roles.texts(book)?;
    if given.is_empty() {
        let message = format!("{} must not be empty: nobody would pass", roles.label());
        book.refuse_with(roles.at(), message, "write { roles = [\"staff\"] } or \"signed-in\"");
    }
    let mut names: Vec<String> = Vec::new();
    for entry in given {
        if is_role(&entry.text) {
            names.push(entry.text);
        } else {
            book.refuse_with(
                &entry.at,
                format!("{} is not a role: \"{}\"", roles.label(), entry.text.escape_debug()),
                "a role has 1 to 128 bytes, no comma and no control character",
            );
        }
    }
    Some(Policy::Roles(names))
}
