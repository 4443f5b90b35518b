//! One normal form of a path, and none that another reader could take elsewhere
//! (contract section 4; group P of the attack catalogue).

use portcullis_tests::{Request, Site, raw::send};

#[track_caller]
fn get(target: &str) -> portcullis_tests::raw::Raw {
    send(format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Mark: MARK\r\n\r\n"))
}

/// 401: nobody is signed in, and the path is guarded.
#[track_caller]
fn denied(target: &str) {
    get(target).answered_alone(401, "login_required");
}

#[track_caller]
fn refused(target: &str) {
    let mut sent = get(target);
    let code = sent.answered_alone(400, "").code();
    assert!(sent.connection.ends(), "{target} is closed");
    assert!(matches!(code.as_str(), "bad_path" | "ambiguous_path" | "bad_request"), "{target}: {code}");
}

#[track_caller]
fn refused_as(target: &str, code: &str) {
    get(target).refused_with(400, code);
}

/// Reaches the upstream under this path.
#[track_caller]
fn arrives(target: &str, as_path: &str) {
    assert_eq!(get(target).forwarded().target, as_path, "{target}");
}

// P-01, P-10: the query takes no part and arrives byte for byte
#[test]
fn the_query_decides_nothing_and_is_forwarded_as_sent() {
    denied("/admin/x?x=/public/health");
    denied("/admin?foo=bar");
    denied("/private?/public/");
    for query in ["a=b", "a=%2F..%2f&&=;'\"[]{}|", "%zz", "?", "/../..", "a=1?b=2", "%00", ""] {
        arrives(&format!("/public/x?{query}"), &format!("/public/x?{query}"));
    }
}

// P-02, P-18: whole segments
#[test]
fn a_prefix_ends_at_a_segment() {
    for path in
        ["/admin/public", "/x/publicity", "/publicity", "/public-x", "/publi", "/adminx", "/xpublic/x"]
    {
        denied(path);
    }
    arrives("/public", "/public");
    arrives("/public/", "/public/");
    arrives("/public/x/", "/public/x/");
}

// P-05, P-06, P-09, P-11, M-06: normalised once, and matched is forwarded
#[test]
fn what_is_matched_is_what_is_forwarded() {
    for (target, path) in [
        ("/public/./x", "/public/x"),
        ("//public//x", "/public/x"),
        ("/public/y/../x", "/public/x"),
        ("/public/%2e/x", "/public/x"),
        ("/public/y/%2E%2e/x", "/public/x"),
        ("/%70ublic/%78", "/public/x"),
        ("/public/a%7Eb", "/public/a~b"),
        ("/x/../public/x", "/public/x"),
        ("/public///", "/public/"),
    ] {
        arrives(target, path);
    }
    for target in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/%2E./admin",
        "//admin/x",
        "///admin",
        "/%41dmin",
        "/./admin",
        "/public/..",
        "/public/x/../../admin/y",
        "/public//../admin",
        "/public/.%2e/admin/",
    ] {
        let mut sent = get(target);
        let status = sent.answer().status;
        assert!(matches!(status, 401 | 400), "{target}: {status}");
        sent.unheard();
    }
}

// P-06: and the upstream never sees dots, also for a role that may
#[test]
fn dots_never_reach_the_upstream_of_a_guarded_route() {
    let site = Site::shared();
    for target in ["/public/../staff/dots", "/staff/./dots", "/staff/%2e%2e/staff/dots", "//staff//dots"] {
        assert_eq!(site.send(&site.as_alice(target)).status, 200, "{target}");
    }
    let seen = site.upstream.all_marked("/dots");
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|r| r.target == "/staff/dots"), "{seen:?}");
}

// P-05, P-16, P-03, M-05, M-06
#[test]
fn bytes_that_are_no_path_are_bad_path() {
    for target in [
        "/public/a%2fb",
        "/public/a%2Fb",
        "/public/..%2fadmin",
        "/public/a%5cb",
        "/public/a%5Cb",
        "/public/a\\b",
        "/public\\..\\admin",
        "/public%5c..%5cadmin",
        "/public/%00",
        "/public/a%00b",
        "/public/%zz",
        "/public/%",
        "/public/%2",
        "/public/%u0041",
        "/..",
        "/../admin",
        "/public/../../x",
        "/%2e%2e/",
        "/.%2e/public",
        "/public/x#y",
        "/public/..;/admin",
        "/public/.;a/x",
        "/public/..;a=b/x",
        "/public/%2e%2e;/admin",
    ] {
        refused_as(target, "bad_path");
    }
}

