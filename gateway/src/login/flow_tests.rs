//! Logins of several steps: what goes on with one, once, in its own browser; and what
//! never reaches a strategy (security anchors O-01, O-02, O-09, O-20, N-56, N-60 to N-63).

use crate::{
    control::testing::{Answer, Gateway},
    registry::scripted::{self, Asked},
};
use portcullis_plugin_api::{Denial, Denied, Field, FieldKind, Form, Outcome, StrategyError};
use serde_json::json;

const HUB: &str = "[strategies.hub]\nkind = \"oauth\"\nadmit = \"anyone\"\n\
                   [strategies.other]\nkind = \"oauth\"\nadmit = \"anyone\"\n[strategies.corp]\nkind = \"ldap\"\n";

async fn with(keys: &str) -> Gateway {
    Gateway::start(&format!("{keys}\n{HUB}")).await
}

/// A login that was started: its state and the flow cookie.
struct Started {
    state: String,
    cookie: String,
}

async fn start(gateway: &Gateway, target: &str, cookie: Option<&str>) -> Started {
    let ask = gateway.get(target).navigating();
    let ask = match cookie {
        Some(cookie) => ask.cookie(cookie),
        None => ask,
    };
    let answer = ask.send().await;
    assert_eq!(answer.status, 302, "{}", answer.text);
    let (to, state) = answer.location().split_once("state=").unwrap();
    assert_eq!(to, "https://idp.test/authorize?");
    Started { state: state.to_owned(), cookie: answer.cookie_of("portcullis-flow") }
}

async fn back(gateway: &Gateway, query: &str, cookie: &str) -> Answer {
    gateway.get(&format!("/login/hub/callback?{query}")).navigating().cookie(cookie).send().await
}

fn resumed() -> Vec<Asked> {
    scripted::asked().into_iter().filter(|asked| asked.what == "resume").collect()
}

#[tokio::test]
async fn a_provider_sends_the_browser_back_and_it_is_signed_in() {
    let gateway = with("").await;
    let started = start(&gateway, "/login/hub?return_to=/a%3Fb&scope=admin&prompt=none", None).await;
    let begun = scripted::asked().remove(0);
    assert_eq!((begun.what, begun.state == started.state, begun.params.len()), ("begin", true, 0));
    assert_eq!(begun.bytes, b"http://127.0.0.1:8080/login/hub/callback");
    scripted::sign_in("s", &json!({"preferred_username": "ann"}));
    let answer = back(&gateway, &format!("code=c&state={}", started.state), &started.cookie).await;
    assert_eq!((answer.status, answer.location()), (303, "/a?b"), "{}", answer.text);
    assert_eq!(answer.field("referrer-policy"), "no-referrer");
    assert_eq!(gateway.who(&answer.cookie_of("portcullis")).await["name"], "ann@hub");
    let resumed = resumed().remove(0);
    assert_eq!((resumed.bytes.as_slice(), resumed.params["code"].as_str()), (&b"verifier"[..], "c"));
    assert_eq!((resumed.strategy.as_str(), resumed.state == started.state), ("hub", false));
}

