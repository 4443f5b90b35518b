//! `[[routes]]`: which requests go where.

use crate::{
    address,
    endpoints::Endpoints,
    identity_headers::{self, HeaderTable},
    names::is_token,
    nearest, origins,
    path::{is_within, normal},
    policy::{self, Policy},
    problem::{At, Book},
    section::{Field, Section},
    tree::{Node, Table, Value},
    unwise,
    upstreams::Upstream,
};

/// `[[routes]]`
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in messages.
    pub id: String,
    /// Lower case, without port; none: any.
    pub host: Option<String>,
    /// What it covers.
    pub path: RoutePath,
    /// Upper-case method names, `HEAD` added where `GET` is; none: all.
    pub methods: Option<Vec<String>>,
    /// Which upstream.
    pub upstream: String,
    /// Who may.
    pub policy: Policy,
    /// What is cut off the front of the path before it goes upstream, in normal form.
    pub strip_prefix: Option<String>,
    /// Replaces the common table: `Some(empty)` for `false`.
    pub identity_headers: Option<HeaderTable>,
    /// How the upstream gets its assertion.
    pub assertion: AssertionMode,
    /// Other origins that may use this route with cookies.
    pub origins: Vec<String>,
    /// `%2F` stays one opaque part of a segment.
    pub keep_encoded_slash: bool,
    /// A CORS preflight passes without identity.
    pub preflight: bool,
    /// The client's `Authorization` goes upstream (never a token of ours).
    pub forward_authorization: bool,
    /// Answers to signed-in requests keep `public` and `s-maxage`.
    pub shared_cache: bool,
}

/// The path of a route, in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutePath {
    /// This path alone.
    Exact(String),
    /// `/x/*` is `Prefix("/x")`: `/x` and everything below; `/*` is `Prefix("")`.
    Prefix(String),
}

impl RoutePath {
    /// As it is written in a file.
    pub fn written(&self) -> String {
        match self {
            Self::Exact(path) => path.clone(),
            Self::Prefix(path) => format!("{path}/*"),
        }
    }
}

/// Where the assertion goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionMode {
    /// In the header of `[assertion]`.
    Header,
    /// As `Authorization: Bearer`.
    Authorization,
    /// Nowhere.
    Off,
}

/// The keys of a route.
pub(crate) const KEYS: &[&str] = &[
    "id",
    "host",
    "path",
    "methods",
    "upstream",
    "policy",
    "strip_prefix",
    "identity_headers",
    "assertion",
    "origins",
    "encoded_slash",
    "preflight",
    "forward_authorization",
    "shared_cache",
];

const NAME: &str = "[[routes]]";

/// Reads all routes.
pub(crate) fn read(
    root: &Table,
    upstreams: &[Upstream],
    strategies: &[&str],
    endpoints: &Endpoints,
    book: &mut Book<'_>,
) -> Vec<Route> {
    let Some(entry) = root.get("routes") else { return Vec::new() };
    let Value::List(items) = &entry.node.value else {
        let message = format!("routes must be an array of tables, not {}", entry.node.what());
        book.refuse_with(&entry.at, message, "write [[routes]]");
        return Vec::new();
    };
    let mut routes: Vec<(At, Route)> = Vec::new();
    for item in items {
        let Some((at, mut route)) = route(item, upstreams, strategies, book) else { continue };
        check_free(&at, &route, &routes, book);
        check_reachable(&at, &route, endpoints, book);
        name_it(item, &mut route, &routes, book);
        routes.push((at, route));
    }
    unwise::routes(&routes, book);
    routes.into_iter().map(|(_, route)| route).collect()
}

/// One route and the place of its path.
fn route(
    item: &Node,
    upstreams: &[Upstream],
    strategies: &[&str],
    book: &mut Book<'_>,
) -> Option<(At, Route)> {
    let table = Section::of(item, NAME.to_owned(), "routes", KEYS, book)?;
    let words = [("refuse", false), ("keep", true)];
    let keep_encoded_slash =
        table.field("encoded_slash").and_then(|field| field.one_of(&words, book)).unwrap_or(false);
    let path = required(&table, "path", "write path = \"/*\" for everything", book);
    let path = path.and_then(|field| route_path(field, keep_encoded_slash, book));
    let upstream = required(&table, "upstream", "write the id of an [upstreams.ID]", book);
    let upstream = upstream.and_then(|field| self::upstream(field, upstreams, book));
    let modes = [
        ("header", AssertionMode::Header),
        ("authorization", AssertionMode::Authorization),
        ("off", AssertionMode::Off),
    ];
    let flag =
        |key, book: &mut Book<'_>| table.field(key).and_then(|field| field.boolean(book)).unwrap_or(false);
    let host = table.field("host").and_then(|field| host(field, book));
    let methods = table.field("methods").and_then(|field| methods(field, book));
    // A policy that cannot be read is a problem, and the configuration is refused.
    let policy = table
        .field("policy")
        .and_then(|field| policy::read(field, strategies, book))
        .unwrap_or(Policy::SignedIn);
    let own = table.field("identity_headers").and_then(|field| identity_headers::of_route(field, book));
    let assertion = table.field("assertion").and_then(|field| field.one_of(&modes, book));
    let assertion = assertion.unwrap_or(AssertionMode::Header);
    let forward_authorization = flag("forward_authorization", book);
    let origins = table.field("origins").and_then(|field| origins::read(field, book)).unwrap_or_default();
    let preflight = flag("preflight", book);
    let shared_cache = flag("shared_cache", book);
    if assertion == AssertionMode::Authorization && forward_authorization {
        refuse_two_authorizations(&table, book);
    }
    let path = path?;
    let strip_prefix =
        table.field("strip_prefix").and_then(|f| strip_prefix(f, &path, keep_encoded_slash, book));
    let at = table.field("path").map_or_else(|| table.at.clone(), |field| field.at().clone());
    let route = Route {
        id: String::new(),
        host,
        path,
        methods,
        upstream: upstream.unwrap_or_default(),
        policy,
        strip_prefix,
        identity_headers: own,
        assertion,
        origins,
        keep_encoded_slash,
        preflight,
        forward_authorization,
        shared_cache,
    };
    Some((at, route))
}

