//! What holds before anybody has set anything up, and whatever is set up: nobody is there, the
//! way in is open, and no cookie outlives its login.

use portcullis_tests::{
    Gateway, Request, Site, Upstream,
    login::try_login,
    program,
    site::{PASSWORD, config},
};
use serde_json::{Value, json};

// N-48; mistakes 4 and 5
#[test]
fn nobody_is_there_until_an_operator_makes_them_and_nobody_has_any_right() {
    let upstream = Upstream::start();
    let routes = "[[routes]]\npath = \"/*\"\nupstream = \"api\"\n";
    let gateway = Gateway::start(&config(&upstream.url(), "", routes));
    let listed = gateway.verb(&["user", "list", "--json"], "").with_code(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap(), json!([]));
    for (name, password) in [
        ("admin", "nimda"),
        ("admin", "admin"),
        ("root", "root"),
        ("admin@localhost", "password"),
        ("demo", "demo"),
    ] {
        try_login(&gateway, name, password).expect(401, "bad_credentials");
    }
    gateway.send(&Request::get("/anything")).expect(401, "login_required");
    gateway.send(&Request::get("/auth/admin/users")).expect(401, "login_required");
    let body = json!({ "name": "first", "email": "first@x.test", "password": PASSWORD });
    gateway.send(&Request::post("/auth/register").json(&body)).expect(403, "registration_closed");
    gateway.send(&Request::post("/auth/admin/users").json(&body)).expect(401, "login_required");
    assert!(upstream.requests().is_empty());
}

// Seed 94
#[test]
fn the_way_in_is_open_whatever_the_rules_say() {
    let upstream = Upstream::start();
    let more = "[[routes]]\npath = \"/*\"\nupstream = \"api\"\npolicy = { roles = [\"nobody-has-it\"] }\n\
                [[routes]]\npath = \"/login/*\"\nupstream = \"api\"\npolicy = { roles = [\"nobody-has-it\"] }\n\
                [[routes]]\npath = \"/auth/reset\"\nupstream = \"api\"\npolicy = { roles = [\"nobody-has-it\"] }\n\
                [mail]\nurl = \"file:mail\"\nfrom = \"us@x.test\"\n";
    let gateway = Gateway::start(&config(&upstream.url(), "", more));
    gateway.add_user("alice", PASSWORD, &[]);
    gateway.send(&Request::get("/login").navigation()).expect(200, "");
    let answer = try_login(&gateway, "alice", PASSWORD).expect(200, "");
    let recovery = json!({ "email": "alice@x.test" });
    gateway.send(&Request::post("/auth/recovery").json(&recovery)).expect(200, "");
    let reset = json!({ "token": "none", "password": PASSWORD });
    gateway.send(&Request::post("/auth/reset").json(&reset)).expect(400, "invalid_token");
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    gateway.send(&Request::get("/x").bearer(&token)).expect(403, "forbidden");
    gateway.send(&Request::post("/logout").bearer(&token)).expect(200, "");
    assert!(upstream.requests().is_empty());
}

// Mistake 36
#[test]
fn a_hash_is_no_password_at_any_door() {
    let gateway = &Site::shared().gateway;
    let hash = program::run(gateway.folder(), &["hash-password"], PASSWORD).with_code(0).stdout;
    let hash = hash.trim();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    gateway.verb(&["user", "add", "hashed", "--password-hash-stdin"], hash).with_code(0);
    try_login(gateway, "hashed", PASSWORD).expect(200, "");
    try_login(gateway, "hashed", hash).expect(401, "bad_credentials");
    // Typed as a password it is one, and is hashed like any other.
    gateway.add_user("typed", hash, &[]);
    try_login(gateway, "typed", PASSWORD).expect(401, "bad_credentials");
    try_login(gateway, "typed", hash).expect(200, "");
}

// N-30, N-39: what the browser keeps, it keeps no longer than the login lasts.
#[test]
fn no_cookie_outlives_its_login() {
    let answer = try_login(&Site::shared().gateway, "alice", PASSWORD).expect(200, "");
    let age = |name: &str| {
        let line = answer.set_cookie(name).unwrap().to_lowercase();
        let age = line.split(';').find_map(|part| part.trim().strip_prefix("max-age=")).map(str::to_owned);
        age.unwrap_or_else(|| panic!("no end: {line}")).parse::<u64>().unwrap()
    };
    assert!((1..=12 * 3600).contains(&age("portcullis")), "{}", age("portcullis"));
    assert!((1..=30 * 86_400).contains(&age("portcullis-refresh")), "{}", age("portcullis-refresh"));
}
