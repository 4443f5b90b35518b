//! Groups on a real server, and what a refresh sees of them.

use crate::support::{denied, good, groups, ldap, login, refresh};
use portcullis_plugin_api::{Denial, StrategyError};
use portcullis_tests::directory::Directory;
use serde_json::json;

/// The names alone.
fn names(who: &portcullis_plugin_api::Authenticated) -> Vec<&str> {
    groups(who).into_iter().filter(|group| !group.contains('=')).collect()
}

#[tokio::test]
async fn groups_of_groups_are_followed_and_a_circle_ends() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({"groups": {"nested": true}})).await;
    for _ in 0..2 {
        // The second time from what is remembered.
        let who = good(login(&ldap, "alice", "alice-pass").await);
        assert_eq!(names(&who), ["about", "ops", "round", "staff", "unix"]);
    }
    let who = good(login(&ldap, "bob", "bob-pass").await);
    assert_eq!(names(&who), ["about", "round", "staff"]);
}

#[tokio::test]
async fn groups_are_found_by_a_filter_and_called_by_an_attribute() {
    let Some(directory) = Directory::shared() else { return };
    let with = json!({"preset": null, "groups": {
        "base": "ou=groups,dc=example,dc=org", "filter": "(memberUid={username})", "attribute": "gidNumber",
    }});
    let ldap = ldap(directory, with).await;
    assert_eq!(
        groups(&good(login(&ldap, "ALICE", "alice-pass").await)),
        ["5000", "cn=unix,ou=groups,dc=example,dc=org"]
    );
}

#[tokio::test]
async fn groups_that_an_entry_names_itself_are_taken_below_the_base_only() {
    let Some(directory) = Directory::own() else { return };
    // The overlay fills `memberOf` when a group changes.
    directory.modify(
        "dn: cn=near,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\ncn: near\n\
         member: uid=alice,ou=people,dc=example,dc=org\n\n\
         dn: cn=far,ou=others,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\ncn: far\n\
         member: uid=alice,ou=people,dc=example,dc=org\n\n\
         dn: cn=over,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\ncn: over\n\
         member: cn=near,ou=groups,dc=example,dc=org\n",
    );
    let all = ldap(&directory, json!({"preset": null})).await;
    assert_eq!(names(&good(login(&all, "alice", "alice-pass").await)), ["far", "near"]);
    let with = json!({"preset": null, "groups": {"base": "OU=Groups, dc=example,dc=org", "nested": true}});
    let some = ldap(&directory, with).await;
    assert_eq!(names(&good(login(&some, "alice", "alice-pass").await)), ["near", "over"]);
}

#[tokio::test]
async fn a_base_of_groups_that_is_not_there_decides_nothing() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({"groups": {"base": "ou=nowhere,dc=example,dc=org"}})).await;
    let answer = login(&ldap, "alice", "alice-pass").await;
    assert!(matches!(&answer, Err(StrategyError::Failed(why)) if why.contains("ou=nowhere")), "{answer:?}");
}

#[tokio::test]
async fn a_refresh_sees_groups_names_and_the_end_of_an_account() {
    let Some(directory) = Directory::own() else { return };
    let ldap = ldap(&directory, json!({"filter": "(&(uid={username})(!(employeeType=gone)))"})).await;
    let who = good(login(&ldap, "mover", "mover-pass").await);
    assert_eq!((names(&who), who.refresh_after.is_some()), (vec![], true));

    directory.modify(
        "dn: cn=ops,ou=groups,dc=example,dc=org\nchangetype: modify\nadd: member\n\
         member: uid=mover,ou=people,dc=example,dc=org\n",
    );
    let who = good(refresh(&ldap, &who).await);
    assert_eq!(names(&who), ["ops"]);

    // Renamed and moved: the same person, whatever they are called now.
    directory.modify(
        "dn: uid=mover,ou=people,dc=example,dc=org\nchangetype: modrdn\nnewrdn: uid=moved\ndeleteoldrdn: 1\n\
         newsuperior: ou=others,dc=example,dc=org\n",
    );
    let moved = good(refresh(&ldap, &who).await);
    assert_eq!((&moved.subject, moved.claims["name"].as_str()), (&who.subject, Some("moved")));

    directory.modify(
        "dn: uid=moved,ou=others,dc=example,dc=org\nchangetype: modify\nadd: employeeType\nemployeeType: gone\n",
    );
    assert_eq!(denied(refresh(&ldap, &moved).await).0, Denial::NotAdmitted, "the filter counts");
    directory.modify(
        "dn: uid=moved,ou=others,dc=example,dc=org\nchangetype: modify\ndelete: employeeType\n-\n\
         replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n",
    );
    assert_eq!(denied(refresh(&ldap, &moved).await).0, Denial::NotAdmitted, "closed by an operator");
    directory.modify("dn: uid=moved,ou=others,dc=example,dc=org\nchangetype: delete\n");
    assert_eq!(denied(refresh(&ldap, &moved).await).0, Denial::NotAdmitted, "deleted");

    directory.kill();
    assert!(matches!(refresh(&ldap, &moved).await, Err(StrategyError::Failed(_))), "down is no answer");
}