fn required<'s>(table: &'s Section<'_>, key: &'s str, help: &str, book: &mut Book<'_>) -> Option<Field<'s>> {
    let field = table.field(key);
    if field.is_none() {
        book.refuse_with(&table.at, format!("{NAME} has no {key}"), help);
    }
    field
}

fn refuse_two_authorizations(table: &Section<'_>, book: &mut Book<'_>) {
    let at = table.field("forward_authorization").map_or(&table.at, |field| field.at());
    let message = "[[routes]] forward_authorization and assertion = \"authorization\" both set Authorization";
    book.refuse_with(at, message, "keep one of them");
}

fn route_path(field: Field<'_>, keep_encoded_slash: bool, book: &mut Book<'_>) -> Option<RoutePath> {
    let text = field.text(book)?;
    let shown = text.escape_debug();
    let (stem, is_prefix) = match text.strip_suffix("/*") {
        Some(stem) => (stem, true),
        None => (text.as_str(), false),
    };
    if stem.contains('*') {
        let plain = stem.split('*').next().unwrap_or_default().trim_end_matches('/');
        let message = format!("{NAME} path may hold `*` only as its last segment: \"{shown}\"");
        book.refuse_with(field.at(), message, format!("write \"{plain}/*\""));
        return None;
    }
    let written = match is_prefix && stem.is_empty() {
        true => "/",
        false => stem,
    };
    let normal = match normal(written, keep_encoded_slash) {
        Ok(normal) => normal,
        Err(fault) => {
            book.refuse_with(
                field.at(),
                format!("{NAME} path {fault}: \"{shown}\""),
                "write \"/x\" or \"/x/*\"",
            );
            return None;
        }
    };
    let path = match is_prefix {
        true => RoutePath::Prefix(normal.trim_end_matches('/').to_owned()),
        false => RoutePath::Exact(normal),
    };
    if path.written() != text {
        let message = format!("{NAME} path is not in normal form: \"{shown}\"");
        book.refuse_with(field.at(), message, format!("write \"{}\"", path.written()));
        return None;
    }
    Some(path)
}

fn upstream(field: Field<'_>, upstreams: &[Upstream], book: &mut Book<'_>) -> Option<String> {
    let name = field.text(book)?;
    let known: Vec<&str> = upstreams.iter().map(|upstream| upstream.id.as_str()).collect();
    if known.contains(&name.as_str()) {
        return Some(name);
    }
    let shown = name.escape_debug();
    let help = match known.is_empty() {
        true => format!("write [upstreams.{shown}] and urls = [\"http://127.0.0.1:3000\"]"),
        false => nearest::help(&name, &known, &[]),
    };
    book.refuse_with(field.at(), format!("{NAME} names no upstream of this file: \"{shown}\""), help);
    None
}

fn host(field: Field<'_>, book: &mut Book<'_>) -> Option<String> {
    let text = field.text(book)?;
    let host = address::host(&text);
    if host.is_none() {
        let message = format!("{} is not a host name: \"{}\"", field.label(), text.escape_debug());
        book.refuse_with(field.at(), message, "write a name or an address without scheme and port");
    }
    host
}

