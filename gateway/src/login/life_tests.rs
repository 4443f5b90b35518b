//! The life of a login from outside after it: looking again, logout there and here
//! (security anchors O-18, N-71, N-72, R-21, R-42).

use super::look_again;
use crate::{
    control::testing::{Answer, Gateway},
    registry::scripted,
};
use portcullis_plugin_api::{Authenticated, Denial, Outcome, StrategyError};
use serde_json::{Value, json};
use std::time::Duration;

async fn with(keys: &str) -> Gateway {
    let hub =
        format!("[strategies.hub]\nkind = \"oauth\"\nadmit = \"anyone\"\ngroups_as_roles = true\n{keys}");
    Gateway::start(&format!("{hub}\n[strategies.corp]\nkind = \"ldap\"\n")).await
}

fn who(claims: &Value) -> Authenticated {
    Authenticated {
        refresh_after: Some(Duration::from_secs(300)),
        provider_session: Some("P1".into()),
        ..scripted::who("s", claims)
    }
}

async fn sign_in(gateway: &Gateway, who: Authenticated) -> Answer {
    let start = gateway.get("/login/hub").navigating().send().await;
    let state = start.location().split_once("state=").unwrap().1.to_owned();
    scripted::answer(Ok(Outcome::Authenticated(Box::new(who))));
    let target = format!("/login/hub/callback?state={state}");
    let answer = gateway.get(&target).navigating().cookie(&start.cookie_of("portcullis-flow")).send().await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    answer
}

async fn roles(gateway: &Gateway, cookie: &str) -> Value {
    gateway.who(cookie).await["roles"].clone()
}

fn refreshes() -> usize {
    scripted::asked().iter().filter(|asked| asked.what == "refresh").count()
}

#[tokio::test]
async fn a_refresh_brings_new_roles_to_every_session_of_the_credential_with_one_call() {
    let gateway = with("").await;
    let one = sign_in(&gateway, who(&json!({"groups": ["a"]}))).await.cookie();
    let two = sign_in(&gateway, scripted::who("s", &json!({"groups": ["a", "b"]}))).await.cookie();
    assert_eq!(roles(&gateway, &two).await, json!(["a", "b"]));
    look_again::pass(&gateway.control).await.unwrap();
    assert_eq!(refreshes(), 0, "not yet");
    gateway.advance(300);
    let next = Authenticated { state: b"next".to_vec(), ..who(&json!({"groups": ["c"]})) };
    scripted::answer(Ok(Outcome::Authenticated(Box::new(next))));
    let pass = || look_again::pass(&gateway.control);
    let (a, b, c) = tokio::join!(pass(), pass(), pass());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    let asked: Vec<_> = scripted::asked().into_iter().filter(|asked| asked.what == "refresh").collect();
    assert_eq!((asked.len(), asked[0].bytes.as_slice()), (1, &b"tokens of s"[..]));
    assert_eq!((roles(&gateway, &one).await, roles(&gateway, &two).await), (json!(["c"]), json!(["c"])));
    gateway.advance(300);
    scripted::answer(Ok(Outcome::Authenticated(Box::new(who(&json!({}))))));
    look_again::pass(&gateway.control).await.unwrap();
    assert_eq!(scripted::asked()[0].bytes, b"next");
    assert_eq!(roles(&gateway, &one).await, json!([]));
}

