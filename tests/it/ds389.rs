//! Logins that a 389 Directory Server judges, through the front door: the preset `389ds`.
//! `tests/389ds` starts the server around this test, which `tests/run --long` does.

use portcullis_tests::{Gateway, Request, Upstream};
use serde_json::json;

#[test]
#[ignore = "needs tests/389ds around it"]
fn a_389_directory_server_is_read_as_it_speaks() {
    let folder = std::env::var("PORTCULLIS_389DS").expect("run it as `tests/389ds cargo test …`");
    let upstream = Upstream::start();
    let gateway = Gateway::start(&format!(
        r#"
[server]
listen = "127.0.0.1:0"

[strategies.corp]
kind = "ldap"
preset = "389ds"
url = "ldaps://localhost:3636"
tls = {{ ca = "{folder}/ca.crt" }}
bind_dn = "cn=svc,dc=example,dc=org"
bind_password = "svc-pass-1"
base = "dc=example,dc=org"
password_change = true
roles = {{ ops = "operator", "cn=staff,dc=example,dc=org" = "nested" }}

[upstreams.api]
urls = ["{}"]

[[routes]]
path = "/*"
upstream = "api"
"#,
        upstream.url(),
    ));
    let post = |body: serde_json::Value| gateway.send(&Request::post("/login/corp").json(&body));
    let login = |name: &str, password: &str| post(json!({ "username": name, "password": password }));
    let who = login("alice", "alice-pass-1").expect(200, "").json();
    let mut roles: Vec<_> =
        who["authenticated"]["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["nested", "operator"], "`memberOf` holds the groups of groups there");
    assert_eq!(who["authenticated"]["email"], "alice@example.org");
    for (name, password) in [("alice", "wrong-pass"), ("nobody", "alice-pass-1"), ("stale", "wrong-pass")] {
        login(name, password).expect(401, "bad_credentials");
    }
    // Made inactive, which this server says before it looks at the password.
    login("off", "off-pass-1").expect(401, "bad_credentials");
    let next = login("stale", "stale-pass-1").expect(200, "").json();
    assert!(next["next"]["message"].as_str().unwrap().contains("expired"), "{next}");
    let said = gateway.verb(&["strategy", "test", "corp", "--user", "alice"], "").with_code(0);
    assert!(said.stdout.contains("✓ subject: nsUniqueId = "), "{said:#?}");
    let said = gateway.verb(&["strategy", "test", "corp", "--user", "off"], "").with_code(1);
    assert!(said.stdout.contains("✗ account: "), "{said:#?}");
    assert!(!gateway.output().contains("-pass-1"), "{}", gateway.output());
}
