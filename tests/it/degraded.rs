//! A strategy that cannot decide: its logins are 503, then it is set aside and `/readyz`
//! says so, and everything else runs on (R-21, R-25 of the security anchors in part).

use crate::admin::{ADMIN, admin, body, get};
use portcullis_tests::{
    Request, Site, Upstream, login::try_login, ports::nobody, site::PASSWORD, site::ROUTES, until,
};
use serde_json::{Value, json};

#[test]
fn a_directory_that_is_gone_is_set_aside_and_the_gateway_stays_ready() {
    let nobody = nobody();
    let directory = format!(
        "[strategies.staff]\nkind = \"ldap\"\nurl = \"ldap://{nobody}\"\nuser_dn = \"uid={{username}},dc=example,dc=org\"\nbase = \"dc=example,dc=org\"\n\
         danger_plaintext = true\n"
    );
    let more = format!("{ROUTES}\n[login]\ndefault = \"local\"\n{directory}{ADMIN}");
    let site = Site::before(Upstream::start(), "", &more);
    let at = admin(&site.gateway);
    let readiness = || serde_json::from_str::<Value>(body(&get(at, "/readyz?verbose"))).unwrap();
    let attempt = || {
        let body = json!({ "username": "alice", "password": PASSWORD });
        site.send(&Request::post("/login/staff").json(&body))
    };
    let before = readiness();
    assert!(!before.to_string().contains("\"staff\""), "{before}");
    // Five failures with no decision between them.
    for _ in 0..5 {
        let answer = attempt().expect(503, "strategy_unavailable");
        assert!(answer.header("retry-after").is_some());
        assert!(!answer.text().contains("ldap") && !answer.text().contains("refused"), "{}", answer.text());
    }
    until("the word of /readyz", || readiness().to_string().contains("\"staff\"").then_some(()));
    assert!(get(at, "/readyz").starts_with("HTTP/1.1 200 "), "one strategy is not the gateway");
    attempt().expect(503, "strategy_unavailable");
    site.gateway.says("staff");
    // Nothing of it was alice's failure, and nobody else is held up.
    assert_eq!(try_login(&site.gateway, "alice", PASSWORD).status, 200);
    site.send(&site.as_alice("/app")).expect(200, "");
}