#[tokio::test]
async fn a_no_ends_the_session_and_an_outage_does_not_for_a_time() {
    let gateway = with("").await;
    let cookie = sign_in(&gateway, who(&json!({}))).await.cookie();
    gateway.advance(300);
    for _ in 0..3 {
        scripted::answer(Err(StrategyError::Busy));
        look_again::pass(&gateway.control).await.unwrap();
        assert_ne!(gateway.who(&cookie).await, false);
        gateway.advance(30);
    }
    scripted::asked();
    scripted::answer(Ok(Outcome::denied(Denial::NotAdmitted)));
    look_again::pass(&gateway.control).await.unwrap();
    assert_eq!((refreshes(), gateway.who(&cookie).await), (1, json!(false)));

    let cookie = sign_in(&gateway, who(&json!({}))).await.cookie();
    gateway.advance(300);
    scripted::answer(Err(StrategyError::UnusableCredential("over 1000 groups".into())));
    look_again::pass(&gateway.control).await.unwrap();
    assert_eq!(gateway.who(&cookie).await, json!(false), "about this one person, so no outage");

    let gateway = with("[session]\nidle = \"12h\"").await;
    let cookie = sign_in(&gateway, who(&json!({}))).await.cookie();
    for hours in 0..7 {
        gateway.advance(3_600);
        scripted::answer(Err(StrategyError::Busy));
        look_again::pass(&gateway.control).await.unwrap();
        assert_eq!(gateway.who(&cookie).await == false, hours >= 6, "after {hours} hours");
    }
}

#[tokio::test]
async fn admit_is_asked_at_each_refresh() {
    let hub = "[strategies.hub]\nkind = \"oauth\"\nadmit = { roles = [\"in\"] }\ngroups_as_roles = true";
    let gateway = Gateway::start(&format!("{hub}\n")).await;
    let cookie = sign_in(&gateway, who(&json!({"groups": ["in"]}))).await.cookie();
    gateway.advance(300);
    scripted::answer(Ok(Outcome::Authenticated(Box::new(who(&json!({"groups": ["out"]}))))));
    look_again::pass(&gateway.control).await.unwrap();
    assert_eq!(gateway.who(&cookie).await, false);
}

/// N-70: the provider hears of every login that ends, not only of the one of this browser.
#[tokio::test]
async fn a_logout_everywhere_gives_every_login_back() {
    let gateway = with("").await;
    let one = sign_in(&gateway, who(&json!({}))).await.cookie();
    let other = Authenticated { state: b"tokens of another device".to_vec(), ..who(&json!({})) };
    sign_in(&gateway, other).await;
    scripted::asked();
    gateway.post("/logout?global=true").cookie(&one).send().await;
    let mut told = Vec::new();
    while told.len() < 2 {
        tokio::task::yield_now().await;
        told.extend(scripted::asked().into_iter().filter(|asked| asked.what == "logout"));
    }
    told.sort_by(|a, b| a.bytes.cmp(&b.bytes));
    let told: Vec<_> = told.iter().map(|asked| asked.bytes.as_slice()).collect();
    assert_eq!(told, [&b"tokens of another device"[..], b"tokens of s"]);
}

#[tokio::test]
async fn a_logout_goes_on_to_the_provider() {
    let gateway = with("").await;
    let cookie = sign_in(&gateway, who(&json!({}))).await.cookie();
    scripted::asked();
    let answer = gateway.post("/logout?return_to=/bye").cookie(&cookie).send().await;
    assert_eq!(answer.json(), json!({"success": true, "redirect": "https://idp.test/end"}));
    assert_eq!(gateway.who(&cookie).await, false);
    let asked = scripted::asked().remove(0);
    assert_eq!((asked.what, asked.bytes.as_slice()), ("logout", &b"tokens of s"[..]));
    assert_eq!(asked.state, "http://127.0.0.1:8080/login", "the one that is registered there");
    let cookie = sign_in(&gateway, who(&json!({}))).await.cookie();
    let page = gateway.get("/logout").navigating().cookie(&cookie).send().await;
    assert_eq!((page.status, page.location()), (303, "https://idp.test/end"));
    let asks = gateway.get("/logout").header("sec-fetch-site", "cross-site").send().await;
    let policy = asks.field("content-security-policy");
    assert!(
        policy.contains("form-action 'self' https:"),
        "browsers hold it against where the form ends: {policy}"
    );
    let local = gateway.login("ann").await.cookie();
    assert_eq!(gateway.post("/logout").cookie(&local).send().await.json(), json!({"success": true}));
}

