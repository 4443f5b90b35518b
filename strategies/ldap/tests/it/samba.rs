//! Samba as Active Directory: `tests/samba cargo test -p portcullis-strategy-ldap --test it -- --ignored`,
//! which `tests/run --long` does. Its ports are fixed, so everything here is one test.

use crate::{
    passwords::{fill_in, form},
    support::{call, denied, good, groups, login, refresh, start, wrong},
};
use portcullis_plugin_api::{ChangeSecret, Denial, Diagnose, Strategy, StrategyError};
use portcullis_strategy_ldap::Ldap;
use serde_json::{Value, json};
use std::{path::PathBuf, process::Command};

struct Controller(PathBuf);

impl Controller {
    async fn ldap(&self, with: Value) -> Ldap {
        let mut table = json!({
            "url": "ldaps://127.0.0.1", "preset": "active-directory",
            "base": "DC=corp,DC=example,DC=org", "tls": {"ca": self.0.join("ca.pem")},
        });
        let (Value::Object(table), Value::Object(with)) = (&mut table, with) else { panic!("tables") };
        table.extend(with);
        start(std::mem::take(table)).await.expect("the settings are right")
    }

    fn tool(&self, arguments: &[&str]) {
        let ended =
            Command::new("samba-tool").args(arguments).arg("-s").arg(self.0.join("etc/smb.conf")).output();
        let ended = ended.unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

const RIGHT: &str = "Right-pass-1!";

#[tokio::test]
#[ignore = "needs tests/samba around it"]
async fn active_directory_is_read_as_it_speaks() {
    let controller = Controller(std::env::var_os("PORTCULLIS_SAMBA").expect("tests/samba sets it").into());
    let service = json!({"bind_dn": "svc@corp.example.org", "bind_password": "Svc-pass-1!"});
    let ldap = controller.ldap(service.clone()).await;

    let who = good(login(&ldap, "alice", "Al1ce-pass!").await);
    assert_eq!(
        (&who.claims["name"], &who.claims["email"]),
        (&json!("alice"), &json!("alice@corp.example.org"))
    );
    assert_eq!((who.subject.as_str().len(), who.realm.as_str()), (36, "dc=corp,dc=example,dc=org"));
    for group in ["ops", "staff", "Domain Users", "Users", "CN=staff,CN=Users,DC=corp,DC=example,DC=org"] {
        assert!(groups(&who).contains(&group), "{group}: {:?}", groups(&who));
    }
    let by_address = good(login(&ldap, "alice@corp.example.org", "Al1ce-pass!").await);
    assert_eq!(by_address.subject, who.subject);

    let direct = controller.ldap(json!({"user_dn": "{username}@corp.example.org"})).await;
    assert_eq!(good(login(&direct, "alice", "Al1ce-pass!").await).subject, who.subject);
    wrong(login(&direct, "alice", RIGHT).await);

    sub_codes(&ldap).await;
    let mut changing = service;
    changing["password_change"] = json!(true);
    new_passwords(&controller.ldap(changing).await).await;
    diagnosis(&ldap).await;

    controller.tool(&["group", "removemembers", "ops", "alice"]);
    let again = good(refresh(&ldap, &who).await);
    assert!(!groups(&again).contains(&"ops") && !groups(&again).contains(&"staff"), "{:?}", groups(&again));
    controller.tool(&["user", "disable", "alice"]);
    assert_eq!(denied(refresh(&ldap, &who).await).0, Denial::NotAdmitted);
}

/// 52e, 525 and 775 are one answer; 533, 701 and 773 are exact, after the right password.
async fn sub_codes(ldap: &Ldap) {
    wrong(login(ldap, "alice", RIGHT).await);
    wrong(login(ldap, "nobody", RIGHT).await);
    for (name, word) in
        [("disabled", "disabled"), ("closed", "account has expired"), ("must", "must be changed")]
    {
        wrong(login(ldap, name, "wrong-pass").await);
        let (reason, message) = denied(login(ldap, name, RIGHT).await);
        assert_eq!(reason, Denial::NotAdmitted);
        assert!(message.as_deref().unwrap().contains(word), "{name}: {message:?}");
    }
    for _ in 0..3 {
        wrong(login(ldap, "locked", "wrong-pass").await);
    }
    wrong(login(ldap, "locked", RIGHT).await);
}

/// By `unicodePwd`: through the service account where the person cannot bind.
async fn new_passwords(ldap: &Ldap) {
    let first = form(login(ldap, "must", RIGHT).await);
    let again = form(fill_in(ldap, &first, RIGHT, "short", "short").await);
    assert!(again.message.unwrap().contains("does not take"));
    assert_eq!(good(fill_in(ldap, &first, RIGHT, "Neü-pass-1", "Neü-pass-1").await).claims["name"], "must");
    good(login(ldap, "must", "Neü-pass-1").await);

    let who = good(login(ldap, "bob", RIGHT).await);
    let change = async |current: &str, next: &str| {
        let (current, next) = (current.to_owned(), next.to_owned());
        let subject = who.subject.clone();
        ldap.change_secret(
            &call(),
            ChangeSecret { subject, credential: None, current, next, about: Vec::new() },
        )
        .await
    };
    wrong(change("wrong-pass", "Another-pass-1").await);
    assert!(matches!(change(RIGHT, "short").await, Err(StrategyError::WeakSecret(_))));
    good(change(RIGHT, "Another-pass-1").await);
    good(login(ldap, "bob", "Another-pass-1").await);
}

async fn diagnosis(ldap: &Ldap) {
    let steps = ldap.diagnose(&call(), Diagnose { user: Some("alice".to_owned()) }).await.unwrap();
    assert!(steps.iter().all(|step| step.ok == Some(true)), "{steps:#?}");
    assert_eq!(steps.last().unwrap().name, "groups");
}
