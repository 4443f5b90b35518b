//! Pages of other origins: who may act with a person's cookie, who may read our answers,
//! and which preflights pass (contract section 6, Origins; H-07).

use portcullis_tests::{
    Request, Response, Site, Upstream,
    login::login_request,
    site::{PASSWORD, mark},
};
use std::sync::OnceLock;

const APP: &str = "https://app.example";
const SHOP: &str = "http://localhost:5173";
const EVIL: &str = "https://app.example.evil.test";

const ROUTES: &str = r#"
[[routes]]
path = "/*"
upstream = "api"

[[routes]]
path = "/shop/*"
upstream = "api"
origins = ["http://localhost:5173"]

[[routes]]
path = "/shop/orders"
methods = ["POST"]
upstream = "api"
origins = ["http://localhost:5173"]

[[routes]]
path = "/open/*"
upstream = "api"
preflight = true

[[routes]]
path = "/office/*"
upstream = "api"
policy = { all = [{ ip = "10.0.0.0/8" }, { role = "staff" }] }
preflight = true

[[routes]]
path = "/down/*"
upstream = "down"
policy = "public"
"#;

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| {
        let more = format!("[upstreams.down]\nurls = [\"http://127.0.0.1:9\"]\n{ROUTES}");
        let server = "origins = [\"https://App.example:443\"]\ntrusted_proxies = [\"127.0.0.1\"]";
        Site::before(Upstream::start(), server, &more)
    })
}

fn preflight(target: &str, origin: &str) -> Request {
    Request::new("OPTIONS", target)
        .with("Origin", origin)
        .with("Access-Control-Request-Method", "POST")
        .with("Access-Control-Request-Headers", "content-type, x-csrf")
}

