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

/// A route is what its path stands for, whichever of its characters are escaped. The plain
/// character is not let past a guard that names the escape, and the other way round; and a
/// route around it with another policy does not close the route in its own spelling.
#[test]
fn a_route_is_met_in_its_own_spelling_and_in_no_other_one() {
    let signed_in = config::Policy::SignedIn;
    for around in [None, Some(&config::Policy::Public)] {
        for (guarded, own, others) in [
            ("/%40admin", "/%40admin/x", &["/@admin/x", "/%2540admin/x", "/@ADMIN/x"][..]),
            ("/@admin", "/@admin/x", &["/%40admin/x", "/%2540Admin/x"]),
            ("/a%7Cb", "/a%7Cb", &["/a|b", "/a%257Cb", "/A|B/c"]),
            ("/api%5B1%5D", "/api%5B1%5D/x", &["/api[1]/x", "/api%5B1]/x"]),
            ("/q%22", "/q%22/x", &["/q\"/x"]),
            ("/up/%2B1", "/up/%2B1/x", &["/up/+1/x", "/up/+1/x;y"]),
            ("/my%20files", "/my%20files/x", &["/my%2520files/x"]),
            ("/caf%C3%A9", "/caf%C3%A9/x", &["/caf%25C3%A9/x"]),
            ("/kk/a%2Fb", "/kk/a%2Fb/x", &["/kk/a/b/x", "/kk/a%252Fb/x"]),
            ("/100%25", "/100%25/x", &["/100%2525/x"]),
        ] {
            let guard = (None, RoutePath::Prefix(guarded.into()), route("guarded", None, &signed_in, true));
            let around = around
                .map(|policy| (None, RoutePath::Prefix(String::new()), route("all", None, policy, true)));
            let table = RouteTable::new(around.into_iter().chain([guard]).collect());
            let select = |path: &str| {
                let path = crate::proxy::target::normal_path(path.as_bytes()).expect("a path");
                let found = table.select("x", &path.text, path.encoded_slash, "GET");
                found.map(|route| route.id.clone()).map_err(|problem| problem.code)
            };
            assert_eq!(select(own), Ok("guarded".into()), "{own}");
            for other in others {
                let refused = select(other);
                assert!(matches!(refused, Err(Code::AmbiguousPath | Code::NotFound)), "{other}: {refused:?}");
            }
        }
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
