//! Host first, then the longest path, then the method (contract section 4).

use portcullis_tests::{
    Connection, Gateway, Request, Site, Upstream, raw::send, site::mark, until, upstream::ok,
};

#[test]
fn a_host_that_is_not_ours_is_421() {
    for host in ["evil.test", "10.0.0.1", "pub.test.evil", "xpub.test", "[::2]"] {
        let mut sent = send(format!("GET /public/MARK HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        sent.answered_alone(421, "misdirected");
    }
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:1", "[::1]"] {
        send(format!("GET /public/MARK HTTP/1.1\r\nHost: {host}\r\n\r\n")).forwarded();
    }
    // Endpoints too.
    let site = Site::shared();
    site.send(&Request::get("/login").with("Host", "evil.test")).expect(421, "misdirected");
}

// Contract, section 4: a loopback listener answers to loopback names, and no other one.
#[test]
fn a_listener_that_others_reach_does_not_answer_to_loopback_names() {
    let text = "[server]\nlisten = [\"127.0.0.1:0\", \"0.0.0.0:0\"]\npublic_url = \"https://gw.test\"\n\
                [strategies.local]\nkind = \"local\"\n[upstreams.api]\nurls = [\"UPSTREAM\"]\n\
                [[routes]]\npath = \"/*\"\nupstream = \"api\"\npolicy = \"public\"\n";
    let upstream = Upstream::start();
    let gateway = Gateway::start(&text.replace("UPSTREAM", &upstream.url()));
    let port = until("both listeners", || {
        let said = gateway.output();
        let rest = said.split("http://0.0.0.0:").nth(1)?.to_owned();
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u16>().ok()
    });
    let open = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    for host in ["localhost", "a.localhost:80", "127.0.0.1", "[::1]"] {
        for target in ["/x", "/login"] {
            let request = Request::get(target).with("Host", host);
            gateway.send(&request).expect(200, "");
            Connection::open(open).send(&request).expect(421, "misdirected");
        }
    }
    Connection::open(open).send(&Request::get("/x").with("Host", "gw.test")).expect(200, "");
}

#[test]
fn a_host_with_routes_is_searched_alone() {
    // `/public/*` belongs to no host; `adm.test` has a route, so only that one counts.
    let mut sent = send("GET /public/MARK HTTP/1.1\r\nHost: adm.test\r\n\r\n");
    sent.answered_alone(401, "login_required");
}

/// A site whose upstreams answer with their own names.
fn site() -> (Site, Upstream, Upstream) {
    let (one, two) = (Upstream::answering(|_| ok("one")), Upstream::answering(|_| ok("two")));
    let more = format!(
        "[upstreams.one]\nurls = [\"{}\"]\n[upstreams.two]\nurls = [\"{}\"]\n{}",
        one.url(),
        two.url(),
        r#"
[[routes]]
path = "/a/*"
upstream = "one"
policy = "public"
[[routes]]
path = "/a/b/c/*"
upstream = "two"
policy = "public"
[[routes]]
path = "/a/b"
upstream = "two"
policy = "public"
[[routes]]
path = "/only"
methods = ["GET", "PUT"]
upstream = "one"
policy = "public"
[[routes]]
path = "/x/*"
methods = ["PURGE"]
upstream = "one"
policy = "public"
"#
    );
    (Site::before(Upstream::start(), "", &more), one, two)
}

#[test]
fn the_longest_path_wins_whatever_the_order() {
    let (site, _one, _two) = site();
    for (target, body) in [
        ("/a", "one"),
        ("/a/b", "two"),
        ("/a/b/", "one"),
        ("/a/b/x", "one"),
        ("/a/b/c", "two"),
        ("/a/b/c/d", "two"),
        ("/a/bc", "one"),
    ] {
        assert_eq!(site.send(&Request::get(target)).expect(200, "").text(), body, "{target}");
    }
    site.send(&Request::get("/nowhere")).expect(404, "not_found");
    site.send(&Request::get("/")).expect(404, "not_found");
}

#[test]
fn the_method_is_asked_last_and_get_includes_head() {
    let (site, one, _two) = site();
    for method in ["GET", "PUT", "HEAD"] {
        site.send(&Request::new(method, "/only")).expect(200, "");
        assert_eq!(one.last().method, method);
    }
    for method in ["POST", "DELETE", "OPTIONS", "PATCH"] {
        let answer = site.send(&Request::new(method, "/only")).expect(405, "method_not_allowed");
        let mut allow: Vec<&str> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
        allow.sort_unstable();
        assert_eq!(allow, ["GET", "HEAD", "PUT"]);
    }
    site.send(&Request::new("PURGE", "/x/y")).expect(200, "");
    site.send(&Request::get("/x/y")).expect(405, "method_not_allowed");
}

#[test]
fn no_route_hides_an_endpoint() {
    let site = Site::shared();
    for target in ["/login", "/auth/current", "/auth/jwks.json", "/.well-known/jwks.json", "/auth/strategies"]
    {
        site.send(&Request::get(target).with("Accept", "application/json")).expect(200, "");
    }
    for (target, method) in [("/auth/current", "DELETE"), ("/auth/strategies", "POST"), ("/logout", "PUT")] {
        let answer = site.send(&Request::new(method, target)).expect(405, "method_not_allowed");
        assert!(answer.header("allow").is_some());
    }
    // Whole segments here too.
    for target in ["/loginx", "/authx/current", "/logoutx"] {
        site.send(&Request::get(target)).expect(401, "login_required");
    }
}

#[test]
fn a_role_that_is_missing_is_403_before_the_upstream_hears() {
    let site = Site::shared();
    let mark = mark();
    site.send(&site.as_alice(&format!("/admin/{mark}"))).expect(403, "forbidden");
    assert!(site.upstream.all_marked(&mark).is_empty());
    site.send(&site.as_alice(&format!("/staff/{mark}"))).expect(200, "");
}

#[test]
fn moved_endpoints_leave_their_old_places_to_routes() {
    let more = "[[routes]]\npath = \"/*\"\nupstream = \"api\"\npolicy = \"public\"\n\
                [endpoints]\nlogin = \"/api/auth/login\"\nlogout = \"/api/auth/logout\"\nauth = \"/api/auth\"\n";
    let upstream = Upstream::start();
    let gateway =
        portcullis_tests::Gateway::start(&portcullis_tests::site::config(&upstream.url(), "", more));
    gateway.add_user("alice", portcullis_tests::site::PASSWORD, &[]);
    let body = serde_json::json!({ "username": "alice", "password": portcullis_tests::site::PASSWORD });
    gateway.send(&Request::post("/api/auth/login/local").json(&body)).expect(200, "");
    gateway.send(&Request::get("/api/auth/current")).expect(200, "");
    assert_eq!(upstream.requests().len(), 0);
    gateway.send(&Request::get("/login")).expect(200, "");
    assert_eq!(upstream.last().target, "/login");
}
