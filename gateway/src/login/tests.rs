//! How a login and a logout behave, over the whole control plane.

use crate::control::testing::{Gateway, PASSWORD};
use http::Method;
use portcullis_plugin_api::{Begin, Call};
use serde_json::json;

#[tokio::test]
async fn a_login_answers_with_account_token_and_cookie() {
    let gateway = Gateway::start("").await;
    let answer = gateway.login("ann").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.field("content-type"), "application/json");
    assert_eq!(answer.field("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["success"], true);
    assert_eq!(body["authenticated"]["name"], "ann");
    assert_eq!(body["authenticated"]["email"], "ann@x.test");
    assert_eq!(body["authenticated"]["roles"], json!(["staff"]));
    assert_eq!([&body["token_type"], &body["expires_in"]], [&json!("Bearer"), &json!(900)]);
    assert_eq!(body["expires_at"], 1_700_000_900);
    let set = answer.field("set-cookie");
    assert!(
        set.starts_with("portcullis=") && set.contains("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax")
    );

    assert_eq!(gateway.who(&answer.cookie()).await, body["authenticated"]);
    for scheme in ["Bearer", "token"] {
        let authorization = format!("{scheme} {}", answer.token());
        let current = gateway.get("/auth/current").header("authorization", &authorization).send().await;
        assert_eq!(current.json()["authenticated"], body["authenticated"], "{scheme}");
    }
}

#[tokio::test]
async fn every_spelling_of_the_name_and_every_way_of_writing_signs_in() {
    let gateway = Gateway::start("").await;
    for name in ["ann", "ANN", " Ann ", "Ann@X.test"] {
        assert_eq!(gateway.login(name).await.status, 200, "{name}");
    }
    let form = format!("login=ann&password={}", PASSWORD.replace(' ', "+"));
    let answer = gateway.post("/login").form(&form).send().await;
    assert_eq!((answer.status, answer.json()["success"].as_bool()), (200, Some(true)), "{}", answer.text);

    let envelope =
        json!({"data": {"type": "users", "attributes": {"email": "ann@x.test", "password": PASSWORD}}});
    let answer = gateway.post("/login").json(&envelope.to_string()).send().await;
    assert_eq!(answer.field("content-type"), "application/vnd.api+json");
    let data = answer.json()["data"].clone();
    assert_eq!([&data["type"], &data["attributes"]["name"]], [&json!("users"), &json!("ann Example")]);
    assert_eq!(data["attributes"]["created"], "2023-11-14T22:13:20.000Z");
    assert_eq!(data["attributes"]["access_token_expiry"], 1_700_000_900);
    let token = data["attributes"]["access_token"].as_str().unwrap();
    let current = gateway.get("/auth/current").bearer(token).send().await.json();
    assert_eq!(current["authenticated"]["uuid"], data["id"]);
}

#[tokio::test]
async fn unknown_wrong_and_inactive_are_one_answer() {
    let gateway = Gateway::start("").await;
    let bob = gateway.add("bob", "local").await;
    gateway.control.store.set_active(bob, false, gateway.control.clock.now()).await.unwrap();
    let wrong = gateway.try_login("ann", "wrong").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (401, "bad_credentials"));
    for (name, password) in
        [("nobody", PASSWORD), ("bob", PASSWORD), ("bob", "wrong"), ("n\0body \u{202e}", "x")]
    {
        let answer = gateway.try_login(name, password).await;
        assert_eq!(answer.without_id(), wrong.without_id(), "{name}");
        assert_eq!(answer.headers, wrong.headers, "{name}");
    }
}

#[tokio::test]
async fn failures_lock_the_pair_and_nobody_else() {
    for name in ["ann", "nobody"] {
        let gateway = Gateway::start("[lockout]\nfailures = 3").await;
        let before = gateway.login("ann").await.cookie();
        for _ in 0..3 {
            assert_eq!(gateway.try_login(name, "wrong").await.status, 401);
        }
        let locked = gateway.login(name).await;
        assert_eq!((locked.status, locked.code().as_str()), (403, "locked"), "{name}");
        assert_eq!(gateway.who(&before).await["name"], "ann", "a lock ends no session");
        let body = json!({"email": "ann@x.test", "password": PASSWORD}).to_string();
        let elsewhere = gateway.post("/login/local").json(&body).from("198.51.100.7").send().await;
        assert_eq!(elsewhere.status, 200);
        if name == "ann" {
            let by_address = gateway.login("ann@x.test").await;
            assert_eq!(by_address.without_id(), locked.without_id());
            gateway.advance(15 * 60 + 1);
            assert_eq!(gateway.login("ann").await.status, 200);
        }
    }
}

