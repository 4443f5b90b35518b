//! Who gets a page, who gets JSON, who is sent to the login (contract sections 1, 5, 6
//! and 8).

use portcullis_tests::{Request, Site, login::login, site::PASSWORD};

const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn a_navigation_is_sent_to_the_login_and_comes_back() {
    let site = Site::shared();
    for request in [
        Request::get("/app/x?a=b&c=d").navigation(),
        Request::get("/app/x?a=b&c=d").with("Accept", HTML),
        Request::new("HEAD", "/app/x?a=b&c=d").navigation(),
    ] {
        let answer = site.send(&request).expect(303, "");
        let location = answer.header("location").unwrap();
        let query = location.strip_prefix("/login?return_to=").unwrap_or_else(|| panic!("{location}"));
        assert_eq!(
            query.replace("%2F", "/").replace("%3F", "?").replace("%3D", "=").replace("%26", "&"),
            "/app/x?a=b&c=d"
        );
        assert!(!query.contains('&'), "the query is part of one value: {location}");
    }
}

#[test]
fn everything_else_is_told_401_and_where_to_sign_in() {
    let site = Site::shared();
    for request in [
        Request::get("/app"),
        Request::get("/app").with("Accept", "application/json"),
        Request::get("/app").with("Accept", HTML).with("Sec-Fetch-Mode", "cors"),
        Request::get("/app").with("Accept", "*/*"),
        Request::post("/app").navigation().form("a=b"),
        Request::new("DELETE", "/app"),
    ] {
        let answer = site.send(&request);
        assert_eq!(answer.status, 401, "{request:?}: {answer:?}");
        assert!(answer.header("www-authenticate").is_some_and(|c| c.starts_with("Bearer")), "{answer:?}");
        if answer.header("content-type") == Some("application/problem+json") {
            assert_eq!(answer.code(), "login_required");
            assert!(answer.json()["login_url"].as_str().unwrap().contains("/login"), "{}", answer.text());
        }
    }
}

#[test]
fn a_refusal_is_a_page_for_people_with_the_same_status_and_its_request_id() {
    let site = Site::shared();
    for (request, status) in [
        (site.as_alice("/admin"), 403),
        (Request::get("/login/unknown"), 404),
        (Request::get("/auth/nothing"), 404),
        (Request::get("/public/%zz"), 400),
    ] {
        let plain = site.send(&request);
        assert_eq!(plain.status, status, "{plain:?}");
        plain.code();
        let page = site.send(&request.clone().navigation());
        assert_eq!(page.status, status);
        assert!(page.header("content-type").is_some_and(|t| t.starts_with("text/html")), "{page:?}");
        assert!(page.text().contains(page.header("x-request-id").unwrap()), "{}", page.text());
    }
}

#[test]
fn the_login_is_a_page_for_browsers_and_for_curl() {
    let site = Site::shared();
    for request in [
        Request::get("/login").navigation(),
        Request::get("/login").with("Accept", "*/*"),
        Request::get("/login/local").navigation(),
    ] {
        let answer = site.send(&request).expect(200, "");
        assert!(
            answer.header("content-type").is_some_and(|t| t.starts_with("text/html")),
            "{request:?} {answer:?}"
        );
    }
    let json = site.send(&Request::get("/login").with("Accept", "application/json")).expect(200, "");
    assert!(json.header("content-type").is_some_and(|t| t.starts_with("application/json")));
}

#[test]
fn a_browser_form_that_fails_is_the_page_again_with_the_status_of_json() {
    let site = Site::own();
    let request =
        Request::post("/login/local").navigation().form("username=alice&password=wrong&return_to=%2Fapp");
    let answer = site.send(&request).expect(401, "");
    let text = answer.text();
    assert!(answer.header("content-type").is_some_and(|t| t.starts_with("text/html")));
    assert!(text.contains("value=\"alice\"") && text.contains("/app") && !text.contains("wrong\""), "{text}");
}

#[test]
fn a_browser_form_logs_out_to_the_login() {
    let site = Site::own();
    let alice = login(&site.gateway, "alice", PASSWORD);
    let request = Request::post("/logout").navigation().cookie(&alice.cookie).form("");
    let answer = site.send(&request).expect(303, "");
    assert_eq!(answer.header("location"), Some("/login"));
}

// return_to never leaves the origin
#[test]
fn a_way_back_that_leaves_the_origin_or_meets_an_endpoint_is_home() {
    let site = Site::shared();
    let long = format!("/{}", "a".repeat(2100));
    let encode = |s: &str| s.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    for bad in [
        "//evil.test",
        "https://evil.test",
        "/\\evil.test",
        "\\evil",
        "evil.test",
        "",
        "/%2Fevil.test",
        "/..//evil.test",
        "/a/../b",
        "/./",
        "//",
        "/login",
        "/logout",
        "/auth/me",
        "/login/local?x=1",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=1",
        " /app",
        "/%09/evil.test",
        "/\t/evil.test",
        "/a#b",
        &long,
    ] {
        let form = format!("username=alice&password={}&return_to={}", encode(PASSWORD), encode(bad));
        let answer = site.send(&Request::post("/login/local").navigation().form(&form)).expect(303, "");
        assert_eq!(answer.header("location"), Some("/"), "{bad:?}");
        let page = site
            .send(&Request::get(&format!("/login?return_to={}", encode(bad))).navigation())
            .expect(200, "");
        assert!(!page.text().contains("evil.test"), "{bad:?}: {}", page.text());
    }
    for good in ["/app", "/app/x?y=z&a=%2F", "/app/%20x", "/"] {
        let form = format!("username=alice&password={}&return_to={}", encode(PASSWORD), encode(good));
        let answer = site.send(&Request::post("/login/local").navigation().form(&form)).expect(303, "");
        assert_eq!(answer.header("location"), Some(good));
    }
}
