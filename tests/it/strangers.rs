//! What comes from people nobody knows and proves nothing: crafted cookies, words of a
//! proxy that it has no say in, bytes before a handshake (rows C-04, C-06, C-14, C-15,
//! D-04, G-06, H-09, P-13, P-20).

use crate::tls::Secured;
use portcullis_tests::{
    Request, Site, Upstream,
    login::login,
    services::service,
    site::{PASSWORD, ROUTES},
};
use std::{fs, time::Duration};

// C-04, C-15
#[test]
fn a_crafted_cookie_line_is_nobody_and_takes_no_time() {
    const TIMES: u32 = 20;
    // Alone, for what is measured is the work of its process: another clock would measure
    // what else the machine does.
    let site = Site::own();
    let far_away = r#"{"sub":"admin","exp":2208988800,"roles":["admin"]}"#;
    for line in [
        "portcullis=".to_owned(),
        "portcullis=%".into(),
        "portcullis".into(),
        format!("portcullis={}", "A".repeat(43)),
        format!("portcullis={far_away}"),
        r#"portcullis={"exp":1e300}"#.into(),
        "portcullis=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.".into(),
        "portcullis_0=4294967295; portcullis_1=x".into(),
        "portcullis-0=x; portcullis-count=4294967295".into(),
        ";;==".repeat(5000),
        "=; ".repeat(6000),
        "a=b;".repeat(5000),
        "portcullis=x;".repeat(1500),
        "x".repeat(30_000),
        "x".repeat(64 * 1024),
        format!("a=\"{}", "\\\"".repeat(10_000)),
    ] {
        let before = site.gateway.worked();
        for _ in 0..TIMES {
            let answer = site.send(&Request::get("/private").cookie(&line));
            assert!(matches!(answer.status, 400 | 401 | 431), "{:.60}: {answer:?}", line);
        }
        let each = (site.gateway.worked() - before) / TIMES;
        assert!(each < Duration::from_millis(50), "{:.60}: {each:?}", line);
    }
}

// C-06
#[test]
fn no_cookie_grows_with_what_is_known_of_a_person() {
    let site = Site::own();
    let roles: Vec<String> = (0..500).map(|n| format!("role-number-{n}")).collect();
    let more: Vec<&str> = roles.iter().flat_map(|role| ["--role", role.as_str()]).collect();
    site.gateway.add_user("many", PASSWORD, &more);
    let answer = portcullis_tests::login::try_login(&site.gateway, "many", PASSWORD).expect(200, "");
    for line in answer.headers("set-cookie") {
        let pair = line.split(';').next().unwrap();
        assert!(pair.len() <= 4096, "{} bytes", pair.len());
    }
    let cookie = format!("portcullis={}", answer.cookie("portcullis").unwrap());
    // What they are let through with is another matter: 8 KiB of one header and no more.
    let answer = site.send(&Request::get("/auth/current").cookie(&cookie)).expect(200, "");
    assert_eq!(answer.json()["authenticated"]["roles"].as_array().map(Vec::len), Some(500));
}

