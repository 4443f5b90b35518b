//! Signing in at `/login/local` (contract section 5): what bodies it reads, what it
//! answers, and how it stops a guesser. Rows W-01, W-02, W-06, H-12, D-03.

use portcullis_tests::{
    Gateway, Request, Response, Site, Upstream,
    login::{login, login_request, try_login},
    site::{PASSWORD, ROUTES, config},
};
use serde_json::{Value, json};

fn post(body: &str) -> Response {
    Site::shared().send(&Request::post("/login/local").with("Content-Type", "application/json").body(body))
}

/// A body but for what names this one request.
fn anonymous(answer: &Response) -> Value {
    let mut body = answer.json();
    body["request_id"] = "".into();
    body
}

#[test]
fn a_json_login_answers_with_the_superset() {
    let site = Site::shared();
    let answer = try_login(&site.gateway, "alice", PASSWORD).expect(200, "");
    assert!(answer.header("content-type").is_some_and(|t| t.starts_with("application/json")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["success"], true);
    assert_eq!(body["authenticated"]["name"], "alice");
    assert_eq!(body["authenticated"]["email"], "alice@example.org");
    assert_eq!(body["authenticated"]["roles"], json!(["staff"]));
    assert_eq!(body["authenticated"]["uuid"].as_str().unwrap().len(), 36);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert!(body["expires_at"].as_u64().unwrap() > 1_600_000_000);
    assert!(body["token"].as_str().unwrap().split('.').count() == 3);
    assert!(answer.cookie("portcullis").is_some());
    assert!(answer.cookie("portcullis-refresh").is_some() && body.get("refresh_token").is_none());
}

#[test]
fn every_identifier_field_and_the_default_strategy_sign_in() {
    let site = Site::shared();
    for (field, value) in
        [("username", "alice"), ("login", "alice"), ("email", "alice@example.org"), ("username", "ALICE")]
    {
        let body = json!({ field: value, "password": PASSWORD });
        // Row 2: but for the token of each session the two answer alike.
        let answers = ["/login/local", "/login"].map(|path| {
            let mut answer = site.send(&Request::post(path).json(&body)).expect(200, "").json();
            let fields = answer.as_object_mut().unwrap();
            assert!(fields.remove("token").is_some() && fields.remove("expires_at").is_some());
            answer
        });
        assert_eq!(answers[0], answers[1]);
    }
    let twice = json!({ "username": "alice", "email": "bob@example.org", "password": PASSWORD });
    site.send(&Request::post("/login/local").json(&twice)).expect(400, "malformed");
}

/// The page asks for what the gateway takes.
#[test]
fn an_operators_own_name_of_the_field_is_the_one_on_the_page() {
    let more = format!("{ROUTES}\n[accounts]\nidentifiers = [\"user\", \"email\"]\n");
    let gateway = Gateway::start(&config("http://127.0.0.1:1", "", &more));
    gateway.add_user("alice", PASSWORD, &[]);
    for target in ["/login", "/login/local"] {
        let page = gateway.send(&Request::get(target).navigation()).text();
        assert!(page.contains("name=\"user\"") && !page.contains("name=\"username\""), "{page}");
    }
    let next = gateway.send(&Request::get("/login/local").with("Accept", "application/json")).json();
    assert_eq!(next["next"]["fields"][0]["name"], "user", "{next}");
    let form = format!("user=alice&password={}", PASSWORD.replace(' ', "+"));
    gateway.send(&Request::post("/login/local").navigation().form(&form)).expect(303, "");
}

#[test]
fn what_is_neither_a_yes_nor_a_no_to_a_link_signs_nobody_in() {
    for odd in [json!(1), json!("yes"), json!([]), json!({}), json!(null)] {
        let body = json!({ "username": "alice", "password": PASSWORD, "link": odd });
        post(&body.to_string()).expect(400, "malformed");
    }
    let body = json!({ "username": "alice", "password": PASSWORD, "link": "false" });
    post(&body.to_string()).expect(200, "");
}

#[test]
fn a_form_signs_in_programs_and_browsers() {
    let site = Site::shared();
    let form = format!("username=alice&password={}", PASSWORD.replace(' ', "+"));
    let answer = site.send(&Request::post("/login/local").form(&form)).expect(200, "");
    assert_eq!(answer.json()["authenticated"]["name"], "alice");

    let browser =
        Request::post("/login/local").navigation().form(&format!("{form}&return_to=%2Fapp%3Fa%3Db"));
    let answer = site.send(&browser).expect(303, "");
    assert_eq!(answer.header("location"), Some("/app?a=b"));
    assert!(answer.cookie("portcullis").is_some());
    let home = site.send(&Request::post("/login/local").navigation().form(&form)).expect(303, "");
    assert_eq!(home.header("location"), Some("/"));
}

#[test]
fn a_json_api_envelope_is_answered_in_kind() {
    let body =
        json!({ "data": { "type": "users", "attributes": { "login": "alice", "password": PASSWORD } } });
    for kind in ["application/vnd.api+json", "application/json"] {
        let request = Request::post("/login/local").with("Content-Type", kind).body(body.to_string());
        let answer = Site::shared().send(&request).expect(200, "").json();
        assert!(answer["data"]["id"].is_string() && answer["data"]["type"].is_string(), "{answer}");
        let attributes = &answer["data"]["attributes"];
        assert_eq!(attributes["email"], "alice@example.org");
        assert!(
            attributes["access_token"].is_string() && !attributes["access_token_expiry"].is_null(),
            "{answer}"
        );
    }
}

// D-03
#[test]
fn bodies_of_another_shape_are_malformed() {
    let p = PASSWORD;
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let fields: String = (0..70).map(|i| format!(",\"f{i}\":1")).collect();
    for body in [
        String::new(),
        " ".into(),
        "{".into(),
        "[]".into(),
        "null".into(),
        "\"alice\"".into(),
        "{}".into(),
        "1".into(),
        format!("{{\"username\":\"alice\",\"password\":\"{p}\"}}x"),
        format!("{{\"username\":1,\"password\":\"{p}\"}}"),
        format!("{{\"username\":null,\"password\":\"{p}\"}}"),
        format!("{{\"username\":[\"alice\"],\"password\":\"{p}\"}}"),
        format!("{{\"username\":\"alice\",\"password\":{{\"a\":\"{p}\"}}}}"),
        format!("{{\"username\":\"alice\",\"password\":[\"{p}\"]}}"),
        "{\"username\":\"alice\"}".into(),
        format!("{{\"password\":\"{p}\"}}"),
        format!("{{\"username\":\"alice\",\"password\":\"{p}\",\"password\":\"x\"}}"),
        format!("{{\"username\":\"bob\",\"username\":\"alice\",\"password\":\"{p}\"}}"),
        format!("{{\"username\":\"alice\",\"password\":\"{p}\",\"x\":{deep}}}"),
        format!("{{\"username\":\"alice\",\"password\":\"{p}\"{fields}}}"),
        format!("{{\"username\":\"alice\",\"password\":\"{p}\",\"data\":{{\"attributes\":{{}}}}}}"),
        "{\"data\":{}}".into(),
        "{\"data\":[]}".into(),
        format!("{{\"username\":\"alice\",\"password\":\"{p}\",\"expires_in\":\"soon\"}}"),
        format!("{{\"username\":\"\\ud800\",\"password\":\"{p}\"}}"),
    ] {
        let answer = post(&body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.code(), "malformed", "{body}");
    }
    let request = Request::post("/login/local").with("Content-Type", "application/json");
    Site::shared()
        .send(&request.body(b"{\"username\":\"\xff\",\"password\":\"x\"}".to_vec()))
        .expect(400, "malformed");
    for form in
        ["username=alice&password=x&password=y", "username=%ff&password=x", "username=alice&password=%zz"]
    {
        Site::shared().send(&Request::post("/login/local").form(form)).expect(400, "malformed");
    }
}

#[test]
fn a_refusal_of_a_body_names_the_field() {
    let answer = post("{\"username\":\"alice\"}").expect(400, "malformed");
    assert!(answer.json()["detail"].as_str().unwrap().contains("password"), "{}", answer.text());
}

#[test]
fn other_types_of_body_are_415_and_larger_ones_413() {
    let site = Site::shared();
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonx",
        "json",
        "*/*",
    ] {
        let request = Request::post("/login/local").with("Content-Type", kind).body("{}");
        site.send(&request).expect(415, "unsupported_media_type");
    }
    site.send(&Request::post("/login/local").body("{}")).expect(415, "unsupported_media_type");
    let accepted = Request::post("/login/local").with("Content-Type", "Application/JSON; charset=utf-8");
    site.send(&accepted.body(json!({"username": "alice", "password": PASSWORD}).to_string())).expect(200, "");
    let big = json!({ "username": "alice", "password": "x".repeat(70 * 1024) });
    assert_eq!(site.send(&Request::post("/login/local").json(&big)).status, 413);
}