// P-13
#[test]
fn an_unparsable_path_is_never_served() {
    for target in ["/%zz", "/%", "/a%1", "/%%", "/%G0"] {
        refused_as(target, "bad_path");
    }
}

// P-03, P-05, P-10, P-15: another plausible reading selects another policy
#[test]
fn a_path_that_another_reader_could_take_elsewhere_is_ambiguous() {
    for target in [
        "/public;/admin",
        "/public/..%3b/admin",
        "/public/%252e%252e/admin",
        "/public/%252e%252e%252fadmin",
        "/admin%3Ffoo",
        "/admin%23x",
        "/admin;x",
        "/admin;.css",
        "/admin;jsessionid=1",
        "/public%3Fx",
        "/public%23",
        "/ADMIN",
        "/Admin/x",
        "/PUBLIC/x",
        "/Public",
        "/public/x%252f..%252f..%252fadmin",
        "/public/%252e%252e;/admin",
        "/%2561dmin",
        "/admin%253Fx",
        "/public;x",
        "/public%255cx",
    ] {
        refused(target);
    }
}

// P-03, P-16: what is refused as it is, is refused behind another escape
#[test]
fn what_no_path_may_hold_is_refused_behind_any_number_of_escapes() {
    for target in [
        "/public/x%2500",
        "/public/..%2500",
        "/public/%252500/x",
        "/public/a;b%2500",
        "/public/..%252fpublic%255cx",
        "/public/..%252Fpublic%25255Cx",
    ] {
        refused_as(target, "ambiguous_path");
    }
    for target in ["/public/%2501", "/public/x%252fy", "/public/a%255cb"] {
        arrives(target, target);
    }
}

// P-05: where no reading selects another policy they are ordinary
#[test]
fn encoded_marks_that_change_nothing_are_forwarded_as_sent() {
    for target in [
        "/public/a%3bb",
        "/public/a%3Bb",
        "/public/a%23b",
        "/public/a%3Fb",
        "/public/100%25",
        "/public/a;v=1",
        "/public/a;b/c",
        "/public/%2525",
        "/public/a%20b",
        "/public/%C3%A9",
    ] {
        arrives(target, target);
    }
}

// P-17
#[test]
fn letters_of_other_alphabets_neither_crash_nor_open_a_door() {
    for target in [
        "/ADM%C4%B0N",
        "/%c0%ae%c0%ae/",
        "/%ef%bc%8fadmin",
        "/%252e%252e/",
        "/adm%C4%B1n",
        "/%ff",
        "/%e2%84%aa",
    ] {
        let mut sent = get(target);
        let status = sent.answer().status;
        assert!(matches!(status, 400 | 401), "{target}: {status}");
        sent.unheard();
    }
    // A person whom the route around lets in is not let in where a reader without case
    // takes the path for a guarded one.
    let site = Site::shared();
    for target in [
        "/adm%C4%B1n/x",
        "/ADM%C4%B0N/x",
        "/adm%C4%B0n",
        "/%C5%BFtaff/x",
        "/%C5%BFTAFF",
        "/%25C5%25BFtaff/x",
        "/x/..%252f%C5%BFtaff;x",
    ] {
        site.send(&site.as_alice(target)).expect(400, "");
    }
    site.send(&site.as_alice("/%C3%A9t%C3%A9/%E2%84%AA/%C4%B1")).expect(200, "");
    // Still there.
    get("/public/x").forwarded();
}

