//! The five APIs that Portcullis took after, spoken to word for word through the examples of
//! the configuration (capability rows 5 to 12, 33, 34, 38, 39, 53; `docs/migrating.md`). The
//! requests are those of the documents, with an address and a password that may be ones.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_tests::{Gateway, Request, Response, site::PASSWORD, until};
use serde_json::{Value, json};

/// The gateway of an example, with what its clients find there.
fn gateway(example: &str, more: &str) -> Gateway {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/examples");
    let text = std::fs::read_to_string(format!("{folder}/{example}.toml")).unwrap();
    Gateway::start(&format!("server.listen = \"127.0.0.1:0\"\n{more}\n{text}"))
}

fn data(request: Request, json: &str) -> Request {
    request.with("Content-Type", "application/json").body(json)
}

/// The token of the newest mail, as a person would follow its link.
fn mailed(gateway: &Gateway) -> String {
    until("the mail", || {
        let entries = std::fs::read_dir(gateway.folder().join("mail")).ok()?;
        let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|end| end == "eml"));
        files.sort();
        let mails = files.iter().rev().filter_map(|path| std::fs::read_to_string(path).ok());
        mails.map(|mail| mail.replace("=\r\n", "").replace("=3D", "=")).find_map(|mail| {
            let (_, rest) = mail.split_once("/auth/reset?token=")?;
            Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect())
        })
    })
}

const MAIL: &str = "mail = { url = \"file:mail\", from = \"gw@example.org\" }";

