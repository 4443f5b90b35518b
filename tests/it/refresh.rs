//! Refresh families: rotation, grace, replay, devices, transports and lifetimes (contract,
//! section 5; capability rows 14, 20, 21, 23 to 28; rows N-28 to N-33, R-41).

use portcullis_tests::{
    Gateway, Request, Response, Site, Upstream,
    login::{Login, login},
    site::{PASSWORD, ROUTES, config},
    until,
};
use serde_json::{Value, json};

/// What a machine that does much else may take between two requests.
const LONG_GRACE: &str = "[token]\nrefresh_grace = \"5m\"";

/// A gateway with alice, and more lines of configuration.
fn gateway(more: &str) -> Gateway {
    let gateway = Gateway::start(&config("http://127.0.0.1:9", "", &format!("{ROUTES}\n{more}\n")));
    gateway.add_user("alice", PASSWORD, &[]);
    gateway
}

/// A JSON login with more fields.
#[track_caller]
fn login_with(gateway: &Gateway, more: Value) -> Response {
    let mut body = json!({ "username": "alice", "password": PASSWORD });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.send(&Request::post("/login/local").json(&body)).expect(200, "")
}

/// `name=value` of one of our cookies in an answer.
#[track_caller]
fn pair(answer: &Response, name: &str) -> String {
    format!("{name}={}", answer.cookie(name).unwrap_or_else(|| panic!("no {name}: {answer:?}")))
}

fn refresh(cookie: &str) -> Request {
    Request::post("/auth/refresh").cookie(cookie)
}

fn in_body(value: &str) -> Request {
    Request::post("/auth/refresh").json(&json!({ "refresh_token": value }))
}

fn is_in(gateway: &Gateway, cookie: &str) -> bool {
    let answer = gateway.send(&Request::get("/auth/current").cookie(cookie)).expect(200, "");
    answer.json()["authenticated"] != json!(false)
}

fn attributes(line: &str) -> Vec<String> {
    line.split(';').skip(1).map(|part| part.trim().to_lowercase()).collect()
}

#[test]
fn the_refresh_cookie_is_strict_http_only_and_for_this_host_alone() {
    let gateway = gateway("");
    let line = login_with(&gateway, json!({})).set_cookie("portcullis-refresh").unwrap();
    assert!(line.starts_with("portcullis-refresh=pcr_"), "{line}");
    for wanted in ["path=/", "httponly", "samesite=strict", "max-age=2592000"] {
        assert!(attributes(&line).iter().any(|a| a == wanted), "{wanted}: {line}");
    }
    assert!(!attributes(&line).iter().any(|a| a.starts_with("domain") || a == "secure"), "{line}");
}

#[test]
fn over_https_the_refresh_cookie_is_secure_and_prefixed_and_no_other_is_read() {
    let text = config("http://127.0.0.1:9", "public_url = \"https://gw.test\"", ROUTES);
    let gateway = Gateway::start(&text);
    gateway.add_user("alice", PASSWORD, &[]);
    let body = json!({ "username": "alice", "password": PASSWORD });
    let answer = gateway.send(&Request::post("/login").with("Host", "gw.test").json(&body)).expect(200, "");
    let line = answer.set_cookie("__Host-portcullis-refresh").unwrap();
    assert!(attributes(&line).iter().any(|a| a == "secure") && line.len() <= 4096, "{line}");
    let value = answer.cookie("__Host-portcullis-refresh").unwrap();
    let bare = refresh(&format!("portcullis-refresh={value}")).with("Host", "gw.test");
    gateway.send(&bare).expect(401, "login_required");
    let ours = refresh(&format!("__Host-portcullis-refresh={value}")).with("Host", "gw.test");
    gateway.send(&ours).expect(200, "");
}

#[test]
fn a_refresh_gives_a_new_token_and_new_cookies_and_the_session_goes_on() {
    let gateway = gateway(LONG_GRACE);
    let first = login_with(&gateway, json!({}));
    let second = gateway.send(&refresh(&pair(&first, "portcullis-refresh"))).expect(200, "");
    let body = second.json();
    assert_eq!(body["authenticated"]["name"], "alice");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert!(body.get("refresh_token").is_none(), "it is in the cookie alone: {body}");
    let token = body["token"].as_str().unwrap();
    assert_ne!(Some(token), first.json()["token"].as_str());
    gateway.send(&Request::get("/auth/current").bearer(token)).expect(200, "");
    for name in ["portcullis", "portcullis-refresh"] {
        assert_ne!(first.cookie(name), second.cookie(name), "{name}");
    }
    assert!(is_in(&gateway, &pair(&second, "portcullis")));
    assert!(is_in(&gateway, &pair(&first, "portcullis")), "the one before works until grace ends");
    let sid = |token: &Value| claims(token)["sid"].clone();
    assert_eq!(sid(&first.json()["token"]), sid(&body["token"]), "it is the same session");
}

