//! No password without TLS, and no TLS without proof of who the server is.

use crate::support::{good, ldap, login, start, table};
use portcullis_plugin_api::{Answer, Outcome, StartError, StrategyError};
use portcullis_tests::directory::Directory;
use serde_json::json;

#[track_caller]
fn failed(answer: Answer<Outcome>, why: &str) {
    assert!(matches!(&answer, Err(StrategyError::Failed(text)) if text.contains(why)), "{answer:?}");
}

#[tokio::test]
async fn start_tls_and_ldaps_both_sign_in() {
    let Some(directory) = Directory::shared() else { return };
    let url = format!("ldap://127.0.0.1:{}", directory.plain);
    let ldap = ldap(directory, json!({"url": url, "start_tls": true})).await;
    good(login(&ldap, "alice", "alice-pass").await);
}

/// Rows L-07, N-86: the server's log shows that nobody has bound.
#[tokio::test]
async fn a_certificate_that_proves_nothing_gets_no_password() {
    let Some(directory) = Directory::own() else { return };
    // Not of an authority that this machine knows.
    let stranger = ldap(&directory, json!({"tls": {}})).await;
    failed(login(&stranger, "alice", "alice-pass").await, "TLS: ");
    // Of the right authority, for another name.
    let ca = directory.file("ca.pem");
    let other = ldap(&directory, json!({"tls": {"ca": ca, "server_name": "ldap.other.test"}})).await;
    failed(login(&other, "alice", "alice-pass").await, "TLS: ");
    let url = format!("ldap://127.0.0.1:{}", directory.plain);
    let with = json!({"url": url, "start_tls": true, "tls": {"ca": ca, "server_name": "ldap.other.test"}});
    failed(login(&ldap(&directory, with).await, "alice", "alice-pass").await, "TLS: ");
    // Expired.
    let conf = std::fs::read_to_string(directory.file("slapd.conf")).unwrap();
    std::fs::write(directory.file("slapd.conf"), conf.replace("/server.", "/expired.")).unwrap();
    directory.kill();
    directory.start();
    failed(login(&ldap(&directory, json!({})).await, "alice", "alice-pass").await, "TLS: ");
    assert!(!directory.log().contains("BIND"), "{}", directory.log());
    // With a name of its own.
    std::fs::write(directory.file("slapd.conf"), conf.replace("/server.", "/other.")).unwrap();
    directory.kill();
    directory.start();
    failed(login(&ldap(&directory, json!({})).await, "alice", "alice-pass").await, "TLS: ");
    // A new one: the old one leaves a server alone that has failed it.
    let other = ldap(&directory, json!({"tls": {"ca": ca, "server_name": "ldap.other.test"}})).await;
    good(login(&other, "alice", "alice-pass").await);
}

#[tokio::test]
async fn a_server_that_wants_our_certificate_gets_it() {
    let Some(directory) = Directory::own() else { return };
    let conf = std::fs::read_to_string(directory.file("slapd.conf")).unwrap();
    std::fs::write(
        directory.file("slapd.conf"),
        conf.replace("TLSVerifyClient try", "TLSVerifyClient demand"),
    )
    .unwrap();
    directory.kill();
    directory.start();
    let without = ldap(&directory, json!({})).await;
    assert!(matches!(login(&without, "alice", "alice-pass").await, Err(StrategyError::Failed(_))));
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| directory.file(name));
    let with = json!({"tls": {"ca": ca, "certificate": certificate, "key": key}});
    good(login(&ldap(&directory, with).await, "alice", "alice-pass").await);
    // A key of another certificate is seen when the settings are read.
    let key = directory.file("server.key");
    let Err(StartError::Settings(problems)) =
        start(table(&directory, json!({"tls": {"ca": ca, "certificate": certificate, "key": key}}))).await
    else {
        panic!("it starts with a foreign key")
    };
    assert_eq!(problems[0].path, ["tls", "certificate"]);
}

#[tokio::test]
async fn plain_ldap_is_only_spoken_where_the_settings_name_the_danger() {
    let Some(directory) = Directory::shared() else { return };
    let url = format!("ldap://127.0.0.1:{}", directory.plain);
    assert!(start(table(directory, json!({ "url": url }))).await.is_err());
    // This server refuses plain binds, so what is seen here is that one was tried.
    let ldap = ldap(directory, json!({"url": url, "danger_plaintext": true})).await;
    failed(login(&ldap, "alice", "alice-pass").await, "confidentialityRequired");
}
