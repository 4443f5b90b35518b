//! What the owner of an account is told when somebody has changed how it is guarded.

use super::{cookies, gateway, letters, post, reset};
use crate::control::testing::{Gateway, PASSWORD};
use http::Method;
use serde_json::{Value, json};

const NEXT: &str = "another horse entirely";

/// Whom the waiting letters are to, and the sentence that says what has changed.
async fn told(gateway: &Gateway) -> Vec<(String, String)> {
    let all = letters(gateway).await.into_iter();
    let notices = all.filter(|letter| letter.subject.ends_with("was changed"));
    notices.map(|letter| (letter.to.unwrap(), letter.text.lines().next().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn a_new_password_is_told_to_the_proved_address_whichever_way_it_came() {
    let gateway = gateway("").await;
    let token = gateway.login("ann").await.token();
    let body = json!({ "current": PASSWORD, "next": NEXT }).to_string();
    let changed = gateway.ask(Method::POST, "/auth/password").bearer(&token).json(&body).send().await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let sentence = "The password of your account at Portcullis was changed, and everybody who was signed in is signed out.";
    assert_eq!(told(&gateway).await, [("ann@x.test".to_owned(), sentence.to_owned())]);

    post(&gateway, "/auth/recovery", json!({ "email": "ann@x.test" })).await;
    let link = letters(&gateway).await.remove(0).token();
    assert_eq!(post(&gateway, "/auth/reset", reset(&link, PASSWORD)).await.status, 200);
    assert_eq!(told(&gateway).await, [("ann@x.test".to_owned(), sentence.to_owned())]);

    let wrong = post(&gateway, "/auth/reset", reset(&link, NEXT)).await;
    assert_eq!((wrong.code().as_str(), told(&gateway).await.len()), ("invalid_token", 0));
}

#[tokio::test]
async fn an_address_that_was_replaced_is_told_and_one_that_nobody_proved_is_not() {
    let gateway = gateway("").await;
    let change = |token: String, address: &str, password: &str| {
        let body = json!({ "email": address, "current": password }).to_string();
        gateway.ask(Method::PATCH, "/auth/me").bearer(&token).json(&body).send()
    };
    let prove = |address: &'static str| {
        let gateway = &gateway;
        async move {
            let all = letters(gateway).await;
            let token = all.iter().find(|one| one.to.as_deref() == Some(address)).unwrap().token();
            assert_eq!(post(gateway, "/auth/verify-email", json!({ "token": token })).await.status, 200);
        }
    };
    change(gateway.login("ann").await.token(), "ann@new.test", PASSWORD).await;
    prove("ann@new.test").await;
    let sentence = "Your account at Portcullis has another address now, ann@new.test, and this one is not used any more.";
    assert_eq!(told(&gateway).await, [("ann@x.test".to_owned(), sentence.to_owned())]);

    let eve = json!({ "name": "eve", "email": "victim@x.test", "password": NEXT });
    let eve = post(&gateway, "/auth/register", eve).await;
    change(eve.token(), "eve@x.test", NEXT).await;
    prove("eve@x.test").await;
    assert_eq!(told(&gateway).await, []);
}

#[tokio::test]
async fn a_way_to_sign_in_that_is_gone_is_told() {
    let gateway =
        gateway("[login]\ndefault = \"local\"\n[strategies.staff]\nkind = \"local\"\ntitle = \"Staff\"")
            .await;
    let uuid = gateway.control.store.account_by_name("ann").await.unwrap().unwrap().uuid;
    gateway.control.store.add_credential_for_tests(uuid, "staff").await;
    let token = gateway.login("ann").await.token();
    let gone = gateway.ask(Method::DELETE, "/auth/credentials/staff").bearer(&token).send().await;
    assert_eq!(gone.status, 204);
    let sentence = "Your account at Portcullis cannot be signed in to by Staff any more.";
    assert_eq!(told(&gateway).await, [("ann@x.test".to_owned(), sentence.to_owned())]);
}

#[tokio::test]
async fn without_mail_everything_else_goes_on() {
    let gateway = Gateway::start("").await;
    let token = gateway.login("ann").await.token();
    let body = json!({ "current": PASSWORD, "next": NEXT }).to_string();
    let changed = gateway.ask(Method::POST, "/auth/password").bearer(&token).json(&body).send().await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let who: Value = gateway.get("/auth/current").cookie(&cookies(&changed)).send().await.json();
    assert_eq!(who["authenticated"]["name"], "ann");
    assert_eq!(gateway.control.store.count_mails().await.unwrap(), 0);
}
