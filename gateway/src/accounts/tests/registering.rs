//! Registration and the proof of an address.

use super::{cookies, gateway, letters, one_letter, post};
use crate::control::testing::{Gateway, PASSWORD};
use http::Method;
use serde_json::{Value, json};

const VERIFY: &str = "verify_email = true\n";
const NEUTRAL: &str = "verify_email = true\nreveal_taken = false\n";

fn bob() -> Value {
    json!({ "name": "bob", "email": "bob@x.test", "password": PASSWORD })
}

fn bob_with(field: &str, value: Value) -> Value {
    let mut body = bob();
    body[field] = value;
    body
}

#[tokio::test]
async fn registration_is_closed_unless_it_is_open() {
    let gateway = Gateway::start("").await;
    for body in [bob(), json!({})] {
        let answer = post(&gateway, "/auth/register", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "registration_closed"));
    }
    let page = gateway.get("/auth/register").navigating().send().await;
    assert_eq!((page.status, page.field("content-type")), (403, "text/html; charset=utf-8"));
}

#[tokio::test]
async fn who_registers_is_signed_in_at_once() {
    let gateway = gateway("default_roles = [\"guest\"]").await;
    let answer = post(&gateway, "/auth/register", bob_with("metadata", json!({"team": "blue"}))).await;
    assert_eq!(answer.status, 201);
    let body = answer.json();
    assert_eq!(body["success"], true);
    assert_eq!(body["authenticated"]["name"], "bob");
    assert_eq!(body["authenticated"]["roles"], json!(["guest"]));
    assert!(body["token"].as_str().unwrap().split('.').count() == 3);
    assert_eq!(gateway.who(&cookies(&answer)).await["name"], "bob");
    let me = gateway.get("/auth/me").bearer(&answer.token()).send().await.json();
    assert_eq!((&me["metadata"]["team"], &me["email_verified"]), (&json!("blue"), &json!(false)));
    assert_eq!(me["strategies"], json!(["local"]));
    assert_eq!(gateway.try_login("BOB@X.TEST", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn without_a_name_the_address_is_the_name() {
    let gateway = gateway("").await;
    for body in [
        json!({ "email": "Carl@X.test", "password": PASSWORD }),
        json!({ "name": "dora@x.test", "email": "dora@x.test", "password": PASSWORD }),
    ] {
        let answer = post(&gateway, "/auth/register", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let told = &answer.json()["authenticated"];
        assert_eq!(told["name"], told["email"]);
    }
}

#[tokio::test]
async fn a_json_api_body_names_the_person_and_is_answered_in_kind() {
    let gateway = gateway("").await;
    let attributes = json!({ "name": "Eve Example", "email": "eve@x.test", "password": PASSWORD });
    let body = json!({ "data": { "type": "users", "attributes": attributes } });
    let answer = post(&gateway, "/auth/register", body).await;
    assert_eq!((answer.status, answer.field("content-type")), (201, "application/vnd.api+json"));
    let told = &answer.json()["data"]["attributes"];
    assert_eq!((&told["name"], &told["email"]), (&json!("Eve Example"), &json!("eve@x.test")));
    assert!(told["access_token"].is_string());
}

#[tokio::test]
async fn a_person_gives_themselves_no_role_and_no_claim_of_the_operators() {
    // Mistake 23 of the seeds: what is stored is not what was posted.
    let gateway = gateway("").await;
    let mut body = bob();
    for (field, value) in [
        ("roles", json!(["admin"])),
        ("role", json!("admin")),
        ("app", json!({"plan": "gold"})),
        ("active", json!(false)),
        ("verified", json!(true)),
        ("email_verified", json!(true)),
        ("isAdmin", json!(1)),
        ("uuid", json!("00000000-0000-4000-8000-000000000000")),
    ] {
        body[field] = value;
    }
    let answer = post(&gateway, "/auth/register", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let account = gateway.control.store.account_by_name("bob").await.unwrap().unwrap();
    assert!(account.roles.is_empty() && account.app.is_empty() && account.active && !account.email_verified);
    assert_ne!(account.uuid.to_string(), "00000000-0000-4000-8000-000000000000");
}

#[tokio::test]
async fn what_no_account_can_be_made_of_is_refused_with_the_field() {
    let gateway = gateway("").await;
    let deep: Value = (0..20).fold(json!({}), |inner, _| json!({ "a": inner }));
    for (field, value, named) in [
        ("email", json!("nobody"), "email"),
        ("email", json!("a@b@x.test"), "email"),
        ("email", json!(""), "email"),
        ("email", json!(7), "email"),
        ("email", json!(["a@x.test"]), "email"),
        ("email", Value::Null, "email"),
        ("email", json!("a\n@x.test"), "email"),
        ("name", json!("b b"), "name"),
        ("name", json!("x".repeat(65)), "name"),
        ("name", json!("bob@local"), "name"),
        ("name", json!(1), "name"),
        ("password", json!(""), "password"),
        ("password", json!(12_345_678), "password"),
        ("password", json!("x".repeat(1025)), "password"),
        ("password_confirm", json!("another password"), "password_confirm"),
        ("password_confirm", json!(1), "password_confirm"),
        ("metadata", json!("text"), "metadata"),
        ("metadata", json!([1]), "metadata"),
        ("metadata", json!({ "a": "x".repeat(2048) }), "metadata"),
        ("metadata", deep, "nested"),
        ("display_name", json!("x\ny"), "display_name"),
        ("display_name", json!("x".repeat(129)), "display_name"),
        ("return_to", json!(5), "return_to"),
        ("transport", json!("both"), "transport"),
        ("expires_in", json!(0), "expires_in"),
        ("expires_in", json!(86_401), "expires_in"),
    ] {
        let answer = post(&gateway, "/auth/register", bob_with(field, value.clone())).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{field} = {value}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(named), "{field}: {}", answer.text);
    }
    for missing in ["email", "password"] {
        let mut body = bob();
        body.as_object_mut().unwrap().remove(missing);
        let answer = post(&gateway, "/auth/register", body).await;
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(missing));
    }
    assert!(gateway.control.store.account_by_name("bob").await.unwrap().is_none());
}

#[tokio::test]
async fn a_weak_password_is_refused_with_advice() {
    let gateway = gateway("").await;
    for weak in ["short", "password1", "bob@x.test77", "qwertyuiop"] {
        let answer = post(&gateway, "/auth/register", bob_with("password", json!(weak))).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "weak_password"), "{weak}");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with("The password "), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_name_and_an_address_belong_to_one_account_however_they_are_written() {
    let gateway = gateway("").await;
    for (name, email, code) in [
        ("ann", "new@x.test", "name_taken"),
        ("ANN", "new@x.test", "name_taken"),
        ("\u{ff41}nn", "new@x.test", "name_taken"), // full-width a
        ("new", "ann@x.test", "email_taken"),
        ("new", "Ann@X.TEST", "email_taken"),
        ("ann@x.test", "new@x.test", "name_taken"),
        ("ann@x.test", "ann@x.test", "email_taken"),
    ] {
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        let answer = post(&gateway, "/auth/register", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (409, code), "{name} {email}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_gets_the_name() {
    let gateway = std::sync::Arc::new(gateway("").await);
    let tries = (0..8).map(|i| {
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let (name, email) =
                if i % 2 == 0 { ("Bob", format!("b{i}@x.test")) } else { ("bob", "bob@x.test".into()) };
            let body = json!({ "name": name, "email": email, "password": PASSWORD });
            post(&gateway, "/auth/register", body).await.status
        })
    });
    let mut made = 0;
    for one in tries.collect::<Vec<_>>() {
        match one.await.unwrap() {
            201 => made += 1,
            status => assert!([409, 503].contains(&status), "{status}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(gateway.control.store.accounts().await.unwrap().len(), 2);
}

#[tokio::test]
async fn with_verify_email_nobody_signs_in_before_the_link_was_used() {
    let gateway = gateway(VERIFY).await;
    let answer = post(&gateway, "/auth/register", bob()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json(), json!({ "success": true, "authenticated": false, "verified": false }));
    assert!(answer.headers.get("set-cookie").is_none());
    let letter = one_letter(&gateway).await;
    assert_eq!(letter.to.as_deref(), Some("bob@x.test"));

    assert_eq!(gateway.try_login("bob", "not the password").await.code(), "bad_credentials");
    assert!(letters(&gateway).await.is_empty());
    let refused = gateway.try_login("bob", PASSWORD).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "email_unverified"));
    // It was mailed once more, and only the newest link is good.
    let newer = one_letter(&gateway).await;
    let old = post(&gateway, "/auth/verify-email", json!({ "token": letter.token() })).await;
    assert_eq!((old.status, old.code().as_str()), (400, "invalid_token"));
    let done = post(&gateway, "/auth/verify-email", json!({ "token": newer.token() })).await;
    assert_eq!((done.status, done.json()), (200, json!({ "success": true })));
    assert_eq!(gateway.try_login("bob", PASSWORD).await.status, 200);
    let again = post(&gateway, "/auth/verify-email", json!({ "token": newer.token() })).await;
    assert_eq!(again.code(), "invalid_token", "a link works once");
    // Ann's address was verified by her operator, so nothing keeps her out.
    assert_eq!(gateway.login("ann").await.status, 200);
}

#[tokio::test]
async fn a_link_is_over_after_a_day() {
    let gateway = gateway(VERIFY).await;
    post(&gateway, "/auth/register", bob()).await;
    let token = one_letter(&gateway).await.token();
    gateway.advance(24 * 3600);
    assert_eq!(post(&gateway, "/auth/verify-email", json!({ "token": token })).await.code(), "invalid_token");
}

#[tokio::test]
async fn where_taken_names_are_not_told_every_registration_looks_and_works_alike() {
    let gateway = gateway(NEUTRAL).await;
    let mut answers = Vec::new();
    for (name, email) in
        [("bob", "bob@x.test"), ("ann", "new1@x.test"), ("new2", "ann@x.test"), ("ann@x.test", "ann@x.test")]
    {
        let before = gateway.control.outbox.written();
        let body = json!({ "name": name, "email": email, "password": PASSWORD });
        answers.push(post(&gateway, "/auth/register", body).await);
        assert_eq!(gateway.control.outbox.written() - before, 1, "one letter is written for {name}");
    }
    for answer in &answers {
        assert_eq!((answer.status, answer.json()), (201, answers[0].json()));
        let names = |a: &crate::control::testing::Answer| {
            a.headers.keys().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(answer), names(&answers[0]));
    }
    let mut to: Vec<_> = letters(&gateway).await.into_iter().map(|l| (l.to.unwrap(), l.subject)).collect();
    to.sort();
    let taken = "You have an account at Portcullis".to_owned();
    let expected = [("ann@x.test", &taken); 3].map(|(a, s)| (a.to_owned(), s.clone()));
    assert_eq!(to[..3], expected);
    assert_eq!(to[3], ("bob@x.test".to_owned(), "Confirm your address for Portcullis".to_owned()));
    assert_eq!(to.len(), 4);
    // A weak password or a bad field is told alike for all.
    let weak = json!({ "name": "ann", "email": "ann@x.test", "password": "password1" });
    assert_eq!(post(&gateway, "/auth/register", weak).await.code(), "weak_password");
}

#[tokio::test]
async fn one_client_registers_no_more_than_sixty_times_a_minute() {
    let gateway = gateway("").await;
    let body = json!({ "name": "ann", "email": "x@x.test", "password": "password1" }).to_string();
    for _ in 0..60 {
        let answer = gateway.post("/auth/register").json(&body).send().await;
        assert_eq!(answer.code(), "weak_password");
    }
    let answer = gateway.post("/auth/register").json(&body).send().await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "too_many_requests"));
    assert!(!answer.field("retry-after").is_empty());
    let other = gateway.post("/auth/register").json(&body).from("198.51.100.7").send().await;
    assert_eq!(other.code(), "weak_password");
}

#[tokio::test]
async fn a_browser_gets_pages_and_its_fields_back_but_no_password() {
    let gateway = gateway("").await;
    let page = gateway.get("/auth/register").navigating().send().await;
    assert_eq!(page.status, 200);
    for part in ["action=\"/auth/register\"", "autocomplete=\"new-password\"", "href=\"/auth/recovery\""] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert_eq!(page.text.matches("<script").count(), 0);
    let machine = gateway.get("/auth/register").send().await;
    assert_eq!((machine.status, machine.field("allow")), (405, "POST"));

    let form = |name: &str, password: &str| {
        let pairs =
            [("name", name), ("email", "bob@x.test"), ("password", password), ("password_confirm", password)];
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    };
    let failed = gateway.post("/auth/register").navigating().form(&form("\"><b", PASSWORD)).send().await;
    assert_eq!(failed.status, 400);
    assert!(failed.text.contains("value=\"bob@x.test\"") && failed.text.contains("&quot;&gt;&lt;b"));
    assert!(!failed.text.contains(PASSWORD) && failed.text.contains("role=\"alert\""));
    let made =
        gateway.post("/auth/register?return_to=/a").navigating().form(&form("bob", PASSWORD)).send().await;
    assert_eq!((made.status, made.location()), (303, "/a"), "{}", made.text);
    assert_eq!(gateway.who(&cookies(&made)).await["name"], "bob");
    assert!(!cookies(&made).contains("refresh"), "a page gets no refresh token");
}

#[tokio::test]
async fn every_endpoint_that_changes_something_refuses_other_sites() {
    // C-16, mistake 29.
    let gateway = gateway("").await;
    let ann = gateway.login("ann").await;
    for (method, path) in [
        (Method::POST, "/auth/register"),
        (Method::POST, "/auth/recovery"),
        (Method::POST, "/auth/reset"),
        (Method::POST, "/auth/verify-email"),
        (Method::POST, "/auth/me"),
        (Method::PATCH, "/auth/me"),
        (Method::POST, "/auth/password"),
        (Method::PATCH, "/auth/password"),
        (Method::DELETE, "/auth/credentials/local"),
        (Method::POST, "/auth/credentials/local/remove"),
    ] {
        for (name, value) in [
            ("origin", "https://evil.test"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let ask = gateway.ask(method.clone(), path).json("{}").cookie(&cookies(&ann)).header(name, value);
            assert_eq!(ask.send().await.code(), "foreign_origin", "{method} {path} {name}: {value}");
        }
    }
    assert!(letters(&gateway).await.is_empty());
}

#[tokio::test]
async fn bodies_of_every_endpoint_are_read_alike() {
    // D-03, mistake 22: no other types, nothing nested, nothing twice.
    let gateway = gateway("").await;
    for path in ["/auth/register", "/auth/recovery", "/auth/reset", "/auth/verify-email"] {
        for body in [
            "",
            "[]",
            "null",
            "{",
            "{\"email\":1,\"token\":1}",
            "{\"email\":{\"$ne\":\"\"},\"token\":{\"$ne\":\"\"}}",
            "{\"a\":1,\"a\":2}",
            "{}",
            "{\"__proto__\":{}}",
        ] {
            let answer = gateway.post(path).json(body).send().await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "malformed"), "{path} {body}");
        }
        let answer = gateway.post(path).header("content-type", "text/plain").send().await;
        assert_eq!(answer.status, 415);
        // Credentials in the query are no credentials.
        let query = format!("{path}?email=ann@x.test&token=x&password=x");
        assert_eq!(gateway.post(&query).json("{}").send().await.code(), "malformed");
    }
}
