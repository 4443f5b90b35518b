//! Row G-04: what is secret is in no line of the log at its most talkative, in no number, in
//! no answer but the one that hands it out, in no page, at no application and in no file.

use crate::mail::{GOOD, Server};
use base64::{Engine, engine::general_purpose::STANDARD};
use portcullis_tests::{
    Gateway, Numbers, Request, Response, Upstream,
    directory::{Directory, SERVICE},
    login::login_request,
    provider::{Person, Provider, SECRET},
    site::PASSWORD,
    until,
};
use serde_json::{Value, json};
use std::{cell::RefCell, fs, path::Path};

const KEY: &str = "canary-of-the-store-0123456789abcdef";
const SIGNS: &str = "canary-of-the-tokens-0123456789abcdef";
const NEXT: &str = "canary another horse entirely 7";

/// One gateway with everything that has a secret.
struct Place {
    gateway: Gateway,
    numbers: Numbers,
    upstream: Upstream,
    /// Name and value of what nobody is to see.
    canaries: RefCell<Vec<(String, String)>>,
    /// Each answer that hands out nothing, with what it answers.
    heard: RefCell<Vec<String>>,
}

impl Place {
    fn start(provider: &Provider, directory: &Directory, mail: &str) -> Self {
        let (numbers, upstream) = (Numbers::place(), Upstream::start());
        let config = format!(
            r#"
[server]
listen = "127.0.0.1:0"
[log]
level = "trace"
[store]
key = "{KEY}"
[token]
algorithm = "HS256"
secret = "{SIGNS}"
[accounts]
registration = "open"
[strategies.local]
kind = "local"
[strategies.corp]
kind = "ldap"
preset = "openldap"
url = "{url}"
bind_dn = "{service}"
bind_password = "{password}"
base = "dc=example,dc=org"
tls = {{ ca = "{directory_ca}" }}
[strategies.op]
kind = "oauth"
issuer = "{issuer}"
client_id = "canaries"
client_secret = "{SECRET}"
scopes = ["openid", "profile", "email", "offline_access"]
prompt = "consent"
tls = {{ ca = "{ca}" }}
admit = "anyone"
[[token.trusted]]
id = "idp"
issuer = "{issuer}"
audience = "canaries"
tls = {{ ca = "{ca}" }}
introspection = {{ url = "{issuer}/token/introspection", client_id = "canaries", client_secret = "{SECRET}" }}
[upstreams.api]
urls = ["{upstream}"]
[[routes]]
path = "/*"
upstream = "api"
{mail}{admin}"#,
            url = directory.url(),
            service = SERVICE.0,
            password = SERVICE.1,
            directory_ca = directory.file("ca.pem"),
            issuer = provider.issuer,
            ca = provider.ca,
            upstream = upstream.url(),
            admin = numbers.table(),
        );
        let gateway = Gateway::start(&config);
        provider.register("canaries", &gateway.url(), &json!({}));
        gateway.add_user("gina", PASSWORD, &["--email", "gina@canaries.test"]);
        Self { gateway, numbers, upstream, canaries: RefCell::default(), heard: RefCell::default() }
    }

    fn canary(&self, what: &str, value: impl Into<String>) {
        let value = value.into();
        assert!(value.len() >= 8, "{what} is too short to be told from other words: {value}");
        self.canaries.borrow_mut().push((what.into(), value));
    }

    /// A request whose answer hands out nothing.
    #[track_caller]
    fn ask(&self, request: &Request) -> Response {
        let answer = self.gateway.send(request);
        // Without its query, which is the client's own.
        let asked = request.target.split('?').next().unwrap();
        let said = format!("{} {asked}: {:?} {}", request.method, answer.fields, answer.text());
        self.heard.borrow_mut().push(said);
        answer
    }

    /// One that hands out a session, and what it holds.
    #[track_caller]
    fn signed_in(&self, what: &str, request: &Request) -> (String, Value) {
        let answer = self.gateway.send(request);
        assert!((200..300).contains(&answer.status), "{what}: {answer:?} {}", answer.text());
        for name in ["portcullis", "portcullis-refresh"] {
            if let Some(value) = answer.cookie(name) {
                self.canary(&format!("{name} of {what}"), value);
            }
        }
        let body = answer.json();
        for name in ["token", "refresh_token"] {
            if let Some(value) = body[name].as_str() {
                self.canary(&format!("{name} of {what}"), value);
            }
        }
        let cookie = answer.cookie("portcullis").map(|value| format!("portcullis={value}"));
        (cookie.unwrap_or_default(), body)
    }

