//! Recovery and reset.

use super::{gateway, letters, one_letter, post, reset};
use crate::control::testing::{Gateway, PASSWORD};
use serde_json::json;

const NEXT: &str = "another horse entirely";

async fn recover(gateway: &Gateway, email: &str) -> crate::control::testing::Answer {
    post(gateway, "/auth/recovery", json!({ "email": email })).await
}

#[tokio::test]
async fn a_mailed_link_sets_a_new_password_once_and_ends_everything_before() {
    let gateway = gateway("").await;
    let before = gateway.login("ann").await;
    assert_eq!(recover(&gateway, "Ann@x.test").await.status, 200);
    let letter = one_letter(&gateway).await;
    assert_eq!(letter.to.as_deref(), Some("ann@x.test"));
    assert!(
        letter.text.contains("http://127.0.0.1:8080/auth/reset?token=") && letter.text.contains("15 minutes")
    );
    // Asking changes nothing (mistake 15).
    assert_eq!(gateway.get("/auth/me").bearer(&before.token()).send().await.status, 200);

    let token = letter.token();
    let done = post(&gateway, "/auth/reset", reset(&token, NEXT)).await;
    assert_eq!((done.status, done.json()), (200, json!({ "success": true })));
    assert!(done.headers.get("set-cookie").is_none(), "it signs nobody in");
    assert_eq!(gateway.get("/auth/me").bearer(&before.token()).send().await.code(), "invalid_token");
    assert_eq!(gateway.login("ann").await.code(), "bad_credentials");
    assert_eq!(gateway.try_login("ann", NEXT).await.status, 200);
    let again = post(&gateway, "/auth/reset", reset(&token, "yet another horse")).await;
    assert_eq!((again.status, again.code().as_str()), (400, "invalid_token"));
}

#[tokio::test]
async fn only_the_newest_link_is_good_and_only_for_so_long() {
    let gateway = gateway("").await;
    recover(&gateway, "ann@x.test").await;
    let first = one_letter(&gateway).await.token();
    recover(&gateway, "ann@x.test").await;
    let second = one_letter(&gateway).await.token();
    assert_eq!(post(&gateway, "/auth/reset", reset(&first, NEXT)).await.code(), "invalid_token");
    gateway.advance(15 * 60 - 1);
    // A weak password leaves it good.
    assert_eq!(post(&gateway, "/auth/reset", reset(&second, "password")).await.code(), "weak_password");
    gateway.advance(1);
    assert_eq!(post(&gateway, "/auth/reset", reset(&second, NEXT)).await.code(), "invalid_token");
}

#[tokio::test]
async fn a_link_is_bound_to_the_password_that_it_replaces() {
    // Mistake 12.
    let gateway = gateway("").await;
    recover(&gateway, "ann@x.test").await;
    let token = one_letter(&gateway).await.token();
    let ann = gateway.login("ann").await;
    let change = json!({ "current": PASSWORD, "next": NEXT }).to_string();
    assert_eq!(gateway.post("/auth/password").bearer(&ann.token()).json(&change).send().await.status, 200);
    assert_eq!(
        post(&gateway, "/auth/reset", reset(&token, "yet another horse")).await.code(),
        "invalid_token"
    );
}

#[tokio::test]
async fn a_link_is_no_session_and_no_other_token_is_a_link() {
    // Mistakes 13 and 14.
    let gateway = gateway("verify_email = true").await;
    recover(&gateway, "ann@x.test").await;
    let token = one_letter(&gateway).await.token();
    for ask in [
        gateway.get("/auth/me").bearer(&token),
        gateway.post("/auth/refresh").json(&json!({"refresh_token": token}).to_string()),
    ] {
        assert_eq!(ask.send().await.status, 401);
    }
    assert_eq!(post(&gateway, "/auth/verify-email", json!({ "token": token })).await.code(), "invalid_token");
    let body = json!({ "name": "bob", "email": "bob@x.test", "password": PASSWORD });
    post(&gateway, "/auth/register", body).await;
    let verify = one_letter(&gateway).await.token();
    let access = gateway.login("ann").await.token();
    for other in [verify.as_str(), &access, "", "x", &"x".repeat(5000)] {
        let answer = post(&gateway, "/auth/reset", reset(other, NEXT)).await;
        assert_eq!(answer.status, 400, "{other}");
    }
    // What is in the store is not what was mailed (mistake 11).
    let file = std::fs::read(gateway.control.store.path()).unwrap();
    assert!(!file.windows(token.len()).any(|w| w == token.as_bytes()));
}

#[tokio::test]
async fn known_or_unknown_the_answer_and_the_work_are_the_same() {
    // Mistakes 6, 7; N-50. Work: letters written and sealed, questions to the store.
    let gateway = gateway("").await;
    let uuid = gateway.add("off", "local").await;
    gateway.control.store.set_active(uuid, false, gateway.control.clock.now()).await.unwrap();
    let mut all = Vec::new();
    for address in ["ann@x.test", "nobody@x.test", "off@x.test", "ann@x.test"] {
        let (store, outbox) = (&gateway.control.store, &gateway.control.outbox);
        let before = (store.asked(), outbox.written());
        let answer = recover(&gateway, address).await;
        let work = (store.asked() - before.0, outbox.written() - before.1);
        let names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
        all.push((answer.status, answer.text, names, work));
    }
    for one in &all {
        assert_eq!(*one, all[0]);
    }
    let to: Vec<_> = letters(&gateway).await.into_iter().map(|letter| letter.to).collect();
    assert_eq!(to, [Some("ann@x.test".to_owned()), Some("ann@x.test".to_owned())]);
}

