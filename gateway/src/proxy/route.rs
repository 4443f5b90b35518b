//! Which route a request takes: host first, then the longest path, then the method
//! (contract section 4). The order in the file never matters.

use super::{ambiguity, policy::Policy};
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
    paths: Paths,
    /// The same with letters folded, for the reading that ignores case.
    folded: Paths,
    /// Whether some route's path has a capital letter.
    has_capitals: bool,
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
        for (host, path, route) in routes {
            for method in route.methods.iter().flatten() {
                if !REGISTERED.contains(&method.as_str()) && !table.more_methods.contains(method) {
                    table.more_methods.push(method.clone());
                }
            }
            let host = match host {
                Some(host) => table.hosts.entry(host).or_default(),
                None => &mut table.any_host,
            };
            let (RoutePath::Exact(text) | RoutePath::Prefix(text)) = &path;
            host.has_capitals |= text.bytes().any(|b| b.is_ascii_uppercase());
            host.folded.insert(&fold(&path), route.clone());
            host.paths.insert(&path, route);
        }
        table
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
        self.host(host).paths.exact.contains_key(path)
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
        let found = table.paths.find(path);
        let keeps = found.is_some_and(|routes| routes.iter().all(|r| r.keep_encoded_slash));
        if encoded_slash && !keeps {
            return Err(Problem::from(Code::BadPath).detail("the path holds %2F"));
        }
        let routes = found.ok_or(Code::NotFound)?;
        if table.is_ambiguous(path, routes) {
            return Err(Code::AmbiguousPath.into());
        }
        let takes = |r: &&Arc<Route>| r.methods.as_ref().is_none_or(|m| m.iter().any(|m| m == method));
        routes.iter().find(takes).ok_or_else(|| {
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
    fn is_ambiguous(&self, path: &str, chosen: &[Arc<Route>]) -> bool {
        let letters = self.has_capitals || path.bytes().any(|b| b.is_ascii_uppercase());
        if letters && self.differs_folded(path, chosen) {
            return true;
        }
        ambiguity::has_other_readings(path)
            && ambiguity::any_reading(path, |reading| {
                let Some(reading) = reading else { return true };
                let routes = self.paths.find(reading);
                routes.is_none_or(|routes| !same_policies(routes, chosen))
                    || self.differs_folded(reading, chosen)
            })
    }

    fn differs_folded(&self, path: &str, chosen: &[Arc<Route>]) -> bool {
        let routes = self.folded.find(&path.to_lowercase());
        routes.is_none_or(|routes| !same_policies(routes, chosen))
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

fn fold(path: &RoutePath) -> RoutePath {
    match path {
        RoutePath::Exact(text) => RoutePath::Exact(text.to_lowercase()),
        RoutePath::Prefix(text) => RoutePath::Prefix(text.to_lowercase()),
    }
}

/// Whether the same people may, whichever of both is meant: every policy that one side
/// has, the other has for the same methods.
fn same_policies(one: &[Arc<Route>], other: &[Arc<Route>]) -> bool {
    let key = |r: &Arc<Route>| -> (Option<Vec<String>>, Policy) { (r.methods.clone(), r.policy.clone()) };
    let within = |a: &[Arc<Route>], b: &[Arc<Route>]| {
        a.iter().all(|x| b.iter().any(|y| Arc::ptr_eq(x, y) || key(x) == key(y)))
    };
    std::ptr::eq(one, other) || (within(one, other) && within(other, one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_config::{self as config, AssertionMode};

    fn route(id: &str, methods: Option<&[&str]>, policy: &config::Policy, keep: bool) -> Arc<Route> {
        Arc::new(Route {
            id: id.into(),
            methods: methods.map(|m| m.iter().map(|s| (*s).to_owned()).collect()),
            upstream: 0,
            policy: Policy::new(policy),
            strip_prefix: None,
            header_set: 0,
            assertion: AssertionMode::Header,
            keep_encoded_slash: keep,
            forward_authorization: false,
            shared_cache: false,
        })
    }

    fn table() -> RouteTable {
        let prefix = |p: &str| RoutePath::Prefix(p.into());
        let exact = |p: &str| RoutePath::Exact(p.into());
        let public = config::Policy::Public;
        let signed_in = config::Policy::SignedIn;
        let admin = config::Policy::Roles(vec!["admin".into()]);
        RouteTable::new(vec![
            (None, prefix("/public"), route("public", None, &public, false)),
            (None, prefix("/admin"), route("admin", None, &admin, false)),
            (None, prefix("/a/b"), route("ab", None, &signed_in, false)),
            (None, exact("/a/b/c"), route("abc", Some(&["GET", "HEAD"]), &signed_in, false)),
            (None, exact("/a/b/c"), route("abc-put", Some(&["PUT"]), &signed_in, false)),
            (None, prefix("/git"), route("git", None, &signed_in, true)),
            (Some("app.test".into()), prefix(""), route("app", None, &signed_in, false)),
        ])
    }

    fn select(host: &str, path: &str, method: &str) -> Result<String, Code> {
        let path = crate::proxy::target::normal_path(path.as_bytes()).map_err(|_| Code::BadPath)?;
        let table = table();
        table.select(host, &path.text, path.encoded_slash, method).map(|r| r.id.clone()).map_err(|p| p.code)
    }

    #[test]
    fn the_longest_path_wins_on_whole_segments() {
        for (path, expected) in [
            ("/public", Ok("public")),
            ("/public/", Ok("public")),
            ("/public/x/y", Ok("public")),
            ("/publicity", Err(Code::NotFound)),
            ("/a/b", Ok("ab")),
            ("/a/b/c", Ok("abc")),
            ("/a/b/c/", Ok("ab")),
            ("/a/b/c/d", Ok("ab")),
            ("/a", Err(Code::NotFound)),
            ("/", Err(Code::NotFound)),
        ] {
            assert_eq!(select("any.test", path, "GET").as_deref(), expected.as_deref(), "{path}");
        }
    }

    #[test]
    fn a_host_with_routes_is_searched_alone() {
        assert_eq!(select("app.test", "/public", "GET").as_deref(), Ok("app"));
    }

    #[test]
    fn the_winning_path_without_the_method_is_405_and_never_a_shorter_path() {
        assert_eq!(select("x", "/a/b/c", "PUT").as_deref(), Ok("abc-put"));
        let table = table();
        let problem = table.select("x", "/a/b/c", false, "DELETE").err().expect("refused");
        assert_eq!(
            (problem.code, problem.allow.as_deref()),
            (Code::MethodNotAllowed, Some("GET, HEAD, PUT"))
        );
    }

    #[test]
    fn an_encoded_slash_passes_only_where_a_route_keeps_it() {
        assert_eq!(select("x", "/git/group%2Fproject", "GET").as_deref(), Ok("git"));
        assert_eq!(select("x", "/public/..%2fadmin", "GET"), Err(Code::BadPath));
        assert_eq!(select("x", "/git/..%2f..%2fadmin", "GET"), Err(Code::AmbiguousPath));
    }

    #[test]
    fn another_reading_under_another_policy_is_ambiguous() {
        for path in [
            "/public/%252e%252e/admin",
            "/public/x;/../%252e%252e/admin",
            "/ADMIN",
            "/Public/x",
            "/public;/x",
            "/admin;.css",
            "/admin%3Ffoo",
            "/admin%23",
            "/public%3b/x",
            "/public/%252e%252e/%252e%252e/x",
        ] {
            assert!(matches!(select("x", path, "GET"), Err(Code::AmbiguousPath | Code::NotFound)), "{path}");
        }
        for path in
            ["/public/a;b", "/public/a%3bb", "/public/a%3Fb", "/public/a%25b", "/public/AbC", "/admin/x;y"]
        {
            assert!(select("x", path, "GET").is_ok(), "{path}");
        }
    }

    #[test]
    fn only_registered_methods_and_those_a_route_names_are_known() {
        let odd = route("odd", Some(&["FROBNICATE"]), &config::Policy::Public, false);
        let table = RouteTable::new(vec![(None, RoutePath::Prefix(String::new()), odd)]);
        for method in ["GET", "PROPFIND", "FROBNICATE"] {
            assert!(table.knows_method(method), "{method}");
        }
        for method in ["get", "TRACE", "CONNECT", "FOO", "PRI", ""] {
            assert!(!table.knows_method(method), "{method}");
        }
    }
}
