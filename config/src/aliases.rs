//! `[[aliases]]`: another path and other field names for an operation that there is, so that
//! an old client's calls keep working. Data only: nothing here adds a right.

use crate::{
    endpoints::Endpoints,
    names::is_token,
    nearest,
    problem::{At, Book},
    routes::{Route, RoutePath},
    section::{Field, Section},
    strategies::Strategy,
    tree::{Node, Table, Value},
};
use std::collections::BTreeMap;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The method that the old client uses.
    pub method: String,
    /// The path that it uses; a segment `:name` stands for any one segment.
    pub path: String,
    /// The method of the operation.
    pub to_method: String,
    /// The path of the operation, in which `:name` stands too.
    pub to_path: String,
    /// Names of its fields, and what they are called here.
    pub fields: BTreeMap<String, String>,
    /// How the body is read and the answer written; none: as it came.
    pub view: Option<View>,
    /// Statuses of refusals, and what the old client expects instead.
    pub status: BTreeMap<u16, u16>,
}

/// `view`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Flat members.
    Flat,
    /// `{"data":{"type","attributes"}}`
    JsonApi,
}

/// The keys of an entry.
pub(crate) const KEYS: &[&str] = &["from", "to", "fields", "view", "status"];

/// Operations by name, with what they take. Names below `auth` are their paths there.
const OPERATIONS: &[(&str, &[&str])] = &[
    ("login", &["POST", "GET"]),
    ("login/:strategy", &["POST", "GET"]),
    ("logout", &["POST", "GET"]),
    ("current", &["GET"]),
    ("me", &["PATCH", "POST", "GET"]),
    ("password", &["POST", "PATCH"]),
    ("register", &["POST", "GET"]),
    ("recovery", &["POST", "GET"]),
    ("reset", &["POST", "GET"]),
    ("verify-email", &["POST", "GET"]),
    ("refresh", &["POST", "DELETE"]),
    ("token/check", &["POST"]),
    ("strategies", &["GET"]),
    ("sessions", &["GET"]),
    ("sessions/:sid", &["DELETE"]),
    ("credentials", &["GET"]),
    ("credentials/:strategy", &["DELETE"]),
    ("admin/users", &["GET", "POST"]),
    ("admin/users/:uuid", &["PATCH", "GET", "DELETE"]),
    ("admin/users/:uuid/sessions", &["DELETE"]),
    ("admin/users/:uuid/credentials", &["GET", "POST"]),
    ("admin/users/:uuid/credentials/:strategy", &["PATCH", "DELETE"]),
];

/// Reads all entries.
pub(crate) fn read(
    root: &Table,
    endpoints: &Endpoints,
    routes: &[Route],
    strategies: &[Strategy],
    book: &mut Book<'_>,
) -> Vec<Alias> {
    let Some(entry) = root.get("aliases") else { return Vec::new() };
    let Value::List(items) = &entry.node.value else {
        let message = format!("aliases must be an array of tables, not {}", entry.node.what());
        book.refuse_with(&entry.at, message, "write [[aliases]]");
        return Vec::new();
    };
    let mut aliases: Vec<Alias> = Vec::new();
    for item in items {
        let Some((at, alias)) = alias(item, endpoints, strategies, book) else { continue };
        if aliases.iter().any(|other| other.method == alias.method && other.shape() == alias.shape()) {
            book.refuse(&at, format!("[[aliases]] has \"{} {}\" twice", alias.method, alias.path));
        }
        check_free(&at, &alias, endpoints, routes, book);
        aliases.push(alias);
    }
    // As with routes, the order in the file means nothing: a word comes before a `:name`.
    let names = |alias: &Alias| alias.path.split('/').map(|s| s.starts_with(':')).collect::<Vec<_>>();
    aliases.sort_by_key(names);
    aliases
}

fn alias(
    item: &Node,
    endpoints: &Endpoints,
    strategies: &[Strategy],
    book: &mut Book<'_>,
) -> Option<(At, Alias)> {
    let table = Section::of(item, "[[aliases]]".to_owned(), "aliases", KEYS, book)?;
    let from = table.field("from");
    if from.is_none() {
        book.refuse_with(&table.at, "[[aliases]] needs from", "write from = \"POST /old/path\"");
    }
    let to = table.field("to");
    if to.is_none() {
        book.refuse_with(&table.at, "[[aliases]] needs to", "write to = \"login\"");
    }
    let words = [("flat", View::Flat), ("json-api", View::JsonApi)];
    let view = table.field("view").and_then(|field| field.one_of(&words, book));
    let fields = table.field("fields").map(|field| fields(&field, book)).unwrap_or_default();
    let status = table.field("status").map(|field| status(&field, book)).unwrap_or_default();
    let (from, to) = (from?, to?);
    let at = from.at().clone();
    let (method, path) = pattern(&from, book)?;
    let (to_method, to_path) = operation(&to, &method, &path, endpoints, book)?;
    login_is_known(&to, strategies, book);
    Some((at, Alias { method, path, to_method, to_path, fields, view, status }))
}

