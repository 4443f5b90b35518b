//! `{auth}/sessions` and `{auth}/token/check` (contract, section 5; capability rows 22, 37,
//! 57; rows N-37, and of section 3 rows 13, 14).

use portcullis_tests::{Request, Response, Site, login::login, site::PASSWORD};
use serde_json::{Value, json};

fn check(site: &Site, token: &str) -> Value {
    site.send(&Request::post("/auth/token/check").json(&json!({ "token": token }))).expect(200, "").json()
}

fn sids(answer: &Response) -> Vec<String> {
    let data = answer.json()["data"].clone();
    data.as_array().unwrap().iter().map(|one| one["sid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn own_devices_are_listed_and_no_others() {
    let site = Site::own();
    site.gateway.add_user("bob", PASSWORD, &[]);
    login(&site.gateway, "bob", PASSWORD);
    let login = Request::post("/login/local").with("User-Agent", "phone\t1");
    site.send(&login.json(&json!({ "username": "alice", "password": PASSWORD }))).expect(200, "");
    let answer = site.send(&site.as_alice("/auth/sessions")).expect(200, "");
    let text = answer.text();
    assert!(!text.contains("hash") && !text.contains("pcr_") && !text.contains("eyJ"), "{text}");
    let data = answer.json()["data"].clone();
    assert_eq!(data.as_array().unwrap().len(), 2, "{data}");
    for one in data.as_array().unwrap() {
        assert_eq!(one.as_object().unwrap().len(), 7, "{one}");
        assert_eq!(one["address"], "127.0.0.1");
        for time in ["created", "last_used", "expires"] {
            assert!(one[time].as_str().is_some_and(|t| t.ends_with('Z')), "{one}");
        }
        assert_eq!(one["current"] == true, one["user_agent"] != "phone1", "{one}");
    }
    let as_json_api = site.as_alice("/auth/sessions").with("Accept", "application/vnd.api+json");
    let answer = site.send(&as_json_api).expect(200, "");
    assert_eq!(answer.header("content-type"), Some("application/vnd.api+json"));
    assert_eq!(answer.json()["data"][0]["type"], "sessions");
    site.send(&Request::get("/auth/sessions")).expect(401, "login_required");
    site.send(&Request::get("/auth/sessions").bearer("x")).expect(401, "invalid_token");
}

#[test]
fn one_ends_ones_own_devices_and_nobody_elses() {
    let site = Site::own();
    site.gateway.add_user("bob", PASSWORD, &[]);
    let bob = login(&site.gateway, "bob", PASSWORD);
    let bobs = sids(&site.send(&Request::get("/auth/sessions").cookie(&bob.cookie)).expect(200, ""));
    let phone = login(&site.gateway, "alice", PASSWORD);
    let by_phone = Request::get("/auth/sessions").cookie(&phone.cookie);
    let answer = site.send(&by_phone).expect(200, "");
    let laptop = answer.json()["data"].as_array().unwrap().iter().find(|s| s["current"] == false).cloned();
    let laptop = laptop.unwrap()["sid"].as_str().unwrap().to_owned();
    let end = |sid: &str| Request::new("DELETE", &format!("/auth/sessions/{sid}")).cookie(&phone.cookie);
    site.send(&end(&bobs[0])).expect(404, "not_found");
    site.send(&end("nothing")).expect(404, "not_found");
    site.send(&end(&laptop).with("Origin", "https://evil.test")).expect(403, "foreign_origin");
    site.send(&Request::new("DELETE", &format!("/auth/sessions/{laptop}"))).expect(401, "login_required");
    assert_eq!(check(&site, &site.alice.token)["valid"], true);
    let answer = site.send(&end(&laptop)).expect(204, "");
    assert!(answer.headers("set-cookie").is_empty(), "it was another device");
    assert_eq!(check(&site, &site.alice.token), json!({ "valid": false }));
    site.send(&Request::get("/app").bearer(&site.alice.token)).expect(401, "invalid_token");
    site.send(&end(&laptop)).expect(404, "not_found");
    assert_eq!(sids(&site.send(&Request::get("/auth/sessions").cookie(&bob.cookie))), bobs);
    // The form of a page, and the session that asks.
    let own = sids(&site.send(&by_phone).expect(200, "")).remove(0);
    let form = Request::post(&format!("/auth/sessions/{own}/end")).cookie(&phone.cookie).form("a=");
    let answer = site.send(&form.navigation()).expect(303, "");
    assert_eq!(answer.header("location"), Some("/login"));
    assert!(answer.set_cookie("portcullis").unwrap().contains("Max-Age=0"));
    site.send(&by_phone).expect(401, "login_required");
}

#[test]
fn a_token_is_checked_without_a_login_and_without_using_it() {
    let site = Site::own();
    let told = check(&site, &site.alice.token);
    assert_eq!((&told["valid"], &told["uuid"]), (&json!(true), &site.alice.body["authenticated"]["uuid"]));
    assert_eq!(told["expires_at"], site.alice.body["expires_at"]);
    let form = format!("token={}", site.alice.token);
    let ask = Request::post("/auth/token/check");
    assert_eq!(site.send(&ask.clone().form(&form)).expect(200, "").json(), told);
    let envelope = json!({ "data": { "type": "tokens", "attributes": { "token": site.alice.token } } });
    let answer = site.send(&ask.clone().json(&envelope).bearer("an old one"));
    if answer.status == 200 {
        assert_eq!(answer.json()["data"]["attributes"], told);
    }
    site.send(&ask.clone().json(&json!({ "token": 7 }))).expect(400, "malformed");
    site.send(&ask.clone().json(&json!({}))).expect(400, "malformed");
    site.send(&ask.with("Content-Type", "text/plain").body("x")).expect(415, "unsupported_media_type");
    site.send(&Request::get("/auth/token/check")).expect(405, "method_not_allowed");
    for bad in ["", "x", &site.alice.token[1..], &format!("{}x", site.alice.token)] {
        assert_eq!(check(&site, bad), json!({ "valid": false }), "{bad}");
    }
    site.send(&Request::post("/logout").cookie(&site.alice.cookie)).expect(200, "");
    assert_eq!(check(&site, &site.alice.token), json!({ "valid": false }));
}

// Rows 23 and 57; section 3, rows 13 and 14: no kind of value opens what another one does.
#[test]
fn no_kind_of_token_stands_in_for_another() {
    let site = Site::own();
    let body = json!({ "username": "alice", "password": PASSWORD, "transport": "token" });
    let answer = site.send(&Request::post("/login").json(&body)).expect(200, "").json();
    let refresh = answer["refresh_token"].as_str().unwrap().to_owned();
    site.send(&Request::get("/app").bearer(&site.alice.token)).expect(200, "");
    let assertion = site.upstream.last().header("x-portcullis-assertion").unwrap().to_owned();
    let session = site.alice.cookie.split_once('=').unwrap().1.to_owned();
    let sid = check(&site, &site.alice.token)["uuid"].as_str().unwrap().to_owned();
    let kinds = [
        ("access", site.alice.token.clone()),
        ("refresh", refresh),
        ("assertion", assertion),
        ("session", session),
        ("uuid", sid),
    ];
    for (kind, value) in &kinds {
        let doors = [
            ("access", Request::get("/auth/current").bearer(value)),
            ("access", Request::get("/app").bearer(value)),
            ("session", Request::get("/app").cookie(&format!("portcullis={value}"))),
            ("refresh", Request::post("/auth/refresh").json(&json!({ "refresh_token": value }))),
            ("", Request::post("/auth/refresh").bearer(value)),
        ];
        for (opens, request) in doors {
            let opened = site.send(&request).status == 200;
            assert_eq!(opened, opens == *kind, "{kind} at {request:?}");
        }
        assert_eq!(check(&site, value)["valid"] == true, *kind == "access", "{kind}");
    }
}
