//! Nobody but the gateway says who a request comes from (contract section 7; group H of
//! the attack catalogue).

use portcullis_tests::{
    Request, Site, Upstream,
    login::login,
    readers::{all_see, fold, folding},
    rng::Rng,
    site::{PASSWORD, ROUTES, mark},
};

/// Every name that the contract protects, with one member for each open family.
const PROTECTED: &[&str] = &[
    "Remote-User",
    "Remote-Name",
    "Remote-Email",
    "Remote-Groups",
    "Remote-Id",
    "Remote-Anything",
    "X-Remote-User",
    "X-Remote-Group",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Auth-Request-User",
    "X-Auth-Request-Groups",
    "X-Webauth-User",
    "X-Authentik-Username",
    "X-Pomerium-Jwt-Assertion",
    "X-Vouch-User",
    "Cf-Access-Jwt-Assertion",
    "X-Goog-Authenticated-User-Email",
    "X-Amzn-Oidc-Data",
    "X-Ms-Client-Principal",
    "X-Ms-Client-Principal-Name",
    "Ssl-Client-Verify",
    "Ssl-Client-S-Dn",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Portcullis-Assertion",
];

/// Removed although they are no identity: they re-route, re-address or re-method.
const REMOVED: &[&str] = &[
    "Forwarded",
    "X-Real-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "Proxy",
    "X-Forwarded-Uri",
    "X-Forwarded-Prefix",
    "X-Forwarded-Port",
    "X-Forwarded-Method",
    "X-Forwarded-Server",
];

const SYMBOLS: &[u8] = b"-!#$%&'*+.^_`|~";

/// The same name in another spelling: case and symbols.
fn respell(name: &str, rng: &mut Rng) -> String {
    name.bytes()
        .map(|b| match b {
            b'-' => char::from(*rng.pick(SYMBOLS)),
            _ if rng.below(2) == 0 => char::from(b.to_ascii_lowercase()),
            _ => char::from(b.to_ascii_uppercase()),
        })
        .collect()
}

/// Asserts that nothing of an attacker reached any reader.
#[track_caller]
fn clean(seen: &portcullis_tests::Recorded, user: Option<&str>, groups: Option<&str>) {
    assert!(!seen.text().contains("attacker"), "{}", seen.text());
    all_see(seen, "Remote-User", user);
    all_see(seen, "Remote-Groups", groups);
}

// H-01, H-02, H-03, H-07, H-14, H-19
#[test]
fn no_spelling_of_a_protected_name_survives_on_any_route() {
    let site = Site::shared();
    let mut rng = Rng::new(1);
    for name in PROTECTED.iter().chain(REMOVED) {
        let mut spellings: Vec<String> =
            SYMBOLS.iter().map(|s| name.replace('-', &char::from(*s).to_string())).collect();
        spellings.extend([name.to_lowercase(), name.to_uppercase()]);
        spellings.extend((0..20).map(|_| respell(name, &mut rng)));
        spellings.sort();
        spellings.dedup();
        for (target, signed_in) in [("/app", true), ("/public", true), ("/public", false)] {
            let mark = mark();
            let mut request = Request::get(&format!("{target}/{mark}"));
            if signed_in {
                request = request.cookie(&site.alice.cookie);
            }
            for spelling in &spellings {
                request = request.with(spelling, "attacker");
            }
            site.send(&request).expect(200, "");
            let (user, groups) = if signed_in { (Some("alice"), Some("staff")) } else { (None, None) };
            clean(&site.upstream.marked(&mark), user, groups);
        }
    }
}

// H-03: set or removed, also when the principal has no such attribute
#[test]
fn a_header_whose_attribute_is_empty_is_absent() {
    let site = Site::own();
    site.gateway.add_user("bare", PASSWORD, &[]);
    let bare = login(&site.gateway, "bare", PASSWORD);
    for name in ["Remote-Groups", "Remote-Email"] {
        site.send(&Request::get("/app").cookie(&bare.cookie).with(name, "attacker")).expect(200, "");
        let seen = site.upstream.last();
        assert!(!seen.text().contains("attacker"));
        assert!(folding(&seen).get(&fold(name)).is_none_or(String::is_empty), "{}", seen.text());
    }
    all_see(&site.upstream.last(), "Remote-User", Some("bare"));
}

