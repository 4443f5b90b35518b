//! The profile, the password, the credentials.

use super::{cookies, gateway, letters, post};
use crate::control::testing::{Answer, Gateway, PASSWORD};
use http::Method;
use serde_json::{Value, json};

const NEXT: &str = "another horse entirely";

async fn as_ann(gateway: &Gateway, method: Method, path: &str, body: Value) -> Answer {
    let ann = gateway.login("ann").await;
    gateway.ask(method, path).bearer(&ann.token()).json(&body.to_string()).send().await
}

async fn patch(gateway: &Gateway, body: Value) -> Answer {
    as_ann(gateway, Method::PATCH, "/auth/me", body).await
}

#[tokio::test]
async fn nobody_who_is_not_signed_in_has_an_account_to_look_after() {
    let gateway = gateway("").await;
    for (method, path) in [
        (Method::GET, "/auth/me"),
        (Method::PATCH, "/auth/me"),
        (Method::POST, "/auth/me"),
        (Method::POST, "/auth/password"),
        (Method::PATCH, "/auth/password"),
        (Method::GET, "/auth/credentials"),
        (Method::DELETE, "/auth/credentials/local"),
        (Method::POST, "/auth/credentials/local/remove"),
    ] {
        let answer = gateway.ask(method.clone(), path).json("{}").send().await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "login_required"), "{method} {path}");
        assert_eq!(answer.json()["login_url"], "http://127.0.0.1:8080/login");
        let bad = gateway.ask(method.clone(), path).json("{}").bearer("nonsense").send().await;
        assert_eq!(bad.code(), "invalid_token", "{method} {path}");
    }
    let page = gateway.get("/auth/me").navigating().send().await;
    assert_eq!((page.status, page.text.contains("href=\"http://127.0.0.1:8080/login\"")), (401, true));
    let known = gateway.get("/.well-known/change-password").send().await;
    assert_eq!((known.status, known.location()), (303, "/auth/me"));
}

#[tokio::test]
async fn a_person_changes_what_is_theirs_and_gets_a_fresh_token() {
    let gateway = gateway("").await;
    let answer = patch(&gateway, json!({ "display_name": "Ann E.", "metadata": {"lang": "de"} })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!((&body["display_name"], &body["metadata"]), (&json!("Ann E."), &json!({"lang": "de"})));
    let me = gateway.get("/auth/me").bearer(&answer.token()).send().await.json();
    assert_eq!((&me["display_name"], me.get("token")), (&json!("Ann E."), None));
    let claims = answer.token().split('.').nth(1).unwrap().to_owned();
    use base64::Engine;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["metadata"], json!({"lang": "de"}));
    for none in [json!(""), Value::Null] {
        assert_eq!(
            patch(&gateway, json!({ "display_name": none })).await.json()["display_name"],
            Value::Null
        );
    }
    let envelope = json!({ "data": { "type": "users", "attributes": { "name": "Ann F." } } });
    let answer = patch(&gateway, envelope).await.json();
    assert_eq!(answer["data"]["attributes"]["name"], "Ann F.");
    assert!(answer["data"]["attributes"]["access_token"].is_string());
}

#[tokio::test]
async fn what_is_not_theirs_is_refused_and_nothing_changes() {
    let gateway = gateway("").await;
    for field in
        ["roles", "app", "active", "uuid", "id", "email_verified", "verified", "name", "password", "username"]
    {
        let answer = patch(&gateway, json!({ field: "x", "display_name": "changed" })).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{field}");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(field));
    }
    for body in [
        json!({}),
        json!({"metadata": []}),
        json!({"metadata": null}),
        json!({"display_name": 1}),
        json!({"email": "x"}),
        json!({"email": 1}),
        json!({"metadata": {"a": "x".repeat(2100)}}),
    ] {
        assert_eq!(patch(&gateway, body.clone()).await.code(), "malformed", "{body}");
    }
    let transport = patch(&gateway, json!({ "display_name": "x", "transport": "cookie" })).await;
    assert_eq!(transport.code(), "transport");
    let ann = gateway.control.store.account_by_name("ann").await.unwrap().unwrap();
    assert_eq!((ann.display_name.as_deref(), ann.roles), (Some("ann Example"), vec!["staff".to_owned()]));
}

