//! What an operator reads.

use crate::support::{call, ldap};
use portcullis_plugin_api::{Diagnose, Step, Strategy};
use portcullis_strategy_ldap::Ldap;
use portcullis_tests::{directory::Directory, ports::free_port};
use serde_json::json;

async fn diagnose(ldap: &Ldap, user: Option<&str>) -> Vec<Step> {
    ldap.diagnose(&call(), Diagnose { user: user.map(str::to_owned) }).await.unwrap()
}

fn text(steps: &[Step]) -> String {
    let one = |step: &Step| {
        let mark = match step.ok {
            Some(true) => "ok",
            Some(false) => "FAILED",
            None => "-",
        };
        let advice = step.advice.as_deref().map(|text| format!(" => {text}")).unwrap_or_default();
        format!("{mark} {}: {}{advice}\n", step.name, step.detail)
    };
    steps.iter().map(one).collect()
}

#[tokio::test]
async fn every_step_of_a_good_login_says_what_was_found() {
    let Some(directory) = Directory::shared() else { return };
    let ldap = ldap(directory, json!({"groups": {"nested": true}})).await;
    let steps = diagnose(&ldap, Some("alice")).await;
    let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
    let expected = [
        "connect",
        "tls",
        "service bind",
        "base",
        "person",
        "subject",
        "name",
        "email",
        "display_name",
        "account",
        "groups",
    ];
    assert_eq!(names, expected);
    assert!(steps.iter().all(|step| step.ok == Some(true)), "{}", text(&steps));
    let text = text(&steps);
    for part in ["TLS 1.3", "uid=alice,ou=people,dc=example,dc=org", "alice@example.org", "staff (cn=staff,"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("svc-pass") && !text.contains("alice-pass"), "{text}");
}

#[tokio::test]
async fn the_step_that_fails_says_what_to_do_and_those_behind_it_are_not_tried() {
    let Some(directory) = Directory::shared() else { return };
    let ca = directory.file("ca.pem");
    for (with, user, step, advice) in [
        (
            json!({"url": format!("ldaps://127.0.0.1:{}", free_port())}),
            "alice",
            "connect",
            "nobody listens there",
        ),
        (json!({"tls": {}}), "alice", "tls", "set tls.ca"),
        (json!({"tls": {"ca": ca, "server_name": "x.test"}}), "alice", "tls", "set tls.server_name"),
        (
            json!({"url": format!("ldaps://127.0.0.1:{}", directory.plain)}),
            "alice",
            "tls",
            "start_tls = true",
        ),
        (json!({"bind_password": "wrong-one"}), "alice", "service bind", "check bind_dn and bind_password"),
        (json!({"bind_dn": "svc"}), "alice", "service bind", "write the whole DN"),
        (json!({"base": "dc=other,dc=org"}), "alice", "base", "the server holds dc=example,dc=org"),
        (json!({}), "nobody", "person", "check `base` and `filter`"),
        (json!({}), "twin", "person", "make `filter` or `base` narrower"),
        (json!({"attributes": {"subject": "employeeNumber"}}), "alice", "subject", "set attributes.subject"),
        (json!({}), "closed", "account", "enable the account"),
        (json!({"groups": {"base": "ou=nowhere,dc=example,dc=org"}}), "alice", "groups", "check groups.base"),
    ] {
        let ldap = ldap(directory, with.clone()).await;
        let steps = diagnose(&ldap, Some(user)).await;
        let text = text(&steps);
        let failed: Vec<_> = steps.iter().filter(|step| step.ok == Some(false)).collect();
        assert_eq!(
            failed.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(),
            [step],
            "{with}: {text}"
        );
        assert!(failed[0].advice.as_deref().unwrap().contains(advice), "{with}: {text}");
        assert!(!text.contains("svc-pass") && !text.contains("wrong-one"), "{text}");
    }
}

#[tokio::test]
async fn every_server_is_tried_and_named() {
    let Some(directory) = Directory::shared() else { return };
    let dead = format!("ldaps://127.0.0.1:{}", free_port());
    let ldap = ldap(directory, json!({"url": null, "urls": [dead, directory.url()]})).await;
    let text = text(&diagnose(&ldap, Some("alice")).await);
    assert!(text.contains(&format!("FAILED {dead} connect")), "{text}");
    assert!(text.contains(&format!("ok {} service bind", directory.url())), "{text}");
    assert!(text.contains("ok groups"), "{text}");
}
