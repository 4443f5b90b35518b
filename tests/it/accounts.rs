//! What people do with their accounts, through the front door: registration, recovery,
//! the account page. Every row that needs no socket is a test of `gateway/src/accounts/`.

use portcullis_tests::{
    Gateway, Request, Response, Upstream,
    site::{PASSWORD, config},
    until,
};
use serde_json::{Value, json};
use std::{fs, path::Path, sync::OnceLock};

struct Place {
    gateway: Gateway,
    upstream: Upstream,
}

/// With registration open and mail into a folder; shared, so names are each test's own.
fn place() -> &'static Place {
    static SHARED: OnceLock<Place> = OnceLock::new();
    SHARED.get_or_init(|| start("registration = \"open\""))
}

fn start(accounts: &str) -> Place {
    let upstream = Upstream::start();
    let more = format!(
        "[[routes]]\npath = \"/*\"\nupstream = \"api\"\n[accounts]\n{accounts}\n\
         [identity_headers]\nRemote-User = \"name\"\nRemote-Email = \"email\"\nRemote-Groups = \"roles\"\n\
         X-Team = \"metadata.team\"\nX-Plan = \"app.plan\"\n\
         [mail]\nurl = \"file:mail\"\nfrom = \"us@x.test\"\n"
    );
    Place { gateway: Gateway::start(&config(&upstream.url(), "", &more)), upstream }
}

impl Place {
    fn post(&self, path: &str, body: &Value) -> Response {
        self.gateway.send(&Request::post(path).json(body))
    }

    fn register(&self, name: &str) -> Response {
        let body = json!({ "name": name, "email": format!("{name}@x.test"), "password": PASSWORD });
        self.post("/auth/register", &body).expect(201, "")
    }

    /// The token of the newest mail to this address whose subject begins so.
    fn token(&self, to: &str, subject: &str) -> String {
        until(&format!("{subject} to {to}"), || {
            let all = mails(&self.gateway.folder().join("mail"));
            let (to, subject) = (format!("To: {to}\r\n"), format!("Subject: {subject}"));
            let found = all.into_iter().rev().find(|mail| mail.contains(&to) && mail.contains(&subject))?;
            let flat = found.replace("=\r\n", "").replace("=3D", "=");
            let (_, rest) = flat.split_once("?token=")?;
            Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect())
        })
    }
}

fn mails(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "eml"));
    files.sort();
    files.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

// Seeds 38, 46, 47.
#[test]
fn who_registers_reaches_the_application_with_their_own_claims_and_no_others() {
    let place = place();
    let body = json!({
        "name": "rita", "email": "rita@x.test", "password": PASSWORD, "metadata": { "team": "blue" },
        "roles": ["admin"], "app": { "plan": "gold" }, "active": true, "email_verified": true,
    });
    let answer = place.post("/auth/register", &body).expect(201, "");
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    assert!(answer.cookie("portcullis").is_some() && answer.cookie("portcullis-refresh").is_some());
    place.gateway.send(&Request::get("/app-of-rita").bearer(&token)).expect(200, "");
    let seen = place.upstream.requests().into_iter().find(|r| r.target == "/app-of-rita").unwrap();
    assert_eq!((seen.header("remote-user"), seen.header("x-team")), (Some("rita"), Some("blue")));
    // The address is not proved, and nobody gave roles or claims.
    for absent in ["remote-email", "x-plan"] {
        assert_eq!(seen.header(absent), None, "{absent}");
    }
    assert!(seen.header("remote-groups").unwrap_or_default().is_empty());
    // Seed 45, the link.
    let link = place.token("rita@x.test", "Confirm your address");
    place.post("/auth/verify-email", &json!({ "token": link })).expect(200, "");
    place.gateway.send(&Request::get("/again-rita").bearer(&token)).expect(200, "");
    let seen = place.upstream.requests().into_iter().find(|r| r.target == "/again-rita").unwrap();
    assert_eq!(seen.header("remote-email"), Some("rita@x.test"));
}

// Seed 40.
#[test]
fn of_ten_at_once_one_gets_the_name() {
    // Its own: the others would find it busy.
    let place = &start("registration = \"open\"");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = |i: usize| {
            let email =
                if i.is_multiple_of(2) { "twin@x.test".to_owned() } else { format!("twin{i}@x.test") };
            place
                .post("/auth/register", &json!({ "name": "Twin", "email": email, "password": PASSWORD }))
                .status
        };
        let all: Vec<_> = (0..10).map(|i| scope.spawn(move || one(i))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409, 503].contains(status)), "{statuses:?}");
}

// Seeds 51, 53, 58; the whole way by HTTP.
#[test]
fn a_change_and_a_reset_end_what_was_before_also_for_the_application() {
    let place = place();
    let first = place.register("sara").json()["token"].as_str().unwrap().to_owned();
    let app = |token: &str| place.gateway.send(&Request::get("/app").bearer(token)).status;
    assert_eq!(app(&first), 200);
    let next = "another horse entirely 7";
    let change = json!({ "current": PASSWORD, "next": next });
    let answer = place.gateway.send(&Request::new("PATCH", "/auth/password").bearer(&first).json(&change));
    let second = answer.expect(200, "").json()["token"].as_str().unwrap().to_owned();
    assert_eq!((app(&first), app(&second)), (401, 200));
    place.post("/auth/recovery", &json!({ "email": "sara@x.test" })).expect(200, "");
    let link = place.token("sara@x.test", "Your new password");
    let weak = json!({ "token": link, "password": "password1" });
    place.post("/auth/reset", &weak).expect(400, "weak_password");
    place.post("/auth/reset", &json!({ "token": link, "password": PASSWORD })).expect(200, "");
    assert_eq!(app(&second), 401);
    place.post("/auth/reset", &json!({ "token": link, "password": PASSWORD })).expect(400, "invalid_token");
}

