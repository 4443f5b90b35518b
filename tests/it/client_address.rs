//! Who a request comes from behind trusted proxies, and what that is good for: rules about
//! addresses, lockout, and nothing else. H-11, H-12, H-13 of the security anchors.

use crate::tls::Secured;
use portcullis_tests::{
    Request, Site, Upstream,
    login::login_request,
    services::service,
    site::{PASSWORD, ROUTES},
};
use serde_json::json;

const NEAR: &str = "[[routes]]\npath = \"/near/*\"\nupstream = \"api\"\n\
                    policy = { anonymous = true, any = [{ ip = \"198.51.100.7\" }, { ip = \"2001:db8::7\" }] }\n";

fn behind(trusted: &str) -> Site {
    Site::before(Upstream::start(), &format!("trusted_proxies = [{trusted}]"), &format!("{ROUTES}{NEAR}"))
}

/// The status of a request that carries these `X-Forwarded-For` lines.
fn status(site: &Site, lines: &[&str]) -> u16 {
    let request = lines.iter().fold(Request::get("/near/x"), |r, line| r.with("X-Forwarded-For", line));
    site.send(&request).status
}

#[test]
fn the_client_is_the_right_most_address_that_is_no_trusted_proxy() {
    let site = behind("\"127.0.0.1\", \"10.0.0.0/8\"");
    for lines in [
        &["198.51.100.7"][..],
        &["198.51.100.7, 10.1.2.3"],
        &["6.6.6.6, 198.51.100.7, 10.1.2.3"],
        &["6.6.6.6", "198.51.100.7", "10.1.2.3"],
        &["  198.51.100.7 ,10.1.2.3"],
        &["198.51.100.7:51234"],
        &["198.51.100.7:51234, 10.1.2.3:80"],
        &["::ffff:198.51.100.7"],
        &["198.51.100.7, ::ffff:10.1.2.3"],
        &["2001:db8::7"],
        &["[2001:db8::7]"],
        &["[2001:db8::7]:443"],
        &["2001:DB8:0:0::7"],
        &["garbage, 198.51.100.7"],
    ] {
        assert_eq!(status(&site, lines), 200, "{lines:?}");
    }
    for lines in [
        &[][..],
        &[""],
        &[","],
        &["198.51.100.7,"],
        &["198.51.100.7, 6.6.6.6"],
        &["198.51.100.7", "6.6.6.6"],
        &["198.51.100.7, unknown"],
        &["198.51.100.7, unknown, 10.1.2.3"],
        &["198.51.100.7, "],
        &["198.51.100.7:"],
        &["198.51.100.7:99999"],
        &["198.51.100.7/32"],
        &["\"198.51.100.7\""],
        &["198.51.100.07"],
        &["2001:db8::8"],
    ] {
        assert_eq!(status(&site, lines), 403, "{lines:?}");
    }
    // `Forwarded` and its kin say nothing.
    for name in ["Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X_Forwarded_For"] {
        for value in ["198.51.100.7", "for=198.51.100.7"] {
            site.send(&Request::get("/near/x").with(name, value)).expect(403, "forbidden");
        }
    }
}

// M-10: proxies append to the bytes of a client, and what they say of it stands whatever
// those were. A line is not thrown away: then the proxy itself would be the client.
#[test]
fn a_client_whose_own_entry_is_no_text_is_not_its_proxy() {
    let own = "[[routes]]\npath = \"/own/*\"\nupstream = \"api\"\n\
               policy = { anonymous = true, any = [{ ip = \"127.0.0.1\" }, { ip = \"10.0.0.0/8\" }] }\n";
    let trusted = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]";
    let site = Site::before(Upstream::start(), trusted, &format!("{ROUTES}{NEAR}{own}"));
    let ask = |path: &str, list: &[u8]| {
        let mut connection = site.gateway.connect();
        let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: ");
        connection.write(&[head.as_bytes(), list, b"\r\n\r\n"].concat());
        connection.response().status
    };
    for list in [
        &b"\xff, 198.51.100.7"[..],
        b"6.6.6.6\xe9, 198.51.100.7, 10.1.2.3",
        b"\xff\r\nX-Forwarded-For: 198.51.100.7",
        b"\xc3\r\nX-Forwarded-For: \x80, 198.51.100.7\r\nX-Forwarded-For: 10.1.2.3",
    ] {
        let shown = list.escape_ascii();
        assert_eq!(ask("/near/x", list), 200, "{shown}");
        assert_eq!(ask("/own/x", list), 403, "{shown}");
        let seen = site.upstream.last();
        let sent = seen.headers("x-forwarded-for");
        assert_eq!(sent.len(), 1, "{seen:?}");
        assert!(sent[0].contains("198.51.100.7") && sent[0].ends_with(", 127.0.0.1"), "{seen:?}");
    }
    assert_eq!(ask("/own/x", b"198.51.100.7, 10.1.2.3\xff"), 200, "what the last proxy itself spoilt");
    assert_eq!(ask("/near/x", b"198.51.100.7\xff"), 403);
}