fn token(answer: &Response) -> String {
    answer.json()["token"].as_str().unwrap_or_else(|| panic!("no token: {answer:?}")).to_owned()
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn ah_auth_plugin() {
    let gateway = gateway("ah-auth-plugin", "");
    gateway.add_user("someone", PASSWORD, &["--email", "someone@example.org"]);
    let authenticate = Request::post("/api/authenticate");
    let body = json!({ "login": "someone", "password": PASSWORD }).to_string();
    let by_json = gateway.send(&data(authenticate.clone(), &body)).expect(200, "");
    let form = format!("login=someone&password={}", PASSWORD.replace(' ', "+"));
    let by_form = gateway.send(&authenticate.form(&form)).expect(200, "");
    for token in [token(&by_json), token(&by_form)] {
        let ask = Request::get("/auth/current").with("Authorization", &format!("Token {token}"));
        assert_eq!(gateway.send(&ask).expect(200, "").json()["authenticated"]["name"], "someone");
    }
    let wrong = data(Request::post("/api/authenticate"), r#"{"login":"someone", "password":"somepassword"}"#);
    gateway.send(&wrong).expect(401, "bad_credentials");
    let up = json!({ "login": "new", "email": "new@example.org", "password": PASSWORD }).to_string();
    token(&gateway.send(&data(Request::post("/api/signUp"), &up)).expect(201, ""));
    gateway.send(&Request::get("/api/authenticate")).expect(401, "login_required");
}

#[test]
fn hitchy_plugin_auth() {
    let gateway = gateway("hitchy", "");
    gateway.add_user("john.doe", PASSWORD, &["--role", "users", "--role", "customers"]);
    let current = Request::get("/api/auth/current");
    let nobody = gateway.send(&current).expect(200, "").json();
    assert_eq!(nobody, json!({ "success": true, "authenticated": false }));
    let form = format!("username=john.doe&password={}", PASSWORD.replace(' ', "+"));
    let mut cookie = String::new();
    for path in ["/api/auth/login", "/api/auth/login/local"] {
        let answer = gateway.send(&Request::post(path).form(&form)).expect(200, "");
        assert_eq!(answer.json()["success"], true);
        cookie = format!("portcullis={}", answer.cookie("portcullis").unwrap());
    }
    let known = gateway.send(&current.clone().cookie(&cookie)).expect(200, "").json();
    assert_eq!((&known["success"], &known["authenticated"]["name"]), (&json!(true), &json!("john.doe")));
    assert_eq!(known["authenticated"]["roles"], json!(["users", "customers"]));
    assert_eq!(known["authenticated"]["uuid"].as_str().unwrap().len(), 36);
    let next = "current=WRONG&next=a+phrase+of+several+new+words";
    let password = Request::post("/api/auth/password").cookie(&cookie);
    gateway.send(&password.clone().form(next)).expect(403, "bad_credentials");
    let next = format!("current={}&next=a+phrase+of+several+new+words", PASSWORD.replace(' ', "+"));
    let changed = gateway.send(&password.form(&next)).expect(200, "");
    assert_eq!(changed.json()["success"], true);
    assert_eq!(
        gateway.send(&current.clone().cookie(&cookie)).json()["authenticated"],
        false,
        "old ones are dead"
    );
    let cookie = format!("portcullis={}", changed.cookie("portcullis").unwrap());
    let out = gateway.send(&Request::get("/api/auth/logout").cookie(&cookie)).expect(200, "");
    assert_eq!(out.json(), json!({ "success": true }));
    assert_eq!(gateway.send(&current.cookie(&cookie)).json()["authenticated"], false);
}

#[test]
fn authcompanion() {
    let gateway = gateway("authcompanion", MAIL);
    let attributes = |more: Value| json!({ "data": { "type": "users", "attributes": more } }).to_string();
    let register = attributes(json!({
        "name": "Authy Person", "email": "hello@authcompanion.com", "password": PASSWORD,
        "metadata": { "company": "Auth Co" },
    }));
    let made = gateway.send(&data(Request::post("/v1/auth/register"), &register)).expect(201, "");
    let shown = |answer: &Response| {
        assert_eq!(answer.header("content-type"), Some("application/vnd.api+json"), "{answer:?}");
        let body = answer.json()["data"].clone();
        assert_eq!(body["type"], "users");
        let attributes = body["attributes"].clone();
        assert_eq!(attributes["name"], "Authy Person");
        assert!(attributes["created"].as_str().is_some_and(|t| t.ends_with('Z')), "{body}");
        assert!(attributes["access_token_expiry"].is_u64(), "{body}");
        (body["id"].clone(), attributes["access_token"].as_str().unwrap().to_owned())
    };
    let (id, _) = shown(&made);
    assert!(made.cookie("portcullis-refresh").is_some());
    let login = attributes(json!({ "email": "hello@authcompanion.com", "password": PASSWORD }));
    let signed_in = gateway.send(&data(Request::post("/v1/auth/login"), &login)).expect(200, "");
    let (same, access) = shown(&signed_in);
    assert_eq!(id, same);
    let wrong = attributes(json!({ "email": "hello@authcompanion.com", "password": "mysecretpass" }));
    gateway.send(&data(Request::post("/v1/auth/login"), &wrong)).expect(400, "bad_credentials");
    // The claims of one's own are in the token.
    assert_eq!(claims(&access)["metadata"], json!({ "company": "Auth Co" }));
    // The document's own body sets a new password too, without the one before: refused whole.
    let whole = attributes(json!({
        "name": "Authy Person_updated", "email": "hello@authcompanion.com", "password": "mysecretpass",
        "metadata": { "company": "Auth Co" },
    }));
    let me = data(Request::post("/v1/auth/users/me").bearer(&access), &whole);
    let refused = gateway.send(&me).expect(400, "malformed");
    assert_eq!(refused.json()["detail"], "password: cannot be changed here");
    let renamed = attributes(json!({ "name": "Authy Person_updated", "metadata": { "company": "New Co" } }));
    let me = data(Request::post("/v1/auth/users/me").bearer(&access), &renamed);
    let answer = gateway.send(&me).expect(200, "");
    let renewed = answer.json()["data"]["attributes"].clone();
    assert_eq!(renewed["name"], "Authy Person_updated");
    assert_eq!(claims(renewed["access_token"].as_str().unwrap())["metadata"], json!({ "company": "New Co" }));
    gateway.send(&data(me.bearer(&access), &attributes(json!({ "name": "Authy Person" }))));
    gateway.send(&data(Request::post("/v1/auth/users/me"), &renamed)).expect(401, "login_required");
    // The document's own body; whoever follows the link comes to the page for a new password.
    let forgot = r#"{ "email": "hello@authcompanion.com" }"#;
    let told = gateway.send(&data(Request::post("/v1/auth/recovery"), forgot)).expect(200, "").json();
    assert_eq!(told["data"]["type"], "users");
    assert!(told["data"]["detail"].is_string(), "{told}");
    let page = gateway.send(&Request::get(&format!("/auth/reset?token={}", mailed(&gateway))).navigation());
    page.expect(200, "");
    let refresh =
        |answer: &Response| format!("portcullis-refresh={}", answer.cookie("portcullis-refresh").unwrap());
    let again = gateway.send(&data(Request::post("/v1/auth/refresh").cookie(&refresh(&signed_in)), "{}"));
    let again = again.expect(200, "");
    assert!(again.json()["data"]["attributes"]["access_token"].is_string(), "{again:?}");
    let end = Request::new("DELETE", "/v1/auth/refresh").cookie(&refresh(&again));
    gateway.send(&data(end, "{}")).expect(204, "");
    gateway
        .send(&data(Request::post("/v1/auth/refresh").cookie(&refresh(&again)), "{}"))
        .expect(400, "invalid_token");
}

#[test]
fn kuzzle() {
    let gateway = gateway("kuzzle", "");
    gateway.add_user("melis", PASSWORD, &[]);
    let body = json!({ "username": "melis", "password": PASSWORD }).to_string();
    let login = gateway.send(&data(Request::post("/_login/local"), &body)).expect(200, "");
    let token = token(&login);
    gateway.send(&data(Request::post("/_login/nothing"), &body)).expect(404, "unknown_strategy");
    let me = gateway.send(&Request::get("/_me").bearer(&token)).expect(200, "").json();
    assert_eq!(me["authenticated"]["name"], "melis");
    assert_eq!(gateway.send(&Request::get("/_me")).expect(200, "").json()["authenticated"], false);
    let check = || data(Request::post("/_checkToken"), &json!({ "token": token }).to_string());
    assert_eq!(gateway.send(&check()).expect(200, "").json()["valid"], true);
    let strategies = gateway.send(&Request::get("/strategies")).expect(200, "").json();
    assert_eq!(strategies["data"][0]["id"], "local");
    let mine = gateway.send(&Request::get("/_me/credentials").bearer(&token)).expect(200, "").json();
    assert_eq!(mine["data"][0]["strategy"], "local");
    let last = Request::new("DELETE", "/_me/credentials/local").bearer(&token);
    gateway.send(&last).expect(409, "last_credential");
    gateway.send(&Request::post("/_logout").bearer(&token)).expect(200, "");
    assert_eq!(gateway.send(&check()).expect(200, "").json(), json!({ "valid": false }));
}

#[test]
fn sails_api_jwt() {
    let gateway = gateway("sails-api-jwt", MAIL);
    let email = "someone@example.org";
    let create = json!({ "email": email, "password": PASSWORD, "password_confirm": PASSWORD });
    token(&gateway.send(&data(Request::post("/user/create"), &create.to_string())).expect(201, ""));
    let differs = json!({ "email": "b@example.org", "password": PASSWORD, "password_confirm": "x" });
    gateway.send(&data(Request::post("/user/create"), &differs.to_string())).expect(400, "malformed");
    gateway.send(&data(Request::post("/user/create"), &create.to_string())).expect(400, "email_taken");
    // Whoever has no token is nobody, and is told so with the document's status.
    gateway.send(&Request::get("/user")).expect(400, "login_required");
    let login = |password: &str| {
        let body = json!({ "email": email, "password": password }).to_string();
        gateway.send(&data(Request::post("/user/login"), &body))
    };
    let old = token(&login(PASSWORD).expect(200, ""));
    login("abc123").expect(400, "bad_credentials");
    let user = |token: &str| Request::get("/user").bearer(token);
    assert_eq!(gateway.send(&user(&old)).expect(200, "").json()["authenticated"]["email"], email);
    let (next, change) =
        ("a phrase of several new words", Request::post("/user/change_password").bearer(&old));
    let body = |current: &str| json!({ "email": email, "password": current, "new_password": next, "new_password_confirm": next });
    gateway.send(&data(change.clone(), &body("abc123").to_string())).expect(400, "bad_credentials");
    let new = token(&gateway.send(&data(change, &body(PASSWORD).to_string())).expect(200, ""));
    gateway.send(&user(&old)).expect(400, "invalid_token");
    gateway.send(&user(&new)).expect(200, "");
    let forgot = json!({ "email": email }).to_string();
    gateway.send(&data(Request::post("/user/forgot"), &forgot)).expect(200, "");
    let last = "and then another phrase of words";
    let reset = |token: &str| {
        let body = json!({
            "email": email, "reset_token": token, "new_password": last, "new_password_confirm": last,
        });
        gateway.send(&data(Request::post("/user/reset_password"), &body.to_string()))
    };
    reset("nothing").expect(400, "invalid_token");
    reset(&mailed(&gateway)).expect(200, "");
    gateway.send(&user(&new)).expect(400, "invalid_token");
    for _ in 0..5 {
        login("abc123");
    }
    login(last).expect(403, "locked");
}

#[test]
fn an_alias_obeys_every_check_of_its_operation() {
    let gateway = gateway("sails-api-jwt", "");
    gateway.add_user("ann", PASSWORD, &[]);
    let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
    let login = data(Request::post("/user/login"), &body);
    gateway.send(&login.clone().with("Origin", "https://evil.test")).expect(403, "foreign_origin");
    gateway.send(&Request::post("/user/login").with("Content-Type", "text/plain").body("x")).expect(415, "");
    let twice = json!({ "password": "a", "current": "b", "new_password": "c" }).to_string();
    let token = token(&gateway.send(&login).expect(200, ""));
    gateway
        .send(&data(Request::post("/user/change_password").bearer(&token), &twice))
        .expect(400, "malformed");
    // Another method of the same path is the application's.
    gateway.send(&Request::new("PUT", "/user/login")).expect(401, "login_required");
}