#[tokio::test]
async fn a_provider_ends_the_sessions_that_its_notice_names_once() {
    let gateway = with("").await;
    let other = || Authenticated { provider_session: Some("P2".into()), ..who(&json!({})) };
    let one = sign_in(&gateway, who(&json!({}))).await.cookie();
    let two = sign_in(&gateway, other()).await.cookie();
    let tell = |token: &str| {
        gateway
            .post("/login/hub/backchannel-logout")
            .form(&format!("logout_token={token}"))
            .header("origin", "null")
    };
    for bad in ["nonsense", ""] {
        let answer = tell(bad).send().await;
        assert_eq!((answer.status, answer.field("cache-control")), (400, "no-store"));
    }
    assert_eq!(gateway.post("/login/hub/backchannel-logout").json("{}").send().await.status, 400);
    assert_eq!(
        gateway.post("/login/corp/backchannel-logout").form("logout_token=x").send().await.status,
        404
    );
    assert_ne!(gateway.who(&one).await, false);
    let answer = tell("sid+P1+j1").send().await;
    assert_eq!((answer.status, answer.field("cache-control")), (200, "no-store"));
    assert_eq!((gateway.who(&one).await, gateway.who(&two).await == false), (json!(false), false));
    assert_eq!(tell("sub+s+j1").send().await.status, 400, "a value is good for once");
    assert_ne!(gateway.who(&two).await, false);
    let three = sign_in(&gateway, who(&json!({}))).await.cookie();
    assert_eq!(tell("sub+s+j2").send().await.status, 200);
    assert_eq!((gateway.who(&two).await, gateway.who(&three).await), (json!(false), json!(false)));
    let four = sign_in(&gateway, who(&json!({}))).await.cookie();
    let front = gateway
        .get("/login/hub/frontchannel-logout?iss=x&sid=sid+P1+j3")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(front.send().await.status, 200);
    assert_eq!(gateway.who(&four).await, false);
}

#[tokio::test]
async fn a_notice_that_ended_nothing_because_the_store_failed_may_come_again() {
    let gateway = with("").await;
    let ann = sign_in(&gateway, who(&json!({}))).await.cookie();
    let tell = || gateway.post("/login/hub/backchannel-logout").form("logout_token=sub+s+j1");
    let other = rusqlite::Connection::open(gateway.control.store.path()).unwrap();
    other.execute_batch("ALTER TABLE sessions RENAME TO hidden").unwrap();
    assert_eq!(tell().send().await.code(), "store_unavailable");
    other.execute_batch("ALTER TABLE hidden RENAME TO sessions").unwrap();
    assert_eq!(tell().send().await.status, 200);
    assert_eq!(gateway.who(&ann).await, false);
}

#[tokio::test]
async fn no_session_outlives_what_its_strategy_allows() {
    let gateway = with("").await;
    let short = Authenticated { session_max: Some(Duration::from_secs(60)), ..who(&json!({})) };
    let cookie = sign_in(&gateway, short).await.cookie();
    gateway.advance(59);
    assert_ne!(gateway.who(&cookie).await, false);
    gateway.advance(2);
    assert_eq!(gateway.who(&cookie).await, false);
}

// OpenID Connect Back-Channel Logout section 2.7: a provider tries again what failed.
#[tokio::test]
async fn a_notice_that_could_not_be_carried_out_is_good_for_another_try() {
    let gateway = with("").await;
    let cookie = sign_in(&gateway, who(&json!({}))).await.cookie();
    let tell = || gateway.post("/login/hub/backchannel-logout").form("logout_token=sid+P1+j1").send();
    let other = rusqlite::Connection::open(gateway.control.store.path()).unwrap();
    other.execute_batch("ALTER TABLE sessions RENAME TO hidden").unwrap();
    assert_eq!(tell().await.status, 503);
    other.execute_batch("ALTER TABLE hidden RENAME TO sessions").unwrap();
    assert_eq!(tell().await.status, 200);
    assert_eq!(gateway.who(&cookie).await, false);
    assert_eq!(tell().await.status, 400, "done once, it is done");
}