// The default table of the contract
#[test]
fn alice_arrives_as_the_default_headers_say() {
    let site = Site::shared();
    let mark = mark();
    site.send(&site.as_alice(&format!("/app/{mark}"))).expect(200, "");
    let seen = site.upstream.marked(&mark);
    let uuid = site.alice.body["authenticated"]["uuid"].as_str().unwrap();
    all_see(&seen, "Remote-User", Some("alice"));
    all_see(&seen, "Remote-Email", Some("alice@example.org"));
    all_see(&seen, "Remote-Groups", Some("staff"));
    all_see(&seen, "Remote-Id", Some(uuid));
    assert!(
        seen.header("x-portcullis-assertion").is_some_and(|a| a.split('.').count() == 3),
        "{}",
        seen.text()
    );
}

// H-04: how the configuration writes a name does not matter
#[test]
fn names_configured_in_any_case_are_protected_in_every_case() {
    for configured in ["x-user", "X-User", "X-uSeR", "X_User"] {
        let routes = format!("[identity_headers]\n\"{configured}\" = \"name\"\n{ROUTES}");
        let site = Site::before(Upstream::start(), "", &routes);
        for spelling in ["x-user", "X-User", "X_USER", "x.user", "X|User"] {
            for target in ["/app", "/public"] {
                site.send(&site.as_alice(target).with(spelling, "attacker")).expect(200, "");
                let seen = site.upstream.last();
                assert!(!seen.text().contains("attacker"), "{configured}: {}", seen.text());
                assert_eq!(folding(&seen).get("X_USER").map(String::as_str), Some("alice"));
            }
        }
    }
}

// H-01: the union over all routes, and `strip`
#[test]
fn a_name_of_one_route_or_of_strip_is_removed_on_all() {
    let routes = format!(
        "[identity_headers]\nRemote-User = \"name\"\nstrip = [\"X-Legacy-User\"]\n{ROUTES}\n[[routes]]\npath = \"/own/*\"\n\
         upstream = \"api\"\nidentity_headers = {{ X-Own-User = \"name\" }}\n\n[[routes]]\npath = \"/none/*\"\n\
         upstream = \"api\"\nidentity_headers = false\nassertion = \"off\"\n"
    );
    let site = Site::before(Upstream::start(), "", &routes);
    for target in ["/app", "/public", "/own", "/none"] {
        let request = site.as_alice(target).with("x_own_user", "attacker").with("X.Legacy.User", "attacker");
        site.send(&request.with("X-Portcullis-Assertion", "attacker")).expect(200, "");
        assert!(!site.upstream.last().text().contains("attacker"), "{target}");
    }
    site.send(&site.as_alice("/own")).expect(200, "");
    all_see(&site.upstream.last(), "X-Own-User", Some("alice"));
    all_see(&site.upstream.last(), "Remote-User", None);
    site.send(&site.as_alice("/none")).expect(200, "");
    assert!(!site.upstream.last().text().contains("alice"), "{}", site.upstream.last().text());
    all_see(&site.upstream.last(), "X-Portcullis-Assertion", None);
}

// H-01: fields that the gateway itself reads are named like any other
#[test]
fn a_field_that_the_gateway_reads_itself_is_removed_where_it_is_named() {
    let read = ["User-Agent", "Accept", "Sec-Fetch-Site", "Sec-Fetch-Mode"];
    let names = read.map(|name| format!("\"{name}\"")).join(", ");
    let table = format!("[identity_headers]\nOrigin = \"name\"\nstrip = [{names}]\n");
    let site = Site::before(Upstream::start(), "", &format!("{table}{ROUTES}"));
    let all = || {
        read.iter().map(|name| (name.to_string(), "cors")).chain([("ORIGIN".into(), "http://forged.test")])
    };
    for target in ["/app", "/public"] {
        let request = all().fold(site.as_alice(target), |request, (name, value)| request.with(&name, value));
        site.send(&request).expect(200, "");
        let seen = site.upstream.last();
        for name in read {
            assert!(seen.headers(name).is_empty(), "{name}: {}", seen.text());
        }
        assert_eq!(seen.headers("origin"), ["alice"], "{}", seen.text());
    }
    // Elsewhere they arrive as sent.
    let plain = Site::before(Upstream::start(), "", ROUTES);
    plain.send(&all().fold(Request::get("/public"), |r, (name, value)| r.with(&name, value))).expect(200, "");
    for (name, value) in all() {
        assert_eq!(plain.upstream.last().headers(&name), [value], "{name}");
    }
}

