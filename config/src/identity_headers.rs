//! `[identity_headers]`: how an upstream hears who is there.

use crate::{
    names::{folded, header_fault},
    nearest,
    problem::{At, Book},
    section::Section,
    tree::{Entry, Table, Value},
};
use std::collections::BTreeMap;

/// Header name as written → account path (`name`, `display_name`, `email`, `roles`, `uuid`, `app.…`, `metadata.…`, `strategy`).
pub type HeaderTable = BTreeMap<String, String>;

/// The key that is no header.
pub(crate) const STRIP: &str = "strip";

/// What an account path may be, beside `app.…` and `metadata.…`.
const PATHS: &[&str] = &["name", "display_name", "email", "roles", "uuid", "strategy"];

/// The table that holds when none is given.
pub(crate) const DEFAULT: &[(&str, &str)] = &[
    ("Remote-User", "name"),
    ("Remote-Name", "display_name"),
    ("Remote-Email", "email"),
    ("Remote-Groups", "roles"),
    ("Remote-Id", "uuid"),
];

/// Reads the common table and what more is stripped.
pub(crate) fn read(root: &Table, book: &mut Book<'_>) -> (HeaderTable, Vec<String>) {
    let entry = root.get("identity_headers");
    let table = entry.and_then(|e| Section::unchecked(&e.node, "[identity_headers]".into(), book));
    let Some(table) = table else {
        return (usual(), Vec::new());
    };
    let strip = strip(&table, book);
    let given: Vec<&Entry> = table.entries().iter().filter(|entry| entry.key != STRIP).collect();
    // `strip` alone names no header, so it does not replace the default.
    match given.is_empty() && table.field(STRIP).is_some() {
        true => (usual(), strip),
        false => (headers(&given, &table.name, book), strip),
    }
}

fn usual() -> HeaderTable {
    DEFAULT.iter().map(|(header, path)| ((*header).to_owned(), (*path).to_owned())).collect()
}

/// Reads a route's own table. `Some(empty)` is `false`: no headers at all.
pub(crate) fn of_route(field: crate::section::Field<'_>, book: &mut Book<'_>) -> Option<HeaderTable> {
    match &field.node().value {
        Value::Table(table) => Some(headers(&table.entries.iter().collect::<Vec<_>>(), &field.label(), book)),
        Value::Boolean(false) => Some(HeaderTable::new()),
        _ => {
            let message = format!("{} must be a table of headers, or false for none", field.label());
            book.refuse_with(field.at(), message, "write { Remote-User = \"name\" }");
            None
        }
    }
}

fn headers(entries: &[&Entry], name: &str, book: &mut Book<'_>) -> HeaderTable {
    let mut headers = HeaderTable::new();
    for entry in entries {
        let shown = entry.key.escape_debug();
        if let Some(fault) = header_fault(&entry.key) {
            book.refuse(&entry.at, format!("{name}: \"{shown}\" {fault}"));
            continue;
        }
        if let Some(other) = headers.keys().find(|known| folded(known) == folded(&entry.key)) {
            book.refuse(&entry.at, format!("{name} names one header twice: \"{other}\" and \"{shown}\""));
            continue;
        }
        if let Some(path) = account_path(entry, name, book) {
            headers.insert(entry.key.clone(), path);
        }
    }
    headers
}

fn account_path(entry: &Entry, name: &str, book: &mut Book<'_>) -> Option<String> {
    let (Value::Text(path) | Value::Variable(path)) = &entry.node.value else {
        let message = format!("{name} {} must be an account path, not {}", entry.key, entry.node.what());
        book.refuse_with(&entry.node.at, message, "write \"name\", or another path of the account");
        return None;
    };
    let mut parts = path.split('.');
    let inside = matches!(parts.next(), Some("app" | "metadata"));
    let rest: Vec<&str> = parts.collect();
    if PATHS.contains(&path.as_str())
        || inside && !rest.is_empty() && rest.iter().all(|part| !part.is_empty())
    {
        return Some(path.clone());
    }
    let known: Vec<&str> = PATHS.iter().copied().chain(["app.…", "metadata.…"]).collect();
    let message = format!("{name} {}: \"{}\" is no account path", entry.key, path.escape_debug());
    book.refuse_with(&entry.node.at, message, nearest::help(path, &known, &[]));
    None
}

fn strip(table: &Section<'_>, book: &mut Book<'_>) -> Vec<String> {
    let given = table.field(STRIP).and_then(|field| field.texts(book)).unwrap_or_default();
    let mut names = Vec::new();
    for entry in given {
        match header_fault(&entry.text) {
            None => names.push(entry.text),
            Some(fault) => {
                let shown = entry.text.escape_debug();
                book.refuse(&entry.at, format!("[identity_headers] strip: \"{shown}\" {fault}"));
            }
        }
    }
    names
}

/// The header of the assertion carries nothing else.
pub(crate) fn check_assertion(root: &Table, assertion: &str, common: &HeaderTable, book: &mut Book<'_>) {
    let mut clashes: Vec<(At, String)> = Vec::new();
    let mut look = |table: &Table| {
        let same = table.entries.iter().filter(|entry| folded(&entry.key) == folded(assertion));
        clashes.extend(same.map(|entry| (entry.at.clone(), entry.key.clone())));
    };
    if let Some(Value::Table(table)) = root.get("identity_headers").map(|entry| &entry.node.value) {
        look(table);
    }
    if let Some(Value::List(routes)) = root.get("routes").map(|entry| &entry.node.value) {
        for route in routes {
            if let Value::Table(route) = &route.value
                && let Some(Value::Table(table)) = route.get("identity_headers").map(|e| &e.node.value)
            {
                look(table);
            }
        }
    }
    // A name of the default table stands nowhere in the file: the clash is the assertion's.
    if clashes.is_empty()
        && let Some(name) = common.keys().find(|name| folded(name) == folded(assertion))
        && let Some(Value::Table(table)) = root.get("assertion").map(|entry| &entry.node.value)
        && let Some(header) = table.get("header")
    {
        clashes.push((header.at.clone(), name.clone()));
    }
    for (at, name) in clashes {
        book.refuse(
            &at,
            format!("\"{}\" is the header of [assertion] and carries nothing else", name.escape_debug()),
        );
    }
}