fn claims(token: &Value) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn each_use_rotates_and_within_grace_the_same_successor_is_given_until_it_was_used() {
    let gateway = gateway(LONG_GRACE);
    let login = login_with(&gateway, json!({}));
    let first = pair(&login, "portcullis-refresh");
    let one = gateway.send(&refresh(&first)).expect(200, "");
    let again = gateway.send(&refresh(&first)).expect(200, "");
    for name in ["portcullis", "portcullis-refresh"] {
        assert_eq!(one.cookie(name), again.cookie(name), "{name}");
    }
    let second = pair(&one, "portcullis-refresh");
    let next = gateway.send(&refresh(&second)).expect(200, "");
    gateway.send(&refresh(&first)).expect(401, "invalid_token");
    assert!(!is_in(&gateway, &pair(&next, "portcullis")), "a replay ends the session");
    gateway.send(&refresh(&pair(&next, "portcullis-refresh"))).expect(401, "invalid_token");
    let token = next.json()["token"].as_str().unwrap().to_owned();
    gateway.send(&Request::get("/auth/current").bearer(&token)).expect(401, "invalid_token");
}

#[test]
fn a_replay_after_grace_ends_the_session_and_no_other_device() {
    let gateway = gateway("[token]\nrefresh_grace = \"1ms\"");
    let (a, b) = (login_with(&gateway, json!({})), login_with(&gateway, json!({})));
    let first = pair(&a, "portcullis-refresh");
    let next = gateway.send(&refresh(&first)).expect(200, "");
    until("grace ends", || (!is_in(&gateway, &pair(&a, "portcullis"))).then_some(()));
    assert!(is_in(&gateway, &pair(&next, "portcullis")));
    gateway.send(&refresh(&first)).expect(401, "invalid_token");
    assert!(!is_in(&gateway, &pair(&next, "portcullis")));
    gateway.says("refresh_replayed");
    gateway.send(&refresh(&pair(&b, "portcullis-refresh"))).expect(200, "");
}

#[test]
fn an_altered_or_foreign_value_opens_nothing_and_harms_nobody() {
    let gateway = gateway("");
    let login = login_with(&gateway, json!({}));
    let value = login.cookie("portcullis-refresh").unwrap();
    let (head, tail) = value.split_at(30);
    let other = if tail.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{head}{other}{}", &tail[1..]);
    let token = login.json()["token"].as_str().unwrap().to_owned();
    let session = login.cookie("portcullis").unwrap();
    for bad in [&changed, "pcr_", "x", &value[4..], &value[..83], &token, &session, &value.to_uppercase()] {
        gateway.send(&refresh(&format!("portcullis-refresh={bad}"))).expect(401, "invalid_token");
        gateway.send(&in_body(bad)).expect(401, "invalid_token");
    }
    gateway.send(&refresh(&format!("portcullis-refresh={value}"))).expect(200, "");
}

#[test]
fn a_cookie_planted_beside_the_refresh_cookie_makes_both_count_for_nothing() {
    let gateway = gateway("");
    let ours = pair(&login_with(&gateway, json!({})), "portcullis-refresh");
    let both = format!("portcullis-refresh=pcr_x; {ours}");
    gateway.send(&refresh(&both)).expect(401, "login_required");
    gateway.send(&refresh(&ours)).expect(200, "");
}

#[test]
fn a_request_without_a_value_or_with_two_is_refused() {
    let gateway = gateway("");
    gateway.send(&Request::post("/auth/refresh")).expect(401, "login_required");
    gateway.send(&Request::post("/auth/refresh").json(&json!({}))).expect(401, "login_required");
    let login = login_with(&gateway, json!({}));
    let value = login.cookie("portcullis-refresh").unwrap();
    let both = in_body(&value).cookie(&pair(&login, "portcullis-refresh"));
    gateway.send(&both).expect(400, "malformed");
    gateway
        .send(&Request::post("/auth/refresh").json(&json!({ "refresh_token": 7 })))
        .expect(400, "malformed");
    let query = format!("/auth/refresh?refresh_token={value}");
    gateway.send(&Request::post(&query)).expect(401, "login_required");
}

