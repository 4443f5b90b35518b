//! Logs say what happened and nothing secret (issue, 9; contract section 3, `[log]`).

use portcullis_tests::{
    Request, Site, Upstream,
    login::{login, login_request, try_login},
    site::{PASSWORD, ROUTES},
    until,
};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn lines(site: &Site) -> Vec<Value> {
    let output = site.gateway.output();
    output.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}

#[test]
fn no_canary_is_in_any_log_or_file() {
    let site = Site::before(Upstream::start(), "", &format!("{ROUTES}\n[log]\nlevel = \"debug\"\n"));
    let gateway = &site.gateway;
    gateway.add_user("bob", "canary-password-1 long", &[]);
    let bob = login(gateway, "bob", "canary-password-1 long");
    let mut canaries: Vec<String> = (1..=9)
        .map(|i| format!("canary-{}-{i}", ["password", "cookie", "token", "query", "body", "name"][i % 6]))
        .collect();
    canaries.extend(["canary-password-1".into(), bob.token.clone(), bob.cookie.replace("portcullis=", "")]);
    try_login(gateway, "bob", &canaries[0]);
    try_login(gateway, "nobody", &canaries[1]);
    for canary in &canaries[..9] {
        gateway.send(&Request::get(&format!("/app?secret={canary}")).cookie(&format!("portcullis={canary}")));
        gateway.send(&Request::get(&format!("/public?secret={canary}")).cookie(&bob.cookie));
        gateway.send(&Request::get("/app").bearer(canary));
        gateway.send(&Request::get("/app").with("Authorization", &format!("Basic {canary}")));
        gateway.send(
            &Request::post(&format!("/login/local?password={canary}"))
                .json(&json!({ "password": canary, "x": canary })),
        );
        gateway.send(&Request::post("/login/local").with("Content-Type", canary).body(canary.as_str()));
        gateway.send(&Request::get(&format!("/login?return_to=/app%3Fx={canary}")).navigation());
        gateway.send(&Request::post("/public").body(canary.as_str()));
    }
    gateway.send(&Request::get("/app").bearer(&bob.token));
    gateway.send(&Request::post("/logout").cookie(&bob.cookie)).expect(200, "");
    gateway.send(&Request::get("/public/the-last-one"));
    until("the last line", || gateway.output().contains("the-last-one").then_some(()));
    let output = gateway.output();
    for canary in &canaries {
        assert!(!output.contains(canary.as_str()), "{canary} is in the log:\n{output}");
        for entry in fs::read_dir(gateway.folder()).unwrap() {
            assert_absent(&entry.unwrap().path(), canary);
        }
    }
}

fn assert_absent(path: &Path, canary: &str) {
    let bytes = fs::read(path).unwrap_or_default();
    let found = bytes.windows(canary.len()).any(|w| w == canary.as_bytes());
    assert!(!found, "{canary} is in {}", path.display());
}

#[test]
fn each_request_is_one_line_of_json() {
    let site = Site::own();
    let answer = site.send(&site.as_alice("/app/one-line?hidden=1")).expect(200, "");
    let id = answer.header("x-request-id").unwrap().to_owned();
    let line = until("the access line", || {
        lines(&site).into_iter().find(|l| l.to_string().contains("/app/one-line"))
    });
    let text = line.to_string();
    assert!(
        text.contains(&id) && text.contains("alice") && text.contains("GET") && text.contains("200"),
        "{text}"
    );
    assert!(text.contains("127.0.0.1") && !text.contains("hidden"), "{text}");
}

#[test]
fn logins_failures_locks_and_logouts_leave_an_audit_line() {
    let site = Site::own();
    for _ in 0..5 {
        try_login(&site.gateway, "nobody-here", "wrong");
    }
    try_login(&site.gateway, "nobody-here", "wrong").expect(403, "locked");
    site.send(&Request::post("/logout").cookie(&site.alice.cookie)).expect(200, "");
    for event in ["login", "login_failed", "locked", "logout"] {
        until(event, || lines(&site).into_iter().find(|l| l["audit"] == event));
    }
}

#[test]
fn no_client_can_write_a_line_of_its_own() {
    let site = Site::own();
    let name = "x\r\n{\"event\":\"forged\"}\u{1b}[31m\u{2028}";
    site.send(&login_request(name, PASSWORD));
    site.send(&Request::get("/public/%0d%0a%7B%22event%22:%22forged%22%7D"));
    site.send(
        &Request::get("/public/ok")
            .with("User-Agent", "x\\n{\"event\":\"forged\"}")
            .with("Referer", "\u{9b}31m"),
    );
    site.send(&Request::get("/public/the-last-one"));
    until("the last line", || site.gateway.output().contains("the-last-one").then_some(()));
    let output = site.gateway.output();
    assert!(lines(&site).iter().all(|l| l["event"] != "forged"), "{output}");
    assert!(!output.contains('\u{1b}') && !output.contains('\u{9b}') && !output.contains('\r'), "{output:?}");
}

#[test]
fn the_access_log_can_be_off() {
    let site = Site::before(Upstream::start(), "", &format!("{ROUTES}\n[log]\naccess = false\n"));
    site.send(&Request::get("/public/quiet")).expect(200, "");
    try_login(&site.gateway, "alice", "wrong");
    until("the audit line", || site.gateway.output().contains("login_failed").then_some(()));
    assert!(!site.gateway.output().contains("/public/quiet"));
}
