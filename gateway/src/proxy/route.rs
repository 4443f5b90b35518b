//! Which route a request takes: host first, then the longest path, then the method
//! (contract section 4). The order in the file never matters.

use super::ambiguity::{self, decoded, is_decoded};
use crate::{
    problem::{Code, Problem},
    snapshot::Route,
};
use portcullis_config::RoutePath;
use std::{collections::HashMap, sync::Arc};

/// Methods of the IANA registry that are forwarded. CONNECT and TRACE are not among
/// them, nor is anything in lower case.
const REGISTERED: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// What `Allow` says where no route narrows the methods.
const USUAL: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// All routes, by host.
#[derive(Default)]
pub struct RouteTable {
    hosts: HashMap<String, HostTable>,
    any_host: HostTable,
    /// Beyond the registered ones, because a route names them.
    more_methods: Vec<String>,
}

#[derive(Default)]
struct HostTable {
    /// The paths as they are written.
    written: Forms,
    /// The paths as they are read once every escape is decoded. Only where some route has
    /// an escape: a decoded reading of a request is compared with routes that are decoded.
    read: Option<Forms>,
    /// Whether some route's path has a capital letter.
    has_capitals: bool,
}

#[derive(Default)]
struct Forms {
    paths: Paths,
    /// The same with letters folded, for the reading that ignores case.
    folded: Paths,
}

#[derive(Default)]
struct Paths {
    exact: HashMap<String, Vec<Arc<Route>>>,
    /// `/x` for `/x/*`, the empty string for `/*`.
    prefix: HashMap<String, Vec<Arc<Route>>>,
    /// Segments of the deepest prefix: a longer path is not searched deeper.
    depth: usize,
}

impl RouteTable {
    /// From checked routes.
    pub fn new(routes: Vec<(Option<String>, RoutePath, Arc<Route>)>) -> Self {
        let mut table = Self::default();
        for (host, _, _) in routes.iter().filter(|(_, path, _)| text(path).contains('%')) {
            table.at(host.clone()).read = Some(Forms::default());
        }
        for (host, path, route) in routes {
            for method in route.methods.iter().flatten() {
                if !REGISTERED.contains(&method.as_str()) && !table.more_methods.contains(method) {
                    table.more_methods.push(method.clone());
                }
            }
            let host = table.at(host);
            host.has_capitals |= text(&path).bytes().any(|b| b.is_ascii_uppercase());
            if let Some(read) = &mut host.read {
                readings(&path).iter().for_each(|path| read.insert(path, &route));
            }
            host.written.insert(&path, &route);
        }
        table
    }

    fn at(&mut self, host: Option<String>) -> &mut HostTable {
        match host {
            Some(host) => self.hosts.entry(host).or_default(),
            None => &mut self.any_host,
        }
    }

    /// Whether this method may be sent anywhere at all.
    pub fn knows_method(&self, method: &str) -> bool {
        REGISTERED.contains(&method) || self.more_methods.iter().any(|m| m == method)
    }

    /// The 405 for a method that goes nowhere.
    pub fn refuse_method() -> Problem {
        Problem { allow: Some(USUAL.into()), ..Code::MethodNotAllowed.into() }
    }

    /// Whether a route names exactly this path on this host: such a route goes before a
    /// well-known endpoint of ours.
    pub fn has_exact(&self, host: &str, path: &str) -> bool {
        self.host(host).written.paths.exact.contains_key(path)
    }

    /// The route of a request whose path is in normal form.
    pub fn select(
        &self,
        host: &str,
        path: &str,
        encoded_slash: bool,
        method: &str,
    ) -> Result<&Arc<Route>, Problem> {
        let table = self.host(host);
        let found = table.written.paths.find(path);
        let keeps = found.is_some_and(|routes| routes.iter().all(|r| r.keep_encoded_slash));
        if encoded_slash && !keeps {
            return Err(Problem::from(Code::BadPath).detail("the path holds %2F"));
        }
        let routes = found.ok_or(Code::NotFound)?;
        if table.is_ambiguous(path, routes, method) {
            return Err(Code::AmbiguousPath.into());
        }
        routes.iter().find(|r| takes(r, method)).ok_or_else(|| {
            let mut allow: Vec<&str> =
                routes.iter().flat_map(|r| r.methods.iter().flatten()).map(String::as_str).collect();
            allow.sort_unstable();
            allow.dedup();
            Problem { allow: Some(allow.join(", ")), ..Code::MethodNotAllowed.into() }
        })
    }

    fn host(&self, host: &str) -> &HostTable {
        self.hosts.get(host).unwrap_or(&self.any_host)
    }
}

