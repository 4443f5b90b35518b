//! Logins from outside, as a directory's form makes them: who is admitted, which account
//! it comes to, what it is called, which roles it has.

use crate::{
    control::testing::{Answer, Gateway, PASSWORD},
    registry::scripted,
    store::{AccountChange, NewAccount, NewCredential},
};
use portcullis_plugin_api::{Authenticated, Denial, Denied, Outcome, StrategyError, Subject};
use serde_json::{Value, json};

const CORP: &str = "[strategies.corp]\nkind = \"ldap\"\n";

async fn with(keys: &str) -> Gateway {
    Gateway::start(&format!("{CORP}{keys}\n[login]\ndefault = \"local\"\n")).await
}

async fn post(gateway: &Gateway, password: &str) -> Answer {
    let body = json!({"username": "ann", "password": password}).to_string();
    gateway.post("/login/corp").json(&body).send().await
}

async fn sign_in(gateway: &Gateway, subject: &str, claims: Value) -> Answer {
    scripted::sign_in(subject, &claims);
    post(gateway, "right").await
}

#[tokio::test]
async fn a_first_login_makes_an_account_and_the_next_finds_it_by_its_subject() {
    let gateway = with("default_roles = [\"guest\"]").await;
    let claims =
        json!({"preferred_username": "Ann Lee", "email": "Ann@Corp.test", "display_name": "Ann Lee"});
    let first = sign_in(&gateway, "uuid-1", claims).await;
    let account = first.json()["authenticated"].clone();
    assert_eq!(account["name"], "ann-lee@corp", "{}", first.text);
    assert_eq!((&account["email"], &account["roles"]), (&json!("ann@corp.test"), &json!(["guest"])));
    assert_eq!(gateway.who(&first.cookie()).await["uuid"], account["uuid"]);
    // Renamed there: a name once given stays, and so does the account.
    let later = sign_in(&gateway, "uuid-1", json!({"preferred_username": "ann.smith"})).await;
    assert_eq!(later.json()["authenticated"], account);
    let other =
        sign_in(&gateway, "uuid-2", json!({"preferred_username": "Ann Lee", "email": "ann@corp.test"})).await;
    let other = other.json()["authenticated"].clone();
    assert!(other["name"].as_str().unwrap().starts_with("ann-lee-") && other["email"].is_null(), "{other}");
    assert_ne!(other["uuid"], account["uuid"], "an address is no key");
}

#[tokio::test]
async fn roles_of_groups_are_the_credentials_and_are_replaced_at_each_login() {
    let gateway = with("roles = { ops = \"admin\" }\ngroups_as_roles = true").await;
    let one = sign_in(&gateway, "s", json!({"groups": ["ops", "dev"]})).await;
    let uuid = one.json()["authenticated"]["uuid"].as_str().unwrap().parse().unwrap();
    assert_eq!(one.json()["authenticated"]["roles"], json!(["admin", "dev"]));
    assert_eq!(gateway.control.store.account(uuid).await.unwrap().unwrap().roles, Vec::<String>::new());
    assert!(
        gateway.control.store.set_roles(uuid, vec!["vip".into()], gateway.control.clock.now()).await.unwrap()
    );
    let two = sign_in(&gateway, "s", json!({"groups": ["dev"]})).await;
    assert_eq!(two.json()["authenticated"]["roles"], json!(["vip", "dev"]));
    let none = sign_in(&gateway, "s", json!({"groups": []})).await;
    assert_eq!(none.json()["authenticated"]["roles"], json!(["vip"]));
}

#[tokio::test]
async fn admit_is_asked_before_an_account_is_found_or_made() {
    let gateway = with("admit = { all = [{ role = \"staff\" }, { email_domain = \"corp.test\" }] }\nroles = { s = \"staff\" }").await;
    let good = json!({"groups": ["s"], "email": "a@corp.test"});
    assert_eq!(sign_in(&gateway, "s", good.clone()).await.status, 200);
    for bad in
        [json!({"groups": [], "email": "a@corp.test"}), json!({"groups": ["s"], "email": "a@evil.test"})]
    {
        for subject in ["s", "new"] {
            let answer = sign_in(&gateway, subject, bad.clone()).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "not_admitted"));
            assert_eq!(answer.field("set-cookie"), "");
        }
    }
    let made = gateway.control.store.account_by_subject("corp", "https://idp.test", "new").await.unwrap();
    assert!(made.is_none());
}