// P-04, H-09: neither a user agent nor a forwarding header is a key
#[test]
fn no_header_of_a_stranger_skips_the_policy() {
    for line in [
        "User-Agent: GoogleHC/1.0",
        "User-Agent: kube-probe/1.29",
        "X-Forwarded-Uri: /public",
        "X-Original-URL: /public",
        "X-Rewrite-URL: /public",
        "X-Forwarded-Method: OPTIONS",
        "X-Forwarded-Prefix: /public",
        "X-Forwarded-Host: pub.test",
        "Forwarded: host=pub.test",
        "X-Forwarded-For: 127.0.0.1",
    ] {
        let mut sent = send(format!("GET /admin/MARK HTTP/1.1\r\nHost: 127.0.0.1\r\n{line}\r\n\r\n"));
        sent.answered_alone(401, "login_required");
    }
}

// P-12
#[test]
fn the_host_is_compared_without_case_port_or_final_dot() {
    for host in ["adm.test", "ADM.Test", "adm.test.", "adm.test:80", "ADM.TEST.:8080"] {
        let mut sent = send(format!("GET /MARK HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        sent.answered_alone(401, "login_required");
    }
    for host in ["pub.test", "PUB.test", "pub.test.", "pub.test:81"] {
        send(format!("GET /MARK HTTP/1.1\r\nHost: {host}\r\n\r\n")).forwarded();
    }
}

// P-21
#[test]
fn a_session_cookie_that_names_nothing_is_no_session() {
    let long = "x".repeat(5000);
    for value in
        ["%", "x", "", &long, "00000000000000000000000000000000000000000000", "\"\"", "null", "..", "AAAA="]
    {
        let cookie = format!("portcullis={value}");
        let request = Request::get("/private").cookie(&cookie);
        let answer = Site::shared().send(&request);
        answer.expect(401, "login_required");
    }
}

// P-26
#[test]
fn a_strategy_in_the_path_is_an_id_and_nothing_else() {
    for path in ["/login/local%2f..%2fldap", "/login/ldap%00"] {
        refused_as(path, "bad_path");
    }
    let mut bodies = Vec::new();
    for path in ["/login/unknown", "/login/LOCAL", "/login/ldap", "/login/-"] {
        let mut sent = send(format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"));
        let answer = sent.answer();
        assert!(matches!(answer.status, 404 | 400), "{path}: {answer:?}");
        if answer.status == 404 {
            let mut body = answer.json();
            body["request_id"] = "".into();
            bodies.push(body.to_string());
        }
        sent.unheard();
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

// P-07: the path after the strip is its own normal form
#[test]
fn a_stripped_prefix_changes_no_decision() {
    let routes = "[[routes]]\npath = \"/api/*\"\nupstream = \"api\"\npolicy = \"public\"\nstrip_prefix = \"/api\"\n\n\
                  [[routes]]\npath = \"/api/admin/*\"\nupstream = \"api\"\npolicy = { roles = [\"admin\"] }\nstrip_prefix = \"/api\"\n\n\
                  [[routes]]\npath = \"/*\"\nupstream = \"api\"\n";
    let site = Site::before(portcullis_tests::Upstream::start(), "", routes);
    for (target, path) in
        [("/api/x", "/x"), ("/api", "/"), ("/api/", "/"), ("/api//x", "/x"), ("/api/x?y=/api", "/x?y=/api")]
    {
        site.send(&Request::get(target)).expect(200, "");
        assert_eq!(site.upstream.last().target, path, "{target}");
    }
    let before = site.upstream.requests().len();
    for (target, status) in [
        ("/api/../admin", 401),
        ("/api%2f..%2fadmin", 400),
        ("/api//admin", 401),
        ("/api/./admin/x", 401),
        ("/api/admin", 401),
    ] {
        assert_eq!(site.send(&Request::get(target)).status, status, "{target}");
    }
    assert_eq!(site.upstream.requests().len(), before);
}

// encoded_slash = "keep"
#[test]
fn a_route_that_keeps_encoded_slashes_forwards_them_opaque() {
    let routes =
        "[[routes]]\npath = \"/*\"\nupstream = \"api\"\npolicy = \"public\"\nencoded_slash = \"keep\"\n";
    let site = Site::before(portcullis_tests::Upstream::start(), "", routes);
    site.send(&Request::get("/api/v4/projects/group%2Fproject")).expect(200, "");
    assert_eq!(site.upstream.last().target, "/api/v4/projects/group%2Fproject");
    assert_eq!(site.send(&Request::get("/a%5Cb")).status, 400);
}
