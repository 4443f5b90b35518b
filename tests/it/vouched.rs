//! Credentials that somebody else vouches for, given by the admin API: one account, three ways
//! to sign in (seed 3's own example; capability rows 65, 67 to 69).

use crate::openid;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_tests::{
    Gateway, Request, Response, Upstream,
    directory::{Directory, SERVICE},
    login::login,
    provider::{Person, Provider},
    site::PASSWORD,
};
use serde_json::{Value, json};

const USERS: &str = "/auth/admin/users";
const BASE: &str = "dc=example,dc=org";

/// The directory and the local passwords, beside the provider of `openid::gateway`.
fn beside(directory: &Directory) -> String {
    format!(
        "[strategies.local]\nkind = \"local\"\n[accounts]\nprovision = false\n\
         [strategies.corp]\nkind = \"ldap\"\npreset = \"openldap\"\nurls = [\"{}\"]\nbind_dn = \"{}\"\n\
         bind_password = \"{}\"\nbase = \"{BASE}\"\ntls = {{ ca = \"{}\" }}\n",
        directory.url(),
        SERVICE.0,
        SERVICE.1,
        directory.file("ca.pem"),
    )
}

/// What a directory calls somebody for good.
fn entry_uuid(directory: &Directory, uid: &str) -> String {
    let found = directory.tool("ldapsearch", &["-LLL", "-b", BASE, &format!("(uid={uid})"), "entryUUID"], "");
    let line = found.lines().find_map(|line| line.strip_prefix("entryUUID: "));
    line.unwrap_or_else(|| panic!("no entryUUID: {found}")).to_owned()
}

fn sub(answer: &Response) -> Value {
    let body = answer.json();
    let part = body["token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(claims["sub"], body["authenticated"]["uuid"]);
    claims["sub"].clone()
}

/// The account that each of the three ways leads to.
fn ways_in(gateway: &Gateway, provider: &Provider) -> [Value; 3] {
    let by = |id: &str, name: &str, password: &str| {
        let body = json!({ "username": name, "password": password });
        sub(&gateway.send(&Request::post(&format!("/login/{id}")).json(&body)).expect(200, ""))
    };
    let person = Person::new(provider);
    let page = person.sign_in(&gateway.url(), "alice", "/auth/current");
    assert_eq!(page.status, 200, "{page:?}");
    let there = person.current(&gateway.url())["authenticated"]["uuid"].clone();
    [by("local", "whole", PASSWORD), by("corp", "alice", "alice-pass"), there]
}

#[test]
fn one_account_has_three_ways_in_and_who_somebody_is_elsewhere_is_one_persons() {
    let (Some(provider), Some(directory)) = (Provider::shared(), Directory::shared()) else { return };
    let upstream = Upstream::start();
    let gateway = openid::gateway(provider, &upstream, "vouched", &beside(directory), &json!({}));
    gateway.add_user("root", PASSWORD, &["--role", "admin"]);
    let root = login(&gateway, "root", PASSWORD).token;
    let ask = |method: &str, path: &str| Request::new(method, path).bearer(&root);
    let make = |name: &str, issuer: &str| {
        let body = json!({
            "name": name, "password": PASSWORD,
            "credentials": [
                { "strategy": "op", "realm": issuer, "subject": "alice" },
                { "strategy": "corp", "realm": BASE, "subject": entry_uuid(directory, "alice") },
            ],
        });
        gateway.send(&ask("POST", USERS).json(&body))
    };
    let total =
        || gateway.send(&ask("GET", USERS)).expect(200, "").json()["meta"]["pagination"]["total"].clone();

    let made = make("whole", &provider.issuer).expect(201, "").json();
    assert_eq!(ways_in(&gateway, provider), [(); 3].map(|()| made["uuid"].clone()));
    make("second", "https://elsewhere.test").expect(409, "subject_taken");
    assert_eq!(total(), 2, "nothing of the second one was made");
    // With the account its credentials are gone, so they may be somebody else's.
    let path = format!("{USERS}/{}", made["uuid"].as_str().unwrap());
    gateway.send(&ask("DELETE", &path)).expect(204, "");
    let body = json!({ "username": "alice", "password": "alice-pass" });
    gateway.send(&Request::post("/login/corp").json(&body)).expect(403, "not_admitted");
    let again = make("whole", &provider.issuer).expect(201, "").json();
    assert_ne!(again["uuid"], made["uuid"]);
    assert_eq!(ways_in(&gateway, provider), [(); 3].map(|()| again["uuid"].clone()));
}
