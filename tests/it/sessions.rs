//! Sessions begin, end and last as the contract says (sections 1, 5 and 6; rows C-01 to
//! C-04, C-07, C-09, C-10, C-12).

use portcullis_tests::{
    Gateway, Request, Site, Upstream,
    login::{Login, login, login_request, try_login},
    site::{PASSWORD, ROUTES, config},
    until,
};
use serde_json::json;

fn current(gateway: &Gateway, cookie: &str) -> bool {
    let answer = gateway.send(&Request::get("/auth/current").cookie(cookie)).expect(200, "");
    answer.json()["authenticated"] != json!(false)
}

/// Whether a proxied request is let in by cookie and by token; both must say the same.
#[track_caller]
fn is_in(gateway: &Gateway, login: &Login) -> bool {
    let by_cookie = gateway.send(&Request::get("/app").cookie(&login.cookie)).status;
    let by_token = gateway.send(&Request::get("/app").bearer(&login.token)).status;
    assert_eq!(by_cookie, by_token, "cookie and token of one session differ");
    assert!(matches!(by_cookie, 200 | 401), "{by_cookie}");
    by_cookie == 200
}

/// Waits until the session is over; then cookie and token agree on it. (Not before: it may
/// end between the two questions.)
#[track_caller]
fn until_out(gateway: &Gateway, login: &Login) {
    let by_cookie = Request::get("/app").cookie(&login.cookie);
    until("the session's end", || (gateway.send(&by_cookie).status == 401).then_some(()));
    assert!(!is_in(gateway, login));
}

#[test]
fn the_cookie_is_http_only_lax_and_for_this_host_alone() {
    let site = Site::shared();
    let line = try_login(&site.gateway, "alice", PASSWORD).set_cookie("portcullis").unwrap().to_lowercase();
    let attributes: Vec<&str> = line.split(';').skip(1).map(str::trim).collect();
    for wanted in ["path=/", "httponly", "samesite=lax"] {
        assert!(attributes.contains(&wanted), "{line}");
    }
    assert!(!line.contains("domain=") && !attributes.contains(&"secure"), "{line}");
    let value = site.alice.cookie.strip_prefix("portcullis=").unwrap();
    assert!(value.len() >= 43, "256 bits: {value}");
}

#[test]
fn over_https_the_cookie_is_secure_and_prefixed_and_no_other_is_read() {
    let config = config("http://127.0.0.1:9", "public_url = \"https://gw.test\"", ROUTES);
    let gateway = Gateway::start(&config);
    gateway.add_user("alice", PASSWORD, &[]);
    let answer = gateway.send(&login_request("alice", PASSWORD).with("Host", "gw.test")).expect(200, "");
    let line = answer.set_cookie("__Host-portcullis").expect("the prefixed name");
    let attributes: Vec<String> = line.split(';').skip(1).map(|a| a.trim().to_lowercase()).collect();
    for wanted in ["path=/", "httponly", "samesite=lax", "secure"] {
        assert!(attributes.iter().any(|a| a == wanted), "{line}");
    }
    let value = answer.cookie("__Host-portcullis").unwrap();
    let ask =
        |cookie: &str| gateway.send(&Request::get("/auth/current").with("Host", "gw.test").cookie(cookie));
    assert_eq!(ask(&format!("__Host-portcullis={value}")).json()["authenticated"]["name"], "alice");
    assert_eq!(ask(&format!("portcullis={value}")).json()["authenticated"], false);
}

// C-01
#[test]
fn a_login_makes_a_new_session_whatever_cookie_came() {
    let site = Site::own();
    let preset = format!("portcullis={}", "A".repeat(43));
    let first =
        site.send(&login_request("alice", PASSWORD).cookie(&preset)).expect(200, "").cookie("portcullis");
    let again = login_request("alice", PASSWORD).cookie(&site.alice.cookie);
    let second = site.send(&again).expect(200, "").cookie("portcullis");
    let ours = site.alice.cookie.strip_prefix("portcullis=").map(str::to_owned);
    assert!(first != second && second != ours && first.as_deref() != preset.strip_prefix("portcullis="));
    assert!(!current(&site.gateway, &preset));
}

#[test]
fn current_tells_who_is_asking() {
    let site = Site::shared();
    assert_eq!(
        site.send(&Request::get("/auth/current")).expect(200, "").json(),
        json!({ "success": true, "authenticated": false })
    );
    for request in [
        Request::get("/auth/current").cookie(&site.alice.cookie),
        Request::get("/auth/current").bearer(&site.alice.token),
    ] {
        let answer = site.send(&request).expect(200, "");
        assert_eq!(answer.json()["authenticated"]["name"], "alice");
        // C-12: nothing that opens anything is in it
        assert!(!answer.text().contains("eyJ") && answer.json().get("token").is_none(), "{}", answer.text());
    }
    site.send(&Request::get("/auth/current").bearer("nonsense")).expect(401, "invalid_token");
}

