//! Accounts whose password somebody else keeps, and bodies and answers by JSON:API.

use super::{gateway, letters, one_letter, post};
use crate::{
    control::testing::{Gateway, PASSWORD},
    registry::scripted,
    store::{Removal, Removed},
};
use portcullis_plugin_api::{Denial, Denied, Outcome};
use serde_json::{Value, json};

const CORP: &str = "[login]\ndefault = \"local\"\n[strategies.corp]\nkind = \"ldap\"\n";

async fn of_corp(gateway: &Gateway) -> String {
    scripted::sign_in("uid=bob", &json!({ "name": "bob" }));
    let body = json!({ "username": "bob", "password": "x" });
    post(gateway, "/login/corp", body).await.token()
}

async fn change(gateway: &Gateway, token: &str) -> crate::control::testing::Answer {
    let body = json!({ "current": "the right one", "next": "another horse entirely" }).to_string();
    gateway.post("/auth/password").bearer(token).json(&body).send().await
}

#[tokio::test]
async fn what_a_directory_says_of_a_right_password_is_told_and_is_no_failure() {
    let gateway = gateway(CORP).await;
    let token = of_corp(&gateway).await;
    for (reason, code) in [
        (Denial::NotAdmitted, "not_admitted"),
        (Denial::Locked, "locked"),
        (Denial::ProviderRefused, "provider_refused"),
    ] {
        for _ in 0..6 {
            let message = Some("Your account is switched off. Ask the help desk.".to_owned());
            scripted::answer(Ok(Outcome::Denied(Denied { reason, message: message.clone(), subject: None })));
            let answer = change(&gateway, &token).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, code));
            assert_eq!(answer.json()["detail"].as_str(), message.as_deref());
        }
    }
    scripted::answer(Ok(Outcome::denied(Denial::BadCredentials)));
    assert_eq!(change(&gateway, &token).await.code(), "bad_credentials");
}

#[tokio::test]
async fn who_asks_for_json_api_is_told_in_json_api() {
    let gateway = gateway("").await;
    let token = gateway.login("ann").await.token();
    let me = gateway.get("/auth/me").bearer(&token).header("accept", "application/vnd.api+json");
    let me = me.send().await;
    assert_eq!(me.field("content-type"), "application/vnd.api+json");
    assert_eq!(me.json()["data"]["attributes"]["email"], "ann@x.test");

    let envelope = |attributes: Value| json!({ "data": { "type": "users", "attributes": attributes } });
    post(&gateway, "/auth/register", json!({ "email": "bob@x.test", "password": PASSWORD })).await;
    let verify = one_letter(&gateway).await.token();
    let proved = post(&gateway, "/auth/verify-email", envelope(json!({ "token": verify }))).await;
    post(&gateway, "/auth/recovery", json!({ "email": "bob@x.test" })).await;
    let token = one_letter(&gateway).await.token();
    let body = envelope(json!({ "token": token, "password": "another horse entirely" }));
    let reset = post(&gateway, "/auth/reset", body).await;
    let bob = gateway.control.store.account_by_name("bob@x.test").await.unwrap().unwrap();
    for answer in [proved, reset] {
        assert_eq!((answer.status, answer.field("content-type")), (200, "application/vnd.api+json"));
        assert_eq!(answer.json()["data"]["id"], bob.uuid.to_string());
    }
}

#[tokio::test]
async fn no_name_that_a_stranger_chose_is_mailed_to_an_address_that_nobody_proved() {
    let gateway = gateway("").await;
    let body = json!({ "name": "www.evil.example", "email": "bob@x.test", "password": PASSWORD });
    assert_eq!(post(&gateway, "/auth/register", body).await.status, 201);
    post(&gateway, "/auth/recovery", json!({ "email": "bob@x.test" })).await;
    let all = letters(&gateway).await;
    assert!(all.iter().all(|letter| !letter.text.contains("evil")), "{all:?}");
    assert!(all.iter().any(|letter| letter.text.contains("You sign in as bob@x.test.")), "{all:?}");
}

#[tokio::test]
async fn the_last_way_in_that_opens_anything_stays() {
    let gateway = gateway("").await;
    let (store, now) = (&gateway.control.store, gateway.control.clock.now());
    let ann = store.account_by_name("ann").await.unwrap().unwrap().uuid;
    // Of a strategy that is configured no more.
    store.add_credential_for_tests(ann, "gone").await;
    let there_are = || gateway.control.registry.ids();
    let own = store.remove_credentials(ann, "local", there_are(), now).await.unwrap();
    assert_eq!(own, Removal::Last);
    let by_operator = store.remove_credential_of(ann, "local", there_are(), now).await.unwrap();
    assert_eq!(by_operator, Removed::Last);
    let gone = store.remove_credentials(ann, "gone", there_are(), now).await.unwrap();
    assert!(matches!(gone, Removal::Done(_)));
}