/// Asserts that a page of this origin may read the answer, or that no page may.
#[track_caller]
fn readable(answer: &Response, origin: Option<&str>) {
    assert_eq!(answer.header("access-control-allow-origin"), origin, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-credentials"), origin.map(|_| "true"), "{answer:?}");
    assert_eq!(answer.header("vary"), Some("Origin"), "{answer:?}");
}

#[test]
fn endpoints_are_readable_for_listed_origins_and_no_others() {
    let site = site();
    for (origin, listed) in [
        (APP, true),
        (SHOP, false),
        (EVIL, false),
        ("null", false),
        ("https://app.example:443", false),
        ("http://app.example", false),
        ("https://APP.example", false),
    ] {
        let expected = listed.then_some(origin);
        for request in [
            Request::get("/auth/current"),
            Request::get("/auth/jwks.json"),
            Request::get("/auth/nothing"),
            Request::new("DELETE", "/auth/current"),
            Request::get("/auth/current").bearer("nothing"),
        ] {
            readable(&site.send(&request.with("Origin", origin)), expected);
        }
    }
    readable(&site.send(&Request::get("/auth/jwks.json")), None);
}

#[test]
fn a_preflight_for_an_endpoint_is_answered_to_listed_origins_alone() {
    let site = site();
    for target in ["/login", "/login/local", "/logout", "/auth/current"] {
        let answer = site.send(&preflight(target, APP)).expect(204, "");
        readable(&answer, Some(APP));
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(["GET", "POST", "PATCH", "DELETE"].iter().all(|m| methods.contains(m)), "{methods}");
        assert_eq!(answer.header("access-control-allow-headers"), Some("content-type, x-csrf"));
        for origin in [SHOP, EVIL, "null"] {
            let answer = site.send(&preflight(target, origin)).expect(405, "method_not_allowed");
            readable(&answer, None);
            assert!(answer.header("access-control-allow-methods").is_none());
        }
    }
    // What is no list of names is not given back.
    let odd =
        Request::new("OPTIONS", "/login").with("Origin", APP).with("Access-Control-Request-Method", "POST");
    let answer = site.send(&odd.with("Access-Control-Request-Headers", "x y: <z>")).expect(204, "");
    assert!(answer.header("access-control-allow-headers").is_none());
    // An OPTIONS that announces nothing is no preflight.
    site.send(&Request::new("OPTIONS", "/login").with("Origin", APP)).expect(405, "method_not_allowed");
}

#[test]
fn a_listed_origin_signs_in_and_out_and_acts_with_the_cookie() {
    let site = site();
    let from =
        |request: Request, origin: &str| request.with("Origin", origin).with("Sec-Fetch-Site", "cross-site");
    for origin in [SHOP, EVIL, "null"] {
        let answer = site.send(&from(login_request("alice", PASSWORD), origin)).expect(403, "foreign_origin");
        readable(&answer, None);
    }
    let answer = site.send(&from(login_request("alice", PASSWORD), APP)).expect(200, "");
    readable(&answer, Some(APP));
    let cookie = format!("portcullis={}", answer.cookie("portcullis").unwrap());
    for (origin, path, own) in [
        (APP, "/app", true),
        (APP, "/shop/x", true),
        (SHOP, "/shop/x", true),
        (SHOP, "/app", false),
        (EVIL, "/shop/x", false),
        ("null", "/shop/x", false),
    ] {
        let mark = mark();
        let request = Request::post(&format!("{path}/{mark}")).cookie(&cookie);
        let answer = site.send(&from(request, origin));
        assert_eq!(answer.status, if own { 200 } else { 403 }, "{origin} {path}: {}", answer.text());
        assert_eq!(site.upstream.all_marked(&mark).len(), usize::from(own), "{origin} {path}");
    }
    site.send(&from(Request::post("/logout").cookie(&cookie), EVIL)).expect(403, "foreign_origin");
    site.send(&from(Request::post("/logout").cookie(&cookie), APP)).expect(200, "");
}

#[test]
fn our_refusals_are_readable_where_the_origin_is_listed() {
    let site = site();
    for (target, status, app, shop) in [
        ("/app", 401, true, false),
        ("/shop/x", 401, true, true),
        ("/shop/x%00", 400, true, false),
        ("/down/x", 502, true, false),
    ] {
        for (origin, listed) in [(APP, app), (SHOP, shop), (EVIL, false)] {
            let answer = site.send(&Request::get(target).with("Origin", origin)).expect(status, "");
            readable(&answer, listed.then_some(origin));
            assert!(answer.header("x-request-id").is_some());
        }
    }
    // What the application answers is its own to say.
    let answer = site.send(&site.as_alice("/shop/x").with("Origin", SHOP)).expect(200, "");
    assert!(answer.header("access-control-allow-origin").is_none() && answer.header("vary").is_none());
}

// H-07: as nobody, and with nothing that says otherwise
#[test]
fn a_preflight_passes_on_a_route_that_lists_its_origin() {
    let site = site();
    for (target, origin, passes) in [
        ("/shop/x", SHOP, true),
        ("/shop/x", EVIL, false),
        // Listed for the endpoints, not by the route.
        ("/shop/x", APP, false),
        ("/app", SHOP, false),
        ("/open/x", EVIL, true),
        ("/open/x", "null", true),
    ] {
        let mark = mark();
        let request = preflight(&format!("{target}/{mark}"), origin)
            .cookie(&format!("{}; other=1", site.alice.cookie))
            .bearer(&site.alice.token)
            .with("Remote-User", "attacker")
            .with("X-Portcullis-Assertion", "attacker");
        // Whoever is asked for and known goes through as themselves; this one is nobody.
        let stranger = preflight(&format!("{target}/{mark}"), origin).with("Remote-User", "attacker");
        let answer = site.send(&stranger);
        assert_eq!(answer.status, if passes { 200 } else { 401 }, "{target} {origin}");
        if !passes {
            continue;
        }
        site.send(&request).expect(200, "");
        for seen in site.upstream.all_marked(&mark) {
            let text = seen.text();
            assert_eq!(seen.method, "OPTIONS");
            assert!(!text.contains("attacker") && !text.contains("alice"), "{text}");
            assert!(!text.contains(&site.alice.token) && !text.contains(&site.alice.cookie), "{text}");
            assert_eq!((seen.header("remote-user"), seen.header("origin")), (None, Some(origin)));
        }
    }
}

#[test]
fn what_is_no_preflight_is_asked_who_it_is() {
    let site = site();
    let announcing = |request: Request| request.with("Access-Control-Request-Method", "POST");
    for request in [
        Request::new("OPTIONS", "/open/x").with("Origin", EVIL),
        announcing(Request::new("OPTIONS", "/open/x")),
        announcing(Request::get("/open/x").with("Origin", EVIL)),
        announcing(Request::post("/open/x").with("Origin", EVIL)),
        preflight("/open/x", EVIL).body("x"),
        preflight("/open/x", EVIL).with("Origin", SHOP),
        Request::new("OPTIONS", "/open/x").with("Origin", EVIL).with("Access-Control-Request-Method", ""),
    ] {
        site.send(&request).expect(401, "login_required");
    }
}

// P-25: an upgrade passes after the same checks as everything else (contract
// section 7), and a preflight is asked nothing.
#[test]
fn a_preflight_opens_no_tunnel() {
    let site = site();
    for (target, origin) in [("/open/x", EVIL), ("/shop/x", SHOP)] {
        for fields in [
            &[("Connection", "Upgrade"), ("Upgrade", "websocket")][..],
            &[("Connection", "keep-alive, upgrade"), ("Upgrade", "tcp")],
            &[("Upgrade", "websocket")],
            &[("Connection", "upgrade")],
        ] {
            let mark = mark();
            let asks = |request: Request, (name, value): &(&str, &str)| request.with(name, value);
            let request = fields.iter().fold(preflight(&format!("{target}/{mark}"), origin), asks);
            site.send(&request).expect(401, "login_required");
            assert!(site.upstream.all_marked(&mark).is_empty(), "{fields:?}");
        }
    }
}

#[test]
fn a_preflight_takes_the_route_of_the_method_it_announces() {
    let site = site();
    site.send(&preflight("/shop/orders", SHOP)).expect(200, "");
    assert_eq!(site.upstream.last().method, "OPTIONS");
    site.send(&preflight("/shop/orders", EVIL)).expect(405, "method_not_allowed");
    let other = Request::new("OPTIONS", "/shop/orders").with("Origin", SHOP);
    site.send(&other.with("Access-Control-Request-Method", "PUT")).expect(405, "method_not_allowed");
}

#[test]
fn rules_about_addresses_hold_for_preflights_too() {
    let site = site();
    let from = |address: &str| preflight("/office/x", EVIL).with("X-Forwarded-For", address);
    site.send(&from("10.1.2.3")).expect(200, "");
    site.send(&from("11.1.2.3")).expect(401, "login_required");
}