#[tokio::test]
async fn three_mails_an_hour_and_then_silence() {
    let gateway = gateway("").await;
    let first = recover(&gateway, "ann@x.test").await.text;
    for _ in 0..4 {
        assert_eq!(recover(&gateway, "ann@x.test").await.text, first);
    }
    let sent = letters(&gateway).await;
    assert_eq!(sent.len(), 3);
    // What was kept back took nothing away: the last link is good.
    let token = sent[2].token();
    assert_eq!(post(&gateway, "/auth/reset", reset(&token, NEXT)).await.status, 200);
    assert_eq!(letters(&gateway).await.len(), 1, "that it was used is told, whatever was sent before");
    gateway.advance(3600);
    recover(&gateway, "ann@x.test").await;
    assert_eq!(letters(&gateway).await.len(), 1);
}

#[tokio::test]
async fn a_reset_unlocks() {
    let gateway = gateway("").await;
    for _ in 0..5 {
        gateway.try_login("ann", "wrong").await;
    }
    assert_eq!(gateway.login("ann").await.code(), "locked");
    recover(&gateway, "ann@x.test").await;
    let token = one_letter(&gateway).await.token();
    assert_eq!(post(&gateway, "/auth/reset", reset(&token, NEXT)).await.status, 200);
    assert_eq!(gateway.try_login("ann", NEXT).await.status, 200);
}

#[tokio::test]
async fn whoever_first_proves_an_address_takes_the_account_clean() {
    // Somebody registered with an address that is not theirs; its owner recovers.
    let gateway = gateway("").await;
    let body = json!({ "name": "bob", "email": "bob@x.test", "password": PASSWORD, "metadata": {"a": 1} });
    let thief = post(&gateway, "/auth/register", body).await;
    letters(&gateway).await;
    recover(&gateway, "bob@x.test").await;
    let token = one_letter(&gateway).await.token();
    assert_eq!(post(&gateway, "/auth/reset", reset(&token, NEXT)).await.status, 200);
    assert_eq!(gateway.get("/auth/me").bearer(&thief.token()).send().await.status, 401);
    let owner = gateway.try_login("bob@x.test", NEXT).await;
    let me = gateway.get("/auth/me").bearer(&owner.token()).send().await.json();
    assert_eq!((&me["metadata"], &me["email_verified"]), (&json!({}), &json!(true)));
}

#[tokio::test]
async fn without_mail_there_is_no_recovery_and_no_link_to_it() {
    let gateway = Gateway::start("").await;
    for address in ["ann@x.test", "nobody@x.test", ""] {
        let answer = recover(&gateway, address).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "mail_unavailable"));
    }
    assert!(!gateway.get("/login").navigating().send().await.text.contains("/auth/recovery"));
    let page = gateway.get("/auth/recovery").navigating().send().await;
    assert_eq!(page.status, 503);
}

#[tokio::test]
async fn a_browser_recovers_without_scripts() {
    let gateway = gateway("").await;
    assert!(gateway.get("/login").navigating().send().await.text.contains("href=\"/auth/recovery\""));
    let page = gateway.get("/auth/recovery").navigating().send().await;
    assert!(page.text.contains("action=\"/auth/recovery\"") && page.text.contains("type=\"email\""));
    let sent = gateway.post("/auth/recovery").navigating().form("email=ann%40x.test").send().await;
    assert_eq!((sent.status, sent.text.contains("Check your mail")), (200, true));
    let bad = gateway.post("/auth/recovery").navigating().form("email=ann").send().await;
    assert_eq!((bad.status, bad.text.contains("value=\"ann\"")), (400, true));

    let token = one_letter(&gateway).await.token();
    let page = gateway.get(&format!("/auth/reset?token={token}")).navigating().send().await;
    assert!(page.text.contains(&format!("name=\"token\" value=\"{token}\"")));
    assert_eq!(page.field("referrer-policy"), "same-origin");
    let escaped = gateway.get("/auth/reset?token=%22%3E%3Cb").navigating().send().await;
    assert!(escaped.text.contains("value=\"&quot;&gt;&lt;b\""));
    // Showing it acts on nothing: the button does.
    let form = |password: &str| format!("token={token}&password={password}&password_confirm={password}");
    let weak = gateway.post("/auth/reset").navigating().form(&form("password")).send().await;
    assert_eq!((weak.status, weak.text.contains(&token)), (400, true));
    let done = gateway.post("/auth/reset").navigating().form(&form("another+horse+entirely")).send().await;
    assert_eq!((done.status, done.location()), (303, "/login"));
    assert_eq!(gateway.try_login("ann", NEXT).await.status, 200);
}