#[test]
fn credentials_in_the_query_are_not_read() {
    let target = format!("/login/local?username=alice&password={}", PASSWORD.replace(' ', "%20"));
    let site = Site::shared();
    site.send(&Request::post(&target).json(&json!({}))).expect(400, "malformed");
    let get = site.send(&Request::get(&target));
    assert!(get.cookie("portcullis").is_none() && !get.text().contains("token\""), "{get:?}");
}

#[test]
fn the_transport_is_as_asked() {
    let site = Site::shared();
    let ask = |transport: Value| {
        let body = json!({ "username": "alice", "password": PASSWORD, "transport": transport });
        site.send(&Request::post("/login/local").json(&body))
    };
    let cookie = ask("cookie".into()).expect(200, "");
    assert!(
        cookie.cookie("portcullis").is_some() && cookie.json().get("token").is_none(),
        "{}",
        cookie.text()
    );
    let value = cookie.cookie("portcullis").unwrap();
    assert!(!cookie.text().contains(&value));
    let token = ask("token".into()).expect(200, "");
    assert!(token.headers("set-cookie").is_empty() && token.json()["token"].is_string(), "{token:?}");
    for bad in [json!("both-of-them"), json!(""), json!(1)] {
        assert_eq!(ask(bad).status, 400);
    }
}

