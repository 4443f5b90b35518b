//! What commands say to machines: `--json` prints one line of JSON and nothing else
//! (contract section 2).

use portcullis_tests::{Request, Site, login::login, program::run, site::PASSWORD, until};
use serde_json::Value;

/// A verb with `--json`: its one line.
fn says(site: &Site, arguments: &[&str], input: &str) -> Value {
    let all = [arguments, &["--json"]].concat();
    let ended = site.gateway.verb(&all, input).with_code(0);
    assert_eq!(ended.stdout.lines().count(), 1, "{arguments:?}: {ended:?}");
    assert!(!ended.stdout.contains("argon2") && !ended.stdout.contains(PASSWORD), "{arguments:?}: {ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {ended:?}"))
}

#[test]
fn what_is_done_to_an_account_is_told_as_the_account_that_it_becomes() {
    let site = Site::own();
    let uuid = says(&site, &["user", "show", "alice"], "")["uuid"].clone();
    let changes: [(&[&str], &str, &str, Value); 6] = [
        (&["user", "roles", "alice", "a", "b c"], "", "roles", serde_json::json!(["a", "b c"])),
        (&["user", "disable", "alice"], "", "active", Value::Bool(false)),
        (&["user", "enable", "alice"], "", "active", Value::Bool(true)),
        (&["user", "unlock", "alice"], "", "name", "alice".into()),
        (
            &["user", "passwd", "alice", "--password-stdin"],
            "another good phrase 41\n",
            "name",
            "alice".into(),
        ),
        (&["user", "delete", "alice"], "", "name", "alice".into()),
    ];
    for (arguments, input, field, value) in changes {
        let account = says(&site, arguments, input);
        assert_eq!((&account["uuid"], &account[field]), (&uuid, &value), "{arguments:?}");
    }
    for arguments in [["user", "disable", "alice", "--json"], ["user", "delete", "alice", "--json"]] {
        let refused = site.gateway.verb(&arguments, "").with_code(1);
        assert!(refused.stdout.is_empty() && refused.stderr.contains("alice"), "{refused:?}");
    }
}

#[test]
fn sessions_that_end_are_counted() {
    let site = Site::own();
    let one = says(&site, &["session", "list"], "")[0]["sid"].as_str().unwrap().to_owned();
    let ended = says(&site, &["session", "revoke", &one], "");
    assert_eq!((&ended["sid"], &ended["ended"]), (&Value::from(one.clone()), &Value::from(1)));
    let (first, _) = (login(&site.gateway, "alice", PASSWORD), login(&site.gateway, "alice", PASSWORD));
    let ended = says(&site, &["session", "revoke", "--account", "alice"], "");
    assert_eq!((&ended["account"], &ended["ended"]), (&Value::from("alice"), &Value::from(2)));
    until("the end of the session", || {
        (site.send(&Request::get("/x").cookie(&first.cookie)).status == 401).then_some(())
    });
    let refused = site.gateway.verb(&["session", "revoke", &one, "--json"], "").with_code(1);
    assert!(refused.stdout.is_empty(), "{refused:?}");
}

#[test]
fn keys_that_are_replaced_and_revoked_are_named() {
    let site = Site::own();
    let rotated = says(&site, &["keys", "rotate"], "");
    let access = rotated.as_array().unwrap().iter().find(|one| one["purpose"] == "access").unwrap();
    let (old, new) = (access["old"].as_str().unwrap(), access["new"].as_str().unwrap());
    let listed = says(&site, &["keys", "list"], "");
    assert!([old, new].iter().all(|kid| listed.as_array().unwrap().iter().any(|key| key["kid"] == *kid)));
    assert_eq!(says(&site, &["keys", "revoke", old], ""), serde_json::json!({"revoked": old, "signs": null}));
    let revoked = says(&site, &["keys", "revoke", new], "");
    assert!(revoked["signs"].is_string(), "{revoked}");
}

#[test]
fn a_hash_is_a_field() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &["hash-password", "--json"], &format!("{PASSWORD}\n")).with_code(0);
    let hash: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(hash["hash"].as_str().unwrap().starts_with("$argon2id$"), "{ended:?}");
}