#[tokio::test]
async fn nobody_comes_in_without_an_account_where_none_is_made_or_it_is_disabled() {
    let gateway = with("provision = false").await;
    assert_eq!(sign_in(&gateway, "s", json!({})).await.code(), "not_admitted");
    let gateway = with("").await;
    let made = sign_in(&gateway, "s", json!({})).await;
    let uuid = made.json()["authenticated"]["uuid"].as_str().unwrap().parse().unwrap();
    gateway.control.store.set_active(uuid, false, gateway.control.clock.now()).await.unwrap();
    // The right password of a disabled account is answered like a wrong one (contract section 5).
    let right = sign_in(&gateway, "s", json!({})).await;
    let wrong = post(&gateway, "wrong").await;
    assert_eq!((right.status, right.code().as_str()), (401, "bad_credentials"));
    assert_eq!(right.without_id(), wrong.without_id());
}

#[tokio::test]
async fn the_right_password_of_a_disabled_account_is_counted_like_a_wrong_one() {
    let gateway = with("[lockout]\nfailures = 3").await;
    let made = sign_in(&gateway, "s", json!({"preferred_username": "ann"})).await;
    let uuid = made.json()["authenticated"]["uuid"].as_str().unwrap().parse().unwrap();
    gateway.control.store.set_active(uuid, false, gateway.control.clock.now()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(sign_in(&gateway, "s", json!({})).await.code(), "bad_credentials");
    }
    assert_eq!(post(&gateway, "right").await.code(), "locked");
}

/// Row L-05.
#[tokio::test]
async fn a_name_has_one_count_of_failures_with_or_without_its_ending_and_with_any_white_space() {
    let gateway = with("[lockout]\nfailures = 3").await;
    let mut answers = Vec::new();
    for name in ["Ann Lee", "ann  lee", " ANN\u{3000}Lee @CORP", "ann \u{a0}\tlee"] {
        let body = json!({"username": name, "password": "wrong"}).to_string();
        answers.push(gateway.post("/login/corp").json(&body).send().await.code());
    }
    assert_eq!(answers, ["bad_credentials", "bad_credentials", "bad_credentials", "locked"]);
}

#[tokio::test]
async fn of_many_first_logins_at_once_one_makes_the_account() {
    let gateway = with("").await;
    for _ in 0..4 {
        scripted::sign_in("same", &json!({"preferred_username": "ann"}));
    }
    let go = || post(&gateway, "right");
    let (a, b, c, d) = tokio::join!(go(), go(), go(), go());
    let uuids: std::collections::BTreeSet<String> =
        [a, b, c, d].iter().map(|answer| answer.json()["authenticated"]["uuid"].to_string()).collect();
    assert_eq!(uuids.len(), 1);
    assert_eq!(gateway.control.store.accounts().await.unwrap().len(), 2, "ann of `local`, and this one");
}

#[tokio::test]
async fn a_login_joins_an_account_only_where_both_addresses_were_vouched_for() {
    let vouched = json!({"email": "ann@x.test"});
    let linked = with("link = \"verified-email\"").await;
    let answer = sign_in(&linked, "s", vouched.clone()).await;
    assert_eq!(answer.json()["authenticated"]["name"], "ann", "the address was an operator's");

    let never = with("").await;
    let answer = sign_in(&never, "s", vouched.clone()).await;
    assert_ne!(answer.json()["authenticated"]["name"], "ann");
    assert!(answer.json()["authenticated"]["email"].is_null(), "it is somebody else's");

    let mistrusted = with("link = \"verified-email\"\ntrust_email = false").await;
    let answer = sign_in(&mistrusted, "s", vouched.clone()).await;
    assert_ne!(answer.json()["authenticated"]["name"], "ann");

    // Verified by a mailed link only: the account's owner may be whoever registered first.
    let mailed = with("link = \"verified-email\"").await;
    let account = NewAccount {
        active: true,
        uuid: mailed.control.random.uuid(),
        name: "eve".into(),
        name_proved: true,
        email: Some("bob@x.test".into()),
        email_verified: false,
        display_name: None,
        roles: vec![],
        metadata: Default::default(),
        app: Default::default(),
    };
    let credential = NewCredential {
        strategy: "local".into(),
        realm: "local".into(),
        subject: "eve".into(),
        secret: None,
    };
    mailed
        .control
        .store
        .create_account(account, vec![credential], mailed.control.clock.now())
        .await
        .unwrap()
        .unwrap();
    let answer = sign_in(&mailed, "s", json!({"email": "bob@x.test"})).await;
    assert_ne!(answer.json()["authenticated"]["name"], "eve");
}