/// A link or a form may say who is expected; whether a provider hears of it is its strategy's.
#[tokio::test]
async fn a_link_may_say_who_is_expected_to_sign_in() {
    let gateway = with("").await;
    let long = format!("/login/hub?login_hint={}", "a".repeat(321));
    for (target, said) in [
        ("/login/hub?login_hint=ann%40x.test", Some("ann@x.test")),
        ("/login/hub?login_hint=", None),
        ("/login/hub?login_hint=a%0Ab", None),
        (&long, None),
    ] {
        start(&gateway, target, None).await;
        let begun = scripted::asked().remove(0);
        assert_eq!(begun.params.get("login_hint").map(String::as_str), said, "{target}");
    }
    gateway.post("/login/hub").json(r#"{"username":"bob"}"#).send().await;
    assert_eq!(scripted::asked().remove(0).params["login_hint"], "bob");
}

#[tokio::test]
async fn what_is_missing_foreign_used_or_of_another_strategy_reaches_no_strategy() {
    let gateway = with("").await;
    let one = start(&gateway, "/login/hub", None).await;
    let two = start(&gateway, "/login/hub", None).await;
    let other = start(&gateway, "/login/other", None).await;
    scripted::asked();
    let query = format!("code=c&state={}", one.state);
    for (query, cookie) in [
        ("", one.cookie.as_str()),
        ("code=c", &one.cookie),
        ("code=c&state=", &one.cookie),
        ("code=c&state=unknown", &one.cookie),
        (&query, ""),
        (&query, &two.cookie),
        (&query, "portcullis-flow=x"),
        (&query, &format!("{}; {}", one.cookie, two.cookie)),
        (&format!("code=c&state={}", other.state), &other.cookie),
        (&format!("code=c&state={}", other.state), &one.cookie),
    ] {
        let answer = back(&gateway, query, cookie).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text.contains("Start again") && answer.text.contains("href=\"/login/hub\""));
        assert_eq!((answer.field("set-cookie"), answer.field("referrer-policy")), ("", "no-referrer"));
    }
    // O-02: each parameter once.
    for doubled in
        [format!("{query}&state={}", one.state), format!("{query}&code=d"), format!("{query}&%63ode=d")]
    {
        assert_eq!(back(&gateway, &doubled, &one.cookie).await.status, 400, "{doubled}");
    }
    assert!(resumed().is_empty());
    // Nobody's mistake used it up; its own browser may still go on, once.
    scripted::sign_in("s", &json!({}));
    assert_eq!(back(&gateway, &query, &one.cookie).await.status, 303);
    assert_eq!(back(&gateway, &query, &one.cookie).await.status, 400);
    assert_eq!(resumed().len(), 1);
    gateway.advance(600);
    assert_eq!(back(&gateway, &format!("code=c&state={}", two.state), &two.cookie).await.status, 400);
    let json = gateway.get("/login/hub/callback?state=x").send().await;
    assert_eq!(
        (json.code().as_str(), json.json()["login_url"].as_str()),
        ("stale_login", Some("/login/hub"))
    );
}

#[tokio::test]
async fn many_tabs_share_one_cookie_and_all_succeed() {
    let gateway = with("").await;
    let first = start(&gateway, "/login/hub?return_to=/0", None).await;
    let mut tabs = vec![first.state];
    for tab in 1..4 {
        let next = start(&gateway, &format!("/login/hub?return_to=/{tab}"), Some(&first.cookie)).await;
        assert_eq!(next.cookie, first.cookie);
        tabs.push(next.state);
    }
    for (tab, state) in tabs.iter().enumerate().rev() {
        scripted::sign_in("s", &json!({}));
        let answer = back(&gateway, &format!("state={state}"), &first.cookie).await;
        assert_eq!((answer.status, answer.location()), (303, format!("/{tab}").as_str()));
    }
}

#[tokio::test]
async fn what_a_provider_posts_is_parked_once_and_fetched_with_the_cookie() {
    let gateway = with("").await;
    let started = start(&gateway, "/login/hub", None).await;
    let post = |body: String| {
        gateway
            .post("/login/hub/callback")
            .header("sec-fetch-site", "cross-site")
            .navigating_from_elsewhere()
            .form(&body)
    };
    let posted = format!("code=c&state={}", started.state);
    assert_eq!(post("code=c&state=unknown".into()).send().await.status, 400);
    assert_eq!(post(format!("{posted}&x={}", "y".repeat(9_000))).send().await.status, 413);
    let parked = post(posted.clone()).send().await;
    let here = format!("/login/hub/callback?state={}", started.state);
    assert_eq!((parked.status, parked.location()), (303, here.as_str()), "{}", parked.text);
    assert_eq!(parked.field("set-cookie"), "");
    assert_eq!(post(posted).send().await.status, 400, "once");
    assert!(resumed().is_empty(), "the cookie is looked at first");
    let query = format!("state={}", started.state);
    assert_eq!(back(&gateway, &query, "").await.status, 400);
    scripted::sign_in("s", &json!({}));
    assert_eq!(back(&gateway, &query, &started.cookie).await.status, 303);
    assert_eq!(resumed()[0].params["code"], "c");

    let late = start(&gateway, "/login/hub", None).await;
    assert_eq!(post(format!("code=c&state={}", late.state)).send().await.status, 303);
    gateway.advance(60);
    assert_eq!(back(&gateway, &format!("state={}", late.state), &late.cookie).await.status, 400);
}

