//! A strategy in front of the shared directory, and short ways to ask it.

use portcullis_plugin_api::{
    Answer, Authenticated, Begin, Call, Denial, Host, Object, Outcome, Refresh, StartError, Strategy,
};
use portcullis_strategy_ldap::Ldap;
use portcullis_tests::directory::{Directory, SERVICE};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Settings for a directory, with some keys set or, by null, left out.
pub fn table(directory: &Directory, with: Value) -> Object {
    let mut table = json!({
        "url": directory.url(),
        "preset": "openldap",
        "bind_dn": SERVICE.0,
        "bind_password": SERVICE.1,
        "base": "dc=example,dc=org",
        "tls": { "ca": directory.file("ca.pem") },
    });
    let (Value::Object(table), Value::Object(with)) = (&mut table, with) else { panic!("tables") };
    for (key, value) in with {
        match value {
            Value::Null => table.remove(&key),
            value => table.insert(key, value),
        };
    }
    std::mem::take(table)
}

pub fn host() -> Host {
    let next = Arc::new(AtomicU64::new(0));
    Host {
        random: Arc::new(move |bytes: &mut [u8]| {
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = (next.fetch_add(1, Ordering::Relaxed) >> (at % 8)) as u8;
            }
        }),
        now: Arc::new(|| 1_800_000_000_000),
        cores: 2,
    }
}

pub async fn start(table: Object) -> Result<Ldap, StartError> {
    Ldap::start(table, host()).await
}

/// A strategy in front of a directory.
pub async fn ldap(directory: &Directory, with: Value) -> Ldap {
    start(table(directory, with)).await.expect("the settings are right")
}

pub fn call() -> Call {
    Call::new("r", "corp", [127, 0, 0, 1].into())
}

pub async fn login(ldap: &Ldap, name: &str, password: &str) -> Answer<Outcome> {
    let form = [("username", name), ("password", password)];
    let form: BTreeMap<String, String> = form.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    ldap.begin(&call(), Begin { form, ..Begin::default() }).await
}

#[track_caller]
pub fn good(answer: Answer<Outcome>) -> Authenticated {
    match answer {
        Ok(Outcome::Authenticated(who)) => *who,
        other => panic!("not signed in: {other:?}"),
    }
}

#[track_caller]
pub fn denied(answer: Answer<Outcome>) -> (Denial, Option<String>) {
    match answer {
        Ok(Outcome::Denied(denied)) => (denied.reason, denied.message),
        other => panic!("not denied: {other:?}"),
    }
}

#[track_caller]
pub fn wrong(answer: Answer<Outcome>) {
    assert_eq!(denied(answer), (Denial::BadCredentials, None));
}

pub async fn refresh(ldap: &Ldap, who: &Authenticated) -> Answer<Outcome> {
    let request = Refresh { subject: who.subject.clone(), state: who.state.clone() };
    ldap.refresh(&call(), request).await
}

/// The `groups` claim.
pub fn groups(who: &Authenticated) -> Vec<&str> {
    who.claims["groups"].as_array().unwrap().iter().map(|group| group.as_str().unwrap()).collect()
}