// C-14
#[test]
fn a_session_cookie_with_any_letter_changed_is_nobodys_and_all_refusals_are_alike() {
    let site = Site::shared();
    let value = site.alice.cookie.strip_prefix("portcullis=").unwrap();
    assert!(value.len() >= 43, "256 bits in base64");
    let mut connection = site.gateway.connect();
    let mut bodies = Vec::new();
    for at in 0..value.len() {
        let mut changed: Vec<char> = value.chars().collect();
        changed[at] = if changed[at] == 'A' { 'B' } else { 'A' };
        let changed: String = changed.into_iter().collect();
        // The last letter carries bits that are nothing: then it is not base64 of 256 bits.
        let answer = connection.send(&Request::get("/private").cookie(&format!("portcullis={changed}")));
        assert_eq!(answer.status, 401, "changed at {at}");
        let mut body = answer.json();
        body["request_id"] = "".into();
        bodies.push(body.to_string());
    }
    for other in ["", "x", &value[1..], &format!("{value}A"), "not-even-base64!"] {
        let mut body =
            connection.send(&Request::get("/private").cookie(&format!("portcullis={other}"))).json();
        body["request_id"] = "".into();
        bodies.push(body.to_string());
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

// H-09, P-13: a trusted proxy says where a request comes from; not where it goes
#[test]
fn a_trusted_proxy_says_where_from_and_nothing_else() {
    let site = Site::before(Upstream::start(), "trusted_proxies = [\"127.0.0.0/8\"]", ROUTES);
    for (name, value) in [
        ("X-Forwarded-Uri", "/public/x"),
        ("X-Forwarded-Uri", "/%zz"),
        ("X-Forwarded-Uri", "http://["),
        ("X-Original-URL", "/public"),
        ("X-Original-URI", "/public"),
        ("X-Rewrite-URL", "/public"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-HTTP-Method-Override", "OPTIONS"),
        ("X-Forwarded-Prefix", "/public"),
        ("X-Forwarded-Host", "pub.test"),
        ("X-Forwarded-Host", "pub.test, adm.test"),
        ("Forwarded", "host=pub.test;proto=https"),
        ("Remote-User", "admin"),
        ("X-Forwarded-User", "admin"),
        ("X-Forwarded-For", "garbage, , ::1%lo, 999.1.1.1"),
    ] {
        let request = Request::get("/admin/x").with(name, value).with("X-Forwarded-For", "192.0.2.7");
        site.send(&request).expect(401, "login_required");
    }
    assert_eq!(site.upstream.bytes(), 0);
}

// P-20
#[test]
fn nothing_is_taken_before_the_handshake_is_through() {
    let Some(_) = service("openssl") else { return };
    let site = Secured::start();
    let file = site.gateway.file("ticket").display().to_string();
    let request = b"GET /public/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n";
    let ends = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("\r\n\r\nok");
    let arguments = ["-servername", "gw.test", "-tls1_3", "-sess_out", &file, "-quiet"];
    site.openssl_until(&arguments, request, ends);
    let shown = std::process::Command::new("openssl")
        .args(["sess_id", "-noout", "-text", "-in", &file])
        .output()
        .expect("openssl runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("TLSv1.3"), "{shown}");
    assert!(shown.contains("Max Early Data: 0"), "{shown}");
    // And what comes early all the same is nobody's request.
    let early = site.gateway.file("early").display().to_string();
    fs::write(&early, b"GET /public/early HTTP/1.1\r\nHost: gw.test\r\n\r\n").unwrap();
    let arguments = ["-servername", "gw.test", "-tls1_3", "-sess_in", &file, "-early_data", &early, "-quiet"];
    site.openssl_until(&arguments, request, ends);
    assert!(!site.upstream.requests().iter().any(|r| r.target.contains("early")));
}

// G-06
#[test]
fn what_looks_like_a_variable_is_text() {
    let site = Site::own();
    let roles = ["${ENV:PATH}", "{env.PATH}", "$PATH", "{{ name }}", "{file./etc/passwd}"];
    let more: Vec<&str> = roles.iter().flat_map(|role| ["--role", role]).collect();
    site.gateway.add_user("vera", PASSWORD, &more);
    let vera = login(&site.gateway, "vera", PASSWORD);
    site.send(&Request::get("/app").cookie(&vera.cookie)).expect(200, "");
    let seen = site.upstream.last();
    let mut groups: Vec<&str> = seen.header("remote-groups").unwrap().split(',').collect();
    let mut expected = roles;
    groups.sort_unstable();
    expected.sort_unstable();
    assert_eq!(groups, expected);
}

// D-04: a form that nobody fills in is remembered nowhere
#[test]
fn asking_for_the_login_a_thousand_times_keeps_nothing() {
    let site = Site::own();
    let size = || site.gateway.memory();
    let stored = || fs::metadata(site.gateway.file("portcullis.db-wal")).map_or(0, |m| m.len());
    let mut connection = site.gateway.connect();
    let mut ask = |count: usize| {
        for _ in 0..count {
            connection.send(&Request::get("/login/local")).expect(200, "");
            connection.send(&Request::get("/login").navigation()).expect(200, "");
        }
    };
    ask(200);
    let (memory, store) = (size(), stored());
    ask(800);
    assert!(size() < memory + 2048, "{} kB, then {} kB", memory, size());
    assert_eq!(stored(), store, "nothing is written");
}
