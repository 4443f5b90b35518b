//! Who gets in, and what is known of them then.

use crate::support::{denied, good, groups, ldap, login, wrong};
use portcullis_plugin_api::{Denial, StrategyError};
use portcullis_tests::directory::Directory;
use serde_json::json;

#[tokio::test]
async fn the_right_password_signs_in_and_says_who_it_is() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({})).await;
    let who = good(login(&ldap, "alice", "alice-pass").await);
    assert_eq!(who.claims["name"], "alice");
    assert_eq!(who.claims["display_name"], "Alice Example");
    assert_eq!(who.claims["email"], "alice@example.org");
    assert_eq!(who.claims["email_verified"], true);
    assert_eq!(who.realm, "dc=example,dc=org");
    assert_eq!(who.methods, ["pwd"]);
    assert_eq!(
        groups(&who),
        ["cn=ops,ou=groups,dc=example,dc=org", "cn=unix,ou=groups,dc=example,dc=org", "ops", "unix"]
    );
    let uuid =
        directory.tool("ldapsearch", &["-LLL", "-b", "dc=example,dc=org", "(uid=alice)", "entryUUID"], "");
    assert!(uuid.contains(&format!("entryUUID: {}", who.subject.as_str())), "{uuid}");
}

#[tokio::test]
async fn a_wrong_password_an_unknown_name_and_two_of_one_name_are_the_same_no() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({})).await;
    for (name, password) in [
        ("alice", "bob-pass"),
        ("alice", "alice-pass "),
        ("nobody", "alice-pass"),
        // L-03: two entries, the same right password.
        ("twin", "twin-pass"),
    ] {
        wrong(login(&ldap, name, password).await);
    }
    good(login(&ldap, "bob", "bob-pass").await);
}

/// Rows L-01, N-83.
#[tokio::test]
async fn an_empty_password_never_reaches_the_directory() {
    let Some(directory) = Directory::own() else { return };
    let ldap = ldap(&directory, json!({})).await;
    let direct = crate::support::ldap(
        &directory,
        json!({"user_dn": "uid={username},ou=people,dc=example,dc=org", "bind_dn": null, "bind_password": null}),
    )
    .await;
    for password in ["", "\0", "\0alice-pass", "alice-pass\0"] {
        for ldap in [&ldap, &direct] {
            let answer = login(ldap, "alice", password).await;
            assert!(
                matches!(&answer, Err(StrategyError::BadRequest { field, .. }) if field == "password"),
                "{password:?}: {answer:?}"
            );
        }
    }
    assert!(!directory.log().contains("BIND"), "{}", directory.log());
    good(login(&ldap, "alice", "alice-pass").await);
    assert!(directory.log().contains("BIND dn=\"uid=alice"), "the log shows binds");
}

/// Rows L-02, L-04, N-84, N-85: what would be syntax is a name, and found if it is one.
#[tokio::test]
async fn what_a_person_types_is_never_syntax() {
    let Some(directory) = Directory::shared() else { return };
    let search = ldap(directory, json!({})).await;
    let template = "uid={username},ou=people,dc=example,dc=org";
    let direct =
        ldap(directory, json!({"user_dn": template, "bind_dn": null, "bind_password": null, "preset": null}))
            .await;
    for name in [
        "*",
        "a*",
        "al*ce",
        "*)(uid=*",
        "alice)(|(uid=*",
        "alice)(objectClass=*",
        r"\2a",
        r"ali\63e",
        "alice\0",
        "admin,ou=svc",
        "alice,ou=people",
        "alice+cn=Alice",
        "#616c696365",
        "alice\\",
        "{username}",
        "{dn}",
        "alice,ou=people,dc=example,dc=org",
        "\u{ff0a}",
        "alice)(",
        "(",
        ")",
        "&",
        "|",
        "!",
    ] {
        for ldap in [&search, &direct] {
            wrong(login(ldap, name, "alice-pass").await);
        }
    }
    for ldap in [&search, &direct] {
        let who = good(login(ldap, r"star*(x)\,+", "star-pass").await);
        assert_eq!(who.claims["name"], r"star*(x)\,+");
    }
    let log = directory.log();
    for filter in [r"(uid=\2A\29\28uid=\2A)", r"(uid=alice\00)", r"(uid=\5C2a)"] {
        let found = log.lines().any(|line| line.to_uppercase().contains(&filter.to_uppercase()));
        assert!(found, "no search for {filter}");
    }
}

