//! Each option of `[[routes]]` does what it says for its own route and for no other: every
//! test has a twin beside it that leaves the option out (contract section 3).

use portcullis_tests::{Recorded, Request, Site, Upstream, upstream::answer};
use std::sync::OnceLock;

/// `/with-NAME/*` has the option, `/plain/*` has none.
const OPTIONS: &[(&str, &str)] = &[
    ("strip", "strip_prefix = \"/with-strip\""),
    ("methods", "methods = [\"GET\"]"),
    ("policy", "policy = { roles = [\"admin\"] }"),
    ("public", "policy = \"public\""),
    ("own-headers", "identity_headers = { X-Own-User = \"name\", X-Own-Mail = \"email\" }"),
    ("no-headers", "identity_headers = false"),
    ("assertion-off", "assertion = \"off\""),
    ("assertion-bearer", "assertion = \"authorization\""),
    ("origins", "origins = [\"https://app.example\"]"),
    ("preflight", "preflight = true"),
    ("slash", "encoded_slash = \"keep\""),
    ("authorization", "forward_authorization = true"),
    ("cache", "shared_cache = true"),
    ("id", "id = \"the named one\""),
];

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| {
        let one = |(name, option): &(&str, &str)| {
            format!("[[routes]]\npath = \"/with-{name}/*\"\nupstream = \"api\"\n{option}\n")
        };
        let routes: String = OPTIONS.iter().map(one).collect();
        let more = format!(
            "{routes}[[routes]]\npath = \"/plain/*\"\nupstream = \"api\"\n\
             [[routes]]\nhost = \"only.test\"\npath = \"/hosted\"\nupstream = \"api\"\npolicy = \"public\"\n"
        );
        let cacheable = |_: &Recorded| answer(200, &[("Cache-Control", "public, max-age=60")], b"ok");
        Site::before(Upstream::answering(cacheable), "", &more)
    })
}

/// What the upstream saw of alice's GET below this route, and below `/plain`.
fn seen(name: &str) -> [Recorded; 2] {
    [format!("/with-{name}/{}", mark()), format!("/plain/{}", mark())].map(|target| {
        site().send(&site().as_alice(&target)).expect(200, "");
        let word = target.rsplit('/').next().unwrap().to_owned();
        site().upstream.marked(&word)
    })
}

fn mark() -> String {
    portcullis_tests::site::mark()
}

#[test]
fn every_key_of_the_contract_has_its_route_here() {
    let keys = ["host", "path", "upstream"]
        .into_iter()
        .chain(OPTIONS.iter().map(|(_, o)| o.split(' ').next().unwrap()));
    let keys: std::collections::BTreeSet<&str> = keys.collect();
    let contract = [
        "assertion",
        "encoded_slash",
        "forward_authorization",
        "host",
        "id",
        "identity_headers",
        "methods",
        "origins",
        "path",
        "policy",
        "preflight",
        "shared_cache",
        "strip_prefix",
        "upstream",
    ];
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), contract);
}

#[test]
fn a_prefix_is_cut_off() {
    let [with, without] = seen("strip");
    assert!(!with.target.contains("with-strip") && with.target.starts_with("/mark-"), "{}", with.target);
    assert!(without.target.starts_with("/plain/mark-"));
    site().send(&site().as_alice("/with-strip")).expect(200, "");
}

#[test]
fn a_method_that_is_not_named_is_405() {
    let post = |target: &str| site().send(&Request::post(target).bearer(&site().alice.token).body("x"));
    let refused = post("/with-methods/x").expect(405, "method_not_allowed");
    assert_eq!(refused.header("allow"), Some("GET, HEAD"));
    post("/plain/x").expect(200, "");
    site().send(&Request::new("HEAD", "/with-methods/x").cookie(&site().alice.cookie)).expect(200, "");
}

#[test]
fn a_policy_says_who_may() {
    site().send(&site().as_alice("/with-policy/x")).expect(403, "forbidden");
    site().send(&site().as_alice("/plain/x")).expect(200, "");
    site().send(&Request::get("/with-public/x")).expect(200, "");
    site().send(&Request::get("/plain/x")).expect(401, "login_required");
}

#[test]
fn identity_headers_are_the_routes_own_or_none() {
    let [own, plain] = seen("own-headers");
    assert_eq!(
        (own.header("x-own-user"), own.header("x-own-mail")),
        (Some("alice"), Some("alice@example.org"))
    );
    assert!(own.header("remote-user").is_none() && own.header("remote-groups").is_none());
    assert!(plain.header("x-own-user").is_none() && plain.header("remote-user") == Some("alice"));
    let [none, _] = seen("no-headers");
    assert!(none.header("remote-user").is_none() && none.header("remote-id").is_none());
    assert!(none.header("x-portcullis-assertion").is_some(), "that is another option");
    // What a client sends under a name of any route is removed on every route.
    for path in ["/plain", "/with-no-headers", "/with-own-headers", "/with-public"] {
        let mark = mark();
        let request = Request::get(&format!("{path}/{mark}"))
            .with("X-Own-Mail", "forged")
            .with("Remote_User", "forged");
        site().send(&request.cookie(&site().alice.cookie)).expect(200, "");
        let seen = site().upstream.marked(&mark);
        assert!(!format!("{seen:?}").contains("forged"), "{path}: {seen:?}");
    }
}