fn methods(field: Field<'_>, book: &mut Book<'_>) -> Option<Vec<String>> {
    let given = field.texts(book)?;
    if given.is_empty() {
        let message = format!("{} must not be empty: no request would match", field.label());
        book.refuse_with(field.at(), message, "leave the key out for all methods");
    }
    let mut methods: Vec<String> = Vec::new();
    for entry in given {
        let upper = entry.text.to_ascii_uppercase();
        let shown = entry.text.escape_debug();
        if !is_token(&entry.text) {
            book.refuse(&entry.at, format!("{} is not a method: \"{shown}\"", field.label()));
        } else if upper == "TRACE" || upper == "CONNECT" {
            book.refuse(&entry.at, format!("{}: {upper} is never proxied", field.label()));
        } else if upper != entry.text {
            let message = format!("{} are written in capitals: \"{shown}\"", field.label());
            book.refuse_with(&entry.at, message, format!("write \"{upper}\""));
        } else if methods.contains(&upper) {
            book.refuse(&entry.at, format!("{} names {upper} twice", field.label()));
        } else {
            methods.push(upper);
        }
    }
    // `GET` includes `HEAD` (contract section 4).
    if methods.iter().any(|method| method == "GET") && !methods.iter().any(|method| method == "HEAD") {
        methods.push("HEAD".to_owned());
    }
    Some(methods)
}

fn strip_prefix(
    field: Field<'_>,
    path: &RoutePath,
    keep_encoded_slash: bool,
    book: &mut Book<'_>,
) -> Option<String> {
    let text = field.text(book)?;
    let shown = text.escape_debug();
    let (RoutePath::Exact(covered) | RoutePath::Prefix(covered)) = path;
    match normal(&text, keep_encoded_slash) {
        Err(fault) => book.refuse(field.at(), format!("{} {fault}: \"{shown}\"", field.label())),
        Ok(prefix) if prefix == "/" => {
            book.refuse_with(
                field.at(),
                format!("{} cuts nothing: \"{shown}\"", field.label()),
                "leave it out",
            );
        }
        Ok(prefix) if prefix != text || prefix.ends_with('/') => {
            let help = format!("write \"{}\"", prefix.trim_end_matches('/'));
            book.refuse_with(
                field.at(),
                format!("{} is not in normal form: \"{shown}\"", field.label()),
                help,
            );
        }
        Ok(prefix) if !is_within(covered, &prefix) => {
            let message = format!("{} is not how the path begins: \"{shown}\"", field.label());
            let help = format!("it must be made of whole segments of \"{}\"", path.written());
            book.refuse_with(field.at(), message, help);
        }
        Ok(prefix) => return Some(prefix),
    }
    None
}

/// The same host and path with overlapping methods is an error (contract section 4).
fn check_free(at: &At, route: &Route, before: &[(At, Route)], book: &mut Book<'_>) {
    let overlap = |a: &Option<Vec<String>>, b: &Option<Vec<String>>| match (a, b) {
        (Some(a), Some(b)) => a.iter().any(|method| b.contains(method)),
        _ => true,
    };
    let taken = before.iter().find(|(_, other)| {
        other.host == route.host && other.path == route.path && overlap(&other.methods, &route.methods)
    });
    if let Some((first, _)) = taken {
        let host = route.host.as_deref().unwrap_or("any host");
        let message = format!(
            "{NAME} \"{}\" on {host} is routed already, at {}",
            route.path.written(),
            book.place(first)
        );
        book.refuse_with(at, message, "give them different methods, or remove one");
    }
}

/// No route hides an endpoint: one that lies inside is never used.
fn check_reachable(at: &At, route: &Route, endpoints: &Endpoints, book: &mut Book<'_>) {
    let (RoutePath::Exact(path) | RoutePath::Prefix(path)) = &route.path;
    let hidden = match &route.path {
        RoutePath::Exact(path) if *path == endpoints.logout => Some("logout"),
        _ if is_within(path, &endpoints.login) => Some("login"),
        _ if is_within(path, &endpoints.auth) => Some("auth"),
        _ => None,
    };
    if let Some(name) = hidden {
        let message =
            format!("{NAME} \"{}\" is never used: [endpoints] {name} lies there", route.path.written());
        book.warn(at, message, format!("move the endpoint: [endpoints] {name} = \"…\""));
    }
}

/// The id that was given, else one made from host and path; each only once.
fn name_it(item: &Node, route: &mut Route, before: &[(At, Route)], book: &mut Book<'_>) {
    let taken = |id: &str| before.iter().any(|(_, other)| other.id == id);
    let given = match &item.value {
        Value::Table(table) => table.get("id"),
        _ => None,
    };
    let Some(entry) = given else {
        let made = format!("{}{}", route.host.as_deref().unwrap_or(""), route.path.written());
        let mut id = made.clone();
        let mut number = 2;
        while taken(&id) {
            id = format!("{made}#{number}");
            number += 1;
        }
        route.id = id;
        return;
    };
    match &entry.node.value {
        Value::Text(id) if id.is_empty() || id.len() > 128 || id.contains(char::is_control) => {
            book.refuse(&entry.node.at, format!("{NAME} id must have 1 to 128 characters"));
        }
        Value::Text(id) if taken(id) => {
            book.refuse(&entry.node.at, format!("{NAME} id \"{}\" is taken already", id.escape_debug()));
        }
        Value::Text(id) => route.id.clone_from(id),
        _ => book.refuse(&entry.node.at, format!("{NAME} id must be a string, not {}", entry.node.what())),
    }
}