// Seed 45, mistake 33.
#[test]
fn verify_email_is_enforced() {
    let place = start("registration = \"open\"\nverify_email = true\nreveal_taken = false");
    let body = json!({ "email": "tom@x.test", "password": PASSWORD });
    let answer = place.post("/auth/register", &body).expect(201, "");
    assert_eq!(answer.json()["verified"], false);
    assert!(answer.headers("set-cookie").is_empty() && answer.json().get("token").is_none());
    let login = json!({ "email": "tom@x.test", "password": PASSWORD });
    place.post("/login", &login).expect(403, "email_unverified");
    let again = place.post("/auth/register", &body).expect(201, "");
    assert_eq!(again.text(), answer.text());
    let link = place.token("tom@x.test", "Confirm your address");
    place.post("/auth/verify-email", &json!({ "token": link })).expect(200, "");
    place.post("/login", &login).expect(200, "");
    until("the owner is told", || {
        let all = mails(&place.gateway.folder().join("mail"));
        all.iter().any(|mail| mail.contains("Subject: You have an account")).then_some(())
    });
}

// Seed 34: what is told of an account holds nothing of its secrets.
#[test]
fn no_answer_of_an_account_holds_a_secret() {
    let place = place();
    let token = place.register("vera").json()["token"].as_str().unwrap().to_owned();
    for path in ["/auth/me", "/auth/credentials", "/auth/current", "/auth/sessions"] {
        let text = place.gateway.send(&Request::get(path).bearer(&token)).expect(200, "").text();
        for secret in ["argon2", "$", "secret", "hash", "failures", "locked", PASSWORD] {
            assert!(!text.contains(secret), "{path} has {secret}: {text}");
        }
    }
}

// Seed 35
#[test]
fn a_person_sees_the_ways_they_sign_in_by() {
    let place = place();
    let token = place.register("xena").json()["token"].as_str().unwrap().to_owned();
    let me = place.gateway.send(&Request::get("/auth/me").bearer(&token)).expect(200, "").json();
    assert_eq!(me["strategies"], json!(["local"]));
}

// Seed 56, N-31: a copy of the store opens nothing.
#[test]
fn nothing_that_was_given_out_lies_in_the_store_as_it_was_given() {
    let place = start("registration = \"open\"");
    let answer = place.register("yuri");
    place.post("/auth/recovery", &json!({ "email": "yuri@x.test" })).expect(200, "");
    let mut values = vec![
        place.token("yuri@x.test", "Your new password"),
        place.token("yuri@x.test", "Confirm your address"),
        answer.cookie("portcullis").unwrap(),
        answer.cookie("portcullis-refresh").unwrap(),
        PASSWORD.to_owned(),
    ];
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    values.extend(token.rsplit('.').next().map(str::to_owned));
    let mut seen = 0;
    for file in fs::read_dir(place.gateway.folder()).unwrap().map(|entry| entry.unwrap().path()) {
        if !file.file_name().unwrap().to_string_lossy().starts_with("portcullis.db") {
            continue;
        }
        let bytes = fs::read(&file).unwrap();
        seen += bytes.len();
        for value in &values {
            let found = bytes.windows(value.len()).any(|window| window == value.as_bytes());
            assert!(!found, "{value} lies in {}", file.display());
        }
    }
    assert!(seen > 10_000, "the store was read: {seen} bytes");
}

// Seed 95: each leaves a line without secrets.
#[test]
fn what_people_do_is_in_the_audit_trail_without_what_they_typed() {
    let place = place();
    let token = place.register("wim").json()["token"].as_str().unwrap().to_owned();
    let wrong = json!({ "current": "not the password", "next": "x" });
    place
        .gateway
        .send(&Request::post("/auth/password").bearer(&token).json(&wrong))
        .expect(403, "bad_credentials");
    let name = json!({ "display_name": "Wim W." });
    place.gateway.send(&Request::post("/auth/me").bearer(&token).json(&name)).expect(200, "");
    place.post("/auth/recovery", &json!({ "email": "wim@x.test" })).expect(200, "");
    place.post("/auth/recovery", &json!({ "email": "unknown-somebody@x.test" })).expect(200, "");
    let link = place.token("wim@x.test", "Your new password");
    place
        .post("/auth/reset", &json!({ "token": link, "password": "another horse entirely 7" }))
        .expect(200, "");
    for event in
        ["registered", "current_password_wrong", "profile_changed", "recovery_requested", "password_reset"]
    {
        until(event, || {
            let said = place.gateway.output();
            said.lines()
                .any(|l| l.contains(&format!("\"audit\":\"{event}\"")) && l.contains("wim"))
                .then_some(())
        });
    }
    let said = place.gateway.output();
    for secret in [link.as_str(), "not the password", "unknown-somebody", PASSWORD, &token] {
        assert!(!said.contains(secret), "{secret}");
    }
}