#[tokio::test]
async fn a_new_address_waits_for_its_link_and_the_old_one_is_told() {
    let gateway = gateway("").await;
    let change = |current: &str| json!({ "email": "Ann@New.test", "current": current });
    assert_eq!(patch(&gateway, json!({ "email": "ann@new.test" })).await.code(), "malformed");
    let wrong = patch(&gateway, change("wrong")).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (403, "bad_credentials"));
    assert!(letters(&gateway).await.is_empty());

    let asked = patch(&gateway, change(PASSWORD)).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    assert_eq!(asked.json()["authenticated"]["email"], "ann@x.test");
    assert_eq!(asked.json()["pending_email"], "ann@new.test");
    let all = letters(&gateway).await;
    let to = |address: &str| all.iter().find(|letter| letter.to.as_deref() == Some(address)).unwrap();
    assert!(to("ann@x.test").text.contains("ann@new.test"));
    let token = to("ann@new.test").token();
    assert_eq!(gateway.try_login("ann@new.test", PASSWORD).await.status, 401);
    assert_eq!(post(&gateway, "/auth/verify-email", json!({ "token": token })).await.status, 200);
    let me = gateway.get("/auth/me").bearer(&asked.token()).send().await.json();
    assert_eq!((&me["authenticated"]["email"], &me["pending_email"]), (&json!("ann@new.test"), &Value::Null));
    assert_eq!(gateway.try_login("ann@new.test", PASSWORD).await.status, 200);
    assert_eq!(gateway.try_login("ann@x.test", PASSWORD).await.status, 401);
    // The old address is free again.
    let body = json!({ "name": "bob", "email": "ann@x.test", "password": PASSWORD });
    assert_eq!(post(&gateway, "/auth/register", body).await.status, 201);
}

#[tokio::test]
async fn an_address_of_somebody_else_is_refused_when_it_is_asked_for_and_when_it_is_proved() {
    let gateway = gateway("").await;
    gateway.add("bob", "local").await;
    for taken in ["bob@x.test", "BOB@x.test"] {
        let answer = patch(&gateway, json!({ "email": taken, "current": PASSWORD })).await;
        assert_eq!((answer.status, answer.code().as_str()), (409, "email_taken"));
    }
    patch(&gateway, json!({ "email": "new@x.test", "current": PASSWORD })).await;
    let all = letters(&gateway).await;
    let token = all.iter().find(|letter| letter.to.as_deref() == Some("new@x.test")).unwrap().token();
    let body = json!({ "name": "carl", "email": "new@x.test", "password": PASSWORD });
    assert_eq!(post(&gateway, "/auth/register", body).await.status, 201);
    assert_eq!(post(&gateway, "/auth/verify-email", json!({ "token": token })).await.code(), "email_taken");
    let ann = gateway.control.store.account_by_name("ann").await.unwrap().unwrap();
    assert_eq!(ann.email.as_deref(), Some("ann@x.test"));
}

