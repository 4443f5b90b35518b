//! Requests from other sites (contract section 6, Origins; row C-16).

use portcullis_tests::{
    Request, Site,
    login::login_request,
    site::{PASSWORD, mark},
};

/// What a browser says of where a request comes from, and whether that is us.
fn sources(site: &Site) -> Vec<(Vec<(&'static str, String)>, bool)> {
    let own = site.gateway.url();
    vec![
        (vec![], true),
        (vec![("Origin", own.clone())], true),
        (vec![("Sec-Fetch-Site", "same-origin".into())], true),
        (vec![("Sec-Fetch-Site", "none".into())], true),
        (vec![("Sec-Fetch-Site", "same-origin".into()), ("Origin", "http://evil.test".into())], true),
        (vec![("Origin", "null".into())], false),
        (vec![("Origin", "http://evil.test".into())], false),
        (vec![("Origin", own.replace("http:", "https:"))], false),
        (vec![("Origin", "http://127.0.0.1:1".into())], false),
        (vec![("Origin", format!("{own}.evil.test"))], false),
        (vec![("Sec-Fetch-Site", "cross-site".into())], false),
        (vec![("Sec-Fetch-Site", "same-site".into())], false),
        (vec![("Sec-Fetch-Site", "cross-site".into()), ("Origin", own)], false),
    ]
}

fn with(mut request: Request, fields: &[(&'static str, String)]) -> Request {
    for (name, value) in fields {
        request = request.with(name, value);
    }
    request
}

#[test]
fn a_login_or_logout_from_another_site_is_refused() {
    let site = Site::shared();
    for (fields, own) in sources(site) {
        let answer = site.send(&with(login_request("alice", PASSWORD), &fields));
        assert_eq!(answer.status, if own { 200 } else { 403 }, "{fields:?}: {}", answer.text());
        if !own {
            assert_eq!(answer.code(), "foreign_origin");
            assert!(answer.headers("set-cookie").is_empty());
            let logout = with(Request::post("/logout").cookie(&site.alice.cookie), &fields);
            site.send(&logout).expect(403, "foreign_origin");
        }
    }
    site.send(&site.as_alice("/app")).expect(200, "");
}

#[test]
fn a_change_by_cookie_from_another_site_reaches_no_upstream() {
    let site = Site::shared();
    for (fields, own) in sources(site) {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let mark = mark();
            let request = Request::new(method, &format!("/app/{mark}")).cookie(&site.alice.cookie);
            let answer = site.send(&with(request, &fields));
            assert_eq!(answer.status, if own { 200 } else { 403 }, "{method} {fields:?}: {}", answer.text());
            assert_eq!(site.upstream.all_marked(&mark).len(), usize::from(own));
        }
    }
}

#[test]
fn reading_tokens_and_strangers_are_not_asked_where_they_come_from() {
    let site = Site::shared();
    let foreign = [("Origin", "http://evil.test".to_owned()), ("Sec-Fetch-Site", "cross-site".to_owned())];
    for request in [
        site.as_alice("/app"),
        Request::new("HEAD", "/app").cookie(&site.alice.cookie),
        Request::new("OPTIONS", "/app").cookie(&site.alice.cookie),
        Request::post("/app").bearer(&site.alice.token),
        Request::post("/public"),
    ] {
        site.send(&with(request, &foreign)).expect(200, "");
    }
}

#[test]
fn nobody_unlisted_gets_cors() {
    let site = Site::shared();
    for request in
        [Request::get("/auth/current"), Request::get("/app"), Request::new("OPTIONS", "/auth/current")]
    {
        let request = request.with("Origin", "http://evil.test").with("Access-Control-Request-Method", "GET");
        let answer = site.send(&request);
        assert!(answer.header("access-control-allow-origin").is_none(), "{answer:?}");
    }
}