#[test]
fn a_foreign_site_can_neither_refresh_nor_end() {
    let gateway = gateway("");
    let cookie = pair(&login_with(&gateway, json!({})), "portcullis-refresh");
    for method in ["POST", "DELETE"] {
        for (name, value) in [("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site")] {
            let request = Request::new(method, "/auth/refresh").cookie(&cookie).with(name, value);
            gateway.send(&request).expect(403, "foreign_origin");
        }
    }
    gateway.send(&refresh(&cookie)).expect(200, "");
}

#[test]
fn transport_cookie_puts_no_token_in_any_body() {
    let gateway = gateway("");
    let login = login_with(&gateway, json!({ "transport": "cookie" }));
    let next = gateway.send(&refresh(&pair(&login, "portcullis-refresh"))).expect(200, "");
    for answer in [&login, &next] {
        let text = answer.text();
        assert!(!text.contains("eyJ") && !text.contains("pcr_"), "{text}");
        assert_eq!(answer.json()["success"], true);
        pair(answer, "portcullis-refresh");
        assert!(is_in(&gateway, &pair(answer, "portcullis")));
    }
}

#[test]
fn transport_token_sets_no_cookie_and_the_refresh_token_is_in_the_body() {
    let gateway = gateway("");
    let login = login_with(&gateway, json!({ "transport": "token" }));
    let value = |answer: &Response| {
        assert!(answer.headers("set-cookie").is_empty(), "{answer:?}");
        let body = answer.json();
        body["refresh_token"].as_str().filter(|v| v.starts_with("pcr_")).unwrap().to_owned()
    };
    let next = gateway.send(&in_body(&value(&login))).expect(200, "");
    let token = next.json()["token"].as_str().unwrap().to_owned();
    gateway.send(&Request::get("/auth/current").bearer(&token)).expect(200, "");
    assert_ne!(value(&login), value(&next));
    let form = format!("refresh_token={}", value(&next));
    value(&gateway.send(&Request::post("/auth/refresh").form(&form)).expect(200, ""));
}

#[test]
fn the_transport_is_fixed_at_login() {
    let gateway = gateway("");
    for (at_login, later) in [("token", "cookie"), ("cookie", "token")] {
        let login = login_with(&gateway, json!({ "transport": at_login }));
        let ask = |transport: &str| match login.cookie("portcullis-refresh") {
            Some(value) => Request::post("/auth/refresh")
                .cookie(&format!("portcullis-refresh={value}"))
                .json(&json!({ "transport": transport })),
            None => {
                let value = login.json()["refresh_token"].clone();
                Request::post("/auth/refresh")
                    .json(&json!({ "refresh_token": value, "transport": transport }))
            }
        };
        gateway.send(&ask(later)).expect(400, "transport");
        gateway.send(&ask("both")).expect(400, "malformed");
        gateway.send(&ask(at_login)).expect(200, "");
    }
}

#[test]
fn a_login_through_a_page_gets_no_refresh_token_and_takes_an_old_one_back() {
    let gateway = gateway("");
    let old = login_with(&gateway, json!({}));
    let form = format!("username=alice&password={}", PASSWORD.replace(' ', "+"));
    let page = Request::post("/login/local").form(&form).navigation();
    let answer = gateway.send(&page).expect(303, "");
    assert!(answer.cookie("portcullis").is_some() && answer.set_cookie("portcullis-refresh").is_none());
    let answer = gateway.send(&page.cookie(&pair(&old, "portcullis-refresh"))).expect(303, "");
    let taken = answer.set_cookie("portcullis-refresh").unwrap();
    assert!(attributes(&taken).iter().any(|a| a == "max-age=0"), "{taken}");
    // Rows 31, N-32: what this browser had so far is over.
    gateway.send(&refresh(&pair(&old, "portcullis-refresh"))).expect(401, "invalid_token");
    assert!(!is_in(&gateway, &pair(&old, "portcullis")));
}

#[test]
fn a_json_api_refresh_is_answered_in_json_api() {
    let gateway = gateway("");
    let login = login_with(&gateway, json!({ "transport": "token" }));
    let attributes = json!({ "refresh_token": login.json()["refresh_token"] });
    let body = json!({ "data": { "type": "users", "attributes": attributes } });
    let answer = gateway.send(&Request::post("/auth/refresh").json(&body)).expect(200, "");
    let attributes = &answer.json()["data"]["attributes"];
    assert!(attributes["access_token"].is_string() && attributes["refresh_token"].is_string());
}