/// A method and a path.
fn pattern(field: &Field<'_>, book: &mut Book<'_>) -> Option<(String, String)> {
    let text = field.text(book)?;
    let (method, path) = text.split_once(' ').unwrap_or_default();
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:".contains(c);
    let segments = || path.strip_prefix('/').unwrap_or_default().split('/');
    let good = |segment: &str| {
        !segment.is_empty()
            && segment.chars().all(plain)
            && segment != "."
            && segment != ".."
            && !segment.trim_start_matches(':').contains(':')
    };
    if !known || !segments().all(good) {
        let message = format!("{} is not a method and a path: \"{}\"", field.label(), text.escape_debug());
        book.refuse_with(field.at(), message, "write \"POST /user/login\" or \"DELETE /users/:uuid\"");
        return None;
    }
    Some((method.to_owned(), path.to_owned()))
}

/// What is meant by the name of an operation: its path, and its method for the alias's.
fn operation(
    field: &Field<'_>,
    method: &str,
    from: &str,
    endpoints: &Endpoints,
    book: &mut Book<'_>,
) -> Option<(String, String)> {
    let text = field.text(book)?;
    let found = OPERATIONS.iter().find(|(name, _)| same_shape(name, &text));
    let Some((name, methods)) = found else {
        let names = OPERATIONS.iter().map(|(name, _)| *name);
        let message = format!("{} is not an operation: \"{}\"", field.label(), text.escape_debug());
        match nearest::nearest(&text, &names.collect::<Vec<_>>()) {
            Some(near) => book.refuse_with(field.at(), message, format!("did you mean \"{near}\"?")),
            None => book.refuse_with(field.at(), message, "write \"login\", \"current\", \"password\", …"),
        }
        return None;
    };
    for wanted in text.split('/').filter(|segment| segment.starts_with(':')) {
        if !from.split('/').any(|segment| segment == wanted) {
            let message = format!("{} has \"{wanted}\", which from has not", field.label());
            book.refuse(field.at(), message);
            return None;
        }
    }
    let Some(to_method) = method_of(method, methods) else {
        let message = format!("{} does not take {method}: \"{text}\"", field.label());
        book.refuse_with(field.at(), message, format!("it takes {}", methods.join(", ")));
        return None;
    };
    let path = match name.split('/').next() {
        Some("login") => format!("{}{}", endpoints.login, &text["login".len()..]),
        Some("logout") => endpoints.logout.clone(),
        _ => format!("{}/{text}", endpoints.auth),
    };
    Some((to_method.to_owned(), path))
}

/// `login/ID` names a strategy that there is.
fn login_is_known(to: &Field<'_>, strategies: &[Strategy], book: &mut Book<'_>) {
    let Value::Text(text) = &to.node().value else { return };
    let Some(id) = text.strip_prefix("login/").filter(|id| !id.starts_with(':')) else { return };
    let ids: Vec<&str> = strategies.iter().map(|strategy| strategy.id.as_str()).collect();
    if !ids.contains(&id) {
        let message = format!("{}: there is no strategy \"{}\"", to.label(), id.escape_debug());
        book.refuse_with(to.at(), message, nearest::help(id, &ids, &[]));
    }
}

/// The alias's own method, or one that changes something for one that does.
fn method_of<'a>(method: &'a str, methods: &[&'a str]) -> Option<&'a str> {
    if methods.contains(&method) {
        return Some(method);
    }
    let changes = ["POST", "PATCH"];
    methods
        .iter()
        .find(|m| changes.contains(m))
        .copied()
        .filter(|_| matches!(method, "POST" | "PUT" | "PATCH"))
}

/// Whether a text is an operation's name, where `:strategy` and the like stand for a segment.
fn same_shape(name: &str, text: &str) -> bool {
    let (mut a, mut b) = (name.split('/'), text.split('/'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(name), Some(text)) if name == text => {}
            (Some(name), Some(text)) if name.starts_with(':') && !text.is_empty() => {}
            _ => return false,
        }
    }
}

fn fields(field: &Field<'_>, book: &mut Book<'_>) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let Value::Table(table) = &field.node().value else {
        let message = format!("{} must be a table of field names", field.label());
        book.refuse_with(field.at(), message, "write { old_name = \"current\" }");
        return fields;
    };
    for entry in &table.entries {
        match &entry.node.value {
            Value::Text(to) if is_token(to) && !entry.key.is_empty() => {
                if fields.values().any(|other| other == to) {
                    book.refuse(&entry.at, format!("{} names \"{to}\" twice", field.label()));
                }
                fields.insert(entry.key.clone(), to.clone());
            }
            _ => book.refuse(
                &entry.at,
                format!("{}: \"{}\" must be the name of a field", field.label(), entry.key.escape_debug()),
            ),
        }
    }
    fields
}

