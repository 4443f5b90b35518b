//! A login added to an account: asked for, freshly, from our own pages, in a session that
//! still lives.

use crate::{
    control::testing::{Answer, Gateway, PASSWORD},
    registry::scripted,
};
use serde_json::json;

const HUB: &str =
    "[strategies.hub]\nkind = \"oauth\"\nadmit = \"anyone\"\n[strategies.corp]\nkind = \"ldap\"\n";

async fn ask(gateway: &Gateway, cookie: &str) -> Answer {
    gateway.post("/login/hub").cookie(cookie).json(r#"{"link":true,"return_to":"/me"}"#).send().await
}

async fn back(gateway: &Gateway, asked: &Answer, subject: &str) -> Answer {
    let url = asked.json()["redirect"].as_str().unwrap().to_owned();
    let state = url.split_once("state=").unwrap().1;
    scripted::sign_in(subject, &json!({"preferred_username": "ann-at-hub"}));
    let target = format!("/login/hub/callback?state={state}");
    gateway.get(&target).navigating().cookie(&asked.cookie_of("portcullis-flow")).send().await
}

async fn sign_in(gateway: &Gateway, subject: &str) -> Answer {
    let asked = gateway.post("/login/hub").json("{}").send().await;
    back(gateway, &asked, subject).await
}

#[tokio::test]
async fn a_linked_login_opens_the_same_account() {
    let gateway = Gateway::start(HUB).await;
    let ann = gateway.login("ann").await.cookie();
    let asked = ask(&gateway, &ann).await;
    let linked = back(&gateway, &asked, "s").await;
    assert_eq!((linked.status, linked.location()), (303, "/me"), "{}", linked.text);
    assert_eq!(linked.field("set-cookie"), "", "it signs nobody in");
    let later = sign_in(&gateway, "s").await.cookie();
    assert_eq!(gateway.who(&later).await["name"], "ann");
    let again = ask(&gateway, &gateway.login("ann").await.cookie()).await;
    assert_eq!(back(&gateway, &again, "s").await.status, 303, "it is hers already");
    let form = json!({"username": "x", "password": "right", "link": true}).to_string();
    scripted::sign_in("c", &json!({}));
    let corp =
        gateway.post("/login/corp").cookie(&gateway.login("ann").await.cookie()).json(&form).send().await;
    assert_eq!((corp.status, &corp.json()["authenticated"]["name"]), (200, &json!("ann")), "{}", corp.text);
    assert!(corp.json()["token"].is_null());
    let form = json!({"data": {"type": "users", "attributes": {"username": "x", "password": "right", "link": true}}});
    scripted::sign_in("c", &json!({}));
    let ann = gateway.login("ann").await.cookie();
    let told = gateway.post("/login/corp").cookie(&ann).json(&form.to_string()).send().await;
    assert_eq!(told.field("content-type"), "application/vnd.api+json", "{}", told.text);
}

#[tokio::test]
async fn a_way_to_sign_in_that_was_added_is_told_to_the_owner() {
    let mail = "[mail]\nurl = \"file:/nowhere/mail\"\nfrom = \"us@x.test\"\n";
    let gateway = Gateway::start(&format!("{HUB}\n{mail}")).await;
    let ann = gateway.login("ann").await.cookie();
    let asked = ask(&gateway, &ann).await;
    assert_eq!(gateway.control.store.count_mails().await.unwrap(), 0, "asking is no news");
    assert_eq!(back(&gateway, &asked, "s").await.status, 303);
    assert_eq!(gateway.control.store.count_mails().await.unwrap(), 1);
    let again = ask(&gateway, &ann).await;
    assert_eq!(back(&gateway, &again, "s").await.status, 303);
    assert_eq!(gateway.control.store.count_mails().await.unwrap(), 1, "it was hers before");
}

// Contract section 5, the row of credentials: a subject of another account is 409, whoever keeps it.
#[tokio::test]
async fn a_password_that_the_gateway_keeps_is_its_own_accounts_and_no_others() {
    let gateway = Gateway::start("[login]\ndefault = \"local\"\n[strategies.staff]\nkind = \"local\"").await;
    gateway.add("bob", "staff").await;
    let ann = gateway.login("ann").await.cookie();
    let link = |id: &str, name: &str, password: &str| {
        let body = json!({ "username": name, "password": password, "link": true }).to_string();
        gateway.post(&format!("/login/{id}")).cookie(&ann).json(&body).send()
    };
    let theirs = link("staff", "bob", PASSWORD).await;
    assert_eq!((theirs.status, theirs.code().as_str()), (409, "subject_taken"), "{}", theirs.text);
    assert_eq!(theirs.field("set-cookie"), "", "and it signs nobody in");
    assert_eq!(link("staff", "bob", "wrong").await.code(), "bad_credentials");
    let own = link("local", "ann", PASSWORD).await;
    assert_eq!((own.status, &own.json()["authenticated"]["name"]), (200, &json!("ann")), "{}", own.text);
    assert_eq!(gateway.get("/login/staff?link=1").navigating().cookie(&ann).send().await.status, 200);
    let alone = json!({ "username": "bob", "password": PASSWORD, "link": true }).to_string();
    assert_eq!(gateway.post("/login/staff").json(&alone).send().await.status, 403);
}

#[tokio::test]
async fn nothing_is_linked_without_a_fresh_session_of_our_own_pages() {
    let gateway = Gateway::start(HUB).await;
    let nobody = gateway.post("/login/hub").json(r#"{"link":true}"#).send().await;
    assert_eq!((nobody.status, nobody.code().as_str()), (403, "forbidden"));
    let ann = gateway.login("ann").await.cookie();
    let foreign = gateway.post("/login/hub").cookie(&ann).header("origin", "https://evil.test");
    assert_eq!(foreign.json(r#"{"link":true}"#).send().await.code(), "foreign_origin");
    gateway.advance(601);
    let stale = ask(&gateway, &ann).await;
    assert_eq!((stale.status, stale.code().as_str()), (403, "fresh_login_required"));
}

#[tokio::test]
async fn the_callback_needs_the_session_alive_and_the_subject_free() {
    let gateway = Gateway::start(HUB).await;
    assert_eq!(sign_in(&gateway, "taken").await.status, 303);
    let ann = gateway.login("ann").await.cookie();
    let asked = ask(&gateway, &ann).await;
    assert_eq!(back(&gateway, &asked, "taken").await.status, 409);
    let asked = ask(&gateway, &ann).await;
    gateway.post("/logout").cookie(&ann).send().await;
    let answer = back(&gateway, &asked, "s").await;
    assert_eq!((answer.status, answer.field("set-cookie")), (403, ""));
    let store = &gateway.control.store;
    assert!(store.account_by_subject("hub", "https://idp.test", "s").await.unwrap().is_none());
}

#[tokio::test]
async fn a_link_on_a_page_shows_a_button_and_starts_nothing() {
    let gateway = Gateway::start(HUB).await;
    scripted::asked();
    let page = |cookie: &str| gateway.get("/login/hub?link=1&return_to=/me").navigating().cookie(cookie);
    assert_eq!(page("").send().await.status, 403);
    let ann = gateway.login("ann").await.cookie();
    let shown = page(&ann).send().await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("name=\"link\" value=\"true\"") && shown.text.contains("value=\"/me\""));
    assert!(shown.field("content-security-policy").contains("form-action 'self' https:"));
    assert!(scripted::asked().is_empty());
    let posted =
        gateway.post("/login/hub").navigating().cookie(&ann).form("link=true&return_to=/me").send().await;
    assert_eq!(posted.status, 303);
    assert!(posted.location().starts_with("https://idp.test/"));
    let corp = gateway.get("/login/corp?link=1").navigating().cookie(&ann).send().await;
    assert!(corp.text.contains("name=\"password\"") && corp.text.contains("name=\"link\""));
}

// Contract section 5, Pages: a browser form fails with the same page.
#[tokio::test]
async fn a_wrong_password_shows_the_page_of_the_link_again_and_signs_nobody_in_later() {
    let gateway = Gateway::start(HUB).await;
    let ann = gateway.login("ann").await.cookie();
    let post = |form: &str| gateway.post("/login/corp").navigating().cookie(&ann).form(form).send();
    let again = post("username=x&password=wrong&link=true&return_to=/me").await;
    assert_eq!(again.status, 401, "{}", again.text);
    assert!(again.text.contains("role=\"alert\"") && again.text.contains("Add "), "{}", again.text);
    assert!(again.text.contains("name=\"link\" value=\"true\"") && again.text.contains("value=\"/me\""));
    scripted::sign_in("c", &json!({}));
    let linked = post("username=x&password=right&link=true&return_to=/me").await;
    assert_eq!((linked.status, linked.location(), linked.field("set-cookie")), (303, "/me", ""));
    assert_eq!(gateway.who(&ann).await["name"], "ann", "she is still signed in as she was");
    assert_eq!(gateway.control.store.accounts().await.unwrap().len(), 1, "nobody else was made");
}
