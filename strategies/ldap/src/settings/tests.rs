//! Every setting, wrong and right.

use super::*;
use serde_json::{Value, json};

fn read(with: Value) -> Result<Settings, Vec<String>> {
    let mut table = json!({
        "url": "ldaps://ldap.example.org",
        "bind_dn": "cn=svc,dc=example,dc=org",
        "bind_password": "secret",
        "base": "ou=people,dc=example,dc=org",
    });
    let (Value::Object(table), Value::Object(with)) = (&mut table, with) else { panic!("tables") };
    for (key, value) in with {
        match value {
            Value::Null => table.remove(&key),
            value => table.insert(key, value),
        };
    }
    Settings::read(table).map_err(|problems| {
        let text = |p: SettingsProblem| {
            format!("{}: {} ({})", p.path.join("."), p.message, p.expected.unwrap_or_default())
        };
        problems.into_iter().map(text).collect()
    })
}

#[track_caller]
fn refused(with: Value, expected: &str) {
    let problems = read(with.clone()).map(|_| ()).unwrap_err();
    assert!(problems.iter().any(|problem| problem.contains(expected)), "{with}: {problems:#?}");
}

#[test]
fn what_is_not_said_is_safe_and_usual() {
    let settings = read(json!({})).unwrap();
    assert_eq!(settings.servers[0].url, "ldaps://ldap.example.org:636");
    assert_eq!(settings.servers[0].safety, Safety::Tls);
    assert_eq!((settings.timeout, settings.pool), (Duration::from_secs(5), 8));
    assert_eq!(settings.refresh, Duration::from_secs(300));
    assert_eq!(settings.attributes.subject, "entryUUID");
    assert_eq!(settings.groups.base, "dc=example,dc=org");
    assert_eq!(settings.change, None);
    assert_eq!(settings.realm(), "dc=example,dc=org");
    assert!(!format!("{settings:?}").contains("secret"));
}

#[test]
fn a_preset_is_a_default_for_each_of_its_lines() {
    let settings = read(json!({"preset": "active-directory"})).unwrap();
    assert_eq!(settings.attributes.subject, "objectGUID");
    assert_eq!(settings.groups.nested, Nested::InChain);
    assert!(settings.groups.primary);
    let settings = read(json!({
        "preset": "active-directory", "attributes": {"subject": "objectSid"}, "groups": {"nested": false},
    }));
    let settings = settings.unwrap();
    assert_eq!((settings.attributes.subject.as_str(), settings.groups.nested), ("objectSid", Nested::No));
    let settings = read(json!({"preset": "openldap", "groups": {"attribute": "memberOf"}})).unwrap();
    assert!(settings.groups.filter.is_none() && settings.groups.member_of.as_deref() == Some("memberOf"));
    for preset in ["openldap", "active-directory", "389ds", "freeipa", "lldap"] {
        let change = read(json!({"preset": preset, "password_change": true})).unwrap().change;
        let expected =
            if preset == "active-directory" { ChangeBy::UnicodePwd } else { ChangeBy::PasswordModify };
        assert_eq!(change, Some(expected), "{preset}");
    }
}

#[test]
fn a_server_without_tls_is_only_taken_with_a_word_for_it() {
    refused(json!({"url": "ldap://ldap.example.org"}), "anybody on the way can read");
    let safety = |with| read(with).unwrap().servers[0].safety;
    assert_eq!(safety(json!({"url": "ldap://ldap.example.org", "start_tls": true})), Safety::StartTls);
    assert_eq!(safety(json!({"url": "ldap://ldap.example.org", "danger_plaintext": true})), Safety::Plain);
    let both = json!({"url": "ldap://ldap.example.org", "start_tls": true, "danger_plaintext": true});
    assert_eq!(safety(both), Safety::StartTls);
    assert_eq!(safety(json!({"danger_plaintext": true})), Safety::Tls);
}