// Row 21
#[test]
fn a_refresh_may_ask_for_a_lifetime_up_to_the_most() {
    let gateway = gateway("[token]\nmax_lifetime = \"1h\"");
    let login = login_with(&gateway, json!({ "expires_in": 60 }));
    assert_eq!(login.json()["expires_in"], 60);
    let cookie = pair(&login, "portcullis-refresh");
    let ask = |seconds: Value| refresh(&cookie).json(&json!({ "expires_in": seconds }));
    for bad in [json!(3601), json!(0), json!(-1), json!("60"), json!(1e300), json!(null)] {
        gateway.send(&ask(bad)).expect(400, "malformed");
    }
    let answer = gateway.send(&ask(json!(3600))).expect(200, "").json();
    let claims = claims(&answer["token"]);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    assert_eq!(answer["expires_in"], 3600);
}

// Row 28
#[test]
fn delete_ends_the_family_and_its_session_and_is_204_also_when_there_was_none() {
    let gateway = gateway("");
    let login = login_with(&gateway, json!({}));
    let cookie = pair(&login, "portcullis-refresh");
    let end = Request::new("DELETE", "/auth/refresh");
    for request in [end.clone().cookie(&cookie), end.clone().cookie(&cookie), end.clone()] {
        let answer = gateway.send(&request).expect(204, "");
        assert!(answer.body.is_empty());
        for name in ["portcullis", "portcullis-refresh"] {
            let line = answer.set_cookie(name).unwrap();
            assert!(attributes(&line).iter().any(|a| a == "max-age=0"), "{line}");
        }
    }
    gateway.send(&refresh(&cookie)).expect(401, "invalid_token");
    assert!(!is_in(&gateway, &pair(&login, "portcullis")));
    let other = login_with(&gateway, json!({ "transport": "token" })).json();
    let by_body = end.json(&json!({ "refresh_token": other["refresh_token"] }));
    gateway.send(&by_body).expect(204, "");
    let token = other["token"].as_str().unwrap();
    gateway.send(&Request::get("/auth/current").bearer(token)).expect(401, "invalid_token");
}

#[test]
fn a_logout_ends_the_family_also_by_the_refresh_cookie_alone() {
    let gateway = gateway("");
    for how in ["session", "refresh", "token"] {
        let login = login_with(&gateway, json!({}));
        let cookie = pair(&login, "portcullis-refresh");
        let session = pair(&login, "portcullis");
        let logout = Request::post("/logout");
        let logout = match how {
            "refresh" => logout.cookie(&cookie),
            "token" => logout.bearer(login.json()["token"].as_str().unwrap()),
            _ => logout.cookie(&session),
        };
        let answer = gateway.send(&logout).expect(200, "");
        let line = answer.set_cookie("portcullis-refresh").unwrap();
        assert!(attributes(&line).iter().any(|a| a == "max-age=0"), "{line}");
        gateway.send(&refresh(&cookie)).expect(401, "invalid_token");
        assert!(!is_in(&gateway, &session), "{how}");
    }
}

#[test]
fn a_family_ends_with_its_account_and_with_its_password() {
    for how in [&["user", "disable", "alice"][..], &["user", "passwd", "alice", "--password-stdin"]] {
        let gateway = gateway("");
        let login = login_with(&gateway, json!({}));
        gateway.verb(how, "a phrase of several new words\n").with_code(0);
        // In the store at once, wherever the gateway has got to.
        gateway.send(&refresh(&pair(&login, "portcullis-refresh"))).expect(401, "invalid_token");
    }
}

#[test]
fn each_login_has_one_end_that_no_refresh_moves() {
    let gateway = gateway("[token]\nrefresh_lifetime = \"2s\"");
    let login = login_with(&gateway, json!({}));
    let mut cookie = pair(&login, "portcullis-refresh");
    assert!(login.json()["expires_in"].as_u64().unwrap() <= 2, "no token outlives its session");
    until("its end", || {
        let answer = gateway.send(&refresh(&cookie));
        if answer.status == 200 {
            cookie = pair(&answer, "portcullis-refresh");
        }
        (answer.status == 401).then_some(())
    });
    assert!(!is_in(&gateway, &pair(&login, "portcullis")));
}

