//! Which path answers what, and to whom.

use crate::control::testing::{Gateway, PASSWORD};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn an_unknown_strategy_is_the_same_whatever_it_is_called() {
    let gateway = Gateway::start("").await;
    let first = gateway.get("/login/nobody").send().await;
    assert_eq!((first.status, first.code().as_str()), (404, "unknown_strategy"));
    for path in ["/login/LOCAL", "/login/ldap", "/login/", "/login/local%25"] {
        assert_eq!(gateway.get(path).send().await.without_id(), first.without_id(), "{path}");
        let posted = gateway.post(path).json(r#"{"username":"ann"}"#).send().await;
        assert_eq!(posted.without_id(), first.without_id(), "{path}");
    }
}

#[tokio::test]
async fn other_methods_and_other_paths_are_refused() {
    let gateway = Gateway::start("").await;
    for (method, path, allow) in [
        (Method::PUT, "/login", "GET, HEAD, POST"),
        (Method::DELETE, "/login/local", "GET, HEAD, POST"),
        (Method::OPTIONS, "/logout", "GET, HEAD, POST"),
        (Method::POST, "/auth/current", "GET, HEAD"),
        (Method::POST, "/.well-known/jwks.json", "GET, HEAD"),
    ] {
        let answer = gateway.ask(method, path).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"), "{path}");
        assert_eq!(answer.field("allow"), allow);
    }
    for path in ["/auth", "/auth/check", "/auth/tokens", "/auth/factors", "/login/local/callback"] {
        assert_eq!(gateway.get(path).send().await.code(), "not_found", "{path}");
    }
    let page = gateway.get("/auth/x").navigating().send().await;
    assert_eq!((page.status, page.field("content-type")), (404, "text/html; charset=utf-8"));
}

#[tokio::test]
async fn the_login_is_a_page_for_browsers_and_a_list_for_machines() {
    let gateway = Gateway::start(
        "[login]\ndefault = \"local\"\n[strategies.staff]\nkind = \"local\"\ntitle = \"Staff\"",
    )
    .await;
    let navigation = gateway.get("/login?return_to=/a").navigating().send().await;
    let by_accept = gateway.get("/login").header("accept", "text/html,*/*;q=0.8").send().await;
    let curl = gateway.get("/login").header("accept", "*/*").send().await;
    for page in [&navigation, &by_accept, &curl] {
        assert_eq!((page.status, page.field("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.text.contains("action=\"/login/local\"") && page.text.contains(">Staff</a>"));
    }
    assert!(navigation.text.contains("name=\"return_to\" value=\"/a\""));
    assert!(navigation.text.contains("href=\"/login/staff?return_to=%2Fa\""));

    let listed = gateway.get("/auth/strategies").send().await.json();
    let local = listed["data"].as_array().unwrap().iter().find(|one| one["id"] == "local").unwrap();
    assert_eq!(*local, json!({"id": "local", "kind": "local", "title": "Local", "url": "/login/local"}));
    for accept in ["application/json", "application/json, text/plain, */*"] {
        assert_eq!(gateway.get("/login").header("accept", accept).send().await.json(), listed);
    }

    let next = gateway.get("/login/local").send().await.json();
    assert_eq!(next["success"], false);
    assert_eq!(next["next"]["fields"][1]["kind"], "password");
    assert!(gateway.get("/login/staff").navigating().send().await.text.contains("action=\"/login/staff\""));
}

#[tokio::test]
async fn without_a_default_the_login_is_a_choice() {
    let two = "[strategies.staff]\nkind = \"local\"\n[strategies.guests]\nkind = \"local\"\n";
    let gateway = Gateway::bare(two).await;
    let page = gateway.get("/login").navigating().send().await.text;
    assert!(page.contains("/login/staff?") && page.contains("/login/guests?"));
    assert!(!page.contains("<form") && page.contains("Choose how to sign in"));
    let posted = gateway.post("/login").json("{}").send().await;
    assert_eq!((posted.status, posted.code().as_str()), (404, "unknown_strategy"));
}

#[tokio::test]
async fn keys_may_be_kept_and_nothing_else() {
    let gateway = Gateway::start("").await;
    for path in ["/auth/jwks.json", "/.well-known/jwks.json"] {
        let answer = gateway.get(path).send().await;
        assert_eq!(answer.field("cache-control"), "public, max-age=300");
        assert!(answer.json()["keys"].as_array().is_some_and(|keys| !keys.is_empty()));
        assert!(!answer.text.contains("\"d\""), "no private part");
    }
    for path in ["/login", "/auth/current", "/auth/strategies", "/auth/nothing"] {
        assert_eq!(gateway.get(path).send().await.field("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn the_token_decides_and_two_people_are_a_conflict() {
    let gateway = Gateway::start("").await;
    gateway.add("bob", "local").await;
    let (ann, bob) = (gateway.login("ann").await, gateway.login("bob").await);
    let current = |cookie: &str, authorization: &str| {
        gateway.get("/auth/current").cookie(cookie).header("authorization", authorization).send()
    };
    let bearer = format!("Bearer {}", bob.token());
    let both = current(&ann.cookie(), &bearer).await;
    assert_eq!((both.status, both.code().as_str()), (400, "conflicting_credentials"));
    let same = current(&bob.cookie(), &bearer).await;
    assert_eq!(same.json()["authenticated"]["name"], "bob");
    assert_eq!(current(&ann.cookie(), "Bearer nonsense").await.code(), "invalid_token");
    assert_eq!(current(&ann.cookie(), "Basic eDp5").await.json()["authenticated"]["name"], "ann");
    let two = gateway.get("/auth/current").bearer(&ann.token()).bearer(&ann.token()).send().await;
    assert_eq!(two.status, 400);
    let twice = format!("{}; {}", ann.cookie(), bob.cookie());
    assert_eq!(gateway.who(&twice).await, false, "of two cookies neither counts");
    let anonymous = gateway.get("/auth/current").send().await;
    assert_eq!(anonymous.json(), json!({"success": true, "authenticated": false}));
}

#[tokio::test]
async fn a_forwarded_host_changes_nothing() {
    let gateway = Gateway::start("").await;
    let ask = || gateway.get("/login").header("accept", "text/html");
    let plain = ask().send().await.text;
    let forged =
        ask().header("x-forwarded-host", "evil.test").header("x-forwarded-proto", "https").send().await;
    assert_eq!(forged.text, plain);
    let body = json!({"username": "ann", "password": PASSWORD}).to_string();
    let login = gateway.post("/login").header("x-forwarded-host", "evil.test").json(&body).send().await;
    assert!(!login.field("set-cookie").contains("Domain"));
}
