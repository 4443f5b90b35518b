//! When sessions, their cookies and their refresh tokens end, to the second, before a clock
//! that stands still (contract, section 5; rows N-30, N-33).

use crate::control::testing::{Answer, Gateway, PASSWORD};
use serde_json::json;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

async fn is_in(gateway: &Gateway, cookie: &str) -> bool {
    gateway.who(cookie).await != false
}

async fn refresh(gateway: &Gateway, answer: &Answer) -> Answer {
    gateway.post("/auth/refresh").cookie(&answer.cookie_of("portcullis-refresh")).send().await
}

/// What a browser gets by a page: no refresh token.
async fn by_page(gateway: &Gateway) -> Answer {
    let form = format!("username=ann&password={}", PASSWORD.replace(' ', "+"));
    gateway.post("/login/local").form(&form).navigating().send().await
}

#[tokio::test]
async fn a_session_without_a_family_ends_when_it_is_idle_and_when_it_is_old() {
    let gateway = Gateway::start("[session]\nidle = \"1h\"\nlifetime = \"3h\"").await;
    let cookie = by_page(&gateway).await.cookie();
    for _ in 0..3 {
        gateway.advance(HOUR - 1);
        assert!(is_in(&gateway, &cookie).await);
    }
    gateway.advance(3);
    assert!(!is_in(&gateway, &cookie).await, "it is old");
    let cookie = by_page(&gateway).await.cookie();
    gateway.advance(HOUR);
    assert!(!is_in(&gateway, &cookie).await, "it is idle");
}

#[tokio::test]
async fn with_a_family_the_cookie_idles_away_and_the_session_does_not() {
    let gateway = Gateway::start("").await;
    let login = gateway.login("ann").await;
    gateway.advance(HOUR);
    assert!(!is_in(&gateway, &login.cookie()).await);
    let next = refresh(&gateway, &login).await;
    assert_eq!(next.status, 200, "{}", next.text);
    assert!(is_in(&gateway, &next.cookie()).await);
    assert!(!is_in(&gateway, &login.cookie()).await, "what idled away stays so, also within grace");
}

#[tokio::test]
async fn a_cookie_works_for_its_lifetime_since_it_was_given_however_much_it_is_used() {
    let gateway = Gateway::start("").await;
    let login = gateway.login("ann").await;
    for _ in 0..12 {
        assert!(is_in(&gateway, &login.cookie()).await);
        gateway.advance(HOUR - 1);
    }
    gateway.advance(12);
    assert!(!is_in(&gateway, &login.cookie()).await);
    assert!(is_in(&gateway, &refresh(&gateway, &login).await.cookie()).await);
}

#[tokio::test]
async fn the_cookie_before_a_refresh_works_until_grace_ends() {
    let gateway = Gateway::start("").await;
    let login = gateway.login("ann").await;
    let next = refresh(&gateway, &login).await;
    gateway.advance(9);
    assert!(is_in(&gateway, &login.cookie()).await && is_in(&gateway, &next.cookie()).await);
    gateway.advance(1);
    assert!(!is_in(&gateway, &login.cookie()).await && is_in(&gateway, &next.cookie()).await);
}

#[tokio::test]
async fn a_family_ends_fourteen_days_after_its_last_use_and_any_use_counts() {
    let gateway = Gateway::start("").await;
    let (used, unused) = (gateway.login("ann").await, gateway.login("ann").await);
    gateway.advance(13 * DAY);
    let used = refresh(&gateway, &used).await;
    gateway.advance(DAY);
    assert_eq!(refresh(&gateway, &unused).await.code(), "invalid_token");
    gateway.advance(12 * DAY);
    let used = refresh(&gateway, &used).await;
    assert_eq!(used.status, 200);
    let token = used.token();
    gateway.advance(600);
    assert_eq!(gateway.get("/auth/current").bearer(&token).send().await.status, 200);
    gateway.advance(3 * DAY);
    assert_eq!(refresh(&gateway, &used).await.status, 200, "day 29");
}