#[tokio::test]
async fn an_address_that_an_operator_sets_later_is_vouched_for_and_the_one_before_no_more() {
    let gateway = with("link = \"verified-email\"").await;
    let ann = gateway.control.store.account_by_name("ann").await.unwrap().unwrap();
    let set = |email: Option<&str>| {
        let change = AccountChange { email: Some(email.map(str::to_owned)), ..AccountChange::default() };
        gateway.control.store.change_account(ann.uuid, change, gateway.control.clock.now())
    };
    set(Some("new@x.test")).await.unwrap().unwrap();
    let answer = sign_in(&gateway, "old", json!({"email": "ann@x.test", "preferred_username": "x"})).await;
    assert_ne!(answer.json()["authenticated"]["name"], "ann");
    let answer = sign_in(&gateway, "new", json!({"email": "new@x.test", "preferred_username": "y"})).await;
    assert_eq!(answer.json()["authenticated"]["name"], "ann", "{}", answer.text);
    set(None).await.unwrap().unwrap();
    let answer = sign_in(&gateway, "third", json!({"email": "new@x.test", "preferred_username": "z"})).await;
    assert_ne!(answer.json()["authenticated"]["name"], "ann");
}

#[tokio::test]
async fn wrong_passwords_are_counted_before_the_directory_is_asked_and_outages_are_not() {
    let gateway = with("[lockout]\nfailures = 3").await;
    for _ in 0..5 {
        scripted::answer(Err(StrategyError::Busy));
        assert_eq!(post(&gateway, "x").await.code(), "busy");
        gateway.advance(60);
    }
    for _ in 0..3 {
        assert_eq!(post(&gateway, "wrong").await.code(), "bad_credentials");
    }
    scripted::asked();
    assert_eq!(sign_in(&gateway, "s", json!({})).await.code(), "locked");
    assert!(scripted::asked().is_empty(), "a locked pair reaches no directory");
    assert_eq!(gateway.try_login("ann", PASSWORD).await.status, 200, "`ann` of `local` is somebody else");
}

#[tokio::test]
async fn a_no_after_the_right_password_says_why_and_is_no_failure() {
    let gateway = with("[lockout]\nfailures = 2").await;
    for (reason, code) in [(Denial::Locked, "locked"), (Denial::NotAdmitted, "not_admitted")] {
        for _ in 0..3 {
            let message = Some("Your account is <locked> there.".to_owned());
            scripted::answer(Ok(Outcome::Denied(Denied { reason, message, subject: None })));
            let answer = post(&gateway, "right").await;
            assert_eq!((answer.status, answer.code().as_str()), (403, code));
            assert_eq!(answer.json()["detail"], "Your account is <locked> there.");
        }
    }
    assert_eq!(sign_in(&gateway, "s", json!({})).await.status, 200);
}

#[tokio::test]
async fn without_a_name_nothing_is_asked() {
    let gateway = with("").await;
    for body in ["{}", r#"{"password":"x"}"#, r#"{"username":"","password":"x"}"#, r#"{"username":3}"#] {
        let answer = gateway.post("/login/corp").json(body).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{body}");
    }
    assert!(scripted::asked().iter().all(|asked| asked.params.is_empty()));
}

#[tokio::test]
async fn what_no_strategy_may_say_is_no_login() {
    let gateway = with("").await;
    let answer = sign_in(&gateway, "s", json!({"x": "a".repeat(20_000)})).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "strategy_unavailable"));
}