#[tokio::test]
async fn an_address_that_fails_too_often_is_told_when_to_come_back() {
    let gateway = Gateway::start("[lockout]\nper_address = 4").await;
    for guess in 0..4 {
        assert_eq!(gateway.try_login(&format!("nobody{guess}"), "x").await.status, 401);
    }
    let known = gateway.login("ann").await;
    assert_eq!((known.status, known.code().as_str()), (429, "too_many_requests"));
    assert!((1..=60).contains(&known.field("retry-after").parse::<u32>().unwrap()));
    assert_eq!(gateway.login("nobody").await.without_id(), known.without_id());
}

#[tokio::test]
async fn guesses_at_once_get_no_further_than_guesses_in_a_row() {
    let gateway = Gateway::start("[lockout]\nfailures = 4").await;
    let mut guesses = tokio::task::JoinSet::new();
    let gateway = std::sync::Arc::new(gateway);
    for guess in 0..24 {
        let gateway = gateway.clone();
        let name = if guess % 2 == 0 { "ann" } else { "ann@x.test" };
        guesses.spawn(async move { gateway.try_login(name, &format!("guess {guess}")).await.status });
    }
    let answers = guesses.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 4, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 403).count(), 20, "{answers:?}");
}

#[tokio::test]
async fn a_login_that_finds_no_room_is_told_to_come_back_and_is_no_failure() {
    let gateway = std::sync::Arc::new(Gateway::start("[lockout]\nfailures = 2").await);
    let strategy = gateway.control.registry.get("local").unwrap();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..40 {
        // Each comes back at once, so that all slots and the queue are taken all the time.
        let strategy = strategy.clone();
        crowd.spawn(async move {
            loop {
                let call = Call::new("r", "local", [127, 0, 0, 1].into());
                let form = [("password".to_owned(), "x".to_owned())].into();
                let _ = strategy.begin(call, Begin { form, ..Begin::default() }).await;
                tokio::task::yield_now().await;
            }
        });
    }
    for _ in 0..3 {
        let busy = loop {
            let answer = gateway.login("ann").await;
            if answer.status != 200 {
                break answer;
            }
        };
        assert_eq!((busy.status, busy.code().as_str()), (503, "busy"), "{}", busy.text);
        assert_eq!((busy.field("retry-after"), busy.field("set-cookie")), ("5", ""));
    }
    crowd.shutdown().await;
    let calm = loop {
        let answer = gateway.login("ann").await;
        if answer.status != 503 {
            break answer;
        }
    };
    assert_eq!(calm.status, 200, "{}", calm.text);
}