#[tokio::test]
async fn nothing_moves_the_end_of_a_login() {
    let gateway = Gateway::start("").await;
    let mut answer = gateway.login("ann").await;
    for _ in 0..29 {
        gateway.advance(DAY);
        answer = refresh(&gateway, &answer).await;
        assert_eq!(answer.status, 200);
    }
    gateway.advance(DAY - 60);
    answer = refresh(&gateway, &answer).await;
    assert_eq!(answer.json()["expires_in"], 60, "no token outlives its session");
    let lines: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|l| l.to_str().unwrap()).collect();
    assert!(lines.iter().all(|line| line.contains("Max-Age=60;")), "no cookie does either: {lines:?}");
    gateway.advance(60);
    assert_eq!(refresh(&gateway, &answer).await.code(), "invalid_token");
    assert!(!is_in(&gateway, &answer.cookie()).await);
}

#[tokio::test]
async fn a_logout_by_a_cookie_that_idled_away_ends_the_family_too() {
    let gateway = Gateway::start("").await;
    let login = gateway.login("ann").await;
    gateway.advance(2 * HOUR);
    assert!(!is_in(&gateway, &login.cookie()).await);
    let out = gateway.post("/logout").cookie(&login.cookie()).send().await;
    assert_eq!((out.status, out.json()), (200, json!({ "success": true })));
    assert_eq!(refresh(&gateway, &login).await.code(), "invalid_token");
}

// Contract, section 5: also when the session has expired, and an old credential refuses nothing.
#[tokio::test]
async fn a_logout_by_a_token_that_has_expired_ends_its_session_and_its_family() {
    let gateway = Gateway::start("").await;
    let other = gateway.login("ann").await;
    // The session lives, then it does not: its family could renew it both times.
    for pause in [16 * 60, 2 * HOUR] {
        let login = gateway.login("ann").await;
        gateway.advance(pause);
        let out = gateway.post("/logout").bearer(&login.token()).send().await;
        assert_eq!((out.status, out.json()), (200, json!({ "success": true })));
        assert_eq!(refresh(&gateway, &login).await.code(), "invalid_token");
    }
    assert_eq!(refresh(&gateway, &other).await.status, 200, "the other device is not meant");
}

#[tokio::test]
async fn a_logout_everywhere_by_an_old_token_or_by_the_refresh_cookie_ends_all() {
    let gateway = Gateway::start("").await;
    for by_token in [true, false] {
        let (one, other) = (gateway.login("ann").await, gateway.login("ann").await);
        gateway.advance(16 * 60);
        let logout = gateway.post("/logout?global=true");
        let out = match by_token {
            true => logout.bearer(&one.token()).send().await,
            false => logout.cookie(&one.cookie_of("portcullis-refresh")).send().await,
        };
        assert_eq!((out.status, out.json()), (200, json!({ "success": true })));
        assert_eq!(refresh(&gateway, &other).await.code(), "invalid_token", "{by_token}");
    }
}

#[tokio::test]
async fn a_logout_ends_the_family_of_the_refresh_token_in_its_body_and_a_forged_one_nothing() {
    let gateway = Gateway::start("").await;
    let login = gateway.login("ann").await;
    let forged = format!("{}A", login.token());
    let out = gateway.post("/logout").bearer(&forged).send().await;
    assert_eq!(out.status, 200);
    let next = refresh(&gateway, &login).await;
    assert_eq!(next.status, 200);
    let value = next.cookie_of("portcullis-refresh");
    let value = value.split_once('=').map_or(value.as_str(), |(_, value)| value).to_owned();
    let out = gateway.post("/logout").json(&json!({ "refresh_token": value }).to_string()).send().await;
    assert_eq!(out.status, 200);
    assert_eq!(refresh(&gateway, &next).await.code(), "invalid_token");
}