#[tokio::test]
async fn a_client_that_reads_json_is_told_where_to_send_the_browser() {
    let gateway = with("").await;
    let answer = gateway.post("/login/hub").json(r#"{"return_to":"/x"}"#).send().await;
    assert_eq!((answer.status, &answer.json()["success"]), (200, &json!(false)));
    let url = answer.json()["redirect"].as_str().unwrap().to_owned();
    let state = url.split_once("state=").unwrap().1;
    scripted::sign_in("s", &json!({}));
    let done = back(&gateway, &format!("state={state}"), &answer.cookie_of("portcullis-flow")).await;
    assert_eq!((done.status, done.location()), (303, "/x"));
    let form = gateway.post("/login/hub").navigating().form("return_to=/y").send().await;
    assert_eq!((form.status, form.location().starts_with("https://idp.test/")), (303, true));
}

#[tokio::test]
async fn a_no_of_the_provider_is_a_page_with_its_code_escaped() {
    let gateway = with("").await;
    let started = start(&gateway, "/login/hub", None).await;
    let message = Some("access_denied<script>".to_owned());
    scripted::answer(Ok(Outcome::Denied(Denied { reason: Denial::ProviderRefused, message, subject: None })));
    let answer = back(&gateway, &format!("error=x&state={}", started.state), &started.cookie).await;
    assert_eq!((answer.status, answer.field("set-cookie")), (403, ""));
    assert!(answer.text.contains("access_denied&lt;script&gt;"), "{}", answer.text);
    for (error, status) in
        [(StrategyError::ProviderInvalid("x".into()), 502), (StrategyError::Failed("x".into()), 503)]
    {
        let started = start(&gateway, "/login/hub", None).await;
        scripted::answer(Err(error));
        let answer = back(&gateway, &format!("state={}", started.state), &started.cookie).await;
        assert_eq!(answer.status, status);
        assert!(answer.text.contains("finds the reason in its log"), "{}", answer.text);
    }
    scripted::answer(Err(StrategyError::Failed("x".into())));
    let answer = gateway.get("/login/hub").navigating().send().await;
    assert!(answer.status == 503 && answer.text.contains("finds the reason in its log"), "{}", answer.text);
}

#[tokio::test]
async fn a_provider_is_reached_from_the_host_that_it_comes_back_to_only() {
    let gateway = with("[server]\nhosts = [\"other.test\"]").await;
    let there = |target: &str| gateway.get(target).at("other.test").navigating();
    let refused = there("/login/hub").send().await;
    assert_eq!((refused.status, refused.text.contains("http://127.0.0.1:8080")), (404, true));
    assert!(!there("/login").send().await.text.contains("/login/hub"));
    assert!(gateway.get("/login").navigating().send().await.text.contains("/login/hub?return_to"));
}

#[tokio::test]
async fn a_strict_session_cookie_is_set_by_a_page_that_moves_on() {
    let gateway = with("[session]\nsame_site = \"strict\"").await;
    let started = start(&gateway, "/login/hub?return_to=/a", None).await;
    scripted::sign_in("s", &json!({}));
    let answer = back(&gateway, &format!("state={}", started.state), &started.cookie).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("http-equiv=\"refresh\" content=\"0; url=/a\""), "{}", answer.text);
    assert_ne!(gateway.who(&answer.cookie_of("portcullis")).await, false);
}