    /// The one line that is last, so that all others have been written.
    fn last_line(&self) {
        self.ask(&Request::get("/the-last-one"));
        until("the last line", || self.gateway.output().contains("the-last-one").then_some(()));
    }

    fn nobody_saw_any(&self) {
        self.last_line();
        let (log, numbers) = (self.gateway.output(), self.numbers.text());
        let (heard, reached) = (self.heard.borrow(), self.upstream.everything());
        for (what, value) in self.canaries.borrow().iter() {
            for line in log.lines().chain(heard.iter().map(String::as_str)) {
                assert!(!line.contains(value.as_str()), "{what} ({value}) is in:\n{line}");
            }
            assert!(!numbers.contains(value.as_str()), "{what} ({value}) is in the numbers:\n{numbers}");
            assert!(!holds(&reached, value), "{what} ({value}) reached the application");
            for entry in fs::read_dir(self.gateway.folder()).unwrap() {
                let path = entry.unwrap().path();
                if !path.ends_with("portcullis.toml") {
                    assert!(!in_file(&path, value), "{what} ({value}) is in {}", path.display());
                }
            }
        }
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn in_file(path: &Path, text: &str) -> bool {
    holds(&fs::read(path).unwrap_or_default(), text)
}

/// What the configuration holds, as it stands there and as it travels.
fn configured(place: &Place) {
    for (what, value) in [
        ("the store's key", KEY.to_owned()),
        ("the tokens' secret", SIGNS.into()),
        ("the client's secret", SECRET.into()),
        ("the same in Basic", STANDARD.encode(format!("canaries:{SECRET}"))),
        ("the directory's password", SERVICE.1.into()),
        ("the mail server's password", "p@ss/word".into()),
        ("the same in a URL", "p%40ss%2Fword".into()),
        ("the same in AUTH PLAIN", STANDARD.encode("\0gateway\0p@ss/word")),
        ("the same in AUTH LOGIN", STANDARD.encode("p@ss/word")),
    ] {
        place.canary(what, value);
    }
}

/// Passwords and sessions of an account of ours.
fn local(place: &Place, server: &Server) {
    for (what, value) in [("gina's password", PASSWORD), ("gina's next password", NEXT)] {
        place.canary(what, value);
    }
    for (n, guess) in ["canary-guess-one", "canary-guess-two"].into_iter().enumerate() {
        place.canary("a guess", guess);
        place.ask(&login_request(["gina", "nobody"][n], guess)).expect(401, "bad_credentials");
        let form = format!("username=gina-{n}&password={guess}");
        assert_eq!(place.ask(&Request::post("/login/local").navigation().form(&form)).status, 401);
        place.ask(&Request::post("/login/local").with("Content-Type", "application/json").body(guess));
        place.ask(&Request::post("/login/local").with("Content-Type", guess).body(guess));
        place.ask(&Request::get("/app").with("Authorization", &format!("Basic {guess}")));
        place.ask(&Request::get("/app").bearer(guess)).expect(401, "invalid_token");
        place.ask(&Request::get("/app").navigation().cookie(&format!("portcullis={guess}")));
        place.ask(&Request::post("/auth/refresh").json(&json!({ "refresh_token": guess }))).expect(401, "");
        for path in ["/auth/reset", "/auth/verify-email"] {
            let body = json!({ "token": guess, "password": "p" });
            assert_eq!(place.ask(&Request::post(path).json(&body)).status, 400, "{path}");
        }
        let weak = json!({ "name": "gina", "email": "weak@canaries.test", "password": guess, "x": [guess] });
        place.ask(&Request::post("/auth/register").json(&weak));
    }
    let (cookie, _) = place.signed_in("gina", &login_request("gina", PASSWORD));
    let body = json!({ "username": "gina", "password": PASSWORD, "transport": "token" });
    let (_, device) = place.signed_in("a device", &Request::post("/login/local").json(&body));
    let old = json!({ "refresh_token": device["refresh_token"] });
    let (_, next) = place.signed_in("a refresh", &Request::post("/auth/refresh").json(&old));
    let newer = json!({ "refresh_token": next["refresh_token"] });
    place.signed_in("another refresh", &Request::post("/auth/refresh").json(&newer));
    place.ask(&Request::post("/auth/refresh").json(&old)).expect(401, "");
    for path in ["/app", "/auth/current", "/auth/me", "/auth/sessions", "/auth/credentials", "/login"] {
        place.ask(&Request::get(path).cookie(&cookie)).expect(200, "");
        assert_eq!(place.ask(&Request::get(path).navigation().cookie(&cookie)).status, 200, "{path}");
    }
    let wrong = json!({ "current": "canary-guess-one", "next": NEXT });
    place.ask(&Request::post("/auth/password").cookie(&cookie).json(&wrong)).expect(403, "bad_credentials");
    let change = json!({ "current": PASSWORD, "next": NEXT });
    let (cookie, _) =
        place.signed_in("a change", &Request::post("/auth/password").cookie(&cookie).json(&change));
    place
        .ask(&Request::post("/auth/recovery").json(&json!({ "email": "gina@canaries.test" })))
        .expect(200, "");
    let reset = server.link_to("gina@canaries.test");
    place.canary("a link to reset", &*reset);
    place
        .ask(&Request::post("/auth/reset").json(&json!({ "token": reset, "password": "short" })))
        .expect(400, "");
    place
        .ask(&Request::post("/auth/reset").json(&json!({ "token": reset, "password": PASSWORD })))
        .expect(200, "");
    place
        .ask(&Request::post("/auth/reset").json(&json!({ "token": reset, "password": PASSWORD })))
        .expect(400, "");
    place.ask(&Request::get("/app").cookie(&cookie)).expect(401, "");
    let rita = json!({ "name": "rita", "email": "rita@canaries.test", "password": NEXT });
    place.signed_in("a registration", &Request::post("/auth/register").json(&rita));
    let verify = server.link_to("rita@canaries.test");
    place.canary("a link to verify", &*verify);
    let body = json!({ "token": verify });
    assert!(
        [200, 400].map(|_| place.ask(&Request::post("/auth/verify-email").json(&body)).status) == [200, 400]
    );
}

/// Passwords of people of the directory.
fn corp(place: &Place) {
    let login = |password: &str| {
        Request::post("/login/corp").json(&json!({ "username": "alice", "password": password }))
    };
    place.canary("a guess at the directory", "canary-guess-corp");
    place.ask(&login("canary-guess-corp")).expect(401, "bad_credentials");
    place.canary("a password of the directory", "alice-pass");
    let (cookie, _) = place.signed_in("alice of the directory", &login("alice-pass"));
    place.ask(&Request::get("/app").cookie(&cookie)).expect(200, "");
    place.ask(&Request::post("/logout").cookie(&cookie)).expect(200, "");
}

/// Codes and tokens of a provider, and bearers that it made.
fn op(place: &Place, provider: &Provider) {
    let alice = Person::new(provider);
    let page = alice.sign_in(&place.gateway.url(), "alice", "/app");
    assert_eq!(page.status, 200, "{page:?}\n{}", place.gateway.output());
    place.heard.borrow_mut().push(format!("the end of a login: {page:?}"));
    let issued = provider.fixture("issued?client=canaries");
    let issued: Vec<&str> = issued.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(issued.len() >= 5, "a code, its verifier and three tokens: {issued:?}");
    for (n, value) in issued.iter().enumerate() {
        place.canary(&format!("what the provider gave, {n}"), *value);
    }
    let session = alice.cookie("portcullis");
    place.canary("the session of a login by the provider", &*session);
    let callback = format!("/login/op/callback?code={}&state=canary-state", issued[0]);
    assert_eq!(place.ask(&Request::get(&callback).navigation()).status, 400);
    assert_eq!(place.ask(&Request::get(&callback)).status, 400);
    place.canary("a state", "canary-state");
    let cookie = format!("portcullis={session}");
    place.ask(&Request::get("/app").cookie(&cookie)).expect(200, "");
    // The way out hands the provider its own token: to nobody else.
    place.gateway.send(&Request::post("/logout").cookie(&cookie));
    let bearers = [("a bearer", Some("canaries")), ("an opaque bearer", None)];
    for (what, audience) in bearers {
        let token = provider.access_token("canaries", "alice", 600, audience);
        place.ask(&Request::get("/app").bearer(&token)).expect(200, "");
        place.ask(&Request::get("/auth/me").bearer(&token)).expect(403, "");
        place.ask(&Request::get("/app").bearer(&token[1..])).expect(401, "");
        place.canary(what, &token[1..]);
    }
}

// G-04
#[test]
fn no_secret_of_any_strategy_is_in_a_log_a_number_an_answer_or_a_page() {
    let (Some(provider), Some(directory), Some(server)) =
        (Provider::shared(), Directory::shared(), Server::shared())
    else {
        return;
    };
    let place = Place::start(provider, directory, &server.table(GOOD, &server.ca()));
    configured(&place);
    local(&place, server);
    corp(&place);
    op(&place, provider);
    let log = place.gateway.output();
    assert!(
        log.contains("\"level\":\"debug\"") || log.contains("\"level\":\"trace\""),
        "as much as can be said"
    );
    place.nobody_saw_any();
}
