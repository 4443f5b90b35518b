//! `[session]`: cookies and how long a login lasts.

use crate::{
    names::is_token,
    problem::Book,
    section::{ANY, Field, Section},
    tree::Table,
};
use std::time::Duration;

/// `[session]`
#[derive(Clone, Debug)]
pub struct Session {
    /// The stem of the cookie names.
    pub cookie: String,
    /// How long a session lives without use.
    pub idle: Duration,
    /// How long it lives at most.
    pub lifetime: Duration,
    /// `SameSite` of the session cookie.
    pub same_site: SameSite,
}

/// `SameSite`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// `Lax`
    Lax,
    /// `Strict`
    Strict,
}

/// The longest that a browser keeps a cookie (RFC 6265bis §5.5).
pub(crate) const LONGEST_COOKIE: Duration = Duration::from_secs(400 * 86_400);

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["cookie", "idle", "lifetime", "same_site"];

/// Reads the table.
pub(crate) fn read(root: &Table, book: &mut Book<'_>) -> Session {
    let table = Section::open(root, "session", KEYS, book);
    let words = [("lax", SameSite::Lax), ("strict", SameSite::Strict)];
    let time = |key, default, book: &mut Book<'_>| {
        let given = table.field(key).and_then(|field| field.duration(ANY, book));
        given.unwrap_or(Duration::from_secs(default))
    };
    let (idle, lifetime) = (time("idle", 3_600, book), time("lifetime", 12 * 3_600, book));
    if let Some(field) = table.field("lifetime").filter(|_| lifetime > LONGEST_COOKIE) {
        let message = format!("{} is longer than browsers keep a cookie", field.label());
        book.refuse_with(field.at(), message, "write at most \"400d\"");
    }
    if let Some(field) = table.field("idle").filter(|_| idle > lifetime) {
        let message =
            format!("{} is longer than [session] lifetime, which ends a session first", field.label());
        book.warn(field.at(), message, "shorten it, or write a longer lifetime");
    }
    Session {
        cookie: table
            .field("cookie")
            .and_then(|field| cookie(field, book))
            .unwrap_or_else(|| "portcullis".to_owned()),
        idle,
        lifetime,
        same_site: table
            .field("same_site")
            .and_then(|field| field.one_of(&words, book))
            .unwrap_or(SameSite::Lax),
    }
}

fn cookie(field: Field<'_>, book: &mut Book<'_>) -> Option<String> {
    let name = field.text(book)?;
    let lower = name.to_ascii_lowercase();
    if !is_token(&name) || name.len() > 64 {
        let help = "write 1 to 64 letters, digits, `-` or `_`";
        book.refuse_with(field.at(), format!("{} is not a cookie name", field.label()), help);
        return None;
    }
    if lower.starts_with("__host-") || lower.starts_with("__secure-") {
        let help = "leave the prefix out: over https the gateway puts `__Host-` before it";
        book.refuse_with(field.at(), format!("{} must not have a cookie prefix", field.label()), help);
        return None;
    }
    Some(name)
}