#[test]
fn families_survive_a_kill_and_what_was_replayed_or_ended_stays_dead() {
    let gateway = gateway(LONG_GRACE);
    let logins: Vec<Response> = (0..3).map(|_| login_with(&gateway, json!({}))).collect();
    let cookies: Vec<String> = logins.iter().map(|login| pair(login, "portcullis-refresh")).collect();
    let rotated = gateway.send(&refresh(&cookies[0])).expect(200, "");
    gateway.send(&Request::new("DELETE", "/auth/refresh").cookie(&cookies[1])).expect(204, "");
    let gateway = gateway.kill_and_restart();
    let again = gateway.send(&refresh(&cookies[0])).expect(200, "");
    assert_eq!(again.cookie("portcullis-refresh"), rotated.cookie("portcullis-refresh"), "also after a kill");
    assert!(is_in(&gateway, &pair(&rotated, "portcullis")));
    assert!(is_in(&gateway, &pair(&logins[0], "portcullis")), "the cookie before, within grace");
    gateway.send(&refresh(&cookies[1])).expect(401, "invalid_token");
    gateway.send(&refresh(&cookies[2])).expect(200, "");
}

#[test]
fn two_hundred_refreshes_at_once_are_one_rotation_and_no_logout() {
    let gateway = gateway(LONG_GRACE);
    let login = login_with(&gateway, json!({}));
    let first = refresh(&pair(&login, "portcullis-refresh"));
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..200).map(|_| scope.spawn(|| gateway.send(&first))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        for name in ["portcullis", "portcullis-refresh"] {
            assert_eq!(answer.cookie(name), answers[0].cookie(name), "{name}");
        }
    }
    assert!(is_in(&gateway, &pair(&answers[0], "portcullis")));
    gateway.send(&refresh(&pair(&answers[0], "portcullis-refresh"))).expect(200, "");
}

// R-41; ten thousand in `tests/run --long`
#[test]
fn a_logout_wins_every_race_with_a_refresh() {
    let rounds = std::env::var("PORTCULLIS_RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let gateway = gateway("[lockout]\nper_address = 100000");
    for round in 0..rounds {
        let login = login_with(&gateway, json!({}));
        let cookie = pair(&login, "portcullis-refresh");
        let out = Request::post("/logout").cookie(&pair(&login, "portcullis"));
        let refreshed: Vec<Response> = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..2).map(|_| scope.spawn(|| gateway.send(&refresh(&cookie)))).collect();
            gateway.send(&out).expect(200, "");
            asked.into_iter().map(|one| one.join().unwrap()).collect()
        });
        gateway.send(&refresh(&cookie)).expect(401, "invalid_token");
        for answer in refreshed.iter().filter(|answer| answer.status == 200) {
            assert!(!is_in(&gateway, &pair(answer, "portcullis")), "round {round}: it is back");
            gateway.send(&refresh(&pair(answer, "portcullis-refresh"))).expect(401, "invalid_token");
            let token = answer.json()["token"].as_str().unwrap().to_owned();
            gateway.send(&Request::get("/auth/current").bearer(&token)).expect(401, "invalid_token");
        }
    }
}

// Row 23, and section 3, rows 13 and 14
#[test]
fn a_refresh_token_is_no_access_token_and_reaches_no_upstream() {
    let more = format!(
        "{ROUTES}\n[[routes]]\npath = \"/own/*\"\nupstream = \"api\"\npolicy = \"public\"\nforward_authorization = true\n"
    );
    let site = Site::before(Upstream::start(), "", &more);
    let Login { body, .. } = &site.alice;
    assert!(body.get("refresh_token").is_none());
    let value = login_with(&site.gateway, json!({ "transport": "token" })).json()["refresh_token"].clone();
    let value = value.as_str().unwrap();
    site.send(&Request::get("/app").bearer(value)).expect(401, "invalid_token");
    site.send(&Request::get("/auth/current").bearer(value)).expect(401, "invalid_token");
    for path in ["/public/x", "/own/x", "/app"] {
        for line in
            [format!("Bearer {value}"), format!("token  {value}"), format!("Other {value}"), value.into()]
        {
            let answer = site.send(&Request::get(path).with("Authorization", &line));
            if answer.status == 200 {
                assert!(!format!("{:?}", site.upstream.last()).contains(value), "{path} {line}");
            }
        }
        let cookies = format!("a=1; portcullis-refresh={value}; __Host-portcullis-refresh={value}");
        site.send(
            &Request::get(path).cookie(&cookies).bearer(&login(&site.gateway, "alice", PASSWORD).token),
        );
        assert!(!format!("{:?}", site.upstream.last()).contains(value), "{path} by cookie");
    }
}