// H-05, M-09
#[test]
fn a_connection_header_cannot_take_identity_away() {
    let site = Site::shared();
    for lines in [
        vec!["close, remote-user, X-Portcullis-Assertion"],
        vec!["Remote-User", "x-portcullis-assertion, Remote-Groups"],
        vec!["keep-alive, REMOTE-USER, Cookie, Authorization, Host"],
        vec!["close", "remote_user", "X-FORWARDED-FOR, X-Request-Id"],
    ] {
        let mark = mark();
        let mut request = site.as_alice(&format!("/app/{mark}"));
        for line in &lines {
            request = request.with("Connection", line);
        }
        let answer = site.send(&request);
        assert_eq!(answer.status, 200, "{lines:?}: {}", answer.text());
        let seen = site.upstream.marked(&mark);
        clean(&seen, Some("alice"), Some("staff"));
        assert_eq!(seen.headers("x-portcullis-assertion").len(), 1);
        assert_eq!(seen.headers("x-forwarded-for").len(), 1);
        assert!(seen.header("host").is_some());
    }
}

// H-06
#[test]
fn several_values_of_one_name_are_all_removed() {
    let site = Site::shared();
    for values in
        [vec!["staff", "admin-attacker"], vec!["staff,admin-attacker"], vec!["attacker", "attacker", ""]]
    {
        let mark = mark();
        let mut request = site.as_alice(&format!("/app/{mark}"));
        for value in values {
            request = request.with("Remote-Groups", value);
        }
        site.send(&request).expect(200, "");
        clean(&site.upstream.marked(&mark), Some("alice"), Some("staff"));
    }
}

// H-07: also where nobody is asked who he is
#[test]
fn an_anonymous_preflight_carries_no_identity() {
    let site = Site::shared();
    let mark = mark();
    let mut request = Request::new("OPTIONS", &format!("/public/{mark}")).with("Origin", "http://evil.test");
    request = request.with("Access-Control-Request-Method", "POST");
    for name in PROTECTED {
        request = request.with(name, "attacker");
    }
    site.send(&request).expect(200, "");
    clean(&site.upstream.marked(&mark), None, None);
}

// H-08
#[test]
fn trailers_carry_no_identity() {
    for trailer in ["Remote-User", "remote_user", "X-Portcullis-Assertion", "X-Anything"] {
        let mut sent = portcullis_tests::raw::send(format!(
            "POST /public/MARK HTTP/1.1\r\nHost: 127.0.0.1\r\nTrailer: {trailer}\r\nTransfer-Encoding: chunked\r\n\r\n\
             1\r\nZ\r\n0\r\n{trailer}: attacker\r\n\r\n"
        ));
        let seen = sent.forwarded();
        assert!(seen.trailers.is_empty());
        clean(&seen, None, None);
    }
}

// H-10, H-19
#[test]
fn an_override_reaches_no_application() {
    let site = Site::shared();
    let mark = mark();
    let request = Request::get(&format!("/public/{mark}"))
        .with("X-Original-URL", "/attacker")
        .with("X-Rewrite-URL", "/attacker")
        .with("X-HTTP-Method-Override", "ATTACKER-attacker")
        .with("X_HTTP_METHOD_OVERRIDE", "attacker")
        .with("Proxy", "http://attacker");
    site.send(&request).expect(200, "");
    let seen = site.upstream.marked(&mark);
    clean(&seen, None, None);
    assert_eq!(seen.method, "GET");
}