#[test]
fn urls_name_servers_and_nothing_else() {
    for (url, host, port) in [
        ("ldaps://a.example", "a.example", 636),
        ("LDAPS://A.example:1636/", "a.example", 1636),
        ("ldaps://10.0.0.1", "10.0.0.1", 636),
        ("ldaps://[::1]:7", "::1", 7),
    ] {
        let settings = read(json!({ "url": url })).unwrap();
        assert_eq!((settings.servers[0].host.as_str(), settings.servers[0].port), (host, port), "{url}");
    }
    for url in [
        "a.example",
        "https://a.example",
        "ldaps://",
        "ldaps://a.example/dc=x",
        "ldaps://a.example?uid",
        "ldaps://u:p@a.example",
        "ldaps://a.example:0",
        "ldaps://a.example:99999",
        "ldaps://a b",
        "ldaps://[::1]7",
    ] {
        refused(json!({ "url": url }), "url: `url`: ");
    }
    refused(json!({"url": null, "urls": ["ldaps://a.example", "ldaps://a.example:636"]}), "twice");
    refused(json!({"url": null, "urls": []}), "a string or a list");
    refused(json!({"urls": ["ldaps://a.example"]}), "both given");
    refused(json!({"url": null}), "`url` is missing");
    refused(json!({"start_tls": true}), "TLS already");
}

#[test]
fn what_is_missing_or_does_not_fit_is_named() {
    refused(json!({"base": null}), "`base` is missing");
    refused(json!({"bind_dn": null, "bind_password": null}), "`bind_dn` is missing");
    refused(json!({"bind_password": null}), "`bind_password` is missing");
    refused(json!({"bind_dn": null}), "`bind_dn` is missing");
    refused(json!({"bind_password": ""}), "`bind_password` is empty");
    refused(json!({"filter": "(uid=alice)"}), "does not ask who signs in");
    refused(json!({"filter": "(uid={username}"}), "no LDAP filter");
    refused(json!({"user_dn": "uid=x,dc=y"}), "must have `{username}` once");
    refused(json!({"preset": "active_directory"}), "did you mean `active-directory`?");
    refused(json!({"preset": "novell"}), "one of \"openldap\"");
    refused(json!({"timeout": "10s"}), "\"100ms\" to \"9s\"");
    refused(json!({"timeout": 5}), "\"100ms\" to \"9s\"");
    refused(json!({"pool": 0}), "an integer from 1 to 256");
    refused(json!({"refresh": "5"}), "`refresh` cannot be");
    refused(json!({"tls": {"ca": "/nowhere/ca.pem"}}), "tls.ca: `ca` cannot be used: /nowhere/ca.pem");
    refused(json!({"tls": {"certificate": "/x.pem"}}), "tls: `key` is missing");
    refused(json!({"tls": {"server_name": "a b"}}), "tls.server_name: `server_name` is no host name");
    refused(json!({"tls": {"verify": false}}), "tls.verify: unknown key `verify`");
    refused(json!({"attributes": {"subject": "DN"}}), "a DN changes");
    refused(json!({"attributes": {"email": "my mail"}}), "is no attribute");
    refused(json!({"groups": {"filter": "(cn=ops)"}}), "does not ask for anybody's groups");
    refused(
        json!({"groups": {"filter": "(memberUid={username})", "nested": true}}),
        "need a filter with `{dn}`",
    );
    refused(
        json!({"groups": {"atribute": "cn"}}),
        "groups.atribute: unknown key `atribute` (did you mean `attribute`?)",
    );
    refused(json!({"tls": true}), "`tls` cannot be true or false (a table)");
    refused(json!({"bind_pasword": "x"}), "did you mean `bind_password`?");
}

#[test]
fn every_problem_is_reported_at_once() {
    let problems = read(json!({"url": "x", "pool": -1, "filter": 3, "colour": "red", "tls": {"ca": 1}}));
    assert_eq!(problems.unwrap_err().len(), 5);
}
