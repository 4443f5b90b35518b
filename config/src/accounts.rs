//! `[accounts]`: names and fields of accounts.

use crate::{
    names::{is_admin, is_role},
    problem::Book,
    rule,
    section::{Field, Section},
    strategies,
    tree::{Table, Value},
};
use std::time::Duration;

/// `[accounts]`
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Names of the field that says who signs in.
    pub identifiers: Vec<String>,
    /// The strategy whose accounts have bare names; default: the default strategy.
    pub bare_names: Option<String>,
    /// Whether a first login by an external strategy makes an account.
    pub provision: bool,
    /// Whether such a login may join an account that exists.
    pub link: Link,
    /// The roles of an account that is made without an operator.
    pub default_roles: Vec<String>,
    /// Whether people may make accounts for themselves.
    pub registration: bool,
    /// Whether nobody signs in before the mailed link was used.
    pub verify_email: bool,
    /// Whether a registration says that a name or an address is taken.
    pub reveal_taken: bool,
    /// How long a mailed link to a new password is good.
    pub recovery_lifetime: Duration,
}

/// How a first login by an external strategy comes to an account that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Only when its owner asks for it.
    Never,
    /// Also by the same address, where both sides were vouched for.
    VerifiedEmail,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &[
    "registration",
    "verify_email",
    "reveal_taken",
    "recovery_lifetime",
    "bare_names",
    "identifiers",
    "provision",
    "link",
    "default_roles",
];

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
    let flag = |key, default, book: &mut Book<'_>| {
        table.field(key).and_then(|field| field.boolean(book)).unwrap_or(default)
    };
    let (verify_email, reveal_taken) = (flag("verify_email", false, book), flag("reveal_taken", true, book));
    if let (true, None, Some(field)) = (verify_email, root.get("mail"), table.field("verify_email")) {
        let help = "write [mail] with url and from";
        book.refuse_with(field.at(), format!("{} needs [mail]: nobody could sign in", field.label()), help);
    }
    if let (false, false, Some(field)) = (reveal_taken, verify_email, table.field("reveal_taken")) {
        let message = format!("{} = false needs verify_email = true", field.label());
        let help = "without it a good registration is signed in at once, and any other shows";
        book.refuse_with(field.at(), message, help);
    }
    if let Some(field) = table.field("registration") {
        nobody_keeps(field, strategies, default, book);
    }
    let usual = || ["username", "email", "login"].map(str::to_owned).to_vec();
    Accounts {
        registration: table
            .field("registration")
            .and_then(|field| field.one_of(&[("closed", false), ("open", true)], book))
            .unwrap_or(false),
        verify_email,
        reveal_taken,
        recovery_lifetime: table
            .field("recovery_lifetime")
            .and_then(|field| field.duration(Duration::from_secs(1), book))
            .unwrap_or(Duration::from_secs(15 * 60)),
        identifiers: table
            .field("identifiers")
            .and_then(|field| identifiers(field, book))
            .unwrap_or_else(usual),
        bare_names: match table.field("bare_names") {
            Some(field) => strategies::named(field, strategies, book),
            None => default.map(str::to_owned),
        },
        provision: table.field("provision").and_then(|field| field.boolean(book)).unwrap_or(true),
        link: table.field("link").and_then(|field| link(field, book)).unwrap_or(Link::Never),
        default_roles: table
            .field("default_roles")
            .and_then(|field| default_roles(field, book))
            .unwrap_or_default(),
    }
}

/// Whoever registers brings a password, and one strategy must be the one that keeps it.
fn nobody_keeps(
    field: Field<'_>,
    strategies: &[strategies::Strategy],
    default: Option<&str>,
    book: &mut Book<'_>,
) {
    // What a library can do is known when it is loaded.
    let may_keep = |one: &&strategies::Strategy| !["oauth", "ldap"].contains(&one.kind.as_str());
    let keepers: Vec<&str> = strategies.iter().filter(may_keep).map(|one| one.id.as_str()).collect();
    let is_open = matches!(&field.node().value, Value::Text(word) | Value::Variable(word) if word == "open");
    let (what, help) = match keepers.as_slice() {
        [] => ("no strategy keeps passwords", "write [strategies.local] and kind = \"local\""),
        [_] => return,
        several if several.iter().any(|id| Some(*id) == default) => return,
        _ => ("several strategies keep passwords and none of them is the default", "write [login] default"),
    };
    if is_open {
        book.warn(field.at(), format!("{}: {what}, so nobody can register", field.label()), help);
    }
}

/// `link`, here and of a strategy.
pub(crate) fn link(field: Field<'_>, book: &mut Book<'_>) -> Option<Link> {
    field.one_of(&[("never", Link::Never), ("verified-email", Link::VerifiedEmail)], book)
}

/// `default_roles`, here and of a strategy. Whoever comes in gets them, so `admin` is none.
pub(crate) fn default_roles(field: Field<'_>, book: &mut Book<'_>) -> Option<Vec<String>> {
    let given = field.texts(book)?;
    for role in &given {
        let shown = role.text.escape_debug();
        if !is_role(&role.text) {
            book.refuse_with(
                &role.at,
                format!("{} is not a role: \"{shown}\"", field.label()),
                rule::ROLE_SHAPE,
            );
        } else if is_admin(&role.text) {
            let message = format!("{} cannot hold \"{shown}\": everybody would have it", field.label());
            book.refuse_with(&role.at, message, "give it to single people: portcullis user roles NAME admin");
        }
    }
    Some(given.into_iter().map(|role| role.text).collect())
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
