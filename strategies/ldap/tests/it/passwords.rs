//! New passwords for expired ones, and from the profile page.

use crate::support::{call, denied, good, ldap, login, wrong};
use portcullis_plugin_api::{
    Answer, ChangeSecret, Denial, Form, Outcome, Resume, Strategy, StrategyError, Via,
};
use portcullis_strategy_ldap::Ldap;
use portcullis_tests::directory::Directory;
use serde_json::json;
use std::collections::BTreeMap;

#[track_caller]
pub fn form(answer: Answer<Outcome>) -> Form {
    match answer {
        Ok(Outcome::Form(form)) => form,
        other => panic!("no form: {other:?}"),
    }
}

pub async fn fill_in(ldap: &Ldap, form: &Form, current: &str, next: &str, confirm: &str) -> Answer<Outcome> {
    let params = [("current", current), ("next", next), ("next_confirm", confirm)];
    let params: BTreeMap<String, String> = params.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let request = Resume {
        params,
        flow: form.flow.clone(),
        via: Via::Form,
        resume_url: String::new(),
        state: String::new(),
    };
    ldap.resume(&call(), request).await
}

/// Expired without a grace login: nobody can bind, the service account hands both on.
/// Set by somebody else: the person may bind, and do nothing but change it.
#[tokio::test]
async fn somebody_whose_password_must_change_chooses_a_new_one_and_is_in() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({"password_change": true})).await;
    for (name, old, word) in
        [("expired2", "expired-pass", "expired"), ("reset2", "reset-pass", "somebody else")]
    {
        wrong(login(&ldap, name, "wrong-pass").await);
        let first = form(login(&ldap, name, old).await);
        assert!(first.message.as_deref().unwrap().contains(word), "{first:?}");
        assert_eq!(first.fields.len(), 3);
        assert!(!String::from_utf8_lossy(&first.flow).contains(old), "the flow holds no password");

        // Neither is a failure: the same page again, and its reason.
        let again = fill_in(&ldap, &first, old, "a new one 1", "a new one 2").await;
        let differ = |field: &str, why: &str| field == "next_confirm" && why.contains("differs");
        assert!(
            matches!(&again, Err(StrategyError::BadRequest { field, message }) if differ(field, message)),
            "{again:?}"
        );
        let again = fill_in(&ldap, &first, old, "short", "short").await;
        assert!(
            matches!(&again, Err(StrategyError::WeakSecret(why)) if why.contains("too short")),
            "{again:?}"
        );
        assert_eq!(
            denied(fill_in(&ldap, &first, "wrong", "a new one 1", "a new one 1").await).0,
            Denial::BadCredentials
        );
        wrong(login(&ldap, name, "a new one 1").await);

        let who = good(fill_in(&ldap, &first, old, "a new one 1", "a new one 1").await);
        assert_eq!((who.claims["name"].as_str(), who.secret_changed), (Some(name), true));
        good(login(&ldap, name, "a new one 1").await);
        wrong(login(&ldap, name, old).await);
    }
}

#[tokio::test]
async fn a_grace_login_leads_to_the_page_where_there_is_one() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({"password_change": true})).await;
    assert!(form(login(&ldap, "grace", "grace-pass").await).message.unwrap().contains("expired"));
}

#[tokio::test]
async fn the_profile_page_changes_a_password_with_the_old_one_only() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({"password_change": true})).await;
    let who = good(login(&ldap, "changer", "changer-pass").await);
    let change = async |current: &str, next: &str| {
        let request = ChangeSecret {
            subject: who.subject.clone(),
            credential: None,
            current: current.to_owned(),
            next: next.to_owned(),
            about: Vec::new(),
        };
        ldap.change_secret(&call(), request).await
    };
    wrong(change("wrong-pass", "a new one 1").await);
    assert!(matches!(change("changer-pass", "").await, Err(StrategyError::BadRequest { .. })));
    let weak = change("changer-pass", "short").await;
    assert!(matches!(&weak, Err(StrategyError::WeakSecret(text)) if text.contains("too short")), "{weak:?}");
    let changed = good(change("changer-pass", "a new one 1").await);
    assert_eq!(changed.subject, who.subject);
    let before = change("a new one 1", "changer-pass").await;
    assert!(matches!(&before, Err(StrategyError::WeakSecret(text)) if text.contains("before")), "{before:?}");
    good(login(&ldap, "changer", "a new one 1").await);
    wrong(login(&ldap, "changer", "changer-pass").await);
}

#[tokio::test]
async fn nobodys_password_is_changed_where_the_operator_does_not_allow_it() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({})).await;
    let who = good(login(&ldap, "bob", "bob-pass").await);
    let request = ChangeSecret {
        subject: who.subject,
        credential: None,
        current: "bob-pass".to_owned(),
        next: "a new one 1".to_owned(),
        about: Vec::new(),
    };
    let answer = ldap.change_secret(&call(), request).await;
    assert!(matches!(answer, Err(StrategyError::Unsupported)), "{answer:?}");
    good(login(&ldap, "bob", "bob-pass").await);
}

/// The directory counts failures of its own, and its lock reads like a wrong password.
#[tokio::test]
async fn somebody_whom_the_directory_locks_hears_no_more_than_a_stranger() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({})).await;
    for _ in 0..3 {
        wrong(login(&ldap, "locked", "wrong-pass").await);
    }
    wrong(login(&ldap, "locked", "locked-pass").await);
}
