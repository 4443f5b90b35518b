//! Routes are found, refused, or ambiguous.

use super::*;
use crate::proxy::policy::Policy;
use portcullis_config::{self as config, AssertionMode};

pub(super) fn route(id: &str, methods: Option<&[&str]>, policy: &config::Policy, keep: bool) -> Arc<Route> {
    Arc::new(Route {
        id: id.into(),
        methods: methods.map(|m| m.iter().map(|s| (*s).to_owned()).collect()),
        upstream: 0,
        policy: Policy::new(policy),
        strip_prefix: None,
        header_set: 0,
        assertion: AssertionMode::Header,
        keep_encoded_slash: keep,
        origins: Vec::new(),
        preflight: false,
        forward_authorization: false,
        shared_cache: false,
    })
}

fn table() -> RouteTable {
    let prefix = |p: &str| RoutePath::Prefix(p.into());
    let exact = |p: &str| RoutePath::Exact(p.into());
    let public = config::Policy::Public;
    let signed_in = config::Policy::SignedIn;
    let admin = config::Policy::Rules(config::Rules { roles: vec!["admin".into()], ..Default::default() });
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
    assert_eq!((problem.code, problem.allow.as_deref()), (Code::MethodNotAllowed, Some("GET, HEAD, PUT")));
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
