//! What is wrong with one person, or with one search: their login fails, and the strategy
//! and its server stay what they are for everybody else.

use crate::{
    hostile::before,
    server::{Guest, Heard, element, listen, message},
    support::{call, denied, good, groups, login},
};
use portcullis_plugin_api::{Answer, Denial, Health, Outcome, Strategy, StrategyError};
use portcullis_strategy_ldap::Ldap;
use serde_json::{Value, json};
use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering};

/// An entry with these attributes.
pub fn entry(id: u8, dn: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let one = |(name, value): &(&str, &str)| {
        let values = element(0x31, &element(4, value.as_bytes()));
        element(0x30, &[element(4, name.as_bytes()), values].concat())
    };
    let all: Vec<u8> = attributes.iter().flat_map(one).collect();
    message(id, 0x64, &[element(4, dn.as_bytes()), element(0x30, &all)].concat())
}

pub fn end(id: u8, code: u8) -> Vec<u8> {
    message(id, 0x65, &[0x0a, 1, code, 4, 0, 4, 0])
}

pub fn holds(heard: &Heard, text: &str) -> bool {
    heard.bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Answers searches as it is told; the name is whom the connection is bound as.
async fn directory(
    answer: impl Fn(&Heard, &str) -> Vec<u8> + Clone + Send + Sync + 'static,
) -> (u16, Arc<AtomicUsize>) {
    listen(move |mut guest: Guest| {
        let answer = answer.clone();
        async move {
            let mut bound = "";
            while let Some(heard) = guest.hear().await {
                if heard.operation == 0x60 {
                    bound = ["svc", "alice", "bob"]
                        .into_iter()
                        .find(|who| holds(&heard, who))
                        .unwrap_or_default();
                    guest.end(heard.id, 0x61, 0).await;
                } else {
                    guest.say(&answer(&heard, bound)).await;
                }
            }
        }
    })
    .await
}

fn alice(id: u8) -> Vec<u8> {
    let attributes = [("uid", "alice"), ("entryUUID", "1")];
    [entry(id, "uid=alice,dc=example", &attributes), end(id, 0)].concat()
}

#[track_caller]
fn unfit(answer: Answer<Outcome>, why: &str) {
    match answer {
        Err(StrategyError::UnusableCredential(text)) if text.contains(why) => {}
        other => panic!("not about one person ({why}): {other:?}"),
    }
}

const BY_GROUP: &str = "(member={dn})";

/// With time enough for a busy machine.
async fn ldap(port: u16, mut with: Value) -> Ldap {
    with["timeout"] = "9s".into();
    before(port, with).await
}

#[tokio::test]
async fn a_group_search_that_the_server_cuts_off_signs_nobody_in() {
    let (port, _) = directory(|heard, _| match holds(heard, "member") {
        false => alice(heard.id),
        true => {
            let group =
                |n: usize| entry(heard.id, &format!("cn=g{n},dc=example"), &[("cn", &format!("g{n}"))]);
            let mut all: Vec<u8> = (0..3).flat_map(group).collect();
            all.extend(end(heard.id, 4));
            all
        }
    })
    .await;
    let ldap = ldap(port, json!({"groups": {"filter": BY_GROUP}})).await;
    unfit(login(&ldap, "alice", "alice-pass").await, "no more than 3 groups");
}

#[tokio::test]
async fn a_part_of_somebodys_groups_is_not_taken_for_all_of_them() {
    let (port, _) = directory(|heard, _| {
        let attributes = [
            ("uid", "alice"),
            ("entryUUID", "1"),
            ("memberOf", "cn=ops,dc=example"),
            ("memberOf;range=0-0", "cn=ops,dc=example"),
        ];
        [entry(heard.id, "uid=alice,dc=example", &attributes), end(heard.id, 0)].concat()
    })
    .await;
    unfit(login(&ldap(port, json!({})).await, "alice", "alice-pass").await, "a part of");
}

#[tokio::test]
async fn a_search_that_takes_the_server_too_long_may_be_asked_again() {
    let (port, _) = directory(|heard, _| match holds(heard, "member") {
        false => alice(heard.id),
        // timeLimitExceeded
        true => end(heard.id, 3),
    })
    .await;
    let ldap = ldap(port, json!({"groups": {"filter": BY_GROUP}})).await;
    let answer = login(&ldap, "alice", "alice-pass").await;
    assert!(matches!(answer, Err(StrategyError::Busy)), "{answer:?}");
    assert!(matches!(ldap.health(&call()).await, Ok(Health::Healthy)));
}

#[tokio::test]
async fn a_search_that_is_refused_is_the_trouble_of_whoever_it_is_for() {
    let (port, binds) = directory(|heard, _| match holds(heard, "member") {
        false => alice(heard.id),
        // adminLimitExceeded
        true => end(heard.id, 11),
    })
    .await;
    let ldap = ldap(port, json!({"groups": {"filter": BY_GROUP}})).await;
    for _ in 0..6 {
        unfit(login(&ldap, "alice", "alice-pass").await, "code 11");
    }
    assert!(matches!(ldap.health(&call()).await, Ok(Health::Healthy)), "the server is not set aside");
    // One service bind, and with each login the person's and the service account's again.
    assert_eq!(binds.load(Ordering::SeqCst), 1 + 6 * 2, "and its connections are kept");
}

#[tokio::test]
async fn an_entry_that_cannot_say_who_it_is_is_nobody_elses_trouble() {
    let (port, _) = directory(|heard, _| {
        [entry(heard.id, "uid=alice,dc=example", &[("uid", "alice")]), end(heard.id, 0)].concat()
    })
    .await;
    unfit(login(&ldap(port, json!({})).await, "alice", "alice-pass").await, "entryUUID");
}

#[tokio::test]
async fn a_directory_that_judges_nobody_is_an_error_for_those_who_are_not_there_too() {
    let (port, _) = listen(|mut guest: Guest| async move {
        while let Some(heard) = guest.hear().await {
            match heard.operation {
                0x60 if holds(&heard, "cn=svc") => guest.end(heard.id, 0x61, 0).await,
                // confidentialityRequired
                0x60 => guest.end(heard.id, 0x61, 13).await,
                _ if holds(&heard, "alice") => guest.say(&alice(heard.id)).await,
                _ => guest.end(heard.id, 0x65, 0).await,
            }
        }
    })
    .await;
    let ldap = ldap(port, json!({})).await;
    for name in ["alice", "nobody"] {
        let answer = login(&ldap, name, "some-pass").await;
        assert!(matches!(answer, Err(StrategyError::Failed(_))), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn what_one_person_may_not_see_is_not_hidden_from_the_next() {
    let (port, _) = directory(|heard, bound| {
        let person = format!("uid={bound},dc=example");
        if !holds(heard, "member") {
            let attributes = [("uid", bound), ("entryUUID", bound)];
            return [entry(heard.id, &person, &attributes), end(heard.id, 0)].concat();
        }
        let found = match (holds(heard, &person), holds(heard, "cn=dev"), bound) {
            (true, ..) => entry(heard.id, "cn=dev,dc=example", &[("cn", "dev")]),
            (_, true, "alice") => entry(heard.id, "cn=staff,dc=example", &[("cn", "staff")]),
            _ => Vec::new(),
        };
        [found, end(heard.id, 0)].concat()
    })
    .await;
    let with = json!({
        "bind_dn": null, "bind_password": null, "user_dn": "uid={username},dc=example",
        "groups": {"filter": BY_GROUP, "nested": true},
    });
    let ldap = ldap(port, with).await;
    let bob = good(login(&ldap, "bob", "bob-pass").await);
    assert_eq!(groups(&bob), ["cn=dev,dc=example", "dev"]);
    let alice = good(login(&ldap, "alice", "alice-pass").await);
    assert_eq!(groups(&alice), ["cn=dev,dc=example", "cn=staff,dc=example", "dev", "staff"]);
}

/// Row L-05: whoever was meant is named, under each of their names, also where the password was
/// wrong.
#[tokio::test]
async fn a_no_says_whom_it_was_about_where_that_is_known() {
    let (port, _) = listen(|mut guest: Guest| async move {
        while let Some(heard) = guest.hear().await {
            match heard.operation {
                0x60 if holds(&heard, "cn=svc") => guest.end(heard.id, 0x61, 0).await,
                0x60 => guest.end(heard.id, 0x61, 49).await,
                _ if holds(&heard, "al") => {
                    let attributes = [("uid", "alice"), ("mail", "al@x"), ("entryUUID", "1")];
                    guest.say(&entry(heard.id, "uid=alice,dc=example", &attributes)).await;
                    guest.say(&end(heard.id, 0)).await;
                }
                _ => guest.end(heard.id, 0x65, 0).await,
            }
        }
    })
    .await;
    let ldap = ldap(port, json!({"filter": "(|(uid={username})(mail={username}))"})).await;
    for (name, whom) in [("alice", Some("1")), ("al@x", Some("1")), ("nobody", None)] {
        let Ok(Outcome::Denied(no)) = login(&ldap, name, "wrong").await else { panic!("{name}") };
        assert_eq!((no.reason, no.subject.as_ref().map(|who| who.as_str())), (Denial::BadCredentials, whom));
    }
}

#[tokio::test]
async fn a_page_for_a_new_password_is_only_shown_where_it_could_be_set() {
    let (port, _) = listen(|mut guest: Guest| async move {
        while let Some(heard) = guest.hear().await {
            let text =
                b"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 773, v1db1";
            let body = [&[0x0a, 1, 49, 4, 0][..], &element(4, text)].concat();
            guest.say(&message(heard.id, 0x61, &body)).await;
        }
    })
    .await;
    let with = |user_dn: &str| {
        json!({
            "bind_dn": null, "bind_password": null, "user_dn": user_dn, "preset": "active-directory",
            "password_change": true,
        })
    };
    let by_name = ldap(port, with("{username}@corp.example")).await;
    let (reason, message) = denied(login(&by_name, "alice", "alice-pass").await);
    assert!(reason == Denial::NotAdmitted && message.unwrap().contains("Change it where you usually do"));
    let by_dn = ldap(port, with("cn={username},dc=example")).await;
    assert!(matches!(login(&by_dn, "alice", "alice-pass").await, Ok(Outcome::Form(_))));
}