// Contract sections 1 and 6: roles are replaced whole at each login, and count on the next
// request. No look at the store's events is made here.
#[tokio::test]
async fn a_role_that_a_later_login_did_not_bring_is_gone_from_earlier_sessions_at_once() {
    let gateway = with("groups_as_roles = true").await;
    let first = sign_in(&gateway, "s", json!({"groups": ["ops"]})).await.cookie();
    assert_eq!(gateway.who(&first).await["roles"], json!(["ops"]));
    let second = sign_in(&gateway, "s", json!({"groups": []})).await.cookie();
    assert_eq!(gateway.who(&first).await["roles"], json!([]));
    assert_eq!(gateway.who(&second).await["roles"], json!([]));
}

async fn post_as(gateway: &Gateway, name: &str, answer: Outcome) -> (u16, String) {
    scripted::answer(Ok(answer));
    let body = json!({"username": name, "password": "x"}).to_string();
    let answer = gateway.post("/login/corp").json(&body).send().await;
    let code = if answer.status == 200 { String::new() } else { answer.code() };
    (answer.status, code)
}

fn wrong(subject: Option<&str>) -> Outcome {
    Outcome::denied(Denial::BadCredentials).about(subject.and_then(Subject::new))
}

// Row L-05.
#[tokio::test]
async fn failures_are_counted_on_a_person_under_all_their_names_together() {
    let gateway = with("[lockout]\nfailures = 3").await;
    let right = || Outcome::Authenticated(Box::new(scripted::who("s", &json!({"name": "al"}))));
    let bad = || (401, "bad_credentials".to_owned());
    let locked = || (403, "locked".to_owned());
    for name in ["al", "al@x.test", "al2@x.test"] {
        assert_eq!(post_as(&gateway, name, wrong(Some("s"))).await, bad(), "{name}");
    }
    // Whatever it was: who guesses under a fourth name hears nothing of the password.
    for name in ["al", "al2@x.test", "al3@x.test"] {
        for outcome in
            [wrong(Some("s")), right(), Outcome::denied(Denial::NotAdmitted).about(Subject::new("s"))]
        {
            assert_eq!(post_as(&gateway, name, outcome).await, locked(), "{name}");
        }
    }
    assert_eq!(post_as(&gateway, "bob", wrong(Some("t"))).await, bad(), "somebody else");
    for _ in 0..3 {
        assert_eq!(post_as(&gateway, "nobody", wrong(None)).await, bad());
    }
    let body = json!({"username": "nobody", "password": "x"}).to_string();
    assert_eq!(gateway.post("/login/corp").json(&body).send().await.code(), "locked");

    gateway.advance(16 * 60);
    assert_eq!(post_as(&gateway, "al3@x.test", right()).await.0, 200);
    // There is an account now, and its lock is an operator's to open.
    for name in ["al", "al@x.test", "al2@x.test"] {
        assert_eq!(post_as(&gateway, name, wrong(Some("s"))).await, bad(), "{name}");
    }
    assert_eq!(post_as(&gateway, "al3@x.test", right()).await, locked());
    gateway.control.store.unlock("al@corp").await.unwrap();
    assert_eq!(post_as(&gateway, "al3@x.test", right()).await.0, 200);
    // A success clears the person's count, and undecided logins leave none.
    for name in ["a", "b", "c", "d"] {
        assert_eq!(post_as(&gateway, name, wrong(Some("s"))).await, bad());
        assert_eq!(post_as(&gateway, "al", right()).await.0, 200);
    }
}

#[tokio::test]
async fn a_password_that_was_changed_on_the_way_in_ends_all_older_sessions() {
    let gateway = with("").await;
    let older = sign_in(&gateway, "s", json!({})).await.cookie();
    let other = sign_in(&gateway, "t", json!({})).await.cookie();
    assert_ne!(gateway.who(&older).await, false);
    let changed = Authenticated { secret_changed: true, ..scripted::who("s", &json!({})) };
    scripted::answer(Ok(Outcome::Authenticated(Box::new(changed))));
    let newer = post(&gateway, "right").await;
    assert_eq!(newer.status, 200, "{}", newer.text);
    assert_eq!(gateway.who(&older).await, json!(false));
    assert_ne!(gateway.who(&newer.cookie()).await, false);
    assert_ne!(gateway.who(&other).await, false);
}