#[test]
fn an_assertion_goes_where_the_route_says() {
    let [off, plain] = seen("assertion-off");
    assert!(off.header("x-portcullis-assertion").is_none() && off.header("authorization").is_none());
    assert!(plain.header("x-portcullis-assertion").is_some() && plain.header("authorization").is_none());
    let [bearer, _] = seen("assertion-bearer");
    assert!(bearer.header("x-portcullis-assertion").is_none());
    assert!(bearer.header("authorization").is_some_and(|value| value.starts_with("Bearer ey")));
}

#[test]
fn a_listed_origin_may_act_on_its_route_alone() {
    let act = |target: &str| {
        let request =
            Request::post(target).cookie(&site().alice.cookie).with("Origin", "https://app.example");
        site().send(&request.with("Sec-Fetch-Site", "cross-site").body("x"))
    };
    act("/with-origins/x").expect(200, "");
    act("/plain/x").expect(403, "foreign_origin");
}

#[test]
fn a_preflight_passes_as_nobody_where_the_route_lets_it() {
    let ask = |target: &str| {
        Request::new("OPTIONS", target)
            .with("Origin", "https://any.example")
            .with("Access-Control-Request-Method", "PUT")
    };
    let mark = mark();
    site().send(&ask(&format!("/with-preflight/{mark}")).cookie(&site().alice.cookie)).expect(200, "");
    let seen = site().upstream.marked(&mark);
    assert!(seen.header("remote-user").is_none() && seen.header("x-portcullis-assertion").is_none());
    site().send(&ask("/plain/x")).expect(401, "login_required");
    // What is no preflight is asked who it is: a body, no origin, no method.
    site().send(&ask("/with-preflight/x").body("x")).expect(401, "login_required");
    site()
        .send(&Request::new("OPTIONS", "/with-preflight/x").with("Origin", "https://a.test"))
        .expect(401, "login_required");
    site().send(&Request::get("/with-preflight/x")).expect(401, "login_required");
}

#[test]
fn an_encoded_slash_stays_or_is_refused() {
    let mark = mark();
    site().send(&site().as_alice(&format!("/with-slash/a%2Fb%2f{mark}"))).expect(200, "");
    assert_eq!(site().upstream.marked(&mark).target, format!("/with-slash/a%2Fb%2f{mark}"));
    site().send(&site().as_alice("/plain/a%2Fb")).expect(400, "bad_path");
}

#[test]
fn authorization_of_others_passes_where_the_route_says_and_ours_never() {
    let sent = |path: &str, value: &str| {
        let mark = mark();
        let request = site().as_alice(&format!("{path}/{mark}")).with("Authorization", value);
        site().send(&request).expect(200, "");
        site().upstream.marked(&mark).header("authorization").map(str::to_owned)
    };
    let basic = "Basic YTpi";
    assert_eq!(sent("/with-authorization", basic).as_deref(), Some(basic));
    assert_eq!(sent("/plain", basic), None);
    assert_eq!(sent("/with-authorization", &format!("Bearer {}", site().alice.token)), None);
}

#[test]
fn an_answer_stays_public_where_the_route_says() {
    let cached = |target: &str| {
        site().send(&site().as_alice(target)).expect(200, "").header("cache-control").unwrap().to_owned()
    };
    assert_eq!(cached("/with-cache/x"), "public, max-age=60");
    let private = cached("/plain/x");
    assert!(private.contains("private") && !private.contains("public"), "{private}");
}

#[test]
fn an_id_is_the_routes_name_in_the_log() {
    let mark = mark();
    site().send(&site().as_alice(&format!("/with-id/{mark}"))).expect(200, "");
    let line = portcullis_tests::until("its line", || {
        site().gateway.output().lines().find(|l| l.contains(&mark)).map(str::to_owned)
    });
    assert!(line.contains("\"route\":\"the named one\""), "{line}");
}

#[test]
fn a_host_makes_a_route_that_hosts_alone() {
    let at = |host: &str| site().send(&Request::get("/hosted").with("Host", host));
    at("only.test").expect(200, "");
    at("ONLY.test:81").expect(200, "");
    at("localhost").expect(404, "not_found");
    at("sub.only.test").expect(421, "misdirected");
    // That host is searched alone.
    site().send(&site().as_alice("/plain/x").with("Host", "only.test")).expect(404, "not_found");
}