#[test]
fn a_peer_that_is_no_trusted_proxy_is_the_client_whatever_it_says() {
    for trusted in ["", "\"10.0.0.0/8\""] {
        let site = behind(trusted);
        assert_eq!(status(&site, &["198.51.100.7"]), 403);
        site.send(&Request::get("/public").with("X-Forwarded-For", "198.51.100.7")).expect(200, "");
        assert_eq!(site.upstream.last().headers("x-forwarded-for"), ["127.0.0.1"]);
    }
}

// H-12: one key for one network, however a proxy writes its addresses.
#[test]
fn failures_of_a_network_are_counted_together_in_every_spelling() {
    let site = behind("\"127.0.0.1\"");
    let attempt = |from: &str, password: &str| {
        let body = json!({ "username": "alice", "password": password });
        site.send(&Request::post("/login/local").json(&body).with("X-Forwarded-For", from))
    };
    for from in
        ["198.51.100.7", "198.51.100.7:1", "::ffff:198.51.100.9", "1.1.1.1, 198.51.100.7", "198.51.100.8"]
    {
        attempt(from, "wrong").expect(401, "bad_credentials");
    }
    attempt("198.51.100.200:77", PASSWORD).expect(403, "locked");
    attempt("203.0.113.9", PASSWORD).expect(200, "");
    // A stranger's header makes no fresh bucket (H-12).
    let open = behind("");
    for n in 0..5 {
        let body = json!({ "username": "alice", "password": "wrong" });
        let request =
            Request::post("/login/local").json(&body).with("X-Forwarded-For", &format!("10.0.{n}.1"));
        open.send(&request).expect(401, "bad_credentials");
    }
    open.send(&login_request("alice", PASSWORD)).expect(403, "locked");
}

// H-11, H-13: over TLS too, and nothing of ours is built from it.
#[test]
fn the_scheme_and_host_that_a_header_says_change_nothing_of_ours() {
    let Some(_) = service("curl") else { return };
    let site = Secured::start();
    let claims =
        ["-H", "X-Forwarded-Proto: http", "-H", "X-Forwarded-Host: evil.test", "-H", "X-Forwarded-Port: 1"];
    assert_eq!(site.status("gw.test", &claims, "/public/x"), "200");
    let seen = site.upstream.last();
    assert_eq!(seen.headers("x-forwarded-proto"), ["https"]);
    assert!(seen.headers("x-forwarded-host").iter().all(|host| host.starts_with("gw.test")), "{seen:?}");
    assert!(seen.headers("x-forwarded-port").is_empty());

    let trusting = Secured::with("trusted_proxies = [\"127.0.0.1\"]\n");
    assert_eq!(trusting.status("gw.test", &claims, "/public/x"), "200");
    assert_eq!(trusting.upstream.last().headers("x-forwarded-proto"), ["http"], "as its proxy heard it");
    let browser = ["-i", "-H", "Sec-Fetch-Mode: navigate", "-H", "Accept: text/html"];
    let answer = trusting.curl("gw.test", &[&browser[..], &claims].concat(), "/x");
    let location =
        answer.lines().find(|l| l.to_ascii_lowercase().starts_with("location:")).expect("a redirect");
    assert!(location.contains("/login?return_to=%2Fx") && !answer.contains("evil"), "{answer}");
    let password = format!("password={PASSWORD}");
    let login = ["-i", "--data-urlencode", "username=alice", "--data-urlencode", &password];
    let answer = trusting.curl("gw.test", &[&login[..], &claims].concat(), "/login/local");
    let cookie = answer.lines().find(|l| l.starts_with("set-cookie:")).unwrap_or_else(|| panic!("{answer}"));
    assert!(cookie.contains("__Host-portcullis=") && cookie.contains("Secure"), "{cookie}");
}