#[tokio::test]
async fn where_taken_addresses_are_not_told_a_change_looks_and_works_alike() {
    // N-50, mistake 10.
    let mut seen = Vec::new();
    for (address, told) in [
        ("bob@x.test", "You have an account at Portcullis"),
        ("new@x.test", "Confirm your address for Portcullis"),
    ] {
        let gateway = gateway("verify_email = true\nreveal_taken = false\n").await;
        gateway.add("bob", "local").await;
        let token = gateway.login("ann").await.token();
        let before = gateway.control.outbox.written();
        let body = json!({ "email": address, "current": PASSWORD }).to_string();
        let asked = gateway.ask(Method::PATCH, "/auth/me").bearer(&token).json(&body).send().await;
        assert_eq!(gateway.control.outbox.written() - before, 2);
        let mut answer = asked.json();
        assert_eq!(answer["pending_email"], address);
        answer.as_object_mut().unwrap().retain(|name, _| name != "token");
        let me = gateway.get("/auth/me").bearer(&token).send().await;
        let page = gateway.get("/auth/me").bearer(&token).navigating().send().await;
        assert!(page.text.contains(&format!("{address} waits for its link")), "{}", page.text);
        let uuid = answer["authenticated"]["uuid"].as_str().unwrap();
        let whole = format!("{} {answer}\n{}\n{}", asked.status, me.text, page.text);
        let whole = whole.replace(uuid, "UUID").replace(address, "ADDRESS");
        let is_of_all = |line: &&str| !line.contains("/auth/sessions/");
        seen.push(whole.lines().filter(is_of_all).map(str::to_owned).collect::<Vec<_>>());
        // The one difference is what those who have the address read.
        let all = letters(&gateway).await;
        let to: Vec<_> = all.iter().map(|letter| letter.to.as_deref().unwrap()).collect();
        assert_eq!((to, all[0].subject.as_str()), (vec![address, "ann@x.test"], told));
    }
    for (taken, free) in seen[0].iter().zip(&seen[1]) {
        assert_eq!(taken, free);
    }
    assert_eq!(seen[0].len(), seen[1].len());
}

#[tokio::test]
async fn who_lost_the_link_of_their_own_address_has_it_mailed_again() {
    let gateway = gateway("").await;
    let body = json!({ "name": "bob", "email": "bob@x.test", "password": PASSWORD });
    assert_eq!(post(&gateway, "/auth/register", body).await.status, 201);
    let lost = letters(&gateway).await[0].token();
    gateway.advance(24 * 3600);
    assert_eq!(post(&gateway, "/auth/verify-email", json!({ "token": lost })).await.code(), "invalid_token");
    let login = gateway.try_login("bob", PASSWORD).await;
    let page = gateway.get("/auth/me").bearer(&login.token()).navigating().send().await;
    assert!(page.text.contains("Mail a link that confirms it"), "{}", page.text);
    let same = gateway.ask(Method::PATCH, "/auth/me").bearer(&login.token());
    let same = same.json(&json!({ "email": "Bob@x.test" }).to_string()).send().await;
    assert_eq!((same.status, &same.json()["pending_email"]), (200, &Value::Null), "{}", same.text);
    let all = letters(&gateway).await;
    assert_eq!((all.len(), all[0].to.as_deref()), (1, Some("bob@x.test")));
    assert_eq!(post(&gateway, "/auth/verify-email", json!({ "token": all[0].token() })).await.status, 200);
    let me = gateway.get("/auth/me").bearer(&login.token()).send().await.json();
    assert_eq!(me["email_verified"], true);
    // Once it is proved there is nothing to mail.
    let again = json!({ "email": "bob@x.test" }).to_string();
    let again = gateway.ask(Method::PATCH, "/auth/me").bearer(&login.token()).json(&again).send().await;
    assert_eq!((again.status, letters(&gateway).await.len()), (200, 0));
    let page = gateway.get("/auth/me").bearer(&login.token()).navigating().send().await;
    assert!(!page.text.contains("Mail a link that confirms it"));
}

#[tokio::test]
async fn without_mail_an_address_stays() {
    let gateway = Gateway::start("").await;
    let answer = patch(&gateway, json!({ "email": "new@x.test", "current": PASSWORD })).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "mail_unavailable"));
    assert_eq!(patch(&gateway, json!({ "display_name": "x" })).await.status, 200);
}