#[test]
fn who_asks_for_json_api_is_told_in_json_api() {
    let site = Site::shared();
    let ask = |path| Request::get(path).with("Accept", "application/vnd.api+json");
    assert_eq!(site.send(&ask("/auth/current")).expect(200, "").json(), json!({ "data": null }));
    let alice = site.send(&ask("/auth/current").bearer(&site.alice.token)).expect(200, "");
    assert_eq!(alice.header("content-type"), Some("application/vnd.api+json"));
    assert_eq!(alice.json()["data"]["type"], "users");
    let ways = site.send(&ask("/auth/strategies")).expect(200, "").json();
    assert_eq!((&ways["data"][0]["type"], &ways["data"][0]["id"]), (&json!("strategies"), &json!("local")));
}

// C-02, C-03
#[test]
fn a_tossed_or_disguised_cookie_signs_nobody_in_as_another() {
    let site = Site::own();
    site.gateway.add_user("bob", PASSWORD, &[]);
    let bob = login(&site.gateway, "bob", PASSWORD);
    for line in
        [format!("{}; {}", bob.cookie, site.alice.cookie), format!("portcullis=EVIL; {}", site.alice.cookie)]
    {
        let status = site.send(&Request::get("/app").cookie(&line)).status;
        assert!(matches!(status, 400 | 401), "two session cookies of two values are nobody: {status}");
    }
    let value = site.alice.cookie.strip_prefix("portcullis=").unwrap();
    for line in [
        format!("\u{2000}portcullis={value}"),
        format!("$Version=1; xportcullis={value}"),
        format!("PORTCULLIS={value}"),
        format!("a=\"; portcullis\"={value}"),
    ] {
        assert_eq!(site.send(&Request::get("/app").cookie(&line)).status, 401, "{line}");
    }
}

// C-07
#[test]
fn logout_ends_cookie_and_token_at_once_and_twice_is_no_error() {
    let site = Site::own();
    let other = login(&site.gateway, "alice", PASSWORD);
    assert!(is_in(&site.gateway, &site.alice) && is_in(&site.gateway, &other));
    let answer = site.send(&Request::post("/logout").cookie(&site.alice.cookie)).expect(200, "");
    assert_eq!(answer.json(), json!({ "success": true }));
    let expired = answer.set_cookie("portcullis").expect("the cookie is taken back").to_lowercase();
    assert!(expired.contains("max-age=0") || expired.contains("1970"), "{expired}");
    assert!(!is_in(&site.gateway, &site.alice) && is_in(&site.gateway, &other));
    site.send(&Request::post("/logout").cookie(&site.alice.cookie)).expect(200, "");
    site.send(&Request::post("/logout")).expect(200, "");
    site.send(&Request::post("/logout").bearer(&other.token)).expect(200, "");
    assert!(!is_in(&site.gateway, &other));
}

#[test]
fn global_logout_ends_every_session_of_the_account_and_no_other() {
    let site = Site::own();
    site.gateway.add_user("bob", PASSWORD, &[]);
    let bob = login(&site.gateway, "bob", PASSWORD);
    let others: Vec<Login> = (0..3).map(|_| login(&site.gateway, "alice", PASSWORD)).collect();
    site.send(&Request::post("/logout?global=true").cookie(&site.alice.cookie)).expect(200, "");
    assert!(others.iter().chain([&site.alice]).all(|l| !is_in(&site.gateway, l)));
    assert!(is_in(&site.gateway, &bob));
}

