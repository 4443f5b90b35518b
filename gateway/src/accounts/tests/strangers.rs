//! What somebody may bring about who knows an address, or once knew a password.

use super::{gateway, letters, one_letter, post, reset};
use crate::{
    control::testing::{Gateway, PASSWORD},
    store::NewCredential,
};
use http::Method;
use serde_json::{Value, json};

const NEXT: &str = "another horse entirely";

async fn ask_for(gateway: &Gateway, address: &str) -> crate::control::testing::Answer {
    let body = json!({ "email": address, "current": PASSWORD }).to_string();
    let token = gateway.login("ann").await.token();
    gateway.ask(Method::PATCH, "/auth/me").bearer(&token).json(&body).send().await
}

/// The link of a change of address to `mal@evil.test`, which ann did not ask for.
async fn pending(gateway: &Gateway) -> String {
    assert_eq!(ask_for(gateway, "mal@evil.test").await.status, 200);
    let all = letters(gateway).await;
    all.iter().find(|letter| letter.to.as_deref() == Some("mal@evil.test")).unwrap().token()
}

async fn address(gateway: &Gateway) -> String {
    gateway.control.store.account_by_name("ann").await.unwrap().unwrap().email.unwrap()
}

#[tokio::test]
async fn a_new_password_however_it_is_set_takes_a_pending_address_away() {
    for way in ["change", "reset", "operator"] {
        let gateway = gateway("").await;
        let link = pending(&gateway).await;
        match way {
            "change" => {
                let token = gateway.login("ann").await.token();
                let body = json!({ "current": PASSWORD, "next": NEXT }).to_string();
                let answer = gateway.post("/auth/password").bearer(&token).json(&body).send().await;
                assert_eq!(answer.status, 200);
            }
            "reset" => {
                post(&gateway, "/auth/recovery", json!({ "email": "ann@x.test" })).await;
                let token = one_letter(&gateway).await.token();
                assert_eq!(post(&gateway, "/auth/reset", reset(&token, NEXT)).await.status, 200);
            }
            _ => {
                let store = &gateway.control.store;
                let uuid = store.account_by_name("ann").await.unwrap().unwrap().uuid;
                let new = NewCredential {
                    strategy: "local".into(),
                    realm: "local".into(),
                    subject: uuid.to_string(),
                    secret: Some("another".into()),
                };
                assert!(store.replace_secret(uuid, new, gateway.control.clock.now()).await.unwrap());
            }
        }
        let answer = post(&gateway, "/auth/verify-email", json!({ "token": link })).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_token"), "{way}");
        assert_eq!(address(&gateway).await, "ann@x.test", "{way}");
    }
}

#[tokio::test]
async fn the_proof_of_the_own_address_outlives_a_new_password() {
    let gateway = gateway("").await;
    let body = json!({ "name": "bob", "email": "bob@x.test", "password": PASSWORD });
    let bob = post(&gateway, "/auth/register", body).await;
    let link = one_letter(&gateway).await.token();
    let change = json!({ "current": PASSWORD, "next": NEXT }).to_string();
    let answer = gateway.post("/auth/password").bearer(&bob.token()).json(&change).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(post(&gateway, "/auth/verify-email", json!({ "token": link })).await.status, 200);
}

#[tokio::test]
async fn the_owner_is_told_of_a_new_address_whatever_anybody_else_had_mailed_to_them() {
    let gateway = gateway("").await;
    for _ in 0..4 {
        post(&gateway, "/auth/recovery", json!({ "email": "ann@x.test" })).await;
    }
    letters(&gateway).await;
    assert_eq!(ask_for(&gateway, "mal@evil.test").await.status, 200);
    let all = letters(&gateway).await;
    let told = all.iter().find(|letter| letter.to.as_deref() == Some("ann@x.test"));
    assert!(told.is_some_and(|letter| letter.text.contains("mal@evil.test")), "{all:?}");
}

#[tokio::test]
async fn a_link_that_is_not_mailed_takes_the_place_of_none() {
    let gateway = gateway("").await;
    for _ in 0..2 {
        assert_eq!(ask_for(&gateway, "new@x.test").await.status, 200);
    }
    // The third is a stranger's.
    post(&gateway, "/auth/recovery", json!({ "email": "new@x.test" })).await;
    let all = letters(&gateway).await;
    let link = all.iter().rfind(|letter| letter.to.as_deref() == Some("new@x.test")).unwrap().token();
    let fourth = ask_for(&gateway, "new@x.test").await;
    assert_eq!((fourth.status, fourth.code().as_str()), (429, "too_many_requests"));
    assert!(!fourth.field("retry-after").is_empty());
    assert_eq!(post(&gateway, "/auth/verify-email", json!({ "token": link })).await.status, 200);
    assert_eq!(address(&gateway).await, "new@x.test");
}

#[tokio::test]
async fn what_can_be_no_address_or_name_is_refused_at_registration_and_change() {
    let gateway = gateway("").await;
    let uuid = "8756c873-8652-444a-a2df-3065983016d8";
    for (name, email, field) in [
        (uuid, "b@x.test", "name"),
        ("bob", "a..b@x.test", "email"),
        ("bob", "ann@me\u{df}e.test", "email"),
        ("bob", "bob@local", "email"),
    ] {
        let body: Value = json!({ "name": name, "email": email, "password": PASSWORD });
        let answer = post(&gateway, "/auth/register", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{name} {email}");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(field), "{}", answer.text);
    }
    for email in ["a..b@x.test", "bob@local"] {
        assert_eq!(ask_for(&gateway, email).await.code(), "malformed", "{email}");
    }
}
