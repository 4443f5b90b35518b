//! Who may: policy tables from the outside (contract section 3, policy table). Every
//! combination of truths is proven beside the code; here each subject is met by requests.

use portcullis_tests::{
    Request, Site, Upstream,
    login::{Login, login},
    site::{PASSWORD, mark},
};

/// A route for each policy, `/p0/*`, `/p1/*` and so on.
fn site(policies: &[&str]) -> Site {
    let routes: String = policies
        .iter()
        .enumerate()
        .map(|(i, policy)| format!("[[routes]]\npath = \"/p{i}/*\"\nupstream = \"api\"\npolicy = {policy}\n"))
        .collect();
    Site::before(Upstream::start(), "trusted_proxies = [\"127.0.0.1\"]", &routes)
}

/// Asserts the status, and that the upstream heard of it only when it was 200.
#[track_caller]
fn judged(site: &Site, route: usize, request: impl Fn(Request) -> Request, status: u16, what: &str) {
    let mark = mark();
    let answer = site.send(&request(Request::get(&format!("/p{route}/{mark}"))));
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    match status {
        403 => assert_eq!(answer.code(), "forbidden", "{what}"),
        401 => assert_eq!(answer.code(), "login_required", "{what}"),
        _ => {}
    }
    assert_eq!(site.upstream.all_marked(&mark).len(), usize::from(status == 200), "{what}");
}

#[test]
fn each_subject_lets_in_whom_it_is_true_for() {
    // For alice: alice@example.org, role staff. For bare: neither address nor role.
    let cases = [
        ("{ any = [{ role = \"staff\" }] }", 200, 403),
        ("{ any = [{ role = \"admin\" }, { role = \"staff\" }] }", 200, 403),
        ("{ all = [{ role = \"admin\" }, { role = \"staff\" }] }", 403, 403),
        ("{ none = [{ role = \"staff\" }] }", 403, 200),
        ("{ all = [{ strategy = \"local\" }] }", 200, 200),
        ("{ none = [{ strategy = \"local\" }] }", 403, 403),
        ("{ any = [{ email = \"Alice@Example.org\" }] }", 200, 403),
        ("{ any = [{ email_domain = \"example.org\" }] }", 200, 403),
        ("{ any = [{ email_domain = \"org\" }] }", 403, 403),
        // No address at all is unknown, which is not false.
        ("{ none = [{ email_domain = \"evil.test\" }] }", 200, 403),
        ("{ any = [{ claim = \"name\", is = \"alice\" }] }", 200, 403),
        ("{ any = [{ claim = \"roles\", is = \"staff\" }] }", 200, 403),
        ("{ none = [{ claim = \"app.team\", is = \"red\" }] }", 403, 403),
        ("{ roles = [\"staff\"], none = [{ claim = \"name\", is = \"alice\" }] }", 403, 403),
        ("{ roles = [\"staff\"], any = [{ ip = \"127.0.0.0/8\" }] }", 200, 403),
        ("{ all = [{ method = \"GET\" }, { ip = \"127.0.0.1\" }] }", 200, 200),
        ("{ all = [{ method = \"POST\" }] }", 403, 403),
    ];
    let site = site(&cases.map(|(policy, ..)| policy));
    site.gateway.add_user("bare", PASSWORD, &[]);
    let bare = login(&site.gateway, "bare", PASSWORD);
    for (route, (policy, alice, other)) in cases.into_iter().enumerate() {
        judged(&site, route, |r| r.cookie(&site.alice.cookie), alice, policy);
        judged(&site, route, |r| r.bearer(&site.alice.token), alice, policy);
        judged(&site, route, |r| r.cookie(&bare.cookie), other, policy);
        // A table asks for somebody who is signed in, whatever its rules.
        judged(&site, route, |r| r, 401, policy);
    }
}

#[test]
fn an_anonymous_table_asks_about_the_request_alone() {
    let site = site(&[
        "{ anonymous = true, any = [{ ip = \"10.0.0.0/8\" }, { ip = \"2001:db8::/32\" }] }",
        "{ anonymous = true, none = [{ ip = \"10.0.0.0/8\" }], all = [{ method = \"GET\" }] }",
    ]);
    for (client, first, second) in [
        ("10.1.2.3", 200, 403),
        ("::ffff:10.1.2.3", 200, 403),
        ("2001:db8::5", 200, 200),
        ("11.1.2.3", 403, 200),
        // An entry on the left is what anybody may claim.
        ("10.1.2.3, 11.1.2.3", 403, 200),
    ] {
        judged(&site, 0, |r| r.with("X-Forwarded-For", client), first, client);
        judged(&site, 1, |r| r.with("X-Forwarded-For", client), second, client);
    }
    // Whoever is signed in is told upstream; a credential that is none is refused.
    let request = Request::get("/p1/x").cookie(&site.alice.cookie);
    site.send(&request).expect(200, "");
    assert_eq!(site.upstream.last().header("remote-user"), Some("alice"));
    site.send(&Request::get("/p1/x").bearer("nothing")).expect(401, "invalid_token");
    site.send(&Request::post("/p1/x")).expect(403, "forbidden");
    site.send(&Request::new("HEAD", "/p1/x")).expect(200, "");
}

#[test]
fn a_role_that_was_taken_counts_on_the_next_request() {
    let site = site(&["{ all = [{ role = \"staff\" }] }"]);
    let Login { cookie, .. } = &site.alice;
    judged(&site, 0, |r| r.cookie(cookie), 200, "before");
    site.gateway.verb(&["user", "roles", "alice", "other"], "").with_code(0);
    portcullis_tests::wait::until("the role is gone", || {
        (site.send(&Request::get("/p0/x").cookie(cookie)).status == 403).then_some(())
    });
    judged(&site, 0, |r| r.bearer(&site.alice.token), 403, "a token's copy decides nothing");
}

// P-22: what was decided for one route or person is not remembered for another
#[test]
fn each_request_is_judged_afresh() {
    let site = site(&[
        "{ any = [{ role = \"staff\" }] }",
        "{ any = [{ role = \"admin\" }] }",
        "{ none = [{ method = \"POST\" }] }",
    ]);
    let mut connection = site.gateway.connect();
    for _ in 0..3 {
        for (method, target, status) in
            [("GET", "/p0/x", 200), ("GET", "/p1/x", 403), ("GET", "/p2/x", 200), ("POST", "/p2/x", 403)]
        {
            let request = Request::new(method, target).bearer(&site.alice.token);
            assert_eq!(connection.send(&request).status, status, "{method} {target}");
        }
        assert_eq!(connection.send(&Request::get("/p0/x")).status, 401);
    }
}

// P-23: a login in the way of a POST shows nothing of what is behind it
#[test]
fn a_refused_post_is_not_kept_and_reaches_nobody() {
    let site = site(&["\"signed-in\""]);
    let request = Request::post("/p0/x").navigation().form("secret=canary-of-a-form");
    let answer = site.send(&request).expect(401, "");
    assert!(!answer.text().contains("canary-of-a-form"), "{}", answer.text());
    assert_eq!(site.upstream.bytes(), 0);
}