#[tokio::test]
async fn a_store_that_fails_signs_nobody_in_and_counts_nothing() {
    let gateway = Gateway::start("[lockout]\nfailures = 2").await;
    let cookie = gateway.login("ann").await.cookie();
    assert_eq!(gateway.who(&cookie).await["name"], "ann");
    let other = rusqlite::Connection::open(gateway.control.store.path()).unwrap();
    other.execute_batch("ALTER TABLE sessions RENAME TO hidden").unwrap();
    for _ in 0..3 {
        let answer = gateway.login("ann").await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "store_unavailable"));
        assert_eq!((answer.field("set-cookie"), answer.field("retry-after")), ("", "5"));
    }
    let logout = gateway.post("/logout").cookie(&cookie).send().await;
    assert_eq!(logout.code(), "store_unavailable", "it did not end, so nobody is told that it did");
    other.execute_batch("ALTER TABLE hidden RENAME TO sessions").unwrap();
    assert_eq!(gateway.login("ann").await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_decided_is_not_counted() {
    let gateway = Gateway::start("[lockout]\nfailures = 2").await;
    for _ in 0..5 {
        let answer = gateway.post("/login").json(r#"{"username":"ann"}"#).send().await;
        assert_eq!(answer.code(), "malformed");
        assert!(answer.json()["detail"].as_str().unwrap().contains("password"), "{}", answer.text);
    }
    assert_eq!(gateway.login("ann").await.status, 200);
}

#[tokio::test]
async fn a_success_starts_the_count_again() {
    let gateway = Gateway::start("[lockout]\nfailures = 3").await;
    for _ in 0..3 {
        assert_eq!(gateway.try_login("ann", "x").await.status, 401);
        assert_eq!(gateway.try_login("ann", "x").await.status, 401);
        assert_eq!(gateway.login("ann").await.status, 200);
    }
}

#[tokio::test]
async fn malformed_bodies_name_the_field() {
    let gateway = Gateway::start("").await;
    for (body, field) in [
        (json!({"password": "x"}), "username"),
        (json!({"username": 7, "password": "x"}), "username"),
        (json!({"username": null, "email": "a@b.c", "password": "x"}), "username"),
        (json!({"username": "  ", "password": "x"}), "username"),
        (json!({"username": "a".repeat(400), "password": "x"}), "username"),
        (json!({"username": "ann", "password": 7}), "password: must be text"),
        (json!({"username": "ann", "password": "x".repeat(1025)}), "password"),
        (json!({"username": "ann", "email": "bob@x.test", "password": "x"}), "username, email"),
        (json!({"username": "ann", "password": PASSWORD, "transport": "pigeon"}), "transport"),
        (json!({"username": "ann", "password": PASSWORD, "expires_in": 86401}), "expires_in"),
        (json!({"username": "ann", "password": PASSWORD, "expires_in": 0}), "expires_in"),
    ] {
        let answer = gateway.post("/login/local").json(&body.to_string()).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{body}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(field), "{}", answer.text);
        assert_eq!(answer.field("set-cookie"), "");
    }
    let text = gateway.post("/login").header("content-type", "text/plain").send().await;
    assert_eq!((text.status, text.code().as_str()), (415, "unsupported_media_type"));
    let query = format!("/login/local?username=ann&password={}", PASSWORD.replace(' ', "%20"));
    assert_eq!(gateway.post(&query).json("{}").send().await.code(), "malformed");
    assert_eq!(gateway.get(&query).send().await.json()["success"], false);
}

#[tokio::test]
async fn the_transport_says_what_is_given_out() {
    let gateway = Gateway::start("").await;
    let login = |more: &str| {
        let body = format!(r#"{{"username":"ann","password":"{PASSWORD}",{more}}}"#);
        gateway.post("/login/local").json(&body).send()
    };
    let cookie = login(r#""transport":"cookie""#).await;
    assert!(cookie.json().get("token").is_none() && cookie.json().get("expires_in").is_none());
    assert_eq!(gateway.who(&cookie.cookie()).await["name"], "ann");
    let token = login(r#""transport":"token""#).await;
    assert_eq!(token.field("set-cookie"), "");
    let current = gateway.get("/auth/current").bearer(&token.token()).send().await;
    assert_eq!(current.json()["authenticated"]["name"], "ann");
    let short = login(r#""expires_in":60"#).await;
    assert_eq!([&short.json()["expires_in"], &short.json()["expires_at"]], [60, 1_700_000_060]);
}

#[tokio::test]
async fn no_token_outlives_its_session() {
    let gateway = Gateway::start("[token]\nrefresh_lifetime = \"5m\"").await;
    let answer = gateway.login("ann").await;
    assert_eq!(answer.json()["expires_in"], 300);
    gateway.advance(301);
    let current = gateway.get("/auth/current").bearer(&answer.token()).send().await;
    assert_eq!((current.status, current.code().as_str()), (401, "invalid_token"));
    assert!(current.field("www-authenticate").starts_with("Bearer"));
    assert_eq!(gateway.who(&answer.cookie()).await, false);
}

#[tokio::test]
async fn a_login_ends_the_session_that_the_browser_had() {
    let gateway = Gateway::start("").await;
    let old = gateway.login("ann").await.cookie();
    let other_device = gateway.login("ann").await.cookie();
    let body = json!({"username": "ann", "password": PASSWORD}).to_string();
    let new = gateway.post("/login/local").cookie(&old).json(&body).send().await.cookie();
    assert_ne!(old, new);
    assert_eq!(gateway.who(&old).await, false);
    assert_eq!(gateway.who(&new).await["name"], "ann");
    assert_eq!(gateway.who(&other_device).await["name"], "ann");
    let failed = json!({"username": "ann", "password": "wrong"}).to_string();
    gateway.post("/login/local").cookie(&new).json(&failed).send().await;
    assert_eq!(gateway.who(&new).await["name"], "ann", "a failure ends nothing");
    let planted = format!("portcullis={}", "A".repeat(43));
    let fresh = gateway.post("/login/local").cookie(&planted).json(&body).send().await.cookie();
    assert_ne!(fresh, planted, "a value from outside is never taken over");
}

#[tokio::test]
async fn a_browser_form_leads_back_and_carries_no_token() {
    let gateway = Gateway::start("").await;
    let form = format!("username=ann&password={}&return_to=%2Fa%3Fb%3Dc", PASSWORD.replace(' ', "+"));
    let answer = gateway.post("/login/local").navigating().form(&form).send().await;
    assert_eq!((answer.status, answer.location()), (303, "/a?b=c"));
    assert!(answer.text.is_empty());
    assert_eq!(gateway.who(&answer.cookie()).await["name"], "ann");
    for evil in ["//e.test", "https://e.test/", "/%5Ce.test", "/login", "/%09/e.test"] {
        let evil: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        let form = format!("username=ann&password={}&return_to={evil}", PASSWORD.replace(' ', "+"));
        let answer = gateway.post("/login/local").navigating().form(&form).send().await;
        assert_eq!((answer.status, answer.location()), (303, "/"), "{evil}");
    }
}

#[tokio::test]
async fn a_failed_browser_form_is_the_same_page_with_the_status() {
    let gateway = Gateway::start("[lockout]\nfailures = 2").await;
    let form = "username=an%22n%3Cb%3E&password=hunter2hunter2&return_to=%2Fa";
    for status in [401, 401, 403] {
        let answer = gateway.post("/login/local").navigating().form(form).send().await;
        assert_eq!((answer.status, answer.field("content-type")), (status, "text/html; charset=utf-8"));
        assert!(answer.text.contains("role=\"alert\"") && answer.text.contains("name=\"password\""));
        assert!(answer.text.contains("value=\"/a\"") && answer.text.contains("an&quot;n&lt;b&gt;"));
        assert!(!answer.text.contains("hunter2"));
        assert!(answer.field("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(answer.field("cache-control"), "no-store");
        assert_eq!(answer.field("referrer-policy"), "same-origin");
    }
}

#[tokio::test]
async fn a_foreign_page_signs_nobody_in() {
    let gateway = Gateway::start("").await;
    let body = json!({"username": "ann", "password": PASSWORD}).to_string();
    for (name, value) in [
        ("origin", "https://evil.test"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = gateway.post("/login/local").header(name, value).json(&body).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "foreign_origin"), "{name}: {value}");
        assert_eq!(answer.field("set-cookie"), "");
    }
    let own = gateway.post("/login/local").header("origin", "http://127.0.0.1:8080").json(&body).send().await;
    assert_eq!(own.status, 200);
}

#[tokio::test]
async fn at_the_form_of_another_strategy_the_ending_may_be_left_out() {
    let gateway = Gateway::start("[strategies.staff]\nkind = \"local\"").await;
    gateway.add("ann@staff", "staff").await;
    for name in ["ann", "ann@staff"] {
        let body = json!({"username": name, "password": PASSWORD}).to_string();
        let answer = gateway.post("/login/staff").json(&body).send().await;
        assert_eq!(answer.json()["authenticated"]["name"], "ann@staff", "{name}: {}", answer.text);
    }
    assert_eq!(gateway.login("ann").await.json()["authenticated"]["name"], "ann");
    assert_eq!(gateway.login("ann@staff").await.status, 401, "a credential is of one strategy");
    for _ in 0..5 {
        gateway.post("/login/staff").json(r#"{"username":"ann","password":"x"}"#).send().await;
    }
    let locked = gateway.post("/login/staff").json(r#"{"username":"ann@staff","password":"x"}"#).send().await;
    assert_eq!(locked.code(), "locked", "failures count on whoever was meant");
    assert_eq!(gateway.login("ann").await.status, 200, "and on nobody else");
}

#[tokio::test]
async fn a_hash_with_other_parameters_is_renewed_at_login() {
    let gateway = Gateway::start("").await;
    let store = &gateway.control.store;
    let ann = store.account_by_name("ann").await.unwrap().unwrap();
    // What the reference program `argon2` says to PASSWORD with less memory and one pass.
    let weak =
        "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$HhdGxmsoo8pSkWu74EOdjWuyMCjKM2aof0XQCAMO4jU";
    let credential = crate::store::NewCredential {
        strategy: "local".into(),
        realm: "local".into(),
        subject: ann.uuid.to_string(),
        secret: Some(weak.into()),
    };
    assert!(store.replace_secret(ann.uuid, credential, gateway.control.clock.now()).await.unwrap());
    let answer = gateway.login("ann").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let kept = store.credential("local", ann.uuid).await.unwrap().unwrap().secret.unwrap();
    assert!(kept != weak && kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
    assert_eq!(gateway.who(&answer.cookie()).await["name"], "ann");
    assert_eq!(gateway.login("ann").await.status, 200);
}

#[tokio::test]
async fn logout_ends_this_session_or_all_and_is_idempotent() {
    let gateway = Gateway::start("").await;
    let (one, two) = (gateway.login("ann").await, gateway.login("ann").await);
    for _ in 0..2 {
        let answer = gateway.post("/logout").cookie(&one.cookie()).send().await;
        assert_eq!((answer.status, answer.json()), (200, json!({"success": true})));
        assert!(answer.field("set-cookie").starts_with("portcullis=; Path=/; Max-Age=0"));
    }
    assert_eq!(gateway.who(&one.cookie()).await, false);
    let current = gateway.get("/auth/current").bearer(&one.token()).send().await;
    assert_eq!(current.code(), "invalid_token", "its token is dead too");
    assert_eq!(gateway.who(&two.cookie()).await["name"], "ann");

    let by_token = gateway.post("/logout").bearer(&two.token()).send().await;
    assert_eq!(by_token.status, 200);
    assert_eq!(gateway.who(&two.cookie()).await, false);

    let (three, four) = (gateway.login("ann").await.cookie(), gateway.login("ann").await.cookie());
    let global = gateway.get("/logout?global=true").navigating().cookie(&three).send().await;
    assert_eq!((global.status, global.location()), (303, "/login"));
    assert_eq!(gateway.who(&three).await, false);
    assert_eq!(gateway.who(&four).await, false);
    for old in ["Bearer x", "Bearer", "Basic eDp5"] {
        assert_eq!(gateway.post("/logout").header("authorization", old).send().await.status, 200, "{old}");
    }
}

// Contract section 5: `{logout}` ends the session also when it has expired, and never
// refuses because of an old credential.
#[tokio::test]
async fn no_old_credential_keeps_the_cookies_session_from_ending() {
    let gateway = Gateway::start("").await;
    let cookie = gateway.login("ann").await.cookie();
    let two = gateway.post("/logout").cookie(&cookie).bearer("x").bearer("y").send().await;
    assert_eq!((two.status, gateway.who(&cookie).await), (200, json!(false)), "{}", two.text);

    let (idle, other) = (gateway.login("ann").await, gateway.login("ann").await);
    gateway.advance(3_601);
    assert_eq!(gateway.who(&idle.cookie()).await, false);
    let out = gateway.post("/logout?global=true").cookie(&idle.cookie()).send().await;
    assert_eq!((out.status, out.json()), (200, json!({"success": true})));
    let refresh = other.cookie_of("portcullis-refresh");
    let renewed = gateway.post("/auth/refresh").cookie(&refresh).send().await;
    assert_eq!(renewed.code(), "invalid_token", "all of the account's, as it was asked");
}

#[tokio::test]
async fn a_foreign_page_signs_nobody_out() {
    let gateway = Gateway::start("").await;
    let cookie = gateway.login("ann").await.cookie();
    let image = gateway.get("/logout?global=true").header("sec-fetch-site", "cross-site").cookie(&cookie);
    let page = image.send().await;
    assert_eq!((page.status, page.field("set-cookie")), (200, ""));
    assert!(page.text.contains("method=\"post\" action=\"/logout?global=true\""));
    let posted = gateway.post("/logout").header("origin", "https://evil.test").cookie(&cookie).send().await;
    assert_eq!(posted.code(), "foreign_origin");
    assert_eq!(gateway.who(&cookie).await["name"], "ann");
}

#[tokio::test]
async fn over_https_cookies_have_the_host_prefix() {
    let gateway = Gateway::start("[server]\npublic_url = \"https://gw.test\"").await;
    let answer = gateway.login("ann").await;
    let set = answer.field("set-cookie");
    assert!(set.starts_with("__Host-portcullis=") && set.ends_with("; Secure"), "{set}");
    assert_eq!(answer.field("strict-transport-security"), "max-age=31536000");
    let plain = answer.cookie().replace("__Host-", "");
    assert_eq!(gateway.who(&plain).await, false);
    assert_eq!(gateway.who(&answer.cookie()).await["name"], "ann");
    assert_eq!(gateway.ask(Method::HEAD, "/auth/current").send().await.status, 200);
}
