//! `[endpoints]`: where the gateway's own pages and API live.

use crate::{
    path::{is_within, normal},
    problem::{At, Book},
    section::{Field, Section},
    tree::Table,
};

/// `[endpoints]`: paths in normal form, without a trailing slash.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// `/login`
    pub login: String,
    /// `/logout`
    pub logout: String,
    /// `/auth`
    pub auth: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self { login: "/login".to_owned(), logout: "/logout".to_owned(), auth: "/auth".to_owned() }
    }
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["login", "logout", "auth"];

/// What lies below `auth` and must stay reachable when `login` and `logout` do too
/// (contract section 5).
const BELOW_AUTH: &[&str] = &[
    "current",
    "me",
    "password",
    "register",
    "recovery",
    "reset",
    "verify-email",
    "refresh",
    "token",
    "strategies",
    "sessions",
    "credentials",
    "admin",
    "jwks.json",
    "check",
    "tokens",
    "factors",
];

/// Reads the table.
pub(crate) fn read(root: &Table, book: &mut Book<'_>) -> Endpoints {
    let table = Section::open(root, "endpoints", KEYS, book);
    let mut path = |key: &str, default: &str| {
        let given = table.field(key).map(|field| (field.at().clone(), endpoint(field, book)));
        match given {
            Some((at, path)) => (at, path),
            None => (At::File(0), Some(default.to_owned())),
        }
    };
    let usual = Endpoints::default();
    let (login, logout) = (path("login", &usual.login), path("logout", &usual.logout));
    let auth = path("auth", &usual.auth);
    let endpoints = match (&login.1, &logout.1, &auth.1) {
        (Some(login), Some(logout), Some(auth)) => {
            Endpoints { login: login.clone(), logout: logout.clone(), auth: auth.clone() }
        }
        // One of them is a problem already, and comparing the others would add noise.
        _ => return Endpoints { login: "/login".into(), logout: "/logout".into(), auth: "/auth".into() },
    };
    check_apart(&endpoints, [&login.0, &logout.0, &auth.0], book);
    endpoints
}

fn endpoint(field: Field<'_>, book: &mut Book<'_>) -> Option<String> {
    let text = field.text(book)?;
    let label = field.label();
    let shown = text.escape_debug();
    match normal(&text, false) {
        Err(fault) => book.refuse(field.at(), format!("{label} {fault}: \"{shown}\"")),
        Ok(path) if path == "/" => {
            let message = format!("{label} must not be `/`: everything else is proxied");
            book.refuse_with(field.at(), message, "write a path such as \"/login\"");
        }
        Ok(path) if path != text || path.ends_with('/') => {
            let help = format!("write \"{}\"", path.trim_end_matches('/'));
            book.refuse_with(field.at(), format!("{label} is not in normal form: \"{shown}\""), help);
        }
        Ok(path) if path.contains([':', '*']) => {
            book.refuse(field.at(), format!("{label} must be one plain path: \"{shown}\""));
        }
        Ok(path) => return Some(path),
    }
    None
}

/// `login` and `logout` may lie inside `auth`; everything else is disjoint.
fn check_apart(endpoints: &Endpoints, at: [&At; 3], book: &mut Book<'_>) {
    let Endpoints { login, logout, auth } = endpoints;
    // The one that was given is the one to change.
    let place = |a: usize, b: usize| at[a].max(at[b]).clone();
    if is_within(login, logout) || is_within(logout, login) {
        let message = format!("[endpoints] login and logout overlap: \"{login}\" and \"{logout}\"");
        book.refuse(&place(0, 1), message);
    }
    for (name, path, i) in [("login", login, 0), ("logout", logout, 1)] {
        if is_within(auth, path) {
            let message = format!("[endpoints] auth must not lie inside {name}: \"{auth}\" and \"{path}\"");
            book.refuse_with(&place(i, 2), message, format!("{name} may lie inside auth: \"{auth}/{name}\""));
        } else if let Some(below) = path.strip_prefix(&format!("{auth}/")) {
            let first = below.split('/').next().unwrap_or_default();
            if BELOW_AUTH.contains(&first) {
                book.refuse(
                    &place(i, 2),
                    format!("[endpoints] {name} hides the gateway's own {auth}/{first}"),
                );
            }
        }
    }
}