#[test]
fn a_token_lives_as_long_as_asked_up_to_the_most() {
    let site = Site::shared();
    let ask = |seconds: Value| {
        let body = json!({ "username": "alice", "password": PASSWORD, "expires_in": seconds });
        site.send(&Request::post("/login/local").json(&body))
    };
    assert_eq!(ask(json!(60)).expect(200, "").json()["expires_in"], 60);
    for bad in [json!(86_401), json!(0), json!(-1), json!(1.5), json!(1e300)] {
        assert_eq!(ask(bad.clone()).status, 400, "{bad}");
    }
}

// W-01: the same answer; that it is the same work is proven by counters elsewhere
#[test]
fn unknown_wrong_and_inactive_are_one_answer() {
    let site = Site::own();
    site.gateway.add_user("gone", PASSWORD, &[]);
    site.gateway.verb(&["user", "disable", "gone"], "").with_code(0);
    let answers = [("nobody-at-all", PASSWORD), ("alice", "wrong"), ("gone", PASSWORD), ("gone", "wrong")]
        .map(|(name, password)| try_login(&site.gateway, name, password).expect(401, "bad_credentials"));
    for answer in &answers {
        assert_eq!(anonymous(answer), anonymous(&answers[0]));
        let names = |a: &Response| a.fields.iter().map(|(n, _)| n.to_lowercase()).collect::<Vec<_>>();
        assert_eq!(names(answer), names(&answers[0]));
        assert!(answer.headers("set-cookie").is_empty());
    }
}

#[test]
fn five_failures_lock_the_pair_whatever_the_name_and_end_no_session() {
    let site = Site::own();
    for name in ["alice", "nobody-at-all"] {
        for _ in 0..5 {
            try_login(&site.gateway, name, "wrong").expect(401, "bad_credentials");
        }
        try_login(&site.gateway, name, PASSWORD).expect(403, "locked");
    }
    site.send(&site.as_alice("/app")).expect(200, "");
    // Whichever identifier was used.
    let by_mail = json!({ "email": "alice@example.org", "password": PASSWORD });
    site.send(&Request::post("/login/local").json(&by_mail)).expect(403, "locked");
    site.gateway.verb(&["user", "unlock", "alice"], "").with_code(0);
    login(&site.gateway, "alice", PASSWORD);
}

#[test]
fn a_success_clears_its_own_count() {
    let site = Site::own();
    for _ in 0..3 {
        for _ in 0..4 {
            try_login(&site.gateway, "alice", "wrong").expect(401, "bad_credentials");
        }
        login(&site.gateway, "alice", PASSWORD);
    }
}