#[tokio::test]
async fn a_new_password_ends_every_session_and_the_answer_carries_a_new_one() {
    // Mistakes 18 and 20; seeds 51 to 53.
    let gateway = gateway("").await;
    let (phone, laptop) = (gateway.login("ann").await, gateway.login("ann").await);
    let body = json!({ "current": PASSWORD, "next": NEXT, "next_confirm": NEXT, "email": "bob@x.test", "username": "bob" });
    let answer = gateway.post("/auth/password").bearer(&laptop.token()).json(&body.to_string()).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    for old in [&phone, &laptop] {
        assert_eq!(gateway.get("/auth/me").bearer(&old.token()).send().await.code(), "invalid_token");
        assert_eq!(gateway.who(&cookies(old)).await, false);
        let pair = cookies(old);
        let refresh = gateway.post("/auth/refresh").json("{}").cookie(&pair).send().await;
        assert_eq!(refresh.status, 401);
    }
    assert_eq!(gateway.get("/auth/me").bearer(&answer.token()).send().await.status, 200);
    assert_eq!(gateway.who(&cookies(&answer)).await["name"], "ann");
    assert_eq!(gateway.login("ann").await.status, 401);
    assert_eq!(gateway.try_login("ann", NEXT).await.status, 200);
}

#[tokio::test]
async fn the_transport_of_a_session_outlives_a_change_of_password() {
    let gateway = gateway("").await;
    for transport in ["cookie", "token"] {
        let body = json!({ "username": "ann", "password": PASSWORD, "transport": transport }).to_string();
        let login = gateway.post("/login").json(&body).send().await;
        let change = json!({ "current": PASSWORD, "next": NEXT, "transport": transport }).to_string();
        let ask = gateway.post("/auth/password").json(&change);
        let answer = match transport {
            "cookie" => ask.cookie(&cookies(&login)).send().await,
            _ => ask.bearer(&login.token()).send().await,
        };
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json().get("token").is_some(), transport == "token");
        assert_eq!(answer.headers.get("set-cookie").is_some(), transport == "cookie");
        let back = json!({ "current": NEXT, "next": PASSWORD }).to_string();
        let ask = gateway.post("/auth/password").json(&back);
        let back = match transport {
            "cookie" => ask.cookie(&cookies(&answer)).send().await,
            _ => ask.bearer(&answer.token()).send().await,
        };
        assert_eq!(back.status, 200, "{}", back.text);
    }
    let answer = as_ann(
        &gateway,
        Method::POST,
        "/auth/password",
        json!({ "current": PASSWORD, "next": NEXT, "transport": "token" }),
    )
    .await;
    assert_eq!(answer.code(), "transport");
}

#[tokio::test]
async fn a_wrong_current_password_changes_nothing_and_counts() {
    // Mistake 21, N-47, N-49.
    let gateway = gateway("").await;
    let ann = gateway.login("ann").await;
    let change = |body: Value| {
        gateway.ask(Method::PATCH, "/auth/password").bearer(&ann.token()).json(&body.to_string()).send()
    };
    for (body, code) in [
        (json!({ "current": PASSWORD }), "malformed"),
        (json!({ "next": NEXT }), "malformed"),
        (json!({ "current": PASSWORD, "next": NEXT, "next_confirm": "x" }), "malformed"),
        (json!({ "current": 1, "next": NEXT }), "malformed"),
        (json!({ "current": "x".repeat(1025), "next": NEXT }), "malformed"),
        (json!({ "current": PASSWORD, "next": "x".repeat(1025) }), "malformed"),
        (json!({ "current": PASSWORD, "next": "password" }), "weak_password"),
        (json!({ "current": PASSWORD, "next": "ann@x.test99" }), "weak_password"),
    ] {
        assert_eq!(change(body.clone()).await.code(), code, "{body}");
    }
    for _ in 0..5 {
        let answer = change(json!({ "current": "wrong", "next": NEXT })).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "bad_credentials"));
    }
    let answer = change(json!({ "current": PASSWORD, "next": NEXT })).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "locked"));
    assert_eq!(gateway.login("ann").await.code(), "locked", "one count for all doors");
    assert_eq!(gateway.get("/auth/me").bearer(&ann.token()).send().await.status, 200, "locks end no session");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_one_is_made() {
    let gateway = std::sync::Arc::new(gateway("").await);
    let token = gateway.login("ann").await.token();
    let change = |next: &str| {
        let (gateway, token) = (gateway.clone(), token.clone());
        let body = json!({ "current": PASSWORD, "next": next }).to_string();
        tokio::spawn(
            async move { gateway.post("/auth/password").bearer(&token).json(&body).send().await.status },
        )
    };
    let (one, two) = (change("first horse entirely"), change("second horse entirely"));
    let mut statuses = [one.await.unwrap(), two.await.unwrap()];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!([401, 403].contains(&statuses[1]), "{statuses:?}");
}