// C-16
#[test]
fn a_cross_site_link_to_logout_only_asks() {
    let site = Site::own();
    let link = Request::get("/logout").cookie(&site.alice.cookie).with("Sec-Fetch-Mode", "navigate");
    let answer = site.send(&link.with("Sec-Fetch-Site", "cross-site").with("Accept", "text/html"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().contains("<form"), "{}", answer.text());
    assert!(is_in(&site.gateway, &site.alice));
    let own = Request::get("/logout").cookie(&site.alice.cookie).with("Sec-Fetch-Mode", "navigate");
    let answer = site.send(&own.with("Sec-Fetch-Site", "same-origin")).expect(303, "");
    assert_eq!(answer.header("location"), Some("/login"));
    assert!(!is_in(&site.gateway, &site.alice));
}

#[test]
fn a_browser_goes_where_its_logout_says_and_never_to_another_origin() {
    let site = Site::shared();
    for (path, leads) in [
        ("/logout", "/login"),
        ("/logout?return_to=%2Fpublic%2Fbye", "/public/bye"),
        ("/logout?return_to=https%3A%2F%2Fevil.test", "/"),
        ("/logout?return_to=%2F%2Fevil.test", "/"),
    ] {
        let answer = site.send(
            &Request::get(path).with("Sec-Fetch-Mode", "navigate").with("Sec-Fetch-Site", "same-origin"),
        );
        assert_eq!(answer.header("location"), Some(leads), "{path}");
    }
}

#[test]
fn a_new_password_replaces_the_one_that_is_there_whichever_strategy_keeps_it() {
    let guests = format!("[strategies.guests]\nkind = \"local\"\n{ROUTES}");
    let site = Site::before(Upstream::start(), "", &guests);
    let (old, new) = ("an older phrase of five words", "a newer phrase of five words");
    let add = ["user", "add", "gus@guests", "--strategy", "guests", "--password-stdin"];
    site.gateway.verb(&add, &format!("{old}\n")).with_code(0);
    site.gateway
        .verb(&["user", "passwd", "gus@guests", "--password-stdin"], &format!("{new}\n"))
        .with_code(0);
    let at_guests = |password: &str| {
        let body = json!({ "username": "gus", "password": password }).to_string();
        site.send(&Request::post("/login/guests").with("Content-Type", "application/json").body(body)).status
    };
    assert_eq!((at_guests(old), at_guests(new)), (401, 200));
}

#[test]
fn sessions_survive_a_restart_and_a_kill() {
    let server = "public_url = \"http://127.0.0.1:8080\"";
    let Site { gateway, upstream: _upstream, alice } = Site::before(Upstream::start(), server, ROUTES);
    let ended = login(&gateway, "alice", PASSWORD);
    assert!(is_in(&gateway, &alice));
    let gateway = gateway.restart();
    assert!(is_in(&gateway, &alice), "after SIGTERM");
    gateway.send(&Request::post("/logout").cookie(&ended.cookie)).expect(200, "");
    let fresh = login(&gateway, "alice", PASSWORD);
    let gateway = gateway.kill_and_restart();
    assert!(is_in(&gateway, &alice) && is_in(&gateway, &fresh), "after SIGKILL");
    // C-10: what was ended stays ended
    assert!(!is_in(&gateway, &ended));
    login(&gateway, "alice", PASSWORD);
}

// C-09
#[test]
fn disabling_an_account_ends_its_sessions_in_the_running_gateway() {
    let site = Site::own();
    assert!(is_in(&site.gateway, &site.alice));
    site.gateway.verb(&["user", "disable", "alice"], "").with_code(0);
    until_out(&site.gateway, &site.alice);
    try_login(&site.gateway, "alice", PASSWORD).expect(401, "bad_credentials");
    site.gateway.verb(&["user", "enable", "alice"], "").with_code(0);
    until("a login works again", || {
        (try_login(&site.gateway, "alice", PASSWORD).status == 200).then_some(())
    });
    assert!(!is_in(&site.gateway, &site.alice), "enabling revives no session");
}

#[test]
fn a_new_password_ends_every_older_session() {
    let site = Site::own();
    site.gateway
        .verb(&["user", "passwd", "alice", "--password-stdin"], "another phrase of length 9\n")
        .with_code(0);
    until_out(&site.gateway, &site.alice);
    try_login(&site.gateway, "alice", PASSWORD).expect(401, "bad_credentials");
    login(&site.gateway, "alice", "another phrase of length 9");
}

#[test]
fn a_changed_role_counts_on_requests_of_the_running_session() {
    let site = Site::own();
    assert_eq!(site.send(&site.as_alice("/admin")).status, 403);
    site.gateway.verb(&["user", "roles", "alice", "staff", "admin"], "").with_code(0);
    until("the new role", || (site.send(&site.as_alice("/admin")).status == 200).then_some(()));
    assert_eq!(site.upstream.last().header("remote-groups").map(|g| g.contains("admin")), Some(true));
    site.gateway.verb(&["user", "roles", "alice", "staff"], "").with_code(0);
    until("the role's end", || {
        (site.send(&Request::get("/admin").bearer(&site.alice.token)).status == 403).then_some(())
    });
}

// That it ends without use is shown in upgrades.rs, where nobody has to ask: asking is use.
#[test]
fn a_session_ends_when_it_is_old() {
    let site =
        Site::before(Upstream::start(), "", &format!("{ROUTES}\n[token]\nrefresh_lifetime = \"1s\"\n"));
    let fresh = login(&site.gateway, "alice", PASSWORD);
    until_out(&site.gateway, &fresh);
}

#[test]
fn a_dead_cookie_is_taken_back_from_browsers() {
    let site = Site::shared();
    let request = Request::get("/app").cookie("portcullis=dead").navigation();
    let answer = site.send(&request).expect(303, "");
    let line = answer.set_cookie("portcullis").expect("it is expired").to_lowercase();
    assert!(line.contains("max-age=0") || line.contains("1970"), "{line}");
}