// W-02: counted before hashing, so that a crowd gets no more guesses than one
#[test]
fn two_hundred_guesses_at_once_are_five_guesses() {
    let site = Site::own();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guess = |i: usize| try_login(&site.gateway, "alice", &format!("wrong {i}")).status;
        let all: Vec<_> = (0..200).map(|i| scope.spawn(move || guess(i))).collect();
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let judged = statuses.iter().filter(|s| **s == 401).count();
    assert!((1..=5).contains(&judged), "{judged} were judged: {statuses:?}");
    assert!(statuses.iter().all(|s| matches!(s, 401 | 403 | 429 | 503)), "{statuses:?}");
}

// H-12: a forged address is not another client
#[test]
fn failures_are_counted_by_the_socket_not_by_what_a_header_says() {
    let site = Site::own();
    let mut statuses = Vec::new();
    for i in 0..8 {
        let request = login_request("alice", "wrong").with("X-Forwarded-For", &format!("10.0.{i}.1"));
        statuses.push(site.send(&request.with("X-Real-IP", &format!("10.1.{i}.1"))).status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 403, 403, 403]);
}

#[test]
fn an_address_that_fails_too_often_waits_whatever_names_it_tries() {
    let more = format!("{ROUTES}\n[lockout]\nper_address = 10\n");
    let site = Site::before(Upstream::start(), "", &more);
    let statuses: Vec<u16> =
        (0..12).map(|i| try_login(&site.gateway, &format!("name-{i}"), "wrong").status).collect();
    assert!(statuses[..10].iter().all(|s| *s == 401), "{statuses:?}");
    assert!(statuses[10..].iter().all(|s| *s == 429), "{statuses:?}");
    let refused = try_login(&site.gateway, "name-x", "wrong").expect(429, "too_many_requests");
    assert!(refused.header("retry-after").and_then(|v| v.parse::<u32>().ok()).is_some_and(|s| s > 0));
}

// W-06
#[test]
fn passwords_are_compared_whole_and_in_one_normal_form() {
    let gateway = Gateway::start(&config("http://127.0.0.1:9", "", ROUTES));
    let long = "0123456789abcdef Zz".repeat(50);
    gateway.add_user("nfc", "caf\u{e9} au lait violet", &[]);
    gateway.add_user("long", &long, &[]);
    login(&gateway, "nfc", "cafe\u{301} au lait violet");
    login(&gateway, "long", &long);
    try_login(&gateway, "long", &long[..long.len() - 1]).expect(401, "bad_credentials");
    try_login(&gateway, "long", &long[..72]).expect(401, "bad_credentials");
    assert!(matches!(try_login(&gateway, "long", &"x".repeat(1025)).status, 400 | 401));
}

#[test]
fn other_methods_and_unbuilt_endpoints_say_so() {
    let site = Site::shared();
    let answer = site.send(&Request::new("DELETE", "/login/local")).expect(405, "method_not_allowed");
    assert!(answer.header("allow").is_some_and(|a| a.contains("POST") && a.contains("GET")));
    site.send(&Request::get("/login/unknown")).expect(404, "unknown_strategy");
    for path in ["/auth", "/auth/nothing", "/auth/check", "/auth/tokens", "/auth/factors", "/login/local/x"] {
        let answer = site.send(&Request::get(path));
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_eq!(answer.code(), "not_found", "{path}");
    }
    assert!(site.upstream.all_marked("/auth").is_empty());
}

#[test]
fn strategies_are_listed() {
    let answer = Site::shared().send(&Request::get("/auth/strategies")).expect(200, "");
    let local = &answer.json()["data"][0];
    assert_eq!(
        (&local["id"], &local["kind"], &local["url"]),
        (&json!("local"), &json!("local"), &json!("/login/local"))
    );
    assert!(local["title"].is_string());
    let as_json =
        Site::shared().send(&Request::get("/login").with("Accept", "application/json")).expect(200, "");
    assert_eq!(as_json.json(), answer.json());
    let next =
        Site::shared().send(&Request::get("/login/local").with("Accept", "application/json")).expect(200, "");
    let names: Vec<_> =
        next.json()["next"]["fields"].as_array().unwrap().iter().map(|f| f["name"].clone()).collect();
    assert_eq!(names, [json!("username"), json!("password")]);
}