fn status(field: &Field<'_>, book: &mut Book<'_>) -> BTreeMap<u16, u16> {
    let mut map = BTreeMap::new();
    let Value::Table(table) = &field.node().value else {
        let message = format!("{} must be a table of statuses", field.label());
        book.refuse_with(field.at(), message, "write { 401 = 400 }");
        return map;
    };
    // A client that is told to wait must hear it, and no refusal may look like a success.
    let is_refusal = |status: u16| (400..500).contains(&status) && status != 429;
    for entry in &table.entries {
        let to = match &entry.node.value {
            Value::Integer(to) => u16::try_from(*to).ok(),
            _ => None,
        };
        match (entry.key.parse::<u16>().ok(), to) {
            (Some(from), Some(to)) if is_refusal(from) && is_refusal(to) => drop(map.insert(from, to)),
            _ => book.refuse_with(
                &entry.at,
                format!("{} leads from a 4xx to a 4xx, and 429 stays", field.label()),
                "write { 401 = 400 }",
            ),
        }
    }
    map
}

/// An alias takes nothing away from a route, and is no endpoint already.
fn check_free(at: &At, alias: &Alias, endpoints: &Endpoints, routes: &[Route], book: &mut Book<'_>) {
    let roots = [&endpoints.login, &endpoints.logout, &endpoints.auth];
    let inside = |root: &&String| {
        alias.path.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if roots.iter().any(inside) {
        book.refuse(at, format!("[[aliases]] \"{}\" lies inside [endpoints] already", alias.path));
    }
    let equal = |route: &&Route| {
        let (RoutePath::Exact(path) | RoutePath::Prefix(path)) = &route.path;
        meets(&alias.path, path)
    };
    if let Some(route) = routes.iter().find(equal) {
        let message =
            format!("[[aliases]] \"{}\" is the path of a route: {}", alias.path, route.path.written());
        book.refuse(at, message);
    }
}

/// Whether a path is one that the alias stands for.
fn meets(alias: &str, path: &str) -> bool {
    let (mut alias, mut path) = (alias.split('/'), path.split('/'));
    loop {
        match (alias.next(), path.next()) {
            (None, None) => return true,
            (Some(mine), Some(theirs)) if mine == theirs || mine.starts_with(':') && !theirs.is_empty() => {}
            _ => return false,
        }
    }
}

impl Alias {
    /// The path, where the name behind a `:` does not matter.
    fn shape(&self) -> Vec<&str> {
        self.path.split('/').map(|segment| if segment.starts_with(':') { ":" } else { segment }).collect()
    }

    /// The path of the operation for a request's, if this alias is for it.
    pub fn leads(&self, method: &str, path: &str) -> Option<String> {
        if self.method != method && !(method == "HEAD" && self.method == "GET") {
            return None;
        }
        let mut stands = Vec::new();
        let (mut mine, mut theirs) = (self.path.split('/'), path.split('/'));
        loop {
            match (mine.next(), theirs.next()) {
                (None, None) => break,
                (Some(name), Some(value)) if name.starts_with(':') && !value.is_empty() => {
                    stands.push((name, value));
                }
                (Some(mine), Some(theirs)) if mine == theirs => {}
                _ => return None,
            }
        }
        let put = |segment: &str| {
            let found = stands.iter().find(|(name, _)| *name == segment);
            found.map_or_else(|| segment.to_owned(), |(_, value)| (*value).to_owned())
        };
        Some(self.to_path.split('/').map(put).collect::<Vec<_>>().join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(method: &str, path: &str, to_path: &str) -> Alias {
        Alias {
            method: method.into(),
            path: path.into(),
            to_method: method.into(),
            to_path: to_path.into(),
            fields: BTreeMap::new(),
            view: None,
            status: BTreeMap::new(),
        }
    }

    #[test]
    fn an_alias_leads_where_its_segments_say() {
        let one = alias("POST", "/_login/:strategy", "/login/:strategy");
        assert_eq!(one.leads("POST", "/_login/local").as_deref(), Some("/login/local"));
        for (method, path) in
            [("GET", "/_login/local"), ("POST", "/_login"), ("POST", "/_login/"), ("POST", "/_login/a/b")]
        {
            assert_eq!(one.leads(method, path), None, "{method} {path}");
        }
        assert_eq!(
            alias("GET", "/user", "/auth/current").leads("HEAD", "/user").as_deref(),
            Some("/auth/current")
        );
    }

    #[test]
    fn every_operation_is_named_once() {
        for (at, (name, _)) in OPERATIONS.iter().enumerate() {
            let first = OPERATIONS.iter().position(|(other, _)| same_shape(other, name));
            assert_eq!(first, Some(at), "{name}");
        }
    }
}
