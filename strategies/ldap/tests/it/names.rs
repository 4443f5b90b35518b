//! By which spellings of a name somebody is found, and who may come in by a bind of
//! their own: on a real server, which takes more spellings for one than it says.

use crate::support::{good, ldap, login, refresh, wrong};
use portcullis_tests::directory::Directory;
use serde_json::json;

const PEOPLE: &str = "uid={username},ou=people,dc=example,dc=org";

/// Row L-05: failures are counted by the name that was typed, so a name that only the
/// server takes for the person's must not let them in.
#[tokio::test]
async fn a_spelling_that_only_the_server_knows_is_nobodys_name() {
    let Some(directory) = Directory::shared() else { return };
    let search = ldap(directory, json!({})).await;
    let direct =
        ldap(directory, json!({"user_dn": PEOPLE, "preset": null, "bind_dn": null, "bind_password": null}))
            .await;
    for ldap in [&search, &direct] {
        good(login(ldap, "ALICE", "alice-pass").await);
        // slapd takes the capital I with a dot for an i.
        wrong(login(ldap, "al\u{130}ce", "alice-pass").await);
    }
    let spaced = ldap(directory, json!({"filter": "(displayName={username})"})).await;
    good(login(&spaced, "alice   EXAMPLE", "alice-pass").await);
    wrong(login(&spaced, "al\u{130}ce example", "alice-pass").await);
}

#[tokio::test]
async fn a_filter_that_was_written_down_says_who_may_come_in_by_a_direct_bind_too() {
    let Some(directory) = Directory::shared() else { return };
    let filter = "(&(uid={username})(mail=alice@example.org))";
    let with =
        json!({"user_dn": PEOPLE, "filter": filter, "preset": null, "bind_dn": null, "bind_password": null});
    let ldap = ldap(directory, with).await;
    good(login(&ldap, "alice", "alice-pass").await);
    wrong(login(&ldap, "bob", "bob-pass").await);
}

#[tokio::test]
async fn who_is_found_by_a_dn_is_looked_at_again_without_a_filter_that_nobody_wrote() {
    let Some(directory) = Directory::own() else { return };
    directory.modify(
        "dn: cn=dora,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: person\ncn: dora\nsn: D\n\
         userPassword: dora-pass\n",
    );
    // The filter of the preset asks for a `uid`, which this entry has not.
    let by_cn = "cn={username},ou=people,dc=example,dc=org";
    let ldap = ldap(&directory, json!({"user_dn": by_cn})).await;
    let who = good(login(&ldap, "dora", "dora-pass").await);
    good(refresh(&ldap, &who).await);
}