// H-11
#[test]
fn forwarding_headers_of_a_stranger_are_replaced_by_what_the_socket_says() {
    let site = Site::shared();
    let mark = mark();
    let request = Request::get(&format!("/public/{mark}"))
        .with("Host", "pub.test:99")
        .with("X-Forwarded-Proto", "https")
        .with("X-Forwarded-Host", "attacker.test")
        .with("X-Forwarded-For", "6.6.6.6")
        .with("x_forwarded_for", "6.6.6.6")
        .with("X-Forwarded-Port", "443")
        .with("Forwarded", "proto=https;host=attacker")
        .with("X-Request-Id", "attacker");
    site.send(&request).expect(200, "");
    let seen = site.upstream.marked(&mark);
    clean(&seen, None, None);
    assert!(!seen.text().contains("6.6.6.6"));
    all_see(&seen, "X-Forwarded-For", Some("127.0.0.1"));
    all_see(&seen, "X-Forwarded-Proto", Some("http"));
    all_see(&seen, "X-Forwarded-Host", Some("pub.test:99"));
    assert_eq!(seen.headers("x-request-id").len(), 1);
}

// H-15, H-16: values are data
#[test]
fn a_role_with_strange_letters_is_one_field_and_one_group() {
    let site = Site::own();
    let roles = ["Zoë", "100%", "a|b", "staff admin"];
    let mut more = Vec::new();
    for role in roles {
        more.extend(["--role", role]);
    }
    site.gateway.add_user("zoe", PASSWORD, &more);
    let zoe = login(&site.gateway, "zoe", PASSWORD);
    site.send(&Request::get("/app").cookie(&zoe.cookie)).expect(200, "");
    let seen = site.upstream.last();
    let groups = folding(&seen).remove("REMOTE_GROUPS").unwrap();
    let mut groups: Vec<&str> = groups.split(',').collect();
    groups.sort_unstable();
    assert_eq!(groups, ["100%25", "Zo%C3%AB", "a|b", "staff admin"]);
    for bad in ["staff,admin", "a\r\nRemote-User: admin", "\u{1}"] {
        site.gateway
            .verb(&["user", "add", "mallory", "--password-stdin", "--role", bad], PASSWORD)
            .with_code(1);
    }
}

// H-17
#[test]
fn credentials_of_ours_reach_no_upstream_and_no_cookie_line_crashes() {
    let site = Site::shared();
    let name_only = "portcullis";
    let value = site.alice.cookie.strip_prefix("portcullis=").unwrap();
    for line in [
        site.alice.cookie.clone(),
        format!(";;==;=; a; {}", site.alice.cookie),
        format!("a=1; {}; b=2; portcullis-refresh=secret; portcullis-flow=secret", site.alice.cookie),
        format!("__Host-portcullis={value}; {};", site.alice.cookie),
        format!("{};{name_only}", site.alice.cookie),
    ] {
        let mark = mark();
        let request = Request::get(&format!("/public/{mark}")).cookie(&line).bearer(&site.alice.token);
        let answer = site.send(&request);
        assert!(matches!(answer.status, 200 | 400 | 401), "{line}: {answer:?}");
        for seen in site.upstream.all_marked(&mark) {
            assert!(!seen.text().contains(value) && !seen.text().contains("secret"), "{}", seen.text());
            assert!(!seen.text().contains(&site.alice.token), "{}", seen.text());
        }
    }
    assert_eq!(site.send(&Request::get("/public/x").cookie(&";=".repeat(4000))).status, 200);
}

// H-18
#[test]
fn two_credentials_are_one_person_or_a_refusal() {
    let site = Site::own();
    site.gateway.add_user("bob", PASSWORD, &[]);
    let bob = login(&site.gateway, "bob", PASSWORD);
    let both = Request::get("/app").cookie(&site.alice.cookie).bearer(&bob.token);
    site.send(&both).expect(400, "conflicting_credentials");
    let twice = Request::get("/app").bearer(&bob.token).bearer(&site.alice.token);
    assert_eq!(site.send(&twice).status, 400);
    let same_twice = Request::get("/app").bearer(&bob.token).bearer(&bob.token);
    assert_eq!(site.send(&same_twice).status, 400);
    assert_eq!(site.upstream.requests().len(), 0);

    let basic = Request::get("/app").with("Authorization", "Basic Ym9iOng=").cookie(&site.alice.cookie);
    site.send(&basic).expect(200, "");
    clean(&site.upstream.last(), Some("alice"), Some("staff"));
    assert!(site.upstream.last().header("authorization").is_none(), "removed on guarded routes");
    let same = Request::get("/app").cookie(&site.alice.cookie).bearer(&site.alice.token);
    site.send(&same).expect(200, "");
    clean(&site.upstream.last(), Some("alice"), Some("staff"));
}