/// Row L-05: however a name is spelt, it is one person.
#[tokio::test]
async fn every_spelling_of_a_name_is_one_subject() {
    let Some(directory) = Directory::shared() else { return };
    let filter = "(|(uid={username})(mail={username}))";
    let ldap = ldap(directory, json!({ "filter": filter })).await;
    let first = good(login(&ldap, "alice", "alice-pass").await);
    for name in
        ["Alice", "ALICE", "alice ", "alice@example.org", "ALICE@Example.org", "alice.second@example.org"]
    {
        let who = good(login(&ldap, name, "alice-pass").await);
        assert_eq!((&who.subject, &who.claims), (&first.subject, &first.claims), "{name}");
    }
}

#[tokio::test]
async fn a_direct_bind_needs_no_service_account() {
    let Some(directory) = Directory::shared() else { return };
    let template = "uid={username},ou=people,dc=example,dc=org";
    let with = json!({"user_dn": template, "bind_dn": null, "bind_password": null, "preset": null});
    let ldap = ldap(directory, with).await;
    let who = good(login(&ldap, "alice", "alice-pass").await);
    assert_eq!(who.claims["email"], "alice@example.org");
    assert_eq!(who.refresh_after, None, "nobody could look again");
    let day = std::time::Duration::from_secs(12 * 60 * 60);
    assert_eq!(who.session_max, Some(day), "so they sign in again each day");
    wrong(login(&ldap, "alice", "wrong-pass").await);
    wrong(login(&ldap, "nobody", "alice-pass").await);
}

#[tokio::test]
async fn names_and_values_outside_of_ascii_are_read() {
    let Some(directory) = Directory::shared() else { return };
    let with = json!({"attributes": {"name": "jpegPhoto", "email": "jpegPhoto"}});
    let ldap = ldap(directory, with).await;
    let who = good(login(&ldap, "josé", "jose-pass").await);
    assert_eq!(who.claims["display_name"], "José \"J\", the one");
    assert!(!who.claims.contains_key("name") && !who.claims.contains_key("email"), "{:?}", who.claims);
}

#[tokio::test]
async fn somebody_whose_account_an_operator_closed_hears_no_more_than_a_stranger() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({})).await;
    // OpenLDAP says so before it looks at the password.
    wrong(login(&ldap, "closed", "closed-pass").await);
    wrong(login(&ldap, "closed", "wrong-pass").await);
}

#[tokio::test]
async fn an_expired_password_is_told_after_it_was_right_and_not_before() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({})).await;
    for (name, password) in [("expired", "expired-pass"), ("grace", "grace-pass"), ("reset", "reset-pass")] {
        wrong(login(&ldap, name, "wrong-pass").await);
        let (reason, message) = denied(login(&ldap, name, password).await);
        assert_eq!(reason, Denial::NotAdmitted);
        assert!(message.unwrap().contains("password"), "{name}");
    }
}

/// Row W-01: nobody can count or time their way to who is in the directory.
#[tokio::test]
async fn somebody_who_is_not_there_costs_the_operations_of_a_wrong_password() {
    let Some(directory) = Directory::own() else { return };
    let direct = json!({
        "user_dn": "uid={username},ou=people,dc=example,dc=org", "bind_dn": null, "bind_password": null,
    });
    let walk = json!({ "groups": { "base": "ou=groups,dc=example,dc=org", "nested": true } });
    for (way, with) in [("search", json!({})), ("search and groups", walk), ("direct", direct)] {
        let ldap = ldap(&directory, with).await;
        // The first one opens the connections that the others find.
        wrong(login(&ldap, "alice", "wrong-pass").await);
        let mut costs = Vec::new();
        for name in ["bob", "nobody", "twin", "x)(uid=*"] {
            let before = operations(&directory);
            wrong(login(&ldap, name, "wrong-pass").await);
            let after = operations(&directory);
            costs.push(after.iter().zip(before).map(|(after, before)| after - before).collect::<Vec<_>>());
        }
        assert!(costs[0].iter().sum::<usize>() > 0, "{way}: the log says nothing");
        assert!(costs.iter().all(|cost| *cost == costs[0]), "{way}: {costs:?}");
    }
}

/// What the server has begun so far: binds, searches, comparisons, extended operations.
fn operations(directory: &Directory) -> [usize; 4] {
    let log = directory.log();
    let lines = |of: &str| log.lines().filter(|line| line.contains(of)).count();
    [lines("method=128"), lines("SRCH base="), lines(" CMP "), lines(" EXT ")]
}