#[tokio::test]
async fn the_page_of_an_account_has_everything_and_its_forms_come_back_to_it() {
    let gateway = gateway("").await;
    let login = gateway
        .post("/login/local")
        .navigating()
        .form("username=ann&password=correct+horse+battery")
        .send()
        .await;
    let cookie = cookies(&login);
    let page = gateway.get("/auth/me").cookie(&cookie).navigating().send().await;
    assert_eq!((page.status, page.field("content-type")), (200, "text/html; charset=utf-8"));
    for part in [
        "action=\"/auth/password\"",
        "action=\"/auth/me\"",
        "action=\"/logout\"",
        "(this one)",
        "Local",
        "autocomplete=\"current-password\"",
        "autocomplete=\"new-password\"",
        "192.0.2.1",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(!page.text.contains("/credentials/local/remove"), "the last one stays");
    let saved =
        gateway.post("/auth/me").cookie(&cookie).navigating().form("display_name=%3Cb%3EAnn").send().await;
    assert_eq!((saved.status, saved.location()), (303, "/auth/me"));
    let page = gateway.get("/auth/me").cookie(&cookie).navigating().send().await;
    assert!(page.text.contains("value=\"&lt;b&gt;Ann\""));

    let wrong = gateway
        .post("/auth/password")
        .cookie(&cookie)
        .navigating()
        .form("current=wrong&next=another+horse+entirely&next_confirm=another+horse+entirely&username=ann")
        .send()
        .await;
    assert_eq!((wrong.status, wrong.text.contains("role=\"alert\"")), (403, true));
    let done = gateway.post("/auth/password").cookie(&cookie).navigating()
        .form("current=correct+horse+battery&next=another+horse+entirely&next_confirm=another+horse+entirely&username=ann").send().await;
    assert_eq!((done.status, done.location()), (303, "/auth/me"));
    assert_eq!(gateway.who(&cookie).await, false);
    assert_eq!(gateway.who(&cookies(&done)).await["name"], "ann");
}

#[tokio::test]
async fn a_way_to_sign_in_is_removed_by_its_owner_soon_after_a_login_and_the_last_one_stays() {
    let gateway = gateway("[login]\ndefault = \"local\"\n[strategies.staff]\nkind = \"local\"").await;
    let uuid = gateway.control.store.account_by_name("ann").await.unwrap().unwrap().uuid;
    let login = gateway.login("ann").await;
    let token = login.token();
    let list = || gateway.get("/auth/credentials").bearer(&token).send();
    let only = list().await.json();
    assert_eq!(only["data"][0]["strategy"], "local");
    assert!(only["data"][0]["created"].is_string() && only["data"][0]["last_used"].is_string());
    let delete =
        |id: &str| gateway.ask(Method::DELETE, &format!("/auth/credentials/{id}")).bearer(&token).send();
    assert_eq!(delete("local").await.code(), "last_credential");
    assert_eq!(delete("nothing").await.code(), "not_found");

    gateway.control.store.add_credential_for_tests(uuid, "staff").await;
    assert_eq!(list().await.json()["data"].as_array().unwrap().len(), 2);
    gateway.advance(601);
    assert_eq!(delete("staff").await.code(), "fresh_login_required");
    let fresh = gateway.login("ann").await;
    let gone = gateway.ask(Method::DELETE, "/auth/credentials/staff").bearer(&fresh.token()).send().await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    gateway.control.store.add_credential_for_tests(uuid, "staff").await;
    let form = gateway.post("/auth/credentials/local/remove").bearer(&fresh.token()).send().await;
    assert_eq!((form.status, form.location()), (303, "/auth/me"));
    // What it opened is over at once.
    assert_eq!(gateway.get("/auth/me").bearer(&fresh.token()).send().await.status, 401);
}