fn new_password(flow: &[u8]) -> Outcome {
    let field = Field {
        name: "new_password".into(),
        kind: FieldKind::NewPassword,
        label: "New password".into(),
        required: true,
    };
    let message = Some("Your password has <expired>.".into());
    Outcome::Form(Form { fields: vec![field], message, flow: flow.to_vec(), subject: None })
}

#[tokio::test]
async fn a_further_step_is_posted_with_its_state_once() {
    let gateway = with("").await;
    scripted::answer(Ok(new_password(b"old")));
    let login = json!({"username": "ann", "password": "right"}).to_string();
    let next = gateway.post("/login/corp").json(&login).send().await;
    assert_eq!((next.status, &next.json()["success"]), (200, &json!(false)));
    let step = next.json()["next"].clone();
    assert_eq!(step["fields"][0]["kind"], "new-password");
    let state = step["state"].as_str().unwrap().to_owned();
    let go_on = |password: &str| {
        let body = json!({"state": state, "new_password": password}).to_string();
        gateway.post("/login/corp").json(&body)
    };
    let wrong = json!({"state": state, "new_password": "x"}).to_string();
    assert_eq!(gateway.post("/login/hub").json(&wrong).send().await.code(), "stale_login");
    scripted::asked();
    scripted::answer(Err(StrategyError::WeakSecret("use more words".into())));
    let weak = go_on("weak").send().await;
    assert_eq!(
        (weak.code().as_str(), weak.json()["detail"].as_str()),
        ("weak_password", Some("use more words"))
    );
    scripted::sign_in("s", &json!({}));
    let done = go_on("better").send().await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.json()["token"].is_string(), "as it was asked for at first");
    let resumed = resumed();
    assert_eq!(
        (resumed[1].bytes.as_slice(), resumed[1].params["new_password"].as_str()),
        (&b"old"[..], "better")
    );
    assert!(!resumed[1].params.contains_key("state"));
    assert_eq!(go_on("again").send().await.code(), "stale_login");
    let called = gateway.get(&format!("/login/corp/callback?state={state}")).send().await;
    assert_eq!(called.code(), "stale_login");
}

#[tokio::test]
async fn a_further_step_is_a_page_that_works_without_scripts() {
    let gateway = with("").await;
    scripted::answer(Ok(new_password(b"old")));
    let page =
        gateway.post("/login/corp").navigating().form("username=ann&password=x&return_to=/a").send().await;
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains("Your password has &lt;expired&gt;.")
            && page.text.contains("autocomplete=\"new-password\"")
    );
    let state =
        page.text.split_once("name=\"state\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let cookie = page.cookie_of("portcullis-flow");
    let form = format!("state={state}&new_password=y");
    let foreign = gateway.post("/login/corp").navigating().form(&form).send().await;
    assert_eq!(foreign.status, 400, "another browser");
    scripted::answer(Err(StrategyError::WeakSecret("use more words".into())));
    let again = gateway.post("/login/corp").navigating().cookie(&cookie).form(&form).send().await;
    assert_eq!((again.status, again.text.contains("use more words")), (400, true), "{}", again.text);
    assert!(again.text.contains(&state));
    scripted::sign_in("s", &json!({}));
    let done = gateway.post("/login/corp").navigating().cookie(&cookie).form(&form).send().await;
    assert_eq!((done.status, done.location()), (303, "/a"));
}

#[tokio::test]
async fn wrong_codes_are_failures_of_whoever_was_typed_in() {
    let gateway = with("[lockout]\nfailures = 3").await;
    for status in [401, 401, 401, 403] {
        scripted::answer(Ok(new_password(b"otp")));
        let login = json!({"username": "ann", "password": "right"}).to_string();
        let next = gateway.post("/login/corp").json(&login).send().await;
        if status == 403 {
            assert_eq!(next.code(), "locked");
            continue;
        }
        scripted::answer(Ok(Outcome::denied(Denial::BadCredentials)));
        let body = json!({"state": next.json()["next"]["state"], "code": "0"}).to_string();
        assert_eq!(gateway.post("/login/corp").json(&body).send().await.status, status);
    }
}

