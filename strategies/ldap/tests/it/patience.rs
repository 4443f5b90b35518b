//! A login whose own time is up says nothing of the server: the next one is let in at once.

use crate::{
    hostile::before,
    one_person::{end, entry, holds},
    server::{Guest, listen},
    support::{call, good, login},
};
use portcullis_plugin_api::{Health, Outcome, Strategy, StrategyError};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// A person's bind takes long, as with a hash that is made to.
async fn slow_to_judge(each: Duration) -> u16 {
    let (port, _) = listen(move |mut guest: Guest| async move {
        while let Some(heard) = guest.hear().await {
            match heard.operation {
                0x60 if holds(&heard, "svc") => guest.end(heard.id, 0x61, 0).await,
                0x60 => {
                    tokio::time::sleep(each).await;
                    guest.end(heard.id, 0x61, 0).await;
                }
                _ => {
                    let attributes = [("uid", "alice"), ("entryUUID", "1")];
                    guest.say(&entry(heard.id, "uid=alice,dc=example", &attributes)).await;
                    guest.say(&end(heard.id, 0)).await;
                }
            }
        }
    })
    .await;
    port
}

#[tokio::test]
async fn more_logins_than_a_slow_directory_can_judge_set_nobody_aside() {
    let port = slow_to_judge(Duration::from_millis(150)).await;
    let ldap = Arc::new(before(port, json!({"timeout": "2s", "pool": 2})).await);
    let mut logins = JoinSet::new();
    for _ in 0..60 {
        let ldap = ldap.clone();
        logins.spawn(async move { login(&ldap, "alice", "alice-pass").await });
    }
    let (mut signed_in, mut busy) = (0, 0);
    while let Some(answer) = logins.join_next().await {
        match answer.unwrap() {
            Ok(Outcome::Authenticated(_)) => signed_in += 1,
            Err(StrategyError::Busy) => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(signed_in > 0 && busy > 0, "{signed_in} signed in, {busy} came too late");
    assert!(matches!(ldap.health(&call()).await, Ok(Health::Healthy)));
    good(login(&ldap, "alice", "alice-pass").await);
}

#[tokio::test]
async fn somebody_whose_groups_take_too_long_to_look_up_is_nobody_elses_trouble() {
    let (port, _) = listen(|mut guest: Guest| async move {
        while let Some(heard) = guest.hear().await {
            let id = heard.id;
            if heard.operation == 0x60 {
                guest.end(id, 0x61, 0).await;
                continue;
            }
            let bob = holds(&heard, "bob");
            let found: Vec<Vec<u8>> = match holds(&heard, "member") {
                false => {
                    let name = if bob { "bob" } else { "alice" };
                    vec![entry(id, &format!("uid={name},dc=example"), &[("uid", name), ("entryUUID", name)])]
                }
                true if holds(&heard, "alice") => (0..60)
                    .map(|n| entry(id, &format!("cn=g{n},dc=example"), &[("cn", &format!("g{n}"))]))
                    .collect(),
                true => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Vec::new()
                }
            };
            guest.say(&found.concat()).await;
            guest.say(&end(id, 0)).await;
        }
    })
    .await;
    let groups = json!({"filter": "(member={dn})", "nested": true});
    let ldap = before(port, json!({"timeout": "2s", "groups": groups})).await;
    let answer = login(&ldap, "alice", "alice-pass").await;
    assert!(matches!(answer, Err(StrategyError::Busy)), "{answer:?}");
    assert!(matches!(ldap.health(&call()).await, Ok(Health::Healthy)));
    good(login(&ldap, "bob", "bob-pass").await);
}