impl HostTable {
    /// Whether another plausible reading of the path falls under another policy than
    /// `chosen`, under no route, or above the root.
    fn is_ambiguous(&self, path: &str, chosen: &[Arc<Route>], method: &str) -> bool {
        let letters = self.has_capitals || path.bytes().any(|b| b.is_ascii_uppercase());
        if letters && self.written.differ_folded(path, chosen, method) {
            return true;
        }
        // A path without escapes may be what a route with escapes decodes to.
        if self.read.as_ref().is_some_and(|read| is_decoded(path) && read.differ(path, chosen, method)) {
            return true;
        }
        ambiguity::has_other_readings(path)
            && ambiguity::any_reading(path, |reading| {
                let Some(reading) = reading else { return true };
                let forms = self.read.as_ref().filter(|_| is_decoded(reading)).unwrap_or(&self.written);
                forms.differ(reading, chosen, method)
            })
    }
}

impl Forms {
    fn insert(&mut self, path: &RoutePath, route: &Arc<Route>) {
        self.paths.insert(path, route.clone());
        self.folded.insert(&with(path, without_case(text(path))), route.clone());
    }

    /// Whether the path falls under another policy than `chosen` or under no route, with
    /// or without regard to case.
    fn differ(&self, path: &str, chosen: &[Arc<Route>], method: &str) -> bool {
        let routes = self.paths.find(path);
        routes.is_none_or(|routes| !same_policies(routes, chosen, method))
            || self.differ_folded(path, chosen, method)
    }

    fn differ_folded(&self, path: &str, chosen: &[Arc<Route>], method: &str) -> bool {
        let routes = self.folded.find(&without_case(path));
        routes.is_none_or(|routes| !same_policies(routes, chosen, method))
    }
}

impl Paths {
    fn insert(&mut self, path: &RoutePath, route: Arc<Route>) {
        match path {
            RoutePath::Exact(text) => self.exact.entry(text.clone()).or_default().push(route),
            RoutePath::Prefix(text) => {
                self.depth = self.depth.max(text.matches('/').count());
                self.prefix.entry(text.clone()).or_default().push(route);
            }
        }
    }

    /// Exact before prefix, longer before shorter, on whole segments.
    fn find(&self, path: &str) -> Option<&[Arc<Route>]> {
        if let Some(routes) = self.exact.get(path) {
            return Some(routes);
        }
        // Deeper than the deepest prefix there is nothing to find.
        let mut end = path.match_indices('/').nth(self.depth + 1).map_or(path.len(), |(at, _)| at);
        loop {
            if let Some(routes) = self.prefix.get(&path[..end]) {
                return Some(routes);
            }
            if end == 0 {
                return None;
            }
            end = path[..end].rfind('/').unwrap_or(0);
        }
    }
}

fn text(path: &RoutePath) -> &str {
    let (RoutePath::Exact(text) | RoutePath::Prefix(text)) = path;
    text
}

fn with(path: &RoutePath, text: String) -> RoutePath {
    match path {
        RoutePath::Exact(_) => RoutePath::Exact(text),
        RoutePath::Prefix(_) => RoutePath::Prefix(text.trim_end_matches('/').to_owned()),
    }
}

/// What a route's path is once it is decoded, its escaped slashes as part of a segment and
/// as separators.
fn readings(path: &RoutePath) -> Vec<RoutePath> {
    let mut all: Vec<RoutePath> =
        decoded(text(path)).into_iter().flatten().map(|text| with(path, text)).collect();
    all.dedup();
    all
}

/// As those read it who compare without case: some turn letters to capitals first, some to
/// small ones, and `ſ`, `ı`, `İ` and the Kelvin sign become letters of ASCII on the way.
fn without_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // The small letter of `İ` has a second dot, but Java's and C#'s has not.
    text.to_uppercase().replace('İ', "i").to_lowercase()
}

fn takes(route: &Route, method: &str) -> bool {
    route.methods.as_ref().is_none_or(|methods| methods.iter().any(|m| m == method))
}

/// Whether the same people may, whichever of both is meant: the routes that take the
/// method have one policy, or on neither side is there one.
fn same_policies(one: &[Arc<Route>], other: &[Arc<Route>], method: &str) -> bool {
    if std::ptr::eq(one, other) {
        return true;
    }
    let taking = |routes: &'_ [Arc<Route>]| routes.iter().filter(|r| takes(r, method)).cloned().collect();
    let (one, other): (Vec<Arc<Route>>, Vec<Arc<Route>>) = (taking(one), taking(other));
    one.is_empty() == other.is_empty() && one.iter().all(|a| other.iter().all(|b| same_policy(a, b)))
}

/// Who is let in, and whose preflights are.
fn same_policy(a: &Arc<Route>, b: &Arc<Route>) -> bool {
    Arc::ptr_eq(a, b) || (a.policy == b.policy && a.preflight == b.preflight && a.origins == b.origins)
}

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;