#[tokio::test]
async fn logins_that_nobody_finishes_do_not_pile_up() {
    let gateway = with("").await;
    let kept = start(&gateway, "/login/hub", None).await;
    for _ in 0..crate::store::PER_NETWORK + 20 {
        let answer = gateway.get("/login/hub").from("198.51.100.7").navigating().send().await;
        assert_eq!(answer.status, 302);
    }
    let count = gateway.control.store.count_flows().await.unwrap();
    assert_eq!(count, u64::from(crate::store::PER_NETWORK) + 1);
    scripted::sign_in("s", &json!({}));
    let query = format!("state={}", kept.state);
    assert_eq!(back(&gateway, &query, &kept.cookie).await.status, 303, "another network's keep theirs");
    gateway.advance(601);
    start(&gateway, "/login/hub", None).await;
    assert_eq!(gateway.control.store.count_flows().await.unwrap(), 1, "those that are over are gone");
}

// C-01; contract section 5: a login by a provider gets no refresh token. The cookie of the
// one before is `SameSite=Strict`, and a callback does not show it.
#[tokio::test]
async fn a_provider_login_leaves_nothing_of_whoever_was_there_before() {
    let gateway = with("").await;
    let before = gateway.login("ann").await;
    let (session, refresh) = (before.cookie(), before.cookie_of("portcullis-refresh"));
    // Her cookie opens nothing any more; her refresh token would for two weeks.
    gateway.advance(3_601);
    assert_eq!(gateway.who(&session).await, false);
    let started = start(&gateway, "/login/hub", Some(&session)).await;
    scripted::sign_in("b", &json!({"preferred_username": "bob"}));
    let cookies = format!("{}; {session}", started.cookie);
    let answer = back(&gateway, &format!("code=c&state={}", started.state), &cookies).await;
    assert_eq!(answer.cookie_of("portcullis-refresh"), "portcullis-refresh=", "it is taken back unseen");
    let bob = answer.cookie();
    assert_eq!(gateway.who(&bob).await["name"], "bob@hub");
    let kept = gateway.post("/auth/refresh").cookie(&format!("{bob}; {refresh}")).send().await;
    assert_eq!((kept.status, kept.code().as_str()), (401, "invalid_token"), "her session is over");
}

// Contract section 5: failures are counted. A library may say "wrong, try again" by a form.
#[tokio::test]
async fn a_code_cannot_be_guessed_without_end_by_way_of_the_form_again() {
    let gateway = with("[lockout]\nfailures = 3").await;
    let post = |body: serde_json::Value| gateway.post("/login/corp").json(&body.to_string()).send();
    scripted::answer(Ok(new_password(b"otp")));
    let mut next = post(json!({"username": "ann", "password": "right"})).await;
    for _ in 0..3 {
        scripted::answer(Ok(new_password(b"otp")));
        next = post(json!({"state": next.json()["next"]["state"], "code": "0"})).await;
        assert_eq!(next.status, 200, "{}", next.text);
    }
    scripted::asked();
    let locked = post(json!({"state": next.json()["next"]["state"], "code": "1"})).await;
    assert_eq!((locked.status, locked.code().as_str()), (403, "locked"));
    assert!(resumed().is_empty(), "the fourth guess reaches nobody");
    // An honest chain of steps costs nothing in the end.
    gateway.advance(3_600);
    for _ in 0..4 {
        scripted::answer(Ok(new_password(b"otp")));
        let step = post(json!({"username": "ann", "password": "right"})).await;
        scripted::answer(Ok(new_password(b"change")));
        let step = post(json!({"state": step.json()["next"]["state"], "code": "1"})).await;
        scripted::sign_in("s", &json!({"preferred_username": "ann"}));
        let done = post(json!({"state": step.json()["next"]["state"], "new_password": "y"})).await;
        assert_eq!(done.status, 200, "{}", done.text);
    }
}
